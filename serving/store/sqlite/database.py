"""An SQLite file with our tables: connections, and transactions that read and write rows."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from facerec_models.errors import StoreError, StoreFullError
from serving.store import conflicts
from serving.store.codecs import Row, Table, columns_of, decoders_of, encode, row_encoder, table_of
from serving.store.lookups import require_project
from serving.store.naming_rows import AppearanceRow, StrangerTrack
from serving.store.read_only import ReadOnlyFile
from serving.store.sqlite.schema import ACCESS_TABLES, TABLES, TRIGGERS, UPGRADES
from serving.store.transaction import Among, Filter

# The rest of an extended code says where in SQLite it happened.
_KIND_OF_CODE = 0xFF
_REMEDIES = {
    sqlite3.SQLITE_IOERR: "its disk is full or fails: make room there, and see the system's log",
    sqlite3.SQLITE_READONLY: "let this user write there, or mount its place for writing",
    sqlite3.SQLITE_CANTOPEN: "let this user write in its folder",
    sqlite3.SQLITE_PERM: "let this user write there",
}


class SqliteDatabase:
    """One SQLite file with the present schema, for many threads and processes at once.

    Parameters
    ----------
    path : Path
        On a local disk: write-ahead logging needs shared memory. Created where there is none.
    busy_timeout_s : float
        How long to wait for another writer before raising `StoreError`.
    upgrading : bool
        Whether tables of an older version are brought to the present ones; `former_schema` then says which they were.

    Where the file or its folder cannot be written, the file can be read all the same; `writing` then raises `StoreError`.
    """

    def __init__(self, path: Path, busy_timeout_s: float, *, upgrading: bool = False) -> None:
        self.path = path
        self._read_only = ReadOnlyFile.of(path)
        self._busy_timeout_s = busy_timeout_s
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False
        self.former_schema: int | None = None
        try:
            if upgrading:
                self.former_schema = self.upgrade()
            self._require_schema()
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connections that are idle now, and the others when their transactions end."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def reading(self) -> AbstractContextManager[SqliteTransaction]:
        """Begin a transaction that sees one state of the file and writes nothing."""
        return self._transaction("BEGIN")

    @contextmanager
    def writing(self, project: str | None = None) -> Iterator[SqliteTransaction]:
        """Begin a transaction that is the only writer; it is durable after the block, or undone by an exception.

        Raises
        ------
        ProjectNotFoundError
            If there is no project of this name.
        """
        self._require_writable()
        with self._transaction("BEGIN IMMEDIATE") as tx:
            if project is not None:
                require_project(tx, project)
            yield tx

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[SqliteTransaction]:
        if self._closed:
            raise StoreError(f"the store {self.path} is closed")
        connection: sqlite3.Connection | None = None
        try:
            connection = self._take()
            connection.execute(begin)
            yield SqliteTransaction(connection)
            connection.execute("COMMIT")
            if self._read_only is not None:
                self._read_only.require_unchanged()
        except sqlite3.DatabaseError as error:
            if connection is not None:
                connection.close()
            if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
                raise  # a mistake of the program, which trying again does not mend
            raise self._told(error) from error
        except BaseException:
            if connection is not None:
                connection.rollback()
                self._put_back(connection)
            raise
        self._put_back(connection)

    def _take(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def _put_back(self, connection: sqlite3.Connection) -> None:
        self._idle.append(connection)
        if self._closed:
            self.close()

    def _connect(self) -> sqlite3.Connection:
        # A connection serves one transaction at a time, but not always the same thread.
        connection = sqlite3.connect(
            self.path if self._read_only is None else self._read_only.uri,
            timeout=self._busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
            uri=self._read_only is not None,
        )
        if self._read_only is not None:
            return connection
        try:
            self._use_write_ahead_log(connection)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            # What is deleted is overwritten: rows hold faces' vectors.
            connection.execute("PRAGMA secure_delete = ON")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _use_write_ahead_log(self, connection: sqlite3.Connection) -> None:
        # SQLite does not wait for others here: of four processes that create one file, 3 % failed without the loop.
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def empty_log(self) -> None:
        """Write the log into the file and cut it off: it holds earlier states of rows.

        Raises
        ------
        StoreError
            If another process reads or writes for too long.
        """
        self._require_writable()
        connection = self._take()
        try:
            (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            raise self._told(error) from error
        finally:
            self._put_back(connection)
        if busy:
            raise StoreError(f"the store {self.path} is in use: what was deleted is still in its log; try again")

    def back_up(self, path: Path) -> None:
        """Write a copy of the file, in one state, into another one, without keeping others from writing."""
        connection = self._take()
        target = sqlite3.connect(path, isolation_level=None)
        try:
            connection.backup(target)
            # The copy has the mode of the original, which wants a second file beside it.
            target.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error as error:
            raise StoreError(f"cannot copy the store {self.path} to {path}: {error}; name another file") from error
        finally:
            target.close()
            self._put_back(connection)

    def _told(self, error: sqlite3.Error) -> StoreError:
        """Return what to raise for what SQLite says; the file's place is named."""
        code = getattr(error, "sqlite_errorcode", 0) & _KIND_OF_CODE
        if code == sqlite3.SQLITE_FULL:
            return StoreFullError(
                f"the store {self.path} cannot grow, its disk is full ({error}): make room there; nothing is half written"
            )
        remedy = _REMEDIES.get(code)
        return StoreError(f"the store {self.path} does not answer: {error}" + (f"; {remedy}" if remedy else ""))

    def _require_writable(self) -> None:
        if self._read_only is not None:
            raise StoreError(
                f"the store {self.path} can only be read ({self._read_only.reason}): mount its place for writing, let this user "
                "write there, or use a copy of the home"
            )

    def upgrade(self) -> int:
        """Bring the tables of an older version to the present ones, all at once; return which version it was.

        A copy of the file as it was is made beside it first, ``NAME.schema-VERSION``.
        """
        with self.reading() as tx:
            found = _version(tx)
        if found in UPGRADES:
            self.back_up(self.path.with_name(f"{self.path.name}.schema-{found}"))
            with self.writing() as tx:
                while (version := _version(tx)) in UPGRADES:
                    for statement in UPGRADES[version]:
                        tx.execute(statement)
                    tx.execute(f"PRAGMA user_version = {version + 1}")
        return found

    def _require_schema(self) -> None:
        """Make the tables in a new file; raise `StoreError` if another version of the program wrote it."""
        with self.reading() as tx:
            version = _version(tx)
        if version == 0 and self._read_only is None:
            version = self._create()
        conflicts.require_schema(str(self.path), version)

    def _create(self) -> int:
        with self.writing() as tx:
            if _version(tx) == 0:  # no other process was faster
                # Executescript would commit before it starts.
                for statement in (*TABLES.split(";"), *ACCESS_TABLES.split(";"), *TRIGGERS):
                    tx.execute(statement)
                tx.execute(f"PRAGMA user_version = {conflicts.SCHEMA}")
            return _version(tx)


def _version(tx: SqliteTransaction) -> int:
    return int(tx.execute("PRAGMA user_version").fetchone()[0])


class SqliteTransaction:
    """What is read, or written, at once: `serving.store.transaction.Transaction`, and any SQL."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.execute = connection.execute
        self.executemany = connection.executemany

    def find(
        self,
        table: str,
        where: Filter,
        sort: Sequence[str] = (),
        *,
        among: Among | None = None,
        columns: Sequence[str],
        limit: int | None = None,
    ) -> Iterator[Mapping[str, Any]]:
        """Yield columns of rows, ascending by the columns of `sort`; a minus before a column turns it round."""
        for record in self.execute(*_query(table, columns, where, sort, among, limit=limit)):
            yield dict(zip(columns, record, strict=True))

    def select(
        self,
        kind: type[Row],
        where: Filter,
        sort: Sequence[str] = (),
        *,
        among: Among | None = None,
        after: Sequence[Any] | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """Return rows of a type, ascending by the columns of `sort`; with `after`, those that come after these values of theirs."""
        names = columns_of(kind)
        return self.read(kind, *_query(table_of(kind), names, where, sort, among, after=after, limit=limit))

    def read(self, kind: type[Row], query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        """Return what a query finds; its columns are fields of `kind`."""
        cursor = self.execute(query, parameters)
        decoders = decoders_of(kind)
        names = [name for name, *_ in cursor.description]
        places = {name: place for place, name in enumerate(names)}
        # In the order of the fields, without their names: half the time.
        wanted = [field.name for field in fields(kind)]  # type: ignore[arg-type]
        if places.keys() >= set(wanted):
            picked = [(places[name], decoders.get(name)) for name in wanted]
            return [kind(*[decode(row[at]) if decode else row[at] for at, decode in picked]) for row in cursor]
        plain = [(name, decoders.get(name)) for name in names]
        return [
            kind(**{name: decode(one) if decode else one for (name, decode), one in zip(plain, row, strict=True)})
            for row in cursor
        ]

    def count(self, table: str, where: Filter, among: Among | None = None) -> int:
        """Return how many rows there are."""
        condition, values = _condition(where, among)
        return int(self.execute(f"SELECT count(*) FROM {table} WHERE {condition}", values).fetchone()[0])  # noqa: S608

    def put(self, rows: Iterable[Table], kind: type[Table]) -> None:
        """Add rows in place of those with the same key, without touching what refers to them."""
        values = ", ".join(f"{name} = excluded.{name}" for name in columns_of(kind))
        self._insert(rows, kind, f"ON CONFLICT DO UPDATE SET {values}")

    def put_new(self, row: Table) -> None:
        """Add a row; where there is one with its key nothing changes."""
        self._insert([row], type(row), "ON CONFLICT DO NOTHING")

    def insert(self, rows: Iterable[Table], kind: type[Table]) -> None:
        """Add rows whose keys are not there."""
        self._insert(rows, kind, "")

    def take(self, tracks: Sequence[StrangerTrack]) -> list[StrangerTrack]:
        """Delete the rows that have the keys of these, and return them as they were; those that are not there are passed over."""
        keys = [(track.project, track.analysis_id, track.track_id) for track in tracks]
        found = """SELECT found.rowid FROM json_each(?) AS wanted CROSS JOIN stranger_tracks AS found
            ON project = json_extract(wanted.value, '$[0]') AND analysis_id = json_extract(wanted.value, '$[1]')
            AND track_id = json_extract(wanted.value, '$[2]')"""
        query = f"DELETE FROM stranger_tracks WHERE rowid IN ({found}) RETURNING *"  # noqa: S608
        return self.read(StrangerTrack, query, [json.dumps(keys)])

    def exchange(self, lost: Sequence[AppearanceRow], new: Sequence[AppearanceRow]) -> None:
        """Delete the appearances that have the keys of some, then add others, whose keys are not there."""
        keys = ((row.project, row.analysis_id, row.first_track) for row in lost)
        self.executemany("DELETE FROM appearances WHERE project = ? AND analysis_id = ? AND first_track = ?", keys)
        self.insert(new, AppearanceRow)

    def _insert(self, rows: Iterable[Table], kind: type[Table], otherwise: str) -> None:
        names = columns_of(kind)
        values = ", ".join("?" * len(names))
        query = f"INSERT INTO {table_of(kind)} ({', '.join(names)}) VALUES ({values}) {otherwise}"  # noqa: S608
        self.executemany(query, map(row_encoder(kind), rows))

    def append(self, table: str, columns: Mapping[str, Any]) -> None:
        """Add a row with a column ``position`` that is higher than any before."""
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        self.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(columns.values()))  # noqa: S608

    def update(self, table: str, where: Filter, values: Filter, among: Among | None = None) -> int:
        """Set columns of rows; return how many there were."""
        condition, given = _condition(where, among)
        changes = ", ".join(f"{name} = ?" for name in values)
        new = [encode(name, value) for name, value in values.items()]
        return self.execute(f"UPDATE {table} SET {changes} WHERE {condition}", [*new, *given]).rowcount  # noqa: S608

    def delete(self, table: str, where: Filter, among: Among | None = None) -> int:
        """Delete rows; return how many there were."""
        condition, values = _condition(where, among)
        return self.execute(f"DELETE FROM {table} WHERE {condition}", values).rowcount  # noqa: S608


def _condition(where: Filter, among: Among | None) -> tuple[str, list[Any]]:
    conditions = ["TRUE", *(f"{name} IS NULL" if value is None else f"{name} = ?" for name, value in where.items())]
    values = [encode(name, value) for name, value in where.items() if value is not None]
    if among is not None:
        conditions.append(f"{among[0]} IN (SELECT value FROM json_each(?))")  # noqa: S608
        values.append(json.dumps(list(among[1])))
    return " AND ".join(conditions), values


def _query(
    table: str,
    columns: Sequence[str],
    where: Filter,
    sort: Sequence[str],
    among: Among | None,
    *,
    after: Sequence[Any] | None = None,
    limit: int | None,
) -> tuple[str, list[Any]]:
    condition, values = _condition(where, among)
    if after is not None:
        names, sign = ", ".join(name.lstrip("-") for name in sort), "<" if sort[0].startswith("-") else ">"
        condition += f" AND ({names}) {sign} ({', '.join('?' * len(sort))})"
        values += after
    order = ", ".join(f"{name[1:]} DESC" if name.startswith("-") else name for name in sort) or "TRUE"
    query = f"SELECT {', '.join(columns)} FROM {table} WHERE {condition} ORDER BY {order} LIMIT ?"  # noqa: S608
    return query, [*values, -1 if limit is None else limit]

"""An SQLite file with our tables: connections, transactions, and rows as the types of `serving.store.*rows`."""

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

from facerec_models.errors import (
    ModelNotFoundError,
    ProjectNotFoundError,
    StoreError,
    StoreFullError,
    VideoNotFoundError,
)
from serving.store import conflicts
from serving.store.codecs import _DECODERS, _TABLES, Row, Table, encode
from serving.store.naming_rows import Revision
from serving.store.read_only import ReadOnlyFile
from serving.store.rows import ModelVersion, Project, VideoRow
from serving.store.sqlite.schema import MIGRATIONS

Parameters = Sequence[Any] | Mapping[str, Any]

# The rest of an extended code says where in SQLite it happened.
_KIND_OF_CODE = 0xFF
_REMEDIES = {
    sqlite3.SQLITE_IOERR: "its disk is full or fails: make room there, and see the system's log",
    sqlite3.SQLITE_READONLY: "let this user write there, or mount its place for writing",
    sqlite3.SQLITE_CANTOPEN: "let this user write in its folder",
    sqlite3.SQLITE_PERM: "let this user write there",
}


class Database:
    """One SQLite file, brought to the present schema, for many threads and processes at once.

    Parameters
    ----------
    path : Path
        On a local disk: write-ahead logging needs shared memory. Created where there is none.
    busy_timeout_s : float
        How long to wait for another writer before raising `StoreError`.

    Where the file or its folder cannot be written, the file can be read all the same; `writing` then raises `StoreError`.
    """

    def __init__(self, path: Path, busy_timeout_s: float) -> None:
        self.path = path
        self._read_only = ReadOnlyFile.of(path)
        self._busy_timeout_s = busy_timeout_s
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False
        try:
            if self._read_only is None:
                self._migrate()
            else:
                self._require_schema()
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connections that are idle now, and the others when their transactions end."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Begin a transaction that sees one state of the file and writes nothing."""
        return self._transaction("BEGIN")

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """Begin a transaction that is the only writer; it is durable after the block, or undone by an exception."""
        self._require_writable()
        return self._transaction("BEGIN IMMEDIATE")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        if self._closed:
            raise StoreError(f"the store {self.path} is closed")
        connection: sqlite3.Connection | None = None
        try:
            connection = self._take()
            connection.execute(begin)
            yield connection
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

    def _require_schema(self) -> None:
        """Raise `StoreError` if the file, which can only be read, would have to be brought forward."""
        with self.reading() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
        if version < len(MIGRATIONS):
            raise StoreError(
                f"the store {self.path} has schema {version}, this program needs {len(MIGRATIONS)}, and it can only be read: "
                "open it once where it can be written"
            )
        self._require_known(version)

    def _require_known(self, version: int) -> None:
        if version > len(MIGRATIONS):
            raise StoreError(
                f"the store {self.path} has schema {version}, but this program knows only {len(MIGRATIONS)}; "
                "install a newer FaceRec"
            )

    def _migrate(self) -> None:
        with self.writing() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            self._require_known(version)
            for number, script in enumerate(MIGRATIONS[version:], version + 1):
                if callable(script):
                    script(db)
                else:
                    for statement in script.split(";"):  # executescript would commit before it starts
                        db.execute(statement)
                db.execute(f"PRAGMA user_version = {number}")


def select(db: sqlite3.Connection, kind: type[Row], query: str, parameters: Parameters = ()) -> list[Row]:
    """Return what a query finds; its columns are fields of `kind`."""
    cursor = db.execute(query, parameters)
    columns = [(name, _DECODERS.get(name)) for name, *_ in cursor.description]
    return [
        kind(
            **{name: decode(value) if decode else value for (name, decode), value in zip(columns, record, strict=True)}
        )
        for record in cursor
    ]


def select_one(db: sqlite3.Connection, kind: type[Row], query: str, parameters: Parameters, error: Exception) -> Row:
    """Return the only row that a query finds; raise `error` if it finds none."""
    rows = select(db, kind, query, parameters)
    if not rows:
        raise error
    return rows[0]


def require_project(db: sqlite3.Connection, name: str) -> Project:
    """Return a project; raise `ProjectNotFoundError` if there is none."""
    missing = ProjectNotFoundError(f"no project {name!r}; create it first")
    return select_one(db, Project, "SELECT * FROM projects WHERE name = ?", (name,), missing)


def require_model(db: sqlite3.Connection, project: str, version: str) -> ModelVersion:
    """Return a model version; raise `ModelNotFoundError` if there is none."""
    missing = ModelNotFoundError(f"project {project!r} has no model {version!r}")
    query = "SELECT * FROM models WHERE project = ? AND version = ?"
    return select_one(db, ModelVersion, query, (project, version), missing)


def require_video(db: sqlite3.Connection, project: str, video_id: str) -> VideoRow:
    """Return a video; raise `VideoNotFoundError` if there is none."""
    require_project(db, project)
    missing = VideoNotFoundError(f"project {project!r} has no video {video_id!r}")
    query = "SELECT * FROM videos WHERE project = ? AND video_id = ?"
    return select_one(db, VideoRow, query, (project, video_id), missing)


def require_analyses(db: sqlite3.Connection, project: str, analysis_ids: Sequence[str]) -> None:
    """Raise `VideoNotFoundError` unless the project has all these analyses."""
    missing = db.execute(
        """SELECT value FROM json_each(?)
        WHERE value NOT IN (SELECT analysis_id FROM analyses WHERE project = ?) LIMIT 1""",
        (json.dumps(analysis_ids), project),
    ).fetchone()
    if missing:
        raise VideoNotFoundError(f"project {project!r} has no analysis {missing[0]!r}")


def require_present(db: sqlite3.Connection, project: str, analysis_ids: Sequence[str]) -> None:
    """Raise as `conflicts.require_present`; analyses that are not there are passed over."""
    query = """SELECT DISTINCT embedder FROM analyses
        WHERE project = ? AND analysis_id IN (SELECT value FROM json_each(?))"""
    found = db.execute(query, (project, json.dumps(list(analysis_ids))))
    conflicts.require_present(require_project(db, project), [embedder for (embedder,) in found])


def require_revision(db: sqlite3.Connection, project: str, revision: str) -> Revision:
    """Return a revision; raise `ModelNotFoundError` if there is none."""
    require_project(db, project)
    missing = ModelNotFoundError(f"project {project!r} has no revision {revision!r}")
    query = "SELECT * FROM revisions WHERE project = ? AND revision = ?"
    return select_one(db, Revision, query, (project, revision), missing)


def insert(db: sqlite3.Connection, rows: Iterable[Table], kind: type[Table], *, replace: bool) -> None:
    """Add rows; those whose key is there already replace it, without touching what refers to it, or change nothing."""
    names = [field.name for field in fields(kind)]
    action = "UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in names) if replace else "NOTHING"
    values = ", ".join("?" * len(names))
    db.executemany(
        f"INSERT INTO {_TABLES[kind]} ({', '.join(names)}) VALUES ({values}) ON CONFLICT DO {action}",  # noqa: S608
        ([encode(name, getattr(row, name)) for name in names] for row in rows),
    )

"""An SQLite store as a whole: what it is, its rows out of it and into it, and its copy while it is used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from facerec_models.errors import ConflictError
from serving.store.conflicts import SCHEMA
from serving.store.sqlite.database import SqliteDatabase, SqliteTransaction
from serving.store.transfer import Columns, StoreInfo


class SqliteTransfer:
    """The part of a `Store` that is about the store as a whole."""

    _database: SqliteDatabase

    def describe(self) -> StoreInfo:
        """Return which store it is, what is in it, and what it promises."""
        with self._database.reading() as tx:
            rows = {table: _count(tx, table) for table in _tables(tx)}
        promise = "durable against crashes on one machine and a local disk, not for several machines"
        return StoreInfo("SQLite", str(self._database.path), SCHEMA, promise, rows)

    def list_tables(self) -> list[str]:
        """Return the names of all tables."""
        with self._database.reading() as tx:
            return _tables(tx)

    @contextmanager
    def exporting(self) -> Iterator[SqliteRows]:
        """Begin to read everything, in one state."""
        with self._database.reading() as tx:
            yield SqliteRows(tx)

    @contextmanager
    def importing(self) -> Iterator[SqliteRows]:
        """Begin to fill the store, which must be empty; after an exception it is empty still."""
        with self._database.writing() as tx:
            found = [table for table in _tables(tx) if _count(tx, table)]
            if found:
                raise ConflictError(
                    f"the store {self._database.path} is not empty ({', '.join(found)}): name an empty or a new one"
                )
            tx.execute("PRAGMA defer_foreign_keys = ON")  # rows may come before those that they refer to
            yield SqliteRows(tx)

    def backup(self, path: Path) -> None:
        """Write a copy into a file, in one state, while others go on writing."""
        self._database.back_up(path)


class SqliteRows:
    """All rows of a file, as columns, within a transaction."""

    def __init__(self, tx: SqliteTransaction) -> None:
        self._db = tx

    def read(self, table: str) -> Iterator[Columns]:
        """Yield the rows of a table, in any order."""
        cursor = self._db.execute(f"SELECT * FROM {_quoted(table)}")  # noqa: S608
        names = [name for name, *_ in cursor.description]
        for record in cursor:
            yield dict(zip(names, record, strict=True))

    def add(self, table: str, rows: Iterable[Columns]) -> None:
        """Add rows to a table."""
        remaining = iter(rows)
        first = next(remaining, None)
        if first is None:
            return
        names = list(first)
        self._db.executemany(
            f"INSERT INTO {_quoted(table)} ({', '.join(map(_quoted, names))}) VALUES ({', '.join('?' * len(names))})",  # noqa: S608
            ([row[name] for name in names] for row in chain([first], remaining)),
        )


def _tables(tx: SqliteTransaction) -> list[str]:
    query = (
        r"SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name"
    )
    return [name for (name,) in tx.execute(query)]


def _count(tx: SqliteTransaction, table: str) -> int:
    return tx.count(_quoted(table), {})


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

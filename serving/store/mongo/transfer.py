"""A MongoDB store as a whole: what it is, and its rows out of it and into it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby, islice

from facerec_models.errors import ConflictError
from serving.store.codecs import decode_row, encode_row
from serving.store.conflicts import SCHEMA
from serving.store.mongo.appearance_blocks import AppearanceBlocks
from serving.store.mongo.columns import insert_columns, read_columns
from serving.store.mongo.database import MongoDatabase, MongoTransaction
from serving.store.mongo.schema import TABLES
from serving.store.mongo.tracks import read_part, write_part
from serving.store.naming_rows import AppearanceRow
from serving.store.transfer import Columns, StoreInfo

# What documents have beside the columns of the tables.
_OWN = ("_id", "writes", "part", "piece")
_BATCH = 500


class MongoTransfer:
    """The part of a `Store` that is about the store as a whole."""

    _database: MongoDatabase

    def describe(self) -> StoreInfo:
        """Return which store it is, what is in it, and what it promises."""
        with self._database.translated():
            tx = (
                self._database.unbound()
            )  # not in one state: counting an archive takes more than a transaction's minute
            rows = {table: tx.count(table, {}) for table in TABLES}
            rows["appearances"] = tx.total("appearances", {}, "count")
            rows["track_columns"] = tx.count("track_columns", {"piece": 0})
            # Not those that are being written, or deleted.
            rows["tracks"] = tx.total("track_columns", {"piece": 0}, "tracks")
        members = self._database.members
        promise = "written by most members and their disks before anything is answered; for several machines"
        if members == 1:
            promise = "one member, which is the only copy; for several machines, but add members"
        return StoreInfo("MongoDB", self._database.address, SCHEMA, promise, rows)

    def list_tables(self) -> list[str]:
        """Return the names of all tables."""
        return sorted(TABLES)

    @contextmanager
    def exporting(self) -> Iterator[MongoRows]:
        """Begin to read everything, in one state.

        That is one transaction. For more than can be read in a minute the server's `transactionLifetimeLimitSeconds` must be raised.
        """
        with self._database.reading() as tx:
            yield MongoRows(self._database, tx)

    @contextmanager
    def importing(self) -> Iterator[MongoRows]:
        """Begin to fill the store, which must be empty, or was left half filled; it cannot be opened until that is done."""
        with self._database.single("schema") as schema:
            if schema.find_one({"_id": "copy"}):
                self._wipe()
            found = [table for table in TABLES if self._has(table)]
            if found:
                raise ConflictError(
                    f"the store {self._database.address} is not empty ({', '.join(found)}): name an empty or a new one"
                )
            schema.insert_one({"_id": "copy", "since": time.time()})
        with self._database.translated():
            yield MongoRows(self._database, self._database.unbound())
        with self._database.single("schema") as schema:
            schema.delete_one({"_id": "copy"})

    def _has(self, table: str) -> bool:
        with self._database.single(table) as rows:
            return rows.find_one({}) is not None

    def _wipe(self) -> None:
        for table in (*TABLES, "track_parts"):
            with self._database.single(table) as rows:
                rows.delete_many({})
        with self._database.single("schema") as schema:
            schema.delete_one({"_id": "copy"})


class MongoRows:
    """All rows of a database, as the columns that SQLite has for them."""

    def __init__(self, database: MongoDatabase, tx: MongoTransaction) -> None:
        self._database = database
        self._tx = tx
        # Where the tracks of the analyses go that were added.
        self._added: dict[tuple[str, str], str] = {}

    def read(self, table: str) -> Iterator[Columns]:
        """Yield the rows of a table, in any order."""
        with self._database.translated():  # not as a failure of the store that takes them
            if table == "tracks":
                for part in _parts(self._tx).values():
                    yield from read_part(self._tx, part)
                return
            found = read_columns(self._tx, {}) if table == "track_columns" else self._tx.find(table, {})
            if table == "appearances":
                for block in found:
                    yield from map(encode_row, AppearanceBlocks([block]).all_rows())
                return
            for document in found:
                yield {name: value for name, value in document.items() if name not in _OWN}

    def add(self, table: str, rows: Iterable[Columns]) -> None:
        """Add rows to a table."""
        if table == "tracks":
            for (project, analysis_id), tracks in groupby(rows, lambda row: (row["project"], row["analysis_id"])):
                write_part(self._database, self._part(project, analysis_id), tracks)
            return
        if table == "track_columns":
            for row in rows:
                insert_columns(self._tx, row)
                self._database.raise_position(row["position"])
            return
        remaining = iter(rows)
        while batch := [self._document(table, row) for row in islice(remaining, _BATCH)]:
            with self._database.translated():
                if table == "appearances":
                    self._tx.exchange([], [decode_row(AppearanceRow, row) for row in batch])
                else:
                    self._tx.insert_documents(table, batch)
            positions = [row["position"] for row in batch if "position" in row]
            if positions:
                self._database.raise_position(max(positions))

    def _document(self, table: str, row: Columns) -> Columns:
        if table == "analyses":
            return {**row, "part": self._part(row["project"], row["analysis_id"])}
        return {**row, "writes": 0} if table in ("projects", "jobs") else row

    def _part(self, project: str, analysis_id: str) -> str:
        return self._added.setdefault((project, analysis_id), uuid.uuid4().hex)


def _parts(tx: MongoTransaction) -> dict[tuple[str, str], str]:
    found = tx.find("analyses", {}, columns=["project", "analysis_id", "part"])
    return {(row["project"], row["analysis_id"]): row["part"] for row in found}

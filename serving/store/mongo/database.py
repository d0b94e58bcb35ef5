"""A MongoDB database with our collections: connection, transactions, and documents as rows.

A document has the columns of the SQLite table of the same name, and a key of MongoDB's own. What a transaction writes is
there whole or not at all. Transactions that write to one project follow each other: each begins by changing the project's
document, so that none acts on a state that another one changes (MongoDB's snapshots alone would allow it).
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from pymongo import DeleteOne, MongoClient, ReadPreference, ReplaceOne, ReturnDocument, WriteConcern
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, ConnectionFailure, DocumentTooLarge, DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from facerec_models.errors import StoreError
from serving.store.codecs import Row, Table, decode_row, encode, encode_row, table_of
from serving.store.lookups import no_project
from serving.store.mongo.appearance_blocks import AppearanceBlocks, BlockKey, block_of, pack_block
from serving.store.mongo.order import comes_after, in_order
from serving.store.mongo.schema import FOUND_BY_ID, KEYS, key_as_id, require_collections, upgrade_collections
from serving.store.naming_rows import AppearanceRow, StrangerTrack
from serving.store.transaction import Among, Filter

MongoDocument = dict[str, Any]

_DEFAULT_NAME = "facerec"
_SERVER_WAIT_MS = 10_000
_LONGEST_PAUSE_S = 0.05
_BATCH = 1000
# Codes of the server.
_ENDED = {251, 290}  # NoSuchTransaction, TransactionExceededLifetimeLimitSeconds
_TOO_LARGE = {10334, 17419, 17420}
# Servers compare each document with each value of a list.
_VALUES = 200


class MongoTransaction:
    """What is read, or written, at once.

    Parameters
    ----------
    session : ClientSession or None
        With a transaction; None for single reads and writes.
    """

    def __init__(self, database: MongoDatabase, session: ClientSession | None) -> None:
        self._database = database
        self._session = session

    def find(
        self,
        table: str,
        where: Filter,
        sort: Sequence[str] = (),
        *,
        among: Among | None = None,
        columns: Sequence[str] = (),
        limit: int | None = None,
        batch: int = 0,
    ) -> Iterator[MongoDocument]:
        """Yield documents, ascending by the columns of `sort`; a minus before a column turns it round.

        Those `among` the given values of a column come in the order of the values' lists, a part after the other. The server sends
        `batch` documents at a time; of 0, as many as it likes.
        """
        order = [(name.lstrip("-"), -1 if name.startswith("-") else 1) for name in sort] or None
        # Without the key of MongoDB's own an index may have all that is asked for.
        names = {"_id": 0, **dict.fromkeys(columns, 1)} if columns else None
        collection, left = self._database.collection(table), limit
        for part in _parts(where, among):
            if left == 0:  # to the server that is no limit
                return
            options: dict[str, Any] = {"sort": order, "limit": left or 0, "batch_size": batch}
            for document in collection.find(part, names, session=self._session, **options):
                left = None if left is None else left - 1
                yield document

    def aggregate(self, table: str, stages: Sequence[Mapping[str, Any]]) -> Iterator[MongoDocument]:
        """Yield what a pipeline makes of a collection."""
        return iter(self._database.collection(table).aggregate(stages, session=self._session))

    def count(self, table: str, where: Filter, among: Among | None = None) -> int:
        """Return how many documents there are."""
        collection = self._database.collection(table)
        return sum(collection.count_documents(part, session=self._session) for part in _parts(where, among))

    def total(self, table: str, where: Filter, column: str) -> int:
        """Return the sum of a column."""
        found = self.aggregate(table, [{"$match": where}, {"$group": {"_id": None, "sum": {"$sum": f"${column}"}}}])
        return sum(int(row["sum"]) for row in found)

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
        if after is not None:
            where = {**where, **comes_after(sort, after)}
        found = self.find(table_of(kind), where, () if limit is None else sort, among=among, limit=limit)
        rows: Iterable[Any] = (decode_row(kind, document) for document in found)
        if kind is AppearanceRow:
            rows = AppearanceBlocks(found).all_rows()
        # What is all read is sorted here: a server without an index for it may refuse, or write to its disk.
        return in_order(rows, sort) if sort and limit is None else list(rows)

    def insert(self, rows: Iterable[Table], kind: type[Table]) -> None:
        """Add rows whose keys are not there."""
        self.insert_documents(table_of(kind), [encode_row(row) for row in rows])

    def take(self, tracks: Sequence[StrangerTrack]) -> list[StrangerTrack]:
        """Delete the rows that have the keys of these, and return them as they were; those that are not there are passed over."""
        among = ("_id", [key_as_id(track.project, track.analysis_id, track.track_id) for track in tracks])
        found = self.select(StrangerTrack, {}, among=among)
        self.delete("stranger_tracks", {}, among)
        return found

    def exchange(self, lost: Sequence[AppearanceRow], new: Sequence[AppearanceRow]) -> None:
        """Delete the appearances that have the keys of some, then add others, whose keys are not there."""
        blocks: dict[BlockKey, tuple[list[AppearanceRow], list[AppearanceRow]]] = {}
        for place, rows in enumerate((lost, new)):
            for row in rows:
                blocks.setdefault(block_of(row), ([], []))[place].append(row)
        keys = list(blocks)
        for start in range(0, len(keys), _BATCH):
            self._exchange_blocks({key: blocks[key] for key in keys[start : start + _BATCH]})

    def _exchange_blocks(self, blocks: Mapping[BlockKey, tuple[list[AppearanceRow], list[AppearanceRow]]]) -> None:
        rows_of: dict[BlockKey, dict[int, AppearanceRow]] = {key: {} for key in blocks}
        found = self.find("appearances", {}, among=("_id", [key_as_id(*key) for key in blocks]))
        for row in AppearanceBlocks(found).all_rows():
            rows_of[block_of(row)][row.first_track] = row
        writes: list[DeleteOne | ReplaceOne[MongoDocument]] = []
        for key, (lost, new) in blocks.items():
            rows, own = rows_of[key], {"_id": key_as_id(*key)}
            for row in lost:
                rows.pop(row.first_track, None)
            for row in new:
                if rows.setdefault(row.first_track, row) is not row:
                    raise ValueError(f"analysis {row.analysis_id} has two appearances from track {row.first_track} on")
            writes.append(
                ReplaceOne(own, own | pack_block(list(rows.values())), upsert=True) if rows else DeleteOne(own)
            )
        self._database.collection("appearances").bulk_write(writes, session=self._session)

    def append(self, table: str, columns: Mapping[str, Any]) -> None:
        """Add a row with a column ``position`` that is higher than any before."""
        self.insert_one(table, {"position": self.next_position(), **columns})

    def insert_documents(self, table: str, documents: Sequence[MongoDocument]) -> None:
        """Add documents whose keys are not there."""
        if table in FOUND_BY_ID:
            documents = [{"_id": key_as_id(*(one[name] for name in KEYS[table])), **one} for one in documents]
        for start in range(0, len(documents), _BATCH):
            self._database.collection(table).insert_many(documents[start : start + _BATCH], session=self._session)

    def insert_one(self, table: str, document: MongoDocument) -> None:
        """Add a document; a key that is there already raises `DuplicateKeyError`."""
        self._database.collection(table).insert_one(document, session=self._session)

    def put(self, rows: Iterable[Table], kind: type[Table]) -> None:
        """Add rows in place of those with the same key."""
        table = table_of(kind)
        *prefix, last = KEYS[table]
        documents = [encode_row(row) for row in rows]
        same: dict[tuple[Any, ...], list[Any]] = {}
        for document in documents:
            same.setdefault(tuple(document[name] for name in prefix), []).append(document[last])
        for values, ids in same.items():
            self.delete(table, dict(zip(prefix, values, strict=True)), (last, ids))
        self.insert_documents(table, documents)

    def put_new(self, row: Table) -> None:
        """Add a row; where there is one with its key nothing changes."""
        table, document = table_of(type(row)), encode_row(row)
        self._database.collection(table).update_one(
            {name: document[name] for name in KEYS[table]},
            {"$setOnInsert": document},
            upsert=True,
            session=self._session,
        )

    def update(self, table: str, where: Filter, values: Filter, among: Among | None = None) -> int:
        """Set columns of documents, of those `among` the given values of a column; return how many there were."""
        collection = self._database.collection(table)
        change = {"$set": {name: encode(name, value) for name, value in values.items()}}
        return sum(
            collection.update_many(part, change, session=self._session).matched_count for part in _parts(where, among)
        )

    def delete(self, table: str, where: Filter, among: Among | None = None) -> int:
        """Delete documents, of those `among` the given values of a column; return how many there were."""
        collection = self._database.collection(table)
        return sum(collection.delete_many(part, session=self._session).deleted_count for part in _parts(where, among))

    def next_position(self) -> int:
        """Return a number that is higher than any that was given before."""
        # Not part of the transaction, which would conflict with those of other projects: a number may be left out.
        found = self._database.collection("schema").find_one_and_update(
            {"_id": "positions"}, {"$inc": {"last": 1}}, return_document=ReturnDocument.AFTER
        )
        if found is None:
            raise StoreError(
                f"the store {self._database.address} has lost its document 'positions'; bring a backup back"
            )
        return int(found["last"])


class MongoDatabase:
    """A database of a MongoDB replica set or sharded cluster, with the present schema.

    Parameters
    ----------
    uri : str
        As MongoDB defines it; the database is ``facerec`` where it names none.
    busy_timeout_s : float
        How long to wait for another writer before raising `StoreError`.
    """

    def __init__(self, uri: str, busy_timeout_s: float, *, copying: bool = False, upgrading: bool = False) -> None:
        self.address = _without_secrets(uri)
        self._busy_timeout_s = busy_timeout_s
        options = _unless_given(uri, serverSelectionTimeoutMS=_SERVER_WAIT_MS)
        try:
            self._client: MongoClient[MongoDocument] = MongoClient(uri, appname="facerec", connect=False, **options)
        except (PyMongoError, ValueError, OSError):
            # Nothing of the address nor of the error: a password with a slash in it is taken for a host, and named.
            raise StoreError(
                "the address of the MongoDB database cannot be read: write mongodb://USER:PASSWORD@HOST:27017/NAME, with characters "
                "such as / : @ ? # of user and password written as in %2F, and existing files for certificates"
            ) from None
        try:
            with self.translated():
                self._database = self._client.get_default_database(
                    _DEFAULT_NAME,
                    write_concern=WriteConcern("majority", j=True),
                    read_concern=ReadConcern("majority"),
                    read_preference=ReadPreference.PRIMARY,
                )
                self.address = f"{self.address.rstrip('/')}/{self._database.name}"
                self._require_transactions()
                self.former_schema = upgrade_collections(self._database) if upgrading else None
                require_collections(self._database, self.address)
                if not copying:
                    self._require_whole()
        except BaseException:
            self._client.close()
            raise

    def close(self) -> None:
        """Release connections."""
        self._client.close()

    def raise_position(self, least: int) -> None:
        """Give no position any more that is not higher than this one."""
        with self.single("schema") as schema:
            schema.update_one({"_id": "positions"}, {"$max": {"last": least}})

    def collection(self, table: str) -> Collection[MongoDocument]:
        """Return a collection, to be used within `reading`, `writing` or `single`."""
        return self._database[table]

    @contextmanager
    def single(self, table: str) -> Iterator[Collection[MongoDocument]]:
        """Use a collection without a transaction: each write of one document is whole and durable when it returns."""
        with self.translated():
            yield self._database[table]

    def unbound(self) -> MongoTransaction:
        """Return what reads and writes without a transaction, for a database that nobody else uses; within `translated`."""
        return MongoTransaction(self, None)

    @contextmanager
    def reading(self) -> Iterator[MongoTransaction]:
        """Begin a transaction that sees one state and writes nothing; the server ends it after a minute by default."""
        with self.translated(), self._client.start_session() as session:
            session.start_transaction(ReadConcern("snapshot"), read_preference=ReadPreference.PRIMARY)
            try:
                yield MongoTransaction(self, session)
            finally:
                # There is nothing to commit, which may fail.
                if session.in_transaction:
                    session.abort_transaction()

    @contextmanager
    def writing(self, project: str | None = None) -> Iterator[MongoTransaction]:
        """Begin the only transaction that writes to a project, or to what is of none; an exception undoes it, else it is durable.

        Raises
        ------
        ProjectNotFoundError
            If there is none of this name.
        """
        with self.translated(), self._client.start_session() as session:
            self._lock(session, project)
            try:
                yield MongoTransaction(self, session)
            except BaseException:
                if session.in_transaction:
                    session.abort_transaction()
                raise
            self._commit(session)

    def change(self, project: str, what: Callable[[MongoTransaction], None]) -> None:
        """Do something in a transaction that writes to a project, again where a writer outside of transactions was in the way."""
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                with self.writing(project) as tx:
                    what(tx)
            except StoreError as error:
                cause = error.__cause__
                is_passing = isinstance(cause, PyMongoError) and cause.has_error_label("TransientTransactionError")
                if not is_passing or time.monotonic() > deadline:
                    raise
                time.sleep(random.uniform(0, _LONGEST_PAUSE_S))  # noqa: S311
            else:
                return

    def _lock(self, session: ClientSession, project: str | None) -> None:
        """Start a transaction that has changed the project's document, or one for what is of no project, and so is alone."""
        table, where = ("schema", {"_id": "service"}) if project is None else ("projects", {"name": project})
        deadline, pause = time.monotonic() + self._busy_timeout_s, 0.001
        while True:
            session.start_transaction(
                ReadConcern("snapshot"), WriteConcern("majority", j=True), read_preference=ReadPreference.PRIMARY
            )
            try:
                found = self._database[table].find_one_and_update(where, {"$inc": {"writes": 1}}, session=session)
            except PyMongoError as error:
                if session.in_transaction:
                    session.abort_transaction()
                if not error.has_error_label("TransientTransactionError") or time.monotonic() > deadline:
                    raise
                time.sleep(random.uniform(0, pause))  # noqa: S311
                pause = min(2 * pause, _LONGEST_PAUSE_S)
                continue
            if found is None:
                session.abort_transaction()
                raise no_project(project or "")
            return

    def _commit(self, session: ClientSession) -> None:
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                session.commit_transaction()
            except PyMongoError as error:
                # Committing again is safe: the server knows whether it has done it.
                if not error.has_error_label("UnknownTransactionCommitResult") or time.monotonic() > deadline:
                    raise
            else:
                return

    def _require_transactions(self) -> None:
        hello = self._client.admin.command("hello")
        self.members = len(hello.get("hosts", ())) if "setName" in hello else None
        if "setName" not in hello and hello.get("msg") != "isdbgrid":
            raise StoreError(
                f"the MongoDB at {self.address} has no transactions, without which half an analysis could be written: "
                "run it as a replica set, of one member if need be (mongod --replSet rs0, then rs.initiate())"
            )

    def _require_whole(self) -> None:
        if self._database["schema"].find_one({"_id": "copy"}):
            raise StoreError(f"the store {self.address} was copied only in part; run 'facerec store copy' to it again")

    def translated(self) -> AbstractContextManager[None]:
        """Raise `StoreError` for what the server or the network did in the block."""
        return _translating(self.address)


@contextmanager
def _translating(address: str) -> Iterator[None]:
    """Raise `StoreError` for what the server or the network did, and let mistakes of the program pass."""
    try:
        yield
    except DuplicateKeyError:
        raise
    except DocumentTooLarge as error:
        raise StoreError(f"the store {address} takes no documents that large: {error}") from error
    except PyMongoError as error:
        raise StoreError(f"the store {address} {_trouble(error)}") from error


def _trouble(error: PyMongoError) -> str:
    """Say what went wrong, and what to do."""
    codes = {getattr(error, "code", None)}
    if isinstance(error, BulkWriteError):
        codes |= {failed.get("code") for failed in (error.details or {}).get("writeErrors", ())}
    if codes & _ENDED:
        return f"ended a transaction: {error}; what takes longer than a minute needs a higher transactionLifetimeLimitSeconds"
    if codes & _TOO_LARGE:
        return f"takes no documents that large: {error}"
    if error.has_error_label("TransientTransactionError") and not isinstance(error, ConnectionFailure):
        return f"was written to by others meanwhile: {error}; try again"
    reason = _silence(error) if isinstance(error, ConnectionFailure) else str(error)
    return f"does not answer: {reason}; try again, and see that it is a MongoDB that runs and may be written to"


def _silence(error: ConnectionFailure) -> str:
    """Return why no server answered, without addresses: the driver tells those of all members, which no setting names."""
    first = re.split(r" \(configured timeouts|, Timeout: |, full error|, Topology Description", str(error))[0]
    return re.sub(r"\S+:\d+: ", "", first)


def _parts(given: Filter, among: Among | None) -> Iterator[Filter]:
    # Rows have texts where programs have enumerations; a condition of MongoDB's own stays what it is.
    where = {name: value if isinstance(value, dict) else encode(name, value) for name, value in given.items()}
    if among is None:
        yield where
        return
    column, values = among
    for start in range(0, len(values), _VALUES):
        yield {**where, column: {"$in": list(values[start : start + _VALUES])}}


def _without_secrets(uri: str) -> str:
    """Return scheme and hosts of an address."""
    scheme = uri.partition("://")[0]
    # A password may have a slash where it must not: nothing before the last @ is told.
    hosts = re.split(r"[/?#]", uri.rpartition("@")[2].rpartition("://")[2], maxsplit=1)[0]
    return f"{scheme}://{hosts}"


def _unless_given(uri: str, **options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name.lower() not in uri.lower()}

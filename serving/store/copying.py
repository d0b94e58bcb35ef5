"""One store into another, whole and compared; and a store into a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facerec_models.errors import ConflictError, StoreError
from serving.store.contract import Store
from serving.store.sqlite.store import SqliteStore
from serving.store.transfer import Columns

_MODULUS = 2**256


@dataclass(slots=True)
class Tally:
    """How many rows there were, and a sum of their hashes, which does not depend on their order."""

    rows: int = 0
    digest: int = 0

    def counting(self, rows: Iterable[Columns]) -> Iterator[Columns]:
        """Pass rows on, and count them."""
        for row in rows:
            self.rows += 1
            self.digest = (self.digest + _hash(row)) % _MODULUS
            yield row


def copy_store(source: Store, target: Store) -> dict[str, int]:
    """Copy all rows of a store into an empty one, read them there again, and return how many there are in each table.

    An interrupted copy leaves a target that is empty, or that nothing but another copy opens: it can be repeated.

    Raises
    ------
    ConflictError
        If the target is not empty.
    StoreError
        If the stores do not have the same tables, or what arrived is not what was sent.
    """
    tables = source.list_tables()
    if tables != target.list_tables():
        raise StoreError("the stores have different tables: they were made by different versions; install one version")
    sent = {table: Tally() for table in tables}
    with target.importing() as incoming:
        with source.exporting() as outgoing:
            for table in tables:
                incoming.add(table, sent[table].counting(outgoing.read(table)))
        for table in tables:
            arrived = Tally()
            for _ in arrived.counting(incoming.read(table)):
                pass
            if arrived != sent[table]:
                raise StoreError(
                    f"{arrived.rows} rows of {table} arrived of {sent[table].rows}, or not as they were sent: copy again"
                )
    return {table: tally.rows for table, tally in sent.items()}


def back_up(store: Store, path: Path) -> None:
    """Write everything in a store into a new SQLite file, in one state, while the store is used.

    Raises
    ------
    ConflictError
        If the file is there already.
    StoreError
        If it cannot be written.
    """
    if path.exists():
        raise ConflictError(f"{path} is there already: name a new file")
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        if isinstance(store, SqliteStore):
            store.backup(partial)
        else:
            with closing(SqliteStore(partial)) as target:
                copy_store(store, target)
                target.scrub()  # no log beside the file
        partial.replace(path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}; name another file") from error
    finally:
        for left in path.parent.glob(f"{partial.name}*"):
            left.unlink(missing_ok=True)


def _hash(row: Columns) -> int:
    digest = hashlib.sha256()
    for name in sorted(row):
        value = _canonical(row[name])
        digest.update(f"{name}\0{type(value).__name__}\0".encode())
        digest.update(value if isinstance(value, bytes) else repr(value).encode())
        digest.update(b"\0")
    return int.from_bytes(digest.digest())


def _canonical(value: Any) -> Any:
    """Return one value for those that stores keep differently: SQLite has no booleans, and a column one type of number."""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return value

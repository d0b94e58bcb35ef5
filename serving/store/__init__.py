"""What must survive a crash: the `Store` contract and the stores that keep it."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from facerec_models.errors import StoreError
from serving.store.base import Store
from serving.store.sqlite import SqliteStore

__all__ = ["Store", "open_store"]

FILE_NAME = "facerec.sqlite3"
_MONGODB = ("mongodb://", "mongodb+srv://")


def open_store(home: Path, address: SecretStr | None = None) -> Store:
    """Open a store, creating it where it does not exist.

    Parameters
    ----------
    home : Path
        Where the SQLite store is. What is created is readable by its owner alone: it holds faces.
    address : SecretStr or None
        `Settings.store`: a MongoDB database, which is used instead.

    Raises
    ------
    StoreError
        If the folder cannot be used, the database does not answer, or a newer program wrote the store.
    """
    if address is not None:
        return open_mongodb(address.get_secret_value())
    return open_sqlite(home / FILE_NAME)


def open_mongodb(uri: str) -> Store:
    """Open the store in a MongoDB database."""
    if not uri.startswith(_MONGODB):
        scheme = uri.partition(":")[0]
        raise StoreError(f"FACEREC_STORE begins with {scheme!r}: only mongodb://HOST:27017/NAME is possible")
    # Here and not above: who uses SQLite needs not wait for a driver.
    from serving.store.mongo import MongoStore

    return MongoStore(uri)


def open_sqlite(path: Path) -> Store:
    """Open the store in an SQLite file."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise StoreError(f"cannot create the store {path}: {error.strerror}; choose another home") from error
    return SqliteStore(path)

"""Open the store that an address names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from facerec_models.errors import StoreError
from serving.store.contract import Store
from serving.store.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from serving.store.mongo.store import MongoStore

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
    if address is None:
        return _open_sqlite(home / FILE_NAME)
    uri = address.get_secret_value()
    if not uri.startswith(_MONGODB):
        raise StoreError("FACEREC_STORE must begin with mongodb://; without it SQLite is used, in the home")
    return _open_mongodb(uri)


def upgrade_store(home: Path, address: SecretStr | None = None) -> tuple[Store, int]:
    """Open a store, and bring it to the present version first; return it with the version that it had.

    Raises
    ------
    StoreError
        As `open_store` does, and where the store is of a version that cannot be upgraded.
    """
    store: SqliteStore | MongoStore
    if address is None:
        if not (home / FILE_NAME).is_file():
            raise StoreError(f"there is no store {home / FILE_NAME}: name the home with --home")
        store = SqliteStore(home / FILE_NAME, upgrading=True)
    else:
        from serving.store.mongo.store import MongoStore

        store = MongoStore(address.get_secret_value(), upgrading=True)
    return store, store.former_schema


def open_address(address: str, *, create: bool) -> Store:
    """Open a store to copy from, or to copy into: a MongoDB database, or an SQLite file.

    Parameters
    ----------
    create : bool
        Whether a file that is not there is made, and an interrupted copy may be there.

    Raises
    ------
    StoreError
        If there is no store, or it cannot be used.
    """
    if address.startswith(_MONGODB):
        return _open_mongodb(address, copying=create)
    if "://" in address:
        raise StoreError(f"{address.partition('://')[0]}:// is no store: name mongodb://HOST:27017/NAME, or a file")
    if not create and not Path(address).is_file():
        raise StoreError(f"there is no store {address}; name an SQLite file, or mongodb://HOST:27017/NAME")
    return _open_sqlite(Path(address))


def _open_mongodb(uri: str, *, copying: bool = False) -> Store:
    # Here and not above: who uses SQLite need not wait for a driver.
    from serving.store.mongo.store import MongoStore

    return MongoStore(uri, copying=copying)


def _open_sqlite(path: Path) -> Store:
    try:
        if not path.is_file():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
    except OSError as error:
        raise StoreError(f"cannot create the store {path}: {error.strerror}; choose another home") from error
    return SqliteStore(path)

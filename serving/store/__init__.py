"""What must survive a crash: the `Store` contract and the stores that keep it."""

from __future__ import annotations

from pathlib import Path

from facerec_models.errors import StoreError
from serving.store.base import Store
from serving.store.sqlite import SqliteStore

__all__ = ["Store", "open_store"]


def open_store(home: Path) -> Store:
    """Open the store of a home, creating both where they do not exist.

    What is created is readable by its owner alone: it holds faces.

    Raises
    ------
    StoreError
        If the folder cannot be used, or a newer program wrote the store.
    """
    path = home / "facerec.sqlite3"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise StoreError(f"cannot create the store {path}: {error.strerror}; choose another home") from error
    return SqliteStore(path)

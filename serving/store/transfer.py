"""What a store is, and how all its rows leave it and come into another one, whatever they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

# A row as the columns of the table of its name: numbers, texts, bytes and None.
Columns = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """Which store it is, and what may be expected of it.

    Parameters
    ----------
    kind : str
        ``SQLite`` or ``MongoDB``.
    address : str
        The file, or hosts and database without the password.
    schema : int
        The version of its tables or collections.
    promise : str
        What survives what, for people.
    rows : dict of str to int
        How many rows each table has.
    """

    kind: str
    address: str
    schema: int
    promise: str
    rows: dict[str, int]


class Export(Protocol):
    """Reads a store in one state."""

    def read(self, table: str) -> Iterator[Columns]:
        """Yield the rows of a table, in any order."""


class Import(Export, Protocol):
    """Fills an empty store."""

    def add(self, table: str, rows: Iterable[Columns]) -> None:
        """Add rows to a table."""

"""What a database offers to the code that all stores share: transactions that read and write rows, with or without SQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from serving.store.codecs import Row, Table
from serving.store.naming_rows import AppearanceRow, StrangerTrack

# The values that columns must have; None stands for no value.
Filter = Mapping[str, Any]
# A column, and the values of which it must have one.
Among = tuple[str, Sequence[Any]]


class Transaction(Protocol):
    """What is read, or written, at once. A row's columns are those of `encode_row`; a store may keep more."""

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
        """Return rows of a type, ascending by the columns of `sort`; with `after`, those that come after these values of theirs.

        A minus before each column turns the order round.
        """

    def count(self, table: str, where: Filter, among: Among | None = None) -> int:
        """Return how many rows there are."""

    def put(self, rows: Iterable[Table], kind: type[Table]) -> None:
        """Add rows in place of those with the same key."""

    def put_new(self, row: Table) -> None:
        """Add a row; where there is one with its key nothing changes."""

    def insert(self, rows: Iterable[Table], kind: type[Table]) -> None:
        """Add rows whose keys are not there."""

    def take(self, tracks: Sequence[StrangerTrack]) -> list[StrangerTrack]:
        """Delete the rows that have the keys of these, and return them as they were; those that are not there are passed over."""

    def exchange(self, lost: Sequence[AppearanceRow], new: Sequence[AppearanceRow]) -> None:
        """Delete the appearances that have the keys of some, then add others, whose keys are not there."""

    def append(self, table: str, columns: Mapping[str, Any]) -> None:
        """Add a row with a column ``position`` that is higher than any before."""

    def update(self, table: str, where: Filter, values: Filter, among: Among | None = None) -> int:
        """Set columns of rows; return how many there were."""

    def delete(self, table: str, where: Filter, among: Among | None = None) -> int:
        """Delete rows; return how many there were."""


class Database(Protocol):
    """Begins transactions."""

    # Of a store that was opened to be upgraded.
    former_schema: int | None

    def reading(self) -> AbstractContextManager[Transaction]:
        """Begin a transaction that sees one state and writes nothing."""

    def writing(self, project: str | None = None) -> AbstractContextManager[Transaction]:
        """Begin the only transaction that writes to a project, or to what is of none; an exception undoes it, else it is durable.

        Raises
        ------
        ProjectNotFoundError
            If there is none of this name.
        """

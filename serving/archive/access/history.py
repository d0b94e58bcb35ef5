"""What was changed that names depend on, edit by edit: when, for what, by whom, and which one can be undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from serving.store.contract import Store
from serving.store.naming_rows import AppliedEdit

_OWN = frozenset({"can_undo", "is_sealed", "actor"})


class EditView(BaseModel):
    """Something was changed that names depend on: when, for what, and by which model the archive is named since."""

    model_config = ConfigDict(extra="forbid")

    number: int
    cause: str
    note: str
    version: int
    model_version: str | None
    max_false_names: float | None
    former_model: str | None = Field(description="What named before it.")
    former_max_false_names: float | None
    created_at: float
    undone_at: float | None
    can_undo: bool = Field(description="Whether it can be undone now: it is the last one that stands.")
    is_sealed: bool = Field(description="Whether nothing undoes it, because a person was forgotten since.")
    actor: str | None = Field(description="Who has applied it; null where that is not told to who asks.")

    @classmethod
    def of_all(
        cls, rows: Sequence[AppliedEdit], last: int | None, editors: Mapping[int, str] | None = None
    ) -> list[EditView]:
        """Show edits.

        Parameters
        ----------
        last : int or None
            The number of the last one that stands.
        editors : mapping of int to str, optional
            Who has applied them.
        """
        return [
            cls(
                **{name: getattr(row, name) for name in cls.model_fields if name not in _OWN},
                can_undo=row.can_undo and row.number == last,
                is_sealed=not row.can_undo,
                actor=(editors or {}).get(row.number),
            )
            for row in rows
        ]


def read_history(
    store: Store,
    project: str,
    *,
    after: int = 0,
    limit: int | None = None,
    newest_first: bool = False,
    with_editors: bool = False,
) -> list[EditView]:
    """Return edits as `Store.list_edits` does; with `with_editors` also who has applied them."""
    rows = store.list_edits(project, after=after, limit=limit, newest_first=newest_first)
    editors = store.find_editors(project, [row.number for row in rows]) if with_editors else None
    last = store.last_edit(project)
    return EditView.of_all(rows, None if last is None else last.number, editors)

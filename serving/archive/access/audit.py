"""Read the audit log. What an edit was about is in the edit's own row, so far as nobody in it was forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from facerec_models.errors import ProjectNotFoundError
from serving.store.access_rows import AuditEntry
from serving.store.contract import Store
from serving.store.naming_rows import AppliedEdit
from serving.store.shared_access import find_broken

_PART = 1000
_OF_EDITS = ("edit", "undo")
# A row and its entry are no further apart.
_OF_ONE_WRITE_S = 60.0


class AuditView(BaseModel):
    """An entry of the audit log; `edit` is what the edit's row says now, where it is one."""

    project: str
    number: int
    at: float
    actor: str
    request_id: str | None
    action: str
    subject: str | None
    details: dict[str, Any]
    edit: dict[str, Any] | None
    chain: str


def read_audit(
    store: Store, project: str, *, after: int = 0, limit: int | None = None, newest_first: bool = False
) -> list[AuditView]:
    """Return entries of a project as `Store.list_audit` does; an empty name means those of no project."""
    entries = store.list_audit(project, after=after, limit=limit, newest_first=newest_first)
    edits = _edits(store, project) if any(entry.action in _OF_EDITS for entry in entries) else {}
    return [_view(entry, edits) for entry in entries]


def all_entries(store: Store, project: str) -> Iterator[AuditEntry]:
    """Yield all entries of a project, oldest first."""
    after = 0
    while part := store.list_audit(project, after=after, limit=_PART):
        yield from part
        after = part[-1].number


def check_audit(store: Store, project: str) -> AuditEntry | None:
    """Return the first entry that is not as it was written, or follows one that is missing; None if all are whole."""
    return find_broken(all_entries(store, project))


def _edits(store: Store, project: str) -> dict[str, AppliedEdit]:
    try:
        return {str(edit.number): edit for edit in store.list_edits(project)}
    except ProjectNotFoundError:  # it was deleted, its log is there
        return {}


def _view(entry: AuditEntry, edits: dict[str, AppliedEdit]) -> AuditView:
    edit = edits.get(entry.subject or "") if entry.action in _OF_EDITS else None
    told = None
    written_at = None if edit is None else edit.created_at if entry.action == "edit" else edit.undone_at
    # An edit of an earlier project of the name has the same number.
    if edit is not None and written_at is not None and abs(written_at - entry.at) < _OF_ONE_WRITE_S:
        told = {"cause": edit.cause, "note": edit.note, "renamed": edit.renamed, "undone_at": edit.undone_at}
    return AuditView(
        **{name: getattr(entry, name) for name in AuditView.model_fields if name != "edit"},
        edit=told,
    )

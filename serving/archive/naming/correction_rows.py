"""Corrections: their ids, and which hold once new ones are stored."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from facerec_models.names import short_id
from serving.store.naming_rows import Correction, CorrectionKind


def correction_id(project: str, kind: CorrectionKind, person_id: str, analysis_id: str, track_id: int) -> str:
    """Return the id of a correction: the same correction twice is one."""
    return short_id("c", project, kind, person_id, analysis_id, str(track_id))


def with_corrections(
    known: Sequence[Correction], new: Sequence[Correction], withdrawn: Collection[str] = frozenset()
) -> list[Correction]:
    """Return what `Store.list_corrections` answers once those that are withdrawn are deleted from `known`, and `new` is put to it."""
    rows = [row for row in known if row.correction_id not in withdrawn]
    for one in new:
        rows = [row for row in rows if row.correction_id != one.correction_id and not _takes_back(one, row)]
        rows.append(one)
    return sorted(rows, key=lambda row: (row.created_at, row.correction_id))


def _takes_back(new: Correction, old: Correction) -> bool:
    """Whether a correction replaces another: a track is one person, and cannot be a person and not be that person."""
    if (new.analysis_id, new.track_id) != (old.analysis_id, old.track_id):
        return False
    both_is = new.kind is old.kind is CorrectionKind.IS
    return both_is or (new.person_id == old.person_id and new.kind is not old.kind)

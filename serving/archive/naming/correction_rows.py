"""Corrections: their ids, and which hold once new ones are stored."""

from __future__ import annotations

from collections import defaultdict
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
    of_track: dict[tuple[str, int], list[Correction]] = defaultdict(list)
    for row in known:
        if row.correction_id not in withdrawn:
            of_track[row.analysis_id, row.track_id].append(row)
    for one in new:
        key = one.analysis_id, one.track_id
        kept = [row for row in of_track[key] if row.correction_id != one.correction_id and not takes_back(one, row)]
        of_track[key] = [*kept, one]
    rows = [row for of_one in of_track.values() for row in of_one]
    return sorted(rows, key=lambda row: (row.created_at, row.correction_id))


def takes_back(new: Correction, old: Correction) -> bool:
    """Whether a correction replaces another of its track: that is one person, and cannot be a person and not be that person."""
    both_is = new.kind is old.kind is CorrectionKind.IS
    return both_is or (new.person_id == old.person_id and new.kind is not old.kind)

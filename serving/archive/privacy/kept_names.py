"""Tracks without vectors keep the names that they had: nothing is left by which anybody could be named instead.

Vectors go when a project's time for them is over, see `serving.archive.privacy.retention`. Whatever is named again later, such a track
stays the person whom it showed, as long as the model that names knows that person: who is forgotten is known to no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from facerec_models.identification.decide import KeptName
from facerec_models.identification.naming_model import NamingModel
from facerec_models.identification.track_columns import TrackColumns
from facerec_models.types import Decision, IndexArray, UndecidableReason
from serving.store.naming_rows import Correction, CorrectionKind, NamedTracks

_DECISIONS = tuple(Decision)
_NAMED, _UNKNOWN, _UNDECIDABLE = (
    _DECISIONS.index(one) for one in (Decision.NAMED, Decision.UNKNOWN, Decision.UNDECIDABLE)
)
_NO_VECTORS = tuple(UndecidableReason).index(UndecidableReason.NO_VECTORS)


def kept_names(
    columns: TrackColumns,
    was: NamedTracks | None,
    model: NamingModel | None,
    corrections: Iterable[Correction],
    renamed: tuple[str, str] | None = None,
    before_merge: Mapping[str, NamedTracks] | None = None,
) -> dict[int, KeptName]:
    """Return the tracks of an analysis that stay whom they were named, by row.

    Parameters
    ----------
    was : NamedTracks or None
        Who all tracks of the analysis were.
    corrections : iterable of Correction
        All that hold, those of other analyses too.
    renamed : (str, str) or None
        The former name and the name of a person who is renamed with this.
    before_merge : mapping of str to NamedTracks, optional
        Who tracks were, by analysis, before a merge of the two: who was the other one has that name again. By default all have.
    """
    if was is None or model is None or len(was) != len(columns):
        return {}
    rows = np.flatnonzero((was.decisions == _NAMED) & ~columns.is_embedded).tolist()
    if not rows:
        return {}
    known = {*model.classifier.classes_.tolist(), *model.corrections.confirmed.values()}
    denied = {
        (row.track_id, row.person_id)
        for row in corrections
        if row.analysis_id == was.analysis_id and row.kind is not CorrectionKind.IS
    }
    returning = set(rows)
    if renamed is not None and before_merge is not None:
        returning = _rows_of(renamed[1], before_merge.get(was.analysis_id))
    found = {}
    for row in rows:
        person_id = was.names[was.owners[row]]
        if renamed is not None and person_id == renamed[0] and row in returning:
            person_id = renamed[1]
        if person_id in known and (int(columns.track_ids[row]), person_id) not in denied:
            found[row] = KeptName(person_id, float(was.chosen[row]))
    return found


def _rows_of(person_id: str, named: NamedTracks | None) -> set[int]:
    """Return the rows of an analysis that show a person."""
    if named is None or person_id not in named.names:
        return set()
    return set(np.flatnonzero(named.owners == named.names.index(person_id)).tolist())


def among(kept: Mapping[int, KeptName], rows: IndexArray) -> dict[int, KeptName]:
    """Return those of some rows, given ascending, by their places among these."""
    if not kept:
        return {}
    return {at: kept[row] for at, row in enumerate(rows.tolist()) if row in kept}


def without_lost_strangers(named: NamedTracks, columns: TrackColumns) -> NamedTracks:
    """Return who tracks are where an undo brings back that some were strangers whose vectors are gone by now: nobody can say."""
    lost = (named.decisions == _UNKNOWN) & ~columns.is_embedded
    if not lost.any():
        return named
    owners = np.where(lost, -1, named.owners).astype(np.int32)
    shown = sorted({*owners[owners >= 0].tolist(), *named.besides[named.besides >= 0].tolist()})
    place = np.full(len(named.names) + 1, -1, np.int32)
    place[shown] = np.arange(len(shown), dtype=np.int32)
    return replace(
        named,
        version=0,
        names=tuple(named.names[at] for at in shown),
        decisions=np.where(lost, _UNDECIDABLE, named.decisions).astype(np.int8),
        reasons=np.where(lost, _NO_VECTORS, named.reasons).astype(np.int8),
        owners=place[owners],
        besides=place[named.besides],
    )

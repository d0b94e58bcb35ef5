"""Who the tracks of an analysis are, as it is stored: made from matches, read as matches, and what search finds of it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from facerec_models.build_result import owner_of
from facerec_models.identification.appearances import build_appearances
from facerec_models.identification.decide import VideoNames
from facerec_models.identification.reasons import reason_of
from facerec_models.identification.track_columns import TrackColumns
from facerec_models.names import STRANGER_PREFIX, identity_of
from facerec_models.types import Decision, FloatArray, IndexArray, Match, UndecidableReason
from serving.store.naming_rows import AppearanceRow, NamedTracks, StrangerTrack
from serving.store.rows import AnalysisRow
from serving.telemetry.metrics import count_decisions

_DECISIONS, _REASONS = tuple(Decision), tuple(UndecidableReason)
# What of tracks is seen in answers, beside scores.
_SHOWN = ("decisions", "reasons", "owners", "besides", "confirmed")
_PLACE = {one: i for i, one in enumerate((*_DECISIONS,))} | {one: i for i, one in enumerate(_REASONS)}


def name_tracks(
    analysis: AnalysisRow, names: VideoNames, strangers: Mapping[int, str], max_false_names: float, floor: float
) -> NamedTracks:
    """Return the row that keeps who the tracks of an analysis are.

    Parameters
    ----------
    strangers : mapping of int to str
        The stranger's id of each unknown track, by row.
    floor : float
        See `NamedTracks`.
    """
    matches = names.matches
    owners = [match.person_id or strangers.get(i) for i, match in enumerate(matches)]
    known = sorted({one for one in (*owners, *(match.beside for match in matches)) if one is not None})
    place = {one: i for i, one in enumerate(known)}
    decided = _decided_of(names, floor)
    return NamedTracks(
        project=analysis.project,
        analysis_id=analysis.analysis_id,
        edit=0,
        version=0,
        max_false_names=max_false_names,
        floor=floor,
        is_contended=names.is_contended,
        names=tuple(known),
        decisions=decided.decisions,
        reasons=decided.reasons,
        owners=np.array([-1 if one is None else place[one] for one in owners], np.int32),
        besides=np.array([-1 if match.beside is None else place[match.beside] for match in matches], np.int32),
        confirmed=decided.confirmed,
        scores=decided.scores,
        chosen=decided.chosen,
    )


class _Decided(NamedTuple):
    """What is kept of tracks beside who they are; see `NamedTracks`."""

    decisions: npt.NDArray[np.int8]
    reasons: npt.NDArray[np.int8]
    confirmed: npt.NDArray[np.int8]
    scores: FloatArray
    chosen: FloatArray


def _decided_of(names: VideoNames, floor: float) -> _Decided:
    """Return what is kept of decided tracks beside who they are."""
    matches = names.matches
    return _Decided(
        np.array([_PLACE[match.decision] for match in matches], np.int8),
        np.array([-1 if match.reason is None else _PLACE[match.reason] for match in matches], np.int8),
        np.array([match.is_confirmed for match in matches], np.int8),
        np.where(names.scores >= floor, names.scores, -np.inf).astype(np.float32).ravel(),
        np.array([match.score for match in matches], np.float32),
    )


def count_named(rows: Iterable[NamedTracks]) -> None:
    """Count what was decided of all tracks of some analyses, which was written."""
    counts = sum(
        (np.bincount(row.decisions, minlength=len(_DECISIONS)) for row in rows), np.zeros(len(_DECISIONS), int)
    )
    count_decisions({decision.value: int(count) for decision, count in zip(_DECISIONS, counts, strict=True)})


def owners_of(named: NamedTracks) -> list[str | None]:
    """Return the person or stranger whom each track shows, None where that is undecidable."""
    return [None if i < 0 else named.names[i] for i in named.owners.tolist()]


def _besides_of(named: NamedTracks) -> list[str | None]:
    return [None if i < 0 else named.names[i] for i in named.besides.tolist()]


def strangers_of(named: NamedTracks) -> dict[int, str]:
    """Return the stranger whom each unknown track shows, by row."""
    # Names ascend, so that strangers' ids stand beside each other.
    first = bisect_left(named.names, STRANGER_PREFIX)
    end = bisect_left(named.names, True, first, key=lambda one: not one.startswith(STRANGER_PREFIX))
    rows = np.flatnonzero((named.owners >= first) & (named.owners < end))
    return {row: named.names[place] for row, place in zip(rows.tolist(), named.owners[rows].tolist(), strict=True)}


def unknown_rows(named: NamedTracks, columns: TrackColumns) -> list[int]:
    """Return the rows of tracks that show nobody enrolled, and have a vector."""
    rows: list[int] = np.flatnonzero((named.decisions == _PLACE[Decision.UNKNOWN]) & columns.is_embedded).tolist()
    return rows


def with_strangers(named: NamedTracks, strangers: Mapping[int, str]) -> NamedTracks:
    """Return the same tracks, their unknown ones shown by these strangers, by row."""
    if strangers_of(named) == strangers:
        return named
    owners = [
        strangers.get(i) if one is None or one.startswith(STRANGER_PREFIX) else one
        for i, one in enumerate(owners_of(named))
    ]
    besides = _besides_of(named)
    known = sorted({one for one in (*owners, *besides) if one is not None})
    place = {one: i for i, one in enumerate(known)}
    return replace(
        named,
        version=0,
        names=tuple(known),
        owners=np.array([-1 if one is None else place[one] for one in owners], np.int32),
        besides=np.array([-1 if one is None else place[one] for one in besides], np.int32),
    )


def matches_of(named: NamedTracks) -> list[Match]:
    """Return what was decided of each track, without figures and candidates: see `match_again` for these."""
    people = [None if one is None or one.startswith(STRANGER_PREFIX) else one for one in owners_of(named)]
    matches = []
    for i, (decision, reason, beside) in enumerate(
        zip(named.decisions.tolist(), named.reasons.tolist(), named.besides.tolist(), strict=True)
    ):
        matches.append(
            Match(
                decision=_DECISIONS[decision],
                person_id=people[i],
                probability=0.0,
                false_name_rate=1.0,
                reason=None if reason < 0 else _REASONS[reason],
                beside=None if beside < 0 else named.names[beside],
                score=float(named.chosen[i]),
                is_confirmed=bool(named.confirmed[i]),
            )
        )
    return matches


class TrackSpan(NamedTuple):
    """What of a track an appearance is made from."""

    track_id: int
    shot: int
    start_s: float
    end_s: float


def spans_of(columns: TrackColumns) -> list[TrackSpan]:
    """Return when each track is in view."""
    values = (columns.track_ids, columns.shots, columns.start_s, columns.end_s)
    return [TrackSpan(*row) for row in zip(*(array.tolist() for array in values), strict=True)]


def appearance_rows(
    analysis: AnalysisRow, columns: TrackColumns, named: NamedTracks, means: Mapping[str, str]
) -> list[AppearanceRow]:
    """Return the appearances of an analysis, as its result has them.

    Parameters
    ----------
    means : mapping of str to str
        For each stranger's id the one that it means.
    """
    matches, tracks = matches_of(named), spans_of(columns)
    strangers = {i: means[one] for i, one in strangers_of(named).items()}
    owners: list[Hashable] = [
        owner_of(track, match, strangers.get(i)) for i, (track, match) in enumerate(zip(tracks, matches, strict=True))
    ]
    by_id = {track.track_id: i for i, track in enumerate(tracks)}
    rows = []
    for one in build_appearances(tracks, matches, owners, analysis.summary["period_s"]):
        owner = owners[by_id[one.track_ids[0]]]
        seen_in = [tracks[by_id[track_id]].shot for track_id in one.track_ids]
        rows.append(
            AppearanceRow(
                project=analysis.project,
                analysis_id=analysis.analysis_id,
                first_track=one.track_ids[0],
                video_id=analysis.video_id,
                decision=one.match.decision if isinstance(owner, str) else Decision.UNDECIDABLE,
                owner=owner if isinstance(owner, str) else None,
                first_shot=min(seen_in),
                last_shot=max(seen_in),
                start_s=one.start_s,
                end_s=one.end_s,
                score=one.match.score,
                is_confirmed=one.match.is_confirmed,
                track_ids=one.track_ids,
                reason=reason_of(one.match, identity_of(one.match.beside)),
            )
        )
    return rows


def rows_by_analysis(rows: Sequence[AppearanceRow]) -> dict[str, list[AppearanceRow]]:
    """Return appearances by analysis."""
    found: dict[str, list[AppearanceRow]] = {}
    for row in rows:
        found.setdefault(row.analysis_id, []).append(row)
    return found


def is_same(row: NamedTracks, other: NamedTracks | None) -> bool:
    """Whether two rows say the same of the same tracks, by the same limit."""
    if other is None:
        return False
    plain = ("max_false_names", "floor", "is_contended", "names")
    arrays = ("decisions", "reasons", "owners", "besides", "confirmed", "scores", "chosen")
    return all(getattr(row, name) == getattr(other, name) for name in plain) and all(
        np.array_equal(getattr(row, name), getattr(other, name)) for name in arrays
    )


def merge_names(before: NamedTracks, rows: IndexArray, names: VideoNames) -> NamedTracks:
    """Return who the tracks of an analysis are, some of them decided again; unknown ones of these have no stranger yet.

    Parameters
    ----------
    rows : (N,) int
        Which, in the order of `names`.
    """
    owners, besides = owners_of(before), _besides_of(before)
    places = rows.tolist()
    for i, match in zip(places, names.matches, strict=True):
        owners[i], besides[i] = match.person_id, match.beside
    known = sorted({one for one in (*owners, *besides) if one is not None})
    place = {one: i for i, one in enumerate(known)}
    decided = _decided_of(names, before.floor)
    width = max(before.scores.size // len(before), decided.scores.size // len(places))

    def merged(name: str) -> npt.NDArray[Any]:
        array = getattr(before, name).copy()
        array[rows] = getattr(decided, name)
        return np.asarray(array)

    def wide(scores: FloatArray, count: int) -> FloatArray:
        found = scores.reshape(count, -1)
        return np.pad(found, ((0, 0), (0, width - found.shape[1])), constant_values=-np.inf)

    scores = wide(before.scores, len(before)).copy()
    scores[rows] = wide(decided.scores, len(places))
    return replace(
        before,
        version=0,
        is_contended=before.is_contended or names.is_contended,
        names=tuple(known),
        decisions=merged("decisions"),
        reasons=merged("reasons"),
        owners=np.array([-1 if one is None else place[one] for one in owners], np.int32),
        besides=np.array([-1 if one is None else place[one] for one in besides], np.int32),
        confirmed=merged("confirmed"),
        scores=scores.ravel(),
        chosen=merged("chosen"),
    )


def appearance_moves(
    analysis: AnalysisRow,
    columns: TrackColumns,
    was: NamedTracks | None,
    named: NamedTracks,
    means: tuple[Mapping[str, str], Mapping[str, str]],
    rows: IndexArray | None = None,
) -> tuple[list[AppearanceRow], list[AppearanceRow]]:
    """Return the appearances of an analysis that are there no more, as they were; and those that are now, or are otherwise.

    Parameters
    ----------
    was, named : NamedTracks
        Before and after.
    means : (mapping of str to str, mapping of str to str)
        As of `appearance_rows`, before and after.
    rows : (N,) int, optional
        The tracks that were decided again: those of others are as they were.
    """
    if was is None:
        return [], appearance_rows(analysis, columns, named, means[1])
    old, new = (
        [None if one is None else of.get(one, one) for one in owners_of(row)]
        for row, of in zip((was, named), means, strict=True)
    )
    is_same = old == new and all(np.array_equal(getattr(was, name), getattr(named, name)) for name in _SHOWN)
    is_other = was.chosen != named.chosen
    if not is_same:
        pairs = zip(zip(old, _besides_of(was), strict=True), zip(new, _besides_of(named), strict=True), strict=True)
        is_other |= np.array([before != after for before, after in pairs])
        for name in ("decisions", "reasons", "confirmed"):
            is_other |= getattr(was, name) != getattr(named, name)
    places = set(np.flatnonzero(is_other).tolist() if rows is None else rows[is_other[rows]].tolist())
    whose = {one for i in places for one in (old[i], new[i]) if one is not None}

    def rows_of(owners: Sequence[str | None], shown: NamedTracks, of: Mapping[str, str]) -> dict[int, AppearanceRow]:
        alone = np.array([i for i, one in enumerate(owners) if one in whose or (one is None and i in places)], np.intp)
        found = appearance_rows(analysis, columns.select(alone), _select(shown, alone), of)
        return {row.first_track: row for row in found}

    after = rows_of(new, named, means[1])
    if is_same:
        return list(after.values()), list(after.values())
    before = rows_of(old, was, means[0])
    return (
        [row for at, row in before.items() if after.get(at) != row],
        [row for at, row in after.items() if before.get(at) != row],
    )


def _select(named: NamedTracks, rows: IndexArray) -> NamedTracks:
    """Return who some of the tracks are, without the scores of others than the chosen one."""
    arrays = {name: getattr(named, name)[rows] for name in (*_SHOWN, "chosen")}
    return replace(named, scores=arrays["chosen"], **arrays)


def stranger_moves(
    columns: TrackColumns, was: NamedTracks | None, named: NamedTracks
) -> tuple[list[StrangerTrack], list[StrangerTrack]]:
    """Return the tracks that show a stranger no more, or another one, as they did; and those that show one now and did not."""
    old, new = {} if was is None else strangers_of(was), strangers_of(named)

    def rows(shown: Mapping[int, str], others: Mapping[int, str]) -> list[StrangerTrack]:
        return [
            StrangerTrack(named.project, named.analysis_id, int(columns.track_ids[i]), one, columns.vectors[i])
            for i, one in shown.items()
            if others.get(i) != one
        ]

    return rows(old, new), rows(new, old)

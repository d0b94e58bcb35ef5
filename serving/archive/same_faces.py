"""Faces that two analyses of one video both show, at the same time and place; what was corrected in one holds in the other."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from facerec_models.analysis.boxes import paired_iou
from facerec_models.types import Track
from facerec_models.vectors import track_embedding
from serving.archive.naming.aliases import follow_all
from serving.archive.naming.correction_rows import correction_id, with_corrections
from serving.archive.vector_sets import TrackKey, origins
from serving.store.contract import Store
from serving.store.naming_rows import Correction, CorrectionKind
from serving.store.rows import AnalysisRow

# Of two boxes at one moment: those of two faces overlap less, those of one face more, also where it moves between samples.
_SAME_PLACE = 0.3
# Corrections that are told one by one.
_MOST_TOLD = 5
# Of the samples of the shorter of two tracks of one face.
_LEAST_SHARED = 0.5


@dataclass(frozen=True, slots=True)
class UnclearCorrection:
    """A correction that another analysis of a video does not take over: which of its tracks show the face is not clear.

    Parameters
    ----------
    face : Track
        The track that was corrected.
    track_ids : tuple of int
        The other analysis' tracks that may show it.
    """

    row: Correction
    face: Track
    track_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CarriedCorrections:
    """What was corrected in other analyses of a video, as far as it concerns one of them.

    Parameters
    ----------
    missing : list of Correction
        Those that hold in it, as corrections of its own tracks, and are not stored yet.
    tracks : list of TrackKey
        The tracks of others that these were given for.
    """

    missing: list[Correction] = field(default_factory=list)
    tracks: list[TrackKey] = field(default_factory=list)
    unclear: list[UnclearCorrection] = field(default_factory=list)


def shared_samples(one: Track, other: Track) -> float:
    """Return how many of the samples of the shorter of two tracks, from 0 to 1, the longer one has at the same time and place."""
    short, long = sorted((one, other), key=lambda track: (track.end_s - track.start_s, len(track)))
    times = short.times_s
    within = (times >= long.start_s) & (times < long.end_s)
    if not within.any():
        return 0.0
    # Where the longer one was sampled before and after.
    places = np.stack([np.interp(times[within], long.times_s, side) for side in long.boxes.T], axis=1)
    overlap = paired_iou(short.boxes[within], places.astype(np.float32))
    return float((overlap >= _SAME_PLACE).sum() / len(short))


def find_same_faces(
    store: Store, project: str, tracks: Collection[TrackKey], others: Collection[TrackKey]
) -> list[tuple[TrackKey, TrackKey]]:
    """Return which of some tracks show the same face of a video as which of others, of other analyses: pairs of them."""
    ids = sorted({analysis_id for analysis_id, _ in (*tracks, *others)})
    whole = {
        row.analysis_id: (row.video_id, row.embedder, _stream_of(row)) for row in store.list_analyses(project, ids)
    }
    pairs = [
        (one, other)
        for one in tracks
        for other in others
        if one[0] != other[0] and one[0] in whole and whole[one[0]] == whole.get(other[0])
    ]
    wanted: dict[str, set[int]] = defaultdict(set)
    for analysis_id, track_id in (key for pair in pairs for key in pair):
        wanted[analysis_id].add(track_id)
    picked = store.pick_tracks(project, {one: sorted(numbers) for one, numbers in wanted.items()})
    found = {(one, track.track_id): track for one, some in picked.items() for track in some}
    return [
        (one, other)
        for one, other in pairs
        if one in found and other in found and shared_samples(found[one], found[other]) >= _LEAST_SHARED
    ]


def _stream_of(analysis: AnalysisRow) -> int:
    """Return the picture track that an analysis is of: others have other pictures."""
    return int(analysis.summary["info"]["stream"])


def carried_corrections(store: Store, analysis: AnalysisRow) -> CarriedCorrections:
    """Return what was corrected in other analyses of a video and holds in this one; of contrary ones the last holds.

    A track takes over what holds for all tracks of another analysis that show its face, unless another track shows that face
    at the same time. What was carried before, and was undone since, is left out.
    """
    project = analysis.project
    analyses = store.list_analyses(project, video_id=analysis.video_id)
    ids = [
        row.analysis_id
        for row in analyses
        if row.embedder == analysis.embedder and _stream_of(row) == _stream_of(analysis)
    ]
    rows = store.list_corrections(project, analysis_ids=ids) if len(ids) > 1 else []
    if all(row.analysis_id == analysis.analysis_id for row in rows):
        return CarriedCorrections()
    tracks = store.get_tracks(project, sorted({row.analysis_id for row in rows} | {analysis.analysis_id}))
    carrying = _Carrying(analysis, analyses, tracks)
    found = carrying.carry(rows)
    if found.missing or found.unclear:
        undone = _undone(store, project)
        left = [
            row
            for row in rows
            if row.analysis_id == analysis.analysis_id
            or row.created_at > undone.get((row.analysis_id, row.track_id), -math.inf)
        ]
        if len(left) < len(rows):
            found = carrying.carry(left)
    return found


def unclear_corrections(store: Store, analysis: AnalysisRow, owners: Mapping[int, str | None]) -> list[str]:
    """Return, for people, what was corrected in other analyses of a video and perhaps means tracks of this one that say otherwise.

    Parameters
    ----------
    owners : mapping of int to str or None
        The person or stranger whom each track shows, by track id.
    """
    unclear = carried_corrections(store, analysis).unclear
    strangers = follow_all(store, analysis.project, {one.row.person_id for one in unclear})
    told = []
    for one in unclear:
        row, stranger = one.row, strangers.get(one.row.person_id)
        person, whom = (row.person_id, row.person_id)
        if stranger is not None:
            person, whom = stranger.stranger_id, f"Unknown {stranger.number}"
        is_one = row.kind is CorrectionKind.IS
        tracks = [str(track_id) for track_id in one.track_ids if (owners.get(track_id) == person) != is_one]
        if tracks:
            which = f"tracks {', '.join(tracks)} show" if len(tracks) > 1 else f"track {tracks[0]} shows"
            told.append(
                f"another analysis was corrected: the face from {one.face.start_s:.1f} to {one.face.end_s:.1f} s "
                f"{'is' if is_one else 'is not'} {whom}. It is not clear whether {which} that face here: correct what is wrong"
            )
    more = len(told) - _MOST_TOLD
    return told[:_MOST_TOLD] + ([f"{more} more corrections of other analyses are not clear here"] if more > 0 else [])


def _undone(store: Store, project: str) -> dict[TrackKey, float]:
    """Return the tracks whose corrections were carried to others, and when that was undone."""
    edits = [edit for edit in store.list_edits(project) if edit.undone_at is not None]
    return {track: edit.undone_at or 0.0 for edit in edits for track in edit.carried}


class _Faces:
    """The tracks of one analysis, found by when they are in view."""

    def __init__(self, tracks: Sequence[Track]) -> None:
        self.by_id = {track.track_id: track for track in tracks}
        self._tracks = tracks
        # When, and between which borders, each is in view.
        self._first = np.array([_first(track) for track in tracks]).reshape(-1, 3)
        self._last = np.array([_last(track) for track in tracks]).reshape(-1, 3)

    def sharing(self, track: Track) -> dict[int, float]:
        """Return the tracks that are at the place of another analysis' track for a moment at least, and for how much of it."""
        near = ((self._first < _last(track)) & (self._last > _first(track))).all(axis=1)
        shared = {
            self._tracks[i].track_id: shared_samples(track, self._tracks[i]) for i in np.flatnonzero(near).tolist()
        }
        return {track_id: share for track_id, share in shared.items() if share > 0}


def _first(track: Track) -> tuple[float, ...]:
    return (track.start_s, *track.boxes[:, :2].min(axis=0).tolist())


def _last(track: Track) -> tuple[float, ...]:
    return (track.end_s, *track.boxes[:, 2:].max(axis=0).tolist())


class _Carrying:
    """Which tracks of one analysis take over the corrections of others' tracks."""

    def __init__(
        self, analysis: AnalysisRow, analyses: Iterable[AnalysisRow], tracks: Mapping[str, Sequence[Track]]
    ) -> None:
        self._analysis = analysis
        self._faces = {one: _Faces(found) for one, found in tracks.items()}
        self._own = self._faces[analysis.analysis_id]
        self._origin = origins(analyses)
        self._roots = {
            one: {self._origin(one, track_id) for track_id in faces.by_id} for one, faces in self._faces.items()
        }
        self._copies: dict[TrackKey, list[int]] = defaultdict(list)
        for track_id in self._own.by_id:
            self._copies[self._origin(analysis.analysis_id, track_id)].append(track_id)
        # Of which of another analysis' tracks those that show one of ours are.
        self._shown: dict[tuple[str, int], list[int]] = {}

    def carry(self, rows: Sequence[Correction]) -> CarriedCorrections:
        """Return what holds of these corrections, oldest first, and is not among them."""
        own = self._analysis.analysis_id
        given = {(row.analysis_id, row.track_id, row.kind, row.person_id) for row in rows}
        own_rows = [row for row in rows if row.analysis_id == own]
        then: list[Correction] = []
        whose: dict[str, list[TrackKey]] = defaultdict(list)
        unclear: list[UnclearCorrection] = []
        for row in rows:
            if row.analysis_id == own:
                then.append(row)
                continue
            face = self._faces[row.analysis_id].by_id.get(row.track_id)
            if face is None:
                continue
            taking, perhaps = self._takers(row, face, given)
            for track_id in taking:
                copy = _copied(row, self._analysis, self._own.by_id[track_id])
                then.append(copy)
                whose[copy.correction_id].append((row.analysis_id, row.track_id))
            # What a user has corrected here since is clear.
            later = [one for one in own_rows if one.track_id in perhaps and one.created_at > row.created_at]
            perhaps = [one for one in perhaps if one not in {other.track_id for other in later}]
            if perhaps and not any((one.kind, one.person_id) == (row.kind, row.person_id) for one in later):
                unclear.append(UnclearCorrection(row, face, tuple(perhaps)))
        known = {row.correction_id for row in rows}
        missing = [row for row in with_corrections([], then) if row.correction_id not in known]
        tracks = sorted({track for row in missing for track in whose[row.correction_id]})
        return CarriedCorrections(missing, tracks, unclear)

    def _takers(
        self, row: Correction, face: Track, given: Set[tuple[str, int, str, str]]
    ) -> tuple[list[int], list[int]]:
        """Return our tracks that take a correction over, and those that perhaps should."""
        copies = self._copies.get(self._origin(row.analysis_id, row.track_id), [])
        # One that is a copy of another track shows that one's face.
        roots = self._roots[row.analysis_id]
        near = {
            one: share
            for one, share in self._own.sharing(face).items()
            if self._origin(self._analysis.analysis_id, one) not in roots
        }
        same = [one for one, share in near.items() if share >= _LEAST_SHARED]
        at_once = {
            one
            for pair in combinations(same, 2)
            if _are_at_once(*(self._own.by_id[track_id] for track_id in pair))
            for one in pair
        }
        taking = [
            one
            for one in same
            if one not in at_once
            and all((row.analysis_id, other, row.kind, row.person_id) in given for other in self._showing(row, one))
        ]
        refused = [one for one in same if one not in taking]
        return [*copies, *taking], refused if taking or copies else [*near]

    def _showing(self, row: Correction, track_id: int) -> list[int]:
        """Return the tracks of a correction's analysis that show the face of one of ours."""
        key = row.analysis_id, track_id
        if key not in self._shown:
            shared = self._faces[row.analysis_id].sharing(self._own.by_id[track_id])
            self._shown[key] = [one for one, share in shared.items() if share >= _LEAST_SHARED]
        return self._shown[key]


def _are_at_once(one: Track, other: Track) -> bool:
    return bool(one.times_s[0] <= other.times_s[-1] and other.times_s[0] <= one.times_s[-1])


def _copied(row: Correction, analysis: AnalysisRow, track: Track) -> Correction:
    return replace(
        row,
        correction_id=correction_id(row.project, row.kind, row.person_id, analysis.analysis_id, track.track_id),
        analysis_id=analysis.analysis_id,
        track_id=track.track_id,
        # "Is not" needs a vector: that of the whole track, where none is of the part of it that was taken.
        embedding=track_embedding(track) if len(track.embedded) else row.embedding,
    )

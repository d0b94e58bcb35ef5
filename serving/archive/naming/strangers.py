"""Strangers: who the unknown faces of a project are, under ids that last.

A track that nobody enrolled explains belongs to a stranger. New tracks join the strangers that are known; when the whole archive is
named again, all of them are grouped anew, and every group keeps the id that most of its tracks had. An id that a merge left
without tracks stays as an alias.
"""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from facerec_models.errors import ConflictError, NotFoundError
from facerec_models.identification.clustering import cluster_tracks, stranger_similarity
from facerec_models.identification.cohort import load_cohort
from facerec_models.identification.identify import apart_tracks
from facerec_models.names import number_of
from facerec_models.result import StrangerLabel, stranger_id
from facerec_models.types import Decision, Match, Track
from facerec_models.vectors import track_embedding
from serving.archive.ids import IdKind, complete
from serving.store.contract import Store
from serving.store.naming_rows import Correction, CorrectionKind, Stranger, StrangerTrack
from serving.store.rows import AnalysisRow

# So long a video waits for others that end at the same moment.
_PATIENCE_S = 120.0
_LONGEST_PAUSE_S = 1.0
# Above this many unknown tracks the archive is not grouped anew: their distances would need more than half a gigabyte.
_MOST_REGROUPED = 8000

TrackKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class UnknownTracks:
    """The tracks of one analysis that show nobody enrolled."""

    analysis: AnalysisRow
    video_sha256: str
    tracks: tuple[Track, ...]

    @classmethod
    def of(
        cls, analysis: AnalysisRow, video_sha256: str, tracks: Sequence[Track], matches: Sequence[Match]
    ) -> UnknownTracks:
        """Pick the unknown ones."""
        unknown = (
            t for t, m in zip(tracks, matches, strict=True) if m.decision is Decision.UNKNOWN and len(t.embedded)
        )
        return cls(analysis, video_sha256, tuple(unknown))


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which stranger every unknown track of some analyses shows, and what that changes; nothing of it is stored yet.

    Parameters
    ----------
    strangers : list of Stranger
        New ones, and those that were merged into another.
    tracks : list of StrangerTrack
        All unknown tracks of the analyses.
    known : int
        How many strangers the project has so far.
    """

    strangers: list[Stranger]
    tracks: list[StrangerTrack]
    known: int


def settle(store: Store, unknown: UnknownTracks) -> dict[int, StrangerLabel]:
    """Return who the unknown tracks of an analysis are, by track id; those without a stranger get one.

    Nothing is written when all is known already. Of several videos that end at once one is settled after the other.

    Raises
    ------
    ConflictError
        If others were always faster, for minutes.
    """
    project, analysis_id = unknown.analysis.project, unknown.analysis.analysis_id
    wanted = {track.track_id for track in unknown.tracks}
    deadline, pause_s = time.monotonic() + _PATIENCE_S, 0.01
    while True:
        known, rows = store.read_strangers(project)
        strangers = {stranger.stranger_id: stranger for stranger in known}
        mine = {row.track_id: row for row in rows if row.analysis_id == analysis_id}
        if mine.keys() == wanted:
            return {track_id: _label_of(row.stranger_id, strangers) for track_id, row in mine.items()}
        settled = [row for row in rows if row.analysis_id != analysis_id or row.track_id in wanted]
        found = group(project, [unknown], settled, strangers, store.list_corrections(project))
        try:
            store.put_strangers(project, found.strangers, found.tracks, [analysis_id], known=found.known)
        except ConflictError:
            if time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0, pause_s))  # noqa: S311
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def regroup(
    project: str,
    archive: Sequence[UnknownTracks],
    settled: Sequence[StrangerTrack],
    known: Sequence[Stranger],
    corrections: Sequence[Correction],
) -> Grouping:
    """Group all unknown tracks of a project anew; ids last, and strangers that turn out to be one are merged.

    Parameters
    ----------
    settled : sequence of StrangerTrack
        Which strangers tracks show so far.
    known : sequence of Stranger
        All of the project, as they were at the same moment.
    corrections : sequence of Correction
        All that hold.
    """
    count = sum(len(unknown.tracks) for unknown in archive)
    strangers = {stranger.stranger_id: stranger for stranger in known}
    still = {(u.analysis.analysis_id, track.track_id) for u in archive for track in u.tracks}
    kept = [row for row in settled if (row.analysis_id, row.track_id) in still]
    return group(project, archive, kept, strangers, corrections, anew=count <= _MOST_REGROUPED)


def find_stranger(store: Store, project: str, given: str) -> Stranger:
    """Return the stranger of an id or its beginning, which may be an alias's, or of "Unknown n".

    Raises
    ------
    InputError
        If several ids begin so.
    NotFoundError
        If there is none.
    """
    strangers = {stranger.stranger_id: stranger for stranger in store.list_strangers(project)}
    number = number_of(given.lower().removeprefix("unknown").strip())
    given = complete(IdKind.STRANGER, given, strangers)
    for stranger in strangers.values():
        if given == stranger.stranger_id or number == stranger.number:
            return follow_merges(stranger.stranger_id, strangers)
    raise NotFoundError(f"project {project!r} has no stranger {given!r}: 'facerec unknowns list' names all")


def _label_of(identifier: str, strangers: Mapping[str, Stranger]) -> StrangerLabel:
    stranger = follow_merges(identifier, strangers)
    return StrangerLabel(stranger.stranger_id, stranger.number)


def follow_merges(identifier: str, strangers: Mapping[str, Stranger]) -> Stranger:
    """Return the stranger whom an id means by now: merges are followed."""
    stranger = strangers[identifier]
    while stranger.merged_into is not None:
        stranger = strangers[stranger.merged_into]
    return stranger


def aliases(strangers: Mapping[str, Stranger]) -> dict[str, tuple[str, ...]]:
    """Return for each stranger the ids of those who turned out to be this one."""
    found: dict[str, tuple[str, ...]] = dict.fromkeys(strangers, ())
    for one in strangers:
        stranger_id = follow_merges(one, strangers).stranger_id
        if one != stranger_id:
            found[stranger_id] += (one,)
    return found


def group(
    project: str,
    archive: Sequence[UnknownTracks],
    settled: Sequence[StrangerTrack],
    strangers: Mapping[str, Stranger],
    corrections: Sequence[Correction],
    *,
    anew: bool = False,
) -> Grouping:
    """Give every track of `archive` a stranger; `settled` says what is known of it and of the rest."""
    analyses = {unknown.analysis.analysis_id for unknown in archive}
    of_track = {
        (row.analysis_id, row.track_id): follow_merges(row.stranger_id, strangers).stranger_id for row in settled
    }
    keys = [(u.analysis.analysis_id, track.track_id) for u in archive for track in u.tracks]
    outside = [row for row in settled if row.analysis_id not in analyses]
    embeddings = [track_embedding(track) for u in archive for track in u.tracks] + [row.embedding for row in outside]
    keys += [(row.analysis_id, row.track_id) for row in outside]
    ids = sorted(set(of_track.values()))
    index = {identifier: i for i, identifier in enumerate(ids)}
    before = [of_track.get(key) for key in keys]
    known = np.array([-1 if anew or identifier is None else index[identifier] for identifier in before], np.intp)
    if not archive or not keys:  # no track needs a stranger, whoever is settled elsewhere
        return Grouping([], [], len(strangers))
    apart = _apart(archive, keys, before, corrections, strangers)[known < 0]
    pair = load_cohort(archive[0].analysis.embedder).pair
    groups = cluster_tracks(np.stack(embeddings), apart, stranger_similarity(pair), known)
    names, changed = _give_ids(project, archive, keys, before, groups, strangers)
    rows = [
        StrangerTrack(project, analysis_id, track_id, names[int(group)], embedding)
        for (analysis_id, track_id), group, embedding in zip(keys, groups, embeddings, strict=True)
        if analysis_id in analyses
    ]
    return Grouping(changed, rows, len(strangers))


def _apart(
    archive: Sequence[UnknownTracks],
    keys: Sequence[TrackKey],
    before: Sequence[str | None],
    corrections: Sequence[Correction],
    strangers: Mapping[str, Stranger],
) -> npt.NDArray[np.bool_]:
    """Return which tracks cannot be one person: they share a frame, or a correction denies one of them the other's stranger."""
    apart = np.zeros((len(keys), len(keys)), bool)
    start = 0
    for unknown in archive:
        stop = start + len(unknown.tracks)
        for i, beside in enumerate(apart_tracks(unknown.tracks), start):
            apart[i, beside + start] = True
        start = stop
    at = {key: i for i, key in enumerate(keys)}
    for correction in corrections:
        place = at.get((correction.analysis_id, correction.track_id))
        if correction.kind is CorrectionKind.IS_NOT and correction.person_id in strangers and place is not None:
            denied = follow_merges(correction.person_id, strangers).stranger_id
            others = np.array([identifier == denied for identifier in before])
            others[place] = False
            apart[place, others] = apart[others, place] = True
    return apart


def _give_ids(
    project: str,
    archive: Sequence[UnknownTracks],
    keys: Sequence[TrackKey],
    before: Sequence[str | None],
    groups: npt.NDArray[np.intp],
    strangers: Mapping[str, Stranger],
) -> tuple[dict[int, str], list[Stranger]]:
    """Choose an id for each group, and say which strangers are new, or merged into another."""
    former: dict[int, Counter[str]] = defaultdict(Counter)
    for identifier, group in zip(before, groups.tolist(), strict=True):
        if identifier is not None:
            former[group][identifier] += 1
    names: dict[int, str] = {}
    # The largest overlaps first; of equals, the stranger who has been known longest.
    claims = sorted(
        (
            (-count, strangers[identifier].number, group, identifier)
            for group in former
            for identifier, count in former[group].items()
        )
    )
    taken: set[str] = set()
    for _, _, group, identifier in claims:
        if group not in names and identifier not in taken:
            names[group] = identifier
            taken.add(identifier)
    changed = [
        replace(strangers[identifier], merged_into=names[group])
        for group, counts in former.items()
        for identifier in counts
        if identifier not in taken and group in names
    ]
    merged = {stranger.stranger_id: stranger for stranger in changed}
    number = max((stranger.number for stranger in strangers.values()), default=0)
    first = {(u.analysis.analysis_id, track.track_id): (u.video_sha256, track) for u in archive for track in u.tracks}
    for key, group in zip(keys, groups.tolist(), strict=True):
        if group in names:
            continue
        identifier = stranger_id(project, *first[key])
        while identifier in taken:  # the stranger who was first seen in this track has other tracks now
            identifier = stranger_id(f"{project}\n{identifier}", *first[key])
        if identifier in strangers:  # known from an analysis that was done again, or from before they were named
            merged[identifier] = replace(strangers[identifier], merged_into=None, person_id=None)
        else:
            number += 1
            merged[identifier] = Stranger(identifier, project, number, time.time())
        names[group] = identifier
        taken.add(identifier)
    return names, list(merged.values())

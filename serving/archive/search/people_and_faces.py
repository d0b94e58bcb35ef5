"""Search the archive by person, by company, and by face."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Generic, TypeVar

import numpy as np

from facerec_models.errors import NotFoundError, PersonNotFoundError
from facerec_models.identification.clustering import stranger_similarity
from facerec_models.names import STRANGER_PREFIX, identity_of, person_id_of
from facerec_models.types import Decision, FloatArray
from facerec_models.vectors import PairScale
from serving.archive.handle import Archive
from serving.archive.naming.aliases import aliases, find_stranger, follow_all
from serving.archive.naming.figures import Figure
from serving.archive.naming.whole_archive import batched
from serving.archive.privacy.kept_pictures import best_pictures
from serving.archive.privacy.policy import nothing_kept, read_policy
from serving.archive.search.cursors import MAX_LIMIT, check_limit, read_cursor, write_cursor
from serving.archive.search.exact_figures import ExactFigures
from serving.archive.search.track_index import TrackHit, TrackIndex
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceKey, AppearanceQuery, AppearanceRow

# Tracks that are compared for each hit that is wanted: an appearance may have several.
_TRACKS_PER_HIT = 4
_EVERYWHERE = AppearanceQuery()


@dataclass(frozen=True, slots=True)
class Hit:
    """An appearance that was found.

    Parameters
    ----------
    video : str
        The video's name.
    label : str
        Who it is, as text.
    figure : Figure
        How sure that is.
    shots : tuple of int
        Numbers of the shots that it reaches over; with company, those in which all are seen.
    company : tuple of Hit
        The appearances of the others in these shots.
    has_picture : bool
        Whether the best picture of its first track is still kept.
    """

    row: AppearanceRow
    video: str
    label: str
    figure: Figure
    shots: tuple[int, ...]
    company: tuple[Hit, ...] = ()
    has_picture: bool = True


@dataclass(frozen=True, slots=True)
class FaceHit:
    """A track that resembles a face.

    Parameters
    ----------
    track_id : int
        The track that is most alike.
    similarity : float
        Cosine of its mean embedding and the face.
    probability : float
        That both are one person, at even odds before.
    is_match : bool
        Whether it is as alike as two tracks of one stranger must be.
    is_named : bool
        Whether the video was identified at all; if not, the decision means nothing yet.
    """

    hit: Hit
    track_id: int
    similarity: float
    probability: float
    is_match: bool
    is_named: bool


Found = TypeVar("Found", Hit, FaceHit)


@dataclass(frozen=True, slots=True)
class Page(Generic[Found]):
    """Some of what was found; `next_cursor` leads to the rest, and is None at the end; `note` says what cannot be found, and why."""

    hits: list[Found]
    next_cursor: str | None
    note: str | None = None


def search_people(
    archive: Archive,
    project: str,
    who: Sequence[str],
    query: AppearanceQuery,
    *,
    min_probability: float = 0.0,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[Hit]:
    """Find the appearances of a person, or of a person together with others, in the order of videos and time.

    Parameters
    ----------
    who : sequence of str
        People and strangers: ids, names, aliases or "Unknown n". With several, the first one's appearances are found that share a shot
        with all the others. Empty: everybody.
    query : AppearanceQuery
        What restricts the search; its owners and scores are set from `who` and `min_probability`.
    min_probability : float
        Of every appearance that counts, those of the others included.

    Raises
    ------
    PersonNotFoundError, NotFoundError
        If the project knows nobody of this name, or no such stranger.
    InputError
        If the cursor is none, or the limit is not between 1 and 1000.
    """
    check_limit(limit)
    store = archive.store
    search = ("people", project, *who, query, min_probability)
    names = _Names(archive, project)
    owners = tuple(_ids_of(store, project, one) for one in who)
    query = replace(query, owners=owners, least_score=names.figures.by_score.least_score(min_probability))
    hits: list[Hit] = []
    after: AppearanceKey | None = None if cursor is None else read_cursor(search, cursor, str, float, int)
    while True:
        rows = store.find_appearances(project, query, after=after, limit=limit + 1)
        names.learn(rows)
        company = _company(store, project, query, rows, names, min_probability)
        for row in rows:
            if len(hits) == limit:
                return Page(hits, None if after is None else write_cursor(search, after))
            after = row.key
            if names.is_sure(row, min_probability):
                hit = _together(row, [found.get(row.video_id, []) for found in company], names)
                hits += [] if hit is None else [hit]
        if len(rows) <= limit:
            if not hits and cursor is None:
                _require_known(store, project, who)
            return Page(hits, None)


def search_face(
    archive: Archive,
    index: TrackIndex,
    face: FloatArray,
    query: AppearanceQuery = _EVERYWHERE,
    *,
    min_probability: float = 0.0,
    limit: int = 20,
    cursor: str | None = None,
) -> Page[FaceHit]:
    """Find who resembles a face among all stored tracks, known or not, the most alike first.

    Parameters
    ----------
    index : TrackIndex
        Of the project; it is brought up to date first.
    face : (D,) float32
        From the project's network.
    query : AppearanceQuery
        What restricts the search; its owners and scores count for nothing.
    min_probability : float
        That both are one person.

    Raises
    ------
    InputError
        If the cursor is none, or the limit is not between 1 and 1000.
    """
    check_limit(limit)
    search = ("faces", index.project, query, min_probability)
    passed = 0 if cursor is None else max(0, *read_cursor(search, cursor, int))
    index.refresh()
    found = _face_hits(archive, index, face, query, min_probability, passed + limit + 1)
    hits = list(islice(found, passed, None))
    note = None if read_policy(archive.store, index.project).keep_unmatched else nothing_kept(index.project)
    return Page(hits[:limit], write_cursor(search, (passed + limit,)) if len(hits) > limit else None, note)


def _face_hits(
    archive: Archive,
    index: TrackIndex,
    face: FloatArray,
    query: AppearanceQuery,
    min_probability: float,
    wanted: int,
) -> Iterator[FaceHit]:
    """Yield up to so many appearances by the likeness of their most alike track."""
    store, project = archive.store, index.project
    analyses = _analyses_of(store, project, query)
    embedder = store.get_project(project).embedder
    pair = archive.pair_scale(embedder) if embedder else PairScale(1.0, 1.0)
    names = _Names(archive, project)
    keeps_unmatched = read_policy(store, project).keep_unmatched
    seen: set[tuple[str, int]] = set()
    compared, tracks = 0, index.search(face, analyses, wanted * _TRACKS_PER_HIT)
    while len(tracks) > compared:
        for track, row, is_named in _owners(store, project, tracks[compared:], min(wanted, MAX_LIMIT)):
            probability = float(pair.probability(np.array(track.similarity)))
            if probability < min_probability:
                return
            if (row.analysis_id, row.first_track) in seen or not _is_within(row, query):
                continue
            if (
                not keeps_unmatched and row.decision is not Decision.NAMED
            ):  # what is left of them goes with the next sweep
                continue
            seen.add((row.analysis_id, row.first_track))
            is_match = track.similarity >= stranger_similarity(pair)
            yield FaceHit(names.hit(row), track.track_id, track.similarity, probability, is_match, is_named)
            if len(seen) == wanted:
                return
        compared, tracks = len(tracks), index.search(face, analyses, 4 * len(tracks))


def _analyses_of(store: Store, project: str, query: AppearanceQuery) -> set[str]:
    """Return the latest analyses of the videos that a query is about."""
    latest = store.latest_analyses(project)
    if query.video_id is not None:
        latest = {query.video_id: latest[query.video_id]} if query.video_id in latest else {}
    if query.submitted_from is not None or query.submitted_to is not None:
        since = -math.inf if query.submitted_from is None else query.submitted_from
        until = math.inf if query.submitted_to is None else query.submitted_to
        submitted = {video.video_id for video in store.list_videos(project) if since <= video.created_at < until}
        latest = {video_id: analysis_id for video_id, analysis_id in latest.items() if video_id in submitted}
    return set(latest.values())


def _is_within(row: AppearanceRow, query: AppearanceQuery) -> bool:
    return (query.start_s is None or row.end_s > query.start_s) and (query.end_s is None or row.start_s < query.end_s)


def _owners(
    store: Store, project: str, tracks: Sequence[TrackHit], at_once: int
) -> Iterator[tuple[TrackHit, AppearanceRow, bool]]:
    """Say for each track which appearance it belongs to; one of its own where its video is not named."""
    for part in batched(tracks, at_once):
        analysis_ids = sorted({track.analysis_id for track in part})
        rows = {
            (row.analysis_id, track_id): row
            for row in store.list_appearances(project, analysis_ids)
            for track_id in row.track_ids
        }
        for track in part:
            row = rows.get((track.analysis_id, track.track_id))
            yield track, row or _not_named(store, project, track), row is not None


def _not_named(store: Store, project: str, hit: TrackHit) -> AppearanceRow:
    analysis = store.get_analysis(project, hit.analysis_id)
    (track,) = store.pick_tracks(project, {hit.analysis_id: [hit.track_id]})[hit.analysis_id]
    return AppearanceRow(
        project=project,
        analysis_id=hit.analysis_id,
        first_track=-hit.track_id,
        video_id=analysis.video_id,
        decision=Decision.UNDECIDABLE,
        owner=None,
        first_shot=track.shot,
        last_shot=track.shot,
        start_s=track.start_s,
        end_s=track.end_s,
        score=math.inf,
        is_confirmed=False,
        track_ids=(hit.track_id,),
        reason="its video is not identified yet: 'facerec identify' does that",
    )


def _company(
    store: Store,
    project: str,
    query: AppearanceQuery,
    rows: Sequence[AppearanceRow],
    names: _Names,
    min_probability: float,
) -> list[dict[str, list[AppearanceRow]]]:
    """Return the others' appearances in the videos of `rows`, for each of the others."""
    alone = AppearanceQuery(least_score=query.least_score)

    def of(owner: tuple[str, ...], video_id: str) -> list[AppearanceRow]:
        wanted = replace(alone, owners=(owner,), video_id=video_id)
        found = store.find_appearances(project, wanted, limit=10 * MAX_LIMIT)
        return [row for row in found if names.is_sure(row, min_probability)]

    videos = {row.video_id for row in rows}
    return [{video_id: of(owner, video_id) for video_id in videos} for owner in query.owners[1:]]


def _together(row: AppearanceRow, company: Sequence[Sequence[AppearanceRow]], names: _Names) -> Hit | None:
    """Return an appearance with those of the others in the shots that all share; None if there is no such shot."""
    shots = _shots(row)
    for others in company:
        shots &= set().union(*(_shots(other) for other in others))
    if not shots:
        return None
    beside = [other for others in company for other in others if _shots(other) & shots]
    names.learn(beside)
    return replace(names.hit(row), shots=tuple(sorted(shots)), company=tuple(map(names.hit, beside)))


def _shots(row: AppearanceRow) -> set[int]:
    return set(range(row.first_shot, row.last_shot + 1))


class _Names:
    """What videos and their people are called, and how sure that is; read once each."""

    def __init__(self, archive: Archive, project: str) -> None:
        self._store = archive.store
        self._project = project
        self.figures = ExactFigures(archive, project)
        self._has_picture = best_pictures(archive, project)
        self._figures: dict[tuple[str, int], Figure] = {}
        self._videos: dict[str, str] = {}
        self._numbers: dict[str, int] = {}

    def learn(self, rows: Sequence[AppearanceRow]) -> None:
        """Read how sure appearances are, all at once."""
        new = [row for row in rows if (row.analysis_id, row.first_track) not in self._figures]
        found = self.figures.of(new)
        self._figures |= {(row.analysis_id, row.first_track): one for row, one in zip(new, found, strict=True)}

    def is_sure(self, row: AppearanceRow, min_probability: float) -> bool:
        """Whether an appearance is so probable."""
        return min_probability <= 0 or self._figure(row).probability >= min_probability

    def hit(self, row: AppearanceRow) -> Hit:
        """Return an appearance with the names of its video and its person."""
        if row.video_id not in self._videos:
            self._videos[row.video_id] = self._store.get_video(self._project, row.video_id).name
        shots = tuple(range(row.first_shot, row.last_shot + 1))
        has_picture = self._has_picture(row.analysis_id, row.track_ids[0])
        return Hit(row, self._videos[row.video_id], self._label(row), self._figure(row), shots, has_picture=has_picture)

    def _figure(self, row: AppearanceRow) -> Figure:
        self.learn([row])
        return self._figures[row.analysis_id, row.first_track]

    def _label(self, row: AppearanceRow) -> str:
        if row.owner is None:
            return "Undecidable"
        if row.decision is Decision.NAMED:
            return identity_of(row.owner)
        if row.owner not in self._numbers:
            self._numbers[row.owner] = follow_all(self._store, self._project, [row.owner])[row.owner].number
        return f"Unknown {self._numbers[row.owner]}"


def _ids_of(store: Store, project: str, who: str) -> tuple[str, ...]:
    """Return all ids that mean one person: of a stranger those that were merged, and the person whom they were named."""
    if not _is_stranger(who):
        return (person_id_of(who),)
    if not read_policy(store, project).keep_unmatched:
        raise NotFoundError(nothing_kept(project))
    found = find_stranger(store, project, who)
    others = aliases(store, project, [found.stranger_id])[found.stranger_id]
    return (found.stranger_id, *others, *([found.person_id] if found.person_id else []))


def _is_stranger(who: str) -> bool:
    lower = who.lower()
    return who.startswith(STRANGER_PREFIX) or (
        lower.startswith("unknown") and lower[len("unknown") :].strip().isdecimal()
    )


def _require_known(store: Store, project: str, who: Sequence[str]) -> None:
    """Raise `PersonNotFoundError` if a person is neither enrolled nor named by any correction: a slip of the pen."""
    known = {person.person_id for person in store.list_people(project)}
    for one in who:
        if _is_stranger(one) or person_id_of(one) in known:
            continue
        if not store.list_corrections(project, person_id=person_id_of(one)):
            raise PersonNotFoundError(f"project {project!r} has no person {one!r}; 'facerec people list' names all")

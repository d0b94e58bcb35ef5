"""What is to be known of strangers: how long each is seen, where, and their best faces."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock

from facerec_models.errors import NotFoundError
from facerec_models.files import AnyPath
from facerec_models.types import Decision
from serving.archive.handle import Archive
from serving.archive.naming.aliases import aliases, find_stranger
from serving.archive.naming.whole_archive import batched
from serving.archive.privacy.kept_pictures import best_pictures
from serving.archive.privacy.policy import nothing_kept, read_policy
from serving.archive.search.cursors import MAX_LIMIT, check_limit, read_cursor, write_cursor
from serving.archive.search.exact_figures import ExactFigures
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceKey, AppearanceQuery, AppearanceRow, ScreenTime, Stranger

_EVERYWHERE = AppearanceQuery()
# Appearances of each stranger that a list shows.
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Sighting:
    """A track of a stranger: where and when, the file of its best face, None where that is no longer kept, and of how many faces."""

    project: str
    analysis_id: str
    video_id: str
    video: str
    track_id: int
    start_s: float
    end_s: float
    quality: float
    crop: AnyPath | None
    pictures: int


@dataclass(frozen=True, slots=True)
class StrangerSummary:
    """A stranger and where they are seen.

    Parameters
    ----------
    aliases : tuple of str
        Ids of those who turned out to be this one.
    screen_time_s : float
        Seconds in view, over all videos.
    videos, tracks : int
        How many videos they are seen in, and how many tracks show them.
    sightings : tuple of Sighting
        The best face first. In a list they are those of the first appearances alone.
    is_hidden : bool
        Whether lists leave them out.
    """

    stranger_id: str
    number: int
    aliases: tuple[str, ...]
    screen_time_s: float = 0.0
    videos: int = 0
    tracks: int = 0
    sightings: tuple[Sighting, ...] = ()
    is_hidden: bool = False


@dataclass(frozen=True, slots=True)
class MergedStranger:
    """A stranger who is shown as another one and can be taken apart: so many tracks are theirs; `sighting` is one of the best."""

    stranger: Stranger
    tracks: int
    sighting: Sighting | None


@dataclass(frozen=True, slots=True, eq=False)
class _Ranking:
    """All strangers that a query finds: their times, themselves, and ``(-seconds, number, id)`` of each, in order."""

    times: Mapping[str, ScreenTime]
    strangers: Mapping[str, Stranger]
    order: Sequence[tuple[float, int, str]]


class Rankings:
    """The rankings of strangers that were asked for last, each as long as nothing has changed that it depends on.

    That takes three readings of the store, whose cost does not grow with the strangers. May be shared by threads.
    """

    def __init__(self, keep: int = 8) -> None:
        self._keep = keep
        self._lock = Lock()
        self._rankings: OrderedDict[tuple[str, AppearanceQuery], tuple[object, _Ranking]] = OrderedDict()

    def of(self, store: Store, project: str, query: AppearanceQuery) -> _Ranking:
        """Return a ranking, worked out anew if it has to be."""
        key = project, query
        # Read before: what changes meanwhile is found out the next time.
        state = (
            store.get_project(project),
            store.columns_state(project),
            frozenset(store.latest_analyses(project).items()),
        )
        with self._lock:
            known = self._rankings.get(key)
        if known is not None and known[0] == state:
            return known[1]
        ranking = _rank(store, project, query, store.list_screen_times(project, query))
        with self._lock:
            self._rankings[key] = state, ranking
            self._rankings.move_to_end(key)
            while len(self._rankings) > self._keep:
                self._rankings.popitem(last=False)
        return ranking


def _rank(store: Store, project: str, query: AppearanceQuery, times: Sequence[ScreenTime]) -> _Ranking:
    of = {one.owner: one for one in times}
    # Not before the times: all whom they are of must be among them.
    strangers = {row.stranger_id: row for row in store.list_strangers(project, sorted(of) if query.owners else None)}
    return _Ranking(of, strangers, sorted((-one.seconds, strangers[who].number, who) for who, one in of.items()))


@dataclass(frozen=True, slots=True)
class RankedStrangers:
    """Some strangers; `next_cursor` leads to the rest, and is None at the end; `note` says so where a project keeps none.

    `total` is how many there are on all pages.
    """

    strangers: list[StrangerSummary]
    next_cursor: str | None
    note: str | None = None
    total: int = 0


def rank_strangers(
    archive: Archive,
    project: str,
    query: AppearanceQuery = _EVERYWHERE,
    *,
    min_probability: float = 0.0,
    least_s: float = 0.0,
    with_hidden: bool = False,
    most: int | None = SHOWN,
    limit: int | None = None,
    cursor: str | None = None,
    rankings: Rankings | None = None,
) -> RankedStrangers:
    """Return the project's strangers by screen time, the longest seen first, of equals the lowest number.

    Each video counts by its newest analysis.

    Parameters
    ----------
    query : AppearanceQuery
        Which appearances count; those beyond neither add to the screen time nor are shown.
    min_probability : float
        Of every appearance that counts.
    least_s : float
        The least screen time of those who are listed, in seconds.
    with_hidden : bool
        Whether strangers who were hidden are among them.
    most : int or None
        How many appearances of each are shown; None for all.
    limit : int or None
        How many strangers; None for all.
    rankings : Rankings or None
        What was worked out before, for who asks for one page after the other.

    Raises
    ------
    InputError
        If the cursor is none, or the limit is not between 1 and 1000.
    """
    if limit is not None:
        check_limit(limit)
    store = archive.store
    if not read_policy(store, project).keep_unmatched:
        return RankedStrangers([], None, nothing_kept(project))
    search = ("strangers", project, query, min_probability, least_s, with_hidden)
    sure = _sure(archive, project, query, min_probability) if min_probability > 0 else None
    if sure is not None:
        ranking = _rank(store, project, query, list(_times(sure)))
    elif rankings is not None:
        ranking = rankings.of(store, project, query)
    else:
        ranking = _rank(store, project, query, store.list_screen_times(project, query))
    times, strangers = ranking.times, ranking.strangers
    order = [one for one in ranking.order if -one[0] >= least_s and (with_hidden or not strangers[one[2]].is_hidden)]
    total = len(order)
    if cursor is not None:
        after_s, number = read_cursor(search, cursor, float, int)
        order = [one for one in order if one[:2] > (-after_s, number)]
    page = [stranger_id for *_, stranger_id in order[:limit]]
    others = aliases(store, project, page)
    if sure is None:
        shown = _appearances(store, project, query, page, most)
    else:
        shown = iter([[row for stranger_id in page for row in sure[stranger_id][:most]]])
    seen = _sightings(archive, project, page, shown)
    is_last = limit is None or len(order) <= limit
    return RankedStrangers(
        [
            StrangerSummary(
                stranger_id,
                strangers[stranger_id].number,
                others[stranger_id],
                times[stranger_id].seconds,
                times[stranger_id].videos,
                times[stranger_id].tracks,
                tuple(seen[stranger_id]),
                strangers[stranger_id].is_hidden,
            )
            for stranger_id in page
        ],
        None if is_last else write_cursor(search, (times[page[-1]].seconds, strangers[page[-1]].number)),
        total=total,
    )


def show_stranger(
    archive: Archive, project: str, stranger: str, most: int | None = None
) -> tuple[Stranger, StrangerSummary]:
    """Return one stranger, by id, alias or "Unknown n", and where they are seen.

    Parameters
    ----------
    most : int or None
        How many appearances are shown; None for all.

    Raises
    ------
    NotFoundError
        If there is no such stranger, or the project keeps none.
    """
    if not read_policy(archive.store, project).keep_unmatched:
        raise NotFoundError(nothing_kept(project))
    found = find_stranger(archive.store, project, stranger)
    query = AppearanceQuery(owners=((found.stranger_id,),))
    page = rank_strangers(archive, project, query, with_hidden=True, most=most)
    others = aliases(archive.store, project, [found.stranger_id])[found.stranger_id]
    nowhere = StrangerSummary(found.stranger_id, found.number, others, is_hidden=found.is_hidden)
    return found, page.strangers[0] if page.strangers else nowhere


def list_merged(archive: Archive, project: str, stranger: str) -> list[MergedStranger]:
    """Return who is shown as a stranger because a user made them one, and has tracks of their own still, by number.

    Raises
    ------
    NotFoundError
        If there is no such stranger.
    """
    store = archive.store
    shown = find_stranger(store, project, stranger).stranger_id
    others = aliases(store, project, [shown])[shown]
    latest = {analysis_id: video_id for video_id, analysis_id in store.latest_analyses(project).items()}
    merged = []
    for one in sorted(store.list_strangers(project, others), key=lambda row: row.number) if others else ():
        ids = [one.stranger_id, *aliases(store, project, [one.stranger_id])[one.stranger_id]]
        own = [row for row in store.list_stranger_tracks(project, stranger_ids=ids) if row.analysis_id in latest]
        if own:
            some = {(row.analysis_id, row.track_id): latest[row.analysis_id] for row in own[:SHOWN]}
            seen = read_sightings(archive, project, some).values()
            best = max(seen, key=lambda sighting: sighting.quality, default=None)
            merged.append(MergedStranger(one, len(own), best))
    return merged


def _sure(
    archive: Archive, project: str, query: AppearanceQuery, min_probability: float
) -> dict[str, list[AppearanceRow]]:
    """Return the appearances of each stranger that a query finds and that are so probable."""
    figures = ExactFigures(archive, project)
    found: dict[str, list[AppearanceRow]] = defaultdict(list)
    after: AppearanceKey | None = None
    while rows := archive.store.find_appearances(project, query, after=after, limit=MAX_LIMIT):
        after = rows[-1].key
        unknown = [row for row in rows if row.decision is Decision.UNKNOWN]
        for row, figure in zip(unknown, figures.of(unknown), strict=True):
            if figure.probability >= min_probability:
                found[str(row.owner)].append(row)
    return found


def _times(found: Mapping[str, Sequence[AppearanceRow]]) -> Iterator[ScreenTime]:
    """Yield what `Store.list_screen_times` returns of appearances."""
    for stranger_id, rows in found.items():
        seconds = sum(row.end_s - row.start_s for row in rows)
        tracks = sum(len(row.track_ids) for row in rows)
        yield ScreenTime(stranger_id, seconds, len({row.video_id for row in rows}), tracks)


def _sightings(
    archive: Archive, project: str, wanted: Sequence[str], found: Iterable[list[AppearanceRow]]
) -> dict[str, list[Sighting]]:
    """Return the tracks of strangers' appearances, the best face first."""
    seen: dict[str, list[Sighting]] = {stranger_id: [] for stranger_id in wanted}
    for rows in found:
        shown = {(row.analysis_id, number): row for row in rows for number in row.track_ids}
        for key, sighting in read_sightings(
            archive, project, {key: row.video_id for key, row in shown.items()}
        ).items():
            seen[str(shown[key].owner)].append(sighting)
    for sightings in seen.values():
        sightings.sort(key=lambda one: (-one.quality, one.video_id, one.track_id))
    return seen


def read_sightings(
    archive: Archive, project: str, videos: Mapping[tuple[str, int], str]
) -> dict[tuple[str, int], Sighting]:
    """Return where tracks are seen, by analysis and track, given with the ids of their videos; those that are gone are left out."""
    store = archive.store
    names = {video.video_id: video.name for video in store.find_videos(project, sorted(set(videos.values())))}
    has_picture = best_pictures(archive, project)
    numbers: dict[str, list[int]] = defaultdict(list)
    for analysis_id, track_id in videos:
        numbers[analysis_id].append(track_id)
    return {
        (analysis_id, track.track_id): Sighting(
            project,
            analysis_id,
            video_id := videos[analysis_id, track.track_id],
            names[video_id],
            track.track_id,
            track.start_s,
            track.end_s,
            float(track.quality.max()),
            archive.files.track_crop(project, analysis_id, track.track_id, 0)
            if has_picture(analysis_id, track.track_id)
            else None,
            len(track.embedded),
        )
        for analysis_id, tracks in store.pick_tracks(project, numbers).items()
        for track in tracks
    }


def _appearances(
    store: Store, project: str, query: AppearanceQuery, wanted: Sequence[str], most: int | None
) -> Iterator[list[AppearanceRow]]:
    """Yield appearances of these strangers that a query finds, some at a time: the first ones of each, or all."""
    if most is not None:
        for part in batched(wanted, MAX_LIMIT):
            yield store.find_some_appearances(project, query, part, most)
        return
    among = replace(query, owners=(tuple(sorted(wanted)),))
    after: AppearanceKey | None = None
    while wanted and (rows := store.find_appearances(project, among, after=after, limit=MAX_LIMIT)):
        yield rows
        after = rows[-1].key

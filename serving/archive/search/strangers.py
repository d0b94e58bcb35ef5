"""What is to be known of strangers: how long each is seen, where, and their best faces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from facerec_models.files import AnyPath
from serving.archive.handle import Archive
from serving.archive.naming.current import read_current
from serving.archive.naming.figures import ScoreFigures
from serving.archive.naming.strangers import aliases, find_stranger
from serving.archive.naming.whole_archive import batched
from serving.archive.search.cursors import MAX_LIMIT, check_limit, read_cursor, write_cursor
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceKey, AppearanceQuery, AppearanceRow, Stranger
from serving.store.rows import AnalysisRow

_EVERYWHERE = AppearanceQuery()


@dataclass(frozen=True, slots=True)
class Sighting:
    """A track of a stranger: where and when, and the file of its best face."""

    project: str
    analysis_id: str
    video_id: str
    video: str
    track_id: int
    start_s: float
    end_s: float
    quality: float
    crop: AnyPath


@dataclass(frozen=True, slots=True)
class StrangerSummary:
    """A stranger and where they are seen.

    Parameters
    ----------
    aliases : tuple of str
        Ids of those who turned out to be this one.
    screen_time_s : float
        Seconds in view, over all videos.
    videos : int
        How many videos they are seen in.
    sightings : tuple of Sighting
        The best face first.
    """

    stranger_id: str
    number: int
    aliases: tuple[str, ...]
    screen_time_s: float = 0.0
    videos: int = 0
    sightings: tuple[Sighting, ...] = ()


@dataclass(frozen=True, slots=True)
class RankedStrangers:
    """Some strangers; `next_cursor` leads to the rest, and is None at the end."""

    strangers: list[StrangerSummary]
    next_cursor: str | None


def rank_strangers(
    archive: Archive,
    project: str,
    query: AppearanceQuery = _EVERYWHERE,
    *,
    min_probability: float = 0.0,
    with_hidden: bool = False,
    limit: int | None = None,
    cursor: str | None = None,
) -> RankedStrangers:
    """Return the project's strangers by screen time, the longest seen first, of equals the lowest number.

    Each video counts by its newest analysis.

    Parameters
    ----------
    query : AppearanceQuery
        Which appearances count; those beyond neither add to the screen time nor are shown. Its scores are set from `min_probability`.
    with_hidden : bool
        Whether strangers who were hidden are among them.
    limit : int or None
        How many strangers; None for all.

    Raises
    ------
    InputError
        If the cursor is none, or the limit is not between 1 and 1000.
    """
    if limit is not None:
        check_limit(limit)
    store = archive.store
    search = ("strangers", project, query, min_probability, with_hidden)
    if min_probability > 0:
        least_score, most_score = ScoreFigures(read_current(archive, project).model).bounds(min_probability)
        query = replace(query, least_score=least_score, most_score=most_score)
    times = {one.stranger_id: one for one in store.list_screen_times(project, query)}
    # Not before the times: all whom they are of must be among them.
    strangers = {row.stranger_id: row for row in store.list_strangers(project)}
    order = sorted(
        (-one.seconds, strangers[stranger_id].number, stranger_id)
        for stranger_id, one in times.items()
        if with_hidden or not strangers[stranger_id].is_hidden
    )
    if cursor is not None:
        after_s, number = read_cursor(search, cursor, float, int)
        order = [one for one in order if one[:2] > (-after_s, number)]
    page = [stranger_id for *_, stranger_id in order[:limit]]
    others = aliases(store, project, page)
    seen: dict[str, list[Sighting]] = {}
    for part in batched(page, MAX_LIMIT):
        seen |= _sightings(archive, project, query, part)
    is_last = limit is None or len(order) <= limit
    return RankedStrangers(
        [
            StrangerSummary(
                stranger_id,
                strangers[stranger_id].number,
                others[stranger_id],
                times[stranger_id].seconds,
                times[stranger_id].videos,
                tuple(seen[stranger_id]),
            )
            for stranger_id in page
        ],
        None if is_last else write_cursor(search, (times[page[-1]].seconds, strangers[page[-1]].number)),
    )


def show_stranger(archive: Archive, project: str, stranger: str) -> tuple[Stranger, StrangerSummary]:
    """Return one stranger, by id, alias or "Unknown n", and where they are seen.

    Raises
    ------
    NotFoundError
        If there is no such stranger.
    """
    found = find_stranger(archive.store, project, stranger)
    query = AppearanceQuery(owners=((found.stranger_id,),))
    page = rank_strangers(archive, project, query, with_hidden=True)
    others = aliases(archive.store, project, [found.stranger_id])[found.stranger_id]
    nowhere = StrangerSummary(found.stranger_id, found.number, others)
    return found, page.strangers[0] if page.strangers else nowhere


def _sightings(
    archive: Archive, project: str, query: AppearanceQuery, wanted: Sequence[str]
) -> dict[str, list[Sighting]]:
    """Return the tracks of strangers, the best face first; of those that a query finds."""
    seen: dict[str, list[Sighting]] = {stranger_id: [] for stranger_id in wanted}
    analyses: dict[str, AnalysisRow] = {}
    names: dict[str, str] = {}
    for rows in _appearances(archive.store, project, query, wanted):
        owners = {(row.analysis_id, number): row.owner for row in rows if row.owner for number in row.track_ids}
        numbers: dict[str, list[int]] = defaultdict(list)
        for analysis_id, track_id in owners:
            numbers[analysis_id].append(track_id)
        for analysis_id, tracks in archive.store.pick_tracks(project, numbers).items():
            if analysis_id not in analyses:
                analyses[analysis_id] = archive.store.get_analysis(project, analysis_id)
            analysis = analyses[analysis_id]
            if analysis.video_id not in names:
                names[analysis.video_id] = archive.store.get_video(project, analysis.video_id).name
            for track in tracks:
                seen[owners[analysis_id, track.track_id]].append(
                    Sighting(
                        project,
                        analysis_id,
                        analysis.video_id,
                        names[analysis.video_id],
                        track.track_id,
                        track.start_s,
                        track.end_s,
                        float(track.quality.max()),
                        archive.files.track_crop(project, analysis_id, track.track_id, 0),
                    )
                )
    for sightings in seen.values():
        sightings.sort(key=lambda one: (-one.quality, one.video_id, one.track_id))
    return seen


def _appearances(
    store: Store, project: str, query: AppearanceQuery, ids: Collection[str]
) -> Iterator[list[AppearanceRow]]:
    """Yield the appearances of these strangers that a query finds, some at a time."""
    if not ids:
        return
    among = replace(query, owners=(tuple(sorted(ids)),))
    after: AppearanceKey | None = None
    while rows := store.find_appearances(project, among, after=after, limit=MAX_LIMIT):
        yield rows
        after = rows[-1].key

"""What is to be known of strangers: how long each is seen, where, and their best faces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from facerec_models.files import AnyPath
from serving.archive.handle import Archive
from serving.archive.naming.strangers import aliases, find_stranger, follow_merges
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
    limit: int | None = None,
    cursor: str | None = None,
) -> RankedStrangers:
    """Return the project's strangers by screen time, the longest seen first; each video counts by its newest analysis.

    Parameters
    ----------
    query : AppearanceQuery
        Which appearances count; those beyond neither add to the screen time nor are shown.
    limit : int or None
        How many strangers; None for all.

    Raises
    ------
    InputError
        If the cursor is none, or the limit is not between 1 and 1000.
    """
    if limit is not None:
        check_limit(limit)
    search = ("strangers", project, query)
    times = archive.store.list_screen_times(project, query)
    # Not before the times: all whom they are of must be among them.
    strangers = {stranger.stranger_id: stranger for stranger in archive.store.list_strangers(project)}
    seconds: dict[str, float] = defaultdict(float)
    videos: dict[str, set[str]] = defaultdict(set)
    for time in times:
        stranger_id = follow_merges(time.stranger_id, strangers).stranger_id
        seconds[stranger_id] += time.seconds
        videos[stranger_id].add(time.video_id)
    order = sorted((-value, strangers[stranger_id].number, stranger_id) for stranger_id, value in seconds.items())
    if cursor is not None:
        after_s, number = read_cursor(search, cursor, float, int)
        order = [one for one in order if one[:2] > (-after_s, number)]
    page = [stranger_id for *_, stranger_id in order[:limit]]
    others = aliases(strangers)
    seen: dict[str, list[Sighting]] = {}
    for part in batched(page, MAX_LIMIT):
        seen |= _sightings(archive, project, query, {stranger_id: others[stranger_id] for stranger_id in part})
    is_last = limit is None or len(order) <= limit
    return RankedStrangers(
        [
            StrangerSummary(
                stranger_id,
                strangers[stranger_id].number,
                others[stranger_id],
                seconds[stranger_id],
                len(videos[stranger_id]),
                tuple(seen[stranger_id]),
            )
            for stranger_id in page
        ],
        None if is_last else write_cursor(search, (seconds[page[-1]], strangers[page[-1]].number)),
    )


def show_stranger(archive: Archive, project: str, stranger: str) -> tuple[Stranger, StrangerSummary]:
    """Return one stranger, by id, alias or "Unknown n", and where they are seen.

    Raises
    ------
    NotFoundError
        If there is no such stranger.
    """
    found = find_stranger(archive.store, project, stranger)
    others = aliases({one.stranger_id: one for one in archive.store.list_strangers(project)})[found.stranger_id]
    page = rank_strangers(archive, project, AppearanceQuery(owners=((found.stranger_id, *others),)))
    nowhere = StrangerSummary(found.stranger_id, found.number, others)
    return found, page.strangers[0] if page.strangers else nowhere


def _sightings(
    archive: Archive, project: str, query: AppearanceQuery, wanted: Mapping[str, Sequence[str]]
) -> dict[str, list[Sighting]]:
    """Return the tracks of strangers, given with their aliases, the best face first; of those that a query finds."""
    means = {one: stranger_id for stranger_id, others in wanted.items() for one in (stranger_id, *others)}
    seen: dict[str, list[Sighting]] = {stranger_id: [] for stranger_id in wanted}
    analyses: dict[str, AnalysisRow] = {}
    names: dict[str, str] = {}
    for rows in _appearances(archive.store, project, query, means):
        owners = {(row.analysis_id, number): means[row.owner] for row in rows if row.owner for number in row.track_ids}
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

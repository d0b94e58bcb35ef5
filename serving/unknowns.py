"""What is to be known of strangers: how long each is seen, where, and their best faces."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from facerec_models.appearances import track_interval
from facerec_models.types import Track
from serving.home import AnyPath, Home
from serving.store.base import Store
from serving.strangers import resolved
from serving.videos import read_analysis


@dataclass(frozen=True, slots=True)
class Sighting:
    """A track of a stranger: where and when, and the file of its best face."""

    video_id: str
    video: str
    track_id: int
    start_s: float
    end_s: float
    quality: float
    crop: AnyPath


@dataclass(frozen=True, slots=True)
class StrangerSummary:
    """A stranger and where they are seen, the best look first."""

    stranger_id: str
    number: int
    aliases: tuple[str, ...]
    sightings: tuple[Sighting, ...]

    @property
    def screen_time_s(self) -> float:
        """Seconds in view, over all videos."""
        return sum(sighting.end_s - sighting.start_s for sighting in self.sightings)

    @property
    def videos(self) -> int:
        """How many videos they are seen in."""
        return len({sighting.video_id for sighting in self.sightings})


def summarize_strangers(store: Store, home: Home, project: str) -> list[StrangerSummary]:
    """Return the project's strangers by screen time, the longest seen first; each video counts by its newest analysis."""
    strangers = {stranger.stranger_id: stranger for stranger in store.list_strangers(project)}
    newest = {analysis.video_id: analysis for analysis in store.list_analyses(project)}
    analyses = {analysis.analysis_id: analysis for analysis in newest.values()}
    names = {video.video_id: video.name for video in store.list_videos(project)}
    rows = [row for row in store.list_stranger_tracks(project) if row.analysis_id in analyses]
    needed = sorted({row.analysis_id for row in rows})
    found: dict[tuple[str, int], Track] = {
        (analysis_id, track.track_id): track
        for analysis_id, tracks in store.get_tracks(project, needed).items()
        for track in tracks
    }
    facts = {analysis_id: read_analysis(analyses[analysis_id], []) for analysis_id in needed}
    seen: dict[str, list[Sighting]] = defaultdict(list)
    for row in rows:
        track, fact = found[row.analysis_id, row.track_id], facts[row.analysis_id]
        start_s, end_s = track_interval(track, fact.shots, fact.period_s)
        video_id = analyses[row.analysis_id].video_id
        seen[resolved(row.stranger_id, strangers).stranger_id].append(
            Sighting(
                video_id,
                names[video_id],
                row.track_id,
                start_s,
                end_s,
                float(track.quality.max()),
                home.track_crop(project, row.analysis_id, row.track_id, 0),
            )
        )
    aliases: dict[str, list[str]] = defaultdict(list)
    for stranger in strangers.values():
        if stranger.merged_into is not None:
            aliases[resolved(stranger.stranger_id, strangers).stranger_id].append(stranger.stranger_id)
    summaries = [
        StrangerSummary(
            identifier,
            strangers[identifier].number,
            tuple(aliases[identifier]),
            tuple(sorted(sightings, key=lambda one: -one.quality)),
        )
        for identifier, sightings in seen.items()
    ]
    return sorted(summaries, key=lambda one: (-one.screen_time_s, one.number))

"""What is stored of videos, in short: how far each is, who is in it, and by what it was analysed and named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facerec_models.errors import VideoNotFoundError
from facerec_models.types import Decision, Interval
from serving.archive.coverage import JOINED, MADE_FROM, analysed_at, is_joined, ranges_of
from serving.archive.learning.loaded_models import promoted_version
from serving.archive.naming.current import revision_of
from serving.store.contract import Store
from serving.store.naming_rows import NamedTracks
from serving.store.rows import AnalysisRow, VideoRow


@dataclass(frozen=True, slots=True)
class VideoOverview:
    """A stored video, and what its latest analysis says.

    Parameters
    ----------
    analysis : AnalysisRow or None
        The latest one; None if the video was not analysed.
    people : tuple of str
        Ids of those who are named in it.
    strangers : int
        How many others are seen in it who are nobody enrolled.
    """

    video: VideoRow
    analysis: AnalysisRow | None
    people: tuple[str, ...] = ()
    strangers: int = 0
    is_named: bool = False

    @property
    def duration_s(self) -> float | None:
        """How long the video is; None where it was not analysed, or does not say."""
        found: float | None = None if self.analysis is None else self.analysis.summary["info"]["duration_s"]
        return found

    @property
    def fragments(self) -> list[Interval] | None:
        """Which parts of the video its latest analysis is of; None for all of it, and where it was not analysed."""
        return None if self.analysis is None else ranges_of(self.analysis)

    def to_dict(self) -> dict[str, Any]:
        """Return the overview as JSON values."""
        video = self.video
        return {
            "video_id": video.video_id,
            "name": video.name,
            "uri": video.uri,
            "sha256": video.sha256,
            "created_at": video.created_at,
            "duration_s": self.duration_s,
            "analysed": self.analysis is not None,
            "fragments": self.fragments,
            "named": self.is_named,
            "people": list(self.people),
            "strangers": self.strangers,
            "catalogue": video.catalogue,
            "file_there": Path(video.file).is_file(),
        }


def overview_of(store: Store, video: VideoRow) -> VideoOverview:
    """Return what is stored of a video; what is deleted meanwhile counts as not analysed."""
    try:
        analysis = store.latest_analysis(video.project, video.video_id)
        rows = store.list_appearances(video.project, [analysis.analysis_id])
    except VideoNotFoundError:
        return VideoOverview(video, None)
    owners = {
        kind: {row.owner for row in rows if row.decision is kind and row.owner is not None}
        for kind in (Decision.NAMED, Decision.UNKNOWN)
    }
    is_named = bool(store.list_named(video.project, [analysis.analysis_id]))
    people = tuple(sorted(owners[Decision.NAMED]))
    return VideoOverview(video, analysis, people, len(owners[Decision.UNKNOWN]), is_named)


def describe_analyses(store: Store, video: VideoRow) -> list[dict[str, Any]]:
    """Return what was analysed of a video, oldest first: which part, with which settings and network, and what names it.

    Analyses of a second set are among them, under the id of the one whose crops they were made from.
    """
    rows = store.list_analyses(video.project, video_id=video.video_id)
    named = {row.analysis_id: row for row in store.list_named(video.project, [row.analysis_id for row in rows])}
    version = promoted_version(store, video.project)
    found = [{**_settings(row), "named_by": _named_by(named.get(row.analysis_id), version)} for row in rows]
    return sorted(found, key=lambda one: one["created_at"])


def _settings(row: AnalysisRow) -> dict[str, Any]:
    summary = row.summary
    shots = summary["shots"]
    return {
        "analysis_id": row.analysis_id,
        "created_at": analysed_at(row),
        "embedder": row.embedder,
        "start_s": shots[0][0] if shots else None,
        "end_s": shots[-1][1] if shots else None,
        "fragments": ranges_of(row),
        "complete": summary["complete"],
        "mode": summary["mode"],
        "period_s": summary["period_s"],
        "densified": summary["densified"],
        "frames_sampled": summary["frames_sampled"],
        "stream": summary["info"]["stream"],
        "settings": row.key,
        "made_from": summary.get(MADE_FROM),
        "joined_of": [analysis_id for analysis_id, _ in summary[JOINED]["parts"]] if is_joined(row) else [],
    }


def _named_by(row: NamedTracks | None, version: str | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "revision": revision_of(row.project, version, row.max_false_names),
        "model_version": version,
        "max_false_names": row.max_false_names,
    }

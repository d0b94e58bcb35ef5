"""Videos at a glance: who is in each of a few, those who are seen longest first, and a moment to know the video by."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from facerec_models.analysis.apart.still_frame import read_still_frame
from facerec_models.config import LimitsConfig
from facerec_models.errors import NotFoundError
from facerec_models.files import write_atomically, writing_to
from facerec_models.names import identity_of
from facerec_models.types import Decision
from serving.archive.handle import Archive
from serving.archive.naming.aliases import follow_all
from serving.archive.privacy.kept_pictures import best_pictures
from serving.archive.videos import video_file
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceQuery, AppearanceRow
from serving.store.rows import AnalysisRow, VideoRow

# Of each person whose name is searched for so many appearances are read, and of so many people.
_MOST_APPEARANCES, _MOST_PEOPLE = 2000, 20
_STILL_PX, _STILL_QUALITY = 480, 80
# Many films begin in black.
_UNSEEN_AT_S = 3.0


@dataclass(frozen=True, slots=True)
class GlancedPerson:
    """A person or a stranger of a video, and for how long they are in view there.

    Parameters
    ----------
    best : AppearanceRow
        The longest of their appearances.
    has_picture : bool
        Whether the best face of its first track is kept.
    """

    label: str
    person_id: str | None
    stranger: str | None
    seconds: float
    best: AppearanceRow
    has_picture: bool


@dataclass(frozen=True, slots=True)
class VideoGlance:
    """A video, the `people` who are seen longest in it, and how many there are in all.

    Parameters
    ----------
    analysis : AnalysisRow or None
        The latest one; None where there is none yet.
    """

    video: VideoRow
    analysis: AnalysisRow | None
    people: tuple[GlancedPerson, ...] = ()
    total: int = 0


def glance_at(archive: Archive, project: str, video_ids: Sequence[str], most: int) -> list[VideoGlance]:
    """Return some videos of a project at a glance, in their order; those that are not there are left out.

    Parameters
    ----------
    most : int
        So many people and strangers of each are named. Strangers who were hidden are left out, and not counted.
    """
    store = archive.store
    videos = {row.video_id: row for row in store.find_videos(project, video_ids)}
    analyses = {video_id: _latest(store, project, video_id) for video_id in videos}
    rows: dict[str, list[AppearanceRow]] = defaultdict(list)
    for row in store.list_appearances(project, [one.analysis_id for one in analyses.values() if one is not None]):
        if row.owner is not None:
            rows[row.video_id].append(row)
    unknown = {row.owner for found in rows.values() for row in found if row.decision is Decision.UNKNOWN and row.owner}
    strangers = follow_all(store, project, unknown)
    has_picture = best_pictures(archive, project)
    glances = []
    for video_id in dict.fromkeys(video_ids):
        if video_id not in videos:
            continue
        of_owner: dict[str, list[AppearanceRow]] = defaultdict(list)
        for row in rows[video_id]:
            stranger = strangers.get(str(row.owner)) if row.decision is Decision.UNKNOWN else None
            if stranger is None or not stranger.is_hidden:
                of_owner[str(row.owner) if stranger is None else stranger.stranger_id].append(row)
        seen = sorted(of_owner.items(), key=lambda one: -_seconds(one[1]))
        people = []
        for owner, found in seen[:most]:
            best = max(found, key=lambda row: row.end_s - row.start_s)
            is_named = best.decision is Decision.NAMED
            stranger = strangers.get(owner)
            people.append(
                GlancedPerson(
                    label=str(identity_of(owner)) if stranger is None else f"Unknown {stranger.number}",
                    person_id=owner if is_named else None,
                    stranger=None if is_named else owner,
                    seconds=_seconds(found),
                    best=best,
                    has_picture=has_picture(best.analysis_id, best.track_ids[0]),
                )
            )
        glances.append(VideoGlance(videos[video_id], analyses[video_id], tuple(people), len(seen)))
    return glances


def still_of(archive: Archive, video: VideoRow, limits: LimitsConfig) -> Path:
    """Return a picture that a video is known by: one file for each analysis, made when it is first asked for.

    Raises
    ------
    VideoOpenError, VideoDecodeError, LimitExceededError
        If the video's file is gone, or cannot be read.
    """
    analysis = _latest(archive.store, video.project, video.video_id)
    stream = None if analysis is None else int(analysis.summary["info"]["stream"])
    file = archive.files.still(video.sha256, stream, None if analysis is None else analysis.analysis_id)
    if not file.is_file():
        time_s = _UNSEEN_AT_S if analysis is None else _known_moment(archive.store, analysis)
        image = read_still_frame(
            video_file(video), limits, time_s, longest_px=_STILL_PX, name=video.name, stream=stream
        )
        data = io.BytesIO()
        Image.fromarray(image).save(data, "JPEG", quality=_STILL_QUALITY)
        with writing_to(file.parent):
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(file, data.getvalue())
    return file


def find_videos_with(store: Store, project: str, people: Sequence[str]) -> tuple[list[str], bool]:
    """Return the ids of videos in which any of these people are, and whether these are all.

    The cost is that of reading their appearances by their index, of which so many are read at most.
    """
    taken = people[:_MOST_PEOPLE]
    rows = store.find_some_appearances(project, AppearanceQuery(), taken, _MOST_APPEARANCES) if taken else []
    named = [row for row in rows if row.decision is Decision.NAMED]
    counts = {person: sum(row.owner == person for row in rows) for person in taken}
    is_all = len(taken) == len(people) and all(count < _MOST_APPEARANCES for count in counts.values())
    return list(dict.fromkeys(row.video_id for row in named)), is_all


def _latest(store: Store, project: str, video_id: str) -> AnalysisRow | None:
    try:
        return store.latest_analysis(project, video_id)
    except NotFoundError:
        return None


def _seconds(rows: Sequence[AppearanceRow]) -> float:
    return sum(row.end_s - row.start_s for row in rows)


def _known_moment(store: Store, analysis: AnalysisRow) -> float:
    """Return when whoever is in view longest is seen, those with a name first; without anybody a third of the way."""
    rows = [row for row in store.list_appearances(analysis.project, [analysis.analysis_id]) if row.owner is not None]
    if not rows:
        shots = analysis.summary["shots"]
        return float(shots[0][0] + (shots[-1][1] - shots[0][0]) / 3) if shots else 0.0
    best = max(rows, key=lambda row: (row.decision is Decision.NAMED, row.end_s - row.start_s))
    return (best.start_s + best.end_s) / 2

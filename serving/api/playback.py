"""Playing: what browsers show of a video, by which address, and how to have it made."""

from __future__ import annotations

import asyncio
import json
from functools import lru_cache
from pathlib import Path
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse

from facerec_models.config import LimitsConfig
from facerec_models.errors import ConflictError, NotFoundError
from serving.api.file_answer import answer_file
from serving.api.ingress.access import needs
from serving.api.ingress.own_threads import run_long
from serving.api.schemas import Accepted, PlaybackView, TrackBoxes
from serving.api.service import ProjectName, Service, ServiceDep
from serving.archive.renditions import Renditions, stream_of_result
from serving.archive.room import require_room
from serving.archive.search.video_glances import still_of
from serving.archive.videos import video_file
from serving.exports.playability import Playability, judge_playability
from serving.jobs.rendition import find_rendition_job, submit_rendition
from serving.store.access_rows import Role
from serving.store.rows import VideoRow

router = APIRouter(tags=["playback"])

StreamQuery = Annotated[
    int | None,
    Query(ge=0, description="Number of the picture track; by default that of the latest analysis, or the main one."),
]


# A tenth of a millisecond, and a tenth of a pixel.
_TIME_DIGITS, _BOX_DIGITS = 4, 1


class _Played(NamedTuple):
    """A video's picture track, what browsers do with it, and its rendition, if there is one."""

    video: VideoRow
    playability: Playability
    rendition: Path | None


@router.get("/projects/{project}/videos/{video_id}/playback")
def get_playback(project: ProjectName, video_id: str, service: ServiceDep, stream: StreamQuery = None) -> PlaybackView:
    """Say by which address browsers play a video, or what keeps them from it.

    `state` is ``ready``, ``making`` while a job makes the rendition, or ``needed`` where one must be asked for. What is ready shows at
    a time the frame that the result calls so.
    """
    return _view(service, _find(service, project, video_id, stream))


@router.post(
    "/projects/{project}/videos/{video_id}/rendition",
    status_code=202,
    openapi_extra=needs(Role.READ),
    responses={200: {"model": PlaybackView, "description": "Nothing is to be done."}},
    response_model=Accepted | PlaybackView,
)
def make_rendition(
    project: ProjectName, video_id: str, response: Response, service: ServiceDep, stream: StreamQuery = None
) -> Accepted | PlaybackView:
    """Have a video encoded as H.264 and AAC in MP4, once; nothing is to be done where browsers play it already."""
    found = _find(service, project, video_id, stream)
    view = _view(service, found)
    if view.state == "ready":
        response.status_code = 200
        return view
    require_room(service.settings)
    job = submit_rendition(service.archive.store, service.settings, found.video, found.playability.stream)
    service.analyzer.wake.remote()
    return Accepted(job_id=job.job_id, video_id=video_id)


@router.get("/projects/{project}/videos/{video_id}/playable.mp4", response_class=FileResponse)
@router.head("/projects/{project}/videos/{video_id}/playable.mp4", include_in_schema=False)
def get_playable(
    project: ProjectName, video_id: str, request: Request, service: ServiceDep, stream: StreamQuery = None
) -> Response:
    """Return what browsers play: the video itself, or its rendition. Byte ranges are answered.

    Where there is neither yet, the answer is 409: ask for the rendition with POST.
    """
    video, playability, _ = _find(service, project, video_id, stream)
    file = Path(video.file) if playability.plays else _renditions(service).play(video.sha256, playability.stream)
    if file is None:
        raise ConflictError(
            f"browsers do not play video {video_id} as it is ({playability.why}): "
            f"POST /v1/projects/{project}/videos/{video_id}/rendition makes a file that they play"
        )
    answer = answer_file(file, request, playability.media_type if playability.plays else "video/mp4")
    if answer is None:
        raise NotFoundError(f"the file of video {video_id} was removed just now: ask again")
    return answer


@router.get("/projects/{project}/videos/{video_id}/still.jpg", response_class=FileResponse)
async def get_still(
    project: ProjectName,
    video_id: str,
    request: Request,
    service: ServiceDep,
    of: Annotated[
        str | None, Query(description="An analysis: each has a picture of its own, which may be kept.")
    ] = None,
) -> Response:
    """Return a picture that the video is known by, of a moment at which whoever is seen longest is in view; made once."""
    store = service.archive.store
    video = await asyncio.to_thread(store.get_video, project, video_id)
    file = await run_long("drawing", still_of, service.archive, video, service.settings.analysis.limits)
    kept = {} if of is None else {"Cache-Control": "private, max-age=86400"}
    answer = await asyncio.to_thread(answer_file, file, request, "image/jpeg", kept)
    if answer is None:
        raise NotFoundError(f"the picture of video {video_id} was removed just now: ask again")
    return answer


@router.get("/projects/{project}/videos/{video_id}/boxes/{analysis_id}", response_model=list[TrackBoxes])
def get_boxes(project: ProjectName, video_id: str, analysis_id: str, service: ServiceDep) -> Response:
    """Return where the faces of an analysis are, and nothing else: what a player draws. It never changes."""
    analysis = service.archive.store.get_analysis(project, analysis_id)
    if analysis.video_id != video_id:
        raise NotFoundError(f"video {video_id} has no analysis {analysis_id!r}")
    tracks = service.archive.store.get_tracks(project, [analysis_id])[analysis_id]
    # Checked by nobody on its way out: of a long video it is megabytes of numbers.
    boxes = [
        {
            "track_id": track.track_id,
            "times_s": track.times_s.round(_TIME_DIGITS).tolist(),
            "boxes_xyxy": track.boxes.astype(float).round(_BOX_DIGITS).tolist(),
        }
        for track in tracks
    ]
    text = json.dumps(boxes, separators=(",", ":"))
    return Response(text, media_type="application/json", headers={"Cache-Control": "private, max-age=86400, immutable"})


def prepare_playback(service: Service, video: VideoRow) -> PlaybackView:
    """Return how a video plays, and have a rendition made where it does not and none is being made.

    Raises
    ------
    VideoOpenError, BusyError
        If its file is gone; if too many jobs wait.
    """
    found = _find(service, video.project, video.video_id, None)
    view = _view(service, found)
    if view.state != "needed":
        return view
    submit_rendition(service.archive.store, service.settings, video, found.playability.stream)
    service.analyzer.wake.remote()
    return _view(service, found)


def _find(service: Service, project: str, video_id: str, stream: int | None) -> _Played:
    store = service.archive.store
    video = store.get_video(project, video_id)
    stream = stream_of_result(store, video) if stream is None else stream
    playability = _judge(video_file(video), video.sha256, service.settings.analysis.limits, stream, video.name)
    rendition = None if playability.plays else _renditions(service).find(video.sha256, playability.stream)
    return _Played(video, playability, rendition)


def _renditions(service: Service) -> Renditions:
    return Renditions(service.archive.files, service.settings.renditions.max_kept_bytes)


def _view(service: Service, found: _Played) -> PlaybackView:
    video, playability, rendition = found
    why = playability.why
    if playability.plays or rendition is not None:
        # With its track: that of the latest analysis may be another one while this is played.
        url = f"/v1/projects/{video.project}/videos/{video.video_id}/playable.mp4?stream={playability.stream}"
        media_type = playability.media_type if playability.plays else "video/mp4"
        return PlaybackView(state="ready", url=url, media_type=media_type, job_id=None, why=why)
    job = find_rendition_job(service.archive.store, video, playability.stream)
    if job is None:
        return PlaybackView(state="needed", url=None, media_type=None, job_id=None, why=why)
    return PlaybackView(state="making", url=None, media_type=None, job_id=job.job_id, why=why)


# Of content that does not change, and asked for with every range.
@lru_cache(maxsize=4096)
def _judge(file: Path, sha256: str, limits: LimitsConfig, stream: int | None, name: str) -> Playability:
    return judge_playability(file, limits, stream=stream, name=name)

"""Videos: submit one, see who is in it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from facerec_models.config import AnalysisConfig
from facerec_models.errors import InputError, NotFoundError
from facerec_models.files import writing_to
from facerec_models.names import file_name_of, folded
from facerec_models.result import Result
from serving.api.addresses import crop_address
from serving.api.file_answer import answer_file
from serving.api.found import VideoGlanceView, VideosWith
from serving.api.ingress.access import needs
from serving.api.ingress.own_threads import run_long
from serving.api.schemas import Accepted, VideoAddress, VideoRequest
from serving.api.service import PartOfList, ProjectName, Service, ServiceDep
from serving.api.uploads import unfinished, video_form
from serving.archive import deletion
from serving.archive.room import require_room
from serving.archive.search.video_glances import find_videos_with, glance_at
from serving.archive.video_overview import VideoOverview
from serving.archive.videos import add_video, register_video
from serving.jobs import submit as submissions
from serving.jobs.submit import AddressedVideo
from serving.sources.local_file import LocalFile
from serving.sources.registry import check, find_source, resolve
from serving.sources.source import SourceContext
from serving.store.access_rows import Role
from serving.store.contract import Store
from serving.store.rows import VideoRow

router = APIRouter(tags=["videos"])

_COPY_BYTES = 1 << 20

_Request = TypeVar("_Request", bound=VideoRequest)


@router.post(
    "/projects/{project}/videos",
    status_code=202,
    openapi_extra={
        "requestBody": {
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {
                            "file": {"type": "string", "format": "binary"},
                            "settings": {"type": "string", "description": "VideoRequest as JSON"},
                        },
                    }
                },
                "application/json": {
                    "schema": {"type": "object", "required": ["uri"], "properties": {"uri": {"type": "string"}}}
                },
            }
        }
    },
)
async def submit_video(project: ProjectName, request: Request, service: ServiceDep) -> Accepted:
    """Submit a video as multipart ``file`` (with ``settings`` as JSON), or as JSON with a ``uri`` and the settings.

    A video that is not on this machine is fetched by the job, which says its id from then on.
    """
    settings: VideoRequest
    video: VideoRow | AddressedVideo
    if request.headers.get("content-type", "").startswith("application/json"):
        require_room(service.settings)
        settings = address = parse_settings(VideoAddress, await request.body())
        video = await run_long(
            "uploading", find_or_fetch, service, project, address.uri, _with_sampling(service, settings)
        )
    else:
        declared = request.headers.get("content-length", "0")
        require_room(service.settings, int(declared) if declared.isdecimal() else 0)
        async with video_form(request, service.archive.files.uploads) as form:
            upload = form.get("file")
            if not isinstance(upload, UploadFile):
                raise InputError("the form must have a 'file'")
            raw = form.get("settings")
            settings = parse_settings(VideoRequest, raw if isinstance(raw, str) and raw else "{}")
            video = await run_long(
                "uploading", _take_upload, service, project, upload, _with_sampling(service, settings)
            )
    job = await asyncio.to_thread(
        submissions.submit_video,
        service.archive.store,
        service.settings,
        video,
        settings.full_sampling(),
        max_false_names=settings.max_false_names,
        no_cache=settings.no_cache,
        priority=settings.priority,
        webhook=settings.webhook,
    )
    service.analyzer.wake.remote()
    return Accepted(job_id=job.job_id, video_id=job.video_id)


@router.get("/projects/{project}/videos")
def list_videos(
    project: ProjectName,
    service: ServiceDep,
    limit: PartOfList = None,
    after: Annotated[str | None, Query(description="A video: those that were submitted later.")] = None,
) -> list[dict[str, Any]]:
    """List the videos of a project, oldest first: how long each is, and which parts of it were analysed (null: all of it)."""
    last = None if after is None else service.archive.store.get_video(project, after)
    return _views(service.archive.store, project, service.archive.store.list_videos(project, after=last, limit=limit))


@router.get("/projects/{project}/glances")
def list_glances(
    project: ProjectName,
    service: ServiceDep,
    video: Annotated[list[str], Query(max_length=100, description="Ids of videos; those that are gone are left out.")],
    most: Annotated[int, Query(ge=0, le=20, description="So many people and strangers of each.")] = 4,
) -> list[VideoGlanceView]:
    """Show some videos at a glance: a picture of each, and who is seen longest in it."""
    return [VideoGlanceView.of(one, crop_address) for one in glance_at(service.archive, project, video, most)]


@router.get("/projects/{project}/videos-with")
def find_videos_by_names(
    project: ProjectName, service: ServiceDep, name: Annotated[str, Query(min_length=1, description="Part of a name.")]
) -> VideosWith:
    """Find the videos with people whose names have a text in them, whatever its accents and capitals."""
    wanted = folded(name)
    people = [one.person_id for one in service.archive.store.list_people(project) if wanted in folded(one.person_id)]
    video_ids, is_all = find_videos_with(service.archive.store, project, people)
    return VideosWith(video_ids=video_ids, people=people[:20], is_all=is_all)


@router.get("/projects/{project}/videos/{video_id}")
def get_video(project: ProjectName, video_id: str, service: ServiceDep) -> dict[str, Any]:
    """Describe a video: how long it is, and which parts of it were analysed (null: all of it)."""
    (view,) = _views(service.archive.store, project, [service.archive.store.get_video(project, video_id)])
    return view


@router.delete("/projects/{project}/videos/{video_id}", openapi_extra=needs(Role.ADMIN))
def delete_video(project: ProjectName, video_id: str, service: ServiceDep) -> dict[str, Any]:
    """Delete a video with its analyses, crops, drawn videos, and its upload unless another video has the same; return a receipt.

    Jobs about it are cancelled. A file that was submitted by its address stays where it is. Corrections that were made in it and
    faces that were enrolled from it stay with their people: they go when a person is forgotten.
    """
    return deletion.delete_video(service.archive, project, video_id).to_dict()


@router.get("/projects/{project}/videos/{video_id}/result", response_model=Result)
async def get_result(
    project: ProjectName,
    video_id: str,
    service: ServiceDep,
    samples: Annotated[
        bool, Query(description="False leaves the samples of tracks out; `.../boxes` gives what is drawn of them.")
    ] = True,
) -> Response:
    """Say who is in a video, when, and on what evidence."""
    answer = await service.classifier.result.remote(project, video_id, crop_address, samples)
    return Response(answer.unwrap(), media_type="application/json")


@router.get("/projects/{project}/videos/{video_id}/file", response_class=FileResponse)
def get_file(project: ProjectName, video_id: str, service: ServiceDep) -> FileResponse:
    """Return the video itself; byte ranges are answered."""
    video = service.archive.store.get_video(project, video_id)
    if not Path(video.file).is_file():
        raise NotFoundError(f"the file of video {video_id} is no longer there")
    return FileResponse(video.file, filename=video.name)


@router.get("/projects/{project}/videos/{video_id}/crops/{analysis_id}/{track_id}/{k}.jpg", response_class=FileResponse)
def get_crop(
    project: ProjectName,
    video_id: str,
    analysis_id: str,
    track_id: int,
    k: int,
    request: Request,
    service: ServiceDep,
) -> Response:
    """Return an aligned face of a track, the best being number 0."""
    analysis = service.archive.store.get_analysis(project, analysis_id)
    path = service.archive.files.track_crop(project, analysis.analysis_id, track_id, k)
    answer = answer_file(path, request, "image/jpeg", {"Cache-Control": "max-age=86400, immutable"})
    if analysis.video_id != video_id or answer is None:
        raise NotFoundError(f"video {video_id} has no crop {k} of track {track_id}")
    return answer


def parse_settings(kind: type[_Request], raw: str | bytes) -> _Request:
    """Read settings; raise `InputError` with the place of the first that cannot be."""
    try:
        settings = kind.model_validate_json(raw)
        settings.full_sampling()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["settings", *map(str, first["loc"])])
        raise InputError(f"{where}: {first['msg']}") from error
    return settings


def find_or_fetch(service: Service, project: str, uri: str, config: AnalysisConfig) -> VideoRow | AddressedVideo:
    """Return the video of an address: a file of this machine at once, and what a job is to fetch as that.

    Raises
    ------
    InputError
        If no source knows such addresses, or the file is in no folder that the operator opened.
    """
    check(uri, service.settings)
    if not isinstance(find_source(uri, service.settings), LocalFile):
        service.archive.store.get_project(project)
        return AddressedVideo(project, uri)
    resolved = resolve(uri, SourceContext(service.archive.files.media, service.settings))
    return add_video(service.archive, project, resolved, config)


def _with_sampling(service: Service, request: VideoRequest) -> AnalysisConfig:
    return service.settings.analysis.model_copy(update={"sampling": request.full_sampling()})


def _take_upload(service: Service, project: str, upload: UploadFile, config: AnalysisConfig) -> VideoRow:
    """Keep an upload under the name of its content; nothing is left of one that is no video."""
    upload.file.flush()
    file = Path(str(upload.file.name))
    named = file.with_name(file_name_of(upload.filename, "video"))
    video = _register(service, project, file.replace(named), config)
    while not Path(video.file).is_file():
        # Another project was deleted that had the same content, before this one's row could be seen. What is open is still there.
        with unfinished(service.archive.files.uploads) as folder:
            upload.file.seek(0)
            with (folder / named.name).open("wb") as target:
                shutil.copyfileobj(upload.file, target, _COPY_BYTES)
            video = _register(service, project, folder / named.name, config)
    return video


def _register(service: Service, project: str, file: Path, config: AnalysisConfig) -> VideoRow:
    files = service.archive.files
    with writing_to(files.uploads):
        return register_video(
            service.archive.store,
            project,
            file,
            config,
            name=file.name,
            place=lambda sha256: files.upload(sha256, file.suffix),
        )


def _views(store: Store, project: str, videos: Sequence[VideoRow]) -> list[dict[str, Any]]:
    latest = store.latest_analyses(project)
    wanted = [latest[video.video_id] for video in videos if video.video_id in latest]
    analyses = {row.video_id: row for row in store.list_analyses(project, wanted)}
    shown = (
        "video_id",
        "name",
        "sha256",
        "created_at",
        "duration_s",
        "analysed",
        "fragments",
        "catalogue",
        "file_there",
    )
    found = [VideoOverview(video, analyses.get(video.video_id)).to_dict() for video in videos]
    return [{name: one[name] for name in shown} for one in found]

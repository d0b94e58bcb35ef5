"""The predecessor's API, for its clients as they are: its paths, parameters and fields, at the root of the service.

Its requests that change something are GET requests, which any web page can have a visitor's browser send. They are answered where
``FACEREC_LEGACY_API`` says so alone, and a request that a browser sends for a foreign page is refused, see `check_sender`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated, Any
from urllib.parse import quote, unquote, urlsplit

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import TypeAdapter, ValidationError

from facerec_models.catalogue import Catalogue
from facerec_models.config import SamplingConfig, TrainingConfig
from facerec_models.errors import (
    BusyError,
    ClosedPlaceError,
    FacerecError,
    InputError,
    ModelNotFoundError,
    NotFoundError,
    PersonNotFoundError,
    VideoNotFoundError,
    VideoOpenError,
)
from facerec_models.names import DEFAULT_PROJECT, check_project_name, identity_of, local_path, person_id_of, short_id
from facerec_models.result import Result
from serving.api.addresses import crop_address
from serving.api.file_answer import answer_file
from serving.api.ingress.access import needs
from serving.api.ingress.guards import check_sender
from serving.api.ingress.own_threads import run_long
from serving.api.legacy.records import metadata_record, stranger_records, track_records
from serving.api.playback import prepare_playback
from serving.api.service import CallerDep, Service, ServiceDep
from serving.api.videos import find_or_fetch
from serving.archive.access.callers import Caller
from serving.archive.exporting import write_document
from serving.archive.ids import find_video
from serving.archive.naming.enable import judge_by_hand
from serving.archive.naming.one_video import stored_result
from serving.archive.projects import begin_project
from serving.archive.search.people_and_faces import search_people
from serving.archive.videos import register_video, video_file
from serving.exports.export_format import ExportFormat
from serving.jobs.crawl import check_source
from serving.jobs.submit import AddressedVideo, submit_video
from serving.sources.graph import describe, locate
from serving.store.access_rows import Role
from serving.store.contract import Store
from serving.store.job_rows import Job, JobState
from serving.store.naming_rows import AppearanceQuery
from serving.store.rows import Face, FaceStatus, VideoRow

router = APIRouter(tags=["predecessor"], include_in_schema=False)

_LEAST_CONFIDENCE = 0.6
_MOST_APPEARANCES = 1000
_CRAWLED = 20
# So long a client waits for a rendition.
_PATIENCE_S = 20.0
# The request for its track may come a little later.
_GRACE_S = 2.0
_PERIOD_S = 0.25
# Of a web address, those that need not be fetched first to know that they play.
_PLAYED_ENDINGS = (".mp4", ".m4v", ".webm")
_SHOWN = 200
_ADDRESSES = TypeAdapter(list[str])
_FACE = re.compile(r"training_img_aligned/(?P<project>[^/]+)/(?P<person>[^/]+)/(?P<face>f-[a-z2-7]+)\.jpg$")
_OWN_FILE = re.compile(r"/v1/projects/(?P<project>[^/]+)/videos/(?P<video>[^/]+)/(?:file|playable\.mp4)(?:\?|$)")

Project = Annotated[str, Query()]
VideoQuery = Annotated[str, Query(min_length=1, max_length=4000)]
CheckedSender = Depends(check_sender)


@router.get("/projects")
def list_projects(service: ServiceDep, caller: CallerDep) -> list[str]:
    """Return the names of the projects, those with people first: the client takes the first, and asks for ever where there is none."""
    store = service.archive.store
    names = _seen(service, caller)
    return sorted(names, key=lambda name: (not store.list_people(name), name)) or [DEFAULT_PROJECT]


@router.get("/training-set")
def list_training_set(service: ServiceDep, project: Project = DEFAULT_PROJECT) -> list[dict[str, Any]]:
    """Return the pictures of each person, disabled ones too; their paths are relative to the service's address."""
    found: dict[str, list[str]] = {}
    for face in _faces(service, project):
        found.setdefault(identity_of(face.person_id), []).append(_picture_path(face))
    return [{"class": name, "path": paths} for name, paths in found.items()]


@router.get("/training_img_aligned/{project}/{person}/{face_id}.jpg")
def get_picture(project: str, person: str, face_id: str, request: Request, service: ServiceDep) -> Response:
    """Return an aligned face."""
    if _FACE.search(f"training_img_aligned/{project}/{person}/{face_id}.jpg"):
        answer = answer_file(
            service.archive.files.face_crop(check_project_name(project), face_id), request, "image/jpeg"
        )
        if answer is not None:
            return answer
    raise NotFoundError(f"project {project!r} has no face {face_id!r} of {person!r}")


@router.get("/disabled/{project}")
def list_disabled(project: str, service: ServiceDep) -> list[str]:
    """Return the pictures that are not learned from: what the client turns into addresses equal to those of the training set."""
    return [f"data/{_picture_path(face)}" for face in _faces(service, project) if face.status is FaceStatus.DISABLED]


@router.post("/disabled/{project}")
async def set_disabled(project: str, request: Request, service: ServiceDep) -> dict[str, Any]:
    """Disable exactly the pictures of a list, and enable all others."""
    return await run_long("changing", _disable_listed, service, project, await request.body())


@router.get("/crawler", dependencies=[CheckedSender], openapi_extra=needs(Role.CURATE))
def crawl(service: ServiceDep, caller: CallerDep, q: str, project: Project = DEFAULT_PROJECT) -> dict[str, Any]:
    """Collect pictures of people, as jobs."""
    started = time.perf_counter()
    people = [person_id_of(name) for name in q.split(";") if name.strip()]
    if not people:
        raise InputError(f"q {q!r} names nobody: give names with semicolons between them")
    store = service.archive.store
    if project not in {one.name for one in store.list_projects()}:
        caller.require(Role.ADMIN, project)
        begin_project(store, project, service.settings.keeping.max_projects)
    for person_id in people:
        check_source("bing", person_id, service.settings)
    wanted = {"source": "bing", "max_num": _CRAWLED, "discard_multi_face": False}
    jobs = [service.submit(project, "crawl", {"person_id": one, **wanted}).job_id for one in people]
    return _task("crawl", started, jobs)


@router.get("/train/{project}", dependencies=[CheckedSender], openapi_extra=needs(Role.CURATE))
def train(project: str, service: ServiceDep) -> dict[str, Any]:
    """Train a model of a project's people, as a job."""
    started = time.perf_counter()
    service.archive.store.get_project(project)
    return _task("train", started, [service.submit(project, "training", TrainingConfig().model_dump()).job_id])


@router.get("/track", dependencies=[CheckedSender], openapi_extra=needs(Role.CURATE))
def track(
    request: Request,
    service: ServiceDep,
    caller: CallerDep,
    video: VideoQuery,
    project: Project = DEFAULT_PROJECT,
    speedup: Annotated[int, Query(ge=1, le=10_000)] = 25,
    no_cache: bool = False,
    form: Annotated[str, Query(alias="format", pattern="^(json|ttl)$")] = "json",
) -> Response:
    """Return who is in a video, or begin to find that out: asked again, it says how far that is."""
    store = service.archive.store
    if project == DEFAULT_PROJECT:
        store.create_project(project)
    store.get_project(project)
    if own := _OWN_FILE.search(video):
        caller.require(Role.READ, own["project"])
    known = _find(service, project, video)
    job = _active_job(service, project, video, known)
    if job is None and (no_cache or known is None or not _has_result(store, known)):
        failed = None if no_cache else _failed_job(service, project, video, known)
        if failed is not None:
            error = failed.error and service.redaction.redact(failed.error)
            return JSONResponse({"locator": video, "project": project, "status": "ERROR", "error": error})
        target = known or _begin(service, project, video)
        if no_cache or isinstance(target, AddressedVideo) or not _has_result(store, target):
            job = _submit(service, target, video, speedup, no_cache=no_cache)
        known = target if isinstance(target, VideoRow) else None
    if job is not None or known is None:
        if job is not None and job.video_id is not None:
            # It is here: what plays of it is made meanwhile. Where that cannot be, who asks for it is told.
            with suppress(VideoOpenError, BusyError):
                prepare_playback(service, store.get_video(project, job.video_id))
        return JSONResponse({"locator": video, "project": project, "status": "RUNNING"})
    if form == "ttl":
        pieces = write_document(service.archive, service.settings.exports, [known], ExportFormat.TURTLE, crop_address)
        return Response(b"".join(pieces), media_type="text/turtle; charset=utf-8")
    result = stored_result(service.archive, project, known.video_id, crop_address)
    return JSONResponse(_answer(request, known, result))


@router.get("/get_locator")
def get_locator(request: Request, service: ServiceDep, caller: CallerDep, video: VideoQuery) -> PlainTextResponse:
    """Return the address under which a video plays, as text.

    The client asks once, at the same time as for the track: of a video that is just being registered or fetched, it waits a little.
    """
    if _find_anywhere(service, caller, video) is None and (located := locate(video, service.settings)) is not None:
        return PlainTextResponse(located)
    is_web = video.startswith(("http://", "https://"))
    plays = is_web and PurePosixPath(urlsplit(video).path).suffix.lower() in _PLAYED_ENDINGS
    started = time.monotonic()
    waits_s = 0.0 if plays else _PATIENCE_S
    while True:
        if (known := _find_anywhere(service, caller, video)) is not None:
            try:
                _wait_for_playback(service, known, started + _PATIENCE_S)
            except VideoOpenError:
                if known.uri.startswith(("http://", "https://")):  # what was fetched has made room for others
                    return PlainTextResponse(known.uri)
                raise
            return PlainTextResponse(_playable(request, known))
        if time.monotonic() >= started + (waits_s if _may_come(service, caller, video) else min(waits_s, _GRACE_S)):
            break
        time.sleep(_PERIOD_S)
    if is_web:
        return PlainTextResponse(video)
    raise VideoNotFoundError(f"no project has the video {video!r}: ask for /track first")


@router.get("/get_metadata")
def get_metadata(service: ServiceDep, caller: CallerDep, video: VideoQuery) -> dict[str, Any]:
    """Return what the catalogue says of a video; nothing of each where there is none."""
    known = _find_anywhere(service, caller, video)
    if known is not None and known.catalogue is not None:
        return metadata_record(Catalogue(**known.catalogue))
    return metadata_record(describe(video, service.settings) or Catalogue(uri=video))


@router.get("/appearance/{person}")
def list_appearances(
    person: str, request: Request, service: ServiceDep, project: Project = DEFAULT_PROJECT
) -> list[dict[str, Any]]:
    """Return where a person appears with a confidence of .6 or more."""
    archive = service.archive
    try:
        page = search_people(
            archive,
            project,
            [person_id_of(person)],
            AppearanceQuery(),
            min_probability=_LEAST_CONFIDENCE,
            limit=_MOST_APPEARANCES,
        )
    except (PersonNotFoundError, ModelNotFoundError):
        return []
    videos = {row.video_id: row for row in archive.store.find_videos(project, [hit.row.video_id for hit in page.hits])}
    return [
        {
            "name": hit.label,
            "project": project,
            "locator": _locator(request, videos[hit.row.video_id]),
            "video": hit.video,
            "confidence": round(hit.figure.probability, 4),
            "start_npt": round(hit.row.start_s, 3),
            "end_npt": round(hit.row.end_s, 3),
            "track_id": hit.row.track_ids[0],
            "merged_tracks": list(hit.row.track_ids),
        }
        for hit in page.hits
        if hit.row.video_id in videos
    ]


def _answer(request: Request, video: VideoRow, result: Result) -> dict[str, Any]:
    locator = _locator(request, video)
    catalogue = {} if result.video.catalogue is None else metadata_record(result.video.catalogue)
    return {
        **catalogue,
        "locator": locator,
        "project": result.project,
        "status": "COMPLETE",
        "tracks": list(track_records(result, locator)),
        "feat_clusters": list(stranger_records(result, locator)),
    }


def _find(service: Service, project: str, video: str) -> VideoRow | None:
    """Return the video of a project that has this address, id or name, that answers of this service call so, or that was fetched so."""
    store = service.archive.store
    with suppress(VideoNotFoundError):
        if own := _OWN_FILE.search(video):
            return store.get_video(project, own["video"]) if own["project"] == project else None
        job = store.find_job(_key(project, video))
        if job is not None and job.video_id is not None:
            return store.get_video(project, job.video_id)
        return find_video(store, project, video)
    return None


def _find_anywhere(service: Service, caller: Caller, video: str) -> VideoRow | None:
    found = (_find(service, project, video) for project in _seen(service, caller))
    return next((row for row in found if row is not None), None)


def _key(project: str, video: str) -> str:
    return short_id("k", "track", project, video)


def _begin(service: Service, project: str, video: str) -> VideoRow | AddressedVideo:
    """Return the video of an address, added to the project, or what a job is to fetch as that."""
    store, config = service.archive.store, service.settings.analysis
    if own := _OWN_FILE.search(video):
        row = store.get_video(own["project"], own["video"])
        catalogue = None if row.catalogue is None else Catalogue(**row.catalogue)
        return register_video(store, project, video_file(row), config, uri=row.uri, name=row.name, catalogue=catalogue)
    return find_or_fetch(service, project, _address(service, video), config)


def _submit(service: Service, target: VideoRow | AddressedVideo, video: str, speedup: int, *, no_cache: bool) -> Job:
    store, key = service.archive.store, _key(target.project, video)
    if (former := store.find_job(key)) is not None:
        store.update_job(former.job_id, lambda row: replace(row, key=None))
    sampling = SamplingConfig(period_frames=speedup)
    job = submit_video(store, service.settings, target, sampling, no_cache=no_cache, key=key)
    service.analyzer.wake.remote()
    return job


def _address(service: Service, video: str) -> str:
    """Return the address of a video: a name is sought in the folders that are open."""
    if "://" in video:
        return video
    for root in service.settings.media_roots:
        with suppress(ClosedPlaceError, OSError):  # no name of a file at all, or one that leads out of the folder
            file = service.settings.require_open(root / video, video)
            if file.is_file():
                return file.as_uri()
    raise VideoNotFoundError(
        f"there is no video {video[:_SHOWN]!r}: give its address, or put it into a folder of FACEREC_MEDIA_ROOTS"
    )


def _may_come(service: Service, caller: Caller, video: str) -> bool:
    """Whether a video may just be being registered or fetched."""
    if "://" in video and not video.startswith("file:"):
        return any(_active_job(service, one, video, None) for one in _seen(service, caller))
    with suppress(FacerecError):
        return local_path(_address(service, video)).is_file()
    return False


def _seen(service: Service, caller: Caller) -> list[str]:
    """Return the names of the projects that the caller may know of."""
    return [one.name for one in service.archive.store.list_projects() if caller.sees(one.name)]


def _has_result(store: Store, video: VideoRow) -> bool:
    analysis_id = store.latest_analyses(video.project).get(video.video_id)
    return analysis_id is not None and bool(store.list_named(video.project, [analysis_id]))


def _active_job(service: Service, project: str, address: str, known: VideoRow | None) -> Job | None:
    found = service.archive.store.list_jobs(project, [JobState.QUEUED, JobState.RUNNING])
    return _last_about(found, address, known)


def _failed_job(service: Service, project: str, address: str, known: VideoRow | None) -> Job | None:
    return _last_about(service.archive.store.list_jobs(project, [JobState.FAILED]), address, known)


def _last_about(jobs: Sequence[Job], address: str, known: VideoRow | None) -> Job | None:
    about = [
        job
        for job in jobs
        if job.kind in ("video", "fetch")
        and (job.spec.get("uri") == address or (known is not None and job.video_id == known.video_id))
    ]
    return about[-1] if about else None


def _faces(service: Service, project: str) -> list[Face]:
    """Return the faces that a person has to judge, by person: those in whose pictures one was found."""
    faces = service.archive.store.list_faces(check_project_name(project))
    return [face for face in faces if face.crop is not None and face.status is not FaceStatus.REFUSED]


def _picture_path(face: Face) -> str:
    return f"training_img_aligned/{face.project}/{quote(face.person_id)}/{face.face_id}.jpg"


def _face_id(project: str, address: str) -> str:
    found = _FACE.search(unquote(address))
    if found is None or found["project"] != project:
        raise InputError(f"{address!r} is no address of a picture of project {project!r}: give those of /training-set")
    return found["face"]


def _disable_listed(service: Service, project: str, body: bytes) -> dict[str, Any]:
    try:
        addresses = _ADDRESSES.validate_json(body, strict=True)
    except ValidationError as error:
        raise InputError("the body must be a JSON list of pictures' addresses") from error
    return _disable(service, project, {_face_id(project, one) for one in addresses if one})


def _disable(service: Service, project: str, wanted: set[str]) -> dict[str, Any]:
    """Make these pictures, and no others, those that are not learned from, as one edit."""
    status = {face.face_id: face.status for face in _faces(service, project)}
    if gone := sorted(wanted - status.keys()):
        raise NotFoundError(f"project {project!r} has no face {gone[0]!r}: reload the page")
    disabled = {face_id for face_id, one in status.items() if one is FaceStatus.DISABLED}
    if changed := {face_id: face_id not in wanted for face_id in sorted(wanted ^ disabled)}:
        judge_by_hand(service.archive, project, changed)
    return {"disabled": len(wanted - disabled), "enabled": len(disabled - wanted)}


def _locator(request: Request, video: VideoRow) -> str:
    """Return the address that a video is known by: its own on the web, otherwise the one that this service gives it out under."""
    return video.uri if video.uri.startswith(("http://", "https://")) else _playable(request, video)


def _playable(request: Request, video: VideoRow) -> str:
    return f"{request.base_url}v1/projects/{video.project}/videos/{video.video_id}/playable.mp4"


def _wait_for_playback(service: Service, video: VideoRow, deadline: float) -> None:
    """Have a video that browsers do not play made into one that they do, and wait a little for that."""
    while prepare_playback(service, video).state == "making" and time.monotonic() < deadline:
        time.sleep(_PERIOD_S)


def _task(task: str, started: float, jobs: Sequence[str]) -> dict[str, Any]:
    return {
        "task": task,
        "time": datetime.now(UTC).isoformat(),
        "execution_time": round(time.perf_counter() - started, 3),
        "status": "ok",
        "jobs": list(jobs),
    }

"""Exports: results in other forms, of one video, of several, or of a project."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse

from facerec_models.errors import InputError, NotFoundError, VideoNotFoundError
from facerec_models.files import AnyPath, local_target
from facerec_models.result import Result
from serving.api.addresses import crop_address
from serving.api.file_answer import answer_file, stream_zip
from serving.api.ingress.own_threads import run_long
from serving.api.service import ProjectName, Service, ServiceDep
from serving.archive.exporting import analysed_videos, file_names, write_document
from serving.archive.videos import video_file
from serving.exports.annotated import only_part, write_annotated
from serving.exports.export_format import ExportFormat
from serving.exports.formats import FORMATS, DocumentFormat
from serving.store.rows import VideoRow

router = APIRouter(tags=["exports"])

# What OpenAPI says of the answers: their type is the format's.
_FORM_TYPES = {form.media_type.partition(";")[0] for form in FORMATS.values()}


def _answers(*types: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "The document.", "content": {one: {} for one in sorted(types)}}}


FormatQuery = Annotated[ExportFormat, Query(alias="format", description="What it is written as.")]


@router.get("/projects/{project}/export", response_class=Response, responses=_answers(*_FORM_TYPES, "application/zip"))
def export_project(
    project: ProjectName,
    service: ServiceDep,
    export_format: FormatQuery,
    video: Annotated[list[str] | None, Query(description="Ids of videos; without any, all that have a result.")] = None,
) -> Response:
    """Return the results of many videos: in one document where the form holds many, otherwise as a ZIP with one for each."""
    form = _document_format(export_format)
    archive = service.archive
    named = dict.fromkeys(video or [])
    videos = [archive.store.get_video(project, one) for one in named] or analysed_videos(archive, project)
    if not videos:
        raise VideoNotFoundError(f"project {project!r} has no video with a result: submit one")
    if form.holds_many:
        return _answer(_begun(_write(service, videos, export_format)), form, f"{project}{form.ending}")
    names = file_names(videos, form.ending)
    files = ((name, _write(service, [row], export_format)) for name, row in zip(names, videos, strict=True))
    headers = {"content-disposition": f'attachment; filename="{project}-{export_format}.zip"'}
    return StreamingResponse(_begun(stream_zip(files)), media_type="application/zip", headers=headers)


@router.get("/projects/{project}/videos/{video_id}/result.csv", response_class=Response, responses=_answers("text/csv"))
def get_table(project: ProjectName, video_id: str, service: ServiceDep) -> Response:
    """Return the appearances as a table."""
    return _export(service, project, video_id, ExportFormat.CSV)


@router.get(
    "/projects/{project}/videos/{video_id}/export",
    response_class=Response,
    responses=_answers(*_FORM_TYPES, "video/mp4"),
)
async def export_video(
    project: ProjectName, video_id: str, request: Request, service: ServiceDep, export_format: FormatQuery
) -> Response:
    """Return the result in another form."""
    if export_format is ExportFormat.ANNOTATED:
        return await get_annotated(project, video_id, request, service)
    return await run_long("exporting", _export, service, project, video_id, export_format)


@router.get("/projects/{project}/videos/{video_id}/annotated.mp4", response_class=FileResponse)
async def get_annotated(
    project: ProjectName,
    video_id: str,
    request: Request,
    service: ServiceDep,
    start_s: Annotated[float | None, Query(ge=0, description="Only from here, in seconds.")] = None,
    end_s: Annotated[float | None, Query(gt=0, description="Only to here.")] = None,
) -> Response:
    """Return the video, or a part of it, with boxes and names; drawn when it is first asked for. Byte ranges are answered."""
    result = await service.classifier.result.remote(project, video_id, crop_address)
    found = Result.model_validate_json(result.unwrap())
    if start_s is not None or end_s is not None:
        found = only_part(found, start_s or 0.0, found.video.duration_s if end_s is None else end_s)
    path = await run_long("drawing", _draw, service, project, found)
    answer = await asyncio.to_thread(answer_file, path, request, "video/mp4")
    if answer is None:
        raise NotFoundError(f"the annotated video {video_id} was removed just now: ask again")
    return answer


def _document_format(export_format: ExportFormat) -> DocumentFormat:
    if export_format not in FORMATS:
        raise InputError(
            f"format {export_format.value!r} is of one video: ask for /v1/projects/.../videos/.../annotated.mp4"
        )
    return FORMATS[export_format]


def _export(service: Service, project: str, video_id: str, export_format: ExportFormat) -> Response:
    form, video = _document_format(export_format), service.archive.store.get_video(project, video_id)
    (name,) = file_names([video], form.ending)
    return _answer(_begun(_write(service, [video], export_format)), form, name)


def _write(service: Service, videos: Sequence[VideoRow], export_format: ExportFormat) -> Iterator[bytes]:
    return write_document(service.archive, service.settings.exports, videos, export_format, crop_address)


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Write the first piece now: what is wrong with the request is an answer of its own, and not half a document."""
    first = next(pieces, b"")

    def everything() -> Iterator[bytes]:
        yield first
        yield from pieces

    return everything()


def _answer(pieces: Iterator[bytes], form: DocumentFormat, name: str) -> Response:
    plain = name.encode("ascii", "replace").decode().replace('"', "_")
    headers = {"content-disposition": f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"}
    return StreamingResponse(pieces, media_type=form.media_type, headers=headers)


def _draw(service: Service, project: str, found: Result) -> AnyPath:
    """Return the annotated video of a result, drawn once for each analysis and what it is named."""
    video = service.archive.store.get_video(project, found.video.id)
    analysis = service.archive.store.latest_analysis(project, video.video_id)
    (named,) = service.archive.store.list_named(project, [analysis.analysis_id])
    parts = "".join(f"-{start_s:g}-{end_s:g}" for start_s, end_s in found.sampling.fragments or ())
    path = service.archive.files.analysis(project, analysis.analysis_id) / f"annotated-{named.version}{parts}.mp4"
    if not path.is_file():
        with local_target(path, service.archive.files.root) as target:
            write_annotated(found, video_file(video), target, service.settings.analysis.limits, is_private=True)
    return path

"""Many fragments of videos at once."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, File, Form, UploadFile

from facerec_models.errors import ClosedPlaceError, FacerecError, InputError, VideoNotFoundError
from facerec_models.names import person_id_of
from serving.api.schemas import BatchItem, VideoRequest
from serving.api.service import ProjectName, Service, ServiceDep
from serving.api.uploads import bounded_route, of_a_table
from serving.api.videos import find_or_fetch, parse_settings
from serving.archive.ids import find_video
from serving.archive.room import require_room
from serving.jobs.submit import AddressedVideo, submit_video
from serving.store.rows import VideoRow
from training.batch_table import read_batch

router = APIRouter(tags=["videos"], route_class=bounded_route(of_a_table))

_MAX_TABLE_BYTES = 16 * 2**20


@router.post("/projects/{project}/batches", status_code=202)
def submit_batch(
    project: ProjectName,
    file: Annotated[UploadFile, File(description="CSV of media,start,end,person")],
    service: ServiceDep,
    settings: Annotated[str, Form(description="VideoRequest as JSON, for all lines; without a fragment")] = "{}",
) -> list[BatchItem]:
    """Queue a job for each line of a table of media,start,end,person; the same table again means the same jobs.

    A medium is the id or the name of a video of the project, an address that can be fetched, or the path or ``file://`` address of a
    file on the service's machine, below one of the folders that the operator opened with ``FACEREC_MEDIA_ROOTS``. A line that cannot
    be queued has an error, and the others are queued; send the table again once it is mended. Each result is at
    ``/v1/jobs/{job_id}/result``; where a line names a person, its ``asked_for`` says whether and when they were found.
    """
    wanted = parse_settings(VideoRequest, settings)
    if wanted.fragment is not None or wanted.sampling.fragment is not None:
        raise InputError("settings.fragment: the lines say from when to when")
    content = file.file.read(_MAX_TABLE_BYTES + 1)
    name = Path(file.filename or "batch.csv").name
    if len(content) > _MAX_TABLE_BYTES:
        raise InputError(f"{name!r} is larger than {_MAX_TABLE_BYTES} bytes: divide it")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name!r} cannot be read as CSV: {error}") from error
    require_room(service.settings)
    service.archive.store.get_project(project)
    videos: dict[str, VideoRow | AddressedVideo | str] = {}
    items = []
    for row in read_batch(io.StringIO(text, newline=""), name):
        if row.media not in videos:
            videos[row.media] = _find(service, project, row.media)
        video = videos[row.media]
        start_s, end_s = row.fragment or (None, None)
        item = BatchItem(
            line=row.line, media=row.media, start_s=start_s, end_s=end_s, person=row.person,
            job_id=None, video_id=None, error=None,
        )  # fmt: skip
        items.append(item)
        if isinstance(video, str):
            item.error = f"{name}, line {row.line}: {video}"
            continue
        try:
            job = submit_video(
                service.archive.store,
                service.settings,
                video,
                wanted.model_copy(update={"fragment": row.fragment}).full_sampling(),
                max_false_names=wanted.max_false_names,
                no_cache=wanted.no_cache,
                priority=wanted.priority,
                webhook=wanted.webhook,
                one_of_many=True,
                person_id=None if row.person is None else person_id_of(row.person),
            )
        except FacerecError as error:
            item.error = service.redaction.redact(f"{name}, line {row.line}: {error}")
        else:
            item.job_id, item.video_id = job.job_id, job.video_id
    service.analyzer.wake.remote()
    return items


def _find(service: Service, project: str, media: str) -> VideoRow | AddressedVideo | str:
    """Return the video that a line is about, or why there is none."""
    try:
        if "://" not in media and not media.startswith("/"):
            return find_video(service.archive.store, project, media)
        uri = media if "://" in media else Path(media).as_uri()
        return find_or_fetch(service, project, uri, service.settings.analysis)
    except (VideoNotFoundError, ClosedPlaceError):
        return (
            f"{media!r} is no video of project {project!r}, and no file that the service may read: give the id or the name of a video "
            "of the project, or the path or file:// address of a file in a folder that FACEREC_MEDIA_ROOTS names, or a web address"
        )
    except FacerecError as error:
        return service.redaction.redact(str(error))

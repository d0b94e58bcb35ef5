"""Long work: how far it is, and how to stop it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from facerec_models.errors import ProjectNotFoundError
from facerec_models.names import identity_of
from facerec_models.result import Result
from serving.api.addresses import crop_address
from serving.api.found import FoundPartView, FoundSoFarView, FoundTrack, RunningVideo
from serving.api.schemas import JobView
from serving.api.service import CallerDep, NewestFirst, PartOfList, Service, ServiceDep
from serving.archive.asked_for import with_asked
from serving.archive.former_names import name_now
from serving.archive.room import why_jobs_wait
from serving.jobs import submit as submissions
from serving.jobs.found_so_far import list_found, read_found
from serving.jobs.name_again import change_of, is_naming
from serving.jobs.submit import analysis_of
from serving.sources.addresses import shown
from serving.store import leases
from serving.store.access_rows import EVERY_PROJECT
from serving.store.job_rows import Job, JobState
from serving.store.lookups import no_job

router = APIRouter(tags=["jobs"])

_EVENT_PERIOD_S = 0.5
# Below Serve's own limit on a request, which cuts a stream off silently.
_MAX_EVENTS = 7200


@router.get("/jobs")
def list_jobs(
    service: ServiceDep,
    caller: CallerDep,
    project: str | None = None,
    state: JobState | None = None,
    limit: PartOfList = None,
    after: Annotated[str | None, Query(description="A job: those that come after it.")] = None,
    newest_first: NewestFirst = False,
) -> list[JobView]:
    """List jobs, oldest first unless told otherwise: of a project, or of all that the caller may know of."""
    store = service.archive.store
    last = None if after is None else store.get_job(after)
    if last is not None and not caller.sees(last.project):
        raise no_job(str(after))
    states = [state] if state else []
    if project is not None or caller.sees(EVERY_PROJECT):
        return _views(service, store.list_jobs(project, states, after=last, limit=limit, newest_first=newest_first))
    seen = [one.name for one in store.list_projects() if caller.sees(one.name)]
    found = [
        job for one in seen for job in store.list_jobs(one, states, after=last, limit=limit, newest_first=newest_first)
    ]
    found.sort(key=lambda job: (job.created_at, job.job_id), reverse=newest_first)
    return _views(service, found[:limit])


@router.get("/jobs/{job_id}")
def get_job(job_id: str, service: ServiceDep) -> JobView:
    """Say how far a job is."""
    (view,) = _views(service, [service.archive.store.get_job(job_id)])
    return view


@router.post("/jobs/{job_id}/cancel")
def cancel_job(job_id: str, service: ServiceDep) -> JobView:
    """End a queued job, ask a running one to stop, leave a finished one."""
    (view,) = _views(service, [leases.cancel(service.archive.store, job_id)])
    return view


@router.post("/jobs/{job_id}/retry", status_code=202)
def retry_job(job_id: str, service: ServiceDep) -> JobView:
    """Queue a failed or cancelled job again; what was done of its segments stays done."""
    job = submissions.retry(service.archive.store, job_id)
    service.analyzer.wake.remote()
    (view,) = _views(service, [job])
    return view


@router.get("/jobs/{job_id}/result", response_model=Result | dict[str, Any])
async def job_result(job_id: str, service: ServiceDep) -> Response:
    """Return who is in what a job analysed, as the archive is named now; later jobs of the same video do not matter.

    Where the job is a line of a batch that names a person, ``asked_for`` says whether and when they were found. Of a job that named
    the archive again it is what that has changed, as the preview shows it.
    """
    job = await asyncio.to_thread(service.archive.store.get_job, job_id)
    if is_naming(job):
        return JSONResponse(await asyncio.to_thread(change_of, service.archive, job))
    analysis = await asyncio.to_thread(analysis_of, service.archive.store, job, service.settings)
    answer = await service.classifier.result_of.remote(analysis, crop_address)
    text: str = answer.unwrap()
    if (given := job.spec.get("person_id")) is not None:
        person_id = await asyncio.to_thread(name_now, service.archive.store, job.project, given, job.created_at)
        found = Result.model_validate_json(text)
        text = (await asyncio.to_thread(with_asked, service.archive.store, found, [person_id])).to_json()
    return Response(text, media_type="application/json")


@router.get("/jobs/{job_id}/found")
def list_found_parts(job_id: str, service: ServiceDep) -> FoundSoFarView:
    """Say which parts of its video a job has searched, while it is at work: what is found there is not final."""
    job = service.archive.store.get_job(job_id)
    video, parts = list_found(service.archive.files, job.project, job.job_id)
    return FoundSoFarView(
        video=None if video is None else RunningVideo(**video), parts=[FoundPartView(**asdict(one)) for one in parts]
    )


@router.get(
    "/jobs/{job_id}/found/{part}",
    response_model=list[FoundTrack],
    responses={204: {"description": "The part is gone: the job has ended, or began anew."}},
)
def get_found_part(
    job_id: str, part: Annotated[str, Path(pattern=r"^[0-9]{1,9}-[0-9]{1,9}$")], service: ServiceDep
) -> Response:
    """Return the faces that a job has found in a part of its video; a part does not change, and goes when the job ends (204)."""
    job = service.archive.store.get_job(job_id)
    found = read_found(service.archive.files, job.project, job.job_id, part)
    if found is None:
        return Response(status_code=204)
    return Response(found, media_type="application/json")


@router.get("/jobs/{job_id}/log", response_class=PlainTextResponse)
def job_log(job_id: str, service: ServiceDep) -> str:
    """Return the log of what computes in a process of its own, line by line; empty before it begins, and of other jobs."""
    job = service.archive.store.get_job(job_id)
    path = service.archive.files.job_log(job.project, job.job_id)
    # Its lines are written by another process, which takes nothing out of them.
    return service.redaction.redact(path.read_text(encoding="utf-8")) if path.is_file() else ""


@router.get(
    "/jobs/{job_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Events, the last of which is the end."}},
)
async def job_events(job_id: str, service: ServiceDep) -> StreamingResponse:
    """Send a job's changes as server-sent events; the last is ``event: end``, and a stream without it was cut off."""
    first = await asyncio.to_thread(service.archive.store.get_job, job_id)

    async def events() -> AsyncIterator[str]:
        job, shown = first, ""
        for _ in range(_MAX_EVENTS):
            (shown_now,) = _views(service, [job])
            view = shown_now.model_dump_json()
            if view != shown:
                yield f"event: job\ndata: {view}\n\n"
                shown = view
            if job.state.is_final:
                break
            await asyncio.sleep(_EVENT_PERIOD_S)
            job = await asyncio.to_thread(service.archive.store.get_job, job_id)
        yield f"event: end\ndata: {shown}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


def _views(service: Service, found: Sequence[Job]) -> list[JobView]:
    """Show jobs; those that have not ended say why they wait, where their own rows cannot: on a full disk nothing is written."""
    views = [JobView.of(job, service.redaction.redact) for job in found]
    titles = _titles(service, found)
    for view in views:
        view.about = titles.get(view.job_id)
    waiting = [view for view in views if not JobState(view.state).is_final and view.error is None]
    if waiting and (why := why_jobs_wait(service.settings)) is not None:
        for view in waiting:
            view.error = why
    return views


def _titles(service: Service, found: Sequence[Job]) -> dict[str, str]:
    """Return what jobs are about, by their ids."""
    of_videos: dict[str, dict[str, str]] = {}
    for project in {job.project for job in found}:
        ids = sorted({job.video_id for job in found if job.project == project and job.video_id is not None})
        with suppress(ProjectNotFoundError):  # it was deleted just now
            of_videos[project] = {row.video_id: row.name for row in service.archive.store.find_videos(project, ids)}
    titles: dict[str, str | None] = {}
    for job in found:
        if job.video_id is not None:
            titles[job.job_id] = of_videos.get(job.project, {}).get(job.video_id)
        elif job.kind == "crawl":
            titles[job.job_id] = identity_of(job.spec.get("person_id"))
        elif job.kind == "fetch":
            titles[job.job_id] = service.redaction.redact(shown(job.spec.get("uri") or ""))
    return {job_id: title for job_id, title in titles.items() if title}

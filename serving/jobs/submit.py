"""Submit video jobs, reuse equal ones, and find a job's analysis."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from facerec_models.config import AnalysisConfig, SamplingConfig
from facerec_models.errors import ConflictError, NotFoundError, VideoNotFoundError
from facerec_models.names import short_id
from serving.archive.coverage import JOINED
from serving.archive.learning.loaded_models import promoted_version
from serving.archive.videos import analyses_of
from serving.jobs import runner as jobs
from serving.jobs.webhooks import check_webhook
from serving.settings import Settings
from serving.store import leases
from serving.store.contract import Store
from serving.store.job_rows import Job, JobState
from serving.store.rows import AnalysisRow, VideoRow
from serving.telemetry.traces import PARENT


@dataclass(frozen=True, slots=True)
class AddressedVideo:
    """A video that is still to be fetched.

    Parameters
    ----------
    uri : str
        An address that `serving.sources.registry` resolves.
    """

    project: str
    uri: str


def submit_video(
    store: Store,
    settings: Settings,
    video: VideoRow | AddressedVideo,
    sampling: SamplingConfig,
    *,
    max_false_names: float | None = None,
    no_cache: bool = False,
    priority: int = 0,
    webhook: str | None = None,
    one_of_many: bool = False,
    person_id: str | None = None,
    key: str | None = None,
    job_id: str | None = None,
) -> Job:
    """Queue the analysis of a video, unless the same was asked for before and has not failed.

    A video that is still to be fetched gets its id when it is there. Where it is asked for again then, its source is asked whether the
    content has changed.

    Parameters
    ----------
    one_of_many : bool
        Whether the result is read from the job and not from the video, which shows that of its latest analysis alone.
    person_id : str, optional
        Who is asked for: the job's result says whether they were found.
    key : str, optional
        What makes a submission the same; by default content or address, settings, and the model that names now.
    job_id : str, optional
        Of the new job, see `serving.jobs.runner.submit`.

    Raises
    ------
    InputError
        If nobody may be told at the webhook.
    BusyError
        If too many jobs wait already.
    """
    if webhook is not None:
        check_webhook(webhook, settings.webhook)
    video_id = video.video_id if isinstance(video, VideoRow) else None
    spec = {
        **({"uri": video.uri} if isinstance(video, AddressedVideo) else {"video_id": video.video_id}),
        "sampling": sampling.model_dump(mode="json"),
        "max_false_names": max_false_names,
        "no_cache": no_cache,
        **({} if person_id is None else {"person_id": person_id}),
    }
    if key is None and not no_cache:
        key = submission_key(store, video, spec, webhook)

    def submit() -> Job:
        return jobs.submit(
            store,
            video.project,
            "video" if video_id is not None else "fetch",
            spec,
            max_queued=settings.max_queued_jobs,
            video_id=video_id,
            priority=priority,
            key=key,
            webhook_url=webhook,
            job_id=job_id,
        )

    job = submit()
    is_elsewhere = isinstance(video, AddressedVideo)
    if (
        job.state is JobState.SUCCEEDED
        and not one_of_many
        and (is_elsewhere or not shows_result_of(store, job, settings))
    ):
        # Other settings were asked for since, or there may be another content: the same again is work to be done, if little.
        store.update_job(job.job_id, lambda row: replace(row, key=None))
        return submit()
    return job


def retry(store: Store, job_id: str) -> Job:
    """Queue a failed or cancelled job again; the same submission is then this job, unless it is another one already.

    Raises
    ------
    JobNotFoundError, ConflictError
        As `leases.retry` does; `ConflictError` also if its video was deleted.
    """
    _require_video(store, store.get_job(job_id))
    job = leases.retry(store, job_id)
    if job.kind not in ("video", "fetch") or job.spec["no_cache"]:
        return job
    try:
        if "uri" in job.spec:
            video: VideoRow | AddressedVideo = AddressedVideo(job.project, job.spec["uri"])
        else:
            video = store.get_video(job.project, str(job.video_id))
        key = submission_key(store, video, job.spec, job.webhook.url if job.webhook else None)
        return store.update_job(job_id, lambda row: None if _is_over(row) else replace(row, key=key)) or job
    except (ConflictError, NotFoundError):
        return job


def _require_video(store: Store, job: Job) -> None:
    if job.video_id is None or not _is_over(job):
        return
    try:
        store.get_video(job.project, job.video_id)
    except VideoNotFoundError as error:
        raise ConflictError(f"job {job.job_id} cannot be tried again: its video was deleted, submit it anew") from error


def _is_over(job: Job) -> bool:
    return job.cancel_requested or job.state in (JobState.FAILED, JobState.CANCELLED)


def submission_key(store: Store, video: VideoRow | AddressedVideo, spec: dict[str, Any], webhook: str | None) -> str:
    """Return what makes a submission the same as another: content or address, settings, and the model that names now."""
    version = promoted_version(store, video.project)
    # Who submits it makes no difference.
    spec = {name: value for name, value in spec.items() if name != PARENT}
    what = video.sha256 if isinstance(video, VideoRow) else video.uri
    return short_id("k", video.project, what, json.dumps(spec, sort_keys=True), repr(version), repr(webhook))


def shows_result_of(store: Store, job: Job, settings: Settings) -> bool:
    """Whether the result of a job's video is still what that job asked for, and not what a later one did."""
    try:
        analysis = store.latest_analysis(job.project, str(job.video_id))
    except VideoNotFoundError:
        return False
    video = store.get_video(job.project, str(job.video_id))
    parts = {analysis_id for analysis_id, _ in analysis.summary.get(JOINED, {}).get("parts", ())}
    if not {analysis.analysis_id, *parts} & {*analyses_of(store, video, config_of(job, settings), analysis.embedder)}:
        return False
    limit = job.spec["max_false_names"]
    return limit is None or all(
        row.max_false_names == limit for row in store.list_named(job.project, [analysis.analysis_id])
    )


def analysis_of(store: Store, job: Job, settings: Settings) -> AnalysisRow:
    """Return the analysis that a job has made or found, whatever was asked of its video since.

    Raises
    ------
    ConflictError
        If it is no job about a video, or has not succeeded.
    VideoNotFoundError
        If the video or the analysis is no longer there.
    """
    if job.kind != "video" or job.state is not JobState.SUCCEEDED:
        raise ConflictError(f"job {job.job_id} is a {job.kind} job that is {job.state.value}: it has no result")
    video = store.get_video(job.project, str(job.video_id))
    embedder = store.get_project(job.project).embedder
    for analysis_id in analyses_of(store, video, config_of(job, settings), embedder or ""):
        try:
            return store.get_analysis(job.project, analysis_id)
        except VideoNotFoundError:
            continue
    raise VideoNotFoundError(f"what job {job.job_id} has analysed is no longer there: submit the video again")


def config_of(job: Job, settings: Settings) -> AnalysisConfig:
    """Return how a job's video is analysed."""
    return settings.analysis.model_copy(update={"sampling": SamplingConfig(**job.spec["sampling"])})

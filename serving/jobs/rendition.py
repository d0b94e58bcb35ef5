"""Make the rendition of a video as a job, which gives way to analyses."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from facerec_models.errors import NotFoundError
from facerec_models.names import short_id
from serving.archive.handle import Archive
from serving.archive.renditions import Renditions, remove_renditions
from serving.archive.videos import video_file
from serving.exports.rendition import RenditionStoppedError, write_rendition
from serving.jobs import runner as jobs
from serving.jobs.runner import JobControl
from serving.settings import Settings
from serving.store.contract import Store
from serving.store.job_rows import Job, JobState
from serving.store.rows import VideoRow

RENDITION = "rendition"
"""The kind of these jobs."""

_LEAST_NICENESS = 19


def submit_rendition(store: Store, settings: Settings, video: VideoRow, stream: int) -> Job:
    """Queue the rendition of a video's picture track, unless it is being made; whether there is one already, the caller has looked.

    Raises
    ------
    BusyError
        If too many jobs wait already.
    """
    there = find_rendition_job(store, video, stream)
    if there is not None:
        return there
    key = short_id("k", RENDITION, video.project, video.sha256, str(stream))

    def submit() -> Job:
        return jobs.submit(
            store,
            video.project,
            RENDITION,
            _spec(video, stream),
            max_queued=settings.max_queued_jobs,
            video_id=video.video_id,
            key=key,
        )

    job = submit()
    if job.state is JobState.SUCCEEDED:
        # It was removed to make room since, or with a video that had the same content.
        store.update_job(job.job_id, lambda row: replace(row, key=None))
        return submit()
    return job


def find_rendition_job(store: Store, video: VideoRow, stream: int) -> Job | None:
    """Return the job that is to make, or makes, the rendition of a video's picture track."""
    active = store.list_jobs(video.project, states=[JobState.QUEUED, JobState.RUNNING])
    wanted = RENDITION, _spec(video, stream), False
    return next((job for job in active if (job.kind, job.spec, job.cancel_requested) == wanted), None)


def make_rendition(archive: Archive, settings: Settings, job: Job, control: JobControl) -> str:
    """Do a job in a thread of its own, which has the lowest priority from then on; return the video's id.

    Raises
    ------
    InputError
        If the video cannot be read.
    RenditionStoppedError
        If the work must end now.
    """
    _give_way()
    video = archive.store.get_video(job.project, job.spec["video_id"])
    renditions = Renditions(archive.files, settings.renditions.max_kept_bytes)

    def write(target: Path) -> None:
        write_rendition(
            video_file(video),
            target,
            settings.analysis.limits,
            job.spec["stream"],
            control.report,
            control.should_stop,
            name=video.name,
        )

    def pause(seconds: float) -> None:
        if control.should_stop():
            raise RenditionStoppedError(f"the rendition of {video.name!r} was stopped")
        time.sleep(seconds)

    renditions.make(video.sha256, job.spec["stream"], write, pause)
    _remove_if_deleted(archive, video)
    control.report(1.0)
    return video.video_id


def _spec(video: VideoRow, stream: int) -> dict[str, Any]:
    return {"video_id": video.video_id, "stream": stream}


def _give_way() -> None:
    # Linux gives each thread a niceness of its own, and the threads of decoders and encoders inherit it.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LEAST_NICENESS)


def _remove_if_deleted(archive: Archive, video: VideoRow) -> None:
    """Leave nothing of a video that was deleted while its rendition was made."""
    try:
        archive.store.get_video(video.project, video.video_id)
    except NotFoundError:
        remove_renditions(archive.store, archive.files, video.sha256, besides=lambda project, video_id: False)
        raise

"""Fetch a video as a job, which then goes on as one that analyses it: a slow server takes no analysis' place."""

from __future__ import annotations

from serving.archive.handle import Archive
from serving.archive.videos import add_video
from serving.jobs.runner import JobControl
from serving.jobs.submit import config_of
from serving.settings import Settings
from serving.sources.addresses import shown
from serving.sources.registry import resolve
from serving.sources.source import SourceContext
from serving.store.job_rows import Job

FETCH = "fetch"
# Of the progress, what fetching a video counts for.
_SHARE = 0.1


def fetch_video(archive: Archive, settings: Settings, job: Job, control: JobControl) -> str:
    """Do a job of kind ``fetch``: add the video of its address to the project; return its id.

    Raises
    ------
    InputError, SourceError
        As `serving.sources.source.VideoSource.resolve` does, and if it is no video.
    FetchStoppedError
        If the job was cancelled or lost; what was fetched is kept for the next time.
    """
    context = SourceContext(
        archive.files.media,
        settings,
        on_progress=lambda fraction: control.report(_SHARE * fraction),
        should_stop=control.should_stop,
    )
    # A video that was fetched before and has made room for others is known by the address that everybody may see.
    address = job.spec.get("uri") or archive.store.get_video(job.project, str(job.video_id)).uri
    video = add_video(archive, job.project, resolve(address, context), config_of(job, settings))
    # A signature has done what it was for.
    control.hand_on("video", {**job.spec, "uri": shown(address)})
    return video.video_id

"""Delete videos: rows, crops, drawn videos, parts of jobs, and uploads that nothing else refers to."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from facerec_models.errors import JobNotFoundError, ProjectNotFoundError
from facerec_models.files import UNFINISHED, AnyPath, remove_tree
from serving.archive.handle import Archive
from serving.archive.learning.evaluation_set import remove_truth
from serving.archive.naming.faces_of_tracks import is_of_track, track_of_face
from serving.archive.privacy.unmatched import scrub_soon
from serving.archive.renditions import remove_renditions
from serving.archive.vector_sets import count_corrections
from serving.sources.addresses import shown
from serving.store import leases
from serving.store.contract import Store
from serving.store.job_rows import Job, JobSegment, JobState
from serving.store.rows import VideoRow

# So long whoever works on a job has to see that it is cancelled; afterwards what it works on goes all the same.
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class DeletedVideo:
    """What deleting a video removed, and what stays because it belongs to people.

    Parameters
    ----------
    analyses, crops : int
        Analyses with their tracks and appearances, in every set; their face files.
    jobs_cancelled : int
        Jobs about the video that had not ended.
    upload_removed : bool
        Whether a file of the video lay among the uploads, or what was fetched, and is gone. A video that was named by its path stays
        where it is.
    renditions_removed : int
        Files of the video as browsers play it.
    corrections_kept, faces_kept : int
        Corrections that were made in it, and faces that were enrolled from it: models have learned them.
    """

    video_id: str
    name: str
    analyses: int
    crops: int
    jobs_cancelled: int
    upload_removed: bool
    renditions_removed: int
    corrections_kept: int
    faces_kept: int

    def to_dict(self) -> dict[str, Any]:
        """Return the receipt as JSON values."""
        return asdict(self)


def delete_video(archive: Archive, project: str, video_id: str, *, scrubs: bool = True) -> DeletedVideo:
    """Delete a video with its analyses, crops, truth, drawn videos, parts of jobs; upload and renditions unless another has the same.

    Jobs about it are cancelled first, and waited for a little; their rows stay, as a record. Where it is interrupted, it can be done
    again.

    Parameters
    ----------
    scrubs : bool
        Whether nothing of its rows is left in the store's files; who deletes several does this once.

    Raises
    ------
    VideoNotFoundError
        If the project has no such video.
    """
    store = archive.store
    video = store.get_video(project, video_id)
    cancelled = end_jobs(store, project, video)
    analyses = {row.analysis_id for row in store.list_analyses(project, video_id=video_id)}
    corrections = count_corrections(
        store, project, [row for row in store.list_corrections(project) if row.analysis_id in analyses]
    )
    enrolled = sum(is_of_track(face) and track_of_face(face)[0] in analyses for face in store.list_faces(project))
    copies = archive.files.copies(video.sha256, Path(video.file).suffix)
    uploads_of_others = partial(_uploads_beside, archive, video)
    remove_played = partial(
        remove_renditions, store, archive.files, video.sha256, besides=lambda *row: row == (project, video_id)
    )
    # Rows go last: as long as they are there, what was interrupted can be done again.
    removed = remove_uploads(copies, uploads_of_others)
    played = remove_played()
    crops = _remove_files(archive, video, analyses)
    remove_truth(archive.files, project, video.sha256)
    store.delete_video(project, video_id)
    # What was sent or written meanwhile, by someone who did not know yet.
    _remove_files(archive, video, analyses)
    removed += remove_uploads(copies, uploads_of_others)
    played += remove_played()
    if scrubs:
        scrub_soon(store)
    kept = corrections, enrolled
    return DeletedVideo(video_id, video.name, len(analyses), crops, cancelled, removed > 0, played, *kept)


def end_jobs(store: Store, project: str, video: VideoRow | None = None) -> int:
    """Cancel the jobs of a project, or those about one of its videos, and wait a little until nobody works on them.

    A job that fetches a video's address is about it, though it does not know that yet.

    Returns
    -------
    int
        How many had not ended.
    """
    deadline = time.monotonic() + _PATIENCE_S
    cancelled = set()
    while True:
        active = [
            leases.cancel(store, job.job_id)
            for job in store.list_jobs(project, states=[JobState.QUEUED, JobState.RUNNING])
            if video is None or job.video_id == video.video_id or shown(job.spec.get("uri", "")) == video.uri
        ]
        cancelled |= {job.job_id for job in active}
        # Whoever takes up one that its owner has left finds that it is cancelled.
        if not any(_is_worked_on(job) for job in active) or time.monotonic() > deadline:
            return len(cancelled)
        time.sleep(0.1)


def remove_uploads(files: Collection[Path], of_others: Callable[[], set[Path]]) -> int:
    """Remove uploads, but for those that others have, or take meanwhile; return how many there were.

    Parameters
    ----------
    of_others : callable
        Says which uploads those refer to that stay; asked before and after the files are put aside.
    """
    aside: dict[Path, Path] = {}
    for file in set(files) - of_others():
        moved = file.with_name(f"{file.name}.{uuid.uuid4().hex}{UNFINISHED}")
        try:
            file.rename(moved)
        except FileNotFoundError:
            continue
        aside[file] = moved
    # Asked when they are away: whoever has no row by now puts the file there anew.
    taken = of_others() if aside else set()
    for file, moved in aside.items():
        if file in taken:
            moved.replace(file)
        else:
            moved.unlink(missing_ok=True)
    return len(aside.keys() - taken)


def _is_worked_on(job: Job) -> bool:
    now = time.time()
    works: list[Job | JobSegment] = [job, *job.segments]
    return any(work.owner is not None and work.lease_until > now for work in works)


def _remove_files(archive: Archive, video: VideoRow, analyses: Collection[str]) -> int:
    """Remove what lies in folders of the video's own; return how many crops there were."""
    crops = 0
    for analysis_id in analyses:
        folder = archive.files.analysis(video.project, analysis_id)
        crops += sum(1 for _ in folder.glob("*.jpg"))
        remove_tree(folder)
    for folder in _job_parts(archive, video):
        remove_tree(folder)
    return crops


def _job_parts(archive: Archive, video: VideoRow) -> Iterator[AnyPath]:
    """Yield the folders of what jobs about a video have done of its segments."""
    parts = archive.files.job_parts(video.project, "")
    there: list[AnyPath] = list(parts.iterdir()) if parts.is_dir() else []
    for folder in there:
        with suppress(JobNotFoundError):  # a log, or a job of another store
            if archive.store.get_job(folder.name).video_id == video.video_id:
                yield folder


def _uploads_beside(archive: Archive, video: VideoRow) -> set[Path]:
    """Return where files with a video's content are in the home that other videos refer to."""
    found: set[Path] = set()
    for project in archive.store.list_projects():
        with suppress(ProjectNotFoundError):  # it was deleted just now
            for row in archive.store.find_videos(project.name, sha256=video.sha256):
                if (row.project, row.video_id) != (video.project, video.video_id):
                    found |= archive.files.copies(row.sha256, Path(row.file).suffix)
    return found

"""Delete projects: rows, files, and uploads that no other project refers to."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from facerec_models.errors import ProjectNotFoundError
from facerec_models.files import UNFINISHED, remove_tree
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.store import leases
from serving.store.contract import Store
from serving.store.job_rows import JobState

# So long whoever works on a job has to see that it is cancelled; afterwards the project goes all the same.
_PATIENCE_S = 10.0


def delete_project(archive: Archive, name: str) -> None:
    """Delete a project with everything in it.

    An upload is kept once for all projects that have its content: it is removed with the last of them. Videos that were named by
    their address stay where they are. Jobs are cancelled first, and waited for a little.

    Raises
    ------
    ProjectNotFoundError
        If there is no such project.
    """
    archive.store.get_project(name)
    _end_jobs(archive.store, name)
    # Rows go last: as long as they are there, what was interrupted can be done again.
    _remove_uploads(archive, name, _uploads(archive, [name]) - _uploads_of_others(archive, name))
    _remove_files(archive.files, name)
    archive.store.delete_project(name)
    if name not in {project.name for project in archive.store.list_projects()}:  # nobody has created it again
        # What a runner was writing that did not stop in time.
        _remove_files(archive.files, name)


def _end_jobs(store: Store, name: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while active := store.list_jobs(name, states=[JobState.QUEUED, JobState.RUNNING]):
        for job in active:
            leases.cancel(store, job.job_id)
        if time.monotonic() > deadline:
            return
        time.sleep(0.1)


def _remove_files(files: Files, name: str) -> None:
    for folder in (files.project_files(name), files.project(name)):
        remove_tree(folder)


def _remove_uploads(archive: Archive, name: str, files: Iterable[Path]) -> None:
    """Remove uploads, but for those that another project takes meanwhile."""
    aside: dict[Path, Path] = {}
    for file in files:
        moved = file.with_name(f"{file.name}.{uuid.uuid4().hex}{UNFINISHED}")
        try:
            file.rename(moved)
        except FileNotFoundError:
            continue
        aside[file] = moved
    # Asked when they are away: whoever has no row by now puts the file there anew.
    taken = _uploads_of_others(archive, name) if aside else set()
    for file, moved in aside.items():
        if file in taken:
            moved.replace(file)
        else:
            moved.unlink(missing_ok=True)


def _uploads_of_others(archive: Archive, name: str) -> set[Path]:
    return _uploads(archive, [project.name for project in archive.store.list_projects() if project.name != name])


def _uploads(archive: Archive, projects: Iterable[str]) -> set[Path]:
    """Return where uploads of projects' videos are."""
    found: set[Path] = set()
    for project in projects:
        with suppress(ProjectNotFoundError):  # it was deleted just now
            found |= {
                archive.files.upload(video.sha256, Path(video.file).suffix)
                for video in archive.store.list_videos(project)
            }
    return found

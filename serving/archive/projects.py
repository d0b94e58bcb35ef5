"""Delete projects: rows, files, and uploads that no other project refers to."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from facerec_models.errors import ModelNotFoundError, ProjectNotFoundError
from serving.archive.files import UNFINISHED, Home, remove_tree
from serving.store import leases
from serving.store.contract import Store
from serving.store.job_rows import JobState

# So long whoever works on a job has to see that it is cancelled; afterwards the project goes all the same.
_PATIENCE_S = 10.0


def delete_project(store: Store, home: Home, name: str) -> None:
    """Delete a project with everything in it.

    An upload is kept once for all projects that have its content: it is removed with the last of them. Videos that were named by
    their address stay where they are. Jobs are cancelled first, and waited for a little.

    Raises
    ------
    ProjectNotFoundError
        If there is no such project.
    """
    store.get_project(name)
    _end_jobs(store, name)
    # Rows go last: as long as they are there, what was interrupted can be done again.
    _remove_uploads(store, home, name, _uploads(store, home, [name]) - _uploads_of_others(store, home, name))
    _remove_files(home, name)
    store.delete_project(name)
    if name not in {project.name for project in store.list_projects()}:  # nobody has created it again
        # What somebody was writing meanwhile who did not stop in time.
        _remove_files(home, name)


def _end_jobs(store: Store, name: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while active := store.list_jobs(name, states=[JobState.QUEUED, JobState.RUNNING]):
        for job in active:
            leases.cancel(store, job.job_id)
        if time.monotonic() > deadline:
            return
        time.sleep(0.1)


def _remove_files(home: Home, name: str) -> None:
    for folder in (home.project_files(name), home.project(name)):
        remove_tree(folder)


def _remove_uploads(store: Store, home: Home, name: str, files: Iterable[Path]) -> None:
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
    taken = _uploads_of_others(store, home, name) if aside else set()
    for file, moved in aside.items():
        if file in taken:
            moved.replace(file)
        else:
            moved.unlink(missing_ok=True)


def _uploads_of_others(store: Store, home: Home, name: str) -> set[Path]:
    return _uploads(store, home, [project.name for project in store.list_projects() if project.name != name])


def _uploads(store: Store, home: Home, projects: Iterable[str]) -> set[Path]:
    """Return where uploads of projects' videos are."""
    found: set[Path] = set()
    for project in projects:
        with suppress(ProjectNotFoundError):  # it was deleted just now
            found |= {home.upload(video.sha256, Path(video.file).suffix) for video in store.list_videos(project)}
    return found


def promoted_version(store: Store, project: str) -> str | None:
    """Return the version that is promoted, if there is one."""
    try:
        return store.get_model(project).version
    except ModelNotFoundError:
        return None

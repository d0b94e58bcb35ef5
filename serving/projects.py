"""Delete projects: rows, files, and uploads that no other project refers to."""

from __future__ import annotations

import time
from pathlib import Path

from serving import leases
from serving.home import Home, remove_tree
from serving.store.base import Store
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
    others = [project.name for project in store.list_projects() if project.name != name]
    own = _uploads(store, home, name)
    shared = {file for other in others for file in _uploads(store, home, other)}
    # Rows go last: as long as they are there, what was interrupted can be done again.
    for file in own - shared:
        file.unlink(missing_ok=True)
    _remove_files(home, name)
    store.delete_project(name)
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


def _uploads(store: Store, home: Home, project: str) -> set[Path]:
    """Return where uploads of a project's videos are, or will be: a row comes before its file is in its place."""
    return {home.upload(video.sha256, Path(video.file).suffix) for video in store.list_videos(project)}

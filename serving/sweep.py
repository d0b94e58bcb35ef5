"""Remove what killed processes left behind: parts of jobs that have ended, files that were never finished, crops of no analysis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from serving.home import UNFINISHED, Home, remove_tree
from serving.store.base import Store
from serving.store.rows import JobState

# So long nobody takes to write a file, or a video's crops between two of which some minutes may lie, or to send an upload.
_AGE_S = 24 * 3600.0


def sweep(store: Store, home: Home, *, age_s: float = _AGE_S) -> int:
    """Remove files that no row of the store speaks of and that nobody can be writing any more.

    Parameters
    ----------
    age_s : float
        How old something must be to be taken for left behind. Parts of jobs go as soon as their job has ended.

    Returns
    -------
    int
        How many files and folders were removed.
    """
    then = time.time() - age_s
    left_over = [
        *(path for path in home.root.rglob(f"*{UNFINISHED}") if _is_older(path, then)),
        *(path for path in _uploads(store, home) if _is_older(path, then)),
        *_parts(store, home),
        *(path for path in _analyses(store, home) if _is_older(path, then)),
    ]
    for path in left_over:
        if path.is_dir():
            remove_tree(path)
        else:
            path.unlink(missing_ok=True)
    return len(left_over)


# In each of these the files are listed before the rows: what begins to be there meanwhile has a row then.


def _uploads(store: Store, home: Home) -> Iterator[Path]:
    there = _children(home.uploads)
    known = {video.file for project in store.list_projects() for video in store.list_videos(project.name)}
    return (path for path in there if str(path) not in known)


def _parts(store: Store, home: Home) -> Iterator[Path]:
    there = [path for project in store.list_projects() for path in _children(home.job_parts(project.name, ""))]
    active = {job.job_id for job in store.list_jobs(states=[JobState.QUEUED, JobState.RUNNING])}
    return (path for path in there if path.is_dir() and path.name not in active)


def _analyses(store: Store, home: Home) -> Iterator[Path]:
    names = [project.name for project in store.list_projects()]
    there = [path for name in names for path in _children(home.analysis(name, ""))]
    busy = {job.project for job in store.list_jobs(states=[JobState.QUEUED, JobState.RUNNING])}
    known = {row.analysis_id for name in names if name not in busy for row in store.list_analyses(name)}
    return (path for path in there if path.parents[1].name not in busy and path.name not in known)


def _children(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _is_older(path: Path, then: float) -> bool:
    try:
        return path.stat().st_mtime < then
    except FileNotFoundError:  # its writer has finished it
        return False

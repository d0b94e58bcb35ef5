"""Remove what projects keep no longer, and what killed processes left behind: parts of ended jobs, files that were never finished.

What was left behind says of itself that it is unfinished, or is drawn again when it is asked for. That a store does not know a file
is no reason: it may be another store.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

from facerec_models.errors import FacerecError, ProjectNotFoundError
from facerec_models.files import UNFINISHED, AnyPath, RemotePath, remove_tree
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.learning.unfinished_enrolments import crops_of, marks_of
from serving.archive.privacy.retention import apply_policy, has_policy
from serving.archive.privacy.unmatched import scrub_soon
from serving.sources.config import SourcesConfig
from serving.sources.media_store import MediaStore
from serving.store.job_rows import JobState

logger = logging.getLogger(__name__)

# So long nobody takes to write a file, or a video's crops between two of which some minutes may lie, or to send an upload.
_AGE_S = 24 * 3600.0
# So long after a naming nobody draws what was named before.
_DRAWN_S = 7 * 24 * 3600.0


def sweep(archive: Archive, config: SourcesConfig, *, age_s: float = _AGE_S) -> int:
    """Remove what was begun, and what nobody can be writing any more.

    Parameters
    ----------
    config : SourcesConfig
        Says how long what was fetched in part may wait to be gone on with.
    age_s : float
        How old something must be to be taken for left behind. Parts of jobs go as soon as their job has ended, or when they are so old
        where there is no such project.

    Returns
    -------
    int
        How many files and folders were removed.
    """
    then = time.time() - age_s
    fetched = MediaStore(archive.files.media, config.max_kept_bytes)
    left_over: list[AnyPath] = [
        *(path for path in _unfinished(archive.files) if _is_older(path, then)),
        *_parts(archive, then),
        *(path for path in _analyses(archive) if _is_older(path, then)),
        *_enrolments(archive, then),
        *_drawn(archive),
    ]
    for path in left_over:
        try:
            if path.is_dir():
                remove_tree(path)
            else:
                path.unlink(missing_ok=True)
        except FileNotFoundError:  # another process sweeps, too
            continue
    _apply_policies(archive)
    # What was deleted while others read for too long is in the store's log until then.
    scrub_soon(archive.store)
    return len(left_over) + fetched.sweep(config.max_partial_age_s)


def _apply_policies(archive: Archive) -> None:
    """Remove what projects keep no longer; one that fails is in no other's way."""
    for project in archive.store.list_projects():
        try:
            if has_policy(archive, project.name):
                apply_policy(archive, project.name)
        except ProjectNotFoundError:  # it was deleted just now
            continue
        except FacerecError:
            logger.exception("the policy of project %s was not applied; it is tried again later", project.name)


def _unfinished(files: Files) -> Iterator[Path]:
    """List what was to be renamed when it was whole; in a bucket nothing is."""
    folders = {files.root, files.shared_root} if isinstance(files.shared_root, Path) else {files.root}
    for folder in folders:
        yield from folder.rglob(f"*{UNFINISHED}")


# In each of these the files are listed before the rows: what begins to be there meanwhile has a row then.


def _parts(archive: Archive, then: float) -> Iterator[AnyPath]:
    folders = [folder.name for folder in _children(archive.files.project_files(""))]
    there = [(name, path) for name in folders for path in _children(archive.files.job_parts(name, ""))]
    active = {job.job_id for job in archive.store.list_jobs(states=[JobState.QUEUED, JobState.RUNNING])}
    known = {project.name for project in archive.store.list_projects()}
    return (
        path
        for name, path in there
        # A runner may have finished a part just after the project was deleted.
        if path.is_dir() and path.name not in active and (name in known or _is_older(path, then))
    )


def _analyses(archive: Archive) -> Iterator[AnyPath]:
    names = [project.name for project in archive.store.list_projects()]
    there = [(name, path) for name in names for path in _children(archive.files.analysis(name, ""))]
    busy = {job.project for job in archive.store.list_jobs(states=[JobState.QUEUED, JobState.RUNNING])}
    known = {row.analysis_id for name in names if name not in busy for row in archive.store.list_analyses(name)}
    return (
        path
        for name, path in there
        if name not in busy and path.name not in known and archive.files.analysis_mark(name, path.name).is_file()
    )


def _enrolments(archive: Archive, then: float) -> Iterator[AnyPath]:
    names = [project.name for project in archive.store.list_projects()]
    there = [(name, mark) for name in names for mark in marks_of(archive.files, name) if _is_older(mark, then)]
    crops = [(name, crops_of(archive.files, name, mark)) for name, mark in there]
    known = {face.face_id for name in {name for name, _ in there} for face in archive.store.list_faces(name)}
    yield from (path for _, found in crops for key, path in found.items() if key not in known and path.is_file())
    yield from (mark for _, mark in there)


def _drawn(archive: Archive) -> Iterator[AnyPath]:
    """List drawn videos that show other names than the analysis has now: a person may have been forgotten while one was drawn."""
    then = time.time() - _DRAWN_S
    there: list[tuple[str, str, AnyPath]] = []
    for project in archive.store.list_projects():
        name = project.name
        is_named_lately = any(
            max(row.created_at, row.undone_at or 0.0) > then for row in archive.store.list_edits(name)
        )
        # Otherwise not: in a bucket each folder is a question.
        wanted = archive.store.list_analyses(name) if is_named_lately else []
        there += [
            (name, row.analysis_id, drawn)
            for row in wanted
            for drawn in archive.files.analysis(name, row.analysis_id).glob("annotated-*.mp4")
        ]
    ids: dict[str, list[str]] = {}
    for name, analysis_id, _ in there:
        ids.setdefault(name, []).append(analysis_id)
    named = {
        (name, row.analysis_id): row.version
        for name, wanted in ids.items()
        for row in archive.store.list_named(name, wanted)
    }
    # The version is a number, and parts of the video may follow it.
    return (
        drawn
        for name, analysis_id, drawn in there
        if Path(drawn.name).stem.split("-")[1] != str(named.get((name, analysis_id)))
    )


def _children(folder: AnyPath) -> list[AnyPath]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _is_older(path: AnyPath, then: float) -> bool:
    now = time.time()

    def is_old(moment: float) -> bool:
        # What is written as long after now as before it was written by a clock that was ahead.
        return moment < then or moment > 2 * now - then

    if isinstance(path, RemotePath):
        return all(is_old(facts.modified_at) for facts in path.files().values())
    try:
        return is_old(path.stat().st_mtime)
    except FileNotFoundError:  # its writer has finished it
        return False

"""Delete projects: rows, files, and uploads and renditions that no other project refers to."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from facerec_models.errors import ConflictError, ProjectNotFoundError
from facerec_models.files import remove_tree
from facerec_models.names import check_project_name
from serving.archive.deletion import end_jobs, remove_uploads
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.privacy.unmatched import scrub_soon
from serving.archive.renditions import remove_renditions
from serving.archive.room import require_more
from serving.store.contract import Store
from serving.store.rows import Project


def begin_project(store: Store, name: str, most: int) -> Project:
    """Return the project of a name, or make it.

    Raises
    ------
    InputError
        If no project may be called so.
    ConflictError
        If there is one whose name differs by small and capital letters alone: their folders would be one on some file systems.
    LimitExceededError
        If there are `most` projects.
    """
    check_project_name(name)
    there = [one.name for one in store.list_projects()]
    if name not in there:
        if alike := next((one for one in there if one.casefold() == name.casefold()), None):
            raise ConflictError(
                f"there is a project {alike!r}: names must differ by more than small and capital letters"
            )
        require_more("projects", len(there), most)
    return store.create_project(name)


def delete_project(archive: Archive, name: str) -> None:
    """Delete a project with everything in it.

    Uploads and renditions are kept once for all projects that have the content: they are removed with the last of them. Videos that
    were named by their address stay where they are. Jobs are cancelled first, and waited for a little.

    Raises
    ------
    ProjectNotFoundError
        If there is no such project.
    """
    archive.store.get_project(name)
    end_jobs(archive.store, name)
    # Rows go last: as long as they are there, what was interrupted can be done again.
    remove_uploads(_uploads(archive, [name]), partial(_uploads_of_others, archive, name))
    _remove_renditions(archive, name)
    _remove_files(archive.files, name)
    archive.store.delete_project(name)
    if name not in {project.name for project in archive.store.list_projects()}:  # nobody has created it again
        # What a runner was writing that did not stop in time.
        _remove_files(archive.files, name)
    scrub_soon(archive.store)


def _remove_files(files: Files, name: str) -> None:
    for folder in (files.project_files(name), files.project(name)):
        remove_tree(folder)


def _remove_renditions(archive: Archive, name: str) -> None:
    there = {file.name.partition("-")[0] for file in archive.files.renditions.glob("[!.]*.mp4")}
    for sha256 in there & {video.sha256 for video in archive.store.list_videos(name)}:
        remove_renditions(archive.store, archive.files, sha256, besides=lambda project, video_id: project == name)


def _uploads_of_others(archive: Archive, name: str) -> set[Path]:
    return _uploads(archive, [project.name for project in archive.store.list_projects() if project.name != name])


def _uploads(archive: Archive, projects: Iterable[str]) -> set[Path]:
    """Return where files of projects' videos are in the home."""
    found: set[Path] = set()
    for project in projects:
        with suppress(ProjectNotFoundError):  # it was deleted just now
            for video in archive.store.list_videos(project):
                found |= archive.files.copies(video.sha256, Path(video.file).suffix)
    return found

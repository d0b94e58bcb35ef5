"""Delete projects: rows, files, and uploads that no other project refers to."""

from __future__ import annotations

from pathlib import Path

from serving.home import Home, remove_tree
from serving.store.base import Store


def delete_project(store: Store, home: Home, name: str) -> None:
    """Delete a project with everything in it.

    An upload is kept once for all projects that have its content: it is removed with the last of them. Videos that were named by
    their address stay where they are.

    Raises
    ------
    ProjectNotFoundError
        If there is no such project.
    """
    others = [project.name for project in store.list_projects() if project.name != name]
    own = _uploads(store, home, name)
    shared = {file for other in others for file in _uploads(store, home, other)}
    # Rows go last: as long as they are there, what was interrupted can be done again.
    for file in own - shared:
        file.unlink(missing_ok=True)
    remove_tree(home.project_files(name))
    remove_tree(home.project(name))
    store.delete_project(name)


def _uploads(store: Store, home: Home, project: str) -> set[Path]:
    """Return where uploads of a project's videos are, or will be: a row comes before its file is in its place."""
    return {home.upload(video.sha256, Path(video.file).suffix) for video in store.list_videos(project)}

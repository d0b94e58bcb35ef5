"""Which pictures of tracks are still there: addresses are told of these alone."""

from __future__ import annotations

from collections.abc import Callable

from serving.archive.handle import Archive
from serving.store.rows import Project


def may_be_gone(project: Project) -> bool:
    """Whether pictures of tracks may be gone that the store has vectors of: a policy has decided how long they are kept."""
    return bool(project.policy)


def pictures_of(archive: Archive, project: str, analysis_id: str) -> Callable[[int, int], bool]:
    """Return what says whether the k-th picture of a track of an analysis is kept; its folder is listed once, if at all."""
    if not may_be_gone(archive.store.get_project(project)):
        return lambda _track_id, _k: True
    names = {path.name for path in archive.files.analysis(project, analysis_id).glob("*-*.jpg")}
    return lambda track_id, k: f"{track_id}-{k}.jpg" in names


def best_pictures(archive: Archive, project: str) -> Callable[[str, int], bool]:
    """Return what says whether the best picture of a track, given by analysis and number, is kept."""
    if not may_be_gone(archive.store.get_project(project)):
        return lambda _analysis_id, _track_id: True

    def is_kept(analysis_id: str, track_id: int) -> bool:
        return archive.files.track_crop(project, analysis_id, track_id, 0).is_file()

    return is_kept

"""Ids as people give them: whole or by their beginning; a video also by its file's name."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from enum import Enum

from facerec_models.errors import InputError, VideoNotFoundError
from serving.store.contract import Store
from serving.store.rows import VideoRow

# What is an id already needs no search; see `short_id` and `stranger_id`.
_WHOLE = re.compile(r"[a-z]-[a-z2-7]{16}|j-[0-9a-f]{16}|stranger-[a-z2-7]{10}")
_LEAST_GIVEN = 3
_MOST_LISTED = 10


class IdKind(Enum):
    """What an id is of: how messages call it, and how its ids begin."""

    VIDEO = ("video", "v-")
    JOB = ("job", "")
    MODEL = ("model version", "m-")
    ANALYSIS = ("analysis", "a-")
    STRANGER = ("stranger", "stranger-")
    FACE = ("face", "f-")


def full_id(store: Store, kind: IdKind, given: str, project: str = "") -> str:
    """Return the id that begins as `given` does; what is the beginning of none is returned as it is.

    Parameters
    ----------
    project : str
        Whose ids count; a job is of no project.

    Raises
    ------
    InputError
        If several ids begin so; names them.
    ProjectNotFoundError
        If there is no such project.
    """
    return given if _WHOLE.fullmatch(given) else complete(kind, given, _KNOWN[kind](store, project))


def find_video(store: Store, project: str, given: str) -> VideoRow:
    """Return the video of an id, of the beginning of one, of its address, or of a file's name as tables show it.

    Raises
    ------
    InputError
        If several videos are meant; names their ids.
    VideoNotFoundError
        If none is.
    """
    if _WHOLE.fullmatch(given):
        return store.get_video(project, given)
    if "://" in given and (addressed := store.find_videos(project, uri=given)):
        return addressed[-1]
    try:
        return store.get_video(project, given)
    except VideoNotFoundError:
        named = store.find_videos(project, name=given)
    if len(named) > 1:
        ids = _listed([row.video_id for row in named])
        raise InputError(
            f"{given!r} is the name of {len(named)} videos of project {project!r}: give the id of one, {ids}"
        )
    if named:
        return named[0]
    whole = complete(IdKind.VIDEO, given, _KNOWN[IdKind.VIDEO](store, project))
    if whole != given:
        return store.get_video(project, whole)
    raise VideoNotFoundError(
        f"project {project!r} has no video with the id, name or address {given!r}: 'facerec videos list' names all"
    )


def complete(kind: IdKind, given: str, known: Iterable[str]) -> str:
    """Return which of some ids begins as `given` does, or `given` where none does; see `full_id`."""
    name, mark = kind.value
    ids = set(known)
    if given and given == mark and given not in ids:
        raise InputError(f"every id of a {name} begins with {given!r}: give more of it")
    if given in ids or not given.startswith(mark) or len(given) < max(_LEAST_GIVEN, len(mark) + 1):
        return given
    found = [one for one in ids if one.startswith(given)]
    if len(found) > 1:
        raise InputError(f"{name} {given!r} is the beginning of several ids, give more of it: {_listed(found)}")
    return found[0] if found else given


_KNOWN: dict[IdKind, Callable[[Store, str], list[str]]] = {
    IdKind.VIDEO: lambda store, project: [row.video_id for row in store.list_videos(project)],
    IdKind.JOB: lambda store, _: [row.job_id for row in store.list_jobs()],
    IdKind.MODEL: lambda store, project: [row.version for row in store.list_models(project)],
    IdKind.ANALYSIS: lambda store, project: [row.analysis_id for row in store.list_analyses(project)],
    IdKind.STRANGER: lambda store, project: [row.stranger_id for row in store.list_strangers(project)],
    IdKind.FACE: lambda store, project: [row.face_id for row in store.list_faces(project)],
}


def _listed(ids: Collection[str]) -> str:
    shown = sorted(ids)[:_MOST_LISTED]
    more = len(ids) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")

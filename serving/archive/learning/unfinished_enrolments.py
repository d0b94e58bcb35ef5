"""Face files of people who are being enrolled: they are there before their rows, and go where these never come.

A mark says so as long as that may be: which faces, and, without a name, of whom.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from facerec_models.errors import ConflictError, ProjectNotFoundError
from facerec_models.files import AnyPath, write_atomically
from facerec_models.names import short_id
from serving.archive.files import Files
from serving.archive.handle import Archive

_PREFIX = "e"


@contextmanager
def enrolling(archive: Archive, project: str, faces: Mapping[str, Collection[str]]) -> Iterator[Callable[[], None]]:
    """Mark an enrolment while the block writes files and then rows: after an error or a kill, files without a row are removed.

    What a killed process leaves is removed with its person, or by `serving.jobs.sweep`.

    Parameters
    ----------
    faces : mapping of str to collection of str
        The ids of new faces by person.

    Yields
    ------
    callable
        To be called right before the rows are stored: raises `ConflictError` if a person was forgotten meanwhile.
    """
    marks: dict[AnyPath, str] = {}
    for person_id, face_ids in faces.items():
        if face_ids:
            mark = archive.files.enrolment_mark(project, f"{_of_person(project, person_id)}-{uuid.uuid4().hex}")
            write_atomically(mark, "\n".join(face_ids).encode())
            marks[mark] = person_id

    def check() -> None:
        gone = sorted(person_id for mark, person_id in marks.items() if not mark.is_file())
        if gone:
            raise ConflictError(
                f"{', '.join(gone)} of project {project!r} was forgotten meanwhile: enrol again if that is meant"
            )

    try:
        yield check
    except BaseException:
        _remove_without_row(archive, project, [face_id for face_ids in faces.values() for face_id in face_ids])
        _remove(marks)
        raise
    _remove(marks)


def marks_of(files: Files, project: str, person_id: str | None = None) -> list[AnyPath]:
    """Return the marks of a project's enrolments, or of a person's, that have not ended."""
    folder = files.enrolment_mark(project, "")
    pattern = f"{_PREFIX}-*" if person_id is None else f"{_of_person(project, person_id)}-*"
    return [path for path in folder.glob(pattern) if path.is_file()] if folder.is_dir() else []


def crops_of(files: Files, project: str, mark: AnyPath) -> dict[str, AnyPath]:
    """Return the face files that a mark speaks of, by face; some may not be there."""
    try:
        face_ids = mark.read_bytes().decode().split()
    except FileNotFoundError:  # the enrolment has ended
        return {}
    return {face_id: files.face_crop(project, face_id) for face_id in face_ids}


def _of_person(project: str, person_id: str) -> str:
    return short_id(_PREFIX, project, person_id)


def _remove_without_row(archive: Archive, project: str, face_ids: Collection[str]) -> None:
    try:
        known = {face.face_id for face in archive.store.list_faces(project)}
    except ProjectNotFoundError:  # it was deleted meanwhile
        known = set()
    for face_id in set(face_ids) - known:
        archive.files.face_crop(project, face_id).unlink(missing_ok=True)


def _remove(marks: Collection[AnyPath]) -> None:
    for mark in marks:
        mark.unlink(missing_ok=True)

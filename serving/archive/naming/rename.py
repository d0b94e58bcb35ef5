"""Another name for a person, and two people who are one: faces, corrections and named strangers go with the name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace

from facerec_models.errors import ConflictError, InputError, PersonNotFoundError
from facerec_models.names import person_id_of
from serving.archive.former_names import MERGE, RENAME
from serving.archive.handle import Archive
from serving.archive.naming.correction_rows import correction_id
from serving.archive.naming.current import CurrentNaming
from serving.archive.naming.edits import PlannedEdit, change_names
from serving.archive.naming.preview import IdentificationChange
from serving.archive.naming.refit import plan_faces
from serving.archive.privacy.consent import move_note
from serving.store.contract import Store
from serving.store.naming_rows import Correction, CorrectionKind, Edit

logger = logging.getLogger(__name__)

# Which of two corrections of one track holds for one person.
_RANK = {CorrectionKind.IS: 2, CorrectionKind.IS_NOT: 1, CorrectionKind.APART: 0}


def rename_person(
    archive: Archive,
    project: str,
    given: str,
    name: str,
    *,
    preview: bool = False,
    expected: int | None = None,
) -> IdentificationChange:
    """Give a person another name, everywhere and at once.

    Parameters
    ----------
    preview, expected
        As of `serving.archive.naming.edits.change_names`.

    Raises
    ------
    PersonNotFoundError
        If there is nobody of the first name.
    ConflictError
        If another person has the second name already, or one that is like it, or pictures of the person are being collected.
    """

    def plan(current: CurrentNaming) -> PlannedEdit:
        former, person_id = person_id_of(given), person_id_of(name)
        _require_person(current, former)
        if current.knows(person_id):
            raise ConflictError(
                f"project {project!r} has a person {person_id!r} already: 'facerec people merge' makes one of two"
            )
        require_unlike(current, person_id, but=former)
        return plan_faces(archive, current, _edit(archive.store, current, RENAME, former, person_id))

    return _change(archive, project, plan, given, name, preview, expected)


def merge_people(
    archive: Archive,
    project: str,
    given: str,
    into: str,
    *,
    preview: bool = False,
    expected: int | None = None,
) -> IdentificationChange:
    """Make one person of two: what the first one has is the second one's then.

    Parameters
    ----------
    preview, expected
        As of `serving.archive.naming.edits.change_names`.

    Raises
    ------
    InputError
        If both are the same.
    PersonNotFoundError
        If there is nobody of one of the names.
    ConflictError
        If pictures of the first one are being collected.
    """

    def plan(current: CurrentNaming) -> PlannedEdit:
        former, person_id = person_id_of(given), person_id_of(into)
        if former == person_id:
            raise InputError(f"{former!r} cannot be merged with itself: give two people")
        _require_person(current, former)
        _require_person(current, person_id)
        return plan_faces(archive, current, _edit(archive.store, current, MERGE, former, person_id))

    return _change(archive, project, plan, given, into, preview, expected)


def require_unlike(current: CurrentNaming, person_id: str, *, but: str | None = None) -> None:
    """Refuse a new name that differs from a known one only in case or underscores: it is most likely the same person's.

    Pictures of that name make it known.

    Parameters
    ----------
    but : str, optional
        Whose name it may be like.
    """
    like = sorted(one for one in current.people() - {but} if _folded(one) == _folded(person_id))
    if like and not current.knows(person_id):
        raise ConflictError(
            f"project {current.project!r} has no person {person_id!r}, but {like[0]!r}: give that name, or one that differs in more "
            "than case and underscores"
        )


def _folded(person_id: str) -> str:
    return person_id.casefold().replace("_", "")


def _change(
    archive: Archive,
    project: str,
    plan: Callable[[CurrentNaming], PlannedEdit],
    given: str,
    name: str,
    preview: bool,
    expected: int | None,
) -> IdentificationChange:
    """Change names, and move what was agreed with the person."""
    change = change_names(archive, project, plan, preview=preview, expected=expected)
    former = person_id_of(given)
    if change.applied:
        move_note(archive.store, project, former, person_id_of(name))
    return change


def _require_person(current: CurrentNaming, person_id: str) -> None:
    if not current.knows(person_id):
        raise PersonNotFoundError(
            f"project {current.project!r} has no person {person_id!r}: 'facerec people list' lists all"
        )


def _edit(store: Store, current: CurrentNaming, cause: str, former: str, person_id: str) -> Edit:
    project = current.project
    for job in store.list_jobs(project):
        if job.kind == "crawl" and job.spec["person_id"] == former and not job.state.is_final:
            raise ConflictError(
                f"pictures of {former} are being collected by job {job.job_id}: wait for it, or 'facerec jobs cancel' it"
            )
    return Edit(
        cause,
        f"{former} is {person_id}",
        corrections=list(_carried(current, former, person_id)),
        withdrawn=[row.correction_id for row in current.corrections if row.person_id == former],
        faces=[replace(face, person_id=person_id) for face in current.faces() if face.person_id == former],
        strangers=[
            replace(one, person_id=person_id) for one in store.list_strangers(project) if one.person_id == former
        ],
        renamed=(former, person_id),
    )


def _carried(current: CurrentNaming, former: str, person_id: str) -> Iterator[Correction]:
    """Yield the corrections of one name as those of another; of two of one track the stronger one holds."""
    there = {
        (row.analysis_id, row.track_id): _RANK[row.kind] for row in current.corrections if row.person_id == person_id
    }
    for row in current.corrections:
        if row.person_id == former and _RANK[row.kind] > there.get((row.analysis_id, row.track_id), -1):
            yield replace(
                row,
                person_id=person_id,
                correction_id=correction_id(current.project, row.kind, person_id, row.analysis_id, row.track_id),
            )

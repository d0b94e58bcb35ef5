"""Take back the last edit: names, appearances, strangers, corrections and faces are as before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

from facerec_models.errors import ConflictError, ModelNotFoundError
from facerec_models.identification.naming_model import NamingModel
from serving.archive.coverage import MADE_FROM
from serving.archive.former_names import MERGE, RENAME, UNMERGE
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import load_model
from serving.archive.learning.unfinished_enrolments import enrolling
from serving.archive.naming.current import CurrentNaming
from serving.archive.naming.edits import PlannedEdit, change_names
from serving.archive.naming.preview import IdentificationChange
from serving.archive.privacy.consent import move_note
from serving.store.contract import Store
from serving.store.naming_rows import AppliedEdit, Edit


def undo_edit(
    archive: Archive,
    project: str,
    number: int | None = None,
    *,
    preview: bool = False,
    expected: int | None = None,
) -> IdentificationChange:
    """Take back the last edit that stands, or say what that would change.

    Videos that came since are named by the model before.

    Parameters
    ----------
    number : int, optional
        The edit's, which must be the last one that stands; by default that one.
    preview, expected
        As of `serving.archive.naming.edits.change_names`.

    Raises
    ------
    ModelNotFoundError
        If there is no such edit, or what named before it is gone.
    ConflictError
        If another one was applied since, if it was undone already, or if a person was forgotten since.
    """
    undone: list[AppliedEdit] = []

    def plan(current: CurrentNaming) -> PlannedEdit:
        undone[:] = [_last(archive.store, project, number)]
        return _plan(archive, current, undone[0])

    change = change_names(archive, project, plan, preview=preview, expected=expected)
    renamed = undone[0].renamed
    if change.applied and renamed is not None:
        move_note(archive.store, project, renamed[1], renamed[0], stays=undone[0].cause == MERGE)
    return change


def _plan(archive: Archive, current: CurrentNaming, edit: AppliedEdit) -> PlannedEdit:
    store, project = archive.store, current.project
    inverse = _without_gone(store, project, store.get_inverse(project, edit.number))
    model = _former_model(archive, project, edit)
    now = current.named
    former = {row.analysis_id: row for row in store.list_former_named(project, edit.number)}
    # What was named again since is named by the model before; the rest is as it was.
    untouched = {one for one, row in now.items() if row.version == edit.version}
    since = {one for one, row in now.items() if row.version > edit.version}
    stands_for: dict[str, str] = {}
    is_switch = edit.former_embedder is not None and edit.former_embedder != current.embedder
    if is_switch:
        restored = list(former.values())
        others = {row.analysis_id for row in store.list_analyses(project) if row.embedder == edit.former_embedder}
        wanted, unnamed = others, set(now) - others
        stands_for = {
            str(row.summary[MADE_FROM]): row.analysis_id
            for row in store.list_analyses(project)
            if row.analysis_id in now and row.summary.get(MADE_FROM) in others
        }
    else:
        restored = [row for one, row in former.items() if one in untouched or one not in now]
        unnamed = untouched - former.keys()
        wanted = {row.analysis_id for row in restored} | since
    before = (
        archive.rules.max_false_names_tracks if edit.former_max_false_names is None else edit.former_max_false_names
    )
    return PlannedEdit(
        inverse,
        edit.former_model,
        model,
        wanted=wanted,
        restored=restored,
        unnamed=unnamed,
        # What came under the accepted error of the edit is named by the one before.
        limits={one: before for one in since if now[one].max_false_names == edit.max_false_names},
        held=former,
        stands_for=stands_for,
        files=lambda: _without_crops(archive, project, inverse.removed),
        undoes=edit.number,
        # Who was made one with another may be either of them.
        renamed=edit.renamed[::-1] if edit.renamed is not None and edit.cause in (RENAME, UNMERGE) else None,
    )


def _without_gone(store: Store, project: str, inverse: Edit) -> Edit:
    """Leave out faces that were removed since the edit."""
    people = sorted({face.person_id for face in inverse.faces})
    there = {face.face_id for one in people for face in store.list_faces(project, person_id=one)}
    if any(face.face_id not in there for face in inverse.faces):  # or they have another name since
        there = {face.face_id for face in store.list_faces(project)}
    return replace(inverse, faces=[face for face in inverse.faces if face.face_id in there])


def _former_model(archive: Archive, project: str, edit: AppliedEdit) -> NamingModel | None:
    if edit.former_model is None:
        return None
    try:
        archive.store.get_model(project, edit.former_model)
        return load_model(archive.files, project, edit.former_model)
    except ModelNotFoundError as error:
        raise ConflictError(f"what named before edit {edit.number} of project {project!r} is gone: {error}") from error


@contextmanager
def _without_crops(archive: Archive, project: str, face_ids: Collection[str]) -> Iterator[None]:
    """Remove the files of faces after their rows."""
    of_people: dict[str, list[str]] = defaultdict(list)
    for face in archive.store.list_faces(project) if face_ids else ():
        if face.face_id in face_ids:
            of_people[face.person_id].append(face.face_id)
    with enrolling(archive, project, of_people):
        yield
        for face_id in face_ids:
            archive.files.face_crop(project, face_id).unlink(missing_ok=True)


def _last(store: Store, project: str, number: int | None) -> AppliedEdit:
    edits = store.list_edits(project)
    standing = [one for one in edits if one.undone_at is None]
    if number is not None and number not in {one.number for one in edits}:
        raise ModelNotFoundError(f"project {project!r} has no edit {number}: 'facerec history list' shows all")
    if not standing or (number is not None and number not in {one.number for one in standing}):
        what = (
            "nothing was edited"
            if not edits
            else "all edits were undone"
            if number is None
            else f"edit {number} was undone"
        )
        raise ConflictError(f"there is nothing to undo in project {project!r}: {what} already")
    last = standing[-1]
    if number not in (None, last.number):
        raise ConflictError(
            f"edit {number} of project {project!r} is not the last one that stands: undo {last.number} first"
        )
    if not last.can_undo:
        raise ConflictError(
            f"edit {last.number} of project {project!r} cannot be undone: a person was forgotten since, and is in what was before"
        )
    return last

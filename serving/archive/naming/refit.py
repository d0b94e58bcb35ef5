"""Edits that the model learns: a version is fitted to what is known with them, promoted, and names what they change."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from facerec_models.config import TrainingConfig
from facerec_models.errors import (
    ConflictError,
    EmptyGalleryError,
    ModelNotFoundError,
)
from facerec_models.files import remove_tree
from facerec_models.types import STRANGER_PREFIX
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import FittedVersion, fit_edit
from serving.archive.learning.unfinished_enrolments import enrolling
from serving.archive.naming.correction_rows import with_corrections
from serving.archive.naming.current import CurrentNaming
from serving.archive.naming.edits import PlannedEdit, change_names
from serving.archive.naming.faces_of_tracks import keep_crops, lost_faces, new_faces
from serving.archive.naming.preview import IdentificationChange
from serving.store.conflicts import require_version
from serving.store.naming_rows import Correction, Edit, Promotion
from serving.store.rows import Face
from training.ray_tasks import Workers


def refit_and_name(archive: Archive, project: str, cause: str, changed: Collection[str]) -> IdentificationChange:
    """Fit a version to what is known now, with the classifier in use, promote it, and name the archive with it.

    Parameters
    ----------
    changed : collection of str
        Analyses whose tracks have changed since they were named.
    """

    def plan(current: CurrentNaming) -> PlannedEdit:
        planned = plan_refit(archive, current, Edit(cause))
        named = {row.analysis_id for row in archive.store.list_named(project, sorted(changed))}
        return replace(planned, more=named)

    return change_names(archive, project, plan)


def plan_refit(archive: Archive, current: CurrentNaming, edit: Edit) -> PlannedEdit:
    """Return an edit of corrections and faces with the version that learns them, which it promotes.

    Faces of a track that is corrected to another person are disabled with it; those whom the store has already are left out.
    """
    store, project = archive.store, current.project
    before = store.list_corrections(project)
    corrections = with_corrections(before, edit.corrections, edit.withdrawn)
    enrolled = new_faces(store, project, edit.faces, corrections)
    changed = [*enrolled, *lost_faces(store, project, before, corrections, enrolled)]
    return _plan_fit(archive, current, replace(edit, faces=changed), corrections, enrolled)


def plan_faces(archive: Archive, current: CurrentNaming, edit: Edit) -> PlannedEdit:
    """Return an edit of faces that are enrolled already, as they are then, with the version that learns it.

    Where nothing was trained yet, nothing is learned; where nobody is left to learn from, all are strangers then.
    """
    if current.model_version is None:
        return PlannedEdit(edit, None, None, wanted=())
    before = archive.store.list_corrections(current.project)
    try:
        return _plan_fit(archive, current, edit, with_corrections(before, edit.corrections, edit.withdrawn), [])
    except EmptyGalleryError:
        return PlannedEdit(replace(edit, promotion=Promotion.NONE), None, None)


def _plan_fit(
    archive: Archive,
    current: CurrentNaming,
    edit: Edit,
    corrections: Sequence[Correction],
    enrolled: Sequence[Face],
) -> PlannedEdit:
    """Return an edit with the version that learns it.

    Parameters
    ----------
    corrections : sequence of Correction
        All that hold then.
    enrolled : sequence of Face
        Those of the edit that are new, from tracks.
    """
    project = current.project
    config = TrainingConfig.model_validate({**current.trained_with, "promote": "no"})
    with Workers(archive.files.root) as workers:
        fitted = fit_edit(
            archive,
            project,
            config,
            changed=edit.faces,
            removed=edit.removed,
            corrections=corrections,
            workers=workers,
        )
    version = fitted.row.version

    @contextmanager
    def files() -> Iterator[None]:
        of_people: dict[str, list[str]] = {}
        for face in enrolled:
            of_people.setdefault(face.person_id, []).append(face.face_id)
        with enrolling(archive, project, of_people) as require_not_forgotten, _written(archive, current, fitted):
            keep_crops(archive.files, project, enrolled)
            require_not_forgotten()
            yield

    return PlannedEdit(
        replace(edit, promotion=Promotion.PROMOTE, model_version=version),
        version,
        fitted.fitted.model,
        more=_about_strangers(edit),
        corrections=corrections,
        files=files,
    )


def _about_strangers(edit: Edit) -> set[str]:
    """Return the analyses of tracks that are corrected not to be a stranger: no model knows which one."""
    return {row.analysis_id for row in edit.corrections if row.person_id.startswith(STRANGER_PREFIX)}


@contextmanager
def _written(archive: Archive, current: CurrentNaming, fitted: FittedVersion) -> Iterator[None]:
    """Write a version; where it is not promoted after all, it is gone again: it may know a person who was forgotten meanwhile."""
    store, project, version = archive.store, current.project, fitted.row.version
    is_known = any(row.version == version for row in store.list_models(project))
    try:
        if not is_known:
            fitted.write(archive)
        # Whoever is forgotten afterwards finds the version.
        require_version(project, current.version, store.get_project(project).version)
        yield
    except BaseException:
        if not is_known:
            with suppress(ModelNotFoundError, ConflictError):
                store.delete_model(project, version)
                remove_tree(archive.files.model(project, version))
        raise

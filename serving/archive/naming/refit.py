"""Edits that the model learns: a version is fitted to what is known with them, promoted, and names what they change."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from facerec_models.config import TrainingConfig
from facerec_models.errors import (
    ConflictError,
    EmptyGalleryError,
    ModelNotFoundError,
)
from facerec_models.files import remove_tree
from facerec_models.names import STRANGER_PREFIX
from serving.archive.handle import Archive
from serving.archive.learning.gallery import gallery_of
from serving.archive.learning.model_versions import FittedVersion, Learned, fit_version
from serving.archive.learning.unfinished_enrolments import enrolling
from serving.archive.naming.correction_rows import with_corrections
from serving.archive.naming.current import CurrentNaming
from serving.archive.naming.edits import PlannedEdit, change_names
from serving.archive.naming.faces_of_tracks import keep_crops, lost_faces, new_faces
from serving.archive.naming.preview import IdentificationChange
from serving.store.contract import Store
from serving.store.naming_rows import Correction, Edit, Promotion
from serving.store.rows import Face
from training.progress import NoProgress
from training.ray_tasks import Workers


def refit_and_name(archive: Archive, project: str, cause: str, changed: Collection[str]) -> IdentificationChange:
    """Fit a version to what is known now, with the classifier in use, promote it, and name the archive with it.

    Parameters
    ----------
    changed : collection of str
        Analyses whose tracks have changed since they were named.
    """

    def plan(current: CurrentNaming) -> PlannedEdit:
        return replace(plan_refit(archive, current, Edit(cause)), more=current.named.keys() & set(changed))

    return change_names(archive, project, plan)


def plan_refit(archive: Archive, current: CurrentNaming, edit: Edit) -> PlannedEdit:
    """Return an edit of corrections and faces with the version that learns them, which it promotes.

    Faces of a track that is corrected to another person are disabled with it; those whom the store has already are left out.
    """
    corrections = with_corrections(current.corrections, edit.corrections, edit.withdrawn)
    enrolled = new_faces(archive.store, current, edit.faces, corrections)
    changed = [*enrolled, *lost_faces(archive.store, current, corrections, enrolled)]
    return _plan_fit(archive, current, replace(edit, faces=changed), corrections, enrolled)


def plan_faces(archive: Archive, current: CurrentNaming, edit: Edit) -> PlannedEdit:
    """Return an edit of faces that are enrolled already, as they are then, with the version that learns it.

    Where nothing was trained yet, nothing is learned. Where nobody is left to learn from, all are strangers, until a face is enabled.
    """
    if current.model_version is None:
        trained_with = _trained_with(archive.store, current.project)
        if trained_with is None:
            return PlannedEdit(edit, None, None, wanted=())
        current = replace(current, trained_with=trained_with)
    try:
        corrections = with_corrections(current.corrections, edit.corrections, edit.withdrawn)
        return _plan_fit(archive, current, edit, corrections, [])
    except EmptyGalleryError:
        return PlannedEdit(replace(edit, promotion=Promotion.NONE), None, None)


def _trained_with(store: Store, project: str) -> Mapping[str, Any] | None:
    """Return how the version was trained that an edit of faces took away, the last one that changed it; otherwise None."""
    for edit in reversed(store.list_edits(project)):
        if edit.undone_at is None and edit.former_model != edit.model_version:
            if edit.cause != "faces" or edit.former_model is None:
                return None
            with suppress(ModelNotFoundError):
                trained_with: Mapping[str, Any] = store.get_model(project, edit.former_model).metrics.get(
                    "training", {}
                )
                return trained_with
            return {}
    return None


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
    gallery = gallery_of(project, current.embedder, current.faces(), edit.faces, edit.removed)
    learned = Learned(gallery, corrections, {}, time.perf_counter())
    with Workers(archive.files.root) as workers:
        fitted = fit_version(archive, project, learned, config, workers, NoProgress())

    @contextmanager
    def files() -> Iterator[None]:
        of_people: dict[str, list[str]] = {}
        for face in enrolled:
            of_people.setdefault(face.person_id, []).append(face.face_id)
        with enrolling(archive, project, of_people) as require_not_forgotten, _written(archive, fitted):
            keep_crops(archive.files, project, enrolled)
            require_not_forgotten()
            yield

    version = fitted.row.version
    return PlannedEdit(
        replace(edit, promotion=Promotion.PROMOTE, model_version=version),
        version,
        fitted.fitted.model,
        more=_about_strangers(edit),
        files=files,
    )


def _about_strangers(edit: Edit) -> set[str]:
    """Return the analyses of tracks that are corrected not to be a stranger: no model knows which one."""
    return {row.analysis_id for row in edit.corrections if row.person_id.startswith(STRANGER_PREFIX)}


@contextmanager
def _written(archive: Archive, fitted: FittedVersion) -> Iterator[None]:
    """Write a version; where it is not promoted after all, it is gone again: it may know a person who was forgotten meanwhile.

    Its row comes first: whoever is forgotten finds it, even if this process is killed.
    """
    row = fitted.row
    folder = archive.files.model(row.project, row.version)
    is_new = archive.store.add_new_model(row)
    try:
        if is_new or not folder.is_dir():
            fitted.fitted.save(folder)
        yield
    except BaseException:
        if is_new:
            with suppress(ModelNotFoundError, ConflictError):
                archive.store.delete_model(row.project, row.version)
                remove_tree(folder)
        raise

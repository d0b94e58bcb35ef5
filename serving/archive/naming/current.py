"""By what a project is named now: its version, its model, and the accepted error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facerec_models.errors import ConflictError
from facerec_models.identification.naming_model import NamingModel
from facerec_models.names import short_id
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import load_model, promoted_model


@dataclass(frozen=True, slots=True, eq=False)
class CurrentNaming:
    """What names depend on, as it was at one version of a project.

    Parameters
    ----------
    embedder : str or None
        None where there is neither face nor video yet.
    model_version, model : str and NamingModel, or None
        None where nobody is enrolled.
    trained_with : mapping
        How that version was trained, as `facerec_models.config.TrainingConfig` reads it.
    max_false_names : float
        The accepted error of what is not named by another one.
    """

    project: str
    version: int
    embedder: str | None
    model_version: str | None
    model: NamingModel | None
    trained_with: Mapping[str, Any]
    max_false_names: float


def read_current(archive: Archive, project: str) -> CurrentNaming:
    """Return by what a project is named now."""
    row = archive.store.get_project(project)
    promoted = promoted_model(archive.store, project)
    return CurrentNaming(
        project,
        row.version,
        row.embedder,
        None if promoted is None else promoted.version,
        None if promoted is None else load_model(archive.files, project, promoted.version),
        {} if promoted is None else promoted.metrics.get("training", {}),
        archive.rules.max_false_names_tracks if row.max_false_names is None else row.max_false_names,
    )


def revision_of(project: str, model_version: str | None, max_false_names: float) -> str:
    """Return what stands for a model and an accepted error in answers: names follow from these, and from corrections."""
    return short_id("r", project, model_version or "", repr(max_false_names))


def require_version(project: str, found: int, expected: int | None) -> None:
    """Raise `ConflictError` if the project is not at the version that a preview answered."""
    if expected is not None and expected != found:
        raise ConflictError(
            f"project {project!r} is not at version {expected} of the preview any more, but at {found}: preview again"
        )

"""By what a project is named now: its version, its model, and the accepted error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from facerec_models.identification.naming_model import NamingModel
from facerec_models.names import short_id
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import load_model
from serving.store.naming_rows import Correction, NamedTracks
from serving.store.rows import Face


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
    corrections, named, latest
        As of `serving.store.naming_rows.NamingState`.
    faces : callable
        Returns all enrolled faces, disabled ones too, by person and path; read when it is first called.
    """

    project: str
    version: int
    embedder: str | None
    model_version: str | None
    model: NamingModel | None
    trained_with: Mapping[str, Any]
    max_false_names: float
    corrections: Sequence[Correction]
    named: Mapping[str, NamedTracks]
    latest: Mapping[str, str]
    faces: Callable[[], Sequence[Face]]

    def people(self) -> set[str]:
        """Return who has faces, disabled ones too."""
        return {face.person_id for face in self.faces()}

    def knows(self, person_id: str) -> bool:
        """Whether the project has faces or corrections of a person; where all corrections were asked for."""
        return person_id in self.people() or any(row.person_id == person_id for row in self.corrections)


def read_current(archive: Archive, project: str, analysis_ids: Sequence[str] | None = ()) -> CurrentNaming:
    """Return by what a project is named now, with what is known of these analyses; None for all."""
    state = archive.store.read_naming(project, analysis_ids)
    row, promoted = state.project, state.promoted
    return CurrentNaming(
        project,
        row.version,
        row.embedder,
        None if promoted is None else promoted.version,
        None if promoted is None else load_model(archive.files, project, promoted.version),
        {} if promoted is None else promoted.metrics.get("training", {}),
        archive.rules.max_false_names_tracks if row.max_false_names is None else row.max_false_names,
        state.corrections,
        state.named,
        state.latest,
        cache(lambda: archive.store.list_faces(project)),
    )


def revision_of(project: str, model_version: str | None, max_false_names: float) -> str:
    """Return what stands for a model and an accepted error in answers: names follow from these, and from corrections."""
    return short_id("r", project, model_version or "", repr(max_false_names))

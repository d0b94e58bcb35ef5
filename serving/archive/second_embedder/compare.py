"""How two sets of vectors of one project compare: what each tells apart, and what naming by the second would change."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from facerec_models.config import IdentificationConfig
from facerec_models.identification.cohort import Cohort
from facerec_models.identification.naming_model import Gallery, NamingModel
from serving.archive.handle import Archive
from serving.archive.learning.cohort import project_cohort
from serving.archive.learning.evaluation_set import evaluate_version
from serving.archive.learning.loaded_models import load_model, promoted_version
from serving.archive.second_embedder.switch import Swap, preview_swap
from serving.store.rows import ModelVersion


@dataclass(frozen=True, slots=True)
class CrossValidatedNames:
    """Pictures of people with several, each named by a gallery without it.

    Parameters
    ----------
    faces : int
        How many there are.
    nearest : int
        Nearest to the right person.
    named, wrong : int
        Named so at the accepted error of stills; named as another person.
    """

    faces: int
    nearest: int
    named: int
    wrong: int


@dataclass(frozen=True, slots=True)
class SetFigures:
    """What is measured of one set.

    Parameters
    ----------
    evaluation : dict or None
        Recall and precision on the videos whose truth the project keeps; None without any.
    """

    version: str
    embedder: str
    classifier: str
    people: int
    faces: int
    cross_validated: CrossValidatedNames
    metrics: dict[str, Any]
    evaluation: dict[str, float | None] | None


@dataclass(frozen=True, slots=True)
class ComparedSets:
    """The present set beside the prepared one; `present` is None where no version is promoted."""

    present: SetFigures | None
    prepared: SetFigures
    swap: Swap

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        return {
            "present": None if self.present is None else asdict(self.present),
            "prepared": asdict(self.prepared),
            "agreement": asdict(self.swap.agreement),
            "change": self.swap.change.to_dict(),
        }


def compare_sets(archive: Archive, project: str, version: str | None = None) -> ComparedSets:
    """Compare the promoted version with one that was prepared; nothing is stored.

    Raises
    ------
    ModelNotFoundError, ConflictError
        As `serving.archive.second_embedder.switch.preview_swap`.
    """
    swap = preview_swap(archive, project, version)
    present = promoted_version(archive.store, project)
    return ComparedSets(
        None if present is None else _figures(archive, archive.store.get_model(project, present)),
        _figures(archive, swap.version),
        swap,
    )


def _figures(archive: Archive, row: ModelVersion) -> SetFigures:
    model = load_model(archive.files, row.project, row.version)
    measured = evaluate_version(archive, row.project, row.version)
    return SetFigures(
        row.version,
        row.embedder,
        row.classifier,
        row.people,
        row.faces,
        name_cross_validated(model, project_cohort(archive.files, row.project, row.embedder), archive.rules),
        row.metrics,
        None if measured is None else {"recall": measured.recall, "precision": measured.precision},
    )


def name_cross_validated(model: NamingModel, cohort: Cohort, rules: IdentificationConfig) -> CrossValidatedNames:
    """Name each enrolled picture by the rest of the gallery, in three rounds.

    By prototypes, whatever the model's classifier is: it is the network that is compared. People with a single picture stay in the
    gallery, and are not asked for.
    """
    # scikit-learn takes long to import, and the service begins without it.
    from facerec_models.identification.cross_validation import FOLDS, folds_of
    from facerec_models.identification.fit import fit_model

    gallery, limit = model.gallery, rules.max_false_names_stills
    fold = folds_of(gallery.person_ids)
    faces = nearest = named = wrong = 0
    for number in range(FOLDS):
        out = fold == number
        if not out.any():
            continue
        rest = Gallery(gallery.embedder, gallery.embeddings[~out], gallery.person_ids[~out], gallery.face_ids[~out])
        learned = fit_model(rest, cohort, rules.prior_known)
        scores = learned.classifier.decision_function(gallery.embeddings[out])
        right = learned.classifier.classes_[scores.argmax(axis=1)] == gallery.person_ids[out]
        accepted = learned.stills.false_name_rate(scores.max(axis=1)) <= limit
        faces += int(out.sum())
        nearest += int(right.sum())
        named += int(np.sum(right & accepted))
        wrong += int(np.sum(~right & accepted))
    return CrossValidatedNames(faces, nearest, named, wrong)

"""Fit a model to a gallery."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version as installed_version
from typing import Any

import numpy as np

from facerec_models.config import IdentificationConfig, TrainingConfig
from facerec_models.files import AnyPath
from facerec_models.identification.cohort import Cohort
from facerec_models.identification.corrections import Corrections
from facerec_models.identification.model_folder import remove_abandoned
from facerec_models.identification.naming_model import Gallery, NamingModel
from training.progress import SAVE_FROM, Progress, stop_if_asked
from training.ray_tasks import Workers

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A model that is not written yet.

    Parameters
    ----------
    metrics : dict
        As JSON values: among them the scores that a still and a track must reach, and whether the cohort could check that.
    facts : dict
        What its folder says of it.
    """

    model: NamingModel
    metrics: dict[str, Any]
    facts: dict[str, Any]

    def save(self, directory: AnyPath) -> None:
        """Write its folder, whole or not at all; folders beside it that a killed fit left unfinished are removed."""
        remove_abandoned(directory.parent)
        self.model.save(directory, self.facts)


def fit(
    gallery: Gallery,
    cohort: Cohort,
    corrections: Corrections,
    rules: IdentificationConfig,
    config: TrainingConfig,
    *,
    about: Mapping[str, Any],
    facts: Mapping[str, Any],
    started: float,
    workers: Workers,
    progress: Progress,
) -> FittedModel:
    """Fit a model; nothing is written.

    Parameters
    ----------
    about : mapping
        What its folder says of itself beside the fit, such as its version, as JSON values.
    facts : mapping
        Further metrics, as JSON values.
    started : float
        When the work began, by `time.perf_counter`.
    workers : Workers
        Where classifiers that take long are fitted in parallel.

    Raises
    ------
    TrainingStoppedError
        If `progress` asked for it.
    """
    # scikit-learn takes long to import, and whoever only asks for a version does not need it.
    from facerec_models.identification.fit import fit_model
    from training.learning import Learner

    logger.info("learning %d faces with %s", len(gallery.face_ids), config.classifier)
    learner = Learner(workers, progress, len(np.unique(gallery.person_ids)))
    model = fit_model(
        gallery, cohort, rules.prior_known, classifier=config.classifier, seed=config.seed, learn=learner.learn
    )
    model = replace(model, corrections=corrections)
    stop_if_asked(progress)
    progress.report(SAVE_FROM)
    metrics = {
        "seconds": time.perf_counter() - started,
        "training": config.model_dump(mode="json", include={"classifier", "seed", "use_seen_strangers"}),
        "cohort": cohort.source,
        "strangers": len(model.stills.strangers),
        **model.facts,
        **facts,
        "limit_stills": model.stills.limit(rules.max_false_names_stills),
        "limit_tracks": model.tracks.limit(rules.max_false_names_tracks),
        "extrapolated_tracks": model.tracks.is_extrapolated(rules.max_false_names_tracks),
    }
    libraries = {name: installed_version(name) for name in ("facerec", "numpy", "scikit-learn", "scipy")}
    facts = {**about, "seed": config.seed, "cohort": cohort.source, "libraries": libraries, "metrics": metrics}
    return FittedModel(model, metrics, facts)

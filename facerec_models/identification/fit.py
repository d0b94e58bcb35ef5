"""Make the model that names faces from who is enrolled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from facerec_models.errors import EmptyGalleryError, GalleryError, GalleryMismatchError
from facerec_models.identification.calibration import GenuineScale, ScoreCalibration, are_strangers
from facerec_models.identification.classifiers import (
    DEFAULT_CLASSIFIER,
    BoundedClassifier,
    FaceClassifier,
    PrototypeClassifier,
    build_classifier,
)
from facerec_models.identification.cohort import Cohort, require_strangers
from facerec_models.identification.cross_validation import Learn, fit_classifier, genuine_scores, learn_in_turn
from facerec_models.identification.naming_model import Gallery, NamingModel
from facerec_models.types import FloatArray


def fit_model(
    gallery: Gallery,
    cohort: Cohort,
    prior_known: float,
    *,
    classifier: str = DEFAULT_CLASSIFIER,
    seed: int = 0,
    learn: Learn = learn_in_turn,
) -> NamingModel:
    """Make the model of a gallery.

    A classifier that learns from strangers learns from one half of the cohort and is calibrated with the other: of the strangers that
    it has seen, it would claim too much. Its scores are bounded by similarity, see `facerec_models.identification.classifiers.bounded`.

    Parameters
    ----------
    classifier : str
        One of `facerec_models.identification.classifiers.CLASSIFIERS`.
    seed : int
        Of the classifier; the same faces and seed give the same model.
    learn : callable
        Learns people independently of each other; see `facerec_models.identification.cross_validation.learn_in_turn`.

    Raises
    ------
    EmptyGalleryError
        If there is no face.
    GalleryMismatchError
        If gallery and cohort come from two networks.
    GalleryError
        If there are too few strangers for this classifier.
    """
    if len(gallery.person_ids) == 0:
        raise EmptyGalleryError("no enabled face to learn from: import people first (facerec people import DIR)")
    if gallery.embedder != cohort.embedder:
        raise GalleryMismatchError(
            f"the gallery was embedded with {gallery.embedder!r}, the cohort of strangers with {cohort.embedder!r}"
        )
    require_strangers(cohort, len(np.unique(gallery.person_ids)))
    prototypes = PrototypeClassifier().fit(gallery.embeddings, gallery.person_ids, cohort.stills, cohort.compared)
    chosen = build_classifier(classifier, seed)
    if not chosen.learns_from_strangers:
        return _without_learning_strangers(gallery, prototypes, cohort, prior_known)
    if len(cohort.stills) == 0:
        raise GalleryError(
            f"there is no cohort of strangers for {gallery.embedder!r}, and the classifier {classifier!r} learns from one: train "
            f"'prototype', or run 'facerec cohort fetch lfw --embedder {gallery.embedder}'"
        )
    # People of the cohort who are enrolled would be learned as other people.
    rest = np.flatnonzero(are_strangers(prototypes.similarity(cohort.stills).max(axis=1), cohort.genuine_stills))
    # What is learned stays in the model.
    learned = rest[::2][rest[::2] < len(cohort.compared)]
    kept = np.setdiff1d(rest, learned)
    strangers = cohort.stills[learned]
    fitted = BoundedClassifier.of(
        fit_classifier(chosen, gallery.embeddings, gallery.person_ids, strangers, learn),
        prototypes,
        cohort.stills[kept],
    )

    def bound(learned: FaceClassifier, x: FloatArray, y: npt.NDArray[np.str_]) -> FaceClassifier:
        own = np.isin(y, learned.classes_)
        return fitted.in_same_unit(learned, PrototypeClassifier().fit(x[own], y[own], cohort.stills, cohort.compared))

    genuine = genuine_scores(
        fitted,
        lambda: build_classifier(classifier, seed),
        gallery.embeddings,
        gallery.person_ids,
        strangers,
        cohort.genuine_stills,
        learn,
        bound,
    )

    def calibrate(others: FloatArray, scale: GenuineScale) -> ScoreCalibration:
        scores = fitted.decision_function(others[kept]).max(axis=1)
        return ScoreCalibration(scores, scale, prior_known, fitted.highest_score)

    return NamingModel(
        gallery,
        fitted,
        prototypes.prototypes_,
        stills=calibrate(cohort.stills, genuine.stills),
        tracks=calibrate(cohort.tracks, genuine.tracks),
        prior_known=prior_known,
        pair=cohort.pair,
        facts={
            "learned_strangers": len(learned),
            "cross_validated_faces": genuine.cross_validated,
            "synthetic_faces": genuine.synthetic,
        },
    )


def _without_learning_strangers(
    gallery: Gallery, prototypes: PrototypeClassifier, cohort: Cohort, prior_known: float
) -> NamingModel:
    def calibrate(strangers: FloatArray, genuine: GenuineScale) -> ScoreCalibration:
        if len(strangers) == 0:
            scores = _scores_of_others(gallery, prototypes)
        else:
            rest = are_strangers(prototypes.similarity(strangers).max(axis=1), genuine)
            scores = prototypes.decision_function(strangers[rest]).max(axis=1)
        taken_off = float(prototypes.attraction_.mean()) + float(prototypes.commonness(gallery.embeddings).mean())
        moved = GenuineScale(genuine.mean - taken_off, genuine.deviation)
        return ScoreCalibration(scores, moved, prior_known, prototypes.highest_score)

    return NamingModel(
        gallery,
        prototypes,
        prototypes.prototypes_,
        stills=calibrate(cohort.stills, cohort.genuine_stills),
        tracks=calibrate(cohort.tracks, cohort.genuine_tracks),
        prior_known=prior_known,
        pair=cohort.pair,
    )


def _scores_of_others(gallery: Gallery, classifier: PrototypeClassifier) -> FloatArray:
    """Score every enrolled face against everybody but its own person: strangers, where there is no cohort."""
    similarity = classifier.decision_function(gallery.embeddings)
    similarity[classifier.classes_[None, :] == gallery.person_ids[:, None]] = -1
    return np.asarray(similarity.max(axis=1), np.float32)

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from facerec_models.identification.classifiers import (
    BoundedClassifier,
    PrototypeClassifier,
    build_classifier,
    load_classifier,
)
from facerec_models.identification.fit import fit_model
from facerec_models.identification.naming_model import Gallery, NamingModel
from facerec_models.types import FloatArray
from facerec_models.vectors import normalize
from tests.builders import cohort, face_of

LEARNED = ["svm", "knn", "rf", "softmax"]
PEOPLE = [f"p{who:02}" for who in range(20)]
X = np.stack([face_of(who, at) for who in range(20) for at in range(3)])
Y = np.array([name for name in PEOPLE for _ in range(3)])
# To learn from, to set the unit and the limit, and to measure with.
LEARNED_FROM, NOT_LEARNED, OTHERS = (cohort().stills[part::3] for part in range(3))


@cache
def bounded(name: str) -> BoundedClassifier:
    learned = build_classifier(name, seed=7).fit(X, Y, LEARNED_FROM)
    return BoundedClassifier.of(learned, PrototypeClassifier().fit(X, Y, cohort().stills), NOT_LEARNED)


def beyond_the_planes(strangers: FloatArray, far: float) -> FloatArray:
    """Move faces to where the planes of an `svm` see everybody, as other pictures than the cohort's are."""
    planes = bounded("svm").learned.to_arrays()["planes"].mean(axis=0)
    return normalize(strangers + np.float32(far) * planes / np.linalg.norm(planes))


@pytest.mark.parametrize("name", LEARNED)
def test_a_score_is_the_lower_of_two_opinions_in_one_unit(name: str) -> None:
    classifier = bounded(name)
    margins = classifier.learned.decision_function(NOT_LEARNED)
    nearness = classifier.rise * classifier.prototypes.decision_function(NOT_LEARNED) + classifier.offset
    np.testing.assert_allclose(
        classifier.decision_function(NOT_LEARNED), np.minimum(margins, nearness), rtol=1e-5, atol=1e-5
    )
    assert (margins < nearness).any()
    assert (nearness < margins).any()
    for opinion in (margins, nearness):
        assert opinion.max(axis=1).mean() == pytest.approx(margins.max(axis=1).mean(), abs=1e-3)
        assert opinion.max(axis=1).std() == pytest.approx(margins.max(axis=1).std(), rel=1e-3)


@pytest.mark.parametrize("name", ["svm", "softmax"])
def test_strangers_in_other_pictures_than_the_cohorts_get_few_names(name: str) -> None:
    classifier, strange = bounded(name), beyond_the_planes(OTHERS, 0.2)

    def named(scorer: BoundedClassifier | PrototypeClassifier, faces: FloatArray) -> float:
        limit = np.quantile(scorer.decision_function(NOT_LEARNED).max(axis=1), 0.95)
        return float((scorer.decision_function(faces).max(axis=1) > limit).mean())

    alone = BoundedClassifier(classifier.learned, classifier.prototypes, rise=0.0, offset=np.inf)
    # Without a bound, the planes name most of them.
    assert named(alone, strange) > 0.5
    assert named(classifier, strange) < 0.3
    assert named(classifier, OTHERS) < 0.1


@pytest.mark.parametrize("name", LEARNED)
def test_people_are_still_distinguished(name: str) -> None:
    scores = bounded(name).decision_function(np.stack([face_of(who, 9) for who in range(20)]))
    assert scores.argmax(axis=1).tolist() == list(range(20))
    limit = np.quantile(bounded(name).decision_function(NOT_LEARNED).max(axis=1), 0.99)
    assert (np.diag(scores) > limit).mean() > 0.9


@pytest.mark.parametrize("name", LEARNED)
def test_the_bound_is_kept_with_what_was_learned(name: str) -> None:
    classifier = bounded(name)
    loaded = load_classifier(name, classifier.get_params(), classifier.to_arrays())
    assert isinstance(loaded, BoundedClassifier)
    assert (loaded.name, loaded.get_params()) == (name, classifier.get_params())
    np.testing.assert_array_equal(loaded.decision_function(OTHERS), classifier.decision_function(OTHERS))
    # A model without a bound, as earlier versions wrote them, is still read.
    unbounded = load_classifier(name, classifier.get_params(), classifier.learned.to_arrays())
    np.testing.assert_array_equal(unbounded.decision_function(OTHERS), classifier.learned.decision_function(OTHERS))


def test_learning_anew_keeps_the_unit() -> None:
    learned = build_classifier("svm").fit(X[:30], Y[:30], LEARNED_FROM)
    prototypes = PrototypeClassifier().fit(X[:30], Y[:30], cohort().stills)
    moved = bounded("svm").in_same_unit(learned, prototypes)
    again = BoundedClassifier(build_classifier("svm"), PrototypeClassifier(), rise=moved.rise, offset=moved.offset).fit(
        X[:30], Y[:30], LEARNED_FROM
    )
    assert moved.classes_.tolist() == again.classes_.tolist() == PEOPLE[:10]
    assert (moved.rise, moved.offset) == (bounded("svm").rise, bounded("svm").offset)
    np.testing.assert_array_equal(again.learned.decision_function(OTHERS), learned.decision_function(OTHERS))


def test_a_model_of_a_learned_classifier_names_and_is_calibrated_with_the_bound(tmp_path: Path) -> None:
    model = fit_model(Gallery(cohort().embedder, X, Y, [f"f{i}" for i in range(60)]), cohort(), 0.5, classifier="svm")
    assert isinstance(model.classifier, BoundedClassifier)
    scores = model.classifier.decision_function(cohort().stills).max(axis=1)
    apart = np.abs(model.stills.strangers[:, None] - scores[None, :]).min(axis=1)
    assert apart.max() < 1e-5
    model.save(tmp_path)
    again = NamingModel.load(tmp_path).classifier
    np.testing.assert_array_equal(again.decision_function(OTHERS), model.classifier.decision_function(OTHERS))

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from facerec_models.identification.classifiers import PrototypeClassifier, build_classifier
from facerec_models.identification.cross_validation import genuine_scores
from facerec_models.types import FloatArray
from facerec_models.vectors import normalize
from tests.builders import cohort, face_of


def faces(people: int, pictures: int) -> tuple[FloatArray, np.ndarray]:
    who = [(person, at) for person in range(people) for at in range(pictures)]
    return np.stack([face_of(*one) for one in who]), np.array([f"p{person:02}" for person, _ in who])


def scores_of(name: str, x: FloatArray, y: np.ndarray):  # type: ignore[no-untyped-def]
    strangers = cohort().stills[::2]
    fitted = build_classifier(name).fit(x, y, strangers)
    found = genuine_scores(fitted, lambda: build_classifier(name), x, y, strangers, cohort().genuine_stills)
    return fitted, found


@pytest.mark.parametrize("name", ["svm", "knn", "softmax"])
def test_cross_validated_pictures_score_as_new_ones_do(name: str) -> None:
    x, y = faces(20, 4)
    fitted, found = scores_of(name, x, y)
    assert (found.cross_validated, found.synthetic) == (80, 0)
    new = np.array([fitted.decision_function(face_of(who, 9)[None])[0, who] for who in range(20)])
    seen = fitted.decision_function(x)[np.arange(80), np.repeat(np.arange(20), 4)]
    deviation = found.stills.deviation
    # Learned with fewer pictures, they score somewhat lower.
    assert -1.5 * deviation < found.stills.mean - new.mean() < 0.5 * deviation
    # Pictures that were learned from would claim more.
    assert seen.mean() > found.stills.mean


def test_the_mean_of_some_pictures_scores_better_than_one() -> None:
    x, y = faces(12, 6)
    _, found = scores_of("svm", x, y)
    assert found.tracks.mean > found.stills.mean


def test_embeddings_are_simulated_where_no_person_has_two_pictures() -> None:
    x, y = faces(15, 1)
    fitted, found = scores_of("svm", x, y)
    assert (found.cross_validated, found.synthetic) == (0, 60)
    new = np.array([fitted.decision_function(face_of(who, 9, 0.97)[None])[0, who] for who in range(15)])
    assert abs(found.stills.mean - new.mean()) < 2 * found.stills.deviation


@pytest.mark.parametrize("people", [15, 74])
def test_simulated_embeddings_are_as_alike_to_their_person_as_the_embedders_faces(people: int) -> None:
    x, y = faces(people, 1)
    alike = cohort().genuine_stills
    similarity = PrototypeClassifier().fit(x, y)  # of no strangers: nothing is taken off
    found = genuine_scores(similarity, PrototypeClassifier, x, y, cohort().stills[::2], alike)
    count = max(60, people)
    expected = norm.ppf((np.arange(count) + 0.5) / count, alike.mean, alike.deviation).clip(max=0.999)
    assert (found.cross_validated, found.synthetic) == (0, count)
    assert found.stills == found.tracks
    assert found.stills.mean == pytest.approx(expected.mean(), abs=1e-6)
    assert found.stills.deviation == pytest.approx(expected.std(), abs=1e-6)


def test_nothing_is_drawn_at_random() -> None:
    x, y = faces(3, 2)
    assert scores_of("svm", x, y)[1] == scores_of("svm", normalize(x), y)[1]

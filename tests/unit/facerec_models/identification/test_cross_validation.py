from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from facerec_models.identification.classifiers import FaceClassifier, PrototypeClassifier, build_classifier
from facerec_models.identification.cross_validation import as_learned, genuine_scores
from facerec_models.types import FloatArray
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


@pytest.mark.parametrize(("people", "synthetic"), [(9, 60), (10, 0)])
def test_twenty_pictures_of_people_with_two_each_are_enough_for_cross_validation(people: int, synthetic: int) -> None:
    _, found = scores_of("prototype", *faces(people, 2))
    assert (found.cross_validated, found.synthetic) == (2 * people, synthetic)


def test_what_names_faces_is_made_of_a_classifier_and_the_pictures_that_it_learned_from() -> None:
    x, y = faces(10, 3)
    learned: list[set[tuple[str, bytes]]] = []

    def finish(classifier: FaceClassifier, some: FloatArray, people: np.ndarray) -> FaceClassifier:
        assert classifier.classes_[classifier.decision_function(some).argmax(axis=1)].tolist() == people.tolist()
        learned.append({(who, face.tobytes()) for who, face in zip(people.tolist(), some, strict=True)})
        return as_learned(classifier, some, people)

    fitted = PrototypeClassifier().fit(x, y, cohort().stills[::2])
    genuine_scores(fitted, PrototypeClassifier, x, y, cohort().stills[::2], cohort().genuine_stills, finish=finish)
    known = {(who, face.tobytes()) for who, face in zip(y.tolist(), x, strict=True)}
    assert [len(one) for one in learned] == [20] * 3
    assert all(one < known for one in learned)


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
    assert scores_of("svm", x, y)[1] == scores_of("svm", x.copy(), y)[1]

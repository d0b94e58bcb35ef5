from __future__ import annotations

import io
import json
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from facerec_models.errors import GalleryError, InputError
from facerec_models.identification.classifiers import (
    CLASSIFIERS,
    FaceClassifier,
    ForestClassifier,
    NearestFaceClassifier,
    OneAgainstRest,
    PrototypeClassifier,
    SvmClassifier,
    TrainingFaces,
    build_classifier,
    load_classifier,
)
from facerec_models.types import FloatArray
from facerec_models.vectors import normalize
from tests.builders import cohort, face_of, person

PEOPLE = range(1, 16)
NAMES = [f"p{who:02}" for who in PEOPLE]
OF_THE_PREDECESSOR = [name for name in CLASSIFIERS if name != "prototype"]


def gallery() -> tuple[FloatArray, list[str]]:
    return np.stack([face_of(who, at) for who in PEOPLE for at in range(3)]), [name for name in NAMES for _ in range(3)]


def learned_from() -> FloatArray:
    return cohort().stills[::2]


@cache
def fitted(name: str) -> FaceClassifier:
    return build_classifier(name, seed=7).fit(*gallery(), learned_from())


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_each_classifier_separates_people_and_strangers(name: str) -> None:
    classifier = fitted(name)
    assert classifier.classes_.tolist() == NAMES
    scores = classifier.decision_function(np.stack([face_of(who, 9) for who in PEOPLE]))
    assert (scores.shape, scores.dtype) == ((15, 15), np.float32)
    assert scores.argmax(axis=1).tolist() == list(range(15))
    strangers = classifier.decision_function(cohort().stills[1::2]).max(axis=1)
    assert (np.diag(scores) > np.quantile(strangers, 0.99)).all()
    assert classifier.decision_function(np.zeros((0, 128), np.float32)).shape == (0, 15)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_one_person_of_one_picture_is_enough_where_there_are_strangers(name: str) -> None:
    alone = build_classifier(name).fit(face_of(1)[None], ["a"], learned_from())
    scores = alone.decision_function(np.concatenate([[face_of(1)], cohort().stills[1::2]]))[:, 0]
    assert scores[0] > scores[1:].max()


@pytest.mark.parametrize("name", OF_THE_PREDECESSOR)
def test_one_person_and_no_stranger_are_refused(name: str) -> None:
    with pytest.raises(GalleryError, match="'a' is the only person"):
        build_classifier(name).fit(face_of(1)[None], ["a"])


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_same_faces_and_seed_give_the_same_arrays(name: str) -> None:
    again = build_classifier(name, seed=7).fit(*gallery(), learned_from()).to_arrays()
    for key, array in fitted(name).to_arrays().items():
        np.testing.assert_array_equal(again[key], array)


def test_another_seed_gives_another_forest() -> None:
    other = build_classifier("rf", seed=8).fit(*gallery(), learned_from()).to_arrays()
    assert not np.array_equal(other["thresholds"], fitted("rf").to_arrays()["thresholds"])


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_what_was_learned_is_kept_as_plain_arrays(name: str) -> None:
    classifier, file = fitted(name), io.BytesIO()
    np.savez(file, allow_pickle=False, **classifier.to_arrays())
    params = json.loads(json.dumps(classifier.get_params()))
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        loaded = load_classifier(name, params, dict(arrays))
    probes = cohort().stills[:100]
    np.testing.assert_array_equal(loaded.decision_function(probes), classifier.decision_function(probes))
    assert loaded.get_params() == classifier.get_params()


@pytest.mark.parametrize("name", ["svm", "softmax", "rf"])
def test_people_learned_apart_and_in_any_order_are_those_learned_together(name: str) -> None:
    faces = TrainingFaces.of(*gallery(), learned_from())
    unfitted = build_classifier(name, seed=7)
    assert isinstance(unfitted, OneAgainstRest)
    apart = {k: unfitted.fit_one(faces, k) for k in reversed(range(15))}
    whole = unfitted.assemble(faces.people, [apart[k] for k in range(15)])
    for key, array in fitted(name).to_arrays().items():
        np.testing.assert_array_equal(whole.to_arrays()[key], array)


def test_an_svm_scores_as_scikit_learns_own_does() -> None:
    faces = TrainingFaces.of(*gallery(), learned_from())
    theirs = SVC(kernel="linear", class_weight="balanced").fit(*faces.binary(3))
    probes = cohort().stills[:50]
    centred = (probes - faces.centre) * np.float32(faces.scale)
    ours = fitted("svm").decision_function(probes)[:, 3]
    np.testing.assert_allclose(ours, theirs.decision_function(centred), atol=1e-3)
    assert isinstance(fitted("svm"), SvmClassifier)


def test_the_nearest_face_votes_as_scikit_learns_neighbour_does() -> None:
    faces = TrainingFaces.of(*gallery(), learned_from())
    everybody = np.concatenate([faces.faces, faces.strangers])
    owner = np.concatenate([np.repeat(np.arange(15), 3), np.full(len(faces.strangers), -1)])
    probes = np.concatenate([cohort().stills[1::2][:50], [face_of(who, 8) for who in PEOPLE]])
    votes = KNeighborsClassifier(1).fit(everybody, owner).predict(probes)
    margins = fitted("knn").decision_function(probes)
    np.testing.assert_array_equal(margins > 0, votes[:, None] == np.arange(15))


def test_many_probes_are_scored_in_parts_that_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    probes = cohort().stills[:20]
    for kind, module in ((NearestFaceClassifier, "nearest"), (ForestClassifier, "forest")):
        whole = fitted(kind.name).decision_function(probes)
        with monkeypatch.context() as patch:
            patch.setattr(f"facerec_models.identification.classifiers.{module}._CHUNK", 1)
            np.testing.assert_allclose(fitted(kind.name).decision_function(probes), whole, atol=1e-5)


def test_the_nearest_of_many_others_are_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facerec_models.identification.classifiers.one_against_rest._MOST_OTHERS", 20)
    faces = TrainingFaces.of(*gallery(), learned_from())
    x, own = faces.binary(0)
    assert (len(x), own.sum()) == (23, 3)
    everybody = np.concatenate([faces.faces[3:], faces.strangers])
    least = np.sort(everybody @ faces.faces[:3].mean(axis=0))[-20]
    chosen = x[3:] / np.float32(faces.scale) + faces.centre
    assert (chosen @ faces.faces[:3].mean(axis=0)).min() == pytest.approx(least, abs=1e-5)


def test_an_unknown_classifier_is_refused() -> None:
    with pytest.raises(InputError, match="'mlp': choose one of prototype, svm, knn, rf, softmax"):
        build_classifier("mlp")


def test_enrolling_and_forgetting_leave_the_others_alone() -> None:
    few = PrototypeClassifier().fit(*gallery())
    faces = np.stack([face_of(50, at) for at in range(2)])
    more = few.enrol("p07_with_a_longer_name", faces)
    x, y = gallery()
    whole = PrototypeClassifier().fit(np.concatenate([x, faces]), [*y, *["p07_with_a_longer_name"] * 2])
    assert more.classes_.tolist() == whole.classes_.tolist()
    np.testing.assert_array_equal(more.prototypes_, whole.prototypes_)
    again = more.forget("p07_with_a_longer_name")
    np.testing.assert_array_equal(again.prototypes_, few.prototypes_)
    assert again.classes_.tolist() == NAMES == few.classes_.tolist()
    anew = few.enrol("p03", faces)
    assert anew.classes_.tolist() == NAMES
    np.testing.assert_array_equal(np.delete(anew.prototypes_, 2, 0), np.delete(few.prototypes_, 2, 0))


def test_a_prototype_is_the_direction_of_the_mean() -> None:
    x = np.stack([face_of(1, 0), face_of(1, 1), face_of(2, 0)])
    fitted = PrototypeClassifier().fit(x, ["b", "b", "a"])
    assert fitted.classes_.tolist() == ["a", "b"]
    np.testing.assert_allclose(fitted.prototypes_, [x[2], normalize(x[0] + x[1])], atol=1e-6)
    np.testing.assert_allclose(fitted.decision_function(x), x @ fitted.prototypes_.T, atol=1e-6)


def test_new_faces_are_nearest_to_their_own_person() -> None:
    people = range(1, 30)
    fitted = PrototypeClassifier().fit(
        np.stack([face_of(who, at) for who in people for at in range(3)]),
        [f"p{who:02}" for who in people for _ in range(3)],
    )
    probes = np.stack([face_of(who, 9) for who in people])
    assert fitted.predict(probes).tolist() == [f"p{who:02}" for who in people]


def test_enrolling_a_person_leaves_other_similarities_unchanged() -> None:
    x = np.stack([face_of(who) for who in (1, 2, 3)])
    few = PrototypeClassifier().fit(x[:2], ["a", "c"])
    more = PrototypeClassifier().fit(x, ["a", "c", "b"])
    probes = cohort().stills[:50]
    np.testing.assert_allclose(more.decision_function(probes)[:, [0, 2]], few.decision_function(probes), atol=1e-6)


def test_a_face_that_is_near_to_everybody_scores_less() -> None:
    strangers = cohort().stills
    fitted = PrototypeClassifier().fit(np.stack([face_of(1)]), ["a"], strangers)
    common = normalize(strangers.mean(axis=0, keepdims=True))
    faces = np.concatenate([common, face_of(1)[None]])
    taken_off = fitted.commonness(faces)
    assert taken_off[0] > taken_off[1] > 0
    expected = fitted.similarity(faces)[:, 0] - fitted.attraction_[0] - taken_off
    np.testing.assert_allclose(fitted.decision_function(faces)[:, 0], expected, atol=1e-6)
    # By those who are nearest, but for the very nearest: they may be the person themselves.
    ordered = np.sort(face_of(1) @ strangers.T)[::-1]
    own = round(0.015 * len(strangers))
    assert taken_off[1] == pytest.approx(0.2 * ordered[own : own + 10].mean(), abs=1e-4)


def test_a_few_strangers_are_compared_with_nobody_and_very_many_with_some() -> None:
    x, y, strangers = np.stack([face_of(1)]), ["a"], cohort().stills
    few = PrototypeClassifier().fit(x, y, strangers[:99])
    assert len(few.strangers_) == 0
    np.testing.assert_array_equal(few.commonness(strangers[:3]), np.zeros(3, np.float32))
    many = np.concatenate([strangers] * 4)
    assert 512 <= len(PrototypeClassifier().fit(x, y, many).strangers_) <= 1024
    assert len(PrototypeClassifier().fit(x, y, many, strangers).strangers_) == len(strangers)
    again = load_classifier("prototype", {}, PrototypeClassifier().fit(x, y, strangers).to_arrays())
    np.testing.assert_array_equal(
        again.decision_function(strangers[:50]),
        PrototypeClassifier().fit(x, y, strangers).decision_function(strangers[:50]),
    )


def test_the_order_of_pictures_does_not_matter() -> None:
    x = np.stack([face_of(who, at) for who in (1, 2) for at in range(4)])
    y = np.array(["a"] * 4 + ["b"] * 4)
    order = np.random.default_rng(0).permutation(8)
    one, other = PrototypeClassifier().fit(x, y), PrototypeClassifier().fit(x[order], y[order])
    np.testing.assert_allclose(one.prototypes_, other.prototypes_, atol=1e-6)


def test_it_is_a_scikit_learn_estimator() -> None:
    with pytest.raises(NotFittedError):
        clone(PrototypeClassifier().fit(person(1)[None], ["a"])).decision_function(person(1)[None])


@given(st.lists(st.lists(st.floats(-100, 100), min_size=3, max_size=3), min_size=1, max_size=5))
def test_rows_become_unit_vectors_and_zeros_stay(rows: list[list[float]]) -> None:
    vectors = np.array(rows)
    lengths = np.linalg.norm(vectors, axis=1)
    unit = normalize(vectors)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(unit[lengths > 1e-6], axis=1), 1, atol=1e-5)
    assert (unit[lengths == 0] == 0).all()

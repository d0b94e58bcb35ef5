from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from facerec_models.classifiers import PrototypeClassifier, normalize
from tests.builders import cohort, look, person


def test_a_prototype_is_the_direction_of_the_mean() -> None:
    x = np.stack([look(1, 0), look(1, 1), look(2, 0)])
    fitted = PrototypeClassifier().fit(x, ["b", "b", "a"])
    assert fitted.classes_.tolist() == ["a", "b"]
    np.testing.assert_allclose(fitted.prototypes_, [x[2], normalize(x[0] + x[1])], atol=1e-6)
    np.testing.assert_allclose(fitted.decision_function(x), x @ fitted.prototypes_.T, atol=1e-6)


def test_new_looks_are_nearest_to_their_own_person() -> None:
    people = range(1, 30)
    fitted = PrototypeClassifier().fit(
        np.stack([look(who, at) for who in people for at in range(3)]),
        [f"p{who:02}" for who in people for _ in range(3)],
    )
    probes = np.stack([look(who, 9) for who in people])
    assert fitted.predict(probes).tolist() == [f"p{who:02}" for who in people]


def test_enrolling_somebody_changes_nobody_elses_similarity() -> None:
    x = np.stack([look(who) for who in (1, 2, 3)])
    few = PrototypeClassifier().fit(x[:2], ["a", "c"])
    more = PrototypeClassifier().fit(x, ["a", "c", "b"])
    probes = cohort().stills[:50]
    np.testing.assert_allclose(more.decision_function(probes)[:, [0, 2]], few.decision_function(probes), atol=1e-6)


def test_the_order_of_pictures_does_not_matter() -> None:
    x = np.stack([look(who, at) for who in (1, 2) for at in range(4)])
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

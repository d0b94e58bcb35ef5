from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec_models.metrics import ClusterScore, cluster_score

ITEMS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=25)


def test_a_small_example_is_counted_by_hand() -> None:
    """Two groups, aab and bbb c: B-cubed by hand.

    Precision: the two a have 2 of 3, the lone b 1 of 3, the three b 3 of 4, c 1 of 4: (4/3 + 1/3 + 9/4 + 1/4) / 7 = 25/42.
    Recall: a 2 of 2, the lone b 1 of 4, the three b 3 of 4, c 1 of 1: (2 + 1/4 + 9/4 + 1) / 7 = 11/14.
    Purity: 2 of 3 and 3 of 4: 5/7.
    """
    score = cluster_score([(1, "a"), (1, "a"), (1, "b"), (2, "b"), (2, "b"), (2, "b"), (2, "c")])
    assert (score.items, score.clusters, score.people) == (7, 2, 3)
    assert score.precision == pytest.approx(25 / 42)
    assert score.recall == pytest.approx(11 / 14)
    assert score.purity == pytest.approx(5 / 7)
    assert score.f1 == pytest.approx(2 * (25 / 42) * (11 / 14) / (25 / 42 + 11 / 14))


def test_one_group_of_all_has_full_recall() -> None:
    score = cluster_score([(0, "a"), (0, "a"), (0, "b"), (0, "c")])
    assert (score.precision, score.recall, score.purity) == (pytest.approx((4 + 1 + 1) / 16), 1, 0.5)


def test_everything_alone_has_full_precision() -> None:
    score = cluster_score([(0, "a"), (1, "a"), (2, "b"), (3, "b"), (4, "b")])
    assert (score.precision, score.purity) == (1, 1)
    assert score.recall == pytest.approx((2 * 1 / 2 + 3 * 1 / 3) / 5)


def test_no_items_have_no_score() -> None:
    assert cluster_score([]) == ClusterScore()
    assert cluster_score([]).f1 is None


@given(ITEMS)
def test_scores_are_bounded_and_swap_with_their_arguments(items: list[tuple[int, int]]) -> None:
    score, swapped = cluster_score(items), cluster_score([(person, cluster) for cluster, person in items])
    assert score.precision is not None
    assert score.purity is not None
    assert 0 < score.precision <= score.purity <= 1
    assert (score.precision, score.recall) == (swapped.recall, swapped.precision)


@given(ITEMS)
def test_names_of_groups_do_not_matter(items: list[tuple[int, int]]) -> None:
    renamed = [(f"group {9 - cluster}", person) for cluster, person in reversed(items)]
    assert cluster_score(renamed) == cluster_score(items)

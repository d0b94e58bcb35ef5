from __future__ import annotations

import math

import pytest

from facerec_models.metrics import ObservedRate, observed_rates, proportion_interval, reliability


def test_predictions_are_counted_in_bins_of_equal_width() -> None:
    """Bins of a half: .2 and .4 come true once of two, .9 and 1 both: error (2 * .2 + 2 * .05) / 4."""
    stated = reliability([(0.2, False), (0.4, True), (0.9, True), (1.0, True)], bins=2)
    low, high = stated.bins
    assert (low.count, low.mean, low.observed) == (2, pytest.approx(0.3), 0.5)
    assert (high.count, high.mean, high.observed) == (2, pytest.approx(0.95), 1)
    assert stated.error == pytest.approx(0.125)
    assert stated.brier == pytest.approx((0.04 + 0.36 + 0.01 + 0) / 4)
    assert high.interval == pytest.approx(proportion_interval(2, 2))


def test_without_predictions_there_is_no_error() -> None:
    stated = reliability([])
    assert (stated.count, stated.error, stated.brier, len(stated.bins)) == (0, None, None, 10)
    assert stated.bins[0].observed is None
    assert stated.bins[0].interval == (0, 1)


def test_the_interval_of_a_proportion_is_that_of_clopper_and_pearson() -> None:
    """0 of 20 excludes more than 16.8 %; the interval of 5 of 20 is that of tables of the binomial distribution."""
    assert proportion_interval(0, 20) == (0, pytest.approx(0.1684, abs=1e-4))
    assert proportion_interval(5, 20) == pytest.approx((0.0866, 0.4910), abs=1e-4)


def test_strangers_at_or_below_each_limit_are_counted() -> None:
    rows = observed_rates([0.01, 0.02, 0.05, math.inf], [0.01, 0.05, 1.0])
    assert [(row.claimed, row.false_names, row.strangers) for row in rows] == [(0.01, 1, 4), (0.05, 3, 4), (1.0, 3, 4)]


@pytest.mark.parametrize(
    ("named", "strangers", "low", "high"),
    [
        (0, 10, 0.0, 1 - 0.025 ** (1 / 10)),  # closed forms at both ends
        (10, 10, 0.025 ** (1 / 10), 1.0),
        (5, 10, 0.18709, 0.81291),  # the textbook's table
    ],
)
def test_the_observed_rate_has_the_interval_of_its_proportion(
    named: int, strangers: int, low: float, high: float
) -> None:
    assert ObservedRate(0.01, named, strangers).interval == pytest.approx((low, high), abs=1e-5)


def test_a_limit_is_broken_only_by_more_than_chance() -> None:
    assert ObservedRate(0.01, 4, 162).is_kept
    assert not ObservedRate(0.01, 8, 162).is_kept
    assert ObservedRate(0.5, 0, 162).is_kept

from __future__ import annotations

import pytest

from facerec_models.metrics import proportion_interval, reliability


def test_by_hand() -> None:
    """Bins of a half: .2 and .4 come true once of two, .9 and 1 both: error (2 * .2 + 2 * .05) / 4."""
    stated = reliability([(0.2, False), (0.4, True), (0.9, True), (1.0, True)], bins=2)
    low, high = stated.bins
    assert (low.count, low.mean, low.observed) == (2, pytest.approx(0.3), 0.5)
    assert (high.count, high.mean, high.observed) == (2, pytest.approx(0.95), 1)
    assert stated.error == pytest.approx(0.125)
    assert stated.brier == pytest.approx((0.04 + 0.36 + 0.01 + 0) / 4)
    assert high.interval == pytest.approx(proportion_interval(2, 2))


def test_nothing_stated() -> None:
    stated = reliability([])
    assert (stated.count, stated.error, stated.brier, len(stated.bins)) == (0, None, None, 10)
    assert stated.bins[0].observed is None
    assert stated.bins[0].interval == (0, 1)


def test_interval_of_a_proportion() -> None:
    """0 of 20 excludes more than 16.8 %; the interval of 5 of 20 is that of tables of the binomial distribution."""
    assert proportion_interval(0, 20) == (0, pytest.approx(0.1684, abs=1e-4))
    assert proportion_interval(5, 20) == pytest.approx((0.0866, 0.4910), abs=1e-4)

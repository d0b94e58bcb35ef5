from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm

from facerec_models.identification.calibration import GenuineScale, ScoreCalibration, are_strangers, without_enrolled
from facerec_models.types import FloatArray
from tests.builders import cohort, near

GENUINE = GenuineScale(0.966, 0.0148)
SCORES = np.linspace(-1, 1, 4001)


def nearest(probes: FloatArray, gallery: FloatArray) -> FloatArray:
    return np.asarray((probes @ gallery.T).max(axis=1), np.float32)


@cache
def calibration(people: int = 60) -> ScoreCalibration:
    """Of a gallery of the cohort's first people, by the rest of it."""
    shipped = cohort()
    strangers = nearest(shipped.stills[people:], shipped.stills[:people])
    return ScoreCalibration(strangers, shipped.genuine_stills, prior_known=0.5)


def splits(people: int, count: int = 30) -> list[tuple[FloatArray, FloatArray]]:
    """Scores of half of the cohort's strangers and of the other half, against random galleries of the cohort."""
    shipped, result = cohort(), []
    for seed in range(count):
        order = np.random.default_rng(seed).permutation(len(shipped.stills))
        gallery, rest = order[:people], order[people:]
        half = len(rest) // 2
        scores = [nearest(shipped.stills[part], shipped.stills[gallery]) for part in (rest[:half], rest[half:])]
        result.append((scores[0], scores[1]))
    return result


def few_strangers(seed: int, count: int) -> ScoreCalibration:
    scores = np.random.default_rng(seed).normal(0.9, 0.02, count).astype(np.float32)
    return ScoreCalibration(np.minimum(scores, 0.999), GENUINE, 0.5)


# False names


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(12, 700))
def test_the_rate_of_false_names_falls_with_the_score_and_is_never_zero(seed: int, count: int) -> None:
    rate = few_strangers(seed, count).false_name_rate(SCORES)
    assert (np.diff(rate) <= 1e-12).all()
    assert ((rate > 0) & (rate <= 1)).all()
    assert rate[0] > 0.9


def test_in_the_body_the_rate_is_what_was_counted() -> None:
    scale = calibration()
    for quantile in (0.2, 0.5, 0.8):
        score = float(np.quantile(scale.strangers, quantile))
        assert scale.false_name_rate(np.array([score]))[0] == pytest.approx(1 - quantile, abs=0.01)


def test_a_stranger_who_scores_just_as_well_counts() -> None:
    scale = calibration()
    scores = np.sort(scale.strangers)[: int(0.8 * len(scale.strangers))]
    as_well = (scale.strangers[None] >= scores[:, None]).sum(axis=1)
    assert (scale.false_name_rate(scores) * (len(scale.strangers) + 1) >= as_well).all()


def test_the_tail_follows_the_distribution_beyond_what_was_seen() -> None:
    beyond = np.array([0.9 + 0.02 * 3.1])
    rates = [few_strangers(seed, 600).false_name_rate(beyond)[0] for seed in range(40)]
    assert 0.4 < np.median(rates) / norm.sf(3.1) < 2.5


@pytest.mark.parametrize("people", [10, 59, 150])
@pytest.mark.parametrize("claimed", [0.2, 0.05, 0.02, 0.01])
def test_the_claimed_rate_is_that_of_other_strangers(people: int, claimed: float) -> None:
    observed = [
        (other >= ScoreCalibration(fitted, GENUINE, 0.5).limit(claimed)).mean() for fitted, other in splits(people)
    ]
    assert 0.6 * claimed < np.mean(observed) < 1.5 * claimed


def test_a_larger_gallery_needs_a_higher_score() -> None:
    limits = [calibration(people).limit(0.01) for people in (1, 10, 60, 200)]
    assert limits == sorted(limits)
    assert limits[-1] > limits[0] + 0.01


@pytest.mark.parametrize("accepted", [0.5, 0.1, 0.0999, 0.05, 0.01, 0.001, 1e-4])
def test_the_limit_is_the_least_score_that_keeps_the_rate(accepted: float) -> None:
    scale = calibration()
    limit = scale.limit(accepted)
    at, below = scale.false_name_rate(np.array([limit, limit - 5e-4]))
    assert at <= accepted < below


def test_a_rate_is_kept_by_the_score_that_has_just_this_rate() -> None:
    scale = calibration()
    scores = np.quantile(scale.strangers, (0.3, 0.6, 0.85), method="nearest").astype(np.float64)
    for score, rate in zip(scores, scale.false_name_rate(scores).tolist(), strict=True):
        assert scale.limit(rate) <= score


def test_fewer_accepted_false_names_need_a_higher_score() -> None:
    limits = [calibration().limit(accepted) for accepted in (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001)]
    assert (np.diff(limits) > 0).all()


def test_a_limit_that_too_few_strangers_checked_is_extrapolated() -> None:
    assert [few_strangers(0, 600).is_extrapolated(rate) for rate in (0.1, 0.01, 0.001, 1e-4)] == [
        False,
        False,
        True,
        True,
    ]
    assert [few_strangers(0, count).is_extrapolated(0.01) for count in (50, 1000)] == [True, False]


def test_no_score_is_good_enough_for_a_rate_that_nothing_supports() -> None:
    assert calibration().limit(1e-12) == float("inf")


# Probability


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    prior=st.floats(0.01, 0.99),
    mean=st.floats(0.85, 0.99),
    deviation=st.floats(0.003, 0.05),
)
def test_a_higher_score_never_means_a_lower_probability(seed: int, prior: float, mean: float, deviation: float) -> None:
    scale = replace(few_strangers(seed, 300), genuine=GenuineScale(mean, deviation), prior_known=prior)
    chance = scale.probability(SCORES)
    assert (np.diff(chance) >= -1e-12).all()
    assert ((chance >= 0) & (chance <= 1)).all()


def test_a_persons_own_score_is_probable_and_a_strangers_is_not() -> None:
    scale = calibration()
    own, strange = scale.probability(np.array([scale.genuine.mean, np.median(scale.strangers)]))
    assert own > 0.95
    assert strange < 0.1


def test_the_prior_moves_the_probability() -> None:
    score = np.array([0.945])
    rare, even, common = (
        replace(calibration(), prior_known=prior).probability(score)[0] for prior in (0.05, 0.5, 0.95)
    )
    assert rare < even < common
    # Bayes' rule: the odds are those of the prior times those of the evidence.
    assert common / (1 - common) / (even / (1 - even)) == pytest.approx(19, rel=0.01)


def test_any_shape_of_scores_keeps_its_shape() -> None:
    scores = np.full((4, 5), 0.9)
    assert calibration().probability(scores).shape == (4, 5)
    assert calibration().false_name_rate(scores).shape == (4, 5)


# Enrolled people in the cohort


def planted(people: int, enrolled: int, seed: int) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Scores of a cohort in which other pictures of some enrolled people are, and which ones those are."""
    shipped, noise = cohort(), np.random.default_rng(seed)
    order = noise.permutation(len(shipped.stills))
    gallery, strangers = shipped.stills[order[:people]], shipped.stills[order[people:]]
    similar = np.clip(noise.normal(shipped.genuine_stills.mean, shipped.genuine_stills.deviation, enrolled), 0, 0.999)
    again = [near(face, float(s), seed * 1000 + i) for i, (face, s) in enumerate(zip(gallery, similar, strict=False))]
    probes = np.concatenate([strangers, np.array(again, np.float32).reshape(-1, strangers.shape[1])])
    return nearest(probes, gallery), np.arange(len(probes)) >= len(strangers)


@pytest.mark.parametrize("enrolled", [5, 31])
def test_enrolled_people_are_taken_out_of_a_cohort_and_hardly_anybody_else(enrolled: int) -> None:
    lost = left = 0
    for seed in range(10):
        scores, is_enrolled = planted(59, enrolled, seed)
        kept = np.isin(scores, without_enrolled(scores, cohort().genuine_stills))
        lost += int((~kept & ~is_enrolled).sum())
        left += int((kept & is_enrolled).sum())
    assert left < 0.35 * 10 * enrolled
    assert lost < 0.02 * 10 * (595 - 59)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.4])
def test_of_a_cohort_is_enrolled_who_is_likelier_to_be_than_not(share: float) -> None:
    count, stranger, genuine = 4000, norm(0.5, 0.08), GenuineScale(0.9, 0.05)
    enrolled = norm(genuine.mean, genuine.deviation)
    sizes = (count - round(share * count), round(share * count))
    scores = [one.ppf((np.arange(n) + 0.5) / n) for one, n in zip((stranger, enrolled), sizes, strict=True)]
    joined = np.concatenate(scores).astype(np.float32)
    limit = brentq(lambda x: (1 - share) * stranger.pdf(x) - share * enrolled.pdf(x), 0.6, 0.9)
    assert joined[are_strangers(joined, genuine)].max() == pytest.approx(limit, abs=0.005)


def test_planted_people_hardly_move_the_limit() -> None:
    clean, _ = planted(59, 0, 1)
    spoilt, _ = planted(59, 31, 1)
    genuine = cohort().genuine_stills
    limit = ScoreCalibration(clean, genuine, 0.5).limit(0.02)
    assert ScoreCalibration(spoilt, genuine, 0.5).limit(0.02) > limit + 0.01
    assert ScoreCalibration(without_enrolled(spoilt, genuine), genuine, 0.5).limit(0.02) == pytest.approx(
        limit, abs=0.008
    )


def test_a_cohort_of_strangers_alone_stays_whole() -> None:
    kept = [len(without_enrolled(planted(59, 0, seed)[0], GENUINE)) for seed in range(10)]
    assert np.mean(kept) > 0.98 * (595 - 59)


# Scores without bounds


def margins(factor: float = 40.0) -> ScoreCalibration:
    """The same scale stretched and moved, as margins are."""
    scores = np.asarray((calibration().strangers - 0.95) * factor, np.float32)
    usual = cohort().genuine_stills
    genuine = GenuineScale((usual.mean - 0.95) * factor, usual.deviation * factor)
    return ScoreCalibration(scores, genuine, 0.5, highest=float("inf"))


@pytest.mark.parametrize("accepted", [0.1, 0.01, 0.002])
def test_a_stretched_scale_has_a_stretched_limit(accepted: float) -> None:
    assert margins().limit(accepted) == pytest.approx((calibration().limit(accepted) - 0.95) * 40, abs=0.02)


def test_a_stretched_scale_gives_the_same_probabilities() -> None:
    scores = np.linspace(0.85, 0.99, 50)
    np.testing.assert_allclose(
        margins().probability((scores - 0.95) * 40), calibration().probability(scores), atol=0.01
    )


def test_a_few_strangers_with_any_scores_are_a_scale() -> None:
    few = ScoreCalibration(np.array([-3.0, -2.5, -2.0], np.float32), GenuineScale(1.0, 0.5), 0.5, float("inf"))
    assert -2.0 < few.limit(0.3) < few.limit(0.05) < float("inf")

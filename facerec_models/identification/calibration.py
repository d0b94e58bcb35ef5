"""What similarities mean: "one stranger in 200 scores this high", "this is X with probability .97".

The score of a face is its similarity to the nearest enrolled person. Two distributions give it a meaning:

- the scores of *strangers* against this very gallery, computed from a cohort of people who are not enrolled. They contain
  the number of comparisons: with more people the nearest one is nearer. The fraction of strangers that score at least as
  well is the ``false_name_rate``, the false positive identification rate of ISO/IEC 19795-1;
- the scores of *enrolled people* against their own prototype, a property of the network.

Beyond the strangers that the cohort holds, the tail is a generalised Pareto distribution (Pickands-Balkema-de Haan theorem;
Scheirer et al., *Meta-Recognition*, PAMI 2011), and a limit that lies there is marked as extrapolated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy

from facerec_models.types import DoubleArray, FloatArray

# Part of the strangers that the tail is fitted to, and how many of them a limit must have beyond it to count as checked.
_TAIL_SHARE = 0.1
_MIN_CHECKED = 2
# No rate is claimed below this part of one stranger in the cohort.
_FLOOR_FACTOR = 100


@dataclass(frozen=True, slots=True)
class GenuineScale:
    """Scores of enrolled people's faces for the right person: normal with this mean and deviation."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class ScoreCalibration:
    """The meaning of scores against one gallery.

    Parameters
    ----------
    strangers : (M,) float32
        Scores of the cohort against the gallery.
    genuine : GenuineScale
    prior_known : float
        Assumed fraction of faces that belong to enrolled people.
    highest : float
        No score is higher: 1 for similarities, infinity for margins and log odds.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> strangers = rng.normal(0.5, 0.1, 1000).astype(np.float32)
    >>> calibration = ScoreCalibration(strangers, GenuineScale(0.9, 0.05), prior_known=0.5)
    >>> bool(0.7 < calibration.limit(0.01) < 0.8)
    True
    >>> (calibration.false_name_rate(np.array([0.5, 0.7, 0.9])) < [0.55, 0.05, 0.001]).tolist()
    [True, True, True]
    >>> calibration.probability(np.array([0.5, 0.9])).round(3).tolist()
    [0.0, 1.0]
    """

    strangers: FloatArray
    genuine: GenuineScale
    prior_known: float
    highest: float = 1.0

    @cached_property
    def _sorted(self) -> DoubleArray:
        return np.sort(self.strangers.astype(np.float64))

    @cached_property
    def _range(self) -> tuple[float, float]:
        """Where scores may lie: everywhere for similarities, well around all that is known of unbounded ones."""
        if math.isfinite(self.highest):
            return -self.highest, self.highest
        reach = 6 * self.genuine.deviation
        low = min(float(self._sorted[0]), self.genuine.mean - reach)
        high = max(float(self._sorted[-1]), self.genuine.mean + reach)
        return 2 * low - high, 2 * high - low

    @cached_property
    def _tail(self) -> tuple[float, float, float]:
        """Threshold, shape and scale of the tail.

        The shape is kept between -0.5 and 0: similarities are bounded above, and a heavier tail than the exponential never
        showed, while its fit to a hundred values often claims one.
        """
        count = max(int(len(self._sorted) * _TAIL_SHARE), 10)
        threshold = (
            float(self._sorted[-min(count, len(self._sorted)) - 1]) if len(self._sorted) > count else self._range[0]
        )
        excess = self._sorted[self._sorted > threshold] - threshold
        shape, _, scale = scipy.stats.genpareto.fit(excess, floc=0)
        if not -0.5 <= shape <= 0:
            shape = float(np.clip(shape, -0.5, 0))
            # Moment estimate of the scale for a given shape: mean excess = scale / (1 - shape).
            scale = float(excess.mean()) * (1 - shape)
        return threshold, float(shape), float(scale)

    def false_name_rate(self, scores: npt.NDArray[np.floating]) -> DoubleArray:
        """Fraction of strangers that score at least as well as each score, in (0, 1]."""
        scores = np.asarray(scores, np.float64)
        threshold, shape, scale = self._tail
        above = len(self._sorted) - np.searchsorted(self._sorted, scores, side="left")
        body = (above + 0.5) / (len(self._sorted) + 1)
        share = float((self._sorted > threshold).mean())
        # A bounded tail ends: beyond it, a rate of zero would claim more than any data can.
        floor = 1 / (_FLOOR_FACTOR * len(self._sorted))
        tail = np.maximum(share * _pareto_beyond(np.asarray((scores - threshold) / scale, np.float64), shape), floor)
        return np.where(scores > threshold, np.minimum(tail, share), body)

    @cached_property
    def _limits(self) -> dict[float, float]:
        return {}

    def limit(self, max_false_names: float) -> float:
        """Least score whose `false_name_rate` is at most `max_false_names`."""
        if max_false_names not in self._limits:
            self._limits[max_false_names] = self._search_limit(max_false_names)
        return self._limits[max_false_names]

    def _search_limit(self, max_false_names: float) -> float:
        low, high = float(self._sorted[0]) - 1e-3, self._range[1]

        def passes(score: float) -> bool:
            return bool(self.false_name_rate(np.array(score)) <= max_false_names)

        if not passes(high):
            return math.inf
        # The rate never rises with the score.
        while not passes(low) and low < (middle := (low + high) / 2) < high:
            low, high = (low, middle) if passes(middle) else (middle, high)
        return low if passes(low) else high

    def is_extrapolated(self, max_false_names: float) -> bool:
        """Whether fewer strangers than can check it lie beyond the limit for `max_false_names`."""
        return max_false_names * len(self._sorted) < _MIN_CHECKED

    @cached_property
    def _log_odds(self) -> tuple[DoubleArray, DoubleArray]:
        """Scores from the lowest to the highest, and the log odds that the nearest person is the right one."""
        grid = np.linspace(*self._range, 2001)
        spread = max(float(np.std(self._sorted)), 1e-3)
        genuine = scipy.stats.norm.logpdf(
            np.minimum(grid, self.genuine.mean), self.genuine.mean, self.genuine.deviation
        )
        strange = scipy.stats.norm.logpdf(
            np.maximum(grid, float(np.mean(self._sorted))), float(np.mean(self._sorted)), spread
        )
        log_odds = genuine - strange + np.log(self.prior_known / (1 - self.prior_known))
        return grid, np.clip(np.maximum.accumulate(log_odds), -30, 30)

    def probability(self, scores: npt.NDArray[np.floating]) -> DoubleArray:
        """Posterior that the nearest person is the right one, under the prior.

        Bayes' rule with the densities of both kinds of scores, made monotone: a higher score never means less.
        """
        grid, log_odds = self._log_odds
        return np.asarray(1 / (1 + np.exp(-np.interp(scores, grid, log_odds))), np.float64)


def _pareto_beyond(x: DoubleArray, shape: float) -> DoubleArray:
    """Return ``genpareto.sf(x, shape)``, of which finding a limit needs hundreds: SciPy checks arguments for longer than it counts."""
    end = math.inf if shape == 0 else -1 / shape
    return np.where(x <= 0, 1.0, scipy.special.inv_boxcox(-np.clip(x, 0, end), -shape))


def without_enrolled(scores: FloatArray, genuine: GenuineScale) -> FloatArray:
    """Return the scores of a cohort without those of people who are in the gallery; see `are_strangers`."""
    return scores[are_strangers(scores, genuine)]


def are_strangers(scores: FloatArray, genuine: GenuineScale) -> npt.NDArray[np.bool_]:
    """Return who of a cohort is not in the gallery, under whatever name, by the similarity to the nearest prototype.

    A cohort of public people and an archive's gallery overlap: a few "strangers" then score as the right person does, and would
    push the limit for everybody up. Expectation maximisation of two normal distributions, the enrolled one's given, tells which.
    In galleries of 59 people, 31 of them in the cohort, it finds 32; the observed rate stays at the claimed one.

    Examples
    --------
    >>> scores = np.append(np.linspace(0.4, 0.6, 50), 0.95).astype(np.float32)
    >>> are_strangers(scores, GenuineScale(0.9, 0.05))[[0, 49, 50]].tolist()
    [True, True, False]
    """
    x = scores.astype(np.float64)
    mean = float(np.median(x))
    # From the lower half, which nobody enrolled is in.
    spread = max(float(mean - np.quantile(x, scipy.stats.norm.cdf(-1))), 1e-3)
    share, stranger = 0.02, np.ones(len(x))
    # Nearer than an enrolled person usually is: certainly enrolled.
    as_genuine = scipy.stats.norm.pdf(np.minimum(x, genuine.mean), genuine.mean, genuine.deviation) * (x > mean)
    for _ in range(50):
        as_stranger = (1 - share) * scipy.stats.norm.pdf(x, mean, spread)
        stranger = as_stranger / np.maximum(as_stranger + share * as_genuine, 1e-300)
        share = max(float(1 - stranger.mean()), 1e-6)
        mean = float(np.average(x, weights=stranger))
        spread = max(float(np.sqrt(np.average((x - mean) ** 2, weights=stranger))), 1e-3)
    return np.asarray(stranger > 0.5)

"""Whether stated figures hold: claimed against observed false-name rates, probabilities against how often they come true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import scipy


def proportion_interval(count: int, of: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a fraction, `count` of `of` (Clopper and Pearson, Biometrika 1934).

    Examples
    --------
    >>> low, high = proportion_interval(1, 100)
    >>> f"{low:.4f} to {high:.4f}"
    '0.0003 to 0.0545'
    """
    rest = of - count
    low = float(scipy.special.betaincinv(count, rest + 1, 0.025)) if count else 0.0
    high = float(scipy.special.betaincinv(count + 1, rest, 0.975)) if rest else 1.0
    return low, high


@dataclass(frozen=True, slots=True)
class ObservedRate:
    """How often strangers were named at one limit, beside what the limit allows.

    Parameters
    ----------
    claimed : float
        The limit: the largest fraction of strangers that may get a name.
    false_names, strangers : int
        How many of how many got one.
    """

    claimed: float
    false_names: int
    strangers: int

    @property
    def observed(self) -> float:
        """Fraction of strangers that got a name."""
        return self.false_names / self.strangers

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the true fraction (Clopper and Pearson, Biometrika 1934)."""
        return proportion_interval(self.false_names, self.strangers)

    @property
    def is_kept(self) -> bool:
        """Whether the observed fraction is compatible with the claimed one, at 95 % confidence."""
        return self.interval[0] <= self.claimed


def observed_rates(rates: Sequence[float], limits: Sequence[float]) -> tuple[ObservedRate, ...]:
    """Count strangers that score at or below each limit: one row a limit, in the given order.

    Parameters
    ----------
    rates : sequence of float
        ``false_name_rate`` of each stranger, infinite for one that no limit accepts.
    limits : sequence of float
        Values of ``max_false_names``.

    Examples
    --------
    >>> (row,) = observed_rates([0.004, 0.02, 0.3, 0.6], limits=[0.01])
    >>> row.false_names, row.strangers, row.observed, row.is_kept
    (1, 4, 0.25, True)
    """
    return tuple(ObservedRate(limit, sum(rate <= limit for rate in rates), len(rates)) for limit in limits)


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Predictions of about one probability: how many, their mean, and how many came true."""

    low: float
    high: float
    count: int
    mean: float | None
    true: int

    @property
    def observed(self) -> float | None:
        """Fraction that came true; None without a prediction."""
        return self.true / self.count if self.count else None

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of that fraction (Clopper and Pearson)."""
        return proportion_interval(self.true, self.count)

    def to_dict(self) -> dict[str, float | int | None]:
        """Return bounds, counts and fractions."""
        low, high = self.interval
        return {
            "low": self.low,
            "high": self.high,
            "count": self.count,
            "mean": self.mean,
            "observed": self.observed,
            "observed_low": low,
            "observed_high": high,
        }


@dataclass(frozen=True, slots=True)
class Reliability:
    """Probabilities against how often they came true.

    Parameters
    ----------
    bins : tuple of ReliabilityBin
        From 0 to 1.
    brier : float or None
        Mean squared difference between probability and what happened, 0 or 1 (Brier, Monthly Weather Review 1950).
    """

    bins: tuple[ReliabilityBin, ...]
    brier: float | None

    @property
    def count(self) -> int:
        """How many predictions there are."""
        return sum(one.count for one in self.bins)

    @property
    def error(self) -> float | None:
        """Expected calibration error: the mean difference between probability and frequency, weighted by the number of predictions."""
        if not self.count:
            return None
        gaps = ((one.count, one.mean, one.observed) for one in self.bins)
        return sum(n * abs(m - o) for n, m, o in gaps if m is not None and o is not None) / self.count

    def to_dict(self) -> dict[str, object]:
        """Return the bins and the two figures."""
        return {
            "count": self.count,
            "brier": self.brier,
            "calibration_error": self.error,
            "bins": [one.to_dict() for one in self.bins],
        }


def reliability(predictions: Sequence[tuple[float, bool]], *, bins: int = 10) -> Reliability:
    """Sort predictions by their probability into bins of equal width.

    Parameters
    ----------
    predictions : sequence of (probability, came_true)
        Probabilities in [0, 1]; 1 belongs to the last bin.

    Examples
    --------
    >>> found = reliability([(0.9, True), (0.9, True), (0.9, False), (0.1, False)], bins=2)
    >>> [(one.low, one.count, one.true) for one in found.bins]
    [(0.0, 1, 0), (0.5, 3, 2)]
    >>> round(found.error, 3), round(found.brier, 3)
    (0.2, 0.21)
    """
    sorted_in: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for probability, came_true in predictions:
        sorted_in[min(int(probability * bins), bins - 1)].append((probability, came_true))
    return Reliability(
        tuple(
            ReliabilityBin(
                low=i / bins,
                high=(i + 1) / bins,
                count=len(inside),
                mean=sum(p for p, _ in inside) / len(inside) if inside else None,
                true=sum(came_true for _, came_true in inside),
            )
            for i, inside in enumerate(sorted_in)
        ),
        sum((p - came_true) ** 2 for p, came_true in predictions) / len(predictions) if predictions else None,
    )

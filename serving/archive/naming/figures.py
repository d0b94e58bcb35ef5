"""What the scores of stored appearances mean by the model that names now."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from facerec_models.identification.naming_model import NamingModel
from facerec_models.types import Decision
from serving.store.naming_rows import AppearanceRow

_STEPS = 60


class Figure(NamedTuple):
    """What an answer says of itself: see `facerec_models.types.Match`."""

    probability: float
    false_name_rate: float


@dataclass(frozen=True, slots=True)
class ScoreFigures:
    """Turns scores into probabilities and rates; `model` is None where nobody is enrolled."""

    model: NamingModel | None

    def of(self, rows: Sequence[AppearanceRow]) -> list[Figure]:
        """Return the figures of appearances."""
        if self.model is None or not rows:
            return [Figure(1.0, 1.0)] * len(rows)
        scores = np.array([row.score for row in rows])
        known = np.where(np.isfinite(scores), scores, -1e9)
        probability, rate = self.model.tracks.probability(known), self.model.tracks.false_name_rate(known)
        found = []
        for row, p, r in zip(rows, probability.tolist(), rate.tolist(), strict=True):
            sure = (1.0 if row.is_confirmed else p) if row.decision is Decision.NAMED else 1 - p
            # The last digits depend on how many were scored together.
            found.append(Figure(round(sure, 6), float(f"{r:.6g}")))
        return found

    def bounds(self, min_probability: float) -> tuple[float, float]:
        """Return the least score of a named appearance, and the most of any other, that are so probable."""
        if self.model is None or min_probability <= 0:
            return -math.inf, math.inf
        return _bounds(self.model, min_probability)


@lru_cache(maxsize=64)
def _bounds(model: NamingModel, min_probability: float) -> tuple[float, float]:
    def first(passes: Callable[[float], bool]) -> float:
        low, high = -1e4, 1e4
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (low, middle) if passes(middle) else (middle, high)
        return high

    def probability(score: float) -> float:
        return float(model.tracks.probability(np.array(score)))

    # Rounded as the figures are.
    least = first(lambda score: round(probability(score), 6) >= min_probability)
    most = first(lambda score: round(1 - probability(score), 6) < min_probability)
    return least if round(probability(least), 6) >= min_probability else math.inf, math.nextafter(most, -math.inf)

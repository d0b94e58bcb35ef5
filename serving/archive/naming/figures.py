"""What the scores of stored appearances mean by the model that names now."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
            found.append(rounded_figure(sure, r))
        return found

    def least_score(self, min_probability: float) -> float:
        """Return the least score of a named appearance that is so probable."""
        if self.model is None or min_probability <= 0:
            return -math.inf
        return _least_score(self.model, min_probability)


def rounded_figure(probability: float, false_name_rate: float) -> Figure:
    """Return a figure without its last digits, which depend on how many were scored together."""
    return Figure(round(probability, 6), float(f"{false_name_rate:.6g}"))


@lru_cache(maxsize=64)
def _least_score(model: NamingModel, min_probability: float) -> float:
    def passes(score: float) -> bool:  # rounded as the figures are
        return round(float(model.tracks.probability(np.array(score))), 6) >= min_probability

    low, high = -1e4, 1e4
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high if passes(high) else math.inf

"""Vectors: bringing them to unit length, averaging a track's, and what a similarity says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from facerec_models.types import FloatArray, Track

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PairScale:
    """What the similarity of two single faces says: log odds = slope * (similarity - midpoint)."""

    midpoint: float
    slope: float

    def log_odds(self, similarity: npt.NDArray[np.floating]) -> Array:
        """Return log p(similarity | same) / p(similarity | different), in nats."""
        return np.asarray(self.slope * (similarity - self.midpoint), np.float64)

    def probability(self, similarity: npt.NDArray[np.floating]) -> Array:
        """Return p(same | similarity) where both are as likely beforehand."""
        return np.asarray(expit(self.log_odds(similarity)), np.float64)


def track_embedding(track: Track) -> FloatArray:
    """Average a track's kept embeddings, weighted by quality, to unit length; zeros where none was kept."""
    return normalize(_weighted_sum(track))


def _weighted_sum(track: Track) -> FloatArray:
    weights = np.maximum(track.quality[track.embedded], 1e-3)
    return np.asarray((weights[:, None] * track.embeddings).sum(axis=0), np.float32)


def track_quality(track: Track) -> float:
    """Return the mean quality of the better half of a track's samples: one lucky look does not make a face recognisable.

    A track without embeddings, as forgetting somebody leaves it, cannot be recognised: 0.
    """
    if len(track.embedded) == 0:
        return 0.0
    count = (len(track) + 1) // 2
    return float(np.add.reduce(np.sort(track.quality)[-count:]) / np.float32(count))


def normalize(vectors: npt.NDArray[np.floating]) -> FloatArray:
    """Bring rows to unit length; rows of zeros stay."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), np.float32)

"""Vectors: bring them to unit length, average a track's, and weigh what a similarity tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from facerec_models.types import DoubleArray, FloatArray, Track

# Samples that a track is as good as: a single one may be a chance.
_BEST = 3


@dataclass(frozen=True, slots=True)
class PairScale:
    """What the similarity of two single faces tells: log odds = slope * (similarity - midpoint).

    Examples
    --------
    >>> import numpy as np
    >>> PairScale(midpoint=0.9, slope=100.0).log_odds(np.array([0.88, 0.9, 0.95])).round(1).tolist()
    [-2.0, 0.0, 5.0]
    """

    midpoint: float
    slope: float

    def log_odds(self, similarity: npt.NDArray[np.floating]) -> DoubleArray:
        """Return log p(similarity | same) / p(similarity | different), in nats."""
        return np.asarray(self.slope * (similarity - self.midpoint), np.float64)

    def probability(self, similarity: npt.NDArray[np.floating]) -> DoubleArray:
        """Return p(same | similarity) where both are as likely beforehand."""
        return np.asarray(scipy.special.expit(self.log_odds(similarity)), np.float64)


def track_embedding(track: Track) -> FloatArray:
    """Average a track's kept embeddings, weighted by quality, to unit length; zeros where none was kept."""
    return normalize(weighted_sum(track))


def weighted_sum(track: Track) -> FloatArray:
    """Return the sum of a track's kept embeddings, weighted by quality."""
    weights = np.maximum(track.quality[track.embedded], 1e-3)
    return np.asarray((weights[:, None] * track.embeddings).sum(axis=0), np.float32)


def track_quality(track: Track) -> float:
    """Return the mean quality of a track's three best kept samples: a face that is clear for a while can be recognised.

    It is 0 for a track without embeddings, such as is left when a person is forgotten.
    """
    if len(track.embedded) == 0:
        return 0.0
    best = np.sort(track.quality[track.embedded])[-_BEST:]
    return float(np.add.reduce(best) / np.float32(len(best)))


def normalize(vectors: npt.NDArray[np.floating]) -> FloatArray:
    """Bring rows to unit length; rows of zeros stay.

    Examples
    --------
    >>> import numpy as np
    >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]])).round(1).tolist()
    [[0.6..., 0.8...], [0.0, 0.0]]
    """
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), np.float32)

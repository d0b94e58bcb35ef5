"""Find where a track goes on with another person, by its own embeddings.

A dissolve, a fast pan or a missed cut puts one face into another's place, and place alone then links the two. Each point at which a
track may be divided is tested with the mean similarity of all pairs of a sample before and one after. It speaks for two people by as
much as it lies below that at which a pair is as likely one person as two, or below the similarity within either side, if that is lower:
blurred and turned faces of one person are unlike each other, too. The evidence is multiplied by the weight of the lighter side:
samples of one take are not independent, so they count by how many there are on one side, not by pairs, and only up to a bound.
"""

from __future__ import annotations

import numpy as np

from facerec_models.types import DoubleArray, FloatArray, IndexArray
from facerec_models.vectors import PairScale

WINDOW = 32
"""Samples on each side that are compared."""
SETTLED = 16
"""Samples after a change before a track that still grows is divided there: a dissolve is over by then."""

# Least evidence, in nats, that there are two people. Of faces that are turned or blurred, with little weight, much is asked.
_LEAST_EVIDENCE = 6.0
# Samples, by weight, that more of the same add nothing to.
_MOST_WEIGHT = 8.0
# Samples left out on both sides of a change: in a dissolve they show both faces. Tried with and without.
_BETWEEN = (0, 3)


def find_change(embeddings: FloatArray, quality: FloatArray, pair: PairScale, *, settled: int = 0) -> int | None:
    """Return the first sample of another person, where the evidence for two people is greatest; None if there is one person.

    Parameters
    ----------
    embeddings : (N, D) float32
        Of one track's latest samples, in their order; unit length.
    quality : (N,) float32
        What each counts, in [0, 1].
    settled : int
        More samples than this follow a change that is found.

    Examples
    --------
    >>> import numpy as np
    >>> from facerec_models.vectors import PairScale
    >>> one, other = np.eye(2, dtype=np.float32)
    >>> find_change(np.stack([one] * 5 + [other] * 4), np.ones(9, np.float32), PairScale(0.9, 100.0))
    5
    """
    count = len(embeddings)
    points = np.arange(max(1, count - WINDOW), count - settled)
    if len(points) == 0:
        return None
    weights = np.maximum(quality.astype(np.float64), 0.0)
    # Running sums give the mean of any stretch.
    totals = np.cumsum(np.concatenate([[[0.0, 0.0]], np.stack([weights, weights**2], axis=1)]), axis=0)
    sums = np.concatenate([np.zeros((1, embeddings.shape[1])), np.cumsum(weights[:, None] * embeddings, axis=0)])
    evidence = np.stack([_evidence(totals, sums, points, between, pair) for between in _BETWEEN])
    if evidence.max() < _LEAST_EVIDENCE:
        return None
    row, column = np.unravel_index(evidence.argmax(), evidence.shape)
    if settled and column == len(points) - 1:
        return None  # there may be more of it to come
    between, at = _BETWEEN[row], int(points[column])
    near = points[np.abs(points - at) <= between]
    return int(near[_fit(embeddings, weights, sums, at, between)[near].argmax()])


def _sides(at: IndexArray, between: int, count: int) -> tuple[IndexArray, IndexArray, IndexArray, IndexArray]:
    """Return where the samples before and after each point begin and end, the nearest ones left out."""
    end, start = np.maximum(at - between, 0), np.minimum(at + between, count)
    return np.maximum(end - WINDOW, 0), end, start, np.minimum(start + WINDOW, count)


def _evidence(totals: DoubleArray, sums: DoubleArray, points: IndexArray, between: int, pair: PairScale) -> DoubleArray:
    """Evidence, in nats, that another person begins at each point."""
    a, b, c, d = _sides(points, between, len(totals) - 1)
    left, right = sums[b] - sums[a], sums[d] - sums[c]
    (left_weight, left_squares), (right_weight, right_squares) = (totals[b] - totals[a]).T, (totals[d] - totals[c]).T
    lighter = np.minimum(np.minimum(left_weight, right_weight), _MOST_WEIGHT)
    similarity = np.einsum("pd,pd->p", left, right) / np.maximum(left_weight * right_weight, 1e-9)
    within = np.minimum(_within(left, left_weight, left_squares), _within(right, right_weight, right_squares))
    expected = np.minimum(pair.midpoint, within)
    return np.where(lighter > 0, pair.slope * (expected - similarity) * lighter, -np.inf)


def _within(sums: DoubleArray, weight: DoubleArray, squares: DoubleArray) -> DoubleArray:
    """Mean similarity of the pairs within each stretch; infinite where it has one sample, which says nothing."""
    pairs = weight**2 - squares
    has_pairs = pairs > 1e-6 * weight**2
    # A face and itself are no pair.
    alike = np.einsum("pd,pd->p", sums, sums) - squares
    return np.where(has_pairs, alike / np.where(has_pairs, pairs, 1.0), np.inf)


def _fit(embeddings: FloatArray, weights: DoubleArray, sums: DoubleArray, at: int, between: int) -> DoubleArray:
    """Return for each point how well it divides the samples into those like the left side and those like the right."""
    a, b, c, d = (int(i) for i in _sides(np.array(at), between, len(embeddings)))
    left, right = sums[b] - sums[a], sums[d] - sums[c]
    unlike = left / max(float(np.linalg.norm(left)), 1e-9) - right / max(float(np.linalg.norm(right)), 1e-9)
    # Samples of no quality lie somewhere, too: they count for a little.
    return np.concatenate([[0.0], np.cumsum((weights + 1e-3) * (embeddings @ unlike))])

"""Who the unknown faces of an archive are to each other.

Complete linkage over the mean embeddings of tracks, with cannot-links: every two tracks of a group are alike, and none of them
share a frame. Single or average linkage lets chains of look-alikes grow over an archive; complete linkage splits rather than
merges: a person can join two clusters with one click, but a wrong merge hides one of two people.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.cluster import AgglomerativeClustering

from facerec_models.types import DoubleArray, FloatArray, IndexArray
from facerec_models.vectors import PairScale

# More than any cosine distance: linked by no threshold.
_NEVER = 10.0
# Evidence, in nats, that any two tracks of a group must have to be one person; an archive has many pairs. On clips whose people were
# taken out of the gallery, 5 let brothers and colleagues merge, 10 left half of the people in pieces, 6.5 to 8 did neither.
_LEAST_LOG_ODDS = 7.5


def stranger_similarity(pair: PairScale) -> float:
    """Return the cosine that two tracks of one stranger have at least."""
    return pair.midpoint + _LEAST_LOG_ODDS / pair.slope


def cluster_tracks(
    embeddings: FloatArray,
    apart: npt.NDArray[np.bool_],
    min_similarity: float,
    known: Sequence[int] | IndexArray | None = None,
) -> IndexArray:
    """Group tracks that show one person, beginning with groups that are known.

    Parameters
    ----------
    embeddings : (N, D) float32
    apart : (M, N) bool
        For each of the M tracks without a known group, in order: which tracks cannot be the same person, because they share a
        frame or because a correction tells them apart.
    min_similarity : float
        Cosine that every two tracks of a group have at least.
    known : (N,) int, optional
        Group of each track, -1 for those without one. Known groups stay whole and apart from each other; the others join them or
        form new ones.

    Returns
    -------
    (N,) int
        Group of each track: the known ones, then new ones numbered by their first members.

    Examples
    --------
    >>> faces = np.float32([[1, 0], [1, 0], [0, 1]])
    >>> cluster_tracks(faces, np.zeros((3, 3), bool), min_similarity=0.9).tolist()
    [0, 0, 1]

    The first two share a frame, so that they are two people:

    >>> apart = np.array([[False, True, False], [True, False, False], [False, False, False]])
    >>> cluster_tracks(faces, apart, min_similarity=0.9).tolist()
    [0, 1, 2]
    """
    groups = np.full(len(embeddings), -1) if known is None else np.array(known, np.intp)
    free = np.flatnonzero(groups < 0)
    if len(free) == 0:
        return groups
    distance = np.where(apart, _NEVER, np.clip(1 - embeddings[free] @ embeddings.T, 0, None)).astype(np.float64)
    labels, members = np.unique(groups[groups >= 0], return_inverse=True)
    to_group = np.zeros((len(free), len(labels)))
    np.maximum.at(to_group.T, members, distance[:, groups >= 0].T)
    # Groups that nothing can join are left out: with them the matrix would grow with the archive.
    reached = np.flatnonzero((to_group <= 1 - min_similarity).any(axis=0))
    units = np.full((len(free) + len(reached),) * 2, _NEVER)
    units[: len(free), : len(free)] = distance[:, free]
    units[: len(free), len(free) :] = to_group[:, reached]
    units[len(free) :, : len(free)] = to_group[:, reached].T
    np.fill_diagonal(units, 0)
    joined = _complete_linkage(units, 1 - min_similarity)
    names = {int(joined[len(free) + i]): int(labels[group]) for i, group in enumerate(reached.tolist())}
    unused = int(labels.max()) + 1 if len(labels) else 0
    for row, label in zip(free.tolist(), joined.tolist(), strict=False):
        if label not in names:
            names[label], unused = unused, unused + 1
        groups[row] = names[label]
    return groups


def _complete_linkage(distance: DoubleArray, limit: float) -> IndexArray:
    if len(distance) < 2:
        return np.zeros(len(distance), np.intp)
    clustering = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="complete", distance_threshold=limit
    )
    return np.asarray(clustering.fit_predict(distance), np.intp)

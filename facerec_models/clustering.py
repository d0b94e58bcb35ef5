"""Who the unknown faces of a video are to each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.cluster import AgglomerativeClustering

from facerec_models.types import FloatArray

# More than any cosine distance: linked by no threshold.
_NEVER = 10.0


def cluster_tracks(embeddings: FloatArray, apart: npt.NDArray[np.bool_], min_similarity: float) -> npt.NDArray[np.intp]:
    """Group tracks that show one person.

    Complete linkage: every two tracks of a group are at least `min_similarity` alike, and no two of them are `apart`.

    Parameters
    ----------
    embeddings : (N, D) float32
    apart : (N, N) bool
        Tracks that cannot be one person: they share a frame, or somebody said so.
    min_similarity : float
        Cosine.

    Returns
    -------
    (N,) int
        Group of each track, numbered by first members.
    """
    if len(embeddings) < 2:
        return np.zeros(len(embeddings), np.intp)
    distance = np.where(apart, _NEVER, np.clip(1 - embeddings @ embeddings.T, 0, None)).astype(np.float64)
    np.fill_diagonal(distance, 0)
    groups = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="complete", distance_threshold=1 - min_similarity
    ).fit_predict(distance)
    _, first = np.unique(groups, return_index=True)
    return np.asarray(np.argsort(np.argsort(first))[groups], np.intp)

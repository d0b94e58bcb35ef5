"""Which pictures a person is learned from: the right face of a group picture, and pictures that show somebody else.

Both questions are answered by agreement with the person's other pictures, never by size alone. Nothing is deleted: a picture that is
not learned from keeps its face, its vector and the reason.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.stats import norm

from facerec_models.calibration import PairScale
from facerec_models.classifiers import normalize
from facerec_models.cohort import Cohort
from facerec_models.config import OutlierStrategy
from facerec_models.types import FaceSet, FloatArray

# A wrong picture among twenty, before anything is known of them: what searches by name return once they are filtered.
_PRIOR_WRONG = 0.05
# Deviation of pairwise similarities at which the predecessor stops to drop pictures.
_PREDECESSOR_DEVIATION = 0.1
# Similarity of two pictures of one person, and how many pictures the cohort's scale of "the right person" stands for: the mean of
# two is noisier than that of five, and less like a third.
_USUAL_PAIR, _USUAL_PICTURES = 0.946, 4
# Two faces that others agree with equally: the larger one. Counts less than any agreement does.
_AREA_WEIGHT = 1e-3


def choose_faces(found: Sequence[FaceSet], anchors: FloatArray, pair: PairScale) -> list[int | None]:
    """Say which face of each picture is the person: the one that most of their other pictures show as well.

    Parameters
    ----------
    found : sequence of FaceSet
        The faces of each picture of one person.
    anchors : (A, D) float32
        Faces that are known to be theirs, each counting as a picture; may be empty.
    pair : PairScale
        Of the embedder.

    Returns
    -------
    list of int or None
        Index of the face, None where a picture has none. Without any agreement it is the largest.
    """
    others = [faces.embeddings for faces in found] + [anchor[None] for anchor in anchors]
    chosen: list[int | None] = []
    for i, faces in enumerate(found):
        if len(faces) < 2:
            chosen.append(0 if len(faces) else None)
            continue
        boxes = faces.detections.boxes
        area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        support = _AREA_WEIGHT * area / max(float(area.max()), 1.0)
        for j, other in enumerate(others):
            if j != i and len(other):
                support = support + expit(pair.log_odds((faces.embeddings @ other.T).max(axis=1)))
        chosen.append(int(support.argmax()))
    return chosen


def find_outliers(
    embeddings: FloatArray, cohort: Cohort, strategy: OutlierStrategy = OutlierStrategy.ROBUST
) -> list[str | None]:
    """Say which of a person's faces are somebody else's, and why.

    Parameters
    ----------
    embeddings : (N, D) float32
        Unit length, of one person.
    cohort : Cohort
        Strangers, and what similarities of the embedder mean.

    Returns
    -------
    list of str or None
        The reason of each outlier; None for faces that belong. With fewer than three faces nobody can tell which is wrong.
    """
    if len(embeddings) < 3:
        return [None] * len(embeddings)
    if strategy is OutlierStrategy.PREDECESSOR:
        return _by_deviation(embeddings)
    return _by_agreement(embeddings, cohort)


def _by_agreement(embeddings: FloatArray, cohort: Cohort) -> list[str | None]:
    """Ask of each face whether its similarity to the mean of the largest group that agrees is the person's or a stranger's.

    The group is found first, so that outliers that resemble each other do not pull the mean, as they pull a plain average.
    """
    core = _largest_agreement(embeddings, cohort.pair)
    reasons: list[str | None] = [None] * len(embeddings)
    if core.sum() < 2:
        return reasons
    for i, embedding in enumerate(embeddings):
        others = core.copy()
        others[i] = False
        mean = normalize(embeddings[others].sum(axis=0))
        similarity = float(embedding @ mean)
        limit = _limit(mean, int(others.sum()), cohort)
        if similarity < limit and (others.sum() >= 2 or not core[i]):
            reasons[i] = (
                f"outlier: similarity {similarity:.3f} to {int(others.sum())} of the person's other pictures, least {limit:.3f}"
            )
    return reasons


def _largest_agreement(embeddings: FloatArray, pair: PairScale) -> npt.NDArray[np.bool_]:
    """Return the faces that agree with the face that most others agree with."""
    agreement = expit(pair.log_odds(embeddings @ embeddings.T))
    centre = int(agreement.sum(axis=1).argmax())
    return np.asarray(agreement[centre] > 0.5)


def _limit(mean: FloatArray, count: int, cohort: Cohort) -> float:
    """Return the similarity to a mean of `count` faces at which a face is as likely the person's as a stranger's."""
    genuine_mean = cohort.genuine_stills.mean * _typical_similarity(count) / _typical_similarity(_USUAL_PICTURES)
    grid = np.linspace(0, 1, 1001)
    strangers = cohort.stills @ mean if len(cohort.stills) else np.zeros(1)
    centre, spread = float(np.median(strangers)), max(float(np.std(strangers)), 0.02)
    odds = (
        norm.logpdf(np.minimum(grid, genuine_mean), genuine_mean, cohort.genuine_stills.deviation)
        - norm.logpdf(np.maximum(grid, centre), centre, spread)
        + np.log((1 - _PRIOR_WRONG) / _PRIOR_WRONG)
    )
    return float(grid[np.argmax(odds > 0)])


def _typical_similarity(count: int) -> float:
    """Return the similarity of a face to the mean of `count` others of which every two are `_USUAL_PAIR` alike."""
    return _USUAL_PAIR / float(np.sqrt((1 + (count - 1) * _USUAL_PAIR) / count))


def _by_deviation(embeddings: FloatArray) -> list[str | None]:
    """Apply the predecessor's rule: drop the least typical face until all pairwise similarities vary by at most 0.1."""
    reasons: list[str | None] = [None] * len(embeddings)
    kept = list(range(len(embeddings)))
    while len(kept) > 1:
        similarity = embeddings[kept] @ embeddings[kept].T
        if float(similarity.std()) <= _PREDECESSOR_DEVIATION:
            break
        worst = kept[int((embeddings[kept] @ normalize(embeddings[kept].sum(axis=0))).argmin())]
        kept.remove(worst)
        reasons[worst] = f"outlier: pairwise similarities deviate by more than {_PREDECESSOR_DEVIATION} with it"
    return reasons

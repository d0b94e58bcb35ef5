"""Which pictures a person is learned from: the right face of a group picture, and pictures that show another person.

Both questions are answered by agreement with the person's other pictures, never by size alone. Nothing is deleted: a picture that is
not learned from keeps its face, its vector and the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from facerec_models.identification.cohort import Cohort
from facerec_models.types import FaceSet, FloatArray
from facerec_models.vectors import PairScale, normalize
from training.outlier_strategy import OutlierStrategy

# A wrong picture among twenty, before anything is known of them: what searches by name return once they are filtered.
_PRIOR_WRONG = 0.05
# Deviation of pairwise similarities at which the predecessor stops to drop pictures.
_PREDECESSOR_DEVIATION = 0.1
# Similarity of two pictures of one person, and how many pictures the cohort's scale of "the right person" stands for: the mean of
# two is noisier than that of five, and less like a third.
_USUAL_PAIR, _USUAL_PICTURES = 0.946, 4
# Two faces that others agree with equally: the larger one. Counts less than any agreement does.
_AREA_WEIGHT = 1e-3
# By how many other pictures a face has to lead before the next one, and how many times it has to be as large, to be more than a guess.
_LEAST_LEAD, _DOMINANT_AREA = 0.5, 4.0


@dataclass(frozen=True, slots=True)
class Choice:
    """Which face of a picture is the person, and what speaks for it.

    Parameters
    ----------
    index : int
        Of the face.
    doubt : str or None
        Why it is a guess; None where the person's other pictures support it, or there is nothing to choose.
    """

    index: int
    doubt: str | None = None


def choose_faces(
    found: Sequence[FaceSet],
    anchors: FloatArray,
    pair: PairScale,
    shared: Mapping[int, str] | None = None,
    theirs: Sequence[npt.NDArray[np.bool_]] | None = None,
) -> list[Choice | None]:
    """Choose which face of each picture is the person: the one that most of their other pictures show as well.

    A choice among several faces is supported if at least one other picture agrees with it, and not with another face, or if the face is
    at least twice as wide as every other: a portrait before people who happened to be there; or if every other face of the picture is
    learned as another person's. All else is a guess.

    Parameters
    ----------
    found : sequence of FaceSet
        The faces of each picture of one person.
    anchors : (A, D) float32
        Faces that are known to be theirs, each counting as a picture; may be empty.
    pair : PairScale
        Of the embedder.
    shared : mapping of int to str
        Pictures whose content is another person's too, with a reason. They support nothing, and need support even for a single
        face.
    theirs : sequence of (N,) bool, optional
        Of each picture, which faces are learned as other people's, from this or another copy of it.

    Returns
    -------
    list of Choice or None
        None where a picture has no face. Without any agreement it is the largest.
    """
    shared = shared or {}
    own = [faces.embeddings for faces in found] + [anchor[None] for anchor in anchors]
    chosen: list[Choice | None] = []
    for i, faces in enumerate(found):
        if not len(faces):
            chosen.append(None)
            continue
        agreement = np.zeros((2, len(faces)))  # of all other pictures, of those that are nobody else's
        for j, other in enumerate(own):
            if j != i and len(other):
                likely = pair.probability((faces.embeddings @ other.T).max(axis=1))
                agreement += likely * np.array([[1.0], [float(j not in shared)]])
        is_theirs = np.zeros(len(faces), bool) if theirs is None else theirs[i]
        open_to = np.arange(len(faces)) if is_theirs.all() else np.flatnonzero(~is_theirs)
        boxes = faces.detections.boxes
        area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        support = agreement[0] + _AREA_WEIGHT * area / max(float(area.max()), 1.0)
        index = int(open_to[support[open_to].argmax()])
        rivals = open_to[open_to != index]
        lead = agreement[1, index] - (agreement[1, rivals].max() if len(rivals) else 0.0)
        is_dominant = bool((area[index] >= _DOMINANT_AREA * area[rivals]).all())
        is_left = len(open_to) == 1 < len(faces)
        chosen.append(Choice(index, _doubt(len(faces), lead >= _LEAST_LEAD or is_left, is_dominant, shared.get(i))))
    return chosen


def _doubt(faces: int, is_supported: bool, is_dominant: bool, shared: str | None) -> str | None:
    if is_supported:
        return None
    if shared is not None:
        return f"guessed: {shared}, and no other picture supports whose face this is"
    if faces > 1 and not is_dominant:
        return f"guessed: {faces} faces were found, and no other picture supports that it is this one"
    return None


def find_outliers(
    embeddings: FloatArray, cohort: Cohort, strategy: OutlierStrategy = OutlierStrategy.ROBUST
) -> list[str | None]:
    """Say which of a person's faces are another person's, and why.

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
    agreement = pair.probability(embeddings @ embeddings.T)
    centre = int(agreement.sum(axis=1).argmax())
    return np.asarray(agreement[centre] > 0.5)


def _limit(mean: FloatArray, count: int, cohort: Cohort) -> float:
    """Return the similarity to a mean of `count` faces at which a face is as likely the person's as a stranger's."""
    genuine_mean = cohort.genuine_stills.mean * _typical_similarity(count) / _typical_similarity(_USUAL_PICTURES)
    grid = np.linspace(0, 1, 1001)
    strangers = cohort.stills @ mean if len(cohort.stills) else np.zeros(1)
    centre, spread = float(np.median(strangers)), max(float(np.std(strangers)), 0.02)
    odds = (
        scipy.stats.norm.logpdf(np.minimum(grid, genuine_mean), genuine_mean, cohort.genuine_stills.deviation)
        - scipy.stats.norm.logpdf(np.maximum(grid, centre), centre, spread)
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

"""Cross-validation: what classifiers score for pictures of their people that they have not learned from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy
from threadpoolctl import threadpool_limits

from facerec_models.identification.calibration import GenuineScale
from facerec_models.identification.classifiers import Arrays, FaceClassifier, OneAgainstRest, TrainingFaces
from facerec_models.identification.classifiers.base import grouped
from facerec_models.types import FloatArray, IndexArray
from facerec_models.vectors import normalize

Learn = Callable[[OneAgainstRest, TrainingFaces, Sequence[int]], Sequence[Arrays]]
Finish = Callable[[FaceClassifier, FloatArray, npt.NDArray[np.str_]], FaceClassifier]

FOLDS = 3
# With fewer cross-validated faces than this their mean and deviation tell little.
_LEAST_FACES = 20
_SYNTHETIC_FACES = 60
_ROWS = 1024
_LEAST_DEVIATION = 1e-3


@dataclass(frozen=True, slots=True)
class GenuineScores:
    """Scores of enrolled people for themselves.

    Parameters
    ----------
    stills, tracks : GenuineScale
        Of single pictures, and of the mean of some.
    cross_validated : int
        Pictures that were scored by classifiers that had not learned from them.
    synthetic : int
        Embeddings that were made up, because there were too few pictures for cross-validation.
    """

    stills: GenuineScale
    tracks: GenuineScale
    cross_validated: int
    synthetic: int


def learn_in_turn(classifier: OneAgainstRest, faces: TrainingFaces, people: Sequence[int]) -> Sequence[Arrays]:
    """Learn some people, by number, one after the other.

    In one thread: how many share a sum changes its last digits, and so would the model.
    """
    with threadpool_limits(limits=1):
        return [classifier.fit_one(faces, person) for person in people]


def as_learned(classifier: FaceClassifier, _x: FloatArray, _y: npt.NDArray[np.str_]) -> FaceClassifier:
    """Return a classifier as it is."""
    return classifier


def fit_classifier(
    classifier: FaceClassifier,
    x: FloatArray,
    y: npt.NDArray[np.str_],
    strangers: FloatArray,
    learn: Learn = learn_in_turn,
    only: npt.NDArray[np.str_] | None = None,
) -> FaceClassifier:
    """Fit a classifier, its people by `learn` where each is learned alone.

    Parameters
    ----------
    only : (K,) str, optional
        The people whose scores matter; a classifier that learns each alone learns no others.
    """
    if not isinstance(classifier, OneAgainstRest):
        return classifier.fit(x, y, strangers)
    faces = TrainingFaces.of(x, y, strangers)
    wanted = np.arange(len(faces.people)) if only is None else np.flatnonzero(np.isin(faces.people, only))
    return classifier.assemble(faces.people[wanted], learn(classifier, faces, wanted.tolist()))


def genuine_scores(
    fitted: FaceClassifier,
    unfitted: Callable[[], FaceClassifier],
    x: FloatArray,
    y: npt.NDArray[np.str_],
    strangers: FloatArray,
    alike: GenuineScale,
    learn: Learn = learn_in_turn,
    finish: Finish = as_learned,
) -> GenuineScores:
    """Score pictures by classifiers that learned the person's other pictures, in three rounds.

    People with a single picture cannot contribute: without it no classifier would know them. Where fewer than twenty pictures can be
    left out, embeddings are made up for everybody: as similar to the person's mean as the embedder's faces usually are, and different
    from it in the way in which strangers are.

    Parameters
    ----------
    fitted : FaceClassifier
        Learned all of `x`.
    unfitted : callable
        Makes another such classifier that has learned nothing.
    x, y : (M, D) float32 and (M,) str
        Faces and their people.
    strangers : (S, D) float32
        Whom `fitted` learned from.
    alike : GenuineScale
        Similarities of a face to the right person's mean.
    finish : callable
        Makes what names faces of a classifier, and of the faces and people that it learned from.
    """
    stills: list[npt.NDArray[np.floating]] = []
    tracks: list[npt.NDArray[np.floating]] = []
    fold = folds_of(y)
    for number in range(int(fold.max()) + 1):
        out = fold == number
        people = np.unique(y[out])
        learned = finish(fit_classifier(unfitted(), x[~out], y[~out], strangers, learn, people), x[~out], y[~out])
        stills.append(_own_scores(learned, x[out], y[out]))
        labels, order, starts = grouped(y[out])
        tracks.append(_own_scores(learned, normalize(np.add.reduceat(x[out][order], starts, axis=0)), labels))
    cross_validated = sum(map(len, stills))
    synthetic = 0
    if cross_validated < _LEAST_FACES:
        faces, who = _synthesize(x, y, strangers, alike)
        synthetic = len(faces)
        scores = _own_scores(fitted, faces, who)
        stills.append(scores)
        tracks.append(scores)
    return GenuineScores(_scale(stills), _scale(tracks), cross_validated, synthetic)


def folds_of(y: npt.NDArray[np.str_]) -> IndexArray:
    """Return in which of `FOLDS` rounds each face is left out; -1 for those of people with one picture.

    Examples
    --------
    >>> folds_of(np.array(["Ann", "Ann", "Ann", "Ann", "Bob"])).tolist()
    [0, 1, 2, 0, -1]
    """
    _, order, starts = grouped(y)
    sizes = np.diff(np.append(starts, len(y)))
    position = np.arange(len(y)) - np.repeat(starts, sizes)
    folds = np.empty(len(y), np.intp)
    folds[order] = np.where(np.repeat(sizes, sizes) > 1, position % FOLDS, -1)
    return folds


def _own_scores(fitted: FaceClassifier, x: FloatArray, y: npt.NDArray[np.str_]) -> FloatArray:
    column = np.searchsorted(fitted.classes_, y)
    parts = [
        fitted.decision_function(x[start : start + _ROWS])[
            np.arange(len(x[start : start + _ROWS])), column[start : start + _ROWS]
        ]
        for start in range(0, len(x), _ROWS)
    ]
    return np.concatenate(parts)


def _synthesize(
    x: FloatArray, y: npt.NDArray[np.str_], strangers: FloatArray, alike: GenuineScale
) -> tuple[FloatArray, npt.NDArray[np.str_]]:
    """Make up embeddings of people: nothing is drawn at random, so that the same gallery gives the same ones."""
    people, order, starts = grouped(y)
    means = normalize(np.add.reduceat(x[order], starts, axis=0))
    number = np.arange(max(_SYNTHETIC_FACES, len(people)))
    who = number % len(people)
    similarity = scipy.stats.norm.ppf((number + 0.5) / len(number), alike.mean, alike.deviation).clip(max=0.999)
    # Coprime steps: one person's embeddings range over all similarities and many strangers.
    similarity = similarity[(number * 37) % len(number)] if len(number) % 37 else similarity
    aside = strangers[(number * 13) % len(strangers)]
    aside = normalize(aside - (aside * means[who]).sum(axis=1, keepdims=True) * means[who])
    faces = similarity[:, None] * means[who] + np.sqrt(1 - similarity[:, None] ** 2) * aside
    return normalize(faces), people[who]


def _scale(scores: Sequence[npt.NDArray[np.floating]]) -> GenuineScale:
    joined = np.concatenate(scores).astype(np.float64)
    return GenuineScale(float(joined.mean()), max(float(joined.std()), _LEAST_DEVIATION))

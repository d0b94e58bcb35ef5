"""Similarity to each person's mean embedding, less what that mean attracts of everybody."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from facerec_models.identification.classifiers.base import Arrays, FaceClassifier, grouped
from facerec_models.types import FloatArray
from facerec_models.vectors import normalize

# Strangers that are nearest to a person, and the part of their similarity that is taken off the person's scores. Any number from 20 to
# 100 and part from .4 to .6 names people alike; the whole of it, as z-normalisation and its kin take, halves the people found.
_NEIGHBOURS = 50
_PART = 0.5
# Nearer ones may be the person themselves, whom the strangers' collection also holds.
_ENROLLED_SHARE = 0.015
# Of a face, its nearest strangers beside those, and the part of their mean similarity that is taken off the face's scores: a poor face
# is near to everybody, and would get a name more often than is claimed. On degraded pictures of the gallery a fifth finds most people.
_NEAREST, _FACE_PART = 10, 0.2
# Digits of what is taken off. How products are rounded depends on how many people there are: with all digits, a new person would
# change other people's scores in the last one, and much would be named again for nothing.
_DIGITS = 5
_MOST_COMPARED, _ROWS = 1024, 4096


class PrototypeClassifier(FaceClassifier):
    """Similarity to each person's mean embedding.

    Some people are everybody's neighbours: they would get most of the false names, and set the limit for all others. So a
    score is a similarity less half of how much nearer than usual the nearest strangers are to that person (the cross-domain
    similarity local scaling of Conneau et al., *Word Translation Without Parallel Data*, ICLR 2018), and less a part of how near they
    are to the face, which a small or blurred face is to everybody.

    Enrolling a person touches nobody else, and one picture is enough. In the study behind the default it ranked people better
    than their nearest single picture, support vector machines not excepted.

    Attributes
    ----------
    prototypes_ : (N, D) float32
        Unit length.
    attraction_ : (N,) float32
        Taken off each person's similarities; 0 where no strangers were given.
    strangers_ : (S, D) float32
        With whom faces are compared; none where too few were given.

    Examples
    --------
    >>> faces = np.float32([[1, 0], [0.8, 0.6], [0, 1]])
    >>> classifier = PrototypeClassifier().fit(faces, ["Ann", "Ann", "Bob"])
    >>> classifier.predict(np.float32([[0.9, 0.1], [0.1, 0.9]])).tolist()
    ['Ann', 'Bob']
    """

    name = "prototype"
    learns_from_strangers = False
    highest_score = 1.1

    def fit(
        self, x: FloatArray, y: npt.ArrayLike, strangers: FloatArray | None = None, compared: FloatArray | None = None
    ) -> Self:
        """Learn the mean of each person's embeddings, and what it attracts of strangers.

        Parameters
        ----------
        compared : (S, D) float32, optional
            The strangers with whom faces are compared from then on, by default the same.
        """
        self.classes_, order, starts = grouped(y)
        self.prototypes_ = normalize(np.add.reduceat(x[order], starts, axis=0, dtype=np.float64))
        self.attraction_ = _attraction(self.prototypes_, strangers)
        self.strangers_ = _compared(strangers if compared is None else compared, x.shape[1])
        return self

    def decision_function(self, x: FloatArray) -> FloatArray:
        """Return (M, N) scores of (M, D) embeddings for everyone."""
        scores = self.similarity(x)
        scores -= self.attraction_
        scores -= self.commonness(x)[:, None]
        return scores

    def commonness(self, x: FloatArray) -> FloatArray:
        """Return what is taken off all scores of each of (M, D) embeddings, as (M,) float32; never less than nothing."""
        if not len(self.strangers_):
            return np.zeros(len(x), np.float32)
        parts = [x[at : at + _ROWS] @ self.strangers_.T for at in range(0, len(x), _ROWS)]
        nearest = [_neighbourhood(part.T, _NEAREST) for part in parts]
        return np.asarray(np.maximum(_FACE_PART * np.concatenate([*nearest, np.zeros(0)]), 0), np.float32)

    def similarity(self, x: FloatArray) -> FloatArray:
        """Return (M, N) cosines of (M, D) embeddings and everyone's mean."""
        check_is_fitted(self)
        return np.asarray(x @ self.prototypes_.T, np.float32)

    def enrol(self, person_id: str, x: FloatArray, strangers: FloatArray | None = None) -> PrototypeClassifier:
        """Return a classifier that also knows a person from all their faces, (M, D), or knows them anew; the others are as before."""
        others = self.forget(person_id)
        at = int(np.searchsorted(others.classes_, person_id))
        mean = normalize(x.sum(axis=0, dtype=np.float64, keepdims=True))
        attraction = _attraction(mean, strangers)
        return _made_of(
            # Joined, not inserted: an array of strings is as wide as its longest, and would cut a longer name off.
            np.concatenate([others.classes_[:at], np.array([person_id]), others.classes_[at:]]),
            np.concatenate([others.prototypes_[:at], mean, others.prototypes_[at:]]),
            np.concatenate([others.attraction_[:at], attraction, others.attraction_[at:]]),
            others.strangers_,
        )

    def forget(self, person_id: str) -> PrototypeClassifier:
        """Return a classifier that does not know a person; nothing else changes."""
        check_is_fitted(self)
        others = self.classes_ != person_id
        return _made_of(self.classes_[others], self.prototypes_[others], self.attraction_[others], self.strangers_)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the people, their prototypes and what those attract."""
        return {
            "classes": self.classes_,
            "prototypes": self.prototypes_,
            "attraction": self.attraction_,
            "strangers": self.strangers_,
        }

    def from_arrays(self, arrays: Arrays) -> Self:
        """Take people, prototypes and attraction as learned."""
        self.classes_, self.prototypes_ = arrays["classes"], arrays["prototypes"]
        self.attraction_, self.strangers_ = arrays["attraction"], arrays["strangers"]
        return self


def _attraction(prototypes: FloatArray, strangers: FloatArray | None) -> FloatArray:
    """Return by how much (N, D) prototypes are nearer to their nearest strangers than those are to each other, in part."""
    if strangers is None or len(strangers) < 2 * _NEIGHBOURS:
        return np.zeros(len(prototypes), np.float32)
    usual = _neighbourhood(strangers @ strangers.T, _NEIGHBOURS).mean()
    nearest = _neighbourhood(strangers @ prototypes.T, _NEIGHBOURS)
    return np.asarray(np.round(_PART * (nearest - usual), _DIGITS), np.float32)


def _compared(strangers: FloatArray | None, dimension: int) -> FloatArray:
    """Return the strangers with whom faces are compared: of very many some, or a large cohort would cost as a large gallery does."""
    if strangers is None or len(strangers) < 2 * _NEIGHBOURS:
        return np.zeros((0, dimension), np.float32)
    return strangers[:: -(-len(strangers) // _MOST_COMPARED)]


def _neighbourhood(similarity: FloatArray, neighbours: int) -> FloatArray:
    """Return the mean of each column's highest values, less the very highest."""
    count = len(similarity)
    highest = count - max(1, round(_ENROLLED_SHARE * count))
    ordered = np.partition(similarity, (highest - neighbours, highest), axis=0)
    return np.asarray(ordered[highest - neighbours : highest].mean(axis=0), np.float32)


def _made_of(
    classes: npt.NDArray[np.str_], prototypes: FloatArray, attraction: FloatArray, strangers: FloatArray
) -> PrototypeClassifier:
    arrays = {"classes": classes, "prototypes": prototypes, "attraction": attraction, "strangers": strangers}
    return PrototypeClassifier().from_arrays(arrays)

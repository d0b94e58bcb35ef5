"""The interface of all classifiers."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin

from facerec_models.types import FloatArray, IndexArray

Arrays = Mapping[str, npt.NDArray[Any]]


class FaceClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A scikit-learn classifier of unit-length embeddings that also learns from people who are enrolled nowhere.

    What it learned is a few arrays, so that it is kept without pickle and loaded without running code.

    Attributes
    ----------
    name : str
        As in ``facerec train --classifier``.
    learns_from_strangers : bool
        Whether `strangers` change what it learns: those cannot calibrate its scores.
    highest_score : float
        No score is higher.
    classes_ : (N,) str
        Person ids in ascending order.
    """

    name: str
    learns_from_strangers: ClassVar[bool] = True
    highest_score: ClassVar[float] = math.inf
    classes_: npt.NDArray[np.str_]

    @abstractmethod
    def fit(self, x: FloatArray, y: npt.ArrayLike, strangers: FloatArray | None = None) -> Self:
        """Learn people from their faces.

        Parameters
        ----------
        x : (M, D) float32
            Unit-length embeddings.
        y : (M,) str
            Their person ids.
        strangers : (S, D) float32, optional
            Faces of people who are none of them.
        """

    @abstractmethod
    def decision_function(self, x: FloatArray) -> FloatArray:
        """Return how much (M, D) embeddings resemble each person, as (M, N) float32: higher is more alike.

        Scores are margins or log odds, which go on growing where a probability would stay at 1, so that the tail of strangers'
        scores can be extrapolated.
        """

    @abstractmethod
    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what was learned; no array is of objects."""

    @abstractmethod
    def from_arrays(self, arrays: Arrays) -> Self:
        """Take what `to_arrays` gave as learned, and return self."""

    def predict(self, x: FloatArray) -> npt.NDArray[np.str_]:
        """Return the likeliest person of each embedding, however unlikely."""
        return np.asarray(self.classes_[self.decision_function(x).argmax(axis=1)])


def grouped(y: npt.ArrayLike) -> tuple[npt.NDArray[np.str_], IndexArray, IndexArray]:
    """Sort labels into groups.

    Returns
    -------
    labels : (N,) str
        In ascending order.
    order : (M,) int
        Positions in `y`, group by group, within a group as they come.
    starts : (N,) int
        Where each group begins in `order`.

    Examples
    --------
    >>> labels, order, starts = grouped(["b", "a", "b"])
    >>> labels.tolist(), order.tolist(), starts.tolist()
    (['a', 'b'], [1, 0, 2], [0, 1])
    """
    given = np.asarray(y)
    order = np.argsort(given, kind="stable")
    labels, starts = np.unique(given[order], return_index=True)
    return labels, order, starts

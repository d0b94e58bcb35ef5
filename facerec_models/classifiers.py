"""Who an embedding looks like: scikit-learn estimators over unit-length embeddings."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from facerec_models.types import FloatArray


class PrototypeClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Similarity to each person's mean embedding.

    Enrolling a person touches nobody else, and one picture is enough. In the study behind the default it ranked people better
    than their nearest single picture, support vector machines not excepted.

    Attributes
    ----------
    classes_ : (N,) str
        Person ids in ascending order.
    prototypes_ : (N, D) float32
        Unit length.
    """

    def fit(self, x: FloatArray, y: npt.ArrayLike) -> Self:
        """Learn the mean of each person's embeddings.

        Parameters
        ----------
        x : (M, D) float32
        y : (M,) str
        """
        self.classes_, index = np.unique(np.asarray(y), return_inverse=True)
        sums = np.zeros((len(self.classes_), x.shape[1]), np.float64)
        np.add.at(sums, index, x)
        self.prototypes_ = normalize(sums)
        return self

    def decision_function(self, x: FloatArray) -> FloatArray:
        """Return (M, N) similarities of (M, D) embeddings to everyone."""
        check_is_fitted(self)
        return np.asarray(x @ self.prototypes_.T, np.float32)

    def predict(self, x: FloatArray) -> npt.NDArray[np.str_]:
        """Return the nearest person of each embedding, however far."""
        return np.asarray(self.classes_[self.decision_function(x).argmax(axis=1)])


def normalize(vectors: npt.NDArray[np.floating]) -> FloatArray:
    """Bring rows to unit length; rows of zeros stay."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), np.float32)

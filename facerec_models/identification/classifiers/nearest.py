"""The nearest enrolled face, as a margin over the nearest face of anybody else."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from facerec_models.identification.classifiers.base import Arrays, FaceClassifier
from facerec_models.identification.classifiers.one_against_rest import TrainingFaces
from facerec_models.types import FloatArray

# Similarities at a time: 64 MiB.
_CHUNK = 2**24


class NearestFaceClassifier(FaceClassifier):
    """One-nearest-neighbour classification of each person against the rest.

    The score is the similarity to the person's nearest face minus that to the nearest face of anybody else, strangers included:
    it is positive where the nearest neighbour votes for the person, and says by how much.

    Attributes
    ----------
    faces_ : (M, D) float32
        Person by person.
    starts_ : (N,) int
        Where each person's faces begin.
    strangers_ : (S, D) float32
    """

    name = "knn"

    def fit(self, x: FloatArray, y: npt.ArrayLike, strangers: FloatArray | None = None) -> Self:
        """Remember all faces."""
        faces = TrainingFaces.of(x, y, strangers)
        self.classes_, self.faces_ = faces.people, faces.faces
        self.starts_, self.strangers_ = faces.starts[:-1], faces.strangers
        return self

    def decision_function(self, x: FloatArray) -> FloatArray:
        """Return (M, N) margins of everyone's nearest face over the nearest of all others, in cosine."""
        check_is_fitted(self)
        step = max(1, _CHUNK // len(self.faces_))
        parts = [self._margins(x[start : start + step]) for start in range(0, len(x), step)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.classes_)), np.float32)

    def _margins(self, x: FloatArray) -> FloatArray:
        own = np.maximum.reduceat(x @ self.faces_.T, self.starts_, axis=1)
        strange = (x @ self.strangers_.T).max(axis=1, initial=-1.0)
        best = own.argmax(axis=1)
        rows = np.arange(len(x))
        highest = own[rows, best]
        without_best = own.copy()
        without_best[rows, best] = -1.0
        others = np.maximum(highest, strange)[:, None].repeat(own.shape[1], axis=1)
        others[rows, best] = np.maximum(without_best.max(axis=1), strange)
        return np.asarray(own - others, np.float32)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return people, faces and strangers."""
        return {
            "classes": self.classes_,
            "faces": self.faces_,
            "starts": self.starts_,
            "strangers": self.strangers_,
        }

    def from_arrays(self, arrays: Arrays) -> Self:
        """Take people, faces and strangers as learned."""
        self.classes_, self.faces_ = arrays["classes"], arrays["faces"]
        self.starts_, self.strangers_ = arrays["starts"], arrays["strangers"]
        return self

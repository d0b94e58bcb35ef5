"""Support vector machines and logistic regression, one plane per person."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from facerec_models.identification.classifiers.base import Arrays
from facerec_models.identification.classifiers.one_against_rest import OneAgainstRest, TrainingFaces, stacked
from facerec_models.types import FloatArray

# Only who learns needs them, and they take long to import.
if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC


class _LinearClassifier(OneAgainstRest):
    """Side and distance of a plane for each person.

    Parameters
    ----------
    penalty : float
        Of a training face on the wrong side, relative to the plane's smoothness (the usual *C*). Of faces of both kinds
        together: the person's few weigh as much as the others' many.

    Attributes
    ----------
    planes_ : (N, D) float32
    offsets_ : (N,) float32
    """

    def __init__(self, *, penalty: float = 1.0) -> None:
        self.penalty = penalty

    @abstractmethod
    def _binary_classifier(self) -> Any:
        """Return a linear scikit-learn classifier."""

    def fit_one(self, faces: TrainingFaces, person: int) -> Arrays:
        """Learn the plane between a person and the rest."""
        fitted = self._binary_classifier().fit(*faces.binary(person))
        plane = fitted.coef_[0] * faces.scale
        return {"planes": plane, "offsets": fitted.intercept_[0] - plane @ faces.centre}

    def assemble(self, people: npt.NDArray[np.str_], learned: Sequence[Arrays]) -> Self:
        """Stack the planes."""
        self.classes_ = people
        self.planes_ = stacked(learned, "planes").astype(np.float32)
        self.offsets_ = stacked(learned, "offsets").astype(np.float32)
        return self

    def decision_function(self, x: FloatArray) -> FloatArray:
        """Return (M, N) signed distances of (M, D) embeddings from everyone's plane, in the unit of the classifier."""
        check_is_fitted(self)
        return np.asarray(x @ self.planes_.T + self.offsets_, np.float32)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return people, planes and offsets."""
        return {"classes": self.classes_, "planes": self.planes_, "offsets": self.offsets_}

    def from_arrays(self, arrays: Arrays) -> Self:
        """Take people, planes and offsets as learned."""
        self.classes_, self.planes_, self.offsets_ = arrays["classes"], arrays["planes"], arrays["offsets"]
        return self


class SvmClassifier(_LinearClassifier):
    """A linear support vector machine per person; a score is the margin, 1 at the support vectors."""

    name = "svm"

    def _binary_classifier(self) -> SVC:
        from sklearn.svm import SVC

        return SVC(kernel="linear", C=self.penalty, class_weight="balanced")


class SoftmaxClassifier(_LinearClassifier):
    """Logistic regression per person, the softmax of two classes; a score is the log odds.

    The predecessor's had all people in one softmax, where adding one changes everybody's probability.
    """

    name = "softmax"

    def _binary_classifier(self) -> LogisticRegression:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=self.penalty, class_weight="balanced", max_iter=1000)

"""The lower of two scores: a learned classifier's, and the similarity to each person's mean."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from facerec_models.identification.classifiers.base import Arrays, FaceClassifier
from facerec_models.identification.classifiers.prototype import PrototypeClassifier
from facerec_models.types import FloatArray

_OF_PROTOTYPES = "bound."
_LEAST_SPREAD = 1e-3


class BoundedClassifier(FaceClassifier):
    """A learned classifier whose scores are bounded by similarity.

    A learned classifier also learns how the cohort's pictures differ from the gallery's: they are photographs of one collection. A
    stranger in other pictures may then get a high score without being near to anybody, and no limit that the cohort sets is high
    enough: of twelve such strangers an `svm` for 50 people named two at a limit of 1 %, of 150 others two. Similarity learns nothing of
    the kind. So a score is the lower of the learned score and the prototypes' score. The latter is scaled so that the highest scores
    of strangers have the same mean and deviation in both. That also finds more people.

    Parameters
    ----------
    learned : FaceClassifier
        Has learned its people.
    prototypes : PrototypeClassifier
        Of the same people.
    rise, offset : float
        A prototype's score times `rise` plus `offset` is a bound.
    """

    def __init__(
        self, learned: FaceClassifier, prototypes: PrototypeClassifier, *, rise: float = 1.0, offset: float = 0.0
    ) -> None:
        self.learned = learned
        self.prototypes = prototypes
        self.rise = rise
        self.offset = offset
        self.name = learned.name

    @classmethod
    def of(cls, learned: FaceClassifier, prototypes: PrototypeClassifier, strangers: FloatArray) -> BoundedClassifier:
        """Return a bounded classifier, scaled with strangers, (S, D), that `learned` has not learned from."""
        margins = learned.decision_function(strangers).max(axis=1).astype(np.float64)
        nearness = prototypes.decision_function(strangers).max(axis=1).astype(np.float64)
        rise = max(float(margins.std()), _LEAST_SPREAD) / max(float(nearness.std()), _LEAST_SPREAD)
        return cls(learned, prototypes, rise=rise, offset=float(margins.mean() - rise * nearness.mean()))._as_learned()

    def in_same_unit(self, learned: FaceClassifier, prototypes: PrototypeClassifier) -> BoundedClassifier:
        """Return a classifier that learned from other pictures, bounded at the same scale."""
        return BoundedClassifier(learned, prototypes, rise=self.rise, offset=self.offset)._as_learned()

    def fit(self, x: FloatArray, y: npt.ArrayLike, strangers: FloatArray | None = None) -> Self:
        """Let both learn; the bound stays."""
        self.learned.fit(x, y, strangers)
        self.prototypes.fit(x, y, strangers)
        return self._as_learned()

    def decision_function(self, x: FloatArray) -> FloatArray:
        """Return (M, N) scores of (M, D) embeddings for everyone, on the scale of the learned classifier."""
        bound = self.rise * self.prototypes.decision_function(x) + self.offset
        return np.asarray(np.minimum(self.learned.decision_function(x), bound), np.float32)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of the learned classifier: the bound is learned too."""
        return dict(self.learned.get_params(deep))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what both learned, and the bound."""
        return {
            **self.learned.to_arrays(),
            **{f"{_OF_PROTOTYPES}{name}": array for name, array in self.prototypes.to_arrays().items()},
            f"{_OF_PROTOTYPES}unit": np.array([self.rise, self.offset]),
        }

    def from_arrays(self, arrays: Arrays) -> Self:
        """Take what both learned, and the bound."""
        of_prototypes = {
            name.removeprefix(_OF_PROTOTYPES): array
            for name, array in arrays.items()
            if name.startswith(_OF_PROTOTYPES)
        }
        self.rise, self.offset = of_prototypes.pop("unit").tolist()
        self.prototypes.from_arrays(of_prototypes)
        self.learned.from_arrays({name: array for name, array in arrays.items() if not name.startswith(_OF_PROTOTYPES)})
        return self._as_learned()

    def _as_learned(self) -> Self:
        self.classes_ = self.learned.classes_
        return self


def is_bounded(arrays: Arrays) -> bool:
    """Whether these arrays are a bounded classifier's."""
    return f"{_OF_PROTOTYPES}unit" in arrays

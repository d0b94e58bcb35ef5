"""One binary classifier per person, as the predecessor had: their faces against everybody else's."""

from __future__ import annotations

import zlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from facerec_models.errors import GalleryError
from facerec_models.identification.classifiers.base import Arrays, FaceClassifier, grouped
from facerec_models.types import FloatArray, IndexArray

# The nearest of the others decide; without a bound, 10,000 people would be compared with 100,000 faces each.
_MOST_OTHERS = 2000


@dataclass(frozen=True, slots=True, eq=False)
class TrainingFaces:
    """The faces that classifiers of all people learn from, made once and shared.

    Parameters
    ----------
    people : (N,) str
        In ascending order.
    faces : (M, D) float32
        Person by person.
    starts : (N + 1,) int
        Person k's faces are ``faces[starts[k]:starts[k + 1]]``.
    strangers : (S, D) float32
    centre : (D,) float32
    scale : float
        ``(faces - centre) * scale`` has unit mean square length: embeddings share most of their direction, and what is left
        would be tiny beside a classifier's penalties.
    """

    people: npt.NDArray[np.str_]
    faces: FloatArray
    starts: IndexArray
    strangers: FloatArray
    centre: FloatArray
    scale: float

    @classmethod
    def of(cls, x: FloatArray, y: npt.ArrayLike, strangers: FloatArray | None = None) -> TrainingFaces:
        """Sort faces by person.

        Raises
        ------
        GalleryError
            If there is one person and no stranger: nobody to tell them from.
        """
        people, order, starts = grouped(y)
        none = np.zeros((0, x.shape[1]), np.float32)
        others = none if strangers is None else strangers
        if len(people) == 1 and len(others) == 0:
            raise GalleryError(
                f"{str(people[0])!r} is the only person and there are no strangers to tell them from: "
                f"enrol a second person, or train the classifier 'prototype'"
            )
        everybody = np.concatenate([x[order], others]).astype(np.float64)
        centre = everybody.mean(axis=0)
        spread = float(np.sqrt(((everybody - centre) ** 2).sum(axis=1).mean()))
        return cls(
            people,
            x[order],
            np.append(starts, len(order)),
            others,
            centre.astype(np.float32),
            1 / max(spread, 1e-6),
        )

    def binary(self, person: int) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Return the question that person number `person` is: centred faces, theirs and others', and which are theirs."""
        first, last = self.starts[person], self.starts[person + 1]
        own = self.faces[first:last]
        others = np.concatenate([self.faces[:first], self.faces[last:], self.strangers])
        if len(others) > _MOST_OTHERS:
            similarity = others @ own.mean(axis=0)
            nearest = np.argpartition(-similarity, _MOST_OTHERS)[:_MOST_OTHERS]
            others = others[np.sort(nearest)]
        x = (np.concatenate([own, others]) - self.centre) * np.float32(self.scale)
        return x, np.arange(len(x)) < len(own)


class OneAgainstRest(FaceClassifier):
    """One binary classifier per person. Each learns by itself, so that they can learn in parallel: see `fit_one` and `assemble`."""

    def fit(self, x: FloatArray, y: npt.ArrayLike, strangers: FloatArray | None = None) -> Self:
        """Learn each person against all others and the strangers."""
        faces = TrainingFaces.of(x, y, strangers)
        return self.assemble(faces.people, [self.fit_one(faces, k) for k in range(len(faces.people))])

    @abstractmethod
    def fit_one(self, faces: TrainingFaces, person: int) -> Arrays:
        """Learn person number `person` against the rest; the others need not be learned."""

    @abstractmethod
    def assemble(self, people: npt.NDArray[np.str_], learned: Sequence[Arrays]) -> Self:
        """Take what `fit_one` gave for each of the people, in their order, as learned, and return self."""


def seed_of(seed: int, person_id: str) -> int:
    """Return a seed of a person's own: who else is enrolled, and in which order they learn, must not change it."""
    return int(np.random.SeedSequence([seed, zlib.crc32(person_id.encode())]).generate_state(1)[0])


def stacked(learned: Sequence[Arrays], name: str) -> npt.NDArray[Any]:
    """Return one array of all people's."""
    return np.stack([one[name] for one in learned])

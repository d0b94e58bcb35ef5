"""Corrections of tracks as a model uses them: confirmed names, and faces that are not a person whom they resemble."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from facerec_models.types import FloatArray

# A person of whom one track is all that is known is no more like it than it is like itself, but for the sums of a hundred products.
_ROUNDING = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class Corrections:
    """Confirmed tracks and negative examples.

    Parameters
    ----------
    confirmed : mapping of (analysis_id, track_id) to person_id
        Whom each confirmed track shows.
    denied_people : (R,) str
        For each negative example, who it is not.
    denied : (R, D) float32
        Mean embeddings of the tracks that are not those people.
    no_images : set of (analysis_id, track_id)
        Tracks that are not the same stranger as another face of their frame, however alike: each is a stranger of its own.
    """

    confirmed: Mapping[tuple[str, int], str] = field(default_factory=dict)
    denied_people: npt.NDArray[np.str_] = field(default_factory=lambda: np.zeros(0, np.str_))
    denied: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    no_images: Set[tuple[str, int]] = frozenset()
    _confirmed: Mapping[str, dict[int, str]] = field(init=False, repr=False)
    _no_images: Mapping[str, set[int]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        confirmed: dict[str, dict[int, str]] = defaultdict(dict)
        no_images: dict[str, set[int]] = defaultdict(set)
        for (analysis_id, track_id), person_id in self.confirmed.items():
            confirmed[analysis_id][track_id] = person_id
        for analysis_id, track_id in self.no_images:
            no_images[analysis_id].add(track_id)
        object.__setattr__(self, "_confirmed", dict(confirmed))
        object.__setattr__(self, "_no_images", dict(no_images))
        if len(self.denied_people) != len(self.denied):
            raise ValueError(f"{len(self.denied)} negative examples are of {len(self.denied_people)} people")

    def confirmed_in(self, analysis_id: str) -> dict[int, str]:
        """Return the confirmed tracks of one analysis, by track id."""
        return self._confirmed.get(analysis_id, {})

    def no_images_in(self, analysis_id: str) -> Set[int]:
        """Return the tracks of one analysis that are no image of another face."""
        return self._no_images.get(analysis_id, frozenset())

    def denies(
        self, embeddings: FloatArray, people: npt.NDArray[np.str_], similarity: FloatArray
    ) -> npt.NDArray[np.bool_]:
        """Return which candidates are ruled out: the face is at least as like a negative example as like the person.

        Parameters
        ----------
        embeddings : (N, D) float32
        people : (N, K) str
            Candidates of each face.
        similarity : (N, K) float32
            Cosine of each face and the candidate's mean.

        Returns
        -------
        (N, K) bool

        Examples
        --------
        >>> faces, people = np.float32([[1, 0], [0.8, 0.6]]), np.array([["Ann"], ["Ann"]])
        >>> corrections = Corrections(denied_people=np.array(["Ann"]), denied=faces[:1])
        >>> corrections.denies(faces, people, similarity=np.float32([[0.9], [0.9]])).tolist()
        [[True], [False]]
        """
        ruled_out = np.zeros(people.shape, bool)
        for person in sorted(set(self.denied_people.tolist())):
            nearest = (embeddings @ self.denied[self.denied_people == person].T).max(axis=1)
            ruled_out |= (people == person) & (nearest[:, None] >= similarity - _ROUNDING)
        return ruled_out

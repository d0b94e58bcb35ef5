"""Random forests, one per person, as flat arrays of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from facerec_models.identification.classifiers.base import Arrays
from facerec_models.identification.classifiers.one_against_rest import OneAgainstRest, TrainingFaces, seed_of
from facerec_models.types import DoubleArray, FloatArray

# Walks through trees at a time.
_CHUNK = 2**22
_NODES = ("features", "thresholds", "lefts", "rights", "votes")


class ForestClassifier(OneAgainstRest):
    """A random forest per person; a score is the log odds of the trees' votes.

    Parameters
    ----------
    trees : int
        Of each person.
    max_leaves : int
        Of each tree.
    seed : int

    Attributes
    ----------
    roots_ : (N, T) int
        The first node of each person's trees.
    features_, thresholds_ : (K,) int and float
        Of each node: walk left where the embedding's feature is at most the threshold.
    lefts_, rights_ : (K,) int
        The nodes below; a leaf is below itself.
    votes_ : (K,) float32
        The person's share of the training faces that came to a node, both kinds weighing the same.
    centre_, scale_ : (D,) float32 and () float32
        Embeddings are brought to ``(x - centre) * scale`` first.
    """

    name = "rf"

    def __init__(self, *, trees: int = 50, max_leaves: int = 100, seed: int = 0) -> None:
        self.trees = trees
        self.max_leaves = max_leaves
        self.seed = seed

    def fit_one(self, faces: TrainingFaces, person: int) -> Arrays:
        """Grow the trees that tell a person from the rest."""
        # Only who learns needs it, and it takes long to import.
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(
            self.trees,
            max_leaf_nodes=self.max_leaves,
            class_weight="balanced",
            # With one or two pictures of a person, half of all drawn samples would lack them; features are drawn anyway.
            bootstrap=False,
            random_state=seed_of(self.seed, str(faces.people[person])),
        ).fit(*faces.binary(person))
        trees = [tree.tree_ for tree in forest.estimators_]
        roots = np.cumsum([0, *(tree.node_count for tree in trees)])[:-1]
        itself = [np.arange(tree.node_count) for tree in trees]

        def below(children: str) -> npt.NDArray[np.int64]:
            nodes = [
                np.where(getattr(tree, children) < 0, me, getattr(tree, children))
                for tree, me in zip(trees, itself, strict=True)
            ]
            return np.concatenate([root + node for root, node in zip(roots, nodes, strict=True)])

        votes = np.concatenate([tree.value[:, 0, :] for tree in trees])
        return {
            "roots": roots,
            "features": np.maximum(np.concatenate([tree.feature for tree in trees]), 0),
            "thresholds": np.concatenate([tree.threshold for tree in trees]),
            "lefts": below("children_left"),
            "rights": below("children_right"),
            "votes": votes[:, 1] / votes.sum(axis=1),
            "centre": faces.centre,
            "scale": np.float32(faces.scale),
        }

    def assemble(self, people: npt.NDArray[np.str_], learned: Sequence[Arrays]) -> Self:
        """Put all trees into one array of nodes."""
        first = np.cumsum([0, *(len(one["votes"]) for one in learned)])[:-1]

        def moved(name: str) -> npt.NDArray[np.int32]:
            return np.concatenate([one[name] + at for one, at in zip(learned, first, strict=True)]).astype(np.int32)

        def joined(name: str) -> npt.NDArray[Any]:
            return np.concatenate([one[name] for one in learned])

        return self.from_arrays(
            {
                "classes": people,
                "roots": moved("roots").reshape(len(people), -1),
                "features": joined("features").astype(np.int32),
                "thresholds": joined("thresholds"),
                "lefts": moved("lefts"),
                "rights": moved("rights"),
                "votes": joined("votes").astype(np.float32),
                "centre": learned[0]["centre"],
                "scale": learned[0]["scale"],
            }
        )

    def decision_function(self, x: FloatArray) -> FloatArray:
        """Return (M, N) log odds of (M, D) embeddings for everyone; no vote at all counts as half of one."""
        check_is_fitted(self)
        centred = np.asarray((x - self.centre_) * self.scale_, np.float32)
        step = max(1, _CHUNK // self.roots_.size)
        parts = [self._votes(centred[start : start + step]) for start in range(0, len(x), step)]
        mean = np.concatenate(parts) if parts else np.zeros((0, len(self.classes_)))
        trees = self.roots_.shape[1]
        share = (mean * trees + 0.5) / (trees + 1)
        return np.asarray(np.log(share / (1 - share)), np.float32)

    def _votes(self, x: FloatArray) -> DoubleArray:
        at = np.tile(self.roots_.ravel(), (len(x), 1))
        rows = np.arange(len(x))[:, None]
        while True:
            left = x[rows, self.features_[at]] <= self.thresholds_[at]
            below = np.where(left, self.lefts_[at], self.rights_[at])
            if np.array_equal(below, at):
                break
            at = below
        return np.asarray(self.votes_[at].reshape(len(x), *self.roots_.shape).mean(axis=2, dtype=np.float64))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return people and nodes."""
        nodes = {name: getattr(self, f"{name}_") for name in _NODES}
        return {
            "classes": self.classes_,
            "roots": self.roots_,
            **nodes,
            "centre": self.centre_,
            "scale": self.scale_,
        }

    def from_arrays(self, arrays: Arrays) -> Self:
        """Take people and nodes as learned."""
        self.classes_, self.roots_ = arrays["classes"], arrays["roots"]
        self.features_, self.thresholds_ = arrays["features"], arrays["thresholds"]
        self.lefts_, self.rights_, self.votes_ = arrays["lefts"], arrays["rights"], arrays["votes"]
        self.centre_, self.scale_ = arrays["centre"], arrays["scale"]
        return self

"""Constraints between the faces of one frame: two faces are two people, unless they are one face twice.

That two faces of a frame are two people decides only between people who are equally likely. A face that by its own evidence, or by
its likeness, is the same one as a face beside it is never given another name: it is that face in a mirror, on a screen or in a
split screen. Of 57 photographs and their mirror images every pair is more alike than .964, 95 % are than .99; of reduced copies 90 %
are than .98; two photographs of one person are in 1 of 24 cases; of 3,424 pairs of people in group photographs none are than .964.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import scipy

from facerec_models.types import FloatArray, IndexArray

_LEAST_GAIN = 1e-6


def find_alike(
    embeddings: FloatArray, apart: Sequence[IndexArray], usable: npt.NDArray[np.bool_], min_similarity: float
) -> dict[int, dict[int, float]]:
    """Return which faces that share a frame are so alike that they may be one face twice.

    Parameters
    ----------
    embeddings : (N, D) float32
    apart : sequence of (K,) int
        The other faces that each face shares a frame with.
    usable : (N,) bool
        Faces good enough for their likeness to mean anything.
    min_similarity : float
        Cosine from which on two faces are alike.

    Returns
    -------
    dict of int to dict of int to float
        For each face with any: the faces of its frame that are alike, and their similarity.

    Examples
    --------
    >>> faces = np.float32([[1, 0], [1, 0], [0, 1]])
    >>> apart = [np.array([1, 2]), np.array([0, 2]), np.array([0, 1])]
    >>> find_alike(faces, apart, np.ones(3, bool), min_similarity=0.98)
    {0: {1: 1.0}, 1: {0: 1.0}}
    """
    found: dict[int, dict[int, float]] = {}
    for i in np.flatnonzero(usable).tolist():
        beside = apart[i][usable[apart[i]]]
        similarity = embeddings[beside] @ embeddings[i]
        pairs = {
            j: value for j, value in zip(beside.tolist(), similarity.tolist(), strict=True) if value >= min_similarity
        }
        if pairs:
            found[i] = pairs
    return found


def find_contradicted(
    given: Mapping[int, str],
    strength: Mapping[int, float],
    alike: Mapping[int, Mapping[int, float]],
    one_picture: float,
) -> dict[int, str]:
    """Return the named faces that are the same picture as a face whose name is surer, and another one.

    Parameters
    ----------
    given : mapping of int to str
        Whom each named face shows.
    strength : mapping of int to float
        How sure each of these names is; infinite for one that is confirmed.
    one_picture : float
        Cosine from which on two faces of one frame are the same picture.

    Returns
    -------
    dict of int to str
        For each of them, the surer name.

    Examples
    --------
    >>> alike = {0: {1: 0.99}, 1: {0: 0.99}}
    >>> find_contradicted({0: "Ann", 1: "Bob"}, {0: 0.9, 1: 0.8}, alike, one_picture=0.98)
    {1: 'Ann'}
    """
    refuted: dict[int, str] = {}
    for i in sorted(given, key=lambda i: (-strength[i], i)):
        if strength[i] == np.inf:
            continue
        stronger = [
            (similarity, -j)
            for j, similarity in alike.get(i, {}).items()
            if similarity >= one_picture and j in given and j not in refuted and (strength[j], -j) > (strength[i], -i)
        ]
        if stronger:
            refuted[i] = given[-max(stronger)[1]]
    return refuted


def find_repeated(
    unknown: Sequence[int], weight: npt.NDArray[np.floating], alike: Mapping[int, Mapping[int, float]]
) -> dict[int, float]:
    """Return the unknown faces that repeat a weightier unknown face of their frame, and how alike the two are.

    Examples
    --------
    >>> find_repeated([0, 1], np.array([5.0, 9.0]), {0: {1: 0.99}, 1: {0: 0.99}})
    {0: 0.99}
    """
    kept: set[int] = set()
    found: dict[int, float] = {}
    for i in sorted(unknown, key=lambda i: (-float(weight[i]), i)):
        similarity = max((value for j, value in alike.get(i, {}).items() if j in kept), default=None)
        if similarity is None:
            kept.add(i)
        else:
            found[i] = similarity
    return found


def assign_people(
    nearest: IndexArray, margin: npt.NDArray[np.floating], apart: Sequence[IndexArray]
) -> list[int | None]:
    """Choose which of its nearest people each face is, or none.

    Where two faces that are `apart` have the same nearest person, all faces that they are linked to are assigned together, so that the
    sum of the margins is greatest.

    Parameters
    ----------
    nearest : (N, K) int
        People, nearest first.
    margin : (N, K)
        By how much each passes the limit; negative: not allowed.
    apart : sequence of (K,) int
        The other faces that cannot be the same person as each face.

    Examples
    --------
    Both faces are nearest to person 0; the second is as good as person 1:

    >>> nearest, margin = np.array([[0, 1], [0, 1]]), np.array([[0.3, -1.0], [0.2, 0.1]])
    >>> assign_people(nearest, margin, apart=[np.array([1]), np.array([0])])
    [0, 1]
    """
    named = margin[:, 0] >= 0
    chosen: list[int | None] = [0 if is_named else None for is_named in named.tolist()]
    others = {i: apart[i][named[apart[i]]] for i in np.flatnonzero(named).tolist()}
    rivals = _rivals(nearest, others)
    if not rivals:
        return chosen
    rows = np.concatenate([np.full(len(found), i) for i, found in others.items()])
    columns = np.concatenate(list(others.values()))
    links = scipy.sparse.csr_matrix((np.ones(len(rows), bool), (rows, columns)), shape=(len(nearest), len(nearest)))
    _, group = scipy.sparse.csgraph.connected_components(links, directed=False)
    for label in np.unique(group[rivals]):
        members = np.flatnonzero((group == label) & named)
        for i, k in zip(members.tolist(), _best_assignment(members, nearest, margin, apart), strict=True):
            chosen[i] = k
    return chosen


def are_contended(nearest: IndexArray, margin: npt.NDArray[np.floating], apart: Sequence[IndexArray]) -> bool:
    """Return whether faces that are `apart` have the same nearest person: by how much each passes the limit then decides."""
    named = margin[:, 0] >= 0
    return bool(_rivals(nearest, {i: apart[i][named[apart[i]]] for i in np.flatnonzero(named).tolist()}))


def _rivals(nearest: IndexArray, others: Mapping[int, IndexArray]) -> list[int]:
    return [i for i, found in others.items() if (nearest[found, 0] == nearest[i, 0]).any()]


def _best_assignment(
    members: IndexArray, nearest: IndexArray, margin: npt.NDArray[np.floating], apart: Sequence[IndexArray]
) -> list[int | None]:
    """Solve the assignment of a few faces as an integer programme: the greatest sum of margins."""
    pairs = [(i, k) for i in members.tolist() for k in range(nearest.shape[1]) if margin[i, k] >= 0]
    at: dict[int, list[int]] = {}
    for n, (i, _) in enumerate(pairs):
        at.setdefault(i, []).append(n)
    # Of the pairs in one rule, one at most: those of a face, and one person for two faces.
    rules = list(at.values())
    rules += [
        [a, b]
        for i, own in at.items()
        for j in apart[i].tolist()
        if j < i
        for a in own
        for b in at.get(j, [])
        if nearest[pairs[a]] == nearest[pairs[b]]
    ]
    rows = np.repeat(np.arange(len(rules)), [len(rule) for rule in rules])
    columns = np.concatenate([np.array(rule) for rule in rules])
    limits = scipy.sparse.csr_matrix((np.ones(len(rows)), (rows, columns)))
    # A face at its very limit counts for a little, so that it is not left out for nothing.
    gain = np.array([margin[pair] + _LEAST_GAIN for pair in pairs])
    # Each pair is in the rule of its face, so none is taken more than once.
    solved = scipy.optimize.milp(
        -gain, integrality=np.ones(len(pairs)), constraints=scipy.optimize.LinearConstraint(limits, ub=1)
    )
    taken = {i: k for (i, k), value in zip(pairs, np.round(solved.x), strict=True) if value}
    return [taken.get(i) for i in members.tolist()]

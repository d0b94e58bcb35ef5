"""Who the unknown faces of an archive are to each other.

Complete linkage over the mean embeddings of tracks, with cannot-links: every two tracks of a group are alike, and none of them
share a frame. Single or average linkage lets chains of look-alikes grow over an archive; complete linkage splits rather than
merges: a person can join two clusters with one click, but a wrong merge hides one of two people.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy

from facerec_models.identification.track_columns import TrackColumns
from facerec_models.types import Decision, DoubleArray, FloatArray, IndexArray, Match
from facerec_models.vectors import PairScale

# More than any cosine distance: linked by no threshold.
_FAR = 10.0
# Evidence, in nats, that any two tracks of a group must have to be one person; an archive has many pairs. On clips whose people were
# taken out of the gallery, 5 let brothers and colleagues merge, 10 left half of the people in pieces, 6.5 to 8 did neither.
_LEAST_LOG_ODDS = 7.5


def stranger_similarity(pair: PairScale) -> float:
    """Return the cosine that two tracks of one stranger have at least."""
    return pair.midpoint + _LEAST_LOG_ODDS / pair.slope


def join_tracks(
    similarity: FloatArray, near: Sequence[tuple[int, int, float]], groups: int, min_similarity: float
) -> IndexArray:
    """Let tracks join groups that are known, or form new ones: complete linkage, in each connected neighbourhood by itself.

    Parameters
    ----------
    similarity : (N, N) float32
        Cosines; -1 where two tracks cannot be the same person.
    near : sequence of (int, int, float)
        For a track and a known group whose members are all alike enough: the least of these similarities.
    groups : int
        How many groups are known; they stay apart from each other.
    min_similarity : float
        Cosine that every two tracks of a group have at least.

    Returns
    -------
    (N,) int
        Group of each track: below `groups` the known ones, then new ones numbered by their first members.

    Examples
    --------
    >>> similarity = np.float32([[1, 0.95, 0.2], [0.95, 1, 0.2], [0.2, 0.2, 1]])
    >>> join_tracks(similarity, [(2, 0, 0.97)], groups=1, min_similarity=0.9).tolist()
    [1, 1, 0]
    """
    count = len(similarity)
    rows, columns = np.nonzero(np.triu(similarity >= min_similarity, 1))
    to_group = {(row, group): least for row, group, least in near}
    reached = sorted({group for _, group in to_group})
    unit = {group: count + i for i, group in enumerate(reached)}
    ends = [unit[group] for _, group in to_group]
    edges = (np.append(rows, [row for row, _ in to_group]).astype(np.intp), np.append(columns, ends).astype(np.intp))
    size = count + len(reached)
    links = scipy.sparse.csr_matrix((np.ones(len(edges[0]), bool), edges), shape=(size, size))
    _, component = scipy.sparse.csgraph.connected_components(links, directed=False)
    order = np.argsort(component, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(component[order])) + 1)
    found = np.empty(count, np.intp)
    members_of: dict[int, list[int]] = {}
    for row, group in to_group:
        members_of.setdefault(group, []).append(row)
    unused = 0
    for part in parts:
        free, known = part[part < count], [reached[i - count] for i in part[part >= count].tolist()]
        units = np.full((len(part), len(part)), _FAR)
        units[: len(free), : len(free)] = np.clip(1 - similarity[np.ix_(free, free)].astype(np.float64), 0, None)
        place = {row: i for i, row in enumerate(free.tolist())}
        for k, group in enumerate(known, len(free)):
            for row in members_of[group]:
                units[place[row], k] = units[k, place[row]] = max(0.0, 1 - to_group[row, group])
        np.fill_diagonal(units, 0)
        labels = _complete_linkage(units, 1 - min_similarity)
        names = {int(label): group for label, group in zip(labels[len(free) :], known, strict=True)}
        for row, label in zip(free.tolist(), labels[: len(free)].tolist(), strict=True):
            if label not in names:
                names[label] = groups + unused
                unused += 1
            found[row] = names[label]
    return _numbered_by_first(found, groups)


def group_unknown(columns: TrackColumns, matches: Sequence[Match], pair: PairScale) -> dict[int, int]:
    """Return which stranger each unknown track of one video shows, by row, numbered from 1 in the order in which they come."""
    seen = columns.is_embedded.tolist()
    rows = [i for i, match in enumerate(matches) if match.decision is Decision.UNKNOWN and seen[i]]
    place = {row: i for i, row in enumerate(rows)}
    similarity = columns.vectors[rows] @ columns.vectors[rows].T
    for a, b in columns.together.tolist():
        if a in place and b in place:
            similarity[place[a], place[b]] = similarity[place[b], place[a]] = -1.0
    groups = join_tracks(similarity, [], 0, stranger_similarity(pair))
    return {row: group + 1 for row, group in zip(rows, groups.tolist(), strict=True)}


def _numbered_by_first(found: IndexArray, groups: int) -> IndexArray:
    """Return the same groups, new ones numbered by their first members."""
    new: dict[int, int] = {}
    return np.array(
        [one if one < groups else new.setdefault(one, groups + len(new)) for one in found.tolist()], np.intp
    )


def _complete_linkage(distance: DoubleArray, limit: float) -> IndexArray:
    # Below the limit, and not at it.
    if len(distance) < 2 or distance.max() < limit:  # mostly: SciPy takes a hundred times as long
        return np.zeros(len(distance), np.intp)
    # SciPy's own: scikit-learn checks its parameters for longer than it clusters a handful.
    tree = scipy.cluster.hierarchy.linkage(scipy.spatial.distance.squareform(distance, checks=False), method="complete")
    return np.asarray(scipy.cluster.hierarchy.fcluster(tree, np.nextafter(limit, 0), criterion="distance"), np.intp)

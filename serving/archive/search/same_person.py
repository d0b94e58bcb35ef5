"""Strangers who may be another one, or an enrolled person: what a reviewer is asked to decide."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from facerec_models.types import FloatArray
from facerec_models.vectors import normalize
from serving.archive.handle import Archive
from serving.archive.naming.aliases import follow_all
from serving.archive.naming.current import read_current
from serving.archive.naming.edit_strangers import find_together
from serving.archive.search.likely import Likely, denied_people, likely_people, mean_of, tracks_of_strangers
from serving.archive.search.strangers import Rankings, StrangerSummary, rank_strangers
from serving.store.naming_rows import AppearanceQuery, StrangerTrack

# Strangers who are compared with all others for one page.
_AT_ONCE = 16
# Of each: those who are most alike.
_NEAREST = 3
# Evidence, in nats, that the means of two strangers are one person: less than the 7.5 by which the grouping makes them one.
_LEAST_LOG_ODDS = 5.0
# From here on an enrolled person is asked about.
_LEAST_CHANCE = 0.5
# Appearances of each that are shown.
_SEEN = 6


@dataclass(frozen=True, slots=True)
class Pair:
    """A stranger, and who they may be: another stranger or an enrolled person.

    Parameters
    ----------
    similarity : float
        Of the means of their faces.
    """

    stranger: StrangerSummary
    other: StrangerSummary | None
    person: Likely | None
    similarity: float


@dataclass(frozen=True, slots=True)
class Pairs:
    """Some pairs; `next_cursor` leads to the rest, and is None at the end."""

    pairs: list[Pair]
    next_cursor: str | None


def find_same_people(
    archive: Archive, project: str, *, cursor: str | None = None, rankings: Rankings | None = None
) -> Pairs:
    """Return strangers who may be another one, or an enrolled person, those who are seen longest first.

    Some strangers at a time are compared with the means of all others. Left out are pairs that a user has told apart, those who are
    in view together, and whoever is hidden.

    Raises
    ------
    InputError
        If the cursor is none.
    """
    page = rank_strangers(archive, project, limit=_AT_ONCE, most=_SEEN, cursor=cursor, rankings=rankings)
    if not page.strangers:
        return Pairs([], None)
    ids = [one.stranger_id for one in page.strangers]
    tracks = tracks_of_strangers(archive.store, project, ids)
    asked = [one for one in page.strangers if tracks[one.stranger_id]]
    if not asked:
        return Pairs([], page.next_cursor)
    vectors = np.stack([mean_of(tracks[one.stranger_id]) for one in asked])
    alike = _most_alike(archive, project, [one.stranger_id for one in asked], vectors)
    wanted = tuple(sorted({other for found in alike.values() for other, _ in found}))
    others = {}
    if wanted:
        shown = rank_strangers(archive, project, AppearanceQuery(owners=(wanted,)), most=_SEEN)
        others = {one.stranger_id: one for one in shown.strangers}
    people = _people(archive, project, asked, vectors, tracks)
    found: list[Pair] = []
    for one in asked:
        if likely := people.get(one.stranger_id):
            found.append(Pair(one, None, likely, likely.similarity))
        for other_id, similarity in alike[one.stranger_id]:
            other = others.get(other_id)
            # Of two who are alike the one who is seen longer is asked about.
            if other is not None and _place(one) < _place(other) and _may_be_one(archive, project, one, other, tracks):
                found.append(Pair(one, other, None, similarity))
    return Pairs(found, page.next_cursor)


def _place(one: StrangerSummary) -> tuple[float, int]:
    return -one.screen_time_s, one.number


def _most_alike(
    archive: Archive, project: str, ids: Sequence[str], vectors: FloatArray
) -> dict[str, list[tuple[str, float]]]:
    """Return for each stranger the others who are most like them, with their similarity, and like enough to be asked about."""
    store = archive.store
    blocks = store.list_stranger_sums(project)
    embedder = store.get_project(project).embedder
    if embedder is None or not blocks:
        return {who: [] for who in ids}
    pair = archive.pair_scale(embedder)
    least = pair.midpoint + _LEAST_LOG_ODDS / pair.slope
    known = [identifier for row in blocks for identifier in row.stranger_ids]
    sums = np.concatenate([row.sums for row in blocks], dtype=np.float32, casting="same_kind")
    similarity = vectors @ normalize(sums).T
    near = {
        who: [(known[i], float(row[i])) for i in np.flatnonzero(row >= least).tolist()]
        for who, row in zip(ids, similarity, strict=True)
    }
    means = follow_all(store, project, {other for found in near.values() for other, _ in found})
    alike: dict[str, list[tuple[str, float]]] = {}
    for who, found in near.items():
        best: dict[str, float] = defaultdict(lambda: -1.0)
        for other, value in found:
            shown_as = means[other].stranger_id
            if shown_as != who:
                best[shown_as] = max(best[shown_as], value)
        alike[who] = sorted(best.items(), key=lambda one: (-one[1], one[0]))[:_NEAREST]
    return alike


def _people(
    archive: Archive,
    project: str,
    asked: Sequence[StrangerSummary],
    vectors: FloatArray,
    tracks: Mapping[str, Sequence[StrangerTrack]],
) -> dict[str, Likely]:
    """Return for each stranger the enrolled person whom they may be, where there is one who is likely."""
    model = read_current(archive, project).model
    if model is None:
        return {}
    found = {}
    for one, vector in zip(asked, vectors, strict=True):
        without = denied_people(archive, project, tracks[one.stranger_id])
        for likely in likely_people(model, model.tracks, vector, without=without, count=1):
            if likely.probability >= _LEAST_CHANCE:
                found[one.stranger_id] = likely
    return found


def _may_be_one(
    archive: Archive,
    project: str,
    one: StrangerSummary,
    other: StrangerSummary,
    tracks: Mapping[str, Sequence[StrangerTrack]],
) -> bool:
    """Whether two strangers were never told apart, and are never in view at once."""
    own, theirs = (one.stranger_id, *one.aliases), (other.stranger_id, *other.aliases)
    others = (
        tracks.get(other.stranger_id)
        or tracks_of_strangers(archive.store, project, [other.stranger_id])[other.stranger_id]
    )
    if denied_people(archive, project, tracks[one.stranger_id]) & {*theirs}:
        return False
    if denied_people(archive, project, others) & {*own}:
        return False
    return find_together(archive.store, project, own, theirs) is None

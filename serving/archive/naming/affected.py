"""Which tracks another model may name otherwise: exactly those that are named again after an edit, and no others.

Who a track is depends on the people whose scores pass the limit, and on the tracks of its frames. So one is named as before if, before
and after, everybody whose scores an edit changes stays below its `NamedTracks.floor`, if no score of it lies between the old and the
new limit, if it was not corrected, and if all this holds for those that it shares frames with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from facerec_models.identification.corrections import Corrections
from facerec_models.identification.naming_model import NamingModel
from facerec_models.identification.track_columns import TrackColumns
from facerec_models.types import FloatArray, IndexArray
from serving.store.contract import Store
from serving.store.naming_rows import NamedTracks

if TYPE_CHECKING:
    from facerec_models.identification.classifiers import PrototypeClassifier

# Rows of an analysis' tracks, ascending; None for all of them.
Rows = IndexArray | None

# Above so many people whose scores change, comparing everything anew costs no more.
_MOST_PEOPLE = 64
# How far below the limit scores are kept, in deviations of enrolled people's: so far a limit may fall until all is named anew.
_MARGIN = 0.5
# Analyses whose columns are in memory at once.
_BATCH = 256
# Differences that are rounding, and change nobody's name: the sums of a hundred products.
_ROUNDING = 1e-5


def floor_of(model: NamingModel | None, max_false_names: float) -> float:
    """Return from which score on a track's candidates are kept; see `NamedTracks`."""
    if model is None:
        return float("inf")
    return model.tracks.limit(max_false_names) - _MARGIN * model.tracks.genuine.deviation


def affected(
    store: Store,
    project: str,
    named: Mapping[str, NamedTracks],
    before: NamingModel | None,
    after: NamingModel | None,
) -> dict[str, Rows]:
    """Return the tracks, of analyses that are named by `before`, that `after` may name otherwise.

    Returns
    -------
    dict of str to (N,) int or None
        By analysis: rows, ascending; None for all of them.
    """
    if before is after:
        return {}
    if before is None or after is None or (changed := _Changed.of(before, after)) is None:
        return dict.fromkeys(named)
    limits = {row.max_false_names for row in named.values()}
    old, new = ({limit: model.tracks.limit(limit) for limit in limits} for model in (before, after))
    corrected = _corrected(before.corrections, after.corrections)
    found: dict[str, Rows] = {}
    for analysis_id, row in named.items():
        low, high = sorted((old[row.max_false_names], new[row.max_false_names]))
        if low < row.floor or (row.is_contended and low < high):
            found[analysis_id] = None
            continue
        between = (row.scores >= low) & (row.scores < high)
        if between.any():
            found[analysis_id] = np.flatnonzero(between.reshape(len(row), -1).any(axis=1))
        if not changed.people.isdisjoint(row.names):
            places = [i for i, name in enumerate(row.names) if name in changed.people]
            found[analysis_id] = _union(
                found.get(analysis_id), np.flatnonzero(np.isin(row.owners, places) | np.isin(row.besides, places))
            )
    if changed.people or corrected:
        for analysis_id, columns in _columns(store, project, named):
            if analysis_id in found and found[analysis_id] is None:
                continue
            is_near = changed.reach(columns.vectors, named[analysis_id].floor - _ROUNDING)
            if analysis_id in corrected:
                is_near |= np.isin(columns.track_ids, list(corrected[analysis_id]))
            near = np.flatnonzero(is_near)
            if len(near):
                found[analysis_id] = _union(found.get(analysis_id), near)
    return found


def _union(rows: Rows, more: IndexArray) -> IndexArray:
    return more if rows is None else np.union1d(rows, more)


@dataclass(frozen=True, slots=True, eq=False)
class _Changed:
    """The people whose scores two models give otherwise, and what gives those scores, before and after."""

    people: set[str]
    classifier: PrototypeClassifier

    @classmethod
    def of(cls, before: NamingModel, after: NamingModel) -> _Changed | None:
        """Return them; None where everybody's scores may be others."""
        # The models that are compared brought it along; who only lists affected tracks does without.
        from facerec_models.identification.classifiers import PrototypeClassifier

        a, b = before.classifier, after.classifier
        if not (isinstance(a, PrototypeClassifier) and isinstance(b, PrototypeClassifier)):
            return None
        if (
            before.gallery.embedder != after.gallery.embedder
            or before.tracks.genuine.deviation != after.tracks.genuine.deviation
            or not np.array_equal(a.strangers_, b.strangers_)
        ):
            return None
        old, new = ({person: i for i, person in enumerate(one.classes_.tolist())} for one in (a, b))
        both = sorted(old.keys() & new.keys())
        i, j = np.array([old[one] for one in both], np.intp), np.array([new[one] for one in both], np.intp)
        same = (a.prototypes_[i] == b.prototypes_[j]).all(axis=1) & (a.attraction_[i] == b.attraction_[j])
        moved = {one for one, is_same in zip(both, same.tolist(), strict=True) if not is_same}
        people = (old.keys() ^ new.keys()) | moved | _denied_otherwise(before.corrections, after.corrections)
        if len(people) > _MOST_PEOPLE:
            return None
        rows = [
            (one, places[person])
            for one, places in ((a, old), (b, new))
            for person in sorted(people)
            if person in places
        ]
        arrays = {
            "classes": np.array([one.classes_[at] for one, at in rows], np.str_),
            "prototypes": np.array([one.prototypes_[at] for one, at in rows], np.float32).reshape(
                len(rows), a.prototypes_.shape[1]
            ),
            "attraction": np.array([one.attraction_[at] for one, at in rows], np.float32),
            "strangers": a.strangers_,
        }
        return cls(people, PrototypeClassifier().from_arrays(arrays))

    def reach(self, vectors: FloatArray, floor: float) -> npt.NDArray[np.bool_]:
        """Return for which tracks any of them scores so much, before or after.

        What a track has in common with strangers only lowers its scores: it is worked out where that matters.
        """
        # A video without faces has vectors of no length.
        if not len(self.classifier.classes_) or not len(vectors):
            return np.zeros(len(vectors), np.bool_)
        best = (self.classifier.similarity(vectors) - self.classifier.attraction_).max(axis=1)
        reached = np.asarray(best >= floor, np.bool_)
        reached[reached] = best[reached] - self.classifier.commonness(vectors[reached]) >= floor
        return reached


def _corrected(before: Corrections, after: Corrections) -> dict[str, set[int]]:
    """Return the tracks of which corrections were added or removed, by analysis."""
    found: dict[str, set[int]] = defaultdict(set)
    confirmed = {key for key, _ in before.confirmed.items() ^ after.confirmed.items()}
    for analysis_id, track_id in confirmed | (before.no_images ^ after.no_images):
        found[analysis_id].add(track_id)
    return found


def _denied_otherwise(before: Corrections, after: Corrections) -> set[str]:
    """Return the people of whom other faces are negative examples."""
    old, new = (
        {(person, vector.tobytes()) for person, vector in zip(one.denied_people.tolist(), one.denied, strict=True)}
        for one in (before, after)
    )
    return {person for person, _ in old ^ new}


def _columns(store: Store, project: str, wanted: Mapping[str, NamedTracks]) -> Iterator[tuple[str, TrackColumns]]:
    since, is_last = 0, False
    while not is_last:
        part = store.list_columns(project, since=since, limit=_BATCH)
        is_last = len(part) < _BATCH
        since = since if is_last else part[-1].position
        for one in part:
            if one.analysis_id in wanted:
                yield one.analysis_id, one.columns

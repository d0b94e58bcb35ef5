"""Strangers: who the unknown faces of a project are, under ids that last.

A track that nobody enrolled explains belongs to a stranger. New tracks join the strangers that are known, or form new ones; see
`serving.archive.naming.identify` for all of them anew. What that costs depends on the tracks that are new, and on the strangers that
they resemble: each is told by the sum of its tracks' vectors, and only those of strangers that may be meant are read.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from facerec_models.build_result import stranger_id
from facerec_models.identification.clustering import join_tracks, stranger_similarity
from facerec_models.identification.track_columns import TrackColumns
from facerec_models.types import DoubleArray, FloatArray
from facerec_models.vectors import PairScale
from serving.archive.naming.aliases import aliases, follow_all, hide_as_before, merge_groups
from serving.store.contract import Store
from serving.store.naming_rows import Correction, CorrectionKind, Stranger

# Tracks that are compared with each other at once.
_MOST_AT_ONCE = 4000
# Tracks of a stranger that a new one must be like, beside the mean of all: with every one of thousands, one odd track would keep
# all others out, and what a new track costs would grow with the archive.
_MOST_COMPARED = 16
# What rounding may take off the mean of similarities.
_SLACK = 1e-3

TrackKey = tuple[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class UnknownTracks:
    """The tracks of one analysis that show nobody enrolled.

    Parameters
    ----------
    rows : sequence of int
        Which of `columns` they are.
    held : mapping of int to str
        Strangers whom some of them show already, and go on showing, by row.
    """

    analysis_id: str
    video_id: str
    columns: TrackColumns
    rows: Sequence[int]
    held: Mapping[int, str] = field(default_factory=dict)

    def key(self, row: int) -> TrackKey:
        """Return analysis and track of a row."""
        return self.analysis_id, int(self.columns.track_ids[row])


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which stranger every unknown track shows, and what that changes; nothing of it is stored yet.

    Parameters
    ----------
    of_track : dict of (analysis_id, track_id) to str
    strangers : list of Stranger
        New ones, and those that were merged into another.
    """

    of_track: dict[TrackKey, str]
    strangers: list[Stranger]


@dataclass(slots=True, eq=False)
class _Group:
    """The tracks of one stranger: some of their vectors once they are loaded, the sum of all always."""

    stranger_id: str | None
    count: int
    total: DoubleArray
    members: list[FloatArray] = field(default_factory=list)
    is_loaded: bool = False
    former: dict[str, int] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    first: tuple[UnknownTracks, int] | None = None

    def add(self, vector: FloatArray) -> None:
        # One that lost all its tracks may have had those of another embedder, whose vectors are of another length.
        self.total = self.total + vector if self.count else vector.astype(np.float64)
        self.count += 1
        if len(self.members) < _MOST_COMPARED:
            self.members.append(vector)


Shown = Mapping[TrackKey, tuple[str, FloatArray]]


def settle(
    store: Store,
    project: str,
    pair: PairScale,
    unknown: Sequence[UnknownTracks],
    shown: Shown,
    corrections: Sequence[Correction],
) -> Grouping:
    """Give every unknown track of some analyses a stranger: one that is known, or a new one. Nothing is written.

    Parameters
    ----------
    shown : mapping of (analysis_id, track_id) to (str, (D,) float32)
        The strangers whom tracks show so far that are named again, and the tracks' vectors.
    corrections : sequence of Correction
        Those of these analyses.
    """
    groups = StrangerGroups(store, project, pair, shown)
    groups.add(unknown, corrections)
    return groups.grouping()


class StrangerGroups:
    """The strangers of a project, as far as it must be known to give tracks a stranger.

    Parameters
    ----------
    shown : mapping
        See `settle`.
    anew : bool
        Whether all strangers are grouped anew: none is known, and each group gets the id that most of its tracks had.
    changed : sequence of Stranger
        Those that an edit changes, as they are then.
    """

    def __init__(
        self,
        store: Store,
        project: str,
        pair: PairScale,
        shown: Shown,
        *,
        anew: bool = False,
        changed: Sequence[Stranger] = (),
    ) -> None:
        self.pair = pair
        self._store = store
        self._project = project
        self._least = stranger_similarity(pair)
        self._shown = shown
        self._leaving: set[TrackKey] = set()
        self._anew = anew
        self._changed = changed
        self._stored = [] if anew else store.list_stranger_sums(project)
        known = [one for row in self._stored for one in row.stranger_ids]
        self._starts = np.cumsum([0, *(len(row.counts) for row in self._stored)]).tolist()
        self._place = {identifier: at for at, identifier in enumerate(known)}
        # The first ones are those that are stored, of which only those that are needed are here.
        self._groups: dict[int, _Group] = {}
        self._size = len(known)
        self._of: dict[TrackKey, int] = {}

    def add(
        self,
        unknown: Sequence[UnknownTracks],
        corrections: Sequence[Correction],
        on_progress: Callable[[float], object] = lambda _: None,
    ) -> None:
        """Give tracks a group. Those that are held keep theirs, and come first.

        Parameters
        ----------
        on_progress : callable, optional
            Is given the fraction that is done.
        """
        denied = denied_strangers(self._store, self._project, corrections, self._changed)
        unknown = [_without_denied(one, denied) for one in unknown]
        if not self._anew:
            held = {one.key(row): identifier for one in unknown for row, identifier in one.held.items()}
            for key, (identifier, vector) in self._shown.items():
                if held.get(key) != identifier:
                    self._leaving.add(key)
                    group = self._group(self._place[identifier])
                    group.count -= 1
                    group.total = group.total - vector
            for one in unknown:
                for row, identifier in one.held.items():
                    self._hold(one, row, identifier)
        done, total = 0, sum(len(one.rows) for one in unknown)
        for batch in _batches(unknown, with_held=self._anew):
            self._join(batch, denied)
            done += sum(len(rows) for _, rows in batch)
            on_progress(done / total)

    def take_out(self, analysis_ids: Collection[str]) -> dict[str, set[TrackKey]]:
        """Take the tracks of some analyses out of groups that were made anew.

        Returns
        -------
        dict of str to set
            The other tracks of these groups, by analysis: they need a group again.
        """
        touched = {at for (analysis_id, _), at in self._of.items() if analysis_id in analysis_ids}
        free: dict[str, set[TrackKey]] = defaultdict(set)
        for key in [key for key, at in self._of.items() if at in touched]:
            del self._of[key]
            if key[0] not in analysis_ids:
                free[key[0]].add(key)
        for at in touched:
            self._groups[at] = _Group(None, 0, np.zeros(0))
        return free

    def grouping(self) -> Grouping:
        """Return the stranger of each track that was added."""
        names, changed = self._name_groups()
        return Grouping({key: names[group] for key, group in self._of.items()}, changed)

    def _hold(self, one: UnknownTracks, row: int, identifier: str) -> None:
        key = one.key(row)
        at = self._place.get(identifier)
        vector = one.columns.vectors[row]
        if at is None:
            at = self._place[identifier] = self._begin(_Group(identifier, 0, np.zeros(len(vector))))
        group = self._group(at)
        if key in self._leaving or key not in self._shown:
            group.add(vector)
        self._of[key] = at

    def _join(self, batch: Sequence[tuple[UnknownTracks, Sequence[int]]], denied: Mapping[TrackKey, set[str]]) -> None:
        keys = [one.key(row) for one, rows in batch for row in rows]
        vectors = np.concatenate([one.columns.vectors[list(rows)] for one, rows in batch])
        similarity = vectors @ vectors.T
        blocked: set[tuple[int, int]] = set()
        start = 0
        for one, rows in batch:
            place = {row: i for i, row in enumerate(rows, start)}
            start += len(rows)
            for a, b in one.columns.together.tolist():
                if a in place and b in place:
                    similarity[place[a], place[b]] = similarity[place[b], place[a]] = -1.0
                elif a in place or b in place:
                    free, other = (a, b) if a in place else (b, a)
                    if (at := self._of.get(one.key(other))) is not None:
                        blocked.add((place[free], at))
        former = [one.held.get(row) if self._anew else None for one, rows in batch for row in rows]
        for i, key in enumerate(keys):
            for identifier in denied.get(key, ()):
                others = [j for j, was in enumerate(former) if was == identifier and j != i]
                similarity[i, others] = similarity[others, i] = -1.0
                blocked |= {(i, at) for at, group in self._groups.items() if identifier in group.former}
                if identifier in self._place:
                    blocked.add((i, self._place[identifier]))
        denying = [(at, group.denied) for at, group in self._groups.items() if group.denied]
        blocked |= {(i, at) for i, was in enumerate(former) for at, group_denied in denying if was in group_denied}
        near = self._near(vectors, blocked)
        joined = join_tracks(similarity, near, self._size, self._least)
        firsts = iter([(one, row) for one, rows in batch for row in rows])
        for key, vector, at, was in zip(keys, vectors, joined.tolist(), former, strict=True):
            first = next(firsts)
            if at == self._size:
                self._begin(_Group(None, 0, np.zeros(len(vector)), is_loaded=True, first=first))
            group = self._groups[at]
            group.add(vector)
            group.denied |= denied.get(key, set())
            if was is not None:
                group.former[was] = group.former.get(was, 0) + 1
            self._of[key] = at

    def _begin(self, group: _Group) -> int:
        """Add a group, and return its place."""
        at = self._size
        self._groups[at] = group
        self._size += 1
        return at

    def _group(self, at: int) -> _Group:
        """Return the group of a place."""
        if at not in self._groups:
            part = bisect_right(self._starts, at) - 1
            row, i = self._stored[part], at - self._starts[part]
            self._groups[at] = _Group(row.stranger_ids[i], int(row.counts[i]), row.sums[i])
        return self._groups[at]

    def _near(self, vectors: FloatArray, blocked: Collection[tuple[int, int]]) -> list[tuple[int, int, float]]:
        """Return for each track the groups of which all tracks are alike enough, and the least similarity."""
        changed = [at for at, group in self._groups.items() if group.count > 0]
        groups = [self._groups[at] for at in changed]
        counts = [*(row.counts for row in self._stored), np.array([one.count for one in groups], np.int32)]
        sums = [*(row.sums for row in self._stored), *(one.total[None] for one in groups)]
        if not sums:
            return []
        # The mean of similarities is that to the mean: where it is less, one of them is.
        similarity = vectors @ np.concatenate(sums, dtype=np.float32, casting="same_kind").T
        similarity /= np.concatenate(counts, dtype=np.float32, casting="same_kind")
        rows, columns = np.nonzero(similarity >= self._least - _SLACK)
        wanted: dict[int, list[int]] = defaultdict(list)
        stored = self._starts[-1]
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            at = column if column < stored else changed[column - stored]
            is_former = column < stored and at in self._groups
            if not is_former and (row, at) not in blocked:
                wanted[at].append(row)
        self._load(wanted)
        near = []
        for at, candidates in wanted.items():
            least = (vectors[candidates] @ np.stack(self._groups[at].members).T).min(axis=1)
            near += [
                (row, at, value) for row, value in zip(candidates, least.tolist(), strict=True) if value >= self._least
            ]
        return near

    def _load(self, wanted: Collection[int]) -> None:
        missing = {str(group.stranger_id): group for at in wanted if not (group := self._group(at)).is_loaded}
        if not missing:
            return
        leaving = Counter(self._shown[key][0] for key in self._leaving)
        limit = _MOST_COMPARED + max(leaving[one] for one in missing)
        for row in self._store.list_some_tracks(self._project, sorted(missing), limit):
            members = missing[row.stranger_id].members
            if (row.analysis_id, row.track_id) not in self._leaving and len(members) < _MOST_COMPARED:
                members.append(row.embedding)
        for group in missing.values():
            group.is_loaded = True

    def _name_groups(self) -> tuple[dict[int, str], list[Stranger]]:
        """Choose an id for each group that has none, and say which strangers are new, or merged into another."""
        names = {at: group.stranger_id for at, group in self._groups.items() if group.stranger_id is not None}
        # All of them: those who are merged by hand may lead from one group's to another's.
        known = {row.stranger_id: row for row in self._store.list_strangers(self._project)} if self._anew else {}
        # The largest overlaps first; of equals, the stranger who has been known longest.
        claims = sorted(
            (-count, known[identifier].number, at, identifier)
            for at, group in self._groups.items()
            for identifier, count in group.former.items()
        )
        taken = set(self._place)
        for _, _, at, identifier in claims:
            if at not in names and identifier not in taken:
                names[at] = identifier
                taken.add(identifier)
        # Into whom most of their tracks went.
        gone = {identifier: names[at] for _, _, at, identifier in reversed(claims) if identifier not in taken}
        before = dict(known)
        merge_groups(known, gone, taken)
        known |= {row.stranger_id: row for row in self._new_strangers(names, taken)}
        if self._anew:
            hide_as_before(known, before, {name: self._groups[at].former for at, name in names.items()})
        return names, [row for one, row in sorted(known.items()) if row != before.get(one)]

    def _new_strangers(self, names: dict[int, str], taken: set[str]) -> list[Stranger]:
        """Give groups without an id one that is made from their first track."""
        nameless = {at: group.first for at, group in self._groups.items() if at not in names and group.count > 0}
        minted: dict[int, str] = {}
        sha256: dict[str, str] = {}
        known: dict[str, Stranger] = {}
        tried: dict[int, str] = {}
        while len(minted) < len(nameless):
            for at, first in nameless.items():
                if at in minted:
                    continue
                if first is None:
                    raise ValueError("a group without an id has no first track")
                one, row = first
                if one.video_id not in sha256:
                    sha256[one.video_id] = self._store.get_video(self._project, one.video_id).sha256
                seen = sha256[one.video_id], int(one.columns.first_frames[row]), one.columns.first_boxes[row]
                scope = f"{self._project}\n{tried[at]}" if at in tried else self._project
                tried[at] = stranger_id(scope, *seen)
            new = sorted(set(tried.values()) - known.keys())
            known |= {row.stranger_id: row for row in self._store.list_strangers(self._project, new)}
            for at, identifier in tried.items():
                # The stranger who was first seen in this track may have other tracks now, or be another one, or not be in it.
                is_other = identifier in known and known[identifier].merged_into is not None
                is_denied = identifier in self._groups[at].denied
                if at not in minted and identifier not in taken and not is_other and not is_denied:
                    minted[at] = identifier
                    taken.add(identifier)
        names |= minted
        if not minted:
            return []
        last = self._store.find_stranger_number(self._project)
        number = 0 if last is None else last.number
        found = []
        for identifier in minted.values():
            if identifier in known:  # known from an analysis that was done again, or from before they were named
                found.append(replace(known[identifier], person_id=None))
            else:
                number += 1
                found.append(Stranger(identifier, self._project, number, time.time()))
        return found


def _batches(
    unknown: Sequence[UnknownTracks], *, with_held: bool
) -> Iterator[list[tuple[UnknownTracks, Sequence[int]]]]:
    """Split the tracks that need a group into parts of about as many as are compared at once; analyses stay whole where they can."""
    batch: list[tuple[UnknownTracks, Sequence[int]]] = []
    size = 0
    for one in unknown:
        free = [row for row in one.rows if with_held or row not in one.held]
        for start in range(0, len(free), _MOST_AT_ONCE):
            part = free[start : start + _MOST_AT_ONCE]
            if batch and size + len(part) > _MOST_AT_ONCE:
                yield batch
                batch, size = [], 0
            batch.append((one, part))
            size += len(part)
    if batch:
        yield batch


def _without_denied(unknown: UnknownTracks, denied: Mapping[TrackKey, set[str]]) -> UnknownTracks:
    """Return unknown tracks that show nobody whom a correction says they are not."""
    held = {row: one for row, one in unknown.held.items() if one not in denied.get(unknown.key(row), ())}
    return unknown if len(held) == len(unknown.held) else replace(unknown, held=held)


def denied_strangers(
    store: Store, project: str, corrections: Sequence[Correction], changed: Sequence[Stranger] = ()
) -> dict[TrackKey, set[str]]:
    """Return the strangers whom tracks are not, as corrections tell: by all the ids that mean them."""
    found: dict[TrackKey, set[str]] = defaultdict(set)
    about = [row for row in corrections if row.kind is CorrectionKind.IS_NOT]
    known = follow_all(store, project, {row.person_id for row in about}, changed)
    others = aliases(store, project, sorted({one.stranger_id for one in known.values()}), changed)
    for row in about:
        if row.person_id in known:
            means = known[row.person_id].stranger_id
            found[row.analysis_id, row.track_id] |= {means, *others[means]}
    return found

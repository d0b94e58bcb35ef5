"""Name many stored analyses again, in blocks; nothing is written here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby, islice
from typing import NamedTuple, TypeVar

import numpy as np

from facerec_models.config import IdentificationConfig
from facerec_models.errors import ConflictError
from facerec_models.identification.decide import KeptName
from facerec_models.identification.identify import identify_videos
from facerec_models.identification.naming_model import NamingModel
from facerec_models.identification.track_columns import TrackColumns
from facerec_models.types import FloatArray, IndexArray
from facerec_models.vectors import PairScale
from serving.archive.handle import Archive
from serving.archive.naming.affected import Rows, affected, floor_of
from serving.archive.naming.aliases import moved_meanings, strangers_in
from serving.archive.naming.named import (
    appearance_moves,
    is_same,
    merge_names,
    name_tracks,
    stranger_moves,
    strangers_of,
    unknown_rows,
    with_strangers,
)
from serving.archive.naming.strangers import Grouping, StrangerGroups, TrackKey, UnknownTracks, denied_strangers
from serving.archive.privacy.kept_names import among, kept_names, without_lost_strangers
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceRow, Correction, NamedTracks, Stranger, StrangerTrack
from serving.store.rows import AnalysisRow
from training.progress import NoProgress, Progress, stop_if_asked
from training.ray_tasks import Workers

Item = TypeVar("Item")

# Analyses whose tracks are in memory at once.
BLOCK = 256
# So many blocks are worth tasks of a Ray that runs, and so many are in memory at once then.
_WORTH_TASKS = 8
_MOST_TASKS = 8
# Where the parts of the work begin, as fractions of all.
_GROUP_FROM, _COMPARE_FROM = 0.45, 0.95


@dataclass(frozen=True, slots=True)
class NewNames:
    """Who the tracks of some analyses are by a model, as it would be stored; the lists as in `NamingChange`.

    `known` has the strangers that the store knows of them, with all whom they were merged into.
    """

    named: list[NamedTracks] = field(default_factory=list)
    lost: list[AppearanceRow] = field(default_factory=list)
    appearances: list[AppearanceRow] = field(default_factory=list)
    freed: list[StrangerTrack] = field(default_factory=list)
    stranger_tracks: list[StrangerTrack] = field(default_factory=list)
    strangers: list[Stranger] = field(default_factory=list)
    known: dict[str, Stranger] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Again:
    """How analyses are named again.

    Parameters
    ----------
    rows : mapping of str to (N,) int or None
        Which tracks, by analysis; None for all of them.
    limits : mapping of str to float
        The accepted error of each.
    now : mapping of str to NamedTracks
        Who their tracks are so far, by analysis.
    held : mapping of str to NamedTracks
        Whose strangers tracks keep, by analysis, in place of those of `now`.
    corrections : sequence of Correction
        All that hold then.
    anew : bool
        Whether strangers are grouped anew; then it must be all tracks of all analyses.
    restored : mapping of str to NamedTracks
        Analyses that are named so, whatever the model.
    strangers : sequence of Stranger
        Those that the edit changes, as they are then.
    work : NamingWork or None
        What an earlier attempt has worked out, and what this one does; then it must be all tracks of each analysis.
    unnamed, renamed, before_merge
        As of `PlannedEdit`; whom tracks of `unnamed` show does not count.
    """

    rows: Mapping[str, Rows]
    limits: Mapping[str, float]
    now: Mapping[str, NamedTracks]
    held: Mapping[str, NamedTracks]
    corrections: Sequence[Correction]
    anew: bool = False
    restored: Mapping[str, NamedTracks] = field(default_factory=dict)
    unnamed: Collection[str] = ()
    strangers: Sequence[Stranger] = ()
    work: NamingWork | None = None
    renamed: tuple[str, str] | None = None
    before_merge: Mapping[str, NamedTracks] | None = None


def name_again(
    archive: Archive,
    project: str,
    wanted: Sequence[AnalysisRow],
    model: NamingModel | None,
    how: Again,
    on_block: Callable[[Sequence[AppearanceRow], Sequence[AppearanceRow]], None],
) -> NewNames:
    """Name analyses; unknown tracks keep their strangers, and others get one. The vectors of some are in memory at once.

    Parameters
    ----------
    wanted : sequence of AnalysisRow
        Of one embedder; those with one limit follow each other.
    on_block : callable
        Is given appearances that are there no more, and those that are new.
    """
    found = NewNames()
    if not wanted:
        return found
    work = NamingWork() if how.work is None else how.work
    columns = _Columns(archive.store, project)
    pair = archive.pair_scale(wanted[0].embedder) if model is None else model.pair
    decided = _decide(archive, project, wanted, model, pair, how, columns, work)
    grouping = work.group(archive.store, project, pair, decided, how)
    found.strangers.extend(grouping.strangers)
    found.named.extend(_with_groups(one, grouping) for one in decided)
    named = {row.analysis_id: row for row in found.named}
    shown_in = [*found.named, *(how.now[one] for one in named.keys() & how.now.keys())]
    found.known.update(strangers_in(archive.store, project, shown_in))
    means = moved_meanings(archive.store, project, found.known, [*how.strangers, *grouping.strangers])
    moved = {one for one, whom in means[1].items() if means[0].get(one) != whom}
    # Those whose tracks are who they were, and mean whom they meant, lose and gain nothing: their columns are not read.
    changed = [
        row
        for row in wanted
        if not is_same(named[row.analysis_id], how.now.get(row.analysis_id))
        or not moved.isdisjoint(named[row.analysis_id].names)
    ]
    for part in batched(changed, BLOCK):
        stop_if_asked(work.progress)
        of_part = columns.of(part)
        lost, appearances = [], []
        for analysis in part:
            analysis_id, own = analysis.analysis_id, of_part[analysis.analysis_id]
            was, then = how.now.get(analysis_id), named[analysis_id]
            gone, came = appearance_moves(analysis, own, was, then, means, _rows_of(analysis_id, own, how))
            lost += gone
            appearances += came
            freed, new = stranger_moves(own, was, then)
            found.freed.extend(freed)
            found.stranger_tracks.extend(new)
        on_block(lost, appearances)
        found.lost.extend(lost)
        found.appearances.extend(appearances)
    return found


class _Columns:
    """Reads the columns of some analyses at a time; those that were read last are not read again."""

    def __init__(self, store: Store, project: str) -> None:
        self._store = store
        self._project = project
        self._last: dict[str, TrackColumns] = {}

    def of(self, part: Sequence[AnalysisRow]) -> dict[str, TrackColumns]:
        """Return the columns of analyses, and perhaps of others."""
        if any(row.analysis_id not in self._last for row in part):
            self._last = self._store.get_columns(self._project, [row.analysis_id for row in part])
            if gone := sorted({row.video_id for row in part if row.analysis_id not in self._last}):
                raise ConflictError(f"{', '.join(gone)} of project {self._project!r} was deleted meanwhile")
        return self._last


def _rows_of(analysis_id: str, columns: TrackColumns, how: Again) -> IndexArray:
    """Return the tracks of an analysis that are decided again: those that are asked for, and whom they share frames with."""
    rows = how.rows.get(analysis_id)
    if rows is None or analysis_id not in how.now or analysis_id in how.restored:
        return np.arange(len(columns))
    return columns.with_company(rows)


class _DecidedTracks(NamedTuple):
    """Who the tracks of an analysis are, but for the strangers of those that were none before.

    Parameters
    ----------
    rows, free : (N,) int
        Those that were decided; and those that need a stranger.
    unknown : UnknownTracks
        Those of `free` alone.
    shown : mapping
        The strangers whom decided tracks showed so far, and the tracks' vectors.
    """

    named: NamedTracks
    rows: IndexArray
    free: IndexArray
    unknown: UnknownTracks
    shown: Mapping[TrackKey, tuple[str, FloatArray]]


# The project's version when an analysis was named, the position of its columns, and its accepted error: what else it is named by is
# the model.
_State = tuple[int | None, int | None, float]


class NamingWork:
    """Naming the archive again as one piece of work: how far it is, and what of it need not be done again after a conflict.

    Parameters
    ----------
    progress : Progress, optional
        Who is told, and may stop it.
    workers : Workers, optional
        By default the Ray that this process is part of, if it is of any.
    """

    def __init__(self, progress: Progress | None = None, workers: Workers | None = None) -> None:
        self.progress = NoProgress() if progress is None else progress
        self.workers = workers
        self._model: NamingModel | None = None
        self._decided: dict[str, tuple[_State, _DecidedTracks]] = {}
        self._groups: StrangerGroups | None = None
        self._grouped: dict[str, _DecidedTracks] = {}
        self._denied: dict[TrackKey, set[str]] = {}

    def tell(self, begin: float, end: float, done: float) -> None:
        """Tell how far a part of the work is, and stop if that is asked."""
        stop_if_asked(self.progress)
        self.progress.report(begin + (end - begin) * done)

    def decided(
        self, store: Store, project: str, states: Mapping[str, _State], model: NamingModel | None
    ) -> dict[str, _DecidedTracks]:
        """Return what was decided before of analyses that are as they were, and that this model names so, too."""
        kept = {one: tracks for one, (state, tracks) in self._decided.items() if states.get(one) == state}
        otherwise = affected(store, project, {one: own.named for one, own in kept.items()}, self._model, model)
        kept = {one: tracks for one, tracks in kept.items() if one not in otherwise}
        self._decided = {one: (states[one], tracks) for one, tracks in kept.items()}
        self._model = model
        return kept

    def keep(self, analysis_id: str, state: _State, tracks: _DecidedTracks) -> None:
        """Keep what was decided of an analysis."""
        self._decided[analysis_id] = state, tracks

    def group(
        self, store: Store, project: str, pair: PairScale, decided: Sequence[_DecidedTracks], how: Again
    ) -> Grouping:
        """Give decided tracks their strangers. Where all are grouped anew, groups of which no track has changed since are kept."""
        # What is restored is as it was, whatever the strangers of corrections were merged into since.
        corrections = [row for row in how.corrections if row.analysis_id not in how.restored]
        unknown, tell = [one.unknown for one in decided], partial(self.tell, _GROUP_FROM, _COMPARE_FROM)
        if not how.anew:
            gone = store.list_stranger_tracks(project, analysis_ids=sorted(how.unnamed)) if how.unnamed else []
            shown = {(row.analysis_id, row.track_id): (row.stranger_id, row.embedding) for row in gone}
            for one in decided:
                shown |= one.shown
            groups = StrangerGroups(store, project, pair, shown, changed=how.strangers)
            groups.add(unknown, corrections, tell)
            return groups.grouping()
        now = {one.named.analysis_id: one for one in decided}
        others = {one for one, tracks in self._grouped.items() if now.get(one) is not tracks}
        denied, before = denied_strangers(store, project, corrections, how.strangers), self._denied
        kept, self._groups = self._groups, None
        if kept is None or kept.pair != pair or not _are_same(before, denied, others):
            kept = StrangerGroups(store, project, pair, {}, anew=True, changed=how.strangers)
        else:
            free = kept.take_out(others)
            new = [one for one in unknown if one.analysis_id in others or one.analysis_id not in self._grouped]
            again = [one for one in unknown if one.analysis_id in free]
            unknown = [
                *new,
                *(replace(one, rows=[i for i in one.rows if one.key(i) in free[one.analysis_id]]) for one in again),
            ]
        kept.add(unknown, corrections, tell)
        self._groups, self._grouped, self._denied = kept, now, denied
        return kept.grouping()


def _are_same(before: Mapping[TrackKey, set[str]], now: Mapping[TrackKey, set[str]], but_for: Collection[str]) -> bool:
    one, other = ({key: who for key, who in denied.items() if key[0] not in but_for} for denied in (before, now))
    return one == other


class _ToName(NamedTuple):
    """Tracks of an analysis that are to be named: all of them, or, where it was named before, some of them."""

    analysis: AnalysisRow
    columns: TrackColumns
    limit: float
    before: NamedTracks | None
    rows: IndexArray
    kept: Mapping[int, KeptName]


def _decide(
    archive: Archive,
    project: str,
    wanted: Sequence[AnalysisRow],
    model: NamingModel | None,
    pair: PairScale,
    how: Again,
    columns: _Columns,
    work: NamingWork,
) -> list[_DecidedTracks]:
    """Decide who the tracks of analyses are, as far as that is not known; where Ray runs, the blocks of many are tasks."""
    states = {} if how.work is None else _states(archive.store, project, wanted, how)
    decided = work.decided(archive.store, project, states, model)
    left = [row for row in wanted if row.analysis_id not in decided]
    reading: dict[int, tuple[list[AnalysisRow], dict[str, TrackColumns], dict[str, IndexArray]]] = {}

    def read() -> Iterator[list[_ToName]]:
        for number, part in enumerate(batched(left, BLOCK)):
            own = columns.of(part)
            rows = {row.analysis_id: _rows_of(row.analysis_id, own[row.analysis_id], how) for row in part}
            reading[number] = part, own, rows
            yield [
                _to_name(row, own[row.analysis_id], rows[row.analysis_id], how, model)
                for row in part
                if row.analysis_id not in how.restored
            ]

    def keep(number: int, named: Sequence[NamedTracks]) -> None:
        part, own, rows = reading.pop(number)
        new = {row.analysis_id: row for row in named}
        for analysis in part:
            analysis_id = analysis.analysis_id
            of = own[analysis_id]
            then = new[analysis_id] if analysis_id in new else without_lost_strangers(how.restored[analysis_id], of)
            tracks = _decided_tracks(then, analysis.video_id, of, rows[analysis_id], how)
            decided[analysis_id] = tracks
            if analysis_id in states:
                work.keep(analysis_id, states[analysis_id], tracks)
        work.tell(0.0, _GROUP_FROM, min(1.0, (number + 1) * BLOCK / len(left)))

    workers = Workers(archive.files.root) if work.workers is None else work.workers
    if len(left) >= _WORTH_TASKS * BLOCK and workers.has_room(2):
        stop = work.progress.should_stop
        workers.map(name_block, read(), model, archive.rules, pair, on_done=keep, should_stop=stop, most=_MOST_TASKS)
    else:
        for number, block in enumerate(read()):
            keep(number, name_block(block, model, archive.rules, pair))
    return [decided[row.analysis_id] for row in wanted]


def _states(store: Store, project: str, wanted: Sequence[AnalysisRow], how: Again) -> dict[str, _State]:
    positions = store.columns_positions(project)
    ids = [row.analysis_id for row in wanted]
    return {one: (how.now[one].version if one in how.now else None, positions.get(one), how.limits[one]) for one in ids}


def _to_name(
    analysis: AnalysisRow, columns: TrackColumns, rows: IndexArray, how: Again, model: NamingModel | None
) -> _ToName:
    analysis_id = analysis.analysis_id
    named = how.held.get(analysis_id) or how.now.get(analysis_id)
    kept = among(kept_names(columns, named, model, how.corrections, how.renamed, how.before_merge), rows)
    was = None if how.rows.get(analysis_id) is None else how.now.get(analysis_id)
    some = columns if len(rows) == len(columns) else columns.select(rows)
    return _ToName(analysis, some, how.limits[analysis_id], was, rows, kept)


def name_block(
    block: Sequence[_ToName], model: NamingModel | None, rules: IdentificationConfig, pair: PairScale
) -> list[NamedTracks]:
    """Return who the tracks of some analyses are, but for the strangers of those that were none before; also as a task."""
    named = []
    for limit, group in groupby(block, key=lambda one: one.limit):
        part, floor = list(group), floor_of(model, limit)
        videos = [(one.analysis.analysis_id, one.columns) for one in part]
        names = identify_videos(
            videos,
            model,
            rules,
            max_false_names=limit,
            pair=pair,
            lists_candidates=False,
            kept=[one.kept for one in part],
        )
        for one, found in zip(part, names, strict=True):
            if one.before is None:
                named.append(name_tracks(one.analysis, found, {}, limit, floor))
            else:
                named.append(merge_names(one.before, one.rows, found))
    return named


def _decided_tracks(
    named: NamedTracks, video_id: str, columns: TrackColumns, rows: IndexArray, how: Again
) -> _DecidedTracks:
    analysis_id = named.analysis_id
    held, free = _strangers_kept(named, columns, rows, how)
    at = {row: i for i, row in enumerate(free.tolist())}
    alone = columns.select(free)
    keep = {at[row]: one for row, one in held.items()}
    unknown = UnknownTracks(analysis_id, video_id, alone, range(len(free)), keep)
    if how.anew or (now := how.now.get(analysis_id)) is None:
        return _DecidedTracks(named, rows, free, unknown, {})
    again = set(rows.tolist())
    shown = {
        (analysis_id, int(columns.track_ids[row])): (
            who,
            alone.vectors[at[row]] if row in at else columns.vectors[row].copy(),
        )
        for row, who in strangers_of(now).items()
        if row in again
    }
    return _DecidedTracks(named, rows, free, unknown, shown)


def _strangers_kept(
    named: NamedTracks, columns: TrackColumns, rows: IndexArray, how: Again
) -> tuple[dict[int, str], IndexArray]:
    """Return the strangers whom decided tracks go on showing, by row, and the rows of all that show one."""
    analysis_id = named.analysis_id
    if analysis_id in how.restored:
        held = strangers_of(named)
        return held, np.array(list(held), np.intp)
    before = how.held.get(analysis_id) or how.now.get(analysis_id)
    free = np.intersect1d(unknown_rows(named, columns), rows, assume_unique=True).astype(np.intp)
    is_free = set(free.tolist())
    return {} if before is None else {row: one for row, one in strangers_of(before).items() if row in is_free}, free


def _with_groups(decided: _DecidedTracks, grouping: Grouping) -> NamedTracks:
    again = set(decided.rows.tolist())
    strangers = {row: who for row, who in strangers_of(decided.named).items() if row not in again}
    strangers |= {row: grouping.of_track[decided.unknown.key(i)] for i, row in enumerate(decided.free.tolist())}
    return with_strangers(decided.named, strangers)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Split items into lists of at most `size`."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part

"""Name many stored analyses again, in blocks; nothing is written here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import NamedTuple, TypeVar

import numpy as np

from facerec_models.errors import ConflictError
from facerec_models.identification.identify import identify_videos
from facerec_models.identification.naming_model import NamingModel
from facerec_models.identification.track_columns import TrackColumns
from facerec_models.types import FloatArray, IndexArray
from serving.archive.handle import Archive
from serving.archive.naming.affected import Rows, floor_of
from serving.archive.naming.aliases import moved_meanings, strangers_in
from serving.archive.naming.named import (
    appearance_moves,
    merge_names,
    name_tracks,
    stranger_moves,
    strangers_of,
    unknown_rows,
    with_strangers,
)
from serving.archive.naming.strangers import Grouping, StrangerGroups, TrackKey, UnknownTracks
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceRow, Correction, NamedTracks, Stranger, StrangerTrack
from serving.store.rows import AnalysisRow

Item = TypeVar("Item")

# Analyses whose tracks are in memory at once.
BLOCK = 256


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
    unnamed : collection of str
        Analyses that nothing names any more: whom their tracks show does not count.
    strangers : sequence of Stranger
        Those that the edit changes, as they are then.
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


def name_again(
    archive: Archive,
    project: str,
    wanted: Sequence[AnalysisRow],
    model: NamingModel | None,
    how: Again,
    on_block: Callable[[Sequence[AppearanceRow], Sequence[AppearanceRow]], None],
) -> NewNames:
    """Name analyses; unknown tracks keep their strangers, and others get one. The vectors of some analyses are in memory at once.

    Parameters
    ----------
    wanted : sequence of AnalysisRow
        Of one embedder; those with one limit follow each other.
    on_block : callable
        Is given the appearances of some analyses that are there no more, and those that are new.
    """
    found = NewNames()
    if not wanted:
        return found
    blocks = _Blocks(archive.store, project, list(batched(wanted, BLOCK)))
    decided, unknown, shown = _decide(archive, project, blocks, model, how)
    groups = StrangerGroups(archive.store, project, wanted[0].embedder, shown, anew=how.anew, changed=how.strangers)
    # What is restored is as it was, whatever the strangers of corrections were merged into since.
    groups.add(unknown, [row for row in how.corrections if row.analysis_id not in how.restored])
    grouping = groups.grouping()
    found.strangers.extend(grouping.strangers)
    found.named.extend(_with_groups(decided, unknown, grouping))
    named = {row.analysis_id: row for row in found.named}
    shown_in = [*found.named, *(how.now[one] for one in named.keys() & how.now.keys())]
    found.known.update(strangers_in(archive.store, project, shown_in))
    means = moved_meanings(archive.store, project, found.known, [*how.strangers, *grouping.strangers])
    for part, columns in blocks:
        lost, appearances = [], []
        for analysis in part:
            analysis_id, own = analysis.analysis_id, columns[analysis.analysis_id]
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


class _Blocks:
    """Analyses with their columns, some at a time; the columns of a single block are read once, however often it is gone through."""

    def __init__(self, store: Store, project: str, parts: list[list[AnalysisRow]]) -> None:
        self._store = store
        self._project = project
        self._parts = parts
        self._last: dict[str, TrackColumns] = {}

    def __iter__(self) -> Iterator[tuple[list[AnalysisRow], dict[str, TrackColumns]]]:
        for part in self._parts:
            if part[0].analysis_id not in self._last:
                self._last = self._store.get_columns(self._project, [row.analysis_id for row in part])
                if gone := sorted({row.video_id for row in part if row.analysis_id not in self._last}):
                    raise ConflictError(f"{', '.join(gone)} of project {self._project!r} was deleted meanwhile")
            yield part, self._last


def _rows_of(analysis_id: str, columns: TrackColumns, how: Again) -> IndexArray:
    """Return the tracks of an analysis that are decided again: those that are asked for, and whom they share frames with."""
    rows = how.rows.get(analysis_id)
    if rows is None or analysis_id not in how.now or analysis_id in how.restored:
        return np.arange(len(columns))
    return columns.with_company(rows)


class _DecidedTracks(NamedTuple):
    """Who the tracks of an analysis are, but for the strangers of those that were none before, and the rows of those that need one."""

    named: NamedTracks
    rows: IndexArray
    unknown: IndexArray


def _decide(
    archive: Archive, project: str, blocks: _Blocks, model: NamingModel | None, how: Again
) -> tuple[list[_DecidedTracks], list[UnknownTracks], dict[TrackKey, tuple[str, FloatArray]]]:
    """Decide who tracks are, and return their unknown ones with the strangers whom the store has of them."""
    decided, unknown = [], []
    gone = archive.store.list_stranger_tracks(project, analysis_ids=sorted(how.unnamed)) if how.unnamed else []
    shown = {(row.analysis_id, row.track_id): (row.stranger_id, row.embedding) for row in gone}
    for part, columns in blocks:
        rows = {one: _rows_of(one, own, how) for one, own in columns.items()}
        named = _decide_again(archive, part, columns, rows, model, how)
        for analysis in part:
            analysis_id = analysis.analysis_id
            own, then, places = columns[analysis_id], named[analysis_id], rows[analysis_id]
            held, free = _strangers_kept(then, own, places, how)
            at = {row: i for i, row in enumerate(free.tolist())}
            alone = own.select(free)
            decided.append(_DecidedTracks(then, places, free))
            keep = {at[row]: one for row, one in held.items()}
            unknown.append(UnknownTracks(analysis_id, analysis.video_id, alone, range(len(free)), keep))
            if how.anew or (now := how.now.get(analysis_id)) is None:
                continue
            again = set(places.tolist())
            shown |= {
                (analysis_id, int(own.track_ids[row])): (
                    who,
                    alone.vectors[at[row]] if row in at else own.vectors[row].copy(),
                )
                for row, who in strangers_of(now).items()
                if row in again
            }
    return decided, unknown, shown


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


def _decide_again(
    archive: Archive,
    wanted: Sequence[AnalysisRow],
    columns: Mapping[str, TrackColumns],
    rows: Mapping[str, IndexArray],
    model: NamingModel | None,
    how: Again,
) -> dict[str, NamedTracks]:
    """Return who the tracks are, but for the strangers of those that were none before."""
    named = {row.analysis_id: how.restored[row.analysis_id] for row in wanted if row.analysis_id in how.restored}
    new = [row for row in wanted if row.analysis_id not in named]
    for limit, group in groupby(new, key=lambda row: how.limits[row.analysis_id]):
        part, floor = list(group), floor_of(model, limit)
        videos = [(row.analysis_id, columns[row.analysis_id].select(rows[row.analysis_id])) for row in part]
        names = identify_videos(
            videos,
            model,
            archive.rules,
            max_false_names=limit,
            embedder=wanted[0].embedder,
            lists_candidates=False,
        )
        for row, one in zip(part, names, strict=True):
            analysis_id = row.analysis_id
            if how.rows.get(analysis_id) is None or analysis_id not in how.now:
                named[analysis_id] = name_tracks(row, one, {}, limit, floor)
            else:
                named[analysis_id] = merge_names(how.now[analysis_id], rows[analysis_id], one)
    return named


def _with_groups(
    decided: Sequence[_DecidedTracks], unknown: Sequence[UnknownTracks], grouping: Grouping
) -> Iterator[NamedTracks]:
    for (named, rows, free), one in zip(decided, unknown, strict=True):
        again = set(rows.tolist())
        strangers = {row: who for row, who in strangers_of(named).items() if row not in again}
        strangers |= {row: grouping.of_track[one.key(i)] for i, row in enumerate(free.tolist())}
        yield with_strangers(named, strangers)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Split items into lists of at most `size`."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def rows_by_analysis(rows: Sequence[AppearanceRow]) -> dict[str, list[AppearanceRow]]:
    """Return appearances by analysis."""
    found: dict[str, list[AppearanceRow]] = {}
    for row in rows:
        found.setdefault(row.analysis_id, []).append(row)
    return found

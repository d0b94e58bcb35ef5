"""Name many stored analyses again, in blocks; nothing is written here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import TypeVar

import numpy as np

from facerec_models.identification.identify import identify_videos
from facerec_models.identification.naming_model import NamingModel
from facerec_models.identification.track_columns import TrackColumns
from facerec_models.types import FloatArray, IndexArray
from serving.archive.handle import Archive
from serving.archive.naming.affected import Rows, floor_of
from serving.archive.naming.aliases import meanings
from serving.archive.naming.named import (
    appearance_rows,
    merge_appearances,
    merge_names,
    name_tracks,
    stranger_moves,
    strangers_of,
    unknown_rows,
    with_strangers,
)
from serving.archive.naming.strangers import StrangerGroups, TrackKey, UnknownTracks
from serving.store.naming_rows import AppearanceRow, Correction, NamedTracks, Stranger, StrangerTrack
from serving.store.rows import AnalysisRow

Item = TypeVar("Item")

# Analyses whose tracks are in memory at once.
_BATCH = 256


@dataclass(frozen=True, slots=True)
class NewNames:
    """Who the tracks of some analyses are by a model, as it would be stored; `freed` as in `NamingChange`."""

    named: list[NamedTracks] = field(default_factory=list)
    before: dict[str, list[AppearanceRow]] = field(default_factory=dict)
    appearances: dict[str, list[AppearanceRow]] = field(default_factory=dict)
    freed: list[StrangerTrack] = field(default_factory=list)
    stranger_tracks: list[StrangerTrack] = field(default_factory=list)
    strangers: list[Stranger] = field(default_factory=list)


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
    archive: Archive, project: str, wanted: Sequence[AnalysisRow], model: NamingModel | None, how: Again
) -> NewNames:
    """Name analyses; unknown tracks keep their strangers, and others get one.

    Parameters
    ----------
    wanted : sequence of AnalysisRow
        Of one embedder.
    """
    found = NewNames()
    if not wanted:
        return found
    columns = archive.store.get_columns(project, [row.analysis_id for row in wanted])
    named = _decide_again(archive, wanted, columns, model, how)
    rows = {one: _rows_of(one, columns[one], how) for one in named}
    unknown, shown = _unknown_of(archive, project, wanted, columns, named, rows, how)
    groups = StrangerGroups(archive.store, project, wanted[0].embedder, shown, anew=how.anew, changed=how.strangers)
    # What is restored is as it was, whatever the strangers of corrections were merged into since.
    groups.add(unknown, [row for row in how.corrections if row.analysis_id not in how.restored])
    grouping = groups.grouping()
    found.strangers.extend(grouping.strangers)
    for one in unknown:
        strangers = strangers_of(named[one.analysis_id])
        in_rows = set(rows[one.analysis_id].tolist())
        strangers = {row: who for row, who in strangers.items() if row not in in_rows}
        strangers |= {row: grouping.of_track[one.key(row)] for row in one.rows}
        named[one.analysis_id] = with_strangers(named[one.analysis_id], strangers)
    found.named.extend(named.values())
    found.before.update(
        rows_by_analysis(archive.store.list_appearances(project, sorted(how.now.keys() & named.keys())))
    )
    shown_in = [*named.values(), *(how.now[one] for one in named.keys() & how.now.keys())]
    means = meanings(archive.store, project, shown_in, [*how.strangers, *grouping.strangers])
    for analysis in wanted:
        analysis_id, own = analysis.analysis_id, columns[analysis.analysis_id]
        was, then = how.now.get(analysis_id), named[analysis_id]
        if was is None or how.rows.get(analysis_id) is None:
            found.appearances[analysis_id] = appearance_rows(analysis, own, then, means)
        else:
            before = found.before.get(analysis_id, [])
            found.appearances[analysis_id] = merge_appearances(
                analysis, own, before, was, then, rows[analysis_id], means
            )
        freed, new = stranger_moves(own, was, then)
        found.freed.extend(freed)
        found.stranger_tracks.extend(new)
    return found


def _rows_of(analysis_id: str, columns: TrackColumns, how: Again) -> IndexArray:
    """Return the tracks of an analysis that are decided again: those that are asked for, and whom they share frames with."""
    rows = how.rows.get(analysis_id)
    if rows is None or analysis_id not in how.now or analysis_id in how.restored:
        return np.arange(len(columns))
    return columns.with_company(rows)


def _decide_again(
    archive: Archive,
    wanted: Sequence[AnalysisRow],
    columns: Mapping[str, TrackColumns],
    model: NamingModel | None,
    how: Again,
) -> dict[str, NamedTracks]:
    """Return who the tracks are, but for the strangers of those that were none before."""
    named = dict(how.restored)
    new = [row for row in wanted if row.analysis_id not in named]
    for limit, group in groupby(new, key=lambda row: how.limits[row.analysis_id]):
        floor = floor_of(model, limit)
        for part in batched(group, _BATCH):
            rows = {row.analysis_id: _rows_of(row.analysis_id, columns[row.analysis_id], how) for row in part}
            videos = [(one, columns[one].select(places)) for one, places in rows.items()]
            names = identify_videos(videos, model, archive.rules, max_false_names=limit, embedder=wanted[0].embedder)
            for row, one in zip(part, names, strict=True):
                analysis_id = row.analysis_id
                if how.rows.get(analysis_id) is None or analysis_id not in how.now:
                    named[analysis_id] = name_tracks(row, one, {}, limit, floor)
                else:
                    named[analysis_id] = merge_names(how.now[analysis_id], rows[analysis_id], one)
    return named


def _unknown_of(
    archive: Archive,
    project: str,
    wanted: Sequence[AnalysisRow],
    columns: Mapping[str, TrackColumns],
    named: Mapping[str, NamedTracks],
    rows: Mapping[str, IndexArray],
    how: Again,
) -> tuple[list[UnknownTracks], dict[TrackKey, tuple[str, FloatArray]]]:
    """Return the unknown tracks among those that are decided again, and the strangers whom the store has of these."""
    sha256 = _checksums(archive, project, wanted)
    gone = archive.store.list_stranger_tracks(project, analysis_ids=sorted(how.unnamed)) if how.unnamed else []
    unknown, shown = [], {(row.analysis_id, row.track_id): (row.stranger_id, row.embedding) for row in gone}
    for analysis in wanted:
        analysis_id, own = analysis.analysis_id, columns[analysis.analysis_id]
        places = set(rows[analysis_id].tolist())
        if analysis_id in how.restored:
            held = strangers_of(how.restored[analysis_id])
            free = list(held)
        else:
            before = how.held.get(analysis_id) or how.now.get(analysis_id)
            free = [row for row in unknown_rows(named[analysis_id], own) if row in places]
            held = {} if before is None else {row: one for row, one in strangers_of(before).items() if row in free}
        one = UnknownTracks(analysis_id, sha256[analysis.video_id], own, free, held)
        unknown.append(one)
        if (now := how.now.get(analysis_id)) is not None:
            so_far = {row: who for row, who in strangers_of(now).items() if row in places}
            shown.update({one.key(row): (who, own.vectors[row]) for row, who in so_far.items()})
    return unknown, shown


def _checksums(archive: Archive, project: str, analyses: Sequence[AnalysisRow]) -> dict[str, str]:
    wanted = {row.video_id for row in analyses}
    if len(wanted) < _BATCH:
        return {video_id: archive.store.get_video(project, video_id).sha256 for video_id in wanted}
    return {video.video_id: video.sha256 for video in archive.store.list_videos(project)}


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

"""Name many stored analyses again, in blocks; nothing is written here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from typing import TypeVar

from facerec_models.identification.identify import identify_videos
from facerec_models.identification.naming_model import NamingModel
from facerec_models.types import Match
from serving.archive.handle import Archive
from serving.archive.naming.affected import floor_of
from serving.archive.naming.named import (
    appearance_rows,
    name_tracks,
    stranger_tracks,
    strangers_of,
    with_strangers,
)
from serving.archive.naming.one_video import unknown_tracks
from serving.archive.naming.strangers import StrangerGroups, UnknownTracks
from serving.store.naming_rows import AppearanceRow, Correction, NamedTracks, Stranger, StrangerTrack
from serving.store.rows import AnalysisRow

Item = TypeVar("Item")

# Analyses whose tracks are in memory at once.
_BATCH = 256


@dataclass(frozen=True, slots=True)
class NewNames:
    """Who the tracks of some analyses are by a model, as it would be stored."""

    named: list[NamedTracks] = field(default_factory=list)
    appearances: dict[str, list[AppearanceRow]] = field(default_factory=dict)
    stranger_tracks: list[StrangerTrack] = field(default_factory=list)
    strangers: list[Stranger] = field(default_factory=list)


def name_again(
    archive: Archive,
    project: str,
    wanted: Sequence[AnalysisRow],
    model: NamingModel | None,
    *,
    limits: Mapping[str, float],
    held: Mapping[str, NamedTracks],
    corrections: Sequence[Correction],
    anew: bool = False,
    restored: Sequence[NamedTracks] = (),
    unnamed: Collection[str] = (),
) -> NewNames:
    """Name analyses; unknown tracks keep their strangers, and others get one.

    Parameters
    ----------
    wanted : sequence of AnalysisRow
        Of one embedder.
    limits : mapping of str to float
        The accepted error of each.
    held : mapping of str to NamedTracks
        Who their tracks are so far, by analysis: whose strangers they keep.
    corrections : sequence of Correction
        All that hold then.
    anew : bool
        Whether strangers are grouped anew; then `wanted` must be all analyses.
    restored : sequence of NamedTracks
        Analyses of `wanted` that are named so, whatever the model.
    unnamed : collection of str
        Analyses that nothing names any more: whom their tracks show does not count.
    """
    if not wanted:
        return NewNames()
    columns = archive.store.get_columns(project, [row.analysis_id for row in wanted])
    found = NewNames([*restored])
    new = [row for row in wanted if row.analysis_id not in {one.analysis_id for one in restored}]
    matches: dict[str, list[Match]] = {}
    for limit, group in groupby(new, key=lambda row: limits[row.analysis_id]):
        floor = floor_of(model, limit)
        for part in batched(group, _BATCH):
            videos = [(row.analysis_id, columns[row.analysis_id]) for row in part]
            names = identify_videos(videos, model, archive.rules, max_false_names=limit, embedder=wanted[0].embedder)
            for row, one in zip(part, names, strict=True):
                matches[row.analysis_id] = [replace(match, candidates=()) for match in one.matches]
                found.named.append(name_tracks(row, one, {}, limit, floor))
    sha256 = _checksums(archive, project, wanted)
    unknown = []
    for row, named in zip(wanted, _in_order(wanted, found.named), strict=True):
        own, so_far = columns[row.analysis_id], held.get(row.analysis_id)
        shown = {} if so_far is None else strangers_of(so_far)
        if row.analysis_id in matches:
            unknown.append(unknown_tracks(row.analysis_id, sha256[row.video_id], own, matches[row.analysis_id], shown))
        else:
            shown = strangers_of(named)
            unknown.append(UnknownTracks(row.analysis_id, sha256[row.video_id], own, list(shown), shown))
    rewritten = {row.analysis_id for row in wanted} | set(unnamed)
    groups = StrangerGroups(archive.store, project, wanted[0].embedder, rewritten, anew=anew)
    groups.add(unknown, corrections)
    grouping = groups.grouping()
    found.strangers.extend(grouping.strangers)
    by_id = {row.analysis_id: row for row in wanted}
    of_row = {one.analysis_id: {row: grouping.of_track[one.key(row)] for row in one.rows} for one in unknown}
    found.named[:] = [with_strangers(row, of_row[row.analysis_id]) for row in found.named]
    for named in found.named:
        own = columns[named.analysis_id]
        found.appearances[named.analysis_id] = appearance_rows(by_id[named.analysis_id], own, named)
        found.stranger_tracks.extend(stranger_tracks(own, named))
    return found


def _in_order(wanted: Sequence[AnalysisRow], named: Sequence[NamedTracks]) -> list[NamedTracks]:
    by_id = {row.analysis_id: row for row in named}
    return [by_id[row.analysis_id] for row in wanted]


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

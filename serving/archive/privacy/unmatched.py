"""Faces that match nobody enrolled, in a project that keeps nothing of them: no vector, no picture, no drawn video."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from facerec_models.errors import StoreError
from facerec_models.identification.track_columns import TrackColumns
from facerec_models.types import Decision
from serving.archive.handle import Archive
from serving.archive.track_removal import empty_tracks, remove_crops, remove_drawn
from serving.archive.vector_sets import TrackKey, in_all_sets
from serving.store.contract import Store
from serving.store.naming_rows import NamedTracks

logger = logging.getLogger(__name__)

_NAMED = tuple(Decision).index(Decision.NAMED)


def unmatched_tracks(named: NamedTracks, columns: TrackColumns) -> list[TrackKey]:
    """Return the tracks of an analysis that show nobody enrolled and have a vector."""
    rows = np.flatnonzero((named.decisions != _NAMED) & columns.is_embedded)
    return [(named.analysis_id, int(track_id)) for track_id in columns.track_ids[rows]]


def remove_unmatched(archive: Archive, project: str, tracks: Sequence[TrackKey]) -> tuple[int, int]:
    """Remove the vectors and pictures of tracks and of their copies, unless a copy is named; return how many of both there were.

    A copy may be named where a track reaches over the border of a part that was analysed: there is more of it.
    """
    emptied, crops = 0, 0
    for _ in range(2):  # a second set that was being made the first time is there the second time
        everywhere = set(in_all_sets(archive.store, project, tracks)) | set(tracks)
        everywhere -= _named_among(archive.store, project, everywhere - set(tracks))
        remove_drawn(archive.files, project, {analysis_id for analysis_id, _ in everywhere})
        crops += remove_crops(archive.files, project, sorted(everywhere))
        emptied += empty_tracks(archive.store, project, sorted(everywhere))
    return emptied, crops


def _named_among(store: Store, project: str, tracks: set[TrackKey]) -> set[TrackKey]:
    ids = sorted({analysis_id for analysis_id, _ in tracks})
    if not ids:
        return set()
    columns = store.get_columns(project, ids)
    found: set[TrackKey] = set()
    for row in store.list_named(project, ids):
        if row.analysis_id in columns and len(columns[row.analysis_id]) == len(row):
            track_ids = columns[row.analysis_id].track_ids[row.decisions == _NAMED].tolist()
            found |= {(row.analysis_id, track_id) for track_id in track_ids}
    return found & tracks


def scrub_soon(store: Store) -> None:
    """Leave nothing of deleted rows in the store's files; where others read for too long, the next sweep does it."""
    try:
        store.scrub()
    except StoreError as error:
        logger.info("what was deleted stays in the store's log until the next sweep: %s", error)

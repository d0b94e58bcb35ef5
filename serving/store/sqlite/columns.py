"""The columns of tracks, in SQLite: written with the tracks, a row for each analysis."""

from __future__ import annotations

from collections.abc import Sequence

from facerec_models.types import Track
from serving.store.codecs import pack_columns
from serving.store.sqlite.database import SqliteTransaction


def put_columns(tx: SqliteTransaction, project: str, analysis_id: str, tracks: Sequence[Track]) -> None:
    """Write the columns of all tracks of an analysis, by track id, in place of those before."""
    from facerec_models.identification.track_columns import TrackColumns

    key = {"project": project, "analysis_id": analysis_id}
    tx.delete("track_columns", key)
    tx.append("track_columns", key | pack_columns(TrackColumns.of(sorted(tracks, key=lambda track: track.track_id))))

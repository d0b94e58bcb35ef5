"""The mean embeddings of tracks, in SQLite: written with the tracks, a row for each analysis."""

from __future__ import annotations

from collections.abc import Sequence

from facerec_models.types import Track
from serving.store.codecs import pack_vectors
from serving.store.sqlite.database import SqliteTransaction


def put_vectors(tx: SqliteTransaction, project: str, analysis_id: str, tracks: Sequence[Track]) -> None:
    """Write the mean embeddings of all tracks of an analysis, in place of those before."""
    key = {"project": project, "analysis_id": analysis_id}
    tx.delete("track_vectors", key)
    packed = pack_vectors(tracks)
    if packed is not None:
        tx.append("track_vectors", key | dict(zip(("dimension", "track_ids", "vectors"), packed, strict=True)))

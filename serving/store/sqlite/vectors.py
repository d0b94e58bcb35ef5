"""The mean embeddings of tracks, in SQLite: written with the tracks, a row for each analysis."""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection

from facerec_models.types import Track
from serving.store.codecs import pack_vectors


def put_vectors(db: Connection, project: str, analysis_id: str, tracks: Sequence[Track]) -> None:
    """Write the mean embeddings of all tracks of an analysis, in place of those before."""
    db.execute("DELETE FROM track_vectors WHERE project = ? AND analysis_id = ?", (project, analysis_id))
    packed = pack_vectors(tracks)
    if packed is not None:
        db.execute(
            "INSERT INTO track_vectors (project, analysis_id, dimension, track_ids, vectors) VALUES (?, ?, ?, ?, ?)",
            (project, analysis_id, *packed),
        )

"""The columns of tracks, in MongoDB: written with the tracks, and as one row for each analysis.

An analysis may have more than a document holds: its columns are in as many as are needed, all of one position.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from facerec_models.types import Track
from serving.store.codecs import pack_columns
from serving.store.mongo.database import MongoDocument, MongoTransaction
from serving.store.mongo.pieces import joined, pieces


def put_columns(tx: MongoTransaction, project: str, analysis_id: str, tracks: Sequence[Track]) -> None:
    """Write the columns of all tracks of an analysis, by track id, in place of those before."""
    from facerec_models.identification.track_columns import TrackColumns

    tx.delete("track_columns", {"project": project, "analysis_id": analysis_id})
    key = {"project": project, "analysis_id": analysis_id, "position": tx.next_position()}
    insert_columns(tx, {**key, **pack_columns(TrackColumns.of(sorted(tracks, key=lambda track: track.track_id)))})


def insert_columns(tx: MongoTransaction, row: MongoDocument) -> None:
    """Add a row of columns."""
    for document in pieces(row, "arrays"):
        tx.insert_documents("track_columns", [document])  # one after the other: two may be too much for one message


def read_columns(tx: MongoTransaction, where: MongoDocument, order: str = "position") -> Iterator[MongoDocument]:
    """Yield rows of columns by position or by analysis: by what `where` restricts, an index has them in that order."""
    return joined(tx.find("track_columns", where, (order, "piece")), "arrays")

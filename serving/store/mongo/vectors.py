"""The mean embeddings of tracks, in MongoDB: written with the tracks, and as one row for each analysis.

An analysis may have more vectors than a document holds: they are in as many as are needed, all of one position.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from facerec_models.types import Track
from serving.store.codecs import pack_vectors
from serving.store.mongo.database import MongoDocument, MongoTransaction, joined, pieces


def put_vectors(tx: MongoTransaction, project: str, analysis_id: str, tracks: Sequence[Track]) -> None:
    """Write the mean embeddings of all tracks of an analysis, in place of those before."""
    tx.delete("track_vectors", {"project": project, "analysis_id": analysis_id})
    packed = pack_vectors(tracks)
    if packed is not None:
        dimension, track_ids, vectors = packed
        key = {"project": project, "analysis_id": analysis_id, "position": tx.next_position()}
        insert_vectors(tx, {**key, "dimension": dimension, "track_ids": track_ids, "vectors": vectors})


def insert_vectors(tx: MongoTransaction, row: MongoDocument) -> None:
    """Add a row of vectors."""
    for document in pieces(row, "vectors"):
        tx.insert_documents("track_vectors", [document])  # one after the other: two may be too much for one message


def read_vectors(tx: MongoTransaction, where: MongoDocument) -> Iterator[MongoDocument]:
    """Yield rows of vectors by position."""
    return joined(tx.find("track_vectors", where, ("position", "piece")), "vectors")

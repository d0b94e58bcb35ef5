"""Tracks in MongoDB, which may be too many for one transaction and too long for one document.

The tracks of one writing of an analysis are a *part*. They are written first; then a transaction lets the analysis name
the part, and in that moment they are there. A part that no analysis names is nobody's: ``track_parts`` lists those that
are being written (``staged``) and those that are to be deleted (``obsolete``), so that what a killed process leaves
behind is found and removed.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from facerec_models.errors import StoreError
from facerec_models.types import Track
from serving.store.blobs import pack_track, pack_vectors, unpack_embedding, unpack_track
from serving.store.mongo_database import Document, MongoDatabase, Transaction
from serving.store.rows import TrackVectors

# A document holds 16 MB at most, and a message 48 MB; tests lower both.
PIECE_BYTES = 12_000_000
_BATCH_BYTES = 12_000_000
# Nobody writes one analysis for so long: who staged it died.
_ABANDONED_S = 86_400.0
_HEADER = ("track_id", "shot", "samples", "embedded", "dimension")


def stage_part(database: MongoDatabase) -> str:
    """Announce a part that is going to be written."""
    part = uuid.uuid4().hex
    with database.single("track_parts") as parts:
        parts.insert_one({"part": part, "state": "staged", "at": time.time()})
    return part


def write_part(database: MongoDatabase, part: str, columns: Iterable[Document]) -> None:
    """Write tracks, given as columns of the table ``tracks``, into a staged part."""
    with database.single("tracks") as tracks:
        batch: list[Document] = []
        size = 0
        for document in (piece for track in columns for piece in _pieces(part, track)):
            if batch and size + len(document["arrays"]) > _BATCH_BYTES:
                tracks.insert_many(batch)
                batch, size = [], 0
            batch.append(document)
            size += len(document["arrays"])
        if batch:
            tracks.insert_many(batch)


def adopt_part(tx: Transaction, part: str) -> None:
    """Let a staged part be somebody's, in the transaction that names it."""
    if tx.delete("track_parts", {"part": part, "state": "staged"}) != 1:
        raise StoreError(f"the tracks {part} were given up because writing them took too long; try again")


def drop_parts(tx: Transaction, parts: Sequence[str]) -> None:
    """Let parts be nobody's: after the transaction, `sweep_parts` deletes them."""
    tx.insert("track_parts", [{"part": part, "state": "obsolete", "at": time.time()} for part in parts])


def discard_part(database: MongoDatabase, part: str) -> None:
    """Give up a part whose writing failed."""
    with database.single("track_parts") as parts:
        parts.update_one({"part": part, "state": "staged"}, {"$set": {"state": "obsolete"}})
    sweep_parts(database)


def sweep_parts(database: MongoDatabase) -> None:
    """Delete the tracks that are nobody's."""
    with database.single("track_parts") as parts, database.single("tracks") as tracks:
        parts.update_many(
            {"state": "staged", "at": {"$lt": time.time() - _ABANDONED_S}}, {"$set": {"state": "obsolete"}}
        )
        for found in list(parts.find({"state": "obsolete"})):
            tracks.delete_many({"part": found["part"]})
            parts.delete_one({"_id": found["_id"]})


def track_columns(project: str, analysis_id: str, track: Track) -> Document:
    """Return a track as columns of the table ``tracks``."""
    samples, (embedded, dimension) = len(track), track.embeddings.shape
    header = dict(zip(_HEADER, (track.track_id, track.shot, samples, embedded, dimension), strict=True))
    return {"project": project, "analysis_id": analysis_id, **header, "arrays": pack_track(track)}


def read_part(tx: Transaction, part: str, track_ids: Sequence[int] | None = None) -> Iterator[Document]:
    """Yield the tracks of a part by id, as columns of the table ``tracks``."""
    chosen = {} if track_ids is None else {"track_id": {"$in": list(track_ids)}}
    whole: Document | None = None
    for document in tx.find("tracks", {"part": part, **chosen}, ("track_id", "piece")):
        for name in ("_id", "part"):
            del document[name]
        if document.pop("piece") == 0:
            if whole is not None:
                yield whole
            whole = document
        elif whole is not None:
            whole["arrays"] += document["arrays"]
    if whole is not None:
        yield whole


def to_track(columns: Document) -> Track:
    """Return the track that `track_columns` was given."""
    return unpack_track(**{name: columns[name] for name in _HEADER}, blob=columns["arrays"])


def replace_track(tx: Transaction, part: str, columns: Document) -> None:
    """Write a track of a part again."""
    tx.delete("tracks", {"part": part, "track_id": columns["track_id"]})
    tx.insert("tracks", list(_pieces(part, columns)))


def put_vectors(tx: Transaction, project: str, analysis_id: str, tracks: Sequence[Track]) -> None:
    """Write the mean embeddings of all tracks of an analysis, in place of those before."""
    tx.delete("track_vectors", {"project": project, "analysis_id": analysis_id})
    packed = pack_vectors(tracks)
    if packed is None:
        return
    key = {"project": project, "analysis_id": analysis_id, "position": tx.next_position()}
    columns = dict(zip(("dimension", "track_ids", "vectors"), packed, strict=True))
    tx.insert("track_vectors", list(vector_pieces({**key, **columns})))


def vector_pieces(columns: Document) -> Iterator[Document]:
    """Yield the documents of an analysis' vectors, given as columns of the table ``track_vectors``."""
    ids, vectors, row_bytes = columns["track_ids"], columns["vectors"], 4 * columns["dimension"]
    rows = max(1, PIECE_BYTES // (row_bytes + 8))
    for piece, start in enumerate(range(0, max(1, len(ids) // 8), rows)):
        yield {
            **columns,
            "piece": piece,
            "track_ids": ids[8 * start : 8 * (start + rows)],
            "vectors": vectors[row_bytes * start : row_bytes * (start + rows)],
        }


def vector_columns(tx: Transaction, where: Document) -> Iterator[Document]:
    """Yield the vectors of analyses by position, as columns of the table ``track_vectors``."""
    whole: Document | None = None
    for document in tx.find("track_vectors", where, ("position", "piece")):
        del document["_id"]
        if document.pop("piece") == 0:
            if whole is not None:
                yield whole
            whole = document
        elif whole is not None:
            for name in ("track_ids", "vectors"):
                whole[name] += document[name]
    if whole is not None:
        yield whole


def read_vectors(tx: Transaction, where: Document) -> Iterator[TrackVectors]:
    """Yield the vectors of analyses by position."""
    for columns in vector_columns(tx, where):
        vectors = unpack_embedding(columns["vectors"]).reshape(-1, columns["dimension"])
        yield TrackVectors(
            columns["analysis_id"], columns["position"], np.frombuffer(columns["track_ids"], "<i8"), vectors
        )


def _pieces(part: str, columns: Document) -> Iterator[Document]:
    arrays: Any = columns["arrays"]
    for number, start in enumerate(range(0, max(1, len(arrays)), PIECE_BYTES)):
        yield {**columns, "part": part, "piece": number, "arrays": arrays[start : start + PIECE_BYTES]}

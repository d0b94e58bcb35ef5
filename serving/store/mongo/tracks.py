"""Tracks in MongoDB, which may be too many for one transaction and too long for one document.

The tracks of one writing of an analysis are a *part*. They are written first; then a transaction lets the analysis name
the part, and in that moment they are there. A part that no analysis names is unused: ``track_parts`` lists those that
are being written (``staged``) and those that are to be deleted (``obsolete``), so that what a killed process leaves
behind is found and removed.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence

from facerec_models.errors import StoreError
from facerec_models.types import Track
from serving.store.codecs import pack_track, unpack_track
from serving.store.mongo.database import MongoDatabase, MongoDocument, MongoTransaction
from serving.store.mongo.pieces import joined, may_continue, pieces
from serving.store.mongo.schema import key_as_id

# A message holds 48 MB.
_BATCH_BYTES = 12_000_000
# Nobody writes one analysis for so long: who staged it died.
_ABANDONED_S = 86_400.0
logger = logging.getLogger(__name__)

_HEADER = ("track_id", "shot", "samples", "embedded", "dimension")


def stage_part(database: MongoDatabase) -> str:
    """Announce a part that is going to be written."""
    part = uuid.uuid4().hex
    with database.single("track_parts") as parts:
        parts.insert_one({"part": part, "state": "staged", "at": time.time()})
    return part


def write_part(database: MongoDatabase, part: str, columns: Iterable[MongoDocument]) -> None:
    """Write tracks, given as columns of the table ``tracks``, into a staged part."""
    with database.single("tracks") as tracks:
        batch: list[MongoDocument] = []
        size = 0
        for document in (piece for track in columns for piece in _pieces_of(part, track)):
            if batch and size + len(document["arrays"]) > _BATCH_BYTES:
                tracks.insert_many(batch)
                batch, size = [], 0
            batch.append(document)
            size += len(document["arrays"])
        if batch:
            tracks.insert_many(batch)


def adopt_part(tx: MongoTransaction, part: str) -> None:
    """Let a staged part belong to an analysis, in the transaction that names it."""
    if tx.delete("track_parts", {"part": part, "state": "staged"}) != 1:
        raise StoreError(f"the tracks {part} were given up because writing them took too long; try again")


def drop_parts(tx: MongoTransaction, parts: Sequence[str]) -> None:
    """Let parts belong to no analysis: after the transaction, `sweep_parts` deletes them."""
    tx.insert_documents("track_parts", [{"part": part, "state": "obsolete", "at": time.time()} for part in parts])


def discard_part(database: MongoDatabase, part: str) -> None:
    """Give up a part whose writing failed."""
    with database.single("track_parts") as parts:
        parts.update_one({"part": part, "state": "staged"}, {"$set": {"state": "obsolete"}})
    sweep_parts(database)


def sweep_parts(database: MongoDatabase) -> None:
    """Delete the tracks that belong to no analysis; what cannot be done now is left for the next time."""
    try:
        _delete_parts(database)
    except StoreError:
        logger.warning("tracks of no analysis are still in %s", database.address, exc_info=True)


def _delete_parts(database: MongoDatabase) -> None:
    with database.single("track_parts") as parts, database.single("tracks") as tracks:
        parts.update_many(
            {"state": "staged", "at": {"$lt": time.time() - _ABANDONED_S}}, {"$set": {"state": "obsolete"}}
        )
        for found in list(parts.find({"state": "obsolete"})):
            tracks.delete_many({"part": found["part"]})
            parts.delete_one({"_id": found["_id"]})


def track_row(project: str, analysis_id: str, track: Track) -> MongoDocument:
    """Return a track as columns of the table ``tracks``."""
    samples, (embedded, dimension) = len(track), track.embeddings.shape
    header = dict(zip(_HEADER, (track.track_id, track.shot, samples, embedded, dimension), strict=True))
    return {"project": project, "analysis_id": analysis_id, **header, "arrays": pack_track(track)}


def read_part(tx: MongoTransaction, part: str) -> Iterator[MongoDocument]:
    """Yield the tracks of a part by id, as columns of the table ``tracks``."""
    for document in joined(tx.find("tracks", {"part": part}, ("track_id", "piece")), "arrays"):
        yield {name: value for name, value in document.items() if name not in ("_id", "part", "piece")}


def pick_from_parts(tx: MongoTransaction, wanted: Mapping[str, Sequence[int]]) -> Iterator[MongoDocument]:
    """Yield some tracks of parts, in any order, as columns of the table ``tracks``."""
    ids = [key_as_id(part, track_id, 0) for part, track_ids in wanted.items() for track_id in set(track_ids)]
    for first in tx.find("tracks", {}, among=("_id", ids)):
        own = {"part": first["part"], "track_id": first["track_id"]}
        yield from joined(tx.find("tracks", own, ("piece",)), "arrays") if may_continue(first, "arrays") else [first]


def to_track(columns: MongoDocument) -> Track:
    """Return the track that `track_row` was given."""
    return unpack_track(**{name: columns[name] for name in _HEADER}, blob=columns["arrays"])


def replace_track(tx: MongoTransaction, part: str, columns: MongoDocument) -> None:
    """Write a track of a part again."""
    tx.delete("tracks", {"part": part, "track_id": columns["track_id"]})
    for document in _pieces_of(part, columns):
        tx.insert_documents("tracks", [document])


def _pieces_of(part: str, columns: MongoDocument) -> Iterator[MongoDocument]:
    for piece in pieces({**columns, "part": part}, "arrays"):
        yield {"_id": key_as_id(part, columns["track_id"], piece["piece"]), **piece}

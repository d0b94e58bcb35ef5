"""Rows as columns, and arrays as bytes: little-endian, without a header, so that reading copies nothing."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np

from facerec_models.types import Decision, FloatArray, Track
from serving.store.job_rows import Job, JobState, Webhook, read_segment
from serving.store.naming_rows import AppearanceRow, Application, Correction, Revision, Stranger, StrangerTrack
from serving.store.rows import AnalysisRow, Face, FaceStatus, ModelVersion, Project, VideoRow

Row = TypeVar("Row")
Table = (
    Project
    | Face
    | ModelVersion
    | VideoRow
    | AnalysisRow
    | Revision
    | Job
    | Correction
    | Stranger
    | StrangerTrack
    | AppearanceRow
    | Application
)
_TABLES: dict[type[Table], str] = {
    Project: "projects",
    Face: "faces",
    ModelVersion: "models",
    VideoRow: "videos",
    AnalysisRow: "analyses",
    Revision: "revisions",
    Job: "jobs",
    Correction: "corrections",
    Stranger: "strangers",
    StrangerTrack: "stranger_tracks",
    AppearanceRow: "appearances",
    Application: "applications",
}
_COLUMNS = {kind: tuple(field.name for field in fields(kind)) for kind in _TABLES}
DECODERS: dict[str, Callable[[Any], Any]] = {
    "status": FaceStatus,
    "embedding": lambda blob: None if blob is None else unpack_embedding(blob),
    "metrics": json.loads,
    "summary": json.loads,
    "state": JobState,
    "spec": json.loads,
    "segments": lambda text: tuple(read_segment(values) for values in json.loads(text)),
    "webhook": lambda text: None if text is None else Webhook(**json.loads(text)),
    "cancel_requested": bool,
    "by_hand": bool,
    "decision": Decision,
    # A list of whole numbers: a third of the time of reading any JSON, and search reads thousands.
    "track_ids": lambda text: tuple(map(int, text[1:-1].split(","))),
    "undo": lambda blob: None if blob is None else json.loads(zlib.decompress(blob)),
}


def pack_embedding(embedding: FloatArray) -> bytes:
    """Return an embedding as little-endian float32."""
    return embedding.astype("<f4", copy=False).tobytes()


def unpack_embedding(blob: bytes) -> FloatArray:
    """Return what `pack_embedding` was given, as a read-only array."""
    return np.frombuffer(blob, "<f4")


def pack_track(track: Track) -> bytes:
    """Return a track's arrays one after the other; lengths and crops are not among them.

    The 8-byte types come first, so that every array lies aligned in the blob.
    """
    return b"".join(
        (
            np.array([track.start_s, track.end_s], "<f8").tobytes(),
            track.times_s.astype("<f8", copy=False).tobytes(),
            track.frame_indexes.astype("<i8", copy=False).tobytes(),
            track.embedded.astype("<i8", copy=False).tobytes(),
            track.boxes.astype("<f4", copy=False).tobytes(),
            track.scores.astype("<f4", copy=False).tobytes(),
            track.landmarks.astype("<f4", copy=False).tobytes(),
            track.quality.astype("<f4", copy=False).tobytes(),
            track.embeddings.astype("<f4", copy=False).tobytes(),
        )
    )


def unpack_track(track_id: int, shot: int, samples: int, embedded: int, dimension: int, blob: bytes) -> Track:
    """Return the track whose arrays `pack_track` wrote, as read-only views of the blob and without crops.

    Parameters
    ----------
    samples : int
        Length N of the track.
    embedded : int
        Number K of its embeddings.
    dimension : int
        Length D of an embedding.
    """
    start_s, end_s = np.frombuffer(blob, "<f8", 2).tolist()
    singles = 8 * (2 + 2 * samples + embedded)
    wholes = np.frombuffer(blob, "<i8", 2 * samples + embedded, 16)
    floats = np.frombuffer(blob, "<f4", offset=singles)
    return Track(
        track_id=track_id,
        shot=shot,
        times_s=wholes[:samples].view("<f8"),
        frame_indexes=wholes[samples : 2 * samples],
        embedded=wholes[2 * samples :],
        boxes=floats[: 4 * samples].reshape(samples, 4),
        scores=floats[4 * samples : 5 * samples],
        landmarks=floats[5 * samples : 15 * samples].reshape(samples, 5, 2),
        quality=floats[15 * samples : 16 * samples],
        embeddings=floats[16 * samples :].reshape(embedded, dimension),
        start_s=start_s,
        end_s=end_s,
    )


def without_embeddings(track: Track) -> Track:
    """Return a track that says when and where a face was, and nothing of whose it is."""
    return replace(track, embedded=track.embedded[:0], embeddings=track.embeddings[:0], crops=())


def pack_vectors(tracks: Sequence[Track]) -> tuple[int, bytes, bytes] | None:
    """Return the dimension, the ids and the mean embeddings of those tracks that have embeddings; None where none has."""
    # Here and not above: who only reads a store needs no scikit-learn.
    from facerec_models.vectors import track_embedding

    with np.errstate(all="ignore"):  # a store takes any numbers
        found = {track.track_id: track_embedding(track) for track in tracks if len(track.embedded)}
    if not found:
        return None
    ids = sorted(found)
    vectors = np.stack([found[track_id] for track_id in ids])
    return vectors.shape[1], np.array(ids, "<i8").tobytes(), pack_embedding(vectors)


def encode(name: str, value: Any) -> Any:
    """Return a field of a row as a store keeps it."""
    if name == "undo" and value is not None:
        # It names each unknown track of the archive: compressed it is a tenth.
        return zlib.compress(json.dumps(value).encode())
    if isinstance(value, np.ndarray):
        return pack_embedding(value)
    if isinstance(value, dict | tuple | Webhook):
        return json.dumps(value, default=asdict)
    return str(value) if isinstance(value, StrEnum) else value


def encode_row(row: Table) -> dict[str, Any]:
    """Return a row's columns: arrays as bytes, dicts and tuples as JSON."""
    return {name: encode(name, getattr(row, name)) for name in columns_of(type(row))}


def decode_row(kind: type[Row], columns: Mapping[str, Any]) -> Row:
    """Return the row that `encode_row` was given; other columns are left out."""
    names = columns_of(kind)
    return kind(**{name: DECODERS[name](columns[name]) if name in DECODERS else columns[name] for name in names})


def columns_of(kind: type[Any]) -> tuple[str, ...]:
    """Return the names of a type's columns."""
    return _COLUMNS[kind]


def table_of(kind: type[Any]) -> str:
    """Return the name of the table, or of the collection, that keeps rows of a type."""
    return _TABLES[kind]

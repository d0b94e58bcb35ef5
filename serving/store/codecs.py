"""Rows as columns, and arrays as bytes: little-endian, without a header, so that reading copies nothing."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from facerec_models.types import Decision, FloatArray, Track
from serving.store.access_rows import ApiKey, AuditEntry, PersonNote
from serving.store.job_rows import Job, JobState, Webhook, read_segment
from serving.store.naming_rows import (
    AppearanceRow,
    AppliedEdit,
    Correction,
    CorrectionKind,
    FormerRow,
    NamedTracks,
    Stranger,
    StrangerSums,
    StrangerTrack,
)
from serving.store.rows import AnalysisRow, Face, FaceStatus, ModelVersion, Project, VideoRow

if TYPE_CHECKING:
    from facerec_models.identification.track_columns import TrackColumns

Row = TypeVar("Row")
Table = (
    Project
    | Face
    | ModelVersion
    | VideoRow
    | AnalysisRow
    | Job
    | Correction
    | Stranger
    | StrangerTrack
    | StrangerSums
    | AppearanceRow
    | NamedTracks
    | AppliedEdit
    | FormerRow
    | ApiKey
    | AuditEntry
    | PersonNote
)
_TABLES: dict[type[Table], str] = {
    Project: "projects",
    Face: "faces",
    ModelVersion: "models",
    VideoRow: "videos",
    AnalysisRow: "analyses",
    Job: "jobs",
    Correction: "corrections",
    Stranger: "strangers",
    StrangerTrack: "stranger_tracks",
    StrangerSums: "stranger_sums",
    AppearanceRow: "appearances",
    NamedTracks: "named_tracks",
    AppliedEdit: "edits",
    FormerRow: "former_rows",
    ApiKey: "api_keys",
    AuditEntry: "audit",
    PersonNote: "person_notes",
}
_COLUMNS = {kind: tuple(field.name for field in fields(kind)) for kind in _TABLES}
DECODERS: dict[str, Callable[[Any], Any]] = {
    "status": FaceStatus,
    "embedding": lambda blob: None if blob is None else unpack_embedding(blob),
    "metrics": json.loads,
    "summary": json.loads,
    "state": JobState,
    "spec": json.loads,
    **dict.fromkeys(("policy", "grants", "details"), json.loads),
    "catalogue": lambda text: None if text is None else json.loads(text),
    "segments": lambda text: tuple(read_segment(values) for values in json.loads(text)),
    "webhook": lambda text: None if text is None else Webhook(**json.loads(text)),
    "cancel_requested": bool,
    "by_hand": bool,
    "decision": Decision,
    # A list of whole numbers: a third of the time of reading any JSON, and search reads thousands.
    "track_ids": lambda text: tuple(map(int, text[1:-1].split(","))),
    "carried": lambda text: tuple((analysis_id, track_id) for analysis_id, track_id in json.loads(text)),
    "renamed": lambda text: None if text is None else tuple(json.loads(text)),
    "totals": lambda blob: np.frombuffer(blob, "<f8"),
    **dict.fromkeys(("names", "stranger_ids"), lambda text: tuple(json.loads(text))),
    **dict.fromkeys(("is_hidden", "is_confirmed", "is_contended", "can_undo"), bool),
    **dict.fromkeys(("decisions", "reasons", "confirmed"), lambda blob: np.frombuffer(blob, "<i1")),
    **dict.fromkeys(("owners", "besides", "counts"), lambda blob: np.frombuffer(blob, "<i4")),
    **dict.fromkeys(("scores", "chosen"), lambda blob: np.frombuffer(blob, "<f4")),
}

_PLAIN = {int, float, str, bool, bytes, type(None)}
_PLAIN_TYPES = {"int", "float", "str", "bool", "bytes", "None"}

# A job has a kind, too.
_OF_CORRECTIONS = {**DECODERS, "kind": CorrectionKind}


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


def pack_columns(columns: TrackColumns) -> dict[str, Any]:
    """Return the columns of an analysis' tracks as those of the table ``track_columns``; the 8-byte types come first."""
    eight = (columns.track_ids, columns.first_frames, columns.start_s, columns.end_s)
    four = (columns.shots, columns.together, columns.quality, columns.detected, columns.weight, columns.first_boxes)
    blobs = [_little_endian(array).tobytes() for array in (*eight, *four, columns.vectors)]
    return {
        "tracks": len(columns),
        "pairs": len(columns.together),
        "dimension": columns.vectors.shape[1],
        "arrays": b"".join(blobs),
    }


def _little_endian(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def unpack_columns(tracks: int, pairs: int, dimension: int, blob: bytes) -> TrackColumns:
    """Return the columns that `pack_columns` was given, as read-only views of the blob."""
    # Here and not above: who only reads rows needs no scientific libraries.
    from facerec_models.identification.track_columns import TrackColumns

    eight = np.frombuffer(blob, "<i8", 4 * tracks).reshape(4, tracks)
    rest = np.frombuffer(blob, "<f4", offset=32 * tracks)
    whole = rest.view("<i4")
    ends = np.cumsum([tracks, 2 * pairs, tracks, tracks, tracks, 4 * tracks])
    return TrackColumns(
        track_ids=eight[0],
        first_frames=eight[1],
        start_s=eight[2].view("<f8"),
        end_s=eight[3].view("<f8"),
        shots=whole[: ends[0]],
        together=whole[ends[0] : ends[1]].reshape(pairs, 2),
        quality=rest[ends[1] : ends[2]],
        detected=rest[ends[2] : ends[3]],
        weight=rest[ends[3] : ends[4]],
        first_boxes=rest[ends[4] : ends[5]].reshape(tracks, 4),
        vectors=rest[ends[5] :].reshape(tracks, dimension),
    )


def encode(name: str, value: Any) -> Any:
    """Return a field of a row as a store keeps it."""
    if type(value) in _PLAIN:  # most of them
        return value
    if isinstance(value, np.ndarray):
        return pack_embedding(value) if name == "embedding" else _little_endian(value).tobytes()
    if name == "track_ids":  # without JSON's checks
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, dict | tuple | Webhook):
        return json.dumps(value, default=asdict)
    return str(value) if isinstance(value, StrEnum) else value


def row_encoder(kind: type[Any]) -> Callable[[Any], list[Any]]:
    """Return what makes the values of a row's columns, in their order: for many rows a third of the time of `encode_row`."""
    names = columns_of(kind)
    get = attrgetter(*names)
    special = [
        (place, field.name)
        for place, field in enumerate(fields(kind))
        if not set(field.type.split(" | ")) <= _PLAIN_TYPES
    ]

    def values_of(row: Table) -> list[Any]:
        values = list(get(row))
        for place, name in special:
            values[place] = encode(name, values[place])
        return values

    return values_of


def encode_row(row: Table) -> dict[str, Any]:
    """Return a row's columns: arrays as bytes, dicts and tuples as JSON."""
    return {name: encode(name, getattr(row, name)) for name in columns_of(type(row))}


def decode_row(kind: type[Row], columns: Mapping[str, Any]) -> Row:
    """Return the row that `encode_row` was given; other columns are left out."""
    names = columns_of(kind)
    decoders = decoders_of(kind)
    # What a program of the version before has written lacks what is new since.
    return kind(
        **{
            name: decoders[name](columns[name]) if name in decoders else columns[name]
            for name in names
            if name in columns
        }
    )


def decoders_of(kind: type[Any]) -> Mapping[str, Callable[[Any], Any]]:
    """Return what makes values of a type's columns, where they are kept otherwise."""
    return _OF_CORRECTIONS if kind is Correction else DECODERS


def columns_of(kind: type[Any]) -> tuple[str, ...]:
    """Return the names of a type's columns."""
    return _COLUMNS[kind]


def table_of(kind: type[Any]) -> str:
    """Return the name of the table, or of the collection, that keeps rows of a type."""
    return _TABLES[kind]


def row_to_json(row: Table) -> str:
    """Return a row's columns as JSON; bytes are base64."""
    columns = encode_row(row)
    blobs = [name for name, value in columns.items() if isinstance(value, bytes)]
    return json.dumps({**columns, **{name: b64encode(columns[name]).decode() for name in blobs}, "": blobs})


def row_from_json(kind: type[Row], text: str) -> Row:
    """Return the row that `row_to_json` was given."""
    columns = json.loads(text)
    return decode_row(kind, {**columns, **{name: b64decode(columns[name]) for name in columns[""]}})

"""Arrays as bytes: little-endian, without a header, so that reading copies nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from facerec_models.types import FloatArray, Track


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
    from facerec_models.identification import track_embedding

    with np.errstate(all="ignore"):  # a store takes any numbers
        found = {track.track_id: track_embedding(track) for track in tracks if len(track.embedded)}
    if not found:
        return None
    ids = sorted(found)
    vectors = np.stack([found[track_id] for track_id in ids])
    return vectors.shape[1], np.array(ids, "<i8").tobytes(), pack_embedding(vectors)

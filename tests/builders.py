"""Synthetic values for tests of logic; the similarities are those of the packaged network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import skimage.data

from facerec_models.config import LimitsConfig
from facerec_models.identification.cohort import Cohort, load_cohort
from facerec_models.images import read_image
from facerec_models.types import (
    Candidate,
    Decision,
    Detections,
    FaceSet,
    FloatArray,
    ImageArray,
    Match,
    Track,
    UndecidableReason,
)
from facerec_models.vectors import normalize

EMBEDDER = "dlib-resnet-v1"
DIMENSION = 128

# The similarity of two faces of one person, and of two people.
SAME, DIFFERENT = 0.955, 0.845

# Five landmarks in the unit square of a face's box.
LANDMARKS = np.array([[0.3, 0.38], [0.7, 0.38], [0.5, 0.58], [0.33, 0.76], [0.67, 0.76]], np.float32)


@cache
def cohort() -> Cohort:
    return load_cohort(EMBEDDER)


def sample_picture(name: str) -> ImageArray:
    """Read one of the pictures that scikit-image carries."""
    return read_image(Path(skimage.data.__file__).parent / name, LimitsConfig())


def _direction(*seed: int) -> FloatArray:
    return normalize(np.random.default_rng(seed).normal(size=DIMENSION))


def person(number: int) -> FloatArray:
    """Return a person's mean face; all faces, the cohort's too, share most of their direction."""
    shared = DIFFERENT / SAME
    everybody = normalize(cohort().stills.mean(axis=0))
    return normalize(np.sqrt(shared) * everybody + np.sqrt(1 - shared) * _direction(1, number))


def face_of(number: int, at: int = 0, similarity: float = SAME) -> FloatArray:
    """Return a face of a person; two of them are `similarity` alike."""
    return normalize(np.sqrt(similarity) * person(number) + np.sqrt(1 - similarity) * _direction(2, number, at))


def near(face: FloatArray, similarity: float, seed: int = 0) -> FloatArray:
    """Return a unit vector of exactly this similarity to another."""
    aside = _direction(3, seed)
    aside = normalize(aside - (aside @ face) * face)
    return normalize(similarity * face + np.sqrt(1 - similarity**2) * aside)


@dataclass(frozen=True, slots=True)
class Seen:
    """A face in a frame: who (a number below 100), where its centre is, its side, its quality, its embedding."""

    who: int
    x: float
    y: float = 180.0
    side: float = 60.0
    quality: float = 0.9
    embedding: FloatArray | None = None


def face_set(seen: Sequence[Seen], at: int = 0) -> FaceSet:
    """Make the faces of a frame. Their scores tell who they are: see `people_of`."""
    boxes = np.array(
        [[s.x - s.side / 2, s.y - s.side / 2, s.x + s.side / 2, s.y + s.side / 2] for s in seen], np.float32
    )
    boxes = boxes.reshape(-1, 4)
    embeddings = [face_of(s.who, at) if s.embedding is None else s.embedding for s in seen]
    return FaceSet(
        Detections(
            boxes,
            np.array([s.who / 100 for s in seen], np.float32),
            (boxes[:, None, :2] + LANDMARKS * (boxes[:, None, 2:] - boxes[:, None, :2])).astype(np.float32),
        ),
        np.zeros((len(seen), 8, 8, 3), np.uint8),
        np.array([s.quality for s in seen], np.float32),
        np.stack(embeddings) if embeddings else np.zeros((0, DIMENSION), np.float32),
    )


def people_of(track: Track) -> set[int]:
    """Return who the samples of a track made of `Seen` faces show."""
    return {round(score * 100) for score in track.scores.tolist()}


def make_track(
    track_id: int,
    times_s: Sequence[float],
    *,
    shot: int = 0,
    embeddings: FloatArray | None = None,
    quality: float | Sequence[float] = 0.9,
    frames: Sequence[int] | None = None,
    x: float = 0.0,
    reach_s: float = 0.5,
) -> Track:
    """Make a track of one sample per time, all kept unless `embeddings` are fewer; at 25 frames a second.

    The face is in view for `reach_s` beyond its samples, as between coarse ones.
    """
    count = len(times_s)
    kept = face_of(track_id)[None].repeat(count, axis=0) if embeddings is None else embeddings
    box = np.array([x, 0, x + 60, 60], np.float32)
    return Track(
        track_id=track_id,
        shot=shot,
        times_s=np.array(times_s, np.float64),
        frame_indexes=np.array([round(t * 25) for t in times_s] if frames is None else frames, np.int64),
        boxes=np.tile(box, (count, 1)),
        scores=np.full(count, 0.99, np.float32),
        landmarks=np.tile(box[:2] + LANDMARKS * 60, (count, 1, 1)).astype(np.float32),
        quality=np.full(count, quality, np.float32) if isinstance(quality, float) else np.array(quality, np.float32),
        embedded=np.arange(len(kept), dtype=np.int64),
        embeddings=kept.astype(np.float32),
        start_s=max(times_s[0] - reach_s, 0.0) if times_s else 0.0,
        end_s=times_s[-1] + max(reach_s, 0.04) if times_s else 0.0,
    )


def make_match(person_id: str | None = None, *, decidable: bool = True, rate: float = 0.001) -> Match:
    """Make an answer: named, or unknown, or undecidable."""
    decision = Decision.NAMED if person_id else Decision.UNKNOWN if decidable else Decision.UNDECIDABLE
    candidates = (Candidate("Ann_Lee", 0.96, 0.9), Candidate("Bob", 0.9, 0.1))
    reason = UndecidableReason.POOR if decision is Decision.UNDECIDABLE else None
    return Match(decision, person_id, 0.9, rate, candidates, reason)

"""The values that flow through the chain, one type per arrow.

::

    video → Frame → Detections → Track (with embeddings) → Match → Appearance

Each type checks itself where it is made, so that a wrong shape fails at birth and names both shapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]
ImageArray = npt.NDArray[np.uint8]
# (start_s, end_s): the start belongs to it, the end does not.
Interval = tuple[float, float]

LANDMARK_NAMES = ("eye_left", "eye_right", "nose", "mouth_left", "mouth_right")


def _check(name: str, array: npt.NDArray[np.generic], shape: tuple[int | None, ...], dtype: type) -> None:
    """Raise ValueError unless `array` has this dtype and shape; None in `shape` matches any size."""
    if array.dtype == dtype and array.ndim == len(shape):
        for size, got in zip(shape, array.shape, strict=True):
            if size is not None and size != got:
                break
        else:
            return
    wanted = "x".join("N" if size is None else str(size) for size in shape)
    raise ValueError(f"{name} must be {wanted} {np.dtype(dtype)}, not {'x'.join(map(str, array.shape))} {array.dtype}")


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a video, or a still.

    Parameters
    ----------
    image : (H, W, 3) uint8
        RGB, upright (rotation metadata applied).
    index : int
        Number of the frame in its video, from 0 in presentation order.
    pts : int
        Presentation timestamp in units of `time_base`, counted from the video's first frame.
    time_base : Fraction
        Seconds per unit of `pts`.

    Examples
    --------
    >>> frame = Frame(np.zeros((360, 640, 3), np.uint8), index=50, pts=2000, time_base=Fraction(1, 1000))
    >>> frame.time_s, frame.width, frame.height
    (2.0, 640, 360)
    """

    image: ImageArray
    index: int = 0
    pts: int = 0
    time_base: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        _check("frame image", self.image, (None, None, 3), np.uint8)

    @property
    def time_s(self) -> float:
        """Seconds since the first decoded frame."""
        return float(self.pts * self.time_base)

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.image.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The faces found in one frame, in no particular order.

    Parameters
    ----------
    boxes : (N, 4) float32
        ``xyxy`` in pixels of the original frame, right and bottom exclusive, clipped to the frame.
    scores : (N,) float32
        The detector's output, in [0, 1].
    landmarks : (N, 5, 2) float32
        ``(x, y)`` of `LANDMARK_NAMES`, left of the image first.

    Examples
    --------
    >>> found = Detections(np.zeros((2, 4), np.float32), np.float32([0.9, 0.99]), np.zeros((2, 5, 2), np.float32))
    >>> len(found), len(found.select(found.scores > 0.95))
    (2, 1)
    >>> Detections(np.zeros((2, 4), np.float32), np.float32([0.9]), np.zeros((2, 5, 2), np.float32))
    Traceback (most recent call last):
    ValueError: scores must be 2 float32, not 1 float32
    """

    boxes: FloatArray
    scores: FloatArray
    landmarks: FloatArray

    def __post_init__(self) -> None:
        _check("boxes", self.boxes, (None, 4), np.float32)
        _check("scores", self.scores, (len(self.boxes),), np.float32)
        _check("landmarks", self.landmarks, (len(self.boxes), 5, 2), np.float32)

    @classmethod
    def empty(cls) -> Detections:
        """No face."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, index: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Detections:
        """Return the faces that a mask or an index array picks."""
        return Detections(self.boxes[index], self.scores[index], self.landmarks[index])


@dataclass(frozen=True, slots=True, eq=False)
class FaceSet:
    """Detections of one frame with everything that later stages need of them.

    Parameters
    ----------
    detections : Detections
        N faces.
    crops : (N, S, S, 3) uint8
        Aligned faces, RGB, of the embedder's input size.
    quality : (N,) float32
        How likely the face is recognised, in [0, 1]; see `facerec_models.analysis.quality`.
    embeddings : (N, D) float32
        Unit length, valid only beside the embedder's name.
    """

    detections: Detections
    crops: ImageArray
    quality: FloatArray
    embeddings: FloatArray

    def __post_init__(self) -> None:
        count = len(self.detections)
        _check("crops", self.crops, (count, None, None, 3), np.uint8)
        _check("quality", self.quality, (count,), np.float32)
        _check("embeddings", self.embeddings, (count, None), np.float32)

    def __len__(self) -> int:
        return len(self.detections)


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One face followed through one shot.

    Parameters
    ----------
    track_id : int
        Unique within its video, from 1.
    shot : int
        Index of the shot that contains all samples.
    times_s : (N,) float64
        Times of the samples, ascending.
    frame_indexes : (N,) int64
    boxes : (N, 4) float32
    scores : (N,) float32
    landmarks : (N, 5, 2) float32
    quality : (N,) float32
    embedded : (K,) int64
        Which samples `embeddings` and `crops` belong to: the best of the track, best first.
    embeddings : (K, D) float32
        Unit length.
    start_s, end_s : float
        From when to when the face is in view, as far as the sampled frames tell; see `facerec_models.analysis.tracking.in_view`.
    crops : tuple of K bytes
        Aligned faces as JPEG files, in the order of `embedded`; may be empty where they are kept elsewhere.
    """

    track_id: int
    shot: int
    times_s: npt.NDArray[np.float64]
    frame_indexes: npt.NDArray[np.int64]
    boxes: FloatArray
    scores: FloatArray
    landmarks: FloatArray
    quality: FloatArray
    embedded: npt.NDArray[np.int64]
    embeddings: FloatArray
    start_s: float
    end_s: float
    crops: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.times_s)
        if count == 0:
            raise ValueError(f"track {self.track_id} has no sample")
        _check("times_s", self.times_s, (count,), np.float64)
        _check("frame_indexes", self.frame_indexes, (count,), np.int64)
        _check("boxes", self.boxes, (count, 4), np.float32)
        _check("scores", self.scores, (count,), np.float32)
        _check("landmarks", self.landmarks, (count, 5, 2), np.float32)
        _check("quality", self.quality, (count,), np.float32)
        _check("embedded", self.embedded, (None,), np.int64)
        _check("embeddings", self.embeddings, (len(self.embedded), None), np.float32)
        if self.crops and len(self.crops) != len(self.embedded):
            raise ValueError(f"track {self.track_id} has {len(self.crops)} crops for {len(self.embedded)} embeddings")

    def __len__(self) -> int:
        return len(self.times_s)


class Decision(StrEnum):
    """Whether a face or a track is named, unknown or undecidable."""

    NAMED = "named"
    UNKNOWN = "unknown"
    UNDECIDABLE = "undecidable"


class UndecidableReason(StrEnum):
    """Why a face or a track is undecidable."""

    POOR = "poor"
    MAYBE_NO_FACE = "maybe_no_face"
    NO_VECTORS = "no_vectors"
    SAME_FACE_BESIDE = "same_face_beside"
    SAME_PICTURE_BESIDE = "same_picture_beside"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person that a face may be, with the evidence for it."""

    person_id: str
    similarity: float
    probability: float


@dataclass(frozen=True, slots=True)
class Match:
    """The answer for one face or one track.

    Parameters
    ----------
    decision : Decision
    person_id : str or None
        Who it is, when the decision is ``named``.
    probability : float
        Posterior of `person_id`, or where there is none, that it is nobody enrolled.
    false_name_rate : float
        Fraction of strangers that score at least as well as this one does for `person_id`, or else for `candidates[0]`, in (0, 1].
    candidates : tuple of Candidate
        The likeliest people, likeliest first, whether or not one of them was accepted; without those whom a correction rules out.
    reason : UndecidableReason or None
        Why it is undecidable; None for every other decision.
    beside : str or None
        Where the reason is that the frame shows the same face twice: the person whom the other one shows. None if that one is
        unknown.
    score : float
        The classifier's, for `person_id` or else for the likeliest; minus infinity where nobody is enrolled.
    is_confirmed : bool
        Whether a person confirmed the name: it then holds whatever the score.

    Examples
    --------
    >>> Match(Decision.NAMED, "Ada_Lovelace", probability=0.99, false_name_rate=0.001).person_id
    'Ada_Lovelace'
    >>> Match(Decision.UNKNOWN, "Ada_Lovelace", probability=0.99, false_name_rate=0.001)
    Traceback (most recent call last):
    ValueError: decision unknown does not go with person 'Ada_Lovelace'
    """

    decision: Decision
    person_id: str | None
    probability: float
    false_name_rate: float
    candidates: tuple[Candidate, ...] = ()
    reason: UndecidableReason | None = None
    beside: str | None = None
    score: float = -np.inf
    is_confirmed: bool = False

    def __post_init__(self) -> None:
        if (self.decision is Decision.NAMED) != (self.person_id is not None):
            raise ValueError(f"decision {self.decision} does not go with person {self.person_id!r}")
        if (self.decision is Decision.UNDECIDABLE) != (self.reason is not None):
            raise ValueError(f"decision {self.decision} does not go with reason {self.reason}")


@dataclass(frozen=True, slots=True)
class Appearance:
    """A person, known or not, in a video from `start_s` to before `end_s`."""

    start_s: float
    end_s: float
    track_ids: tuple[int, ...]
    match: Match

    def __post_init__(self) -> None:
        if not self.start_s <= self.end_s:
            raise ValueError(f"appearance ends at {self.end_s} before it starts at {self.start_s}")

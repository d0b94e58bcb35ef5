"""What was found on the sampled frames of a video, or of a segment of it, before anything is linked."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from facerec_models.analysis.transitions import Thumbnail
from facerec_models.images import encode_crop
from facerec_models.types import Detections, FaceSet, FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class FrameFaces:
    """One sampled frame with its faces.

    Parameters
    ----------
    time_s : float
        Since the first frame of the video.
    until_s : float
        When the next frame is shown.
    frame_index : int
    detections : Detections
        N faces.
    quality : (N,) float32
    embeddings : (N, D) float32
    crops : tuple of N bytes
        Aligned faces as JPEG files.
    """

    time_s: float
    until_s: float
    frame_index: int
    detections: Detections
    quality: FloatArray
    embeddings: FloatArray
    crops: tuple[bytes, ...]

    @classmethod
    def of(
        cls,
        time_s: float,
        until_s: float,
        frame_index: int,
        faces: FaceSet,
        place: Callable[[Detections], Detections] = lambda found: found,
        *,
        keeps_crops: bool = True,
    ) -> FrameFaces:
        """Keep the faces of a frame, their crops as files.

        Parameters
        ----------
        place : callable, optional
            Takes boxes and landmarks from the picture in which they were found to the stored one.
        keeps_crops : bool
            Whether crops are kept here; otherwise the parent process has them.
        """
        crops = tuple(map(encode_crop, faces.crops)) if keeps_crops else ()
        return cls(time_s, until_s, frame_index, place(faces.detections), faces.quality, faces.embeddings, crops)

    def __len__(self) -> int:
        return len(self.detections)


@dataclass(slots=True)
class Timing:
    """Where the time went, in seconds, and what was done; of a video in segments summed over them, side by side or not.

    Decoding goes on while faces are found and described: the three may be more than the whole.
    """

    wall_s: float = 0.0
    decode_s: float = 0.0
    detect_s: float = 0.0
    embed_s: float = 0.0
    frames_decoded: int = 0
    frames_detected: int = 0
    faces_embedded: int = 0

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the time of a block to a field."""
        start = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, name, getattr(self, name) + time.perf_counter() - start)

    def __add__(self, other: Timing) -> Timing:
        mine, theirs = asdict(self), asdict(other)
        return Timing(**{name: mine[name] + theirs[name] for name in mine})


@dataclass(frozen=True, slots=True)
class Engines:
    """What computed the networks; several where parts of a video were computed in different places.

    Examples
    --------
    >>> Engines("a", "b") + Engines() + Engines("c", "b")
    Engines(detector='a, c', embedder='b')
    """

    detector: str = ""
    embedder: str = ""

    def __add__(self, other: Engines) -> Engines:
        return Engines(_distinct(self.detector, other.detector), _distinct(self.embedder, other.embedder))


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scanner found in a part of a video: some seconds, or a segment.

    Parameters
    ----------
    frame_faces : tuple of FrameFaces
        By time.
    cuts_s : tuple of float
        When shots begin, as far as cuts tell; the first part begins with one.
    thumbnails : tuple of Thumbnail
        Small pictures in which gradual transitions are found.
    frames : int
        How many frames were decoded, sampled or not.
    end_s : float
        When the last of them ends, in seconds.
    engines : Engines
        What computed it.
    """

    frame_faces: tuple[FrameFaces, ...] = ()
    cuts_s: tuple[float, ...] = ()
    thumbnails: tuple[Thumbnail, ...] = ()
    frames: int = 0
    end_s: float = 0.0
    timing: Timing = field(default_factory=Timing)
    engines: Engines = field(default_factory=Engines)

    def __add__(self, other: Scan) -> Scan:
        return Scan(
            self.frame_faces + other.frame_faces,
            self.cuts_s + other.cuts_s,
            self.thumbnails + other.thumbnails,
            self.frames + other.frames,
            other.end_s if other.frames else self.end_s,
            self.timing + other.timing,
            self.engines + other.engines,
        )

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Return the scan as what JSON holds, and arrays of numbers."""
        frame_faces, small = self.frame_faces, self.thumbnails
        facts = {"cuts_s": self.cuts_s, "frames": self.frames, "end_s": self.end_s}
        facts |= {"timing": asdict(self.timing), "engines": asdict(self.engines)}
        crops = [crop for frame in frame_faces for crop in frame.crops]
        return facts, {
            "times_s": np.array([frame.time_s for frame in frame_faces], np.float64),
            "until_s": np.array([frame.until_s for frame in frame_faces], np.float64),
            "frame_indexes": np.array([frame.frame_index for frame in frame_faces], np.int64),
            "faces": np.array([len(frame) for frame in frame_faces], np.int64),
            "boxes": _joined([frame.detections.boxes for frame in frame_faces], (0, 4)),
            "scores": _joined([frame.detections.scores for frame in frame_faces], (0,)),
            "landmarks": _joined([frame.detections.landmarks for frame in frame_faces], (0, 5, 2)),
            "quality": _joined([frame.quality for frame in frame_faces], (0,)),
            "embeddings": _joined([frame.embeddings for frame in frame_faces], (0, 0)),
            "crop_sizes": np.array([len(crop) for crop in crops], np.int64),
            "crops": np.frombuffer(b"".join(crops), np.uint8),
            "thumbnail_times_s": np.array([one.time_s for one in small], np.float64),
            "thumbnail_sizes": np.array([one.picture.shape for one in small], np.int64).reshape(-1, 3),
            "thumbnail_begins": np.array([one.begins_shot for one in small], bool),
            "thumbnails": np.concatenate([one.picture.reshape(-1) for one in small] or [np.zeros(0, np.uint8)]),
        }

    @classmethod
    def of_arrays(cls, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Scan:
        """Return what `to_arrays` took apart."""
        crops = _split(arrays["crops"].tobytes(), arrays["crop_sizes"].tolist())
        bounds = list(accumulate(arrays["faces"].tolist(), initial=0))
        frame_faces = tuple(
            FrameFaces(
                float(arrays["times_s"][i]),
                float(arrays["until_s"][i]),
                int(arrays["frame_indexes"][i]),
                Detections(arrays["boxes"][a:b], arrays["scores"][a:b], arrays["landmarks"][a:b]),
                arrays["quality"][a:b],
                arrays["embeddings"][a:b],
                crops[a:b],
            )
            for i, (a, b) in enumerate(pairwise(bounds))
        )
        sizes = arrays["thumbnail_sizes"]
        pictures = np.split(arrays["thumbnails"], np.cumsum(sizes.prod(axis=1))[:-1]) if len(sizes) else []
        thumbnails = tuple(
            Thumbnail(float(time_s), picture.reshape(size), bool(begins))
            for time_s, picture, size, begins in zip(
                arrays["thumbnail_times_s"], pictures, sizes.tolist(), arrays["thumbnail_begins"], strict=True
            )
        )
        timing, engines = Timing(**facts["timing"]), Engines(**facts["engines"])
        return cls(frame_faces, tuple(facts["cuts_s"]), thumbnails, facts["frames"], facts["end_s"], timing, engines)

    def to_bytes(self) -> bytes:
        """Return the scan as a file, an ``.npz`` without pickle."""
        facts, arrays = self.to_arrays()
        target = io.BytesIO()
        np.savez(target, allow_pickle=False, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)
        return target.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Scan:
        """Return what `to_bytes` wrote."""
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return cls.of_arrays(json.loads(arrays.pop("facts").tobytes()), arrays)

    def described(self, embeddings: FloatArray, crops: Sequence[bytes]) -> Scan:
        """Return the scan with embeddings and crops of all its faces, given in their order.

        Raises
        ------
        ValueError
            If there are more or fewer than faces.
        """
        bounds = list(accumulate(map(len, self.frame_faces), initial=0))
        if not bounds[-1] == len(embeddings) == len(crops):
            raise ValueError(f"a scan of {bounds[-1]} faces with {len(embeddings)} embeddings and {len(crops)} crops")
        described = (
            replace(frame, embeddings=embeddings[a:b], crops=tuple(crops[a:b]))
            for frame, (a, b) in zip(self.frame_faces, pairwise(bounds), strict=True)
        )
        return replace(self, frame_faces=tuple(described))


def _distinct(*lists: str) -> str:
    return ", ".join(dict.fromkeys(name for one in lists for name in one.split(", ") if name))


def _joined(parts: Sequence[FloatArray], empty: tuple[int, ...]) -> FloatArray:
    filled = [part for part in parts if len(part)]
    return np.concatenate(filled) if filled else np.zeros(empty, np.float32)


def _split(data: bytes, sizes: Sequence[int]) -> tuple[bytes, ...]:
    return tuple(data[a:b] for a, b in pairwise(accumulate(sizes, initial=0)))

"""Divide a long video into segments that can be scanned side by side, with the result of scanning it in one go.

A segment begins with a coarse frame of the sampling grid. To know which frame that is without decoding all before it, the
packets of the file are listed first, which reads the file and decodes nothing; a segment is then reached by seeking, and every
frame that is decoded is compared with the list. Files where the list cannot tell (missing or falling timestamps, frames
that packets hide, damage) are scanned in one go.
"""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from facerec_models.analysis.reading.sampling import Grid, Sampler
from facerec_models.config import SamplingConfig


class SegmentError(Exception):
    """A part of a video is not as the list of its frames has it: the video must be scanned in one go."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameIndex:
    """All frames of a video whose packets tell them.

    Parameters
    ----------
    pts : (N,) int64
        Timestamps as the container has them, ascending, in units of `time_base`.
    keyframes : (K,) int64
        Positions in `pts` of the frames that decoding can begin with.
    time_base : Fraction
        Seconds per unit.
    """

    pts: npt.NDArray[np.int64]
    keyframes: npt.NDArray[np.int64]
    time_base: Fraction

    def __len__(self) -> int:
        return len(self.pts)

    def time_s(self, frame: int) -> float:
        """Return the time of a frame since the first, exactly as `DecodedFrame.time_s` has it."""
        # Division of whole numbers rounds as a fraction's conversion does.
        ticks = int(self.pts[frame] - self.pts[0])
        return ticks * self.time_base.numerator / self.time_base.denominator

    def find(self, pts: int | None) -> int | None:
        """Return the frame that has this timestamp, if there is one."""
        if pts is None:
            return None
        at = int(np.searchsorted(self.pts, pts))
        return at if at < len(self.pts) and self.pts[at] == pts else None

    def entries(self, frame: int) -> Iterator[int | None]:
        """Yield timestamps to seek from which decoding should give a frame, each earlier than the last; None is the beginning.

        The first is that of the last keyframe but one: pictures after a keyframe may refer to some before it. Containers
        without a list of their own, such as MPEG-TS, are now and then reached too late, so there are more.
        """
        before = int(np.searchsorted(self.keyframes, frame, side="right"))
        for back in (2, 4, 16):
            if before > back:
                yield int(self.pts[self.keyframes[before - back]])
        yield None

    def to_bytes(self) -> bytes:
        """Return the index as a file, an ``.npz`` without pickle."""
        target = io.BytesIO()
        ratio = np.array(self.time_base.as_integer_ratio(), np.int64)
        np.savez_compressed(target, pts=self.pts, keyframes=self.keyframes, time_base=ratio)
        return target.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> FrameIndex:
        """Return what `to_bytes` wrote."""
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return cls(file["pts"], file["keyframes"], Fraction(*file["time_base"].tolist()))


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a video.

    Parameters
    ----------
    origin : int
        The first frame of the whole analysis.
    first : int
        The segment's first frame, a coarse one.
    end : int
        The frame after its last.
    is_last : bool
        Whether the analysis ends with it; otherwise frame `end` is the next one's first.
    start_s, end_s : float
        Times of `first` and `end`.
    """

    origin: int
    first: int
    end: int
    is_last: bool
    start_s: float
    end_s: float


def plan_segments(index: FrameIndex, sampling: SamplingConfig, fps: float, count: int) -> list[Segment]:
    """Divide a video, or the fragment that is asked for, into segments of about equal length.

    Parameters
    ----------
    fps : float
        Average frame rate of the video.
    count : int
        How many; fewer where there are not as many coarse frames.
    """
    start_s, end_s = sampling.fragment or (0.0, float("inf"))
    times_s = [index.time_s(i) for i in range(len(index))]
    origin, end = bisect_left(times_s, start_s), bisect_left(times_s, end_s)
    sampler = Sampler(sampling, fps, start_s)
    coarse = [i for i in range(origin, end) if sampler.classify(times_s[i]) is Grid.COARSE]
    starts = sorted({coarse[len(coarse) * k // count] for k in range(count)}) if coarse else []
    bounds = pairwise([*starts, end])
    return [Segment(origin, a, b, b == end, times_s[a], times_s[min(b, len(index) - 1)]) for a, b in bounds]


def sampler_at(index: FrameIndex, segment: Segment, sampling: SamplingConfig, fps: float) -> Sampler:
    """Return the sampler as it is when all frames before the segment were offered to it."""
    sampler = Sampler(sampling, fps, sampling.fragment[0] if sampling.fragment else 0.0)
    for i in range(segment.origin, segment.first):
        sampler.classify(index.time_s(i))
    return sampler

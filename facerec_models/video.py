"""Say what a video is, and give its frames with exact times."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import Interpolation

from facerec_models.config import LimitsConfig
from facerec_models.decoding import Clock, Decoder, PacketList, open_container, picture_stream
from facerec_models.errors import LimitExceededError, VideoDecodeError
from facerec_models.segments import FrameIndex, SegmentError
from facerec_models.types import Frame, ImageArray

_SIGNATURE_SIDE = 32


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video says about itself.

    Parameters
    ----------
    path : Path
    container, codec : str
        FFmpeg's names.
    duration_s : float or None
        What the header says; None when it says nothing.
    fps : float
        Frames per second on average.
    width, height : int
        Pixels of the upright picture.
    rotation_deg : int
        How far the stored picture is turned clockwise to be upright: 0, 90, 180 or 270.
    start_pts_s : float
        The container's time of the first decoded frame.
    time_base : Fraction
        Seconds per unit of the frames' timestamps.
    """

    path: Path
    container: str
    codec: str
    duration_s: float | None
    fps: float
    width: int
    height: int
    rotation_deg: int
    start_pts_s: float
    time_base: Fraction


@dataclass(frozen=True, slots=True)
class Orientation:
    """What makes a stored picture upright: first swap the axes, then mirror x, then mirror y."""

    swaps_axes: bool
    mirrors_x: bool
    mirrors_y: bool

    @classmethod
    def of(cls, picture: av.VideoFrame) -> Orientation:
        """Read FFmpeg's display matrix.

        It maps (x, y) to (a x + c y, b x + d y) and is stored as a, b, u, c, d, v, x, y, w.
        """
        side_data: Mapping[str, Any] = picture.side_data
        matrix = side_data.get("DISPLAYMATRIX")
        if matrix is None:
            return cls(False, False, False)
        a, b, _, c, d = np.frombuffer(matrix, np.int32, 5).tolist()
        return cls(True, c < 0, b < 0) if abs(b) > abs(a) else cls(False, a < 0, d < 0)

    @property
    def rotation_deg(self) -> int:
        """How far the picture is turned clockwise, apart from mirroring."""
        if self.swaps_axes:
            return 90 if self.mirrors_x else 270
        return 180 if self.mirrors_y else 0

    def apply(self, image: ImageArray) -> ImageArray:
        """Return the upright picture."""
        if self.swaps_axes:
            image = image.transpose(1, 0, 2)
        image = image[:: -1 if self.mirrors_y else 1, :: -1 if self.mirrors_x else 1]
        return np.ascontiguousarray(image)


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """A frame that is decoded but not yet converted to RGB.

    Parameters
    ----------
    picture : av.VideoFrame
        As the decoder gave it: not upright, in the codec's own colours.
    orientation : Orientation
        What makes it upright.
    index, pts, time_base
        As in `Frame`.
    """

    picture: av.VideoFrame
    orientation: Orientation
    index: int
    pts: int
    time_base: Fraction

    @property
    def time_s(self) -> float:
        """Seconds since the first decoded frame."""
        return float(self.pts * self.time_base)

    def to_frame(self) -> Frame:
        """Convert to an upright RGB frame."""
        # One thread: swscale starts its threads anew for each frame, which costs three times the conversion at 720p.
        image: ImageArray = self.picture.to_ndarray(format="rgb24", threads=1).astype(np.uint8, copy=False)
        return Frame(self.orientation.apply(image), self.index, self.pts, self.time_base)

    def signature(self) -> ImageArray:
        """Return a tiny picture to tell cuts by, far cheaper than `to_frame`.

        Returns
        -------
        (h, w, 3) uint8
            Luma and the two colour differences at points of the stored picture, not upright; the longer side is 32.
        """
        scale = _SIGNATURE_SIDE / max(self.picture.width, self.picture.height)
        small = self.picture.reformat(
            max(1, round(self.picture.width * scale)),
            max(1, round(self.picture.height * scale)),
            "yuv444p",
            interpolation=Interpolation.FAST_BILINEAR,
            threads=1,
        )
        return small.to_ndarray(channel_last=True).astype(np.uint8, copy=False)


class Video:
    """A video file, opened and checked; iterate `frames` to decode it.

    Parameters
    ----------
    path : Path
        A local file.
    limits : LimitsConfig
        Bounds on picture size and duration, checked in the header first.
    name : str, optional
        What errors call the file, where its path would tell nobody anything; the path by default.

    Attributes
    ----------
    info : VideoInfo
    complete : bool
        Whether the last iteration came to its end and nothing in it was missing or damaged.
    warnings : tuple of str
        What was wrong with the part that the last iteration read, one line each.

    Raises
    ------
    VideoOpenError
        If the file is no video of an allowed kind.
    VideoDecodeError
        If not one frame can be decoded.
    LimitExceededError
        If the video is larger or longer than `limits` allow.
    """

    def __init__(self, path: Path, limits: LimitsConfig, *, name: str | None = None) -> None:
        self.path = path
        self.name = str(path) if name is None else name
        self.complete = False
        self.warnings: tuple[str, ...] = ()
        self._limits = limits
        self._running: Generator[DecodedFrame, None, None] | None = None
        with open_container(path, self.name) as container:
            stream = picture_stream(container, self.name)
            self._check_size(stream.width, stream.height)
            duration_s = _duration_s(container, stream)
            self._check_duration(duration_s or 0.0)
            first = next(Decoder(container, stream, limits.max_frame_pixels).pictures(), None)
            if first is None or first.time_base is None:
                raise VideoDecodeError(
                    f"{self.name!r} has no readable picture (codec {stream.codec_context.name}): it is damaged or "
                    "cut off; copy it again or re-encode it"
                )
            self._stored_size = first.width, first.height
            # Once, and not for each frame: PyAV's side data and its frame hold each other until a garbage collection.
            self._orientation = Orientation.of(first)
            width, height = self._stored_size[::-1] if self._orientation.swaps_axes else self._stored_size
            self.info = VideoInfo(
                path=path,
                container=container.format.name,
                codec=stream.codec_context.codec.canonical_name,
                duration_s=duration_s,
                fps=float(stream.average_rate or stream.guessed_rate or 25),
                width=width,
                height=height,
                rotation_deg=self._orientation.rotation_deg,
                start_pts_s=float((first.pts or 0) * first.time_base),
                time_base=first.time_base,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running is not None:
            self._running.close()

    def frames(self, start_s: float = 0.0, end_s: float | None = None) -> Iterator[DecodedFrame]:
        """Decode from the beginning and yield the frames with ``start_s <= time_s < end_s``.

        There is no seeking, so that `index` and `time_s` are the same whatever part is asked for. A damaged video
        yields what can be read; `complete` and `warnings` tell afterwards. Each call begins anew and ends the last.

        Raises
        ------
        LimitExceededError
            While iterating, where the video turns out to be longer than its header says and the limit allows.
        """
        if self._running is not None:
            self._running.close()
        self.complete = False
        self.warnings = ()
        self._running = self._frames(start_s, end_s)
        return self._running

    def index(self) -> FrameIndex | None:
        """List all frames from the packets of the file, without decoding.

        Returns
        -------
        FrameIndex or None
            None where packets do not tell: the video can only be read from its beginning.
        """
        with open_container(self.path, self.name) as container:
            stream = picture_stream(container, self.name)
            packets = PacketList.read(container, stream)
        index = packets.index(self.info.time_base)
        if index is None or float(int(index.pts[0]) * index.time_base) != self.info.start_pts_s:
            return None
        end_s = packets.end_s - self.info.start_pts_s
        return None if self._is_cut_off(packets.has_duration, end_s, packets.sound_end_s) else index

    def segment(self, index: FrameIndex, first: int, end: int) -> Iterator[DecodedFrame]:
        """Seek, and yield exactly the frames from `first` to before `end`, as `frames` would yield them.

        Raises
        ------
        SegmentError
            While iterating, where what is decoded is not what the index says.
        """
        if self._running is not None:
            self._running.close()
        self._running = self._segment(index, first, end)
        return self._running

    def _segment(self, index: FrameIndex, first: int, end: int) -> Generator[DecodedFrame, None, None]:
        expected = first
        for entry in index.entries(first):
            with open_container(self.path, self.name) as container:
                stream = picture_stream(container, self.name)
                if entry is not None:
                    container.seek(entry, stream=stream)
                decoder = Decoder(container, stream, self._limits.max_frame_pixels)
                for picture in decoder.pictures():
                    found = index.find(picture.pts)
                    if found is not None and found < first and expected == first:
                        continue
                    if found != expected or (picture.width, picture.height) != self._stored_size:
                        break
                    pts = int(index.pts[expected] - index.pts[0])
                    yield DecodedFrame(picture, self._orientation, expected, pts, self.info.time_base)
                    expected += 1
                    if expected == end:
                        return
            if expected > first:
                break
        raise SegmentError(
            f"{self.name!r}: after frame {expected - 1} of {first} to {end} comes another than its packets say"
        )

    def _frames(self, start_s: float, end_s: float | None) -> Generator[DecodedFrame, None, None]:
        with open_container(self.path, self.name) as container:
            stream = picture_stream(container, self.name)
            decoder = Decoder(container, stream, self._limits.max_frame_pixels)
            clock = Clock(self.info.fps, self.info.time_base)
            resized_s: float | None = None
            at_end = True
            for index, picture in enumerate(decoder.pictures()):
                frame = DecodedFrame(picture, self._orientation, index, clock.tick(picture), self.info.time_base)
                self._check_duration(frame.time_s)
                if end_s is not None and frame.time_s >= end_s:
                    at_end = False
                    break
                if frame.time_s < start_s:
                    continue
                if (picture.width, picture.height) != self._stored_size:
                    resized_s = frame.time_s if resized_s is None else resized_s
                    frame = replace(frame, picture=picture.reformat(*self._stored_size, threads=1))
                yield frame
            is_cut_off = self._is_cut_off(bool(stream.duration), clock.end_s, decoder.sound_end_s)
            self._report(decoder, clock, resized_s, is_cut_off=at_end and is_cut_off)

    def _is_cut_off(self, stream_has_duration: bool, end_s: float, sound_end_s: float) -> bool:
        expected_s = self.info.duration_s
        if expected_s is None:
            return False
        # A stream's duration counts from its own beginning, a container's from zero and over all streams.
        end_s = end_s if stream_has_duration else max(end_s + self.info.start_pts_s, sound_end_s)
        # Headers round, and the last frame's own duration is often not stored.
        return end_s < expected_s - max(2 / self.info.fps, min(0.5, expected_s / 20))

    def _report(self, decoder: Decoder, clock: Clock, resized_s: float | None, *, is_cut_off: bool) -> None:
        warnings = []
        if decoder.damaged_packets:
            after_s = clock.since_first_s(decoder.damaged_after)
            warnings.append(f"damaged after {after_s:.2f} s: {decoder.damaged_packets} packets could not be decoded")
        if is_cut_off:
            warnings.append(f"cut off: ends at {clock.end_s:.2f} s, but its header says {self.info.duration_s:.2f} s")
        if clock.repaired:
            warnings.append(f"{clock.repaired} frames had no usable timestamp; their times follow from the frame rate")
        if resized_s is not None:
            warnings.append(f"the picture size changes at {resized_s:.2f} s; later frames are scaled to the first's")
        self.warnings = tuple(warnings)
        self.complete = not (decoder.damaged_packets or is_cut_off)

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._limits.max_frame_pixels:
            raise LimitExceededError(
                f"{self.name!r} has frames of {width}x{height} = {width * height} pixels, more than "
                f"limits.max_frame_pixels = {self._limits.max_frame_pixels}; reduce the video or raise the limit"
            )

    def _check_duration(self, duration_s: float) -> None:
        if duration_s > self._limits.max_video_duration_s:
            raise LimitExceededError(
                f"{self.name!r} lasts {duration_s:.0f} s or more, longer than limits.max_video_duration_s = "
                f"{self._limits.max_video_duration_s:.0f}; split the video or raise the limit"
            )


def _duration_s(container: InputContainer, stream: av.VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None

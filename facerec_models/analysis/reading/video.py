"""Say what a video is, and give its frames with exact times."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import Interpolation

from facerec_models.analysis.reading.clock import CLOCK_MEMORY, Clock, Jump, Sound
from facerec_models.analysis.reading.decoding import Decoder, PacketList, open_container
from facerec_models.analysis.reading.geometry import Geometry, Orientation, usable_ratio
from facerec_models.analysis.reading.picture_tracks import choose_track
from facerec_models.analysis.reading.segments import FrameIndex, SegmentError
from facerec_models.analysis.reading.stated_time import StatedTime
from facerec_models.analysis.reading.video_info import VideoInfo
from facerec_models.analysis.reading.video_report import VideoReport
from facerec_models.config import LimitsConfig
from facerec_models.errors import LimitExceededError, VideoDecodeError
from facerec_models.types import Frame, ImageArray

_SIGNATURE_SIDE = 32
# So many pictures' packets tell the rate of a video.
_PROBED_PICTURES = 128
# A header and timestamps that differ by less mean the same rate.
_SAME_RATE = 0.0002
# The rate of a video varies if its mean and its median differ by more than this.
_STEADY = 0.05
# A file that would last so many times less at the rate of its first pictures has a clock that jumps by hours: all its packets are
# read for its length. Lesser jumps are found when it is decoded. A dull beginning or a lively one makes less of a difference.
_DOUBTFUL = 10
# A file whose first picture is stamped later than that may state a length that counts from zero.
_BEGINS_LATE_S = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """A frame that is decoded but not yet converted to RGB.

    Parameters
    ----------
    picture : av.VideoFrame
        As the decoder gave it: not upright, in the codec's own colours.
    geometry : Geometry
        Its size, how it is turned, and the shape of its pixels.
    index, pts, time_base
        As in `Frame`.
    end_s : float
        When it ends, in seconds since the first decoded frame, as far as that can be told before the next is decoded.
    """

    picture: av.VideoFrame
    geometry: Geometry
    index: int
    pts: int
    time_base: Fraction
    end_s: float

    @property
    def time_s(self) -> float:
        """Seconds since the first decoded frame."""
        return float(self.pts * self.time_base)

    def to_frame(self) -> Frame:
        """Convert to an upright RGB frame of the stored pixels."""
        return self._convert(self.geometry.stored_width, self.geometry.stored_height)

    def to_square_frame(self) -> Frame:
        """Convert to an upright RGB frame whose pixels are square; `geometry.unstretch` leads back."""
        return self._convert(*self.geometry.stored_square_size)

    def _convert(self, width: int, height: int) -> Frame:
        # One thread: swscale starts its threads anew for each frame, which costs three times the conversion at 720p.
        is_stretched = (width, height) != (self.picture.width, self.picture.height)
        rgb = self.picture.reformat(
            width,
            height,
            "rgb24",
            interpolation=Interpolation.BICUBIC if is_stretched else Interpolation.BILINEAR,
            threads=1,
        )
        image: ImageArray = rgb.to_ndarray().astype(np.uint8, copy=False)
        return Frame(self.geometry.orientation.apply(image), self.index, self.pts, self.time_base)

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
    stream : int, optional
        Number of the picture track among all streams of the file; the main one by default.
    on_packet : callable, optional
        Called whenever a part of the file was read: it is being worked on.

    Attributes
    ----------
    info : VideoInfo
        Its duration is corrected when the end is reached and the clock turns out to have jumped.
    geometry : Geometry
        Of the first frame.
    jumps : list of Jump
        Where the clock was set, as far as the last iteration has come.
    complete : bool
        Whether the last iteration came to its end and nothing in it was missing or damaged.
    warnings : tuple of str
        What is to be told of the file, and what was wrong with the part that the last iteration read, one line each.

    Raises
    ------
    VideoOpenError
        If the file is no video of an allowed kind, or has no such picture track.
    VideoDecodeError
        If not one frame can be decoded.
    LimitExceededError
        If the video is larger or longer than `limits` allow.
    """

    def __init__(
        self,
        path: Path,
        limits: LimitsConfig,
        *,
        name: str | None = None,
        stream: int | None = None,
        on_packet: Callable[[], None] | None = None,
    ) -> None:
        self.path = path
        self.name = str(path) if name is None else name
        self.complete = False
        self.jumps: list[Jump] = []
        self._limits = limits
        self._on_packet = on_packet
        self._running: Generator[DecodedFrame, None, None] | None = None
        with open_container(path, self.name, limits.max_streams) as container:
            track, others = choose_track(path, container, self.name, stream)
            self._stream = track.index
            self._check_size(track.width, track.height)
            # The header's, which players prefer to the one that the codec states, frame by frame.
            self._fixed_ratio = track.sample_aspect_ratio
            if self._fixed_ratio == track.codec_context.sample_aspect_ratio:
                self._fixed_ratio = None
            self._header_s = _duration_s(container, track)
            first = next(Decoder(container, track, limits.max_frame_pixels, on_packet).pictures(), None)
            if first is None or first.time_base is None:
                raise VideoDecodeError(
                    f"{self.name!r} has no readable picture (codec {track.codec_context.name}): it is damaged or "
                    "cut off; copy it again or re-encode it"
                )
            # Once, and not for each frame: PyAV's side data and its frame hold each other until a garbage collection.
            self.geometry, ignored = self._geometry_of(first, track, Orientation.of(first))
            self._notes = tuple(note for note in (others, ignored) if note is not None)
            self._stated = StatedTime.of(container, track, first)
            info = VideoInfo(
                path=path,
                container=container.format.name,
                codec=track.codec_context.codec.canonical_name,
                stream=track.index,
                duration_s=self._header_s,
                fps=self._stated.fps,
                interval_s=1 / self._stated.fps,
                width=self.geometry.width,
                height=self.geometry.height,
                sample_aspect_ratio=float(self.geometry.sample_aspect_ratio),
                rotation_deg=self.geometry.orientation.rotation_deg,
                start_pts_s=float((first.pts or 0) * first.time_base),
                time_base=first.time_base,
            )
        self.info = self._measure(info)
        self._check_duration(self.info.duration_s or 0.0)
        self.warnings: tuple[str, ...] = self._notes

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
        self.warnings = self._notes
        self._running = self._frames(start_s, end_s)
        return self._running

    def index(self) -> FrameIndex | None:
        """List all frames from the packets of the file, without decoding.

        Returns
        -------
        FrameIndex or None
            None where packets do not tell: the video can only be read from its beginning.
        """
        packets = self._packets(None)
        clock = self._clock(self.info, packets.sound)
        index = packets.index(self.info.time_base, clock)
        if index is None or float(int(index.pts[0]) * index.time_base) != self.info.start_pts_s:
            return None
        end_s = packets.end_s - self.info.start_pts_s
        return None if self._is_cut_off(packets.has_duration, end_s, packets.sound.end_s, clock.usual_s) else index

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
        clock = Clock(self.info.interval_s, self.info.time_base)
        for pts in index.pts[max(0, first - CLOCK_MEMORY) : first].tolist():
            clock.tick(pts)
        for entry in index.entries(first):
            with open_container(self.path, self.name) as container:
                track = self._track(container)
                if entry is not None:
                    container.seek(entry, stream=track)
                decoder = Decoder(container, track, self._limits.max_frame_pixels, self._on_packet)
                for picture in decoder.pictures():
                    found = index.find(picture.pts)
                    if found is not None and found < first and expected == first:
                        continue
                    if found != expected or self._has_changed(picture, track, self.geometry):
                        break
                    clock.tick(picture.pts, picture.duration)
                    pts = int(index.pts[expected] - index.pts[0])
                    end_s = float((pts + clock.shown) * self.info.time_base)
                    yield DecodedFrame(picture, self.geometry, expected, pts, self.info.time_base, end_s)
                    expected += 1
                    if expected == end:
                        return
            if expected > first:
                break
        raise SegmentError(
            f"{self.name!r}: after frame {expected - 1} of {first} to {end} comes another than its packets say"
        )

    def _frames(self, start_s: float, end_s: float | None) -> Generator[DecodedFrame, None, None]:
        info = self.info
        with open_container(self.path, self.name) as container:
            track = self._track(container)
            decoder = Decoder(container, track, self._limits.max_frame_pixels, self._on_packet)
            clock = self._clock(info, decoder.sound)
            self.jumps = clock.jumps
            report = VideoReport()
            geometry = self.geometry
            is_at_end = True
            for index, picture in enumerate(decoder.pictures()):
                report.note_damage(decoder)
                has_changed = self._has_changed(picture, track, geometry)
                pts = clock.tick(picture.pts, picture.duration, begins_anew=has_changed)
                time_s = float(pts * info.time_base)
                self._check_duration(time_s)
                if end_s is not None and time_s >= end_s:
                    is_at_end = False
                    break
                report.last_s = time_s
                if has_changed:
                    geometry, ignored = self._geometry_of(picture, track, Orientation.of(picture))
                    report.changes.append((time_s, geometry, ignored))
                if time_s >= start_s:
                    yield DecodedFrame(picture, geometry, index, pts, info.time_base, clock.end_s)
            report.note_damage(decoder)
            report.jumps = clock.jumps
            report.repaired = clock.repaired
            if is_at_end:
                if clock.jumps:
                    self.info = replace(info, duration_s=clock.end_s)
                has_duration, raw_end_s = bool(track.duration), clock.end_s + clock.closed_s
                if self._is_cut_off(has_duration, raw_end_s, decoder.sound.end_s, clock.usual_s):
                    report.cut_off = clock.end_s, self._header_s or 0.0
            self.warnings = self._notes + report.warnings(self.geometry)
            self.complete = not (report.damaged_packets or report.cut_off)

    def _packets(self, most: int | None) -> PacketList:
        with open_container(self.path, self.name) as container:
            track = self._track(container)
            return PacketList.read(container, track, most, self._on_packet)

    def _measure(self, info: VideoInfo) -> VideoInfo:
        """Return what the packets of the first pictures say of the rate, and all of them of the duration where it is doubtful."""
        packets = self._packets(_PROBED_PICTURES)
        interval_s, numbered = packets.interval_s, packets.decoding_times
        if interval_s is not None:
            clock = self._clock(replace(info, interval_s=interval_s), packets.sound)
            times = [clock.tick(pts, own) for pts, own in packets.ordered]
            numbered = list(enumerate(times))
            mean_s = float(times[-1] * info.time_base) / (len(times) - 1)
            # A header's rate has no rounding, but is often computed from a length that the last frame falsifies.
            rounding = max(2 / max(times[-1], 1), _SAME_RATE)
            fps = info.fps if abs(info.fps * mean_s - 1) <= rounding else 1 / mean_s
            # Containers that count milliseconds make 29.97 frames a second 33 ms each.
            is_steady = abs(fps * interval_s - 1) <= _STEADY
            info = replace(info, fps=fps, interval_s=1 / fps if is_steady else interval_s)
        rate = self._stated.frame_rate(numbered, info.time_base)
        info = replace(info, frame_rate=rate, start_timecode=self._stated.start_timecode(rate, info.fps))
        if self._header_s is None:
            return info
        read_s = len(packets.entries) * info.interval_s
        likely_s = read_s if packets.is_all else read_s * self.path.stat().st_size / max(packets.length_bytes, 1)
        # Most writers count a file's length from zero, not from the first picture.
        begins_late = not packets.has_duration and info.start_pts_s > _BEGINS_LATE_S
        if (
            not begins_late
            and self._header_s <= max(_DOUBTFUL * likely_s, likely_s + 1)
            and self._header_s <= self._limits.max_video_duration_s
        ):
            return info
        packets = packets if packets.is_all else self._packets(None)
        clock = packets.replay(self._clock(info, packets.sound))
        return replace(info, duration_s=clock.end_s) if clock.closed_s or begins_late else info

    def _track(self, container: InputContainer) -> av.VideoStream:
        return next(track for track in container.streams.video if track.index == self._stream)

    @staticmethod
    def _clock(info: VideoInfo, sound: Sound) -> Clock:
        return Clock(info.interval_s, info.time_base, container=info.container, sound=sound)

    def _ratio_of(self, track: av.VideoStream) -> Fraction | None:
        """Return what is stated of the pixels of the picture that was decoded last."""
        return self._fixed_ratio or track.codec_context.sample_aspect_ratio

    def _has_changed(self, picture: av.VideoFrame, track: av.VideoStream, geometry: Geometry) -> bool:
        size = picture.width, picture.height
        is_same_size = size == (geometry.stored_width, geometry.stored_height)
        return not is_same_size or (usable_ratio(self._ratio_of(track)) or 1) != geometry.stored_ratio

    def _geometry_of(
        self, picture: av.VideoFrame, track: av.VideoStream, orientation: Orientation
    ) -> tuple[Geometry, str | None]:
        """Return the geometry of the picture that was decoded last, and what of it is ignored."""
        stated = self._ratio_of(track)
        ratio = usable_ratio(stated)
        geometry = Geometry(picture.width, picture.height, ratio or Fraction(1), orientation)
        return geometry, None if ratio else f"pixels {stated} times as wide as high cannot be; they are taken as square"

    def _is_cut_off(self, stream_has_duration: bool, end_s: float, sound_end_s: float, usual_s: float) -> bool:
        if self._header_s is None:
            return False
        # A stream's duration counts from its own beginning, a container's from zero and over all streams.
        end_s = end_s if stream_has_duration else max(end_s + self.info.start_pts_s, sound_end_s)
        # Headers round, and the last frame's own duration is often not stored.
        return end_s < self._header_s - max(2 * usual_s, min(0.5, self._header_s / 20))

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

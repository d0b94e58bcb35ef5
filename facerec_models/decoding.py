"""What FFmpeg may open, and how the pictures in it are read on through damage and disorder.

FFmpeg opens what a file says it is, not what its name says: a text file named ``.mp4`` can be a script that reads other
files. So only containers that hold their own pictures are allowed, and only from local files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec.context import ThreadType
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from facerec_models.errors import VideoOpenError
from facerec_models.segments import FrameIndex

_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,ogg,flv,asf,mxf,dv,gif"
_KINDS = "MP4, MOV, MKV, WebM, AVI, MPEG, Ogg, FLV, WMV, MXF, DV or GIF"
# Timestamps that fall back further than this begin a joined recording; less is one disordered frame.
_CLOCK_RESET_S = 1
_MOST_PIXELS = 2**31 - 1  # that FFmpeg can count


def open_container(path: Path, name: str) -> InputContainer:
    """Open a local file with FFmpeg if it is a container of an allowed kind.

    Parameters
    ----------
    name : str
        What errors call the file.

    Raises
    ------
    VideoOpenError
        If there is no such file, or it is empty, a script or playlist, or nothing that FFmpeg knows.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise VideoOpenError(f"there is no file {name!r}; check the path") from error
    except (OSError, ValueError) as error:  # a closed folder, a name that is too long or has a zero in it
        raise VideoOpenError(f"{name!r} cannot be reached ({error}); check its name and permissions") from error
    if not stat.S_ISREG(status.st_mode):
        raise VideoOpenError(f"{name!r} is not a file; name a video file")
    if status.st_size == 0:
        raise VideoOpenError(f"{name!r} is empty; copy it again")
    try:
        return av.open(
            # The prefix keeps a name such as "a:b.mp4" from being read as a protocol.
            f"file:{os.fspath(path)}",
            options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except PermissionError as error:
        raise VideoOpenError(f"{name!r} may not be read; check its permissions") from error
    except av.FFmpegError as error:
        with path.open("rb") as file:
            is_text = b"\0" not in file.read(4096)
        what = "is a text, playlist or script, not a video" if is_text else f"is no complete {_KINDS} file"
        raise VideoOpenError(f"{name!r} {what}; copy it again or convert it to MP4") from error


def picture_stream(container: InputContainer, name: str) -> av.VideoStream:
    """Return the main video stream, which is not a cover picture.

    Raises
    ------
    VideoOpenError
        If there is none, or no decoder for it.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        raise VideoOpenError(f"{name!r} has no pictures, only sound or data; name a video with a picture track")
    best = container.streams.best("video")
    stream = next((stream for stream in streams if stream is best), streams[0])
    # Against its annotation, PyAV has no context where FFmpeg has no decoder.
    if getattr(stream, "codec_context", None) is None:
        raise VideoOpenError(f"{name!r} has pictures that FFmpeg cannot decode; convert it to H.264 in MP4")
    return stream


class Decoder:
    """The pictures of one stream, in presentation order, read on after damage.

    Parameters
    ----------
    container : InputContainer
    stream : av.VideoStream
    max_pixels : int
        A picture with more than twice as many is damage. Headers are checked before; this stops a stream that grows
        later. Twice, because decoders round sizes up.

    Attributes
    ----------
    damaged_packets : int
        How many could not be read or decoded so far.
    damaged_after : int or None
        Timestamp of the last picture before the first of them.
    sound_end_s : float
        Container time at which the sound ends, where it was read too.
    """

    def __init__(self, container: InputContainer, stream: av.VideoStream, max_pixels: int) -> None:
        self._container = container
        self._stream = stream
        # Where only the container has a duration, the sound may be what lasts so long.
        self._streams: list[Stream] = [stream] if stream.duration else [stream, *container.streams.audio]
        self._last_pts: int | None = None
        self.damaged_packets = 0
        self.damaged_after: int | None = None
        self.sound_end_s = 0.0
        stream.thread_type = ThreadType.AUTO
        stream.codec_context.options = {"max_pixels": str(min(2 * max_pixels, _MOST_PIXELS))}

    def pictures(self) -> Iterator[av.VideoFrame]:
        """Decode from the beginning to the end, skipping what cannot be decoded."""
        for packet in self._packets():
            if packet is not None and packet.stream is not self._stream:
                if packet.pts is not None and packet.time_base is not None:
                    end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                    self.sound_end_s = max(self.sound_end_s, end_s)
                continue
            try:
                pictures = self._stream.decode(packet)
            except av.FFmpegError:
                self._note_damage()
                continue
            for picture in pictures:
                self._last_pts = picture.pts
                yield picture

    def _packets(self) -> Iterator[Packet[Stream] | None]:
        try:
            yield from self._container.demux(*self._streams)
        except av.FFmpegError:
            self._note_damage()
            yield None  # takes out what the decoder still holds

    def _note_damage(self) -> None:
        self.damaged_packets += 1
        if self.damaged_packets == 1:
            self.damaged_after = self._last_pts


@dataclass(frozen=True, slots=True)
class PacketList:
    """What the packets of a file say, without decoding any.

    Parameters
    ----------
    pts : list of int or None
        Of each picture, in the order of the file; None where there is none.
    keyframes : list of int
        Timestamps of the pictures that decoding can begin with.
    end_s, sound_end_s : float
        Container time at which the last picture, and the sound, end.
    has_duration : bool
        Whether the picture stream itself says how long it is.
    is_whole : bool
        Whether no packet was unreadable or marked as damaged.
    """

    pts: list[int | None]
    keyframes: list[int]
    end_s: float
    sound_end_s: float
    has_duration: bool
    is_whole: bool
    time_base: Fraction | None

    @classmethod
    def read(cls, container: InputContainer, stream: av.VideoStream) -> PacketList:
        """Read all packets of an opened file."""
        pts: list[int | None] = []
        keyframes: list[int] = []
        end_s = sound_end_s = 0.0
        is_whole = True
        streams: list[Stream] = [stream, *container.streams.audio]
        try:
            for packet in container.demux(*streams):
                if packet.size == 0 or packet.is_discard:
                    continue
                is_whole &= not packet.is_corrupt
                end = float(((packet.pts or 0) + (packet.duration or 0)) * (packet.time_base or 0))
                if packet.stream is not stream:
                    sound_end_s = max(sound_end_s, end)
                    continue
                end_s = max(end_s, end)
                pts.append(packet.pts)
                if packet.is_keyframe and packet.pts is not None:
                    keyframes.append(packet.pts)
        except av.FFmpegError:
            is_whole = False
        return cls(pts, keyframes, end_s, sound_end_s, bool(stream.duration), is_whole, stream.time_base)

    def index(self, time_base: Fraction) -> FrameIndex | None:
        """Return the frames in presentation order; None where they cannot be told from the packets."""
        times = [time for time in self.pts if time is not None]
        is_plain = self.is_whole and len(times) == len(self.pts) and len(set(times)) == len(times)
        if not (is_plain and times and self.keyframes and self.time_base == time_base):
            return None
        ordered = np.sort(np.array(times, np.int64))
        return FrameIndex(ordered, np.searchsorted(ordered, np.sort(np.array(self.keyframes, np.int64))), time_base)


class Clock:
    """Strictly ascending timestamps from 0, whatever the decoder gives.

    Attributes
    ----------
    repaired : int
        How many timestamps were missing or not ascending so far.
    """

    def __init__(self, fps: float, time_base: Fraction) -> None:
        self._time_base = time_base
        self._interval = max(1, round(1 / (fps * time_base)))
        self._origin = 0
        self._shift = 0
        self._last: int | None = None
        self._end = 0
        self.repaired = 0

    def tick(self, picture: av.VideoFrame) -> int:
        """Return the time of the next picture, counted from the first one's."""
        pts = picture.pts
        if self._last is None:
            self._origin = pts or 0
            self._shift = -self._origin
            now = 0
        elif pts is None:
            self.repaired += 1
            now = self._last + self._interval
        else:
            now = pts + self._shift
            behind = self._last - now
            if behind >= 0:
                self.repaired += 1
                is_reset = behind * self._time_base > _CLOCK_RESET_S
                now = self._last + (self._interval if is_reset else 1)
                if is_reset:
                    self._shift = now - pts
        self._last = now
        self._end = now + (picture.duration or self._interval)
        return now

    def since_first_s(self, pts: int | None) -> float:
        """Convert a decoder's timestamp to seconds since the first picture."""
        return 0.0 if pts is None else float((pts - self._origin) * self._time_base)

    @property
    def end_s(self) -> float:
        """When the last picture ends, in seconds since the first one began."""
        return float(self._end * self._time_base)

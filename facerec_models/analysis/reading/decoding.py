"""What FFmpeg may open, and how the pictures in it are read on through damage and disorder.

FFmpeg opens what a file says it is, not what its name says: a text file named ``.mp4`` can be a script that reads other
files. So only containers that hold their own pictures are allowed, and only from local files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.codec.context import ThreadType
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from facerec_models.analysis.reading.clock import Clock, Sound
from facerec_models.analysis.reading.segments import FrameIndex
from facerec_models.confinement.bounds import check_memory
from facerec_models.errors import LimitExceededError, VideoOpenError

_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,ogg,flv,asf,mxf,dv,gif"
_KINDS = "MP4, MOV, MKV, WebM, AVI, MPEG, Ogg, FLV, WMV, MXF, DV or GIF"
_MOST_PIXELS = 2**31 - 1  # that FFmpeg can count
_MOST_BYTES = 2**31  # that FFmpeg asks for at once
# Of a picture and its neighbours' buffers, and of what else a decoder asks for at once.
_MOST_PIXEL_BYTES, _SPARE_BYTES = 16, 2**23
_MOST_REORDERED = 16  # pictures that a codec holds back, in H.264 and H.265


def open_container(path: Path, name: str, max_streams: int | None = None) -> InputContainer:
    """Open a local file with FFmpeg if it is a container of an allowed kind.

    Parameters
    ----------
    name : str
        What errors call the file.
    max_streams : int, optional
        The most tracks of any kind that it may have; see `facerec_models.config.LimitsConfig`.

    Raises
    ------
    VideoOpenError
        If there is no such file, or it is empty, a script or playlist, or nothing that FFmpeg knows.
    LimitExceededError
        If it has more tracks.
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
        opened = av.open(
            # The prefix keeps a name such as "a:b.mp4" from being read as a protocol.
            f"file:{os.fspath(path)}",
            options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except PermissionError as error:
        raise VideoOpenError(f"{name!r} may not be read; check its permissions") from error
    except av.FFmpegError as error:
        if isinstance(error, MemoryError):
            # Unless there was room for it, what FFmpeg refuses is a size that no file can mean.
            check_memory(_MOST_BYTES)
        with path.open("rb") as file:
            is_text = b"\0" not in file.read(4096)
        what = "is a text, playlist or script, not a video" if is_text else f"is no complete {_KINDS} file"
        raise VideoOpenError(f"{name!r} {what}; copy it again or convert it to MP4") from error
    if max_streams is not None and (count := len(opened.streams)) > max_streams:
        opened.close()
        raise LimitExceededError(
            f"{name!r} has {count} tracks, more than limits.max_streams = {max_streams}: leave some out"
        )
    return opened


class Decoder:
    """The pictures of one stream, in presentation order, read on after damage.

    Parameters
    ----------
    container : InputContainer
    stream : av.VideoStream
    max_pixels : int
        A picture with more than twice as many is damage. Headers are checked before; this stops a stream that grows
        later. Twice, because decoders round sizes up.
    on_packet : callable, optional
        Called for each packet of the file.

    Attributes
    ----------
    damaged_packets : int
        How many could not be read or decoded so far.
    damaged_after : int or None
        Timestamp of the last picture before the first of them.
    sound : Sound
        When there is sound, as far as was read.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: av.VideoStream,
        max_pixels: int,
        on_packet: Callable[[], None] | None = None,
    ) -> None:
        self._container = container
        self._on_packet = on_packet
        self._stream = stream
        # Where only the container has a duration, the sound may be what lasts so long; and a pause in which it runs on is real.
        self._streams: list[Stream] = [stream, *container.streams.audio]
        self._last_pts: int | None = None
        self.damaged_packets = 0
        self.damaged_after: int | None = None
        self.sound = Sound()
        stream.thread_type = ThreadType.AUTO
        stream.codec_context.options = {"max_pixels": str(min(2 * max_pixels, _MOST_PIXELS))}

    def pictures(self) -> Iterator[av.VideoFrame]:
        """Decode from the beginning to the end, skipping what cannot be decoded.

        Raises
        ------
        MemoryError
            While iterating, where there is no memory for a picture: the next ones would not be decoded either.
        """
        for packet in self._packets():
            if self._on_packet is not None:
                self._on_packet()
            if packet is not None and packet.stream is not self._stream:
                _add_sound(self.sound, packet)
                continue
            try:
                pictures = self._stream.decode(packet)
            except MemoryError:  # one of FFmpeg's errors as well
                raise
            except av.FFmpegError:
                self._note_damage()
                continue
            for picture in pictures:
                self._last_pts = picture.pts
                yield picture
        # Some decoders leave out a picture that they have no room for, and say nothing.
        self._check_memory()

    def _packets(self) -> Iterator[Packet[Stream] | None]:
        try:
            yield from self._container.demux(*self._streams)
        except av.FFmpegError:
            self._note_damage()
            yield None  # takes out what the decoder still holds

    def _check_memory(self) -> None:
        check_memory(_MOST_PIXEL_BYTES * self._stream.width * self._stream.height + _SPARE_BYTES)

    def _note_damage(self) -> None:
        self._check_memory()
        self.damaged_packets += 1
        if self.damaged_packets == 1:
            self.damaged_after = self._last_pts


def _add_sound(sound: Sound, packet: Packet[Stream]) -> None:
    if packet.pts is not None and packet.time_base is not None:
        start_s = float(packet.pts * packet.time_base)
        sound.add(start_s, start_s + float((packet.duration or 0) * packet.time_base))


class _Entry(NamedTuple):
    """What the packet of a picture says."""

    pts: int | None
    dts: int | None
    duration: int
    is_keyframe: bool


@dataclass(frozen=True, slots=True)
class PacketList:
    """What the packets of a file say, without decoding any.

    Parameters
    ----------
    entries : list of _Entry
        Of each picture, in the order of the file.
    length_bytes : int
        Of the part that was read, all streams together; 0 where that cannot be told.
    sound : Sound
    has_duration : bool
        Whether the picture stream itself says how long it is.
    is_whole : bool
        Whether no packet was unreadable or marked as damaged.
    is_all : bool
        Whether the list reaches to the end of the file.
    """

    entries: list[_Entry]
    length_bytes: int
    sound: Sound
    has_duration: bool
    is_whole: bool
    is_all: bool
    time_base: Fraction | None

    @classmethod
    def read(
        cls,
        container: InputContainer,
        stream: av.VideoStream,
        most: int | None = None,
        on_packet: Callable[[], None] | None = None,
    ) -> PacketList:
        """Read the packets of an opened file, all or those up to `most` pictures."""
        entries: list[_Entry] = []
        sound, is_whole, is_all = Sound(), True, True
        places: list[int] = []
        try:
            for packet in container.demux(stream, *container.streams.audio):
                if on_packet is not None:
                    on_packet()
                if packet.size == 0 or packet.is_discard:
                    continue
                is_whole &= not packet.is_corrupt
                if packet.stream is not stream:
                    _add_sound(sound, packet)
                    continue
                entries.append(_Entry(packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe))
                if packet.pos is not None and packet.pos >= 0:
                    places.append(packet.pos)
                if most is not None and len(entries) >= most:
                    is_all = False
                    break
        except av.FFmpegError:
            is_whole = False
        length = max(places) - places[0] if places else 0
        return cls(entries, length, sound, bool(stream.duration), is_whole, is_all, stream.time_base)

    @property
    def ordered(self) -> list[_Timed]:
        """The pictures that have timestamps, in presentation order."""
        timed = [_Timed(entry.pts, entry.duration) for entry in self.entries if entry.pts is not None]
        timed.sort()
        # Behind the end of a part of a file are pictures that are shown before its last ones.
        return timed if self.is_all else timed[: max(2, len(timed) - _MOST_REORDERED)]

    @property
    def decoding_times(self) -> list[tuple[int, int]]:
        """Number of each picture in the order of the file, and when it is decoded, as far as the file says so."""
        return [(number, entry.dts) for number, entry in enumerate(self.entries) if entry.dts is not None]

    @property
    def interval_s(self) -> float | None:
        """Median time between neighbouring pictures; None where timestamps are missing."""
        if self.time_base is None or any(entry.pts is None for entry in self.entries):
            return None
        steps = sorted(b.pts - a.pts for a, b in pairwise(self.ordered) if b.pts > a.pts)
        return float(steps[len(steps) // 2] * self.time_base) if steps else None

    @property
    def end_s(self) -> float:
        """Container time at which the last picture ends."""
        return max((float((pts + own) * (self.time_base or 0)) for pts, own in self.ordered), default=0.0)

    def replay(self, clock: Clock) -> Clock:
        """Let a clock go through the pictures in the order in which they are decoded, which a jump does not disturb."""
        for entry in self.entries:
            clock.tick(entry.pts if entry.dts is None else entry.dts, entry.duration)
        return clock

    def index(self, time_base: Fraction, clock: Clock) -> FrameIndex | None:
        """Return the frames in presentation order; None where they cannot be told from the packets.

        Parameters
        ----------
        clock : Clock
            A new one of this video: where it is set on the way, times do not follow from the timestamps alone.
        """
        timed = self.ordered
        is_plain = self.is_whole and len(timed) == len(self.entries) and len({pts for pts, _ in timed}) == len(timed)
        keyframes = sorted(entry.pts for entry in self.entries if entry.is_keyframe and entry.pts is not None)
        if not (is_plain and timed and keyframes and self.time_base == time_base):
            return None
        for pts, own in timed:
            clock.tick(pts, own)
        if clock.jumps:
            return None
        ordered = np.array([pts for pts, _ in timed], np.int64)
        return FrameIndex(ordered, np.searchsorted(ordered, np.array(keyframes, np.int64)), time_base)


class _Timed(NamedTuple):
    """When a picture is shown, and how long it claims to be."""

    pts: int
    own: int

"""Write pictures as a video that browsers play, with the sound of another."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from facerec_models.analysis.reading.decoding import open_container
from facerec_models.analysis.reading.video import Video
from facerec_models.errors import ConflictError
from facerec_models.files import create_unfinished, writing_to
from facerec_models.types import ImageArray

_log = logging.getLogger(__name__)
_TICKS_PER_S = 90_000
_COPIED_CODECS = ("aac", "mp3")  # what browsers play from an MP4
# Sound that goes on further away than this follows a jump of the clock; pictures and sound jump by about as much.
_JUMP_S = 1.0
_AAC_RATE = 48_000


class VideoWriter:
    """Write H.264 in MP4; the file appears under its name when the context ends without an error, or not at all.

    Until then it has a hidden name beside it. Whoever removes that ends the writing: leaving the context raises `ConflictError`.

    Odd sizes are padded by repeating the last column or row, because 4:2:0 needs even ones and cropping loses pixels.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    fps : Fraction or float
        Nominal rate, and the rate of frames that are written without a time.
    width, height : int
        Pixels of every picture.
    audio_from : Video, optional
        A video whose sound is copied, or encoded as AAC where browsers do not play it; nothing happens if it has none. Where its clock
        jumps, the sound follows the frames that it has given so far.
    is_private : bool
        Whether its owner alone may read the file; otherwise it is of the mode that the umask gives.
    """

    def __init__(
        self,
        path: Path,
        fps: Fraction | float,
        width: int,
        height: int,
        *,
        audio_from: Video | None = None,
        is_private: bool = False,
    ) -> None:
        self._path = path
        self._is_private = is_private
        self._fps = Fraction(fps).limit_denominator(100_000)
        self._size = width, height
        self._audio_from = audio_from
        self._sound: _Sound | None = None
        self._count = 0
        self._first_s = 0.0
        self._last_pts = -1

    def __enter__(self) -> Self:
        with writing_to(self._path), ExitStack() as undo:
            self._temporary = create_unfinished(self._path, is_private=self._is_private)
            undo.callback(self._temporary.unlink, missing_ok=True)
            self._container: OutputContainer = undo.enter_context(
                av.open(f"file:{os.fspath(self._temporary)}", "w", format="mp4", options={"movflags": "+faststart"})
            )
            self._stream = self._container.add_stream(
                "libx264", rate=self._fps, options={"preset": "veryfast", "crf": "21"}
            )
            width, height = self._size
            self._stream.width, self._stream.height = width + width % 2, height + height % 2
            self._stream.pix_fmt = "yuv420p"
            context = self._stream.codec_context
            context.time_base = Fraction(1, _TICKS_PER_S)
            context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
            context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
            if self._audio_from is not None:
                source = undo.enter_context(open_container(self._audio_from.path, self._audio_from.name))
                if source.streams.audio:
                    self._sound = _Sound(source, self._audio_from, self._container)
            # The file is there from now on, and not when the encoder has seen enough: it may be removed.
            self._container.start_encoding()
            self._undo = undo.pop_all()
        return self

    def write(self, image: ImageArray, time_s: float | None = None) -> None:
        """Add a picture.

        Parameters
        ----------
        image : (height, width, 3) uint8
            RGB.
        time_s : float, optional
            When it is shown, in seconds from the source's first frame; the new video begins at the first picture's
            time, and its sound there too. By default the pictures follow each other at the nominal rate.

        Raises
        ------
        ValueError
            If the picture has another size, or its time is not after the one before.
        """
        width, height = self._size
        if image.shape != (height, width, 3) or image.dtype != np.uint8:
            raise ValueError(f"picture must be {height}x{width}x3 uint8, not {image.shape} {image.dtype}")
        if self._count == 0:
            self._first_s = time_s or 0.0
        elapsed_s = self._count / self._fps if time_s is None else time_s - self._first_s
        pts = round(elapsed_s * _TICKS_PER_S)
        if pts <= self._last_pts:
            raise ValueError(f"picture {self._count} at {time_s} s is not after the one before")
        if width % 2 or height % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG, threads=1
        )
        frame.pts, frame.time_base = pts, Fraction(1, _TICKS_PER_S)
        with writing_to(self._path):
            self._container.mux(self._stream.encode(frame))
        self._last_pts = pts
        self._count += 1
        if self._sound is not None:
            with writing_to(self._path):
                self._sound.copy(self._first_s, pts / _TICKS_PER_S)

    def leave_out(self, start_s: float, end_s: float) -> None:
        """Let what is shown from `end_s` of the source follow at once where `start_s` is; the sound between is left out too."""
        if self._count == 0:
            return
        if self._sound is not None:
            with writing_to(self._path):
                self._sound.copy(self._first_s, start_s - self._first_s)
        self._first_s += end_s - start_s

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with writing_to(self._path), self._undo:
            if error is not None:
                return
            if self._count == 0:
                raise ValueError(f"no picture was written to {str(self._path)!r}")
            self._container.mux(self._stream.encode(None))
            if self._sound is not None:
                self._sound.copy(self._first_s, self._last_pts / _TICKS_PER_S + float(1 / self._fps))
                self._sound.finish()
            try:
                self._container.close()
                self._temporary.replace(self._path)
            except FileNotFoundError as gone:
                raise ConflictError(f"{self._path.name!r} was removed while it was written: ask for it again") from gone


class _Sound:
    """The first sound track of a source, brought over bit by bit, so that it lies beside the pictures in the file."""

    def __init__(self, source: InputContainer, video: Video, target: OutputContainer) -> None:
        self._target = target
        track = source.streams.audio[0]
        # The track's times count from the container's zero, the pictures' from the first of them.
        self._zero_s = video.info.start_pts_s
        self._video = video
        self._jumps = 0
        self._end_s: float | None = None
        self._last_pts = -1
        self._track = track
        self._source = source
        self._is_copy = track.codec.canonical_name in _COPIED_CODECS
        self._out: AudioStream
        if self._is_copy:
            self._out = target.add_stream_from_template(track)
        else:
            self._out = target.add_stream("aac", rate=_AAC_RATE)
            self._out.layout = "mono" if track.channels == 1 else "stereo"
        self._pieces = self._read()
        self._next = next(self._pieces, None)

    def copy(self, first_s: float, until_s: float) -> None:
        """Bring over `until_s` seconds of sound from `first_s` of the source, going on where the last call ended."""
        while (piece := self._next) is not None:
            if piece.pts is not None and piece.time_base is not None:
                start_s = float(piece.pts * piece.time_base)
                if not self._follow_jump(start_s):
                    return
                pts = piece.pts - round((self._zero_s + first_s) / piece.time_base)
                if pts * piece.time_base >= until_s:
                    return
                self._end_s = start_s + float((piece.duration or 0) * piece.time_base)
                # Where recordings are joined, the sound of one may reach into the next.
                if pts > self._last_pts:
                    self._last_pts = pts
                    piece.pts = piece.dts = pts
                    self._put(piece)
            self._next = next(self._pieces, None)

    def _follow_jump(self, start_s: float) -> bool:
        """Go over to the times after a jump where the sound makes it; False if the pictures have yet to come to it."""
        step_s = 0.0 if self._end_s is None else start_s - self._end_s
        if abs(step_s) <= _JUMP_S:
            return True
        for i, jump in enumerate(self._video.jumps[self._jumps :], self._jumps + 1):
            if abs(step_s - jump.by_s) <= _JUMP_S + abs(jump.by_s) / 20:
                self._zero_s += jump.closed_s
                self._jumps = i
                self._end_s = start_s
                return True
        return step_s > 0

    def finish(self) -> None:
        if not self._is_copy:
            self._target.mux(self._out.encode(None))

    def _put(self, piece: Packet[AudioStream] | AudioFrame) -> None:
        if isinstance(piece, AudioFrame):
            self._target.mux(self._out.encode(piece))
        else:
            piece.stream = self._out
            self._target.mux(piece)

    def _read(self) -> Iterator[Packet[AudioStream] | AudioFrame]:
        try:
            for packet in self._source.demux(self._track):
                if self._is_copy:
                    yield packet
                else:
                    yield from self._track.decode(packet)
        except av.FFmpegError as error:
            _log.warning("the sound breaks off: %s", error)

"""An MP4 file that browsers play while it loads, with the sound of a video beside its pictures."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition

from facerec_models.analysis.reading.decoding import open_container
from facerec_models.analysis.reading.video import Video
from facerec_models.errors import ConflictError
from facerec_models.files import create_unfinished, writing_to

_log = logging.getLogger(__name__)
# Sound that goes on further away than this follows a jump of the clock; pictures and sound jump by about as much.
_JUMP_S = 1.0
_AAC_RATE = 48_000
_PLAYED_AAC = frozenset({None, "LC", "HE-AAC", "HE-AACv2"})


def choose_sound(container: InputContainer) -> AudioStream | None:
    """Return the sound track that is meant by default, or else the first; None where there is none."""
    tracks = container.streams.audio
    return next((track for track in tracks if track.disposition & Disposition.default), next(iter(tracks), None))


def plays_in_mp4(track: AudioStream) -> bool:
    """Whether browsers play a sound track from an MP4 as it is coded."""
    if not _has_decoder(track):
        return False
    name = track.codec.canonical_name
    return name == "mp3" or (name == "aac" and track.codec_context.profile in _PLAYED_AAC)


def _has_decoder(track: AudioStream) -> bool:
    """Whether FFmpeg knows the codec; otherwise PyAV gives no context, against its annotation."""
    return getattr(track, "codec_context", None) is not None


class Mp4File(ABC):
    """Write an MP4; it appears under its name when the context ends without an error, or not at all.

    Until then it has a hidden name beside it. Whoever removes that ends the writing: leaving the context raises `ConflictError`.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    audio_from : Video, optional
        A video whose sound is copied, or encoded as AAC where browsers do not play it; nothing happens if it has none. Where its clock
        jumps, the sound follows the frames that it has given so far.
    is_private : bool
        Whether its owner alone may read the file; otherwise it is of the mode that the umask gives.
    unfinished : Path, optional
        A file that is there and is written instead: whoever made it gives it its name, or removes it.
    """

    def __init__(
        self,
        path: Path,
        *,
        audio_from: Video | None = None,
        is_private: bool = False,
        unfinished: Path | None = None,
    ) -> None:
        self._path = path
        self._unfinished = unfinished
        self._is_private = is_private
        self._audio_from = audio_from
        self._sound: _Sound | None = None

    def __enter__(self) -> Self:
        with writing_to(self._path), ExitStack() as undo:
            if self._unfinished is None:
                self._temporary = create_unfinished(self._path, is_private=self._is_private)
                undo.callback(self._temporary.unlink, missing_ok=True)
            else:
                self._temporary = self._unfinished
            self._container: OutputContainer = undo.enter_context(
                av.open(f"file:{os.fspath(self._temporary)}", "w", format="mp4", options={"movflags": "+faststart"})
            )
            self._add_pictures(undo)
            if self._audio_from is not None:
                source = undo.enter_context(open_container(self._audio_from.path, self._audio_from.name))
                track = choose_sound(source)
                # A sound that FFmpeg has no decoder for is left out.
                if track is not None and _has_decoder(track):
                    self._sound = _Sound(source, track, self._audio_from, self._container)
            # The file is there from now on, and not when the encoder has seen enough: it may be removed.
            self._container.start_encoding()
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with writing_to(self._path), self._undo:
            if error is not None:
                return
            first_s, end_s = self._finish_pictures()
            if self._sound is not None:
                self._sound.copy(first_s, end_s)
                self._sound.finish()
            try:
                self._container.close()
                if self._unfinished is None:
                    self._temporary.replace(self._path)
            except FileNotFoundError as gone:
                raise ConflictError(f"{self._path.name!r} was removed while it was written: ask for it again") from gone

    @abstractmethod
    def _add_pictures(self, opened: ExitStack) -> None:
        """Add a track of pictures to the container; what is opened for it is closed by the stack."""

    @abstractmethod
    def _finish_pictures(self) -> tuple[float, float]:
        """Write what is left of the pictures.

        Returns
        -------
        first_s, length_s : float
            Where in the source the file begins, and how long its pictures are.

        Raises
        ------
        ValueError
            If there is none.
        """

    def _copy_sound(self, first_s: float, until_s: float) -> None:
        """Bring the sound as far as the pictures are: `until_s` seconds of it, from `first_s` of the source."""
        if self._sound is not None:
            with writing_to(self._path):
                self._sound.copy(first_s, until_s)


class _Sound:
    """A sound track of a source, brought over bit by bit, so that it lies beside the pictures in the file."""

    def __init__(self, source: InputContainer, track: AudioStream, video: Video, target: OutputContainer) -> None:
        self._target = target
        # The track's times count from the container's zero, the pictures' from the first of them.
        self._zero_s = video.info.start_pts_s
        self._video = video
        self._jumps = 0
        self._end_s: float | None = None
        self._last_pts = -1
        self._is_damaged = False
        self._track = track
        self._source = source
        self._is_copy = plays_in_mp4(track)
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
            return
        piece.stream = self._out
        try:
            self._target.mux(piece)
        except av.InvalidDataError as error:
            self._note_damage(error)

    def _read(self) -> Iterator[Packet[AudioStream] | AudioFrame]:
        try:
            for packet in self._source.demux(self._track):
                if self._is_copy:
                    yield packet
                else:
                    yield from self._decode(packet)
        except av.FFmpegError as error:
            _log.warning("the sound breaks off: %s", error)

    def _decode(self, packet: Packet[AudioStream]) -> list[AudioFrame]:
        try:
            return self._track.decode(packet)
        except av.FFmpegError as error:
            self._note_damage(error)
            return []

    def _note_damage(self, error: av.FFmpegError) -> None:
        if not self._is_damaged:
            _log.warning("the sound is damaged, what can be read of it is kept: %s", error)
        self._is_damaged = True

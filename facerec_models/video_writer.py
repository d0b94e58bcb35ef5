"""Write pictures as a video that browsers play, with the sound of another."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from facerec_models.analysis.reading.video import Video
from facerec_models.errors import InputError
from facerec_models.files import writing_to
from facerec_models.mp4_file import Mp4File
from facerec_models.types import ImageArray

PIXEL_FORMAT = "yuv420p"
"""FFmpeg's name of what browsers show, of which a picture of an even size has whole colour samples."""

_TICKS_PER_S = 90_000
# Players begin to decode at a keyframe before the place that is sought.
_KEYFRAME_S = 2.0

# What MP4 has for the time that a picture is shown.
_MOST_TICKS = 2**31 - 1


class VideoWriter(Mp4File):
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
    unfinished : Path, optional
        As of `Mp4File`.
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
        unfinished: Path | None = None,
    ) -> None:
        super().__init__(path, audio_from=audio_from, is_private=is_private, unfinished=unfinished)
        self._fps = Fraction(fps).limit_denominator(100_000)
        self._size = width, height
        self._count = 0
        self._first_s = 0.0
        self._last_pts = -1
        self._next_keyframe_pts = 0

    def _add_pictures(self, opened: ExitStack) -> None:
        self._stream = self._container.add_stream(
            "libx264", rate=self._fps, options={"preset": "veryfast", "crf": "21"}
        )
        width, height = self._size
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = PIXEL_FORMAT
        context = self._stream.codec_context
        context.time_base = Fraction(1, _TICKS_PER_S)
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709

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
        if width % 2 or height % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24").reformat(
            format=PIXEL_FORMAT, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG, threads=1
        )
        self.write_converted(picture, time_s)

    def write_converted(self, picture: av.VideoFrame, time_s: float | None = None) -> None:
        """Add a picture that is of `PIXEL_FORMAT` already, in the colours of BT.709 with limited range; it is the writer's from now on.

        Parameters
        ----------
        picture : av.VideoFrame
            Of the writer's size, with the repeated column or row where that is odd.
        time_s : float, optional
            As in `write`.

        Raises
        ------
        ValueError
            If the picture has another size or format, or its time is not after the one before.
        InputError
            If so much time passes before it that the file cannot say so.
        """
        expected = self._stream.width, self._stream.height, PIXEL_FORMAT
        if (picture.width, picture.height, picture.format.name) != expected:
            raise ValueError(f"picture must be {expected}, not {picture.width}x{picture.height} {picture.format.name}")
        if self._count == 0:
            self._first_s = time_s or 0.0
        elapsed_s = self._count / self._fps if time_s is None else time_s - self._first_s
        pts = round(elapsed_s * _TICKS_PER_S)
        if pts <= self._last_pts:
            raise ValueError(f"picture {self._count} at {time_s} s is not after the one before")
        if pts - max(self._last_pts, 0) > _MOST_TICKS:
            gap_s = (pts - max(self._last_pts, 0)) / _TICKS_PER_S
            raise InputError(
                f"between two pictures {gap_s:.0f} s pass, which MP4 cannot hold: choose a part on one side"
            )
        picture.pts, picture.time_base = pts, Fraction(1, _TICKS_PER_S)
        # What kind of picture it was in the source would bind the encoder.
        picture.pict_type = PictureType.I if pts >= self._next_keyframe_pts else PictureType.NONE
        if pts >= self._next_keyframe_pts:
            self._next_keyframe_pts = pts + round(_KEYFRAME_S * _TICKS_PER_S)
        with writing_to(self._path):
            self._container.mux(self._stream.encode(picture))
        self._last_pts = pts
        self._count += 1
        self._copy_sound(self._first_s, pts / _TICKS_PER_S)

    def leave_out(self, start_s: float, end_s: float) -> None:
        """Let what is shown from `end_s` of the source follow at once where `start_s` is; the sound between is left out too."""
        if self._count == 0:
            return
        self._copy_sound(self._first_s, start_s - self._first_s)
        self._first_s += end_s - start_s

    def _finish_pictures(self) -> tuple[float, float]:
        if self._count == 0:
            raise ValueError(f"no picture was written to {str(self._path)!r}")
        self._container.mux(self._stream.encode(None))
        return self._first_s, self._last_pts / _TICKS_PER_S + float(1 / self._fps)

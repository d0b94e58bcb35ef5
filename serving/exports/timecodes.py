"""Times of a result as frames and as timecode, for what counts frames."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from timecode.timecode import Timecode

from facerec_models.frame_rates import TIMECODE_RATES, counter, nearest_rate
from facerec_models.result import VideoView

_HALF = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class FrameClock:
    """What counts the frames of a video.

    Parameters
    ----------
    rate : Fraction
        Frames per second.
    is_exact : bool
        Whether that is the video's own rate; else, frames are counted that the video does not have, at its times.
    counted : Timecode
        Turns numbers of frames into timecode; it drops numbers where the video's start timecode does.
    start : int
        Number of the video's first frame, counted from timecode zero.
    """

    rate: Fraction
    is_exact: bool
    counted: Timecode
    start: int

    @classmethod
    def of(cls, video: VideoView, *, is_standard: bool = False) -> Self:
        """Return that of a video; timecode begins at zero where the file has none.

        The frames of a video whose rate varies are counted at the rate of timecode that is nearest to its average.

        Parameters
        ----------
        is_standard : bool
            Whether the rate must be one of `TIMECODE_RATES`, for what can express no other.
        """
        own = None if video.frame_rate is None else Fraction(video.frame_rate)
        is_exact = own is not None and (own in TIMECODE_RATES or not is_standard)
        rate = own if own is not None and is_exact else nearest_rate(video.fps if own is None else float(own))
        first = video.start_timecode or "00:00:00:00"
        counted = counter(rate, drops=";" in first)
        return cls(rate, is_exact, counted, counted.tc_to_frames(first) - 1)

    def frame(self, time_s: float) -> int:
        """Return the number, from 0 on, of the frame that begins at a time; the nearest, because containers round times.

        Of the beginning of an appearance it is the first frame that shows it, of its end the first that does not.
        """
        return int(Fraction(time_s) * self.rate + _HALF)

    def frames(self, start_s: float, end_s: float) -> tuple[int, int]:
        """Return the first frame and the one after the last; there is always one at least."""
        first = self.frame(start_s)
        return first, max(self.frame(end_s), first + 1)

    def timecode(self, time_s: float) -> str:
        """Return the file's timecode of a time."""
        return self.label(self.start + self.frame(time_s))

    def label(self, number: int) -> str:
        """Return the timecode of a frame counted from timecode zero; it begins anew after 24 hours."""
        return self.counted.tc_to_string(*self.counted.frames_to_tc(number + 1))

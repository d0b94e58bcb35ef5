"""What a file says of time beside its timestamps: its exact frame rate, and the timecode of its first frame.

Timecode belongs to the first frame of the file, and is taken for that of the first frame that can be decoded, which is time 0. Where
these differ (a recording that begins between two keyframes) it may be some frames early: files do not say by how many.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from typing import Any, Self

import av
from av.container import InputContainer

from facerec_models.frame_rates import USUAL_RATES, is_timecode, nearest_rate

# Two ways to write one rate (29.97, 30000/1001) differ by no more: a fifth of a frame in an hour.
_SAME = Fraction(2, 1_000_000)
# Containers and programs that count milliseconds shift a frame by up to one.
_ROUNDING_S = Fraction(2, 1000)
# A packet for each field makes twice the rate of the header, but for rounding.
_DOUBLE = Fraction(1, 100)
# A header's average counts the last frame as longer or shorter than it is; what differs by more frames has another rate later.
_LAST_FRAMES = 2


@dataclass(frozen=True, slots=True)
class StatedTime:
    """What headers and the first picture say.

    Parameters
    ----------
    rate : Fraction or None
        Frames per second.
    frames : int
        How many the header counts; 0 where it does not.
    is_interlaced : bool
        Whether the first picture consists of two fields, which some files keep in a packet each.
    timecodes : tuple of str
        As they are written, valid or not, in the order in which they are believed.
    """

    rate: Fraction | None
    frames: int
    is_interlaced: bool
    timecodes: tuple[str, ...]

    @classmethod
    def of(cls, container: InputContainer, track: av.VideoStream, first: av.VideoFrame) -> Self:
        """Read a file of which the first picture was decoded just now.

        Timecodes are the picture track's own tag, that of a data track (MOV and MP4), the file's (MXF, MKV, AVI, DV), and what the
        codec keeps beside the first picture: SMPTE ST 12-1 (H.264, H.265), then MPEG-2's group of pictures. Many MPEG-2 encoders write
        zeros where nobody gave them a timecode: as editors do, we take them for the file's own.
        """
        rate = track.average_rate or track.guessed_rate
        tags = (track.metadata, *(data.metadata for data in container.streams.data), container.metadata)
        timecodes = (*chain.from_iterable(map(_tagged, tags)), *_of_picture(first, rate or Fraction(25)))
        return cls(rate, track.frames, first.interlaced_frame, timecodes)

    @property
    def fps(self) -> float:
        """Frames per second as the header says; 25 where it says nothing."""
        return float(self.rate or 25)

    def frame_rate(self, times: Sequence[tuple[int, int]], time_base: Fraction) -> Fraction | None:
        """Return the exact rate of frames (not of fields), None where it varies.

        Timestamps that are rounded leave some room, and few of them leave more. Within it the rate is the header's, if that is a usual
        one, else the usual one that is nearest to what they say, else the header's.

        Parameters
        ----------
        times : sequence of (int, int)
            Numbers of the first pictures and their timestamps in units of `time_base`, ascending; pictures without a timestamp are
            left out. What comes after them is not looked at.
        """
        steps = [Fraction(b - a, j - i) for (i, a), (j, b) in pairwise(times)]
        if not steps or min(steps) <= 0:
            return None
        spread = max(steps) - min(steps)
        # One unit is rounding, however long, if there are several in a frame.
        if spread * time_base > _ROUNDING_S and (spread > 1 or min(steps) <= 2):
            return None
        (first, start), (last, end) = times[0], times[-1]
        mean = (last - first) / ((end - start) * time_base)
        header = None if self.rate is None else _usual(self.rate)
        if header is not None and self.is_interlaced and abs(mean / header - 2) < _DOUBLE:
            return header
        guesses = (
            header if header in USUAL_RATES else None,
            nearest_rate(float(mean), USUAL_RATES) if spread else _usual(mean),
            header,
        )
        fitting = (
            rate for rate in guesses if rate is not None and _fits(rate, times, time_base, max(spread, Fraction(1)))
        )
        rate = next(fitting, None)
        return None if rate is None or self._changes_later(rate) else rate

    def start_timecode(self, rate: Fraction | None, fps: float) -> str | None:
        """Return the timecode of the first frame, None where there is no valid one for this rate; where it varies, for its average."""
        return next((text for text in self.timecodes if is_timecode(text, rate or nearest_rate(fps))), None)

    def _changes_later(self, rate: Fraction) -> bool:
        """Whether the file does not last as long as its frames do at this rate; where the header does not count them, nothing tells."""
        return self.rate is not None and abs(self.frames / self.rate * rate - self.frames) > _LAST_FRAMES


def _usual(rate: Fraction) -> Fraction:
    """Return the usual rate that this is another way to write, if there is one."""
    return next((usual for usual in USUAL_RATES if abs(rate / usual - 1) <= _SAME), rate)


def _fits(rate: Fraction, times: Sequence[tuple[int, int]], time_base: Fraction, rounding: Fraction) -> bool:
    step = 1 / (rate * time_base)
    first, start = times[0]
    return all(abs(time - start - (number - first) * step) <= rounding for number, time in times)


def _tagged(metadata: dict[str, str]) -> list[str]:
    return [value.strip() for name, value in metadata.items() if name.lower() == "timecode"]


def _of_picture(picture: av.VideoFrame, rate: Fraction) -> Iterator[str]:
    """Yield the timecodes that a codec wrote beside a picture; PyAV has them as FFmpeg packs them."""
    side_data: Mapping[str, Any] = picture.side_data
    if (packed := side_data.get("S12M_TIMECODE")) is not None:
        # The first number says how many follow.
        yield _of_st12(int.from_bytes(bytes(packed)[4:8], "little"), rate)
    if (packed := side_data.get("GOP_TIMECODE")) is not None:
        yield _of_gop(int.from_bytes(bytes(packed)[:4], "little"))


def _of_st12(bits: int, rate: Fraction) -> str:
    """Unpack binary coded decimals, see FFmpeg's ``av_timecode_make_smpte_tc_string2``."""

    def number(shift: int, mask: int) -> int:
        field = bits >> shift & mask
        return 10 * (field >> 4) + (field & 15)

    frames = number(24, 0x3F)
    if rate > 30:
        # Pairs are counted, and a bit tells which of the two it is: another one where the mains have 50 Hz.
        frames = 2 * frames + (bits >> (7 if rate == 50 else 23) & 1)
    separator = ";" if bits >> 30 & 1 else ":"
    return f"{number(0, 0x3F):02}:{number(8, 0x7F):02}:{number(16, 0x7F):02}{separator}{frames:02}"


def _of_gop(bits: int) -> str:
    """Unpack the 25 bits of ISO/IEC 13818-2, 6.3.8, less the marker bit's meaning; see FFmpeg's ``av_timecode_make_mpeg_tc_string``."""
    separator = ";" if bits >> 24 & 1 else ":"
    return f"{bits >> 19 & 31:02}:{bits >> 13 & 63:02}:{bits >> 6 & 63:02}{separator}{bits & 63:02}"

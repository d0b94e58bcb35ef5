"""The frame rates of cinema and broadcasting, and the timecode that counts their frames (SMPTE ST 12-1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from timecode.timecode import Timecode

TIMECODE_RATES = (
    *(Fraction(1000 * counted, 1001) for counted in (24, 30, 48, 60)),
    *(Fraction(counted) for counted in (24, 25, 30, 48, 50, 60)),
)
"""Frames per second that timecode is made for."""

USUAL_RATES = (*TIMECODE_RATES, Fraction(120_000, 1001), Fraction(100), Fraction(120))

_TIMECODE = re.compile(r"\d\d:\d\d:\d\d[:;]\d{2,3}")


def nearest_rate(fps: float, rates: Sequence[Fraction] = TIMECODE_RATES) -> Fraction:
    """Return the rate that is nearest to an average.

    Examples
    --------
    >>> nearest_rate(29.96), nearest_rate(24.4)
    (Fraction(30000, 1001), Fraction(24, 1))
    """
    return min(rates, key=lambda rate: abs(rate - Fraction(fps)))


def counter(rate: Fraction, *, drops: bool = False) -> Timecode:
    """Return what turns numbers of frames, from 1 on, into timecode and back, with the whole number of frames that a rate counts.

    Parameters
    ----------
    drops : bool
        Whether it drops numbers to keep up with the clock; where the rate is not 29.97 or a multiple, none is dropped all the same.

    Examples
    --------
    >>> counter(Fraction(30000, 1001), drops=True).frames_to_tc(1 + 1800)
    (0, 1, 0, 2)
    """
    # Of a rate that drops numbers the library knows the decimals, and of others the whole number that is counted.
    if drops and rate * 1001 % 30_000 == 0:
        return Timecode(f"{float(rate):.2f}")
    return Timecode(max(1, int(rate + Fraction(1, 2))))


def is_timecode(text: str, rate: Fraction) -> bool:
    """Whether a text is a timecode of a video of this rate: all its numbers exist.

    Examples
    --------
    >>> is_timecode("10:00:00:24", Fraction(25)), is_timecode("10:00:00:25", Fraction(25)), is_timecode("10:00:00;24", Fraction(25))
    (True, False, False)
    >>> is_timecode("00:10:00;00", Fraction(30000, 1001)), is_timecode("00:11:00;00", Fraction(30000, 1001))
    (True, False)
    """
    if _TIMECODE.fullmatch(text) is None:
        return False
    counted = counter(rate, drops=";" in text)
    # A number that does not exist counts as another one.
    return text == counted.tc_to_string(*counted.frames_to_tc(counted.tc_to_frames(text)))

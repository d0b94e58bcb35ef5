"""How times and chances are written for people."""

from __future__ import annotations

import math

_MOST_STRANGERS = 1_000_000
# So many strangers, and no more, can check a rate: two of the 595 of the cohort that is shipped.
_CHECKED_STRANGERS = 300


def timecode(time_s: float) -> str:
    """Return ``hh:mm:ss.mmm``."""
    seconds, milliseconds = divmod(round(time_s * 1000), 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}.{milliseconds:03}"


def clock(time_s: float, decimals: int = 0) -> str:
    """Return ``m:ss``, from one hour on ``h:mm:ss``, with that many decimals of a second."""
    ticks, fraction = divmod(round(time_s * 10**decimals), 10**decimals)
    minutes, seconds = divmod(ticks, 60)
    text = f"{minutes // 60}:{minutes % 60:02}:{seconds:02}" if minutes >= 60 else f"{minutes}:{seconds:02}"
    return f"{text}.{fraction:0{decimals}}" if decimals else text


def percent(probability: float) -> str:
    """Return a whole per cent; what is not certain is never written as 0 or 100."""
    value = round(probability * 100)
    if value == 100 and probability < 1:
        return "> 99 %"
    if value == 0 and probability > 0:
        return "< 1 %"
    return f"{value} %"


def one_in(rate: float) -> str:
    """Return a rate in (0, 1] as ``1 in N``, N to two figures; no data supports more than a million."""
    if rate < 1 / _MOST_STRANGERS:
        return f"< 1 in {_MOST_STRANGERS:,}"
    count = 1 / rate
    unit = 10 ** max(0, math.floor(math.log10(count)) - 1)
    return f"1 in {round(count / unit) * unit:,}"


def strangers_as_near(rate: float) -> str:
    """Return a rate in (0, 1] as ``1 stranger in N``, in which a rate that no data checked is a bound; see `one_in`."""
    if rate < 1 / _CHECKED_STRANGERS:
        return f"fewer than 1 stranger in {_CHECKED_STRANGERS}"
    return one_in(rate).replace("1 in ", "1 stranger in ")

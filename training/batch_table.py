"""A table of many fragments: lines of ``media,start,end,person``."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass

from facerec_models.errors import InputError
from facerec_models.names import person_id_of


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One line of a batch.

    Parameters
    ----------
    line : int
        Its number in the table, from 1.
    fragment : tuple of float or None
        From when to when, in seconds; None for the whole.
    person : str or None
        Who is asked for, as it is written: a name that a person can have.
    """

    line: int
    media: str
    fragment: tuple[float, float] | None
    person: str | None


def read_batch(lines: Iterable[str], name: str) -> list[BatchRow]:
    """Read a table whose first line is ``media,start,end,person``; the last three columns may be left out or empty.

    Parameters
    ----------
    name : str
        What the table is called in errors.

    Raises
    ------
    InputError
        If it has no such columns or no line, or a line has no media, half a fragment, no time where one must be, or nobody's name.
    """
    try:
        reader = csv.DictReader(lines)
        found = [(reader.line_num, values) for values in reader]
    except csv.Error as error:
        raise InputError(f"{name!r} cannot be read as CSV: {error}") from error
    if not found or "media" not in found[0][1]:
        raise InputError(f"{name!r} must begin with the line media,start,end,person and have at least one more")
    rows = []
    for number, values in found:
        media, start, end, person = (str(values.get(key) or "").strip() for key in ("media", "start", "end", "person"))
        if not media or bool(start) != bool(end):
            raise InputError(f"{name}, line {number}: needs media, and start and end or neither")
        try:
            fragment = parse_span(start, end) if start else None
            if person:
                person_id_of(person)
        except InputError as error:
            raise InputError(f"{name}, line {number}: {error}") from error
        rows.append(BatchRow(number, media, fragment, person or None))
    return rows


def parse_span(start: str, end: str) -> tuple[float, float]:
    """Read from when to when.

    Raises
    ------
    InputError
        If one is no time, or the end is not after the start.
    """
    start_s, end_s = parse_time(start), parse_time(end)
    if not 0 <= start_s < end_s:
        raise InputError(f"{start!r} to {end!r} must start before it ends, and not before 0")
    return start_s, end_s


def parse_time(text: str) -> float:
    """Read seconds, ``minutes:seconds`` or ``hours:minutes:seconds``.

    Raises
    ------
    InputError
        If it is none of these.
    """
    try:
        seconds = 0.0
        for part in text.strip().split(":"):
            seconds = seconds * 60 + float(part)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise InputError(f"{text!r} is no time; give seconds, minutes:seconds or hours:minutes:seconds")
    return seconds

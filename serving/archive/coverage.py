"""Which part of its video an analysis is of, and of which analyses the answer about a video is made.

What counts is the last analysis of all of a video, as long as no part was made its answer since; without one, all parts that no larger
one covers. Where parts overlap, the one that was analysed last counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facerec_models.metrics.intervals import subtract, union
from facerec_models.types import Interval
from serving.store.rows import AnalysisRow

ANALYSED_AT = "analysed_at"
"""In the summary of an analysis: when it was made, in seconds since 1970; its `created_at` says what it counts as."""
MADE_FROM = "made_from"
"""In the summary of an analysis of a second set: the id of the analysis whose crops it was made from."""
JOINED = "joined"
"""In the summary of an analysis that is joined of others: ``parts``, pairs of their ids and when they were made; and ``tracks``, for
each track, by id, the place of its part in that list and its number there."""


@dataclass(frozen=True, slots=True)
class Share:
    """What an analysis contributes to an answer.

    Parameters
    ----------
    ranges : tuple of (start_s, end_s)
        Ascending and apart; empty where it is of all of the video.
    """

    analysis: AnalysisRow
    ranges: tuple[Interval, ...] = ()


def ranges_of(row: AnalysisRow) -> list[Interval] | None:
    """Return which parts of its video an analysis is of, ascending and apart; None for all of it.

    One that broke off is of what it could read.
    """
    summary = row.summary
    if summary.get("fragments"):
        return union((start_s, end_s) for start_s, end_s in summary["fragments"])
    if summary.get("fragment") is not None:
        start_s, end_s = summary["fragment"]
        return [(start_s, end_s)]
    return None if summary["complete"] or not summary["shots"] else [(0.0, summary["shots"][-1][1])]


def covers(row: AnalysisRow, other: AnalysisRow) -> bool:
    """Whether an analysis is of all that another one is of."""
    mine, theirs = ranges_of(row), ranges_of(other)
    return mine is None or (theirs is not None and not subtract(theirs, mine))


def analysed_at(row: AnalysisRow) -> float:
    """Return when an analysis was made, whatever it counts as."""
    return float(row.summary.get(ANALYSED_AT, row.created_at))


def is_joined(row: AnalysisRow) -> bool:
    """Whether an analysis is joined of others that are there too; in a second set these are not."""
    return JOINED in row.summary and MADE_FROM not in row.summary


def shares_of(rows: Sequence[AnalysisRow], stream: int) -> list[Share]:
    """Return of what the answer about a video is made, the part that was analysed last first.

    Parameters
    ----------
    rows : sequence of AnalysisRow
        All of the video, of one embedder, oldest first by what they count as.
    stream : int
        The picture track that parts must be of: others have other pictures.
    """
    own = [row for row in rows if not is_joined(row)]
    if ranges_of(own[-1]) is None:
        return [Share(own[-1])]
    parts = [row for row in own if ranges_of(row) is not None and row.summary["info"]["stream"] == stream]
    shares: list[Share] = []
    taken: list[Interval] = []
    for row in sorted(_uncovered(parts), key=lambda row: (analysed_at(row), row.analysis_id), reverse=True):
        ranges = ranges_of(row) or []
        if mine := subtract(ranges, taken):
            shares.append(Share(row, tuple(mine)))
            taken = union([*taken, *ranges])
    return shares


def _uncovered(parts: Sequence[AnalysisRow]) -> list[AnalysisRow]:
    """Return the parts that no larger one covers; of the same part in several ways the one that was asked for last."""
    return [
        row
        for at, row in enumerate(parts)
        if not any(
            covers(other, row) and (place > at or not covers(row, other))
            for place, other in enumerate(parts)
            if place != at
        )
    ]

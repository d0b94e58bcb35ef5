"""Exact arithmetic of half-open intervals of time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from facerec_models.types import Interval


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Sort, join what overlaps or touches, and drop what is empty: the normal form of the functions below.

    Examples
    --------
    >>> union([(4, 5), (0, 1), (1, 2), (3, 3)])
    [(0, 2), (4, 5)]
    """
    joined: list[Interval] = []
    for start, end in sorted(i for i in intervals if i[0] < i[1]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def widen(intervals: Iterable[Interval], by_s: float) -> list[Interval]:
    """Reach beyond both ends of each interval, and join what then overlaps.

    Examples
    --------
    >>> widen([(0, 1), (1.5, 2)], by_s=0.5)
    [(-0.5, 2.5)]
    """
    return union((start - by_s, end + by_s) for start, end in union(intervals))


def intersect(a: Sequence[Interval], b: Sequence[Interval]) -> list[Interval]:
    """Return what lies in both; each must be in normal form.

    Examples
    --------
    >>> intersect([(0, 2), (4, 6)], [(1, 5)])
    [(1, 2), (4, 5)]
    """
    return union((max(x[0], y[0]), min(x[1], y[1])) for x in a for y in b)


def subtract(a: Sequence[Interval], b: Sequence[Interval]) -> list[Interval]:
    """Return what lies in `a` and not in `b`; each must be in normal form.

    Examples
    --------
    >>> subtract([(0, 10)], [(2, 3), (8, 12)])
    [(0, 2), (3, 8)]
    """
    bounds = [-math.inf, *(edge for interval in b for edge in interval), math.inf]
    gaps = list(zip(bounds[::2], bounds[1::2], strict=True))
    return intersect(a, gaps)


def length(intervals: Sequence[Interval]) -> float:
    """Return the sum of the lengths.

    Examples
    --------
    >>> length([(0, 2), (4, 5)])
    3.0
    """
    return math.fsum(end - start for start, end in intervals)


def overlaps(a: Interval, b: Interval) -> bool:
    """Whether two intervals have a moment in common.

    Examples
    --------
    >>> overlaps((0, 2), (1, 3)), overlaps((0, 2), (2, 3))
    (True, False)
    """
    return max(a[0], b[0]) < min(a[1], b[1])

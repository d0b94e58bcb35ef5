"""From identified tracks to appearances: who, from when to when."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol

from facerec_models.types import Appearance, Interval, Match


class InView(Protocol):
    """When a track is in view: a `Track`, or less of one."""

    @property
    def track_id(self) -> int:
        """Its number in the video."""

    @property
    def shot(self) -> int:
        """Number of the shot that it lies in."""

    @property
    def start_s(self) -> float:
        """When the face is first in view."""

    @property
    def end_s(self) -> float:
        """When it is no longer in view."""


def build_appearances(
    tracks: Sequence[InView],
    matches: Sequence[Match],
    owners: Sequence[Hashable],
    period_s: float,
) -> list[Appearance]:
    """Join the tracks of one owner that follow each other.

    Across a cut they are joined if there is no gap, and within a shot if the gap is at most half a sampling period.

    Parameters
    ----------
    owners : sequence of hashable
        Whom each track belongs to: a person, a stranger, or, for an undecidable track, itself alone.

    Returns
    -------
    list of Appearance
        By start. The match of each is its best track's.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from facerec_models.types import Decision
    >>> tracks = [SimpleNamespace(track_id=i, shot=i, start_s=i * 5.0, end_s=i * 5.0 + 5.0) for i in range(2)]
    >>> matches = [Match(Decision.NAMED, "Ann", 0.9, 0.002), Match(Decision.NAMED, "Ann", 0.99, 0.001)]
    >>> [(a.start_s, a.end_s, a.track_ids) for a in build_appearances(tracks, matches, ["Ann", "Ann"], period_s=1.0)]
    [(0.0, 10.0, (0, 1))]
    """
    parts: dict[Hashable, list[tuple[Interval, int]]] = {}
    for i, track in enumerate(tracks):
        parts.setdefault(owners[i], []).append(((track.start_s, track.end_s), i))
    found: list[Appearance] = []
    for intervals in parts.values():
        intervals.sort()
        (start_s, end_s), first = intervals[0]
        run = [first]
        for (next_start_s, next_end_s), i in intervals[1:]:
            most_gap_s = period_s / 2 if tracks[run[-1]].shot == tracks[i].shot else 0.0
            if next_start_s > end_s + most_gap_s:
                found.append(_appearance(start_s, end_s, run, tracks, matches))
                run, start_s, end_s = [], next_start_s, next_end_s
            run.append(i)
            end_s = max(end_s, next_end_s)
        found.append(_appearance(start_s, end_s, run, tracks, matches))
    return sorted(found, key=lambda appearance: (appearance.start_s, appearance.track_ids))


def _appearance(
    start_s: float, end_s: float, members: Sequence[int], tracks: Sequence[InView], matches: Sequence[Match]
) -> Appearance:
    best = min(members, key=lambda i: (not matches[i].is_confirmed, -matches[i].score, matches[i].false_name_rate))
    return Appearance(start_s, end_s, tuple(sorted(tracks[i].track_id for i in members)), matches[best])

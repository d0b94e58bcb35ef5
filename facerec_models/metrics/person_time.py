"""How good the names in videos are, in person-seconds, counted with exact interval arithmetic, no sampling grid.

Of one person in one video:

- *found*: clear seconds during which the name is shown; within `TOLERANCE_S` of the ends of a clear interval a name
  shown up to `TOLERANCE_S` away counts;
- *right*: named seconds inside any interval of the person, of any visibility, widened by `TOLERANCE_S` at both ends;
- *ignored*: other named seconds inside an ignore interval;
- *wrong*: all other named seconds.

Intervals of one person that overlap or touch are one interval, in the truth and in what is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from facerec_models.metrics.intervals import intersect, length, subtract, union, widen
from facerec_models.types import Interval

TOLERANCE_S = 0.5
CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class TrueInterval:
    """When a person is in a video, from `start_s` to before `end_s`; only ``clear`` time counts for recall."""

    start_s: float
    end_s: float
    visibility: str = CLEAR

    def __post_init__(self) -> None:
        if not self.start_s <= self.end_s:
            raise ValueError(f"interval ends at {self.end_s} before it starts at {self.start_s}")


@dataclass(frozen=True, slots=True)
class NamedTime:
    """Person-seconds of one person in one video, or the sum over several of either."""

    clear_s: float = 0.0
    found_s: float = 0.0
    right_s: float = 0.0
    ignored_s: float = 0.0
    wrong_s: float = 0.0

    def __add__(self, other: NamedTime) -> NamedTime:
        return NamedTime(
            self.clear_s + other.clear_s,
            self.found_s + other.found_s,
            self.right_s + other.right_s,
            self.ignored_s + other.ignored_s,
            self.wrong_s + other.wrong_s,
        )

    @property
    def named_s(self) -> float:
        """All seconds during which a name is shown."""
        return self.right_s + self.ignored_s + self.wrong_s

    @property
    def recall(self) -> float | None:
        """Found seconds over clear seconds; None where nobody is clear."""
        return self.found_s / self.clear_s if self.clear_s > 0 else None

    @property
    def precision(self) -> float | None:
        """Right seconds over right and wrong ones; None where no name counts."""
        judged_s = self.right_s + self.wrong_s
        return self.right_s / judged_s if judged_s > 0 else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; a precision that nothing defines counts as 0."""
        if self.recall is None:
            return None
        precision = self.precision or 0.0
        return 2 * precision * self.recall / (precision + self.recall) if precision + self.recall > 0 else 0.0

    def to_dict(self) -> dict[str, float | None]:
        """Return the seconds and the three ratios."""
        return {
            "recall": self.recall,
            "precision": self.precision,
            "f1": self.f1,
            "clear_s": self.clear_s,
            "found_s": self.found_s,
            "right_s": self.right_s,
            "ignored_s": self.ignored_s,
            "wrong_s": self.wrong_s,
        }


@dataclass(frozen=True, slots=True)
class StrangerTime:
    """False names on videos that show nobody enrolled."""

    duration_s: float = 0.0
    named_tracks: int = 0
    named_s: float = 0.0

    def __add__(self, other: StrangerTime) -> StrangerTime:
        return StrangerTime(
            self.duration_s + other.duration_s, self.named_tracks + other.named_tracks, self.named_s + other.named_s
        )

    @property
    def names_per_hour(self) -> float | None:
        """Named tracks per hour of video; None where there is no video."""
        return self.named_tracks / self.duration_s * 3600 if self.duration_s > 0 else None

    def to_dict(self) -> dict[str, float | int | None]:
        """Return the counts and the rate."""
        return {
            "duration_s": self.duration_s,
            "named_tracks": self.named_tracks,
            "named_s": self.named_s,
            "names_per_hour": self.names_per_hour,
        }


def named_time(truth: Iterable[TrueInterval], shown: Iterable[Interval], ignored: Iterable[Interval] = ()) -> NamedTime:
    """Count the seconds of one person in one video.

    Parameters
    ----------
    truth : iterable of TrueInterval
        When the person is there; empty for a person who never is.
    shown : iterable of (start_s, end_s)
        When the result shows the person's name.
    ignored : iterable of (start_s, end_s)
        Where the truth is not certain enough to call a name wrong.

    Examples
    --------
    >>> found = named_time([TrueInterval(0, 10)], shown=[(0, 8), (20, 22)])
    >>> found.found_s, found.right_s, found.wrong_s, found.recall, found.precision
    (8.0, 8.0, 2.0, 0.8, 0.8)
    """
    truth, shown = tuple(truth), union(shown)
    clear = union((t.start_s, t.end_s) for t in truth if t.visibility == CLEAR)
    ends = union(edge for start, end in clear for edge in ((start, start + TOLERANCE_S), (end - TOLERANCE_S, end)))
    accepted = union([*shown, *intersect(widen(shown, TOLERANCE_S), ends)])
    anywhere = widen(((t.start_s, t.end_s) for t in truth), TOLERANCE_S)
    elsewhere = subtract(shown, anywhere)
    wrong = subtract(elsewhere, union(ignored))
    return NamedTime(
        clear_s=length(clear),
        found_s=length(intersect(clear, accepted)),
        right_s=length(intersect(shown, anywhere)),
        ignored_s=length(elsewhere) - length(wrong),
        wrong_s=length(wrong),
    )


def named_times(
    truth: Mapping[str, Iterable[TrueInterval]],
    shown: Mapping[str, Iterable[Interval]],
    ignored: Iterable[Interval] = (),
) -> dict[str, NamedTime]:
    """Count the seconds of everybody who is in one video or named in it, by ``person_id``, in alphabetical order.

    Examples
    --------
    >>> times = named_times({"Ann": [TrueInterval(0, 4)]}, {"Ann": [(0, 4)], "Bob": [(1, 2)]})
    >>> {person: (time.right_s, time.wrong_s) for person, time in times.items()}
    {'Ann': (4.0, 0.0), 'Bob': (0.0, 1.0)}
    """
    ignored = union(ignored)
    return {
        person: named_time(truth.get(person, ()), shown.get(person, ()), ignored)
        for person in sorted(truth.keys() | shown.keys())
    }


def pool(times: Iterable[NamedTime]) -> NamedTime:
    """Add up person-seconds, so that the ratios weight every second alike.

    Examples
    --------
    >>> pool([NamedTime(clear_s=10, found_s=10), NamedTime(clear_s=30, found_s=10)]).recall
    0.5
    """
    return sum(times, NamedTime())

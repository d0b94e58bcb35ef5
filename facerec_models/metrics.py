"""How good the names are: on videos in person-seconds, on stills as an open-set identification.

Videos are counted with exact interval arithmetic, no sampling grid. Of one person in one video:

- *found*: clear seconds during which the name is shown; within `TOLERANCE_S` of the ends of a clear interval a name
  shown up to `TOLERANCE_S` away counts;
- *right*: named seconds inside any interval of the person, of any visibility, widened by `TOLERANCE_S` at both ends;
- *ignored*: other named seconds inside an ignore interval;
- *wrong*: all other named seconds.

Intervals of one person that overlap or touch are one interval, in the truth and in what is shown.

Stills are counted as ISO/IEC 19795-1 counts identification: a probe picture has one *subject*, its largest face, chosen
before any name is looked at; a stranger's picture is a false name if any of its faces gets one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scipy.special import betaincinv

from facerec_models.types import Decision

Interval = tuple[float, float]

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
        When the person is there; empty for somebody who never is.
    shown : iterable of (start_s, end_s)
        When the result shows the person's name.
    ignored : iterable of (start_s, end_s)
        Where the truth is not certain enough to call a name wrong.
    """
    truth, shown = tuple(truth), _union(shown)
    clear = _union((t.start_s, t.end_s) for t in truth if t.visibility == CLEAR)
    ends = _union(edge for start, end in clear for edge in ((start, start + TOLERANCE_S), (end - TOLERANCE_S, end)))
    accepted = _union([*shown, *_intersect(_widen(shown), ends)])
    anywhere = _widen(_union((t.start_s, t.end_s) for t in truth))
    elsewhere = _subtract(shown, anywhere)
    wrong = _subtract(elsewhere, _union(ignored))
    return NamedTime(
        clear_s=_length(clear),
        found_s=_length(_intersect(clear, accepted)),
        right_s=_length(_intersect(shown, anywhere)),
        ignored_s=_length(elsewhere) - _length(wrong),
        wrong_s=_length(wrong),
    )


def named_times(
    truth: Mapping[str, Iterable[TrueInterval]],
    shown: Mapping[str, Iterable[Interval]],
    ignored: Iterable[Interval] = (),
) -> dict[str, NamedTime]:
    """Count the seconds of everybody who is in one video or named in it, by ``person_id``, in alphabetical order."""
    ignored = _union(ignored)
    return {
        person: named_time(truth.get(person, ()), shown.get(person, ()), ignored)
        for person in sorted(truth.keys() | shown.keys())
    }


def pool(times: Iterable[NamedTime]) -> NamedTime:
    """Add up person-seconds, so that the ratios weight every second alike."""
    return sum(times, NamedTime())


def _union(intervals: Iterable[Interval]) -> list[Interval]:
    """Sort, join what overlaps or touches, and drop what is empty: the normal form of the functions below."""
    joined: list[Interval] = []
    for start, end in sorted(i for i in intervals if i[0] < i[1]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _widen(intervals: Sequence[Interval]) -> list[Interval]:
    return _union((start - TOLERANCE_S, end + TOLERANCE_S) for start, end in intervals)


def _intersect(a: Sequence[Interval], b: Sequence[Interval]) -> list[Interval]:
    return _union((max(x[0], y[0]), min(x[1], y[1])) for x in a for y in b)


def _subtract(a: Sequence[Interval], b: Sequence[Interval]) -> list[Interval]:
    bounds = [-math.inf, *(edge for interval in b for edge in interval), math.inf]
    gaps = list(zip(bounds[::2], bounds[1::2], strict=True))
    return _intersect(a, gaps)


def _length(intervals: Sequence[Interval]) -> float:
    return math.fsum(end - start for start, end in intervals)


@dataclass(frozen=True, slots=True)
class FaceAnswer:
    """What was said about one face of a still.

    Parameters
    ----------
    area_px : float
        Of the face's box.
    named : str or None
        The person that it was named as, at the limit of the run.
    nearest : str or None
        The nearest enrolled person, whether or not accepted; None when undecidable.
    false_name_rate : float
        Of the nearest person, in [0, 1]; infinite when undecidable, so that no limit accepts it.
    """

    area_px: float
    named: str | None
    nearest: str | None
    false_name_rate: float

    @classmethod
    def from_json(cls, face: Mapping[str, Any]) -> FaceAnswer:
        """Read one entry of ``faces`` as `facerec faces` prints it."""
        left, top, right, bottom = face["box_xyxy"]
        area_px = (right - left) * (bottom - top)
        if face["decision"] == Decision.UNDECIDABLE:
            return cls(area_px, None, None, math.inf)
        return cls(area_px, face["person_id"], face["candidates"][0]["person_id"], float(face["false_name_rate"]))


@dataclass(frozen=True, slots=True)
class Claim:
    """How often strangers were named at one limit, beside what the limit claims.

    Parameters
    ----------
    claimed : float
        The limit: the fraction of strangers said to get a name at most.
    false_names, strangers : int
        How many of how many got one.
    """

    claimed: float
    false_names: int
    strangers: int

    @property
    def observed(self) -> float:
        """Fraction of strangers that got a name."""
        return self.false_names / self.strangers

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the true fraction (Clopper and Pearson, Biometrika 1934)."""
        named, spared = self.false_names, self.strangers - self.false_names
        low = float(betaincinv(named, spared + 1, 0.025)) if named else 0.0
        high = float(betaincinv(named + 1, spared, 0.975)) if spared else 1.0
        return low, high

    @property
    def is_kept(self) -> bool:
        """Whether the observation is compatible with the claim, at 95 % confidence."""
        return self.interval[0] <= self.claimed


@dataclass(frozen=True, slots=True)
class StillScore:
    """Open-set identification of probe pictures and strangers' pictures.

    Parameters
    ----------
    probes, strangers : int
        Pictures: what all rates divide by.
    without_face : int
        Probe pictures in which no face was found.
    rank1 : float
        Probes whose subject is nearest to the right person, at any distance. An undecidable face is a miss.
    named_right, named_wrong : float
        Probes whose subject was named, at the limit of the run, as the right person or as another.
    dir : float
        Detection and identification rate: as `rank1`, accepted at the limit that gives `dir_fpir`.
    dir_fpir : float
        The false positive identification rate at that limit: the largest possible up to the one asked for.
    dir_limit : float
        Subjects below it are accepted; infinite where no limit is needed.
    fpir : float
        Strangers' pictures with any name at the limit of the run.
    claims : tuple of Claim
        Strangers' pictures at other limits.
    """

    probes: int
    strangers: int
    without_face: int
    rank1: float
    named_right: float
    named_wrong: float
    dir: float
    dir_fpir: float
    dir_limit: float
    fpir: float
    claims: tuple[Claim, ...] = field(default=())


def subject(faces: Sequence[FaceAnswer]) -> FaceAnswer | None:
    """Return the largest face, the first of equals; None without any."""
    return max(faces, key=lambda face: face.area_px, default=None)


def still_score(
    probes: Sequence[tuple[str, Sequence[FaceAnswer]]],
    strangers: Sequence[Sequence[FaceAnswer]],
    *,
    max_fpir: float = 0.01,
    limits: Sequence[float] = (0.01, 0.05, 0.1),
) -> StillScore:
    """Count how probe pictures and strangers' pictures were answered.

    Parameters
    ----------
    probes : sequence of (person_id, faces)
        One entry a picture, with the person that it shows.
    strangers : sequence of faces
        One entry a picture of somebody who is not enrolled.
    max_fpir : float
        The false positive identification rate to take `StillScore.dir` at.
    limits : sequence of float
        The limits to count `StillScore.claims` at.

    Raises
    ------
    ValueError
        Without a probe or without a stranger, because no rate is defined then.
    """
    if not probes or not strangers:
        raise ValueError(f"rates need probes and strangers, not {len(probes)} and {len(strangers)}")
    subjects = [(person, subject(faces)) for person, faces in probes]
    right = [face.false_name_rate for person, face in subjects if face is not None and face.nearest == person]
    named = [(person, face.named) for person, face in subjects if face is not None and face.named is not None]
    rates = [min((face.false_name_rate for face in faces), default=math.inf) for faces in strangers]
    limit = fpir_limit(rates, max_fpir)
    return StillScore(
        probes=len(probes),
        strangers=len(strangers),
        without_face=sum(face is None for _, face in subjects),
        rank1=len(right) / len(probes),
        named_right=sum(person == name for person, name in named) / len(probes),
        named_wrong=sum(person != name for person, name in named) / len(probes),
        dir=sum(rate < limit for rate in right) / len(probes),
        dir_fpir=sum(rate < limit for rate in rates) / len(strangers),
        dir_limit=limit,
        fpir=sum(any(face.named is not None for face in faces) for faces in strangers) / len(strangers),
        claims=claims(rates, limits),
    )


def fpir_limit(rates: Sequence[float], max_fpir: float) -> float:
    """Return the limit below which at most a fraction `max_fpir` of strangers falls.

    Parameters
    ----------
    rates : sequence of float
        ``false_name_rate`` of each stranger, infinite for one that no limit accepts.
    max_fpir : float
        In [0, 1].
    """
    # 0.29 * 100 is a little less than 29 in floating point.
    allowed = math.floor(max_fpir * len(rates) + 1e-9)
    return sorted(rates)[allowed] if allowed < len(rates) else math.inf


def claims(rates: Sequence[float], limits: Sequence[float]) -> tuple[Claim, ...]:
    """Count strangers that score at or below each limit: one row a limit, in the given order.

    Parameters
    ----------
    rates : sequence of float
        ``false_name_rate`` of each stranger, infinite for one that no limit accepts.
    limits : sequence of float
        Values of ``max_false_names``.
    """
    return tuple(Claim(limit, sum(rate <= limit for rate in rates), len(rates)) for limit in limits)

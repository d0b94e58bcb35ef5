"""The predecessor's way to count: a record says that a person is in a stretch of video, and either the name is shown there or not.

A *part* is a stretch of video that the truth describes. A record is found if its person is shown anywhere in it. A name
shown in a part where the truth does not have that person is one false answer, however often it is shown there. Every
answer has a confidence, so that precision and recall can be read at any threshold.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from facerec_models.metrics.intervals import overlaps
from facerec_models.metrics.person_time import CLEAR, TOLERANCE_S, TrueInterval
from facerec_models.types import Interval


@dataclass(frozen=True, slots=True)
class ShownName:
    """A name shown from `start_s` to before `end_s`, with the confidence that is shown with it, in [0, 1]."""

    person_id: str
    start_s: float
    end_s: float
    confidence: float

    @property
    def interval(self) -> Interval:
        """From when to when."""
        return self.start_s, self.end_s


@dataclass(frozen=True, slots=True)
class RecordCount:
    """Records of a truth and answers to them, each with its confidence; adding two pools them.

    Parameters
    ----------
    found : tuple of (person_id, confidence)
        One entry a record; a confidence of minus infinity: the name is not shown there.
    false : tuple of (person_id, confidence)
        One entry a false answer.
    """

    found: tuple[tuple[str, float], ...] = ()
    false: tuple[tuple[str, float], ...] = ()

    def __add__(self, other: RecordCount) -> RecordCount:
        return RecordCount(self.found + other.found, self.false + other.false)

    @property
    def people(self) -> list[str]:
        """Everybody with a record or a false answer, in alphabetical order."""
        return sorted({person for person, _ in self.found + self.false})

    def of(self, person_id: str) -> RecordCount:
        """Return what concerns one person."""
        return RecordCount(
            tuple(entry for entry in self.found if entry[0] == person_id),
            tuple(entry for entry in self.false if entry[0] == person_id),
        )

    def at(self, threshold: float) -> RecordRates:
        """Count the answers whose confidence is at least `threshold`."""
        # What is not shown has no confidence that any threshold accepts.
        found = sum(confidence >= threshold and confidence > -math.inf for _, confidence in self.found)
        return RecordRates(threshold, len(self.found), found, sum(c >= threshold for _, c in self.false))


@dataclass(frozen=True, slots=True)
class RecordRates:
    """Counts at one threshold."""

    threshold: float
    records: int
    found: int
    false: int

    @property
    def precision(self) -> float | None:
        """Found records over all answers; None without an answer."""
        return self.found / (self.found + self.false) if self.found + self.false else None

    @property
    def recall(self) -> float | None:
        """Found records over all records; None without a record."""
        return self.found / self.records if self.records else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; None without a record."""
        if not self.records:
            return None
        return 2 * self.found / (self.records + self.found + self.false)

    def to_dict(self) -> dict[str, float | int | None]:
        """Return the counts and the ratios."""
        return {
            "threshold": self.threshold,
            "records": self.records,
            "found": self.found,
            "false": self.false,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
        }


def count_records(
    truth: Mapping[str, Sequence[TrueInterval]],
    parts: Sequence[Interval],
    shown: Iterable[ShownName],
    ignored: Sequence[Interval] = (),
) -> RecordCount:
    """Count one video.

    Parameters
    ----------
    truth : mapping of str to sequence of TrueInterval
        When each person is there. Clear intervals are the records; others are neither asked for nor held against an answer.
    parts : sequence of (start_s, end_s)
        Where false answers are counted.
    shown : iterable of ShownName
    ignored : sequence of (start_s, end_s)
        An answer that lies in one of them, whole, is not false.

    Examples
    --------
    >>> shown = [ShownName("Ann", 1, 2, confidence=0.9), ShownName("Bob", 3, 4, confidence=0.4)]
    >>> count = count_records({"Ann": [TrueInterval(0, 5)]}, parts=[(0, 10)], shown=shown)
    >>> count.found, count.false
    ((('Ann', 0.9),), (('Bob', 0.4),))
    >>> count.at(0.5).precision, count.at(0.3).precision
    (1.0, 0.5)
    """
    by_person: dict[str, list[ShownName]] = defaultdict(list)
    for name in shown:
        by_person[name.person_id].append(name)
    found = [
        (person, _confidence(by_person[person], (record.start_s, record.end_s)))
        for person, records in truth.items()
        for record in records
        if record.visibility == CLEAR and record.start_s < record.end_s
    ]
    false = []
    for part in parts:
        for person, names in by_person.items():
            is_there = any(
                overlaps((t.start_s - TOLERANCE_S, t.end_s + TOLERANCE_S), part) for t in truth.get(person, ())
            )
            judged = [name for name in names if not any(a <= name.start_s and name.end_s <= b for a, b in ignored)]
            confidence = _confidence(judged, part)
            if not is_there and confidence > -math.inf:
                false.append((person, confidence))
    return RecordCount(tuple(found), tuple(false))


def _confidence(names: Iterable[ShownName], interval: Interval) -> float:
    """Return the highest confidence of the names shown during an interval; minus infinity where there is none."""
    return max((name.confidence for name in names if overlaps(name.interval, interval)), default=-math.inf)


def sweep(count: RecordCount) -> list[RecordRates]:
    """Return the rates at every confidence that occurs, highest threshold first: the precision-recall curve.

    Examples
    --------
    >>> [(point.threshold, point.f1) for point in sweep(RecordCount(found=(("Ann", 0.9),), false=(("Bob", 0.4),)))]
    [(0.9, 1.0), (0.4, 0.6666666666666666)]
    """
    thresholds = {confidence for _, confidence in count.found + count.false if confidence > -math.inf}
    return [count.at(threshold) for threshold in sorted(thresholds, reverse=True)]


def best_f1(curve: Sequence[RecordRates]) -> RecordRates | None:
    """Return the point of a curve with the highest F1, the first of equals.

    Chosen on the very records that it is measured on, as the predecessor's published figures are: too good by that much.

    Examples
    --------
    >>> best_f1(sweep(RecordCount(found=(("Ann", 0.9),), false=(("Bob", 0.4),)))).threshold
    0.9
    """
    return max((point for point in curve if point.f1 is not None), key=lambda point: point.f1 or 0.0, default=None)

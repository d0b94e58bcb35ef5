"""How single tracks and faces of a result were answered, where the truth leaves no doubt about who they are.

A truth says who is in the picture, not which face is whose. A *track* is beyond doubt when one person, or nobody, is there from
its first to its last sample; a *face* when one person is visible at its time and it is the only face of its frame.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from itertools import pairwise

from facerec_models.errors import InputError
from facerec_models.types import Decision
from training.evaluation.results import MeasuredResult, Sample, TrackAnswer
from training.evaluation.truth import Truth

# The nose stands about .45 eye distances before the eyes: turned by 20 and by 45 degrees, it moves by these parts of the distance
# that is left between them.
_HALF, _PROFILE = 0.16, 0.45


class Judgement(StrEnum):
    """How a face was answered whose person is known."""

    RIGHT = "right"
    WRONG = "wrong"
    UNKNOWN = "unknown"
    UNDECIDABLE = "undecidable"


@dataclass(frozen=True, slots=True)
class JudgedFace:
    """One face whose person is beyond doubt.

    Parameters
    ----------
    width_px : float
        Of its box.
    turn : float
        How far the nose is from the middle between the eyes, in eye distances: 0 for a frontal face.
    quality : float
        In [0, 1]; see `facerec_models.analysis.quality`.
    """

    width_px: float
    turn: float
    quality: float
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class TrackEvidence:
    """Tracks and faces of one video, or of several when added.

    Parameters
    ----------
    predictions : tuple of (probability, came_true)
        Of each decided track beyond doubt: its name's or its first candidate's probability, and whether it is that person.
    stranger_rates : tuple of float
        ``false_name_rate`` of each track during which nobody enrolled is there; infinite for an undecidable one, which
        no limit names.
    faces : tuple of JudgedFace
    grouped : tuple of (video, stranger, person_id)
        One entry a track that was given to a stranger and whose person is known.
    undecidable, misnamed : int
        Tracks whose person is known that were given to no stranger: too poor to decide, or named as another person.
    """

    predictions: tuple[tuple[float, bool], ...] = ()
    stranger_rates: tuple[float, ...] = ()
    faces: tuple[JudgedFace, ...] = ()
    grouped: tuple[tuple[str, str, str], ...] = ()
    undecidable: int = 0
    misnamed: int = 0

    def __add__(self, other: TrackEvidence) -> TrackEvidence:
        names = [field.name for field in fields(self)]
        return TrackEvidence(*(getattr(self, name) + getattr(other, name) for name in names))


def turn(sample: Sample) -> float | None:
    """Return how far the nose is from the middle between the eyes, along the line of the eyes, in eye distances."""
    if len(sample.landmarks) < 3:
        return None
    (left_x, left_y), (right_x, right_y), (nose_x, nose_y) = sample.landmarks[:3]
    x, y = right_x - left_x, right_y - left_y
    squared = x * x + y * y
    if squared == 0:
        return math.inf
    return abs((nose_x - (left_x + right_x) / 2) * x + (nose_y - (left_y + right_y) / 2) * y) / squared


def pose(turned: float) -> str:
    """Return the name of a turn: frontal up to about 20 degrees, half up to about 45, then profile."""
    return "frontal" if turned < _HALF else "half" if turned < _PROFILE else "profile"


def track_evidence(
    video: str, truth: Truth, result: MeasuredResult, reference: MeasuredResult | None = None
) -> TrackEvidence:
    """Gather how one video's tracks and faces were answered.

    Parameters
    ----------
    reference : MeasuredResult, optional
        The same tracks named by a project that knows more people. A name there that the truth confirms says whose track
        it is, also where several people are in the picture.

    Raises
    ------
    InputError
        If the reference has other tracks.
    """
    names = {} if reference is None else _confirmed_names(video, truth, result, reference)
    strangers = result.strangers()
    predictions: list[tuple[float, bool]] = []
    rates: list[float] = []
    grouped: list[tuple[str, str, str]] = []
    unsure = misnamed = 0
    for track in result.tracks:
        if truth.is_ignored(*track.seen):
            continue
        present = truth.present(*track.seen)
        enrolled = {person for person in present if not person.startswith("?")}
        only = next(iter(enrolled)) if len(present) == 1 and enrolled else None
        undecidable = track.decision is Decision.UNDECIDABLE
        rate = math.inf if undecidable else track.false_name_rate
        if not enrolled and rate is not None:
            rates.append(rate)
        if not undecidable and (only or not enrolled) and (predicted := _prediction(track)) is not None:
            predictions.append((predicted[1], predicted[0] == only))
        person = names.get(track.track_id, only)
        if person is not None and track.decision is Decision.UNKNOWN and track.track_id in strangers:
            grouped.append((video, strangers[track.track_id], person))
        elif person is not None:
            unsure += undecidable
            misnamed += track.person_id not in (None, person)
    return TrackEvidence(
        tuple(predictions), tuple(rates), tuple(_judged_faces(truth, result)), tuple(grouped), unsure, misnamed
    )


def told_evidence(video: str, told: Mapping[int, str | None], result: MeasuredResult) -> TrackEvidence:
    """Gather how tracks were answered of which it is told whom they show.

    Parameters
    ----------
    told : mapping of int to str or None
        By track id, the person; None for a stranger.
    """
    strangers = result.strangers()
    evidence = TrackEvidence()
    for track in result.tracks:
        if track.track_id not in told:
            continue
        person = told[track.track_id]
        undecidable = track.decision is Decision.UNDECIDABLE
        rate = math.inf if undecidable else track.false_name_rate
        predicted = None if undecidable else _prediction(track)
        is_grouped = person is not None and track.decision is Decision.UNKNOWN and track.track_id in strangers
        evidence += TrackEvidence(
            predictions=() if predicted is None else ((predicted[1], predicted[0] == person),),
            stranger_rates=() if person is not None or rate is None else (rate,),
            grouped=((video, strangers[track.track_id], str(person)),) if is_grouped else (),
            undecidable=int(person is not None and undecidable),
            misnamed=int(person is not None and track.person_id not in (None, person)),
        )
    return evidence


def _prediction(track: TrackAnswer) -> tuple[str, float] | None:
    """Return whom a track names, or else its first candidate, and with which probability."""
    if track.person_id is not None and track.probability is not None:
        return track.person_id, track.probability
    first = next(iter(track.candidates), None)
    return None if first is None else (first.person_id, first.probability)


def _confirmed_names(video: str, truth: Truth, result: MeasuredResult, reference: MeasuredResult) -> dict[int, str]:
    if [(t.track_id, t.seen) for t in result.tracks] != [(t.track_id, t.seen) for t in reference.tracks]:
        raise InputError(f"the reference of {video} has other tracks: analyse both with the same settings")
    return {
        track.track_id: track.person_id
        for track in reference.tracks
        if track.person_id is not None and track.person_id in truth.present(*track.seen)
    }


def _judged_faces(truth: Truth, result: MeasuredResult) -> list[JudgedFace]:
    in_frame = Counter(sample.frame_index for track in result.tracks for sample in track.samples)
    faces = []
    for track in result.tracks:
        for sample in track.samples:
            alone = _visible_alone(truth, sample.time_s) if in_frame[sample.frame_index] == 1 else None
            turned = turn(sample)
            if alone is None or turned is None:
                continue
            width_px = sample.box_xyxy[2] - sample.box_xyxy[0]
            faces.append(JudgedFace(width_px, turned, sample.quality, _judge(track, alone)))
    return faces


def _visible_alone(truth: Truth, time_s: float) -> str | None:
    """Return the one person who is visible at a time; None if there are more, or fewer, or the truth does not vouch."""
    moment = (time_s, time_s + 1e-6)
    if truth.is_ignored(*moment):
        return None
    visible = truth.present(*moment, hidden=False)
    return next(iter(visible)) if len(visible) == 1 and not next(iter(visible)).startswith("?") else None


def _judge(track: TrackAnswer, person: str) -> Judgement:
    if track.person_id is not None:
        return Judgement.RIGHT if track.person_id == person else Judgement.WRONG
    return Judgement.UNDECIDABLE if track.decision is Decision.UNDECIDABLE else Judgement.UNKNOWN


@dataclass(frozen=True, slots=True)
class FaceBin:
    """Faces of one kind and how they were answered."""

    name: str
    judgements: Counter[Judgement]

    @property
    def faces(self) -> int:
        """How many there are."""
        return self.judgements.total()

    @property
    def recall(self) -> float | None:
        """Fraction that was named rightly; None without a face."""
        return self.judgements[Judgement.RIGHT] / self.faces if self.faces else None

    def to_dict(self) -> dict[str, float | int | str | None]:
        """Return the counts and the recall."""
        counts = {judgement.value: self.judgements[judgement] for judgement in Judgement}
        return {"name": self.name, "faces": self.faces, "recall": self.recall, **counts}


_SIZES_PX = (20, 40, 80, 160)
_QUALITIES = (0.2, 0.4, 0.6, 0.8)


def by_size(faces: Sequence[JudgedFace]) -> list[FaceBin]:
    """Sort faces by the width of their box."""
    return _binned([face.width_px for face in faces], faces, _SIZES_PX, " px")


def by_quality(faces: Sequence[JudgedFace]) -> list[FaceBin]:
    """Sort faces by their quality."""
    return _binned([face.quality for face in faces], faces, _QUALITIES, "")


def by_pose(faces: Sequence[JudgedFace]) -> list[FaceBin]:
    """Sort faces by how far they are turned."""
    names = ("frontal", "half", "profile")
    return [FaceBin(name, Counter(f.judgement for f in faces if pose(f.turn) == name)) for name in names]


def _binned(values: Sequence[float], faces: Sequence[JudgedFace], edges: Sequence[float], unit: str) -> list[FaceBin]:
    bounds = [-math.inf, *edges, math.inf]
    middle = [f"{low:g} to {high:g}{unit}" for low, high in pairwise(edges)]
    names = [f"below {edges[0]:g}{unit}", *middle, f"from {edges[-1]:g}{unit}"]
    return [
        FaceBin(name, Counter(f.judgement for value, f in zip(values, faces, strict=True) if low <= value < high))
        for name, (low, high) in zip(names, pairwise(bounds), strict=True)
    ]

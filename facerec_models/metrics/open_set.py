"""How good the names on stills are: open-set identification, counted as ISO/IEC 19795-1 counts it.

A probe picture has one *subject*, its largest face, chosen before any name is known; a stranger's picture is a false
name if any of its faces gets one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from facerec_models.metrics.reliability import ObservedRate, observed_rates
from facerec_models.types import Decision


@dataclass(frozen=True, slots=True)
class FaceAnswer:
    """The answer for one face of a still.

    Parameters
    ----------
    area_px : float
        Of the face's box.
    named : str or None
        The person that it was named as, at the limit of the run.
    nearest : str or None
        The nearest enrolled person, whether or not accepted.
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
        is_undecidable = face["decision"] == Decision.UNDECIDABLE
        rate = math.inf if is_undecidable else float(face["false_name_rate"])
        return cls(area_px, face["person_id"], face["candidates"][0]["person_id"], rate)


@dataclass(frozen=True, slots=True)
class StillScore:
    """Open-set identification of probe pictures and strangers' pictures.

    Parameters
    ----------
    probes, strangers : int
        Pictures: what all rates divide by.
    without_face : int
        Probe pictures in which no face was found.
    nearest_right : float
        Probes whose subject is nearest to the right person, at any distance and whatever was decided.
    rank1 : float
        The same, but an undecidable face is a miss.
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
    observed : tuple of ObservedRate
        Strangers' pictures at other limits.
    """

    probes: int
    strangers: int
    without_face: int
    nearest_right: float
    rank1: float
    named_right: float
    named_wrong: float
    dir: float
    dir_fpir: float
    dir_limit: float
    fpir: float
    observed: tuple[ObservedRate, ...] = field(default=())


def subject(faces: Sequence[FaceAnswer]) -> FaceAnswer | None:
    """Return the largest face, the first of equals; None without any.

    Examples
    --------
    >>> small, large = FaceAnswer(400, None, "Ann", 0.3), FaceAnswer(900, "Bob", "Bob", 0.001)
    >>> subject([small, large]).named
    'Bob'
    """
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
        One entry for each picture of a person who is not enrolled.
    max_fpir : float
        The false positive identification rate to take `StillScore.dir` at.
    limits : sequence of float
        The limits to count `StillScore.observed` at.

    Raises
    ------
    ValueError
        Without a probe or without a stranger, because no rate is defined then.

    Examples
    --------
    >>> right, stranger = FaceAnswer(900, "Ann", "Ann", 0.001), FaceAnswer(900, None, "Ann", 0.4)
    >>> score = still_score([("Ann", [right]), ("Ann", [])], [[stranger]])
    >>> score.named_right, score.without_face, score.fpir
    (0.5, 1, 0.0)
    """
    if not probes or not strangers:
        raise ValueError(f"rates need probes and strangers, not {len(probes)} and {len(strangers)}")
    subjects = [(person, subject(faces)) for person, faces in probes]
    nearest = [face.false_name_rate for person, face in subjects if face is not None and face.nearest == person]
    right = [rate for rate in nearest if math.isfinite(rate)]
    named = [(person, face.named) for person, face in subjects if face is not None and face.named is not None]
    rates = [min((face.false_name_rate for face in faces), default=math.inf) for faces in strangers]
    limit = fpir_limit(rates, max_fpir)
    return StillScore(
        probes=len(probes),
        strangers=len(strangers),
        without_face=sum(face is None for _, face in subjects),
        nearest_right=len(nearest) / len(probes),
        rank1=len(right) / len(probes),
        named_right=sum(person == name for person, name in named) / len(probes),
        named_wrong=sum(person != name for person, name in named) / len(probes),
        dir=sum(rate < limit for rate in right) / len(probes),
        dir_fpir=sum(rate < limit for rate in rates) / len(strangers),
        dir_limit=limit,
        fpir=sum(any(face.named is not None for face in faces) for faces in strangers) / len(strangers),
        observed=observed_rates(rates, limits),
    )


def fpir_limit(rates: Sequence[float], max_fpir: float) -> float:
    """Return the limit below which at most a fraction `max_fpir` of strangers falls.

    Parameters
    ----------
    rates : sequence of float
        ``false_name_rate`` of each stranger, infinite for one that no limit accepts.
    max_fpir : float
        In [0, 1].

    Examples
    --------
    >>> fpir_limit([0.1, 0.2, 0.3, 0.4], max_fpir=0.25)
    0.2
    """
    # 0.29 * 100 is a little less than 29 in floating point.
    allowed = math.floor(max_fpir * len(rates) + 1e-9)
    return sorted(rates)[allowed] if allowed < len(rates) else math.inf

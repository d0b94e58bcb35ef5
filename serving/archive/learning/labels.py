"""Who is in a video, as people tell who watch it: an answer for each track, and who was seen where no face was found.

What they tell becomes the video's truth, as it is kept for measuring; see `serving.archive.learning.evaluation_set`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from facerec_models.errors import InputError
from facerec_models.types import Track
from training.evaluation.truth import PersonId, TruePerson, TrueSpan, TrueStranger, Truth

FORGOTTEN = "forgotten"


class _Label(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TrackLabel(_Label):
    """Who a track shows: a person, a stranger who is not enrolled, or nobody can tell."""

    track_id: int = Field(ge=0)
    kind: Literal["person", "stranger", "unclear"]
    person_id: PersonId | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.person_id is not None) != (self.kind == "person"):
            raise ValueError("a person_id goes with the kind 'person', and with no other")
        return self


class MissedSpan(_Label):
    """A person who is seen, and whose face was not found."""

    person_id: PersonId
    start_s: float = Field(ge=0)
    end_s: float

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.start_s >= self.end_s:
            raise ValueError(f"end {self.end_s} does not lie behind start {self.start_s}")
        return self


class VideoLabels(_Label):
    """What was told of one video, by tracks of one of its analyses."""

    analysis_id: str = Field(max_length=64)
    tracks: tuple[TrackLabel, ...] = Field(max_length=50_000)
    missed: tuple[MissedSpan, ...] = Field(default=(), max_length=1000)

    def told(self) -> dict[int, str | None]:
        """Return whom tracks show, by their ids: None for a stranger; where nobody can tell a track is left out."""
        return {one.track_id: one.person_id for one in self.tracks if one.kind != "unclear"}

    def without(self, names: frozenset[str]) -> VideoLabels:
        """Return the same, with strangers in place of some people."""
        tracks = [
            TrackLabel(track_id=one.track_id, kind="stranger") if one.person_id in names else one for one in self.tracks
        ]
        return VideoLabels(
            analysis_id=self.analysis_id,
            tracks=tuple(tracks),
            missed=tuple(one for one in self.missed if one.person_id not in names),
        )


class KeptTruth(Truth):
    """A truth as a project keeps it.

    Parameters
    ----------
    kept_at : float
        In seconds since the epoch: people are called in it as they were then.
    labels : VideoLabels or None
        What it was made of, where it was made by watching.
    """

    kept_at: float = 0.0
    labels: VideoLabels | None = None


def truth_of(labels: VideoLabels, tracks: Sequence[Track], duration_s: float | None) -> Truth:
    """Return the truth that labels tell.

    While a track is in view that has no label, or of which nobody can tell who it is, other names are not held against a result.

    Raises
    ------
    InputError
        If there is no label, two are of one track, or one is of a track that is not there.
    """
    spans = {track.track_id: TrueSpan(start=track.start_s, end=track.end_s) for track in tracks}
    of_track = {one.track_id: one for one in labels.tracks}
    if len(of_track) != len(labels.tracks):
        raise InputError("a track has two labels: give it one")
    if absent := sorted(of_track.keys() - spans.keys()):
        raise InputError(f"analysis {labels.analysis_id} has no track {absent[0]}: read the video's result again")
    if not of_track and not labels.missed:
        raise InputError("nothing is labelled: say who at least one track shows")
    people: dict[str, list[TrueSpan]] = defaultdict(list)
    for one in of_track.values():
        if one.person_id is not None:
            people[one.person_id].append(spans[one.track_id])
    for missed in labels.missed:
        people[missed.person_id].append(TrueSpan(start=missed.start_s, end=missed.end_s))
    open_ids = [one for one in spans if one not in of_track or of_track[one].kind == "unclear"]
    strangers = [one.track_id for one in of_track.values() if one.kind == "stranger"]
    return Truth(
        duration_s=duration_s,
        people=tuple(TruePerson(name=name, intervals=tuple(found)) for name, found in sorted(people.items())),
        unknown_people=tuple(TrueStranger(label=f"track {one}", intervals=(spans[one],)) for one in strangers),
        no_gallery_person_expected=not people,
        ignore_intervals=tuple((spans[one].start, spans[one].end) for one in open_ids),
    )


def with_names(kept: KeptTruth, names: dict[str, str]) -> KeptTruth:
    """Return a truth in which people are called otherwise."""
    if not any(names.get(one.name, one.name) != one.name for one in kept.people):
        return kept
    people: dict[str, list[TrueSpan]] = defaultdict(list)
    for one in kept.people:
        people[names.get(one.name, one.name)].extend(one.intervals)
    return kept.model_copy(
        update={
            "people": tuple(TruePerson(name=name, intervals=tuple(found)) for name, found in sorted(people.items())),
            "labels": None if kept.labels is None else _renamed(kept.labels, names),
        }
    )


def _renamed(labels: VideoLabels, names: dict[str, str]) -> VideoLabels:
    tracks = [
        one.model_copy(update={"person_id": names.get(one.person_id or "", one.person_id)}) for one in labels.tracks
    ]
    missed = [one.model_copy(update={"person_id": names.get(one.person_id, one.person_id)}) for one in labels.missed]
    return labels.model_copy(update={"tracks": tuple(tracks), "missed": tuple(missed)})


def without_people(kept: KeptTruth, names: frozenset[str]) -> KeptTruth:
    """Return a truth that names some people no more: they are strangers in it."""
    gone = [one for one in kept.people if one.name in names]
    rest = tuple(one for one in kept.people if one.name not in names)
    strangers = tuple(TrueStranger(label=f"{FORGOTTEN} {i}", intervals=one.intervals) for i, one in enumerate(gone, 1))
    return kept.model_copy(
        update={
            "people": rest,
            "unknown_people": kept.unknown_people + strangers,
            "no_gallery_person_expected": not rest,
            "labels": None if kept.labels is None else kept.labels.without(names),
        }
    )

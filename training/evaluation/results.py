"""Results of videos as they are measured: what the counting needs of ``facerec.result/1``.

`facerec_models.result.Result` is the whole document, and strict. This part can be read of documents that lack the rest: those of older
versions, of other tools, or written by hand.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Literal

from pydantic import Field

from facerec_models.errors import InputError
from facerec_models.metrics import Interval, ShownName
from facerec_models.types import Decision
from training.evaluation.truth import Part, read_document


class _MeasuredVideo(Part):
    complete: bool
    duration_s: float | None = None
    sha256: str | None = None


class _MeasuredModel(Part):
    max_false_names: float


class _MeasuredAppearance(Part):
    person_id: str | None
    stranger: str | None = None
    start_s: float
    end_s: float
    probability: float = Field(default=1.0, ge=0, le=1)
    track_ids: tuple[int, ...] = ()


class _MeasuredCandidate(Part):
    person_id: str
    probability: float


class Sample(Part):
    """A track's face in one frame."""

    time_s: float
    frame_index: int
    box_xyxy: tuple[float, float, float, float]
    landmarks: tuple[tuple[float, float], ...]
    quality: float


class TrackAnswer(Part):
    """What was decided about one track, and what it shows."""

    track_id: int
    decision: Decision
    person_id: str | None = None
    start_s: float = 0.0
    end_s: float = 0.0
    probability: float | None = None
    false_name_rate: float | None = None
    candidates: tuple[_MeasuredCandidate, ...] = ()
    samples: tuple[Sample, ...] = ()

    @property
    def seen(self) -> Interval:
        """From the first to the last sample, as an interval that is never empty."""
        if not self.samples:
            return self.start_s, self.end_s
        return self.samples[0].time_s, max(self.samples[-1].time_s, self.samples[0].time_s + 1e-6)


class MeasuredResult(Part):
    """The answers in a ``facerec.result/1`` document."""

    noun = "result"

    schema_name: Literal["facerec.result/1"] = Field(alias="schema")
    video: _MeasuredVideo
    model: _MeasuredModel | None = None
    appearances: tuple[_MeasuredAppearance, ...]
    tracks: tuple[TrackAnswer, ...]

    def shown(self) -> list[ShownName]:
        """Return which names are shown, and when; unknown and undecidable faces are no names."""
        return [
            ShownName(a.person_id, a.start_s, a.end_s, a.probability)
            for a in self.appearances
            if a.person_id is not None
        ]

    def named_tracks(self) -> list[Interval]:
        """Return when each named track is seen."""
        return [(track.start_s, track.end_s) for track in self.tracks if track.decision is Decision.NAMED]

    def strangers(self) -> dict[int, str]:
        """Return the stranger of each track that belongs to one, by track id."""
        return {i: a.stranger for a in self.appearances if a.stranger is not None for i in a.track_ids}


def by_person(shown: list[ShownName]) -> dict[str, list[Interval]]:
    """Return when each name is shown, by ``person_id``."""
    intervals: dict[str, list[Interval]] = defaultdict(list)
    for name in shown:
        intervals[name.person_id].append(name.interval)
    return intervals


def read_results(directory: Path) -> dict[str, MeasuredResult]:
    """Read a folder of ``*.json``, by stem in alphabetical order.

    Raises
    ------
    InputError
        If it is no folder, or a file is no result of a video.
    """
    if not directory.is_dir():
        raise InputError(f"{str(directory)!r} is no folder of results: give one with a .json file a video")
    return {path.stem: read_document(MeasuredResult, path) for path in sorted(directory.glob("*.json"))}

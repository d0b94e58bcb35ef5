"""Results against a ground truth: `facerec evaluate`.

The truth of ``clip.mp4`` is ``clip.json`` in one folder, its result is ``clip.json`` in another. What is counted,
and how, says `facerec_models.metrics`.
"""

from __future__ import annotations

import json
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from facerec_models.errors import InputError
from facerec_models.metrics import Interval, NamedTime, StrangerTime, TrueInterval, named_times, pool
from facerec_models.types import Decision


class _Part(BaseModel):
    """What the counting needs of a larger document; the rest is not looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


def _in_order(interval: Interval) -> Interval:
    if interval[0] > interval[1]:
        raise ValueError(f"end {interval[1]} lies before start {interval[0]}")
    return interval


class _Span(_Part):
    start: float
    end: float
    visibility: Literal["clear", "small", "partial", "hidden"]

    @model_validator(mode="after")
    def _check(self) -> Self:
        _in_order((self.start, self.end))
        return self


class _Person(_Part):
    name: str
    intervals: tuple[_Span, ...]


class Truth(_Part):
    """The ground truth of one video: who is there, when, and how well visible."""

    duration_s: float = Field(gt=0)
    people: tuple[_Person, ...]
    no_gallery_person_expected: bool = False
    ignore_intervals: tuple[Annotated[Interval, AfterValidator(_in_order)], ...] = ()

    def intervals(self) -> dict[str, list[TrueInterval]]:
        """Return each person's intervals by ``person_id``, the NFC-normalised name."""
        by_person: dict[str, list[TrueInterval]] = defaultdict(list)
        for person in self.people:
            spans = (TrueInterval(span.start, span.end, span.visibility) for span in person.intervals)
            by_person[unicodedata.normalize("NFC", person.name)].extend(spans)
        return by_person


class _Video(_Part):
    complete: bool


class _Appearance(_Part):
    person_id: str | None
    start_s: float
    end_s: float


class _Track(_Part):
    decision: Decision


class Result(_Part):
    """The names in a ``facerec.result/1`` document."""

    schema_name: Literal["facerec.result/1"] = Field(alias="schema")
    video: _Video
    appearances: tuple[_Appearance, ...]
    tracks: tuple[_Track, ...]

    def shown(self) -> dict[str, list[Interval]]:
        """Return when each name is shown, by ``person_id``; unknown and undecidable faces are no names."""
        by_person: dict[str, list[Interval]] = defaultdict(list)
        for appearance in self.appearances:
            if appearance.person_id is not None:
                by_person[appearance.person_id].append((appearance.start_s, appearance.end_s))
        return by_person


@dataclass(frozen=True, slots=True)
class VideoScore:
    """One video's figures.

    Parameters
    ----------
    name : str
        Stem of the truth's and of the result's file.
    people : mapping of str to NamedTime
        Everybody who is there or named, by ``person_id``.
    strangers : StrangerTime or None
        Where the truth expects nobody enrolled.
    is_complete : bool
        Whether the whole video was analysed. The rest of an incomplete one counts as missed.
    """

    name: str
    people: Mapping[str, NamedTime]
    strangers: StrangerTime | None
    is_complete: bool

    @property
    def total(self) -> NamedTime:
        """The sum over people."""
        return pool(self.people.values())


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All videos' figures.

    Parameters
    ----------
    videos : tuple of VideoScore
        In alphabetical order.
    without_truth : tuple of str
        Stems of results that were not counted, because no truth has their name.
    """

    videos: tuple[VideoScore, ...]
    without_truth: tuple[str, ...] = ()

    @property
    def pooled(self) -> NamedTime:
        """Person-seconds of all videos, those of strangers included: a name there is wrong."""
        return pool(video.total for video in self.videos)

    @property
    def people(self) -> dict[str, NamedTime]:
        """Person-seconds of each person over all videos, in alphabetical order."""
        names = sorted({person for video in self.videos for person in video.people})
        return {name: pool(v.people[name] for v in self.videos if name in v.people) for name in names}

    @property
    def strangers(self) -> StrangerTime:
        """False names on the videos that expect nobody enrolled."""
        return reduce(add, (v.strangers for v in self.videos if v.strangers is not None), StrangerTime())

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "schema": "facerec.evaluation/1",
            "pooled": self.pooled.to_dict(),
            "strangers": self.strangers.to_dict(),
            "people": {name: time.to_dict() for name, time in self.people.items()},
            "videos": {
                video.name: {
                    "total": video.total.to_dict(),
                    "people": {name: time.to_dict() for name, time in video.people.items()},
                    "strangers": None if video.strangers is None else video.strangers.to_dict(),
                    "complete": video.is_complete,
                }
                for video in self.videos
            },
            "without_truth": list(self.without_truth),
        }


def score_video(name: str, truth: Truth, result: Result) -> VideoScore:
    """Count one video."""
    people = named_times(truth.intervals(), result.shown(), truth.ignore_intervals)
    strangers = None
    if truth.no_gallery_person_expected:
        named_tracks = sum(track.decision is Decision.NAMED for track in result.tracks)
        strangers = StrangerTime(truth.duration_s, named_tracks, pool(people.values()).named_s)
    return VideoScore(name, people, strangers, result.video.complete)


def evaluate(truth_dir: Path, results_dir: Path) -> Evaluation:
    """Count every video that has a truth.

    Parameters
    ----------
    truth_dir, results_dir : Path
        Folders of ``*.json``; a video's truth and its result have the same stem.

    Raises
    ------
    InputError
        If there is no truth, a truth has no result, or a file is not what it should be. A missing result is never
        passed over: the figures would be those of the easier videos.
    """
    truths = {path.stem: path for path in sorted(truth_dir.glob("*.json"))}
    results = {path.stem: path for path in sorted(results_dir.glob("*.json"))}
    if not truths:
        raise InputError(f"{truth_dir} holds no truth: give a folder with one .json file a video")
    missing = [stem for stem in truths if stem not in results]
    if missing:
        raise InputError(f"{results_dir} has no result for {', '.join(missing)}: run `facerec recognize` on them first")
    return Evaluation(
        tuple(score_video(stem, _read(Truth, path), _read(Result, results[stem])) for stem, path in truths.items()),
        tuple(stem for stem in results if stem not in truths),
    )


_Document = TypeVar("_Document", bound=_Part)


def _read(kind: type[_Document], path: Path) -> _Document:
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"{path} is no {kind.__name__.lower()} of a video: {where}: {first['msg']}") from error


def as_text(evaluation: Evaluation) -> str:
    """Return the figures as tables for people to read: pooled, by video, by person, strangers."""
    parts = [
        [_row("all videos", evaluation.pooled)],
        [_row(v.name if v.is_complete else f"{v.name} (incomplete)", v.total) for v in evaluation.videos],
        [_row(name, time) for name, time in evaluation.people.items()],
    ]
    width = max(len(row[0]) for part in parts for row in part)
    lines = [_line(width, _HEAD)]
    for part in parts:
        lines += [*(_line(width, row) for row in part), ""]
    strangers = evaluation.strangers
    if strangers.names_per_hour is not None:
        lines.append(
            f"nobody enrolled, {strangers.duration_s:.0f} s: {strangers.named_tracks} named tracks, "
            f"{strangers.named_s:.1f} named s, {strangers.names_per_hour:.1f} false names an hour"
        )
    if evaluation.without_truth:
        lines.append(f"not counted, no truth: {', '.join(evaluation.without_truth)}")
    return "\n".join(lines).rstrip() + "\n"


_HEAD = ("", "recall", "precision", "F1", "clear s", "found s", "right s", "ignored s", "wrong s")


def _row(name: str, time: NamedTime) -> tuple[str, ...]:
    ratios = ("-" if ratio is None else f"{ratio:.3f}" for ratio in (time.recall, time.precision, time.f1))
    seconds = (f"{s:.1f}" for s in (time.clear_s, time.found_s, time.right_s, time.ignored_s, time.wrong_s))
    return (name, *ratios, *seconds)


def _line(width: int, row: tuple[str, ...]) -> str:
    cells = (f"{cell:>{max(len(head), 6) + 2}}" for head, cell in zip(_HEAD[1:], row[1:], strict=True))
    return f"{row[0]:<{width}}" + "".join(cells)


def write_report(evaluation: Evaluation, directory: Path) -> None:
    """Write ``evaluation.json`` and ``evaluation.txt`` into `directory`, which is made where it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    document = json.dumps(evaluation.to_dict(), indent=1, ensure_ascii=False)
    (directory / "evaluation.json").write_text(document + "\n", encoding="utf-8")
    (directory / "evaluation.txt").write_text(as_text(evaluation), encoding="utf-8")

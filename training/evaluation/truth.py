"""Who really is in a video, and when: the truth that results are measured against.

A folder of truths has one file a video, ``clip.json`` or ``clip.vtt`` for ``clip.mp4``; or one CSV says everything.

- JSON is the full form: intervals with a visibility, stretches to ignore, people who are not enrolled.
- WebVTT: a cue says who is seen during it, one name a line or ``<v Name>``; every cue counts as clear. A file without a cue says
  that nobody enrolled appears.
- CSV ``media,start,end,person``: a line says that a person is seen in a stretch of a media file; without a person, that nobody
  enrolled is. Outside of the stretches nothing is known, and nothing is counted.
"""

from __future__ import annotations

import html
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from facerec_models.errors import InputError
from facerec_models.files import AnyPath, write_atomically
from facerec_models.metrics import Interval, TrueInterval
from facerec_models.metrics.intervals import overlaps, subtract, union
from facerec_models.names import person_id_of
from training.batch_table import read_batch

TRUTH_ENDINGS = (".json", ".vtt")


class Part(BaseModel):
    """What the counting needs of a larger document; the rest is not read."""

    noun: ClassVar[str]

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


def _in_order(interval: Interval) -> Interval:
    if interval[0] > interval[1]:
        raise ValueError(f"end {interval[1]} lies before start {interval[0]}")
    return interval


def _person_id(name: str) -> str:
    try:
        return person_id_of(name)
    except InputError as error:
        raise ValueError(str(error)) from error


PersonId = Annotated[str, AfterValidator(_person_id)]
OrderedInterval = Annotated[Interval, AfterValidator(_in_order)]


class TrueSpan(Part):
    """When a person is there, and how well visible."""

    start: float
    end: float
    visibility: Literal["clear", "small", "partial", "hidden"] = "clear"

    @model_validator(mode="after")
    def _check(self) -> Self:
        _in_order((self.start, self.end))
        return self


class TruePerson(Part):
    """A person who is enrolled, or could be. `name` is the ``person_id``, in whatever form the file has it."""

    name: PersonId
    intervals: tuple[TrueSpan, ...]


class TrueStranger(Part):
    """A person who is seen and not enrolled; the label is the annotator's."""

    label: str
    intervals: tuple[TrueSpan, ...]


class Truth(Part):
    """The ground truth of one video: who is there, when, and how well visible.

    Parameters
    ----------
    video : str or None
        The video's file, beside the truth; None: the file with the truth's stem.
    duration_s : float or None
        Of the video; None where the annotation does not say.
    no_gallery_person_expected : bool
        Nobody enrolled appears: every name is false.
    ignore_intervals : tuple of (start_s, end_s)
        Where a name that the truth does not have is not held against the result.
    annotated : tuple of (start_s, end_s), or None
        The only stretches that the truth describes; None: the whole video.
    """

    noun = "truth"
    video: str | None = None
    duration_s: float | None = Field(default=None, gt=0)
    people: tuple[TruePerson, ...]
    unknown_people: tuple[TrueStranger, ...] = ()
    no_gallery_person_expected: bool = False
    ignore_intervals: tuple[OrderedInterval, ...] = ()
    annotated: tuple[OrderedInterval, ...] | None = None

    def intervals(self) -> dict[str, list[TrueInterval]]:
        """Return each person's intervals by ``person_id``."""
        by_person: dict[str, list[TrueInterval]] = defaultdict(list)
        for person in self.people:
            by_person[person.name].extend(_intervals(person.intervals))
        return by_person

    def ignored(self) -> list[Interval]:
        """Return where a name is not held against the result: what is to be ignored, and what was not annotated."""
        outside = [] if self.annotated is None else subtract([(-math.inf, math.inf)], union(self.annotated))
        return union([*self.ignore_intervals, *outside])

    def parts(self, duration_s: float) -> list[Interval]:
        """Return the stretches in which false answers are counted, one by one.

        They are those annotated; else what the intervals cover, overlapping ones being one, and what lies between.
        """
        if self.annotated is not None:
            return sorted(set(self.annotated))
        joined: list[Interval] = []
        for start, end in sorted({(s.start, s.end) for p in self.people for s in p.intervals if s.start < s.end}):
            if joined and start < joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], end))
            else:
                joined.append((start, end))
        return sorted([*joined, *subtract([(0.0, duration_s)], union(joined))])

    def present(self, start_s: float, end_s: float, *, hidden: bool = True) -> set[str]:
        """Return who is there at any moment of an interval, strangers by their label with a ``?`` before it.

        Parameters
        ----------
        hidden : bool
            Whether to count those whose face cannot be seen.
        """

        def is_there(spans: tuple[TrueSpan, ...]) -> bool:
            asked = (start_s, end_s)
            return any(overlaps((s.start, s.end), asked) and (hidden or s.visibility != "hidden") for s in spans)

        people = {person.name for person in self.people if is_there(person.intervals)}
        return people | {f"?{stranger.label}" for stranger in self.unknown_people if is_there(stranger.intervals)}

    def is_ignored(self, start_s: float, end_s: float) -> bool:
        """Whether any moment of an interval is one that the truth does not vouch for."""
        return any(overlaps(interval, (start_s, end_s)) for interval in self.ignored())


def _intervals(spans: tuple[TrueSpan, ...]) -> Iterator[TrueInterval]:
    return (TrueInterval(span.start, span.end, span.visibility) for span in spans)


_Kind = TypeVar("_Kind", bound=Part)


def read_document(kind: type[_Kind], path: AnyPath) -> _Kind:
    """Read a JSON file as one kind of document.

    Raises
    ------
    InputError
        If it is something else; the message says where it differs.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"{path} is no {kind.noun} of a video: {where}: {first['msg']}") from error


def read_truths(path: Path) -> dict[str, Truth]:
    """Read a folder of ``*.json`` and ``*.vtt``, or one CSV.

    Returns
    -------
    dict of str to Truth
        By stem of the video's file, in alphabetical order.

    Raises
    ------
    InputError
        If there is no truth, two files speak of one video, or a file is not what it should be.
    """
    if path.is_file() and path.suffix.lower() == ".csv":
        return from_csv(path)
    if not path.is_dir():
        raise InputError(f"{str(path)!r} is no folder of truths and no .csv file: give one of them")
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in TRUTH_ENDINGS)
    if not files:
        raise InputError(f"{path} holds no truth: give a folder with one .json or .vtt file a video, or a .csv file")
    truths: dict[str, Truth] = {}
    for file in files:
        if file.stem in truths:
            raise InputError(f"{path} has two truths of {file.stem}: keep {file.stem}.json or {file.stem}.vtt")
        truths[file.stem] = read_document(Truth, file) if file.suffix.lower() == ".json" else from_webvtt(file)
    return truths


def write_truth(truth: Truth, path: AnyPath) -> None:
    """Write a truth in the full form, whole or not at all."""
    document = truth.model_dump_json(indent=1, exclude_none=True)
    write_atomically(path, f"{document}\n".encode())


_TIME = r"(?:(\d+):)?([0-5]?\d):([0-5]?\d(?:[.,]\d+)?)"
_TIMING = re.compile(rf"\s*{_TIME}\s+-->\s+{_TIME}(?:\s.*)?")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
_TAG = re.compile(r"<[^>]*>")


def from_webvtt(path: Path) -> Truth:
    """Read a WebVTT file whose cues say who is seen.

    Raises
    ------
    InputError
        If it is no WebVTT, or a cue's timing cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as WebVTT: {error}") from error
    blocks = re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").replace("\r", "\n").strip("\n"))
    if not re.match(r"WEBVTT(\s|$)", blocks[0]):
        raise InputError(f"{path} is no WebVTT file: its first line must be WEBVTT")
    spans: dict[str, list[TrueSpan]] = defaultdict(list)
    for block in blocks:
        lines = block.strip("\n").split("\n")
        timing = next((n for n, line in enumerate(lines[:2]) if "-->" in line), None)
        if timing is None or re.match(r"(WEBVTT|NOTE|STYLE|REGION)(\s|$)", lines[0]):
            continue
        match = _TIMING.fullmatch(lines[timing])
        if match is None:
            raise InputError(f"{path}: {lines[timing]!r} is no cue timing; write 00:00:01.000 --> 00:00:02.500")
        start_s, end_s = _seconds(*match.groups()[:3]), _seconds(*match.groups()[3:])
        if start_s > end_s:
            raise InputError(f"{path}: the cue {lines[timing].strip()!r} ends before it starts")
        for name in _cue_names(lines[timing + 1 :]):
            spans[_read_name(name, path)].append(TrueSpan(start=start_s, end=end_s))
    people = tuple(TruePerson(name=name, intervals=tuple(found)) for name, found in sorted(spans.items()))
    return Truth(people=people, no_gallery_person_expected=not people)


def _cue_names(lines: list[str]) -> Iterator[str]:
    """Yield the voices of a cue, or where it has none, its lines."""
    voices = [html.unescape(name).strip() for line in lines for name in _VOICE.findall(line)]
    yield from voices or (name for line in lines if (name := html.unescape(_TAG.sub("", line)).strip()))


def _seconds(hours: str | None, minutes: str, seconds: str) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds.replace(",", "."))


def _read_name(name: str, path: Path) -> str:
    try:
        return person_id_of(name)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def from_csv(path: Path) -> dict[str, Truth]:
    """Read the predecessor's table of ``media,start,end,person``, times in seconds or ``h:m:s``.

    Returns
    -------
    dict of str to Truth
        By stem of the media's file, in alphabetical order.

    Raises
    ------
    InputError
        If it cannot be read, or a line lacks media, start or end; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as CSV: {error}") from error
    if not {"media", "start", "end", "person"} <= {field.strip() for field in text.partition("\n")[0].split(",")}:
        raise InputError(f"{path} must begin with the line media,start,end,person and have at least one more")
    people: dict[str, dict[str, list[TrueSpan]]] = defaultdict(lambda: defaultdict(list))
    parts: dict[str, set[Interval]] = defaultdict(set)
    for row in read_batch(StringIO(text), str(path)):
        if row.fragment is None:
            raise InputError(f"{path}, line {row.line}: needs start and end")
        parts[row.media].add(row.fragment)
        if row.person:
            people[row.media][_read_name(row.person, path)].append(TrueSpan(start=row.fragment[0], end=row.fragment[1]))
    truths: dict[str, Truth] = {}
    for media in sorted(parts, key=lambda name: (Path(name).stem, name)):
        stem = Path(media).stem
        if stem in truths:
            raise InputError(f"{path}: {truths[stem].video} and {media} have one stem: results could not be told apart")
        truths[stem] = Truth(
            video=media,
            people=tuple(
                TruePerson(name=name, intervals=tuple(spans)) for name, spans in sorted(people[media].items())
            ),
            no_gallery_person_expected=not people[media],
            annotated=tuple(sorted(parts[media])),
        )
    return truths

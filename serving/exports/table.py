"""A result as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator

from facerec_models.result import AppearanceView, Result
from serving.exports.evidence import explain_appearance
from serving.exports.export_format import ExportContext
from serving.exports.labels import timecode
from serving.exports.provenance import explain_result
from serving.exports.timecodes import FrameClock

# Characters of a table that are in memory at a time.
_PIECE = 1 << 16

_OF_RESULT: dict[str, Callable[[Result], str]] = {
    "video": lambda result: result.video.uri,
    "name": lambda result: result.video.name,
    "video_id": lambda result: result.video.id,
    "analysis_id": lambda result: result.analysis_id or "",
    "model": lambda result: result.model.version or "",
    "revision": lambda result: result.revision,
    "max_false_names": lambda result: f"{result.model.max_false_names:g}",
    "note": explain_result,
}
_OF_APPEARANCE: dict[str, Callable[[AppearanceView, Result, FrameClock], str]] = {
    "label": lambda view, *_: view.label,
    "person_id": lambda view, *_: view.person_id or "",
    "identity": lambda view, *_: view.identity or "",
    "stranger": lambda view, *_: view.stranger or "",
    "start_s": lambda view, *_: f"{view.start_s:.3f}",
    "end_s": lambda view, *_: f"{view.end_s:.3f}",
    "start": lambda view, *_: timecode(view.start_s),
    "end": lambda view, *_: timecode(view.end_s),
    "start_timecode": lambda view, _, clock: clock.timecode(view.start_s),
    "end_timecode": lambda view, _, clock: clock.timecode(view.end_s),
    "probability": lambda view, *_: f"{view.probability:.4f}",
    "false_name_rate": lambda view, *_: f"{view.false_name_rate:.6g}",
    "track_ids": lambda view, *_: " ".join(map(str, view.track_ids)),
    "reason": lambda view, *_: view.reason or "",
    "why": lambda view, result, _: explain_appearance(view, result),
    "exported_person_id": lambda view, *_: view.person_id or "",
}
COLUMNS = (
    *("video", "name", "label", "person_id", "identity", "stranger", "start_s", "end_s", "start", "end"),
    *("start_timecode", "end_timecode", "probability", "false_name_rate", "track_ids", "reason", "why"),
    *("video_id", "analysis_id", "exported_person_id", "model", "revision", "max_false_names", "note"),
)
NUMBERS = frozenset({"start_s", "end_s", "probability", "false_name_rate", "max_false_names"})


# What spreadsheets take for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(results: Iterable[Result], _: ExportContext) -> Iterator[bytes]:
    """Yield one row an appearance, video by video in the order of each result, under the names of the columns.

    ``start`` and ``end`` are ``hh:mm:ss.mmm``, ``start_timecode`` and ``end_timecode`` the file's own timecode; track ids are separated
    by spaces; who is not known is empty, and so is the reason of what could be decided. ``why`` is what the decision rests on, as a
    sentence. A text that a spreadsheet would compute begins with an apostrophe. ``exported_person_id`` is ``person_id`` once more: what
    differs from it when the table comes back is a correction, see `serving.archive.returned_table`.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for result in results:
        for row in rows_of(result):
            table.writerow(map(_plain, row))
            if text.tell() >= _PIECE:
                yield text.getvalue().encode()
                text.seek(0)
                text.truncate()
    yield text.getvalue().encode()


def rows_of(result: Result) -> Iterator[list[str]]:
    """Yield the cells of each appearance, in the order of the columns, empty where there is nothing."""
    fixed = {name: text(result) for name, text in _OF_RESULT.items()}
    clock = FrameClock.of(result.video)
    for view in result.appearances:
        yield [fixed[name] if name in fixed else _OF_APPEARANCE[name](view, result, clock) for name in COLUMNS]


def _plain(value: str) -> str:
    return f"'{value}" if value.startswith(FORMULA) else value

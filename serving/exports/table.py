"""A result as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator

from facerec_models.result import AppearanceView, Result
from serving.exports.evidence import explain_appearance
from serving.exports.labels import timecode

# Characters of a table that are in memory at a time.
_PIECE = 1 << 16

COLUMNS: dict[str, Callable[[AppearanceView, Result], object]] = {
    "video": lambda _, result: result.video.uri,
    "label": lambda view, _: view.label,
    "person_id": lambda view, _: view.person_id,
    "identity": lambda view, _: view.identity,
    "stranger": lambda view, _: view.stranger,
    "start_s": lambda view, _: f"{view.start_s:.3f}",
    "end_s": lambda view, _: f"{view.end_s:.3f}",
    "start": lambda view, _: timecode(view.start_s),
    "end": lambda view, _: timecode(view.end_s),
    "probability": lambda view, _: f"{view.probability:.4f}",
    "false_name_rate": lambda view, _: f"{view.false_name_rate:.6g}",
    "track_ids": lambda view, _: " ".join(map(str, view.track_ids)),
    "reason": lambda view, _: view.reason,
    "why": explain_appearance,
}


# What spreadsheets take for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(results: Iterable[Result]) -> Iterator[str]:
    """Yield one row an appearance, video by video in the order of each result, under the names of the columns.

    ``start`` and ``end`` are ``hh:mm:ss.mmm``; track ids are separated by spaces; who is not known is empty, and so is the
    reason of what could be decided. ``why`` is what the decision rests on, as a sentence. A text that a spreadsheet would compute
    begins with an apostrophe.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for result in results:
        for view in result.appearances:
            table.writerow(_plain(cell(view, result)) for cell in COLUMNS.values())
            if text.tell() >= _PIECE:
                yield text.getvalue()
                text.seek(0)
                text.truncate()
    yield text.getvalue()


def _plain(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

"""A result as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

from facerec_models.result import AppearanceView, Result
from serving.exports.evidence import explain_appearance
from serving.exports.labels import timecode

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


def to_csv(result: Result) -> str:
    """Return one row an appearance, in the order of the result, under the names of the columns.

    ``start`` and ``end`` are ``hh:mm:ss.mmm``; track ids are separated by spaces; who is not known is empty, and so is the
    reason of what could be decided. ``why`` is what the decision rests on, as a sentence.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows([cell(view, result) for cell in COLUMNS.values()] for view in result.appearances)
    return text.getvalue()

"""A result as a table."""

from __future__ import annotations

import csv
import io

from facerec_models.result import Result
from serving.exports.evidence import explain_appearance
from serving.exports.labels import timecode

COLUMNS = (
    "video",
    "label",
    "person_id",
    "identity",
    "stranger",
    "start_s",
    "end_s",
    "start",
    "end",
    "probability",
    "false_name_rate",
    "track_ids",
    "reason",
    "why",
)


def to_csv(result: Result) -> str:
    """Return one row an appearance, in the order of the result, under a row of `COLUMNS`.

    ``start`` and ``end`` are ``hh:mm:ss.mmm``; track ids are separated by spaces; who is not known is empty, and so is the
    reason of what could be decided. ``why`` is what the decision rests on, as a sentence.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(
        (
            result.video.uri,
            appearance.label,
            appearance.person_id,
            appearance.identity,
            appearance.stranger,
            f"{appearance.start_s:.3f}",
            f"{appearance.end_s:.3f}",
            timecode(appearance.start_s),
            timecode(appearance.end_s),
            f"{appearance.probability:.4f}",
            f"{appearance.false_name_rate:.6g}",
            " ".join(map(str, appearance.track_ids)),
            appearance.reason,
            explain_appearance(appearance, result),
        )
        for appearance in result.appearances
    )
    return text.getvalue()

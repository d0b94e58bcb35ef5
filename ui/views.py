"""A result as table rows."""

from __future__ import annotations

from facerec_models.result import Result
from serving.exports.evidence import explain_appearance
from serving.exports.labels import clock

APPEARANCE_COLUMNS = ("Who", "From", "To", "Why")


def appearance_rows(result: Result) -> list[list[str]]:
    """Return a row of `APPEARANCE_COLUMNS` for each appearance, in the order of the result."""
    return [
        [
            view.label,
            clock(view.start_s, 1),
            clock(view.end_s, 1),
            explain_appearance(view, result).removeprefix(f"{view.label}; "),
        ]
        for view in result.appearances
    ]

"""The forms in which results leave, by the names that the command and the HTTP service know them by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from facerec_models.result import Result
from serving.exports.export_format import ExportFormat
from serving.exports.subtitles import to_srt, to_webvtt
from serving.exports.table import to_csv


class TextFormat(NamedTuple):
    """A form that is text.

    `write` yields it piece by piece, in UTF-8. `holds_many`: one file may hold the results of many videos.
    """

    media_type: str
    ending: str
    write: Callable[[Iterable[Result]], Iterator[str]]
    holds_many: bool = False


def _each(write: Callable[[Result], str]) -> Callable[[Iterable[Result]], Iterator[str]]:
    return lambda results: map(write, results)


TEXT_FORMATS = {
    ExportFormat.JSON: TextFormat("application/json", ".json", _each(lambda result: result.to_json(indent=1))),
    ExportFormat.CSV: TextFormat("text/csv; charset=utf-8", ".csv", to_csv, holds_many=True),
    ExportFormat.WEBVTT: TextFormat("text/vtt; charset=utf-8", ".vtt", _each(to_webvtt)),
    ExportFormat.SRT: TextFormat("application/x-subrip; charset=utf-8", ".srt", _each(to_srt)),
}
"""One more text form is one line here, and a module that writes it."""

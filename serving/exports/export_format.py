"""The names of the forms in which results leave."""

from __future__ import annotations

from enum import StrEnum


class ExportFormat(StrEnum):
    """What a result can be written as: text, see `serving.exports.formats`, or the video itself, see `serving.exports.annotated`."""

    JSON = "json"
    CSV = "csv"
    WEBVTT = "webvtt"
    SRT = "srt"
    ANNOTATED = "annotated"

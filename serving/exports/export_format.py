"""The forms in which results leave, and what writing one needs beside the results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ExportFormat(StrEnum):
    """What a result can be written as: a document of `serving.exports.formats`, or the video, see `serving.exports.annotated`."""

    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"
    WEBVTT = "webvtt"
    SRT = "srt"
    TURTLE = "turtle"
    JSONLD = "jsonld"
    IIIF = "iiif"
    EAF = "eaf"
    OTIO = "otio"
    EDL = "edl"
    CONTACT_SHEET = "contact-sheet"
    ANNOTATED = "annotated"


@dataclass(frozen=True, slots=True)
class ExportContext:
    """What is written about an export, and where it finds what results refer to.

    Parameters
    ----------
    creator : str
        Who is named as the creator of annotations: a name, or an address with a scheme.
    base_url : str
        Address under which the service is reached, without a slash at its end: what has an address of its own begins with it.
    created : datetime
        When it is written, with its time zone.
    read_crop : callable
        Returns the JPEG at the address of an evidence crop, or None if it is gone.
    """

    creator: str
    base_url: str
    created: datetime
    read_crop: Callable[[str], bytes | None]

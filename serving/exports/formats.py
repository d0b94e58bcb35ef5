"""The documents in which results leave, by the names that the command and the HTTP service know them by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module

from facerec_models.result import Result
from serving.exports.export_format import ExportContext, ExportFormat

Writer = Callable[[Iterable[Result], ExportContext], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class DocumentFormat:
    """A form that is a document.

    Parameters
    ----------
    media_type, ending : str
    writer : str
        ``module:function`` in this folder, loaded when it is first used: some need libraries that nothing else does.
    holds_many : bool
        Whether one document may hold the results of many videos.
    is_text : bool
        Whether a terminal can show it.
    """

    media_type: str
    ending: str
    writer: str
    holds_many: bool = False
    is_text: bool = True

    def write(self, results: Iterable[Result], context: ExportContext) -> Iterator[bytes]:
        """Yield the document piece by piece; of a form that does not hold many, `results` has one."""
        module, name = self.writer.split(":")
        write: Writer = getattr(import_module(f"serving.exports.{module}"), name)
        return write(results, context)


FORMATS = {
    ExportFormat.JSON: DocumentFormat("application/json", ".json", "json_document:to_json"),
    ExportFormat.CSV: DocumentFormat("text/csv; charset=utf-8", ".csv", "table:to_csv", holds_many=True),
    ExportFormat.XLSX: DocumentFormat(
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ".xlsx",
        "workbook:to_xlsx",
        holds_many=True,
        is_text=False,
    ),
    ExportFormat.WEBVTT: DocumentFormat("text/vtt; charset=utf-8", ".vtt", "subtitles:to_webvtt"),
    ExportFormat.SRT: DocumentFormat("application/x-subrip; charset=utf-8", ".srt", "subtitles:to_srt"),
    ExportFormat.TURTLE: DocumentFormat(
        "text/turtle; charset=utf-8", ".ttl", "linked.linked_data:to_turtle", holds_many=True
    ),
    ExportFormat.JSONLD: DocumentFormat(
        "application/ld+json", ".jsonld", "linked.linked_data:to_jsonld", holds_many=True
    ),
    ExportFormat.IIIF: DocumentFormat(
        'application/ld+json;profile="http://iiif.io/api/presentation/3/context.json"', ".json", "linked.iiif:to_iiif"
    ),
    ExportFormat.EAF: DocumentFormat("application/xml", ".eaf", "elan:to_eaf"),
    ExportFormat.OTIO: DocumentFormat("application/json", ".otio", "editing:to_otio"),
    ExportFormat.EDL: DocumentFormat("text/plain; charset=utf-8", ".edl", "editing:to_edl"),
    ExportFormat.CONTACT_SHEET: DocumentFormat("image/png", ".png", "contact_sheet:to_contact_sheet", is_text=False),
}
"""One more is one line here, and a module that writes it."""

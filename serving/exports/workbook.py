"""Results as an Excel workbook."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator

from openpyxl import Workbook
from openpyxl.cell import Cell, WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from facerec_models.result import Result
from serving.exports.export_format import ExportContext
from serving.exports.provenance import explain_result
from serving.exports.table import COLUMNS, NUMBERS, rows_of

_PIECE = 1 << 20
# A workbook is a ZIP whose directory comes last: it is written whole before anything leaves, from here on to a file.
_IN_MEMORY_BYTES = 1 << 24
_WIDTHS = {"video": 40, "label": 24, "identity": 24, "person_id": 24, "why": 60, "note": 60}


def to_xlsx(results: Iterable[Result], _: ExportContext) -> Iterator[bytes]:
    """Yield a workbook with a sheet of appearances, as `serving.exports.table.to_csv` has them, and one about how they were named.

    Numbers are numbers. Text is text whatever it begins with: nothing is a formula.
    """
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Appearances")
    sheet.freeze_panes = "A2"
    for place, name in enumerate(COLUMNS, 1):
        sheet.column_dimensions[get_column_letter(place)].width = _WIDTHS.get(name, 14)

    def text(value: str, *, is_bold: bool = False) -> Cell:
        # What XML cannot hold is not written either by the programs that read this.
        cell = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("", value))
        cell.data_type = "s"
        if is_bold:
            cell.font = Font(bold=True)
        return cell

    notes = []
    sheet.append([text(name, is_bold=True) for name in COLUMNS])
    for result in results:
        notes.append((result.video.uri, explain_result(result)))
        for row in rows_of(result):
            cells = zip(COLUMNS, row, strict=True)
            sheet.append([float(value) if name in NUMBERS else text(value) for name, value in cells])
    about = book.create_sheet("About")
    about.column_dimensions["A"].width, about.column_dimensions["B"].width = 40, 120
    about.append([text("video", is_bold=True), text("how it was named", is_bold=True)])
    for uri, note in notes:
        about.append([text(uri), text(note)])
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as file:
        book.save(file)
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece

"""Results as a workbook: what the table has, with numbers that are numbers and text that is never computed."""

from __future__ import annotations

import io

from openpyxl import load_workbook

from serving.exports.provenance import explain_result
from serving.exports.table import COLUMNS
from serving.exports.workbook import to_xlsx
from tests.results import CONTEXT, Seen, make_result


def test_a_workbook_holds_all_appearances_and_how_they_were_named() -> None:
    one = make_result(Seen("=SUM(1)", 1.5, 2.25, false_name_rate=1.25e-5), Seen("Unknown 2", 2, 3), uri="file:///a.mp4")
    two = make_result(Seen("Zoë\x0b", 0, 1), uri="file:///b.mp4")
    book = load_workbook(io.BytesIO(b"".join(to_xlsx([one, two], CONTEXT))))
    header, *rows = book["Appearances"].iter_rows()
    assert tuple(cell.value for cell in header) == COLUMNS
    first, second, third = (dict(zip(COLUMNS, row, strict=True)) for row in rows)
    assert (first["label"].value, first["label"].data_type) == ("=SUM(1)", "s")
    assert (first["start_s"].value, first["end_s"].value, first["false_name_rate"].value) == (1.5, 2.25, 1.25e-5)
    assert (second["label"].value, second["person_id"].value) == ("Unknown 2", None)
    assert (third["video"].value, third["label"].value) == ("file:///b.mp4", "Zoë")
    about = [[cell.value for cell in row] for row in book["About"].iter_rows(min_row=2)]
    assert about == [["file:///a.mp4", explain_result(one)], ["file:///b.mp4", explain_result(two)]]

"""Results as tables: one row an appearance, of many videos."""

from __future__ import annotations

import csv
import io

from facerec_models.result import Result
from serving.exports.provenance import explain_result
from serving.exports.table import COLUMNS, to_csv
from tests.results import CONTEXT, Seen, make_result


def table_of(*results: Result) -> str:
    return b"".join(to_csv(results, CONTEXT)).decode()


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_table_has_a_row_an_appearance() -> None:
    result = make_result(
        Seen("Barack Obama", 1.5, 3725.25, probability=0.97412, false_name_rate=1.25e-5),
        Seen("Unknown 2", 0.0, 0.0004, false_name_rate=0.25),
        Seen("Undecidable", 2.0, 59.9996),
    )
    named, unknown, undecidable = rows_of(table_of(result))
    assert named == {
        "video": "file:///videos/interview.mp4",
        "name": "interview.mp4",
        "label": "Barack Obama",
        "person_id": "Barack_Obama",
        "identity": "Barack Obama",
        "stranger": "",
        "start_s": "1.500",
        "end_s": "3725.250",
        "start": "00:00:01.500",
        "end": "01:02:05.250",
        "start_timecode": "00:00:01:05",
        "end_timecode": "01:02:05:03",
        "probability": "0.9741",
        "false_name_rate": "1.25e-05",
        "track_ids": "1",
        "reason": "",
        "why": "Barack Obama; fewer than 1 stranger in 300 would come this near to an enrolled person",
        "video_id": "v-1",
        "analysis_id": "a-1",
        "exported_person_id": "Barack_Obama",
        "model": "m-1",
        "revision": "r-1",
        "max_false_names": "0.005",
        "note": explain_result(result),
    }
    assert (unknown["person_id"], unknown["identity"], unknown["stranger"]) == ("", "", "stranger-0000000002")
    assert (undecidable["stranger"], undecidable["end"]) == ("", "00:01:00.000")
    assert [row["reason"] for row in (unknown, undecidable)] == ["", "too small"]
    assert [row["why"] for row in (unknown, undecidable)] == ["nobody enrolled", "too small"]


def test_a_table_has_the_files_own_timecode() -> None:
    result = make_result(Seen("Ann Li", 2.002, 62.062), frame_rate="30000/1001", start_timecode="09:59:58;00")
    (row,) = rows_of(table_of(result))
    assert (row["start_timecode"], row["end_timecode"]) == ("10:00:00;00", "10:01:00;02")


def test_several_tracks_are_separated_by_spaces() -> None:
    result = make_result(Seen("Ann Li", 0, 1))
    view = result.appearances[0].model_copy(update={"track_ids": [3, 14, 15]})
    assert rows_of(table_of(result.model_copy(update={"appearances": [view]})))[0]["track_ids"] == "3 14 15"


def test_a_table_survives_commas_quotes_and_line_breaks() -> None:
    name = 'Růžena "Rose", the\nfirst 习近平'
    row = rows_of(table_of(make_result(Seen(name, 0, 1), uri="file:///a,b.mp4")))[0]
    assert (row["label"], row["video"]) == (name, "file:///a,b.mp4")


def test_a_table_without_rows_has_its_header() -> None:
    assert table_of(make_result()) == ",".join(COLUMNS) + "\n"


def test_what_a_spreadsheet_would_compute_is_text() -> None:
    (row,) = rows_of(table_of(make_result(Seen("=SUM(1)", 0, 1), uri="@cmd")))
    assert (row["label"], row["person_id"], row["video"]) == ("'=SUM(1)", "'=SUM(1)", "'@cmd")
    assert row["start_s"] == "0.000"


def test_one_table_holds_the_appearances_of_many_videos() -> None:
    many = [make_result(*[Seen("Ann Lee", i, i + 1) for i in range(3000)], uri=f"file:///{name}.mp4") for name in "ab"]
    pieces = list(to_csv(many, CONTEXT))
    assert len(pieces) > 3
    assert max(map(len, pieces)) < 1 << 17
    rows = rows_of(b"".join(pieces).decode())
    assert [row["video"] for row in rows] == ["file:///a.mp4"] * 3000 + ["file:///b.mp4"] * 3000

"""Results as text: subtitles that a player shows, and tables of many videos."""

from __future__ import annotations

import html
import io

import webvtt

from serving.exports.subtitles import to_srt, to_webvtt
from serving.exports.table import to_csv
from tests.results import Seen, make_result
from tests.unit.serving.test_exports import rows_of, table_of


def test_subtitles_show_people_and_strangers_when_they_are_in_view() -> None:
    result = make_result(
        Seen("Ann & <Bob>", 1.5, 3725.25),
        Seen("Unknown 2", 0.0, 0.0),
        Seen("Undecidable", 2.0, 3.0, reason="too small"),
    )
    vtt, srt = to_webvtt(result), to_srt(result)
    read = webvtt.from_string(vtt)
    assert [(cue.start, cue.end, html.unescape(cue.raw_text)) for cue in read] == [
        ("00:00:00.000", "00:00:00.001", "Unknown 2"),
        ("00:00:01.500", "01:02:05.250", "Ann & <Bob>"),
    ]
    note = "FaceRec; project default, revision r-1, model m-1, embedder dlib. Names are leads, not proof: "
    assert f"NOTE {note}" in vtt
    assert "the accepted error 1 in 200 tracks" in vtt
    first, *cues = webvtt.from_buffer(io.StringIO(srt), format="srt")
    assert first.text.startswith(note)
    assert first.end == "00:00:00.001"
    assert [(cue.start, cue.end, cue.text) for cue in cues] == [
        ("00:00:00.000", "00:00:00.001", "Unknown 2"),
        ("00:00:01.500", "01:02:05.250", "Ann & (Bob)"),
    ]
    assert [*webvtt.from_string(to_webvtt(make_result()))] == []


def test_what_a_spreadsheet_would_compute_is_text() -> None:
    (row,) = rows_of(table_of(make_result(Seen("=SUM(1)", 0, 1), uri="@cmd")))
    assert (row["label"], row["person_id"], row["video"]) == ("'=SUM(1)", "'=SUM(1)", "'@cmd")
    assert row["start_s"] == "0.000"


def test_one_table_holds_the_appearances_of_many_videos() -> None:
    many = [make_result(*[Seen("Ann Lee", i, i + 1) for i in range(3000)], uri=f"file:///{name}.mp4") for name in "ab"]
    pieces = list(to_csv(many))
    assert len(pieces) > 3
    assert max(map(len, pieces)) < 1 << 17
    rows = rows_of("".join(pieces))
    assert [row["video"] for row in rows] == ["file:///a.mp4"] * 3000 + ["file:///b.mp4"] * 3000

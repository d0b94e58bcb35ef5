"""Results as text: subtitles that a player shows, and tables of many videos."""

from __future__ import annotations

import html
import io

import webvtt

from serving.exports.subtitles import to_srt, to_webvtt
from tests.results import Seen, make_result, written


def test_subtitles_show_people_and_strangers_when_they_are_in_view() -> None:
    result = make_result(
        Seen("Ann & <Bob>", 1.5, 3725.25),
        Seen("Unknown 2", 0.0, 0.0),
        Seen("Undecidable", 2.0, 3.0, reason="too small"),
    )
    vtt, srt = written(to_webvtt, result), written(to_srt, result)
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
    assert [*webvtt.from_string(written(to_webvtt, make_result()))] == []

from __future__ import annotations

from pathlib import Path

import pytest

from facerec_models.errors import InputError
from facerec_models.metrics import TrueInterval
from training.evaluation.truth import from_csv, from_webvtt, read_truths, write_truth

CUES = """\ufeffWEBVTT - who is seen

NOTE made by hand
00:00 --> is no cue

STYLE
::cue { color: white }

1
00:01.000 --> 00:02.500 align:start
Ada Lovelace
<i>Bob &amp; Co</i>

01:00:00.000 --> 01:00:01.000
<v.loud Ada Lovelace>I am here</v> <v Zoe\u0308>me too
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_cues_name_the_people_seen(tmp_path: Path) -> None:
    truth = from_webvtt(write(tmp_path / "clip.vtt", CUES))
    assert truth.intervals() == {
        "Ada_Lovelace": [TrueInterval(1, 2.5), TrueInterval(3600, 3601)],
        "Bob_&_Co": [TrueInterval(1, 2.5)],
        "Zo\u00eb": [TrueInterval(3600, 3601)],
    }
    assert not truth.no_gallery_person_expected
    assert truth.annotated is None


def test_line_ends_do_not_matter(tmp_path: Path) -> None:
    plain = from_webvtt(write(tmp_path / "a.vtt", CUES))
    (tmp_path / "b.vtt").write_bytes(CUES.replace("\n", "\r\n").encode())
    assert from_webvtt(tmp_path / "b.vtt") == plain


def test_no_cue_means_that_no_enrolled_person_is_seen(tmp_path: Path) -> None:
    assert from_webvtt(write(tmp_path / "clip.vtt", "WEBVTT\n")).no_gallery_person_expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n00:01.000 --> 00:02.000\nAda", "is no WebVTT file"),
        ("WEBVTT\n\n00:01.000 --> 2 s\nAda", "'00:01.000 --> 2 s' is no cue timing"),
        ("WEBVTT\n\n00:03.000 --> 00:02.000\nAda", "ends before it starts"),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\nAda/Bob", "'Ada/Bob' must not"),
    ],
)
def test_unusable_webvtt_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_webvtt(write(tmp_path / "clip.vtt", text))


TABLE = """media,start,end,person
films/reel.mp4,10,20,Ada Lovelace
films/reel.mp4,10,20,Bob
films/reel.mp4,0:01:00,0:01:30,Ada_Lovelace
crowd.mp4,0,5,
"""


def test_a_table_names_the_people_of_each_interval(tmp_path: Path) -> None:
    truths = from_csv(write(tmp_path / "truth.csv", TABLE))
    assert list(truths) == ["crowd", "reel"]
    reel = truths["reel"]
    assert reel.video == "films/reel.mp4"
    assert reel.intervals() == {
        "Ada_Lovelace": [TrueInterval(10, 20), TrueInterval(60, 90)],
        "Bob": [TrueInterval(10, 20)],
    }
    assert reel.parts(100) == [(10, 20), (60, 90)]
    assert truths["crowd"].no_gallery_person_expected
    assert not reel.no_gallery_person_expected


def test_outside_of_a_tables_stretches_nothing_is_known(tmp_path: Path) -> None:
    reel = from_csv(write(tmp_path / "truth.csv", TABLE))["reel"]
    assert [reel.is_ignored(*span) for span in ((0, 5), (9, 11), (10, 20), (25, 50), (1e6, 2e6))] == [
        True, True, False, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must begin with the line media,start,end,person"),
        ("media,start,end\na.mp4,0,1\n", "must begin with"),
        ("media,start,end,person\na.mp4,ten,20,Ada\n", "line 2: 'ten' is no time"),
        ("media,start,end,person\na.mp4,,20,Ada\n", "line 2: needs media, and start and end or neither"),
        ("media,start,end,person\na.mp4,0,nan,Ada\n", "line 2: 'nan' is no time"),
        ("media,start,end,person\na.mp4,0,1,Ada\na.mp4,3,2,Ada\n", r"line 3: '3' to '2' must start before it ends"),
        ("media,start,end,person\n,0,1,Ada\n", "line 2: needs media, and start and end"),
        ("media,start,end,person\na.mp4,0,1,Ada\na.mov,0,1,Ada\n", "have one stem"),
    ],
)
def test_an_unusable_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_csv(write(tmp_path / "truth.csv", text))


def test_a_converted_truth_is_read_back(tmp_path: Path) -> None:
    write(tmp_path / "truth.csv", TABLE)
    (tmp_path / "vtt").mkdir()
    write(tmp_path / "vtt" / "clip.vtt", CUES)
    truths = read_truths(tmp_path / "truth.csv") | read_truths(tmp_path / "vtt")
    for stem, truth in truths.items():
        write_truth(truth, tmp_path / "json" / f"{stem}.json")
    assert read_truths(tmp_path / "json") == truths
    assert list(truths) == ["crowd", "reel", "clip"]


def test_two_truths_of_one_video_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "clip.vtt", "WEBVTT\n")
    write(tmp_path / "clip.json", '{"people": []}')
    with pytest.raises(InputError, match="two truths of clip"):
        read_truths(tmp_path)


def test_no_such_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder of truths"):
        read_truths(tmp_path / "absent")


def test_parts_cover_the_video_and_overlapping_intervals_are_one(tmp_path: Path) -> None:
    text = """{"people": [
        {"name": "Ada", "intervals": [{"start": 2, "end": 5}, {"start": 8, "end": 9}]},
        {"name": "Bob", "intervals": [{"start": 4, "end": 6}, {"start": 6, "end": 7}]}
    ]}"""
    (truth,) = read_truths(write(tmp_path / "clip.json", text).parent).values()
    assert truth.parts(10) == [(0, 2), (2, 6), (6, 7), (7, 8), (8, 9), (9, 10)]
    assert truth.model_copy(update={"people": ()}).parts(10) == [(0, 10)]


def test_people_are_listed_at_a_time(tmp_path: Path) -> None:
    text = """{"people": [{"name": "Ada", "intervals": [{"start": 0, "end": 2}, {"start": 2, "end": 4, "visibility": "hidden"}]}],
        "unknown_people": [{"label": "guard", "intervals": [{"start": 3, "end": 5}]}]}"""
    (truth,) = read_truths(write(tmp_path / "clip.json", text).parent).values()
    assert truth.present(1, 2) == {"Ada"}
    assert truth.present(2, 3.5) == {"Ada", "?guard"}
    assert truth.present(2, 3.5, hidden=False) == {"?guard"}
    assert truth.present(5, 6) == set()


def test_truths_of_real_clips_are_read(eval_data: Path) -> None:
    truths = read_truths(eval_data / "videos")
    assert len(truths) == 11
    assert sum(truth.no_gallery_person_expected for truth in truths.values()) == 5
    assert truths["hamilton_9s"].is_ignored(1, 1.5)

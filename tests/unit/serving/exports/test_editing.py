"""Results for editors, read back with OpenTimelineIO."""

from __future__ import annotations

from fractions import Fraction

import pytest
from opentimelineio import adapters, opentime, schema

from facerec_models.result import Result
from serving.exports.editing import to_edl, to_otio
from serving.exports.provenance import explain_result
from tests.results import Seen, make_result, written

FILM, NTSC, DOUBLE_NTSC = "24000/1001", "30000/1001", "60000/1001"
RATES = [
    ("25", "10:00:00:00"),
    ("25", None),
    (FILM, "10:00:00:00"),
    (NTSC, "10:00:00:00"),
    (NTSC, "10:00:58;00"),
    (NTSC, "00:59:59;28"),
    (DOUBLE_NTSC, "10:00:58;00"),
    ("50", "10:00:00:00"),
]
# The first frame of each appearance and the one after its last.
FRAMES = [(0, 1), (17, 1234), (1800, 20_000), (1801, 1802)]


def made(rate: str | None, start: str | None, *seen: Seen, fps: float | None = None) -> Result:
    if not seen:
        exact = Fraction(rate or 25)
        labels = ("Ann Lee", "Unknown 2", "Růžena 习近平", "Ann Lee")
        seen = tuple(
            Seen(label, float(first / exact), round(float(end / exact), 3))
            for label, (first, end) in zip(labels, FRAMES, strict=True)
        )
    fps = float(Fraction(rate)) if rate is not None else fps or 25.0
    return make_result(*seen, frame_rate=rate, start_timecode=start, fps=fps, duration_s=1000.0)


def first_number(rate: str, start: str | None) -> int:
    return int(opentime.from_timecode(start or "00:00:00:00", float(Fraction(rate))).value)


def timeline_of(result: Result) -> tuple[schema.Timeline, schema.Clip]:
    timeline = adapters.read_from_string(written(to_otio, result), "otio_json")
    ((clip,),) = timeline.tracks
    return timeline, clip


@pytest.mark.parametrize(("rate", "start"), RATES)
def test_markers_begin_and_end_with_exact_frames(rate: str, start: str | None) -> None:
    timeline, clip = timeline_of(made(rate, start))
    first, per_second = first_number(rate, start), float(Fraction(rate))
    assert [
        (int(span.start_time.value), int(span.end_time_exclusive().value))
        for span in (marker.marked_range for marker in clip.markers)
    ] == [(first + a, first + b) for a, b in FRAMES]
    assert {marker.marked_range.start_time.rate for marker in clip.markers} == {per_second}
    drops = ";" in (start or "")
    assert opentime.to_timecode(timeline.global_start_time, per_second, drops) == (start or "00:00:00:00")


def test_a_clip_is_the_whole_video_at_its_own_address() -> None:
    _, clip = timeline_of(made(NTSC, "10:00:00;00"))
    media = clip.media_reference
    assert (clip.name, media.target_url) == ("interview.mp4", "file:///videos/interview.mp4")
    assert media.available_range == opentime.TimeRange(
        opentime.RationalTime(first_number(NTSC, "10:00:00;00"), 30_000 / 1001),
        opentime.RationalTime(29_970, 30_000 / 1001),
    )
    assert clip.trimmed_range() == media.available_range


def test_a_marker_says_who_it_is_and_on_what_grounds() -> None:
    seen = [
        Seen("Ann Lee", 0, 1, confirmed=True, probability=0.9, false_name_rate=0.001),
        Seen("Unknown 2", 1, 2),
        Seen("Undecidable", 2, 3, reason="too small"),
    ]
    timeline, clip = timeline_of(made("25", None, *seen))
    assert [(marker.name, marker.color) for marker in clip.markers] == [
        ("Ann Lee", schema.MarkerColor.GREEN),
        ("Unknown 2", schema.MarkerColor.ORANGE),
        ("Undecidable", schema.MarkerColor.WHITE),
    ]
    assert dict(clip.markers[0].metadata["facerec"]) | {"track_ids": [1]} == {
        "person_id": "Ann_Lee",
        "identity": "Ann Lee",
        "stranger": None,
        "probability": 0.9,
        "false_name_rate": 0.001,
        "track_ids": [1],
        "reason": None,
        "confirmed": True,
    }
    assert [list(marker.metadata["facerec"]["track_ids"]) for marker in clip.markers] == [[1], [2], [3]]
    assert clip.markers[2].metadata["facerec"]["reason"] == "too small"
    assert timeline.metadata["facerec"]["provenance"] == explain_result(made("25", None, *seen))
    assert "note" not in timeline.metadata["facerec"]


def test_a_timeline_of_a_video_without_appearances_is_its_clip() -> None:
    _, clip = timeline_of(make_result(duration_s=4.0, frame_rate="25"))
    assert list(clip.markers) == []
    assert clip.trimmed_range().duration == opentime.RationalTime(100, 25)


def events_of(result: Result, rate: str) -> list[schema.Clip]:
    timeline = adapters.read_from_string(written(to_edl, result), "cmx_3600", rate=float(Fraction(rate)))
    (track,) = timeline.tracks
    return list(track)


@pytest.mark.parametrize(("rate", "start"), RATES)
def test_events_begin_and_end_with_exact_frames(rate: str, start: str | None) -> None:
    result = made(rate, start)
    first = first_number(rate, start)
    clips = events_of(result, rate)
    assert [
        (int(clip.source_range.start_time.value), int(clip.source_range.end_time_exclusive().value)) for clip in clips
    ] == [(first + a, first + b) for a, b in FRAMES]
    assert {clip.name for clip in clips} == {"interview.mp4"}


@pytest.mark.parametrize(("rate", "start"), RATES)
def test_events_are_laid_one_after_the_other_from_one_hour_on(rate: str, start: str | None) -> None:
    lines = [line.split() for line in written(to_edl, made(rate, start)).splitlines() if line[:3].isdigit()]
    assert [line[:4] for line in lines] == [[f"00{n}", "AX", "V", "C"] for n in range(1, 5)]
    separator = ";" if ";" in (start or "") else ":"
    assert lines[0][6] == f"01:00:00{separator}00"
    numbers = [[int(opentime.from_timecode(edge, float(Fraction(rate))).value) for edge in line[4:]] for line in lines]
    assert all(b - a == d - c for a, b, c, d in numbers)
    assert [c for _, _, c, _ in numbers[1:]] == [d for _, _, _, d in numbers[:-1]]


@pytest.mark.parametrize(
    ("start", "mode"), [("10:00:00;00", "DROP FRAME"), ("10:00:00:00", "NON-DROP FRAME"), (None, "NON-DROP FRAME")]
)
def test_the_header_says_whether_frames_are_dropped(start: str | None, mode: str) -> None:
    title, counting, *_ = written(to_edl, made(NTSC, start)).splitlines()
    assert (title, counting) == ("TITLE: interview.mp4", f"FCM: {mode}")


def test_events_are_people_and_strangers_in_order_of_time() -> None:
    seen = [Seen("Bob", 3, 4), Seen("Undecidable", 0, 1), Seen("Unknown 2", 1, 2), Seen("Ann Lee", 2, 2)]
    result = made("25", None, *seen)
    clips = events_of(result, "25")
    assert [clip.source_range.start_time.value for clip in clips] == [25, 50, 75]
    comments = [clip.metadata["cmx_3600"]["comments"] for clip in clips]
    for label, (comment, *_) in zip(("Unknown 2", "Ann Lee", "Bob"), comments, strict=True):
        assert comment.startswith(f"COMMENT: {label}; ")
    # The first event carries what is said of all.
    assert " ".join(note.removeprefix("COMMENT: ") for note in comments[0][1:]) == explain_result(result)
    assert [len(more) for more in comments[1:]] == [1, 1]


def test_names_stay_within_their_line() -> None:
    seen = Seen("Růžena\n999  AX V C", 0, 1)
    result = made("25", None, seen)
    result = result.model_copy(update={"video": result.video.model_copy(update={"name": "Ž\nfilm 习.mov"})})
    text = written(to_edl, result)
    assert text.startswith("TITLE: Z film .mov\nFCM: ")
    (clip,) = events_of(result, "25")
    assert clip.name == "Ž film 习.mov"
    nameless = result.model_copy(update={"video": result.video.model_copy(update={"name": "习"})})
    assert written(to_edl, nameless).startswith("TITLE: v-1\n")


def test_more_than_a_thousand_events_can_be_read() -> None:
    result = made("25", None, *[Seen("Ann Lee", n, n + 0.5) for n in range(1100)])
    clips = events_of(result, "25")
    assert [int(clip.source_range.start_time.value) for clip in clips] == [25 * n for n in range(1100)]


def test_an_edit_list_without_events_has_its_header() -> None:
    text = written(to_edl, make_result(frame_rate="25"))
    assert text == "TITLE: interview.mp4\nFCM: NON-DROP FRAME\n\n"
    assert len(adapters.read_from_string(text, "cmx_3600", rate=25).tracks) == 0


@pytest.mark.parametrize(("rate", "fps", "counted"), [(None, 29.9, NTSC), ("10", 10.0, FILM), ("120", 120.0, "60")])
def test_a_rate_that_an_edit_list_cannot_express_is_replaced_and_that_is_said(
    rate: str | None, fps: float, counted: str
) -> None:
    result = made(rate, None, Seen("Ann Lee", 100.0, 110.0), Seen("Ann Lee", 200.0, 210.0), fps=fps)
    clips = events_of(result, counted)
    per_second = Fraction(counted)
    assert [int(clip.source_range.start_time.value) for clip in clips] == [
        round(100 * per_second),
        round(200 * per_second),
    ]
    notes = " ".join(clips[0].metadata["cmx_3600"]["comments"])
    assert f"{float(per_second):.6g}" in notes
    timeline, clip = timeline_of(result)
    exact = per_second if rate is None else Fraction(rate)
    assert clip.markers[0].marked_range.start_time == opentime.RationalTime(round(100 * exact), float(exact))
    assert ("note" in timeline.metadata["facerec"]) == (rate is None)

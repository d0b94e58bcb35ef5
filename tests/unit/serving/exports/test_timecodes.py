"""Times as frames and as timecode."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec_models.frame_rates import USUAL_RATES
from serving.exports.timecodes import FrameClock
from tests.results import make_result

DAY_S = 86_400
FILM, NTSC, DOUBLE_NTSC = "24000/1001", "30000/1001", "60000/1001"
# A rate, the first timecode, how many frames are counted in a second, and how many numbers a minute drops.
COUNTED = [
    ("25", "00:00:00:00", 25, 0),
    (FILM, "00:00:00:00", 24, 0),
    (NTSC, "00:00:00:00", 30, 0),
    (NTSC, "00:00:00;00", 30, 2),
    (DOUBLE_NTSC, "00:00:00:00", 60, 0),
    (DOUBLE_NTSC, "00:00:00;00", 60, 4),
]


def clock_of(rate: str | None, start: str | None = None, *, fps: float = 25.0, is_standard: bool = False) -> FrameClock:
    return FrameClock.of(make_result(frame_rate=rate, start_timecode=start, fps=fps).video, is_standard=is_standard)


def after(label: str, counted: int, dropped: int) -> str:
    """Return the next timecode, by the rule of SMPTE ST 12-1."""
    separator = label[8]
    hours, minutes, seconds, frames = map(int, label.replace(";", ":").split(":"))
    frames += 1
    if frames == counted:
        frames, seconds = 0, seconds + 1
    if seconds == 60:
        seconds, minutes = 0, minutes + 1
        if minutes % 10:
            frames = dropped
    hours, minutes = (hours + minutes // 60) % 24, minutes % 60
    return f"{hours:02}:{minutes:02}:{seconds:02}{separator}{frames:02}"


@pytest.mark.parametrize(("rate", "start", "counted", "dropped"), COUNTED)
def test_every_timecode_of_twenty_minutes_follows_the_one_before(
    rate: str, start: str, counted: int, dropped: int
) -> None:
    clock = clock_of(rate, start)
    label = clock.label(0)
    assert label == start
    for number in range(1, 60 * counted * 21):
        label = after(label, counted, dropped)
        assert clock.label(number) == label


@given(case=st.sampled_from(COUNTED), number=st.integers(0, 60 * DAY_S))
def test_any_timecode_follows_the_one_before(case: tuple[str, str, int, int], number: int) -> None:
    rate, start, counted, dropped = case
    clock = clock_of(rate, start)
    assert clock.label(number + 1) == after(clock.label(number), counted, dropped)


@pytest.mark.parametrize(
    ("rate", "start", "time_s", "expected"),
    [
        ("25", "10:00:00:00", 1.96, "10:00:01:24"),
        ("25", "10:00:00:00", 2.0, "10:00:02:00"),
        (NTSC, "01:00:00;00", 3600.0, "02:00:00;00"),
        (NTSC, "01:00:00;00", 60.06, "01:01:00;02"),
        (NTSC, "01:00:00;00", 600.6 - 0.6, "01:10:00;00"),
        (NTSC, "01:00:00:00", 3603.6, "02:00:00:00"),
        (NTSC, "00:00:59;28", 2 * 1.001 / 30, "00:01:00;02"),
        (NTSC, "00:09:59;28", 2 * 1.001 / 30, "00:10:00;00"),
        (DOUBLE_NTSC, "00:00:59;58", 2 * 1.001 / 60, "00:01:00;04"),
        (FILM, "01:00:00:00", 3603.6, "02:00:00:00"),
        ("25", "23:59:59:24", 0.04, "00:00:00:00"),
        (NTSC, "23:59:59;29", 1.001 / 30, "00:00:00;00"),
        ("50", None, 0.98, "00:00:00:49"),
        ("25/2", None, 0.08, "00:00:00:01"),
    ],
)
def test_timecode_counts_on_from_the_files_own(rate: str, start: str | None, time_s: float, expected: str) -> None:
    assert clock_of(rate, start).timecode(time_s) == expected


@given(rate=st.sampled_from(USUAL_RATES), number=st.integers(0, 12 * 3600 * 120), unit=st.sampled_from([1000, 90_000]))
def test_the_beginning_of_a_frame_is_that_frame_however_it_is_rounded(rate: Fraction, number: int, unit: int) -> None:
    clock = clock_of(str(rate))
    exact = number / rate
    assert clock.frame(float(exact)) == number
    assert clock.frame(round(exact * unit) / unit) == number
    assert clock.frame(float(f"{float(exact):.3f}")) == number


def test_an_appearance_ends_before_the_frame_that_does_not_show_it() -> None:
    clock = clock_of("25")
    assert clock.frames(1.0, 2.0) == (25, 50)
    # However short, it has the frame that shows it.
    assert clock.frames(1.0, 1.0) == (25, 26)
    assert clock.frames(1.0, 1.001) == (25, 26)


@pytest.mark.parametrize(
    ("fps", "rate"),
    [(29.9, Fraction(30_000, 1001)), (24.6, 25), (17.0, Fraction(24_000, 1001)), (59.0, Fraction(60_000, 1001))],
)
def test_a_rate_that_varies_is_counted_at_the_nearest_one_of_timecode(fps: float, rate: Fraction) -> None:
    clock = clock_of(None, "10:00:00:00", fps=fps)
    assert (clock.rate, clock.is_exact) == (rate, False)
    # Its times are true all the same.
    assert clock.frame(1000.0) == int(1000 * rate + Fraction(1, 2))


def test_a_rate_that_timecode_is_not_made_for_is_counted_exactly_where_that_can_be_said() -> None:
    own = clock_of("10")
    assert (own.rate, own.is_exact, own.timecode(1.5)) == (10, True, "00:00:01:05")
    standard = clock_of("10", is_standard=True)
    assert (standard.rate, standard.is_exact) == (Fraction(24_000, 1001), False)
    assert clock_of("25", is_standard=True).is_exact

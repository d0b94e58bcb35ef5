"""Times from timestamps that are missing, out of order, or jump."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import pytest

from facerec_models.analysis.reading.clock import Clock, Sound

MS = Fraction(1, 1000)
HOUR = 3_600_000


def run(
    times_ms: Sequence[int], *, container: str = "mpegts", interval_s: float = 0.04, sound: Sound | None = None,
    claims: dict[int, int] | None = None,
) -> tuple[list[int], Clock]:  # fmt: skip
    """Let a clock go through timestamps; `claims` says how long some of these frames claim to last."""
    clock = Clock(interval_s, MS, container=container, sound=sound)
    return [clock.tick(time, (claims or {}).get(time)) for time in times_ms], clock


def steady(start_ms: int, count: int = 50, step_ms: int = 40) -> list[int]:
    return [start_ms + step_ms * n for n in range(count)]


def test_missing_timestamps_follow_from_the_frames_before() -> None:
    clock = Clock(0.04, MS)
    ticks = [clock.tick(pts) for pts in (500, None, 580, 570, 620, None, 9_000)]
    assert ticks == [0, 40, 80, 81, 120, 160, 8_500]
    assert clock.repaired == 3
    assert clock.jumps == []


@pytest.mark.parametrize("gap_ms", [15_000, 600_000, 5 * HOUR])
def test_a_jump_ahead_is_closed_with_a_warning_where_clocks_may_jump(gap_ms: int) -> None:
    ticks, clock = run([*steady(700), *steady(700 + 1960 + gap_ms)])
    assert ticks == steady(0, 100)
    (jump,) = clock.jumps
    assert (jump.at_s, jump.by_s, jump.closed_s) == (2.0, gap_ms / 1000, gap_ms / 1000 - 0.04)
    assert str(jump) == f"by {gap_ms / 1000:.2f} s ahead at 2.00 s"
    assert clock.end_s == 4.0


def test_a_jump_back_gives_a_warning() -> None:
    ticks, clock = run([*steady(0), *steady(0)])
    assert ticks == steady(0, 100)
    assert [str(jump) for jump in clock.jumps] == ["by 1.96 s back at 2.00 s"]
    assert (clock.repaired, clock.closed_s) == (0, 0)


def test_a_jump_back_that_ffmpeg_takes_for_a_wrap_of_33_bits_gives_its_warning() -> None:
    wrap_ms = round(2**33 / 90)
    ticks, clock = run([*steady(10_000_000), *steady(100_000 + wrap_ms)])
    assert ticks == steady(0, 100)
    assert [str(jump) for jump in clock.jumps] == ["by 9901.96 s back at 2.00 s"]


@pytest.mark.parametrize("container", ["mpegts", "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "gif"])
@pytest.mark.parametrize("step_s", [1, 10, 60, 900, 7200])
def test_slow_material_is_left_alone(container: str, step_s: int) -> None:
    times = steady(0, 10, step_s * 1000)
    ticks, clock = run(times, container=container, interval_s=step_s)
    assert (ticks, clock.jumps) == (times, [])


def test_a_rate_that_falls_to_a_frame_in_ten_seconds_is_left_alone() -> None:
    times = [*steady(0), *steady(3000, 20, 1000), *steady(32_000, 20, 10_000)]
    assert run(times)[0] == times


@pytest.mark.parametrize("container", ["mpegts", "gif", "mov,mp4,m4a,3gp,3g2,mj2"])
def test_a_pause_that_its_frame_claims_is_left_alone(container: str) -> None:
    times = [*steady(0), *steady(655_000)]
    ticks, clock = run(times, container=container, claims={1960: 653_040})
    assert (ticks, clock.jumps) == (times, [])


def test_a_pause_in_a_container_whose_clock_is_its_own_is_left_alone() -> None:
    times = [*steady(0), *steady(1_200_000)]
    assert run(times, container="matroska,webm")[0] == times


@pytest.mark.parametrize("container", ["mpegts", "matroska,webm"])
def test_a_pause_that_sound_runs_through_is_left_alone(container: str) -> None:
    times = [*steady(0), *steady(2 * HOUR)]
    sound = Sound()
    for second in range(2 * 3600 + 2):
        sound.add(second, second + 0.99)
    ticks, clock = run(times, container=container, sound=sound)
    assert (ticks, clock.jumps) == (times, [])


def test_a_gap_of_pictures_and_sound_is_a_jump_in_every_container() -> None:
    sound = Sound()
    for second in [0, 1, 600, 601]:
        sound.add(second, second + 1.0)
    ticks, clock = run([*steady(0), *steady(600_000)], container="matroska,webm", sound=sound)
    assert ticks == steady(0, 100)
    assert len(clock.jumps) == 1


def test_hours_of_silence_on_one_frame_are_a_jump_whatever_it_claims() -> None:
    ticks, clock = run([*steady(0), *steady(5 * HOUR)], container="gif", claims={1960: 5 * HOUR - 1960})
    assert ticks == steady(0, 100)
    assert clock.closed_s == pytest.approx(5 * 3600 - 2)


@pytest.mark.parametrize(
    ("times", "claims", "end_s"),
    [
        (steady(0, 25), {960: 40}, 1.0),
        (steady(0, 25), {}, 1.0),
        (steady(0, 25), {960: 1}, 1.0),
        (steady(0, 10, 100), {900: 5000}, 5.9),
        ([*steady(0, 60), *steady(3000, 30, 1000)], {}, 33.0),
        ([*steady(0, 30, 1000), *steady(30_000, 60)], {}, 32.4),
        ([*steady(0, 40), 30_000], {30_000: 40}, 30.04),
    ],
)
def test_the_last_frame_lasts_as_it_claims_or_as_its_neighbours_do(
    times: list[int], claims: dict[int, int], end_s: float
) -> None:
    assert run(times, container="matroska,webm", claims=claims)[1].end_s == pytest.approx(end_s)

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import numpy as np
import pytest

from facerec_models.analysis.reading.sampling import Grid, Sampler, sampling_period_s
from facerec_models.config import SamplingConfig

NTSC = Fraction(30000, 1001)


def at_rate(fps: Fraction | float, duration_s: float, start_s: float = 0.0) -> list[float]:
    """Times of the frames of a constant rate, from the first one at or after `start_s`."""
    exact = Fraction(fps)
    first = -(-Fraction(start_s) * exact // 1)
    return [float(n / exact) for n in range(int(first), int(Fraction(start_s + duration_s) * exact))]


def on(grid: Grid, sampler: Sampler, times_s: Iterable[float]) -> list[float]:
    return [time_s for time_s in times_s if sampler.classify(time_s) is grid]


@pytest.mark.parametrize(
    ("fps", "frames"), [(25.0, 25), (30.0, 25), (60.0, 25), (24.0, 24), (10.0, 10), (float(NTSC), 25), (0.5, 1)]
)
def test_by_default_the_period_is_25_frames_or_a_second_whichever_is_shorter(fps: float, frames: int) -> None:
    sampler = Sampler(SamplingConfig(), fps)
    assert sampler.mode == "frames"
    assert sampler.period_s == pytest.approx(frames / fps)
    grids = [sampler.classify(n / fps) for n in range(4 * frames)]
    assert [n for n, grid in enumerate(grids) if grid is Grid.COARSE] == [k * frames for k in range(4)]


def test_frames_are_counted_whatever_their_times() -> None:
    sampler = Sampler(SamplingConfig(period_frames=4, densify=2), 10.0)
    grids = [sampler.classify(time_s) for time_s in [0, 5, 5.1, 9, 9.1, 9.2, 30, 31]]
    assert [n for n, grid in enumerate(grids) if grid is Grid.COARSE] == [0, 4]
    assert [n for n, grid in enumerate(grids) if grid is Grid.DENSE] == [2, 6]


@pytest.mark.parametrize("video_fps", [NTSC, Fraction(25), Fraction(24000, 1001), Fraction(15)])
def test_a_rate_does_not_drift_over_hours(video_fps: Fraction) -> None:
    sampler = Sampler(SamplingConfig(fps=1.0), float(video_fps))
    coarse = on(Grid.COARSE, sampler, at_rate(video_fps, 3 * 3600))
    assert len(coarse) == 3 * 3600
    # Each lies within half a frame of its full second, the last as well as the first.
    assert np.abs(np.array(coarse) - np.arange(len(coarse))).max() <= 0.5 / float(video_fps) + 1e-6


def test_a_rate_takes_every_frame_of_a_slower_video_once() -> None:
    sampler = Sampler(SamplingConfig(fps=100.0), 3.0)
    times = at_rate(3, 5)
    assert on(Grid.COARSE, sampler, times) == times


def test_a_rate_that_does_not_divide_the_videos_keeps_its_average() -> None:
    sampler = Sampler(SamplingConfig(fps=7.0), 25.0)
    coarse = on(Grid.COARSE, sampler, at_rate(25, 60))
    assert len(coarse) == 7 * 60
    assert np.abs(np.array(coarse) - np.arange(len(coarse)) / 7).max() <= 0.02 + 1e-9


def test_varying_frame_times_are_sampled_by_time_and_a_pause_is_not_made_up_for() -> None:
    sampler = Sampler(SamplingConfig(fps=1.0, densify=1), 10.0)
    times = [0, 0.1, 0.2, 0.93, 1.02, 1.1, 1.96, 2.5, 7.3, 7.4, 7.5, 7.9, 8.0, 8.1, 9.5]
    assert on(Grid.COARSE, sampler, times) == [0, 1.02, 1.96, 7.3, 8.0, 9.5]


@pytest.mark.parametrize("config", [SamplingConfig(period_frames=25, densify=5), SamplingConfig(fps=1.0, densify=5)])
def test_the_dense_grid_divides_the_coarse_one(config: SamplingConfig) -> None:
    sampler = Sampler(config, 25.0)
    grids = [sampler.classify(time_s) for time_s in at_rate(25, 4)]
    assert [n for n, grid in enumerate(grids) if grid is Grid.COARSE] == [0, 25, 50, 75]
    dense = [n for n, grid in enumerate(grids) if grid is Grid.DENSE]
    expected = np.delete(np.arange(0, 100, 5), [0, 5, 10, 15])
    assert len(dense) == len(expected)
    assert np.abs(np.array(dense) - expected).max() <= 1


@pytest.mark.parametrize("config", [SamplingConfig(period_frames=10, densify=1), SamplingConfig(fps=2.5, densify=1)])
def test_without_densifying_there_is_no_dense_frame(config: SamplingConfig) -> None:
    sampler = Sampler(config, 25.0)
    grids = [sampler.classify(time_s) for time_s in at_rate(25, 10)]
    assert set(grids) == {Grid.COARSE, Grid.NONE}
    assert grids.count(Grid.COARSE) == 25


def test_a_dense_grid_finer_than_the_frames_takes_each_frame_once() -> None:
    sampler = Sampler(SamplingConfig(period_frames=3, densify=25), 3.0)
    assert [sampler.classify(n / 3) for n in range(6)] == [Grid.COARSE, Grid.DENSE, Grid.DENSE] * 2


@pytest.mark.parametrize("config", [SamplingConfig(period_frames=25), SamplingConfig(fps=1.0)])
def test_the_grid_of_a_fragment_begins_at_its_first_frame(config: SamplingConfig) -> None:
    times = at_rate(25, 3, start_s=3600.5)
    sampler = Sampler(config, 25.0, start_s=3600.5)
    coarse = on(Grid.COARSE, sampler, times)
    assert coarse[0] == times[0]
    assert len(coarse) == 3
    assert np.diff(coarse) == pytest.approx(1.0, abs=0.041)


@pytest.mark.parametrize(
    ("config", "fps", "densify"),
    [
        (SamplingConfig(), 25.0, 5),
        (SamplingConfig(), 30000 / 1001, 5),
        (SamplingConfig(), 60.0, 2),
        (SamplingConfig(fps=5), 25.0, 1),
        (SamplingConfig(fps=2, densify=2), 25.0, 2),
        (SamplingConfig(period_frames=1), 25.0, 1),
    ],
)
def test_a_face_is_sampled_at_most_six_times_a_second(config: SamplingConfig, fps: float, densify: int) -> None:
    assert Sampler(config, fps).densify == densify


@pytest.mark.parametrize("fps", [15.5, 25.0, 1000.0, 0.01])
def test_the_default_grid_follows_the_timestamps_whatever_the_rate_is_called(fps: float) -> None:
    slow, fast = [float(n) for n in range(10)], [10 + n / 30 for n in range(100)]
    sampler = Sampler(SamplingConfig(), fps)
    grids = [sampler.classify(time_s) for time_s in [*slow, *fast]]
    coarse = [n for n, grid in enumerate(grids) if grid is Grid.COARSE]
    assert coarse == [*range(10), *range(10, 110, 25)]
    assert [n for n, grid in enumerate(grids) if grid is Grid.DENSE] == [
        n for n in range(15, 110, 5) if n not in coarse
    ]


def test_varying_frame_times_are_sampled_every_second_and_at_most_six_times_a_second() -> None:
    steps = np.random.default_rng(3).choice([0.001, 0.017, 0.033, 0.1, 0.4], 4000)
    times = np.cumsum(steps)
    sampler = Sampler(SamplingConfig(), 1000.0)
    grids = [sampler.classify(float(time_s)) for time_s in times]
    coarse = times[[grid is Grid.COARSE for grid in grids]]
    assert np.diff(coarse).max() <= 1.0 + 0.4
    looked_at = times[[grid is not Grid.NONE for grid in grids]]
    counts = [
        np.count_nonzero((looked_at >= start) & (looked_at < start + 10)) for start in np.arange(0, times[-1] - 10)
    ]
    assert max(counts) <= 6.5 * 10


@pytest.mark.parametrize(
    ("config", "fps", "interval_s", "period_s"),
    [
        (SamplingConfig(), 25.0, 0.04, 1.0),
        (SamplingConfig(), 60.0, 1 / 60, 25 / 60),
        (SamplingConfig(), 0.2, 5.0, 5.0),
        (SamplingConfig(), 15.5, 1.0, 1.0),
        (SamplingConfig(), 0.02, 1 / 30, 1.0),
        (SamplingConfig(), 2.0, 3.0, 3.0),
        (SamplingConfig(period_frames=50), 15.5, 1.0, 50 / 15.5),
        (SamplingConfig(fps=4), 15.5, 1.0, 0.25),
    ],
)
def test_the_period_is_the_longest_step_that_the_rate_allows(
    config: SamplingConfig, fps: float, interval_s: float, period_s: float
) -> None:
    assert sampling_period_s(config, fps, interval_s) == pytest.approx(period_s)

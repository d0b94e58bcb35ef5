"""Real files whose headers and timestamps say different things of time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from facerec_models.analysis.reading.video import Video
from facerec_models.config import LimitsConfig
from facerec_models.types import ImageArray
from tests.unit.facerec_models.analysis.reading.written_video import (
    LIMITS,
    STEADY,
    X264,
    frames_of,
    painted,
    read_number,
    write_video,
)

HOUR_MS = 3_600_000
PLAIN = {**X264, "bf": "0"}


def write_rate(path: Path, times_ms: list[int], rate: Fraction | int) -> Path:
    """Write a video whose header states a rate that its timestamps may not have."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate, options=PLAIN)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 90_000)
        for number, time_ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(painted(number % 256), "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = time_ms * 90, Fraction(1, 90_000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def write_jump(path: Path, gap_ms: int) -> Path:
    """Write 2 s, and 2 s more that are stamped later by a gap."""
    if path.suffix != ".ts":
        return write_video(path, [*STEADY, *(time + 2000 + gap_ms for time in STEADY)], options=PLAIN)
    parts = [
        write_video(path.with_name(f"{i}.ts"), times, options=PLAIN, picture=lambda n, i=i: painted(50 * i + n))
        for i, times in enumerate((STEADY, [time + 2000 + gap_ms for time in STEADY]))
    ]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "a.mp4"])
def test_hours_that_a_clock_jumps_ahead_are_no_hours_of_video(tmp_path: Path, name: str) -> None:
    path = write_jump(tmp_path / name, 5 * HOUR_MS)
    # The limit counts what is shown, not what the header makes of the jump.
    with Video(path, LimitsConfig(max_video_duration_s=60)) as video:
        assert video.info.duration_s == pytest.approx(4.0, abs=0.05)
        assert video.info.fps == pytest.approx(25, rel=0.01)
        frames = list(video.frames())
        assert [read_number(frame.to_frame().image) for frame in frames] == list(range(100))
        assert [frame.time_s for frame in frames] == pytest.approx([n * 0.04 for n in range(100)], abs=2e-3)
        assert frames[-1].end_s == pytest.approx(4.0, abs=0.01)
        assert video.complete
        (warning,) = video.warnings
        assert warning.startswith("timestamps jump by 1800")
        assert "s ahead at 2.00 s" in warning
        assert video.info.duration_s == pytest.approx(4.0, abs=0.05)
        # Segments would need the same closing: such a file is analysed in one go.
        assert video.index() is None


@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "a.webm", "a.mp4"])
@pytest.mark.parametrize("begins_ms", [1480, 26 * HOUR_MS])
def test_a_video_whose_clock_begins_late_lasts_no_longer(tmp_path: Path, name: str, begins_ms: int) -> None:
    codec, options = ("libvpx", {}) if name == "a.webm" else ("libx264", PLAIN)
    path = write_video(tmp_path / name, [begins_ms + time for time in STEADY], codec=codec, options=options)
    with Video(path, LimitsConfig(max_video_duration_s=60)) as video:
        assert video.info.duration_s == pytest.approx(2.0, abs=0.05)
        assert len(list(video.frames())) == len(STEADY)
        assert video.info.duration_s == pytest.approx(2.0, abs=0.05)
        assert video.complete
        assert not video.warnings


@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "a.mp4", "a.gif"])
@pytest.mark.parametrize("step_s", [1, 10, 100])
def test_slow_videos_keep_their_time(tmp_path: Path, name: str, step_s: int) -> None:
    times = range(0, 8 * step_s * 1000, step_s * 1000)
    if name == "a.gif":
        path = write_video(tmp_path / name, times, codec="gif", pix_fmt="rgb8", options={})
    else:
        path = write_video(tmp_path / name, times, options=PLAIN)
    video, frames = frames_of(path)
    assert [frame.time_s for frame in frames] == pytest.approx([n * step_s for n in range(8)], abs=0.02)
    assert (video.complete, video.warnings) == (True, ())
    assert video.info.fps == pytest.approx(1 / step_s, rel=0.02)
    assert frames[-1].end_s == pytest.approx(8 * step_s, rel=0.01)


@pytest.mark.parametrize("name", ["a.gif", "a.mp4"])
def test_a_pause_of_ten_minutes_is_left_alone(tmp_path: Path, name: str) -> None:
    times = [*range(0, 2000, 200), *range(600_000, 602_000, 200)]
    if name == "a.gif":
        path = write_video(tmp_path / name, times, codec="gif", pix_fmt="rgb8", options={})
    else:
        path = write_video(tmp_path / name, times, options=PLAIN)
    video, frames = frames_of(path)
    assert [round(frame.time_s * 1000) for frame in frames] == pytest.approx(times, abs=10)
    assert video.warnings == ()
    assert video.info.duration_s == pytest.approx(602, abs=0.5)


@pytest.mark.parametrize("rate", [1000, 600, 25])
@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_the_rate_is_that_of_the_timestamps(tmp_path: Path, name: str, rate: int) -> None:
    video, frames = frames_of(write_rate(tmp_path / name, list(range(0, 8000, 40)), rate))
    assert video.info.fps == pytest.approx(25, rel=1e-3)
    assert video.info.interval_s == pytest.approx(0.04, rel=1e-3)
    assert frames[-1].end_s == pytest.approx(8.0, abs=1e-3)
    assert (video.complete, video.warnings) == (True, ())


def test_a_header_that_the_timestamps_bear_out_is_exact(tmp_path: Path) -> None:
    rate = Fraction(30_000, 1001)
    path = write_rate(tmp_path / "a.mkv", [round(n / rate * 1000) for n in range(200)], rate)
    assert frames_of(path)[0].info.fps == float(rate)


def noisy(number: int) -> ImageArray:
    return np.random.default_rng(number).integers(0, 256, (96, 128, 3), np.uint8)


def test_a_jump_behind_the_first_frames_is_found_from_the_files_size(tmp_path: Path) -> None:
    times = [*range(0, 20_000, 40), *range(HOUR_MS * 9, HOUR_MS * 9 + 20_000, 40)]
    path = write_video(tmp_path / "a.mkv", times, options=PLAIN, picture=noisy)
    video = Video(path, LIMITS)
    assert video.info.duration_s == pytest.approx(40, abs=0.1)

"""A video is decoded: index, time and picture of each frame."""

from __future__ import annotations

import gc
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from facerec_models.analysis.reading.video import Video
from tests.unit.facerec_models.analysis.reading.written_video import (
    LIMITS,
    ODD_TIMES,
    STEADY,
    X264,
    frames_of,
    painted,
    read_number,
    write_video,
)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "options"),
    [
        ("a.mp4", "libx264", "yuv420p", X264),
        ("a.mov", "libx264", "yuv422p", X264),
        ("a.mkv", "libx264", "yuv444p", X264),
        ("a.ts", "libx264", "yuv420p", X264),
        ("a.mp4", "libx264", "yuv420p10le", X264),
        ("a.mp4", "libx264", "gray", X264),
        ("a.mp4", "libx265", "yuv420p10le", {"x265-params": "log-level=none"}),
        ("a.webm", "libvpx-vp9", "yuv420p", {"deadline": "realtime"}),
        ("a.mkv", "ffv1", "bgr0", {}),
        ("a.mp4", "mpeg4", "yuv420p", {"bf": "0"}),
        ("a.avi", "mpeg4", "yuv420p", {"bf": "0"}),
    ],
)
def test_index_time_and_picture_agree(
    tmp_path: Path, name: str, codec: str, pix_fmt: str, options: dict[str, str]
) -> None:
    path = write_video(tmp_path / name, STEADY, codec=codec, pix_fmt=pix_fmt, options=options)
    video, frames = frames_of(path)
    assert len(frames) == len(STEADY)
    for number, frame in enumerate(frames):
        assert frame.index == number
        assert frame.time_s == pytest.approx(number * 0.04, abs=1e-4)
        full = frame.to_frame()
        assert (full.index, full.pts, full.time_base) == (frame.index, frame.pts, frame.time_base)
        assert read_number(full.image) == number
    assert (video.info.width, video.info.height, video.info.rotation_deg) == (128, 96, 0)
    assert video.info.fps == pytest.approx(25, rel=0.03)
    assert video.info.duration_s == pytest.approx(2.0, abs=0.05)
    assert (video.complete, video.warnings) == (True, ())


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("start_ms", [0, 5300])
def test_variable_rate_and_late_start_keep_exact_times(tmp_path: Path, name: str, start_ms: int) -> None:
    # MP4 keeps a late start only without its edit list.
    path = write_video(
        tmp_path / name,
        [start_ms + time for time in ODD_TIMES],
        container={"avoid_negative_ts": "disabled", **({"use_editlist": "1"} if name == "a.mp4" else {})},
    )
    video, frames = frames_of(path)
    assert [round(frame.time_s * 1000) for frame in frames] == ODD_TIMES
    assert [read_number(frame.to_frame().image) for frame in frames] == list(range(len(ODD_TIMES)))
    assert video.info.start_pts_s == pytest.approx(start_ms / 1000, abs=0.002)
    assert frames[0].pts == 0
    assert (video.complete, video.warnings) == (True, ())


def test_fragments_keep_index_and_time_and_read_no_further(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", STEADY)
    with Video(path, LIMITS) as video:
        part = list(video.frames(0.4, 0.6))
        assert [frame.index for frame in part] == [10, 11, 12, 13, 14]
        assert [read_number(frame.to_frame().image) for frame in part] == [10, 11, 12, 13, 14]
        assert (video.complete, video.warnings) == (True, ())
        assert list(video.frames(5.0)) == []
        assert video.complete
        assert len(list(video.frames(1.9, 99.0))) == 2
        assert video.complete


def test_an_unfinished_iteration_is_not_complete(tmp_path: Path) -> None:
    with Video(write_video(tmp_path / "a.mp4", STEADY), LIMITS) as video:
        list(video.frames())
        assert video.complete
        running = video.frames()
        assert next(running).index == 0
        assert not video.complete
    with pytest.raises(StopIteration):
        next(running)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_rotation_and_mirroring_are_undone(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    quarters = np.zeros((64, 128, 3), np.uint8)
    quarters[:32, :64], quarters[:32, 64:], quarters[32:, :64] = 250, 170, 90
    path = write_video(tmp_path / "a.mp4", range(0, 200, 40), picture=lambda _: quarters, rotation=(degrees, mirrored))
    video, frames = frames_of(path)
    # FFmpeg's degrees are counterclockwise, and it mirrors last.
    turned = np.rot90(quarters, degrees // 90)
    upright = turned[:, ::-1] if mirrored else turned
    image = frames[3].to_frame().image
    assert image.shape == upright.shape == (video.info.height, video.info.width, 3)
    assert np.abs(image.astype(int) - upright).mean() < 6
    if not mirrored:
        assert video.info.rotation_deg == -degrees % 360


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p", "yuv444p", "yuv420p10le"])
def test_colours_survive_every_range_and_depth(tmp_path: Path, pix_fmt: str) -> None:
    colours = np.array([[200, 60, 30], [20, 180, 90], [40, 50, 220], [250, 250, 250], [5, 5, 5]], np.uint8)
    picture = np.repeat(np.repeat(colours[None], 64, 0), 16, 1)
    path = write_video(tmp_path / "a.mp4", range(0, 200, 40), pix_fmt=pix_fmt, picture=lambda _: picture)
    image = frames_of(path)[1][2].to_frame().image
    assert image.flags.c_contiguous
    assert np.abs(image[32, 8::16].astype(int) - colours).max() <= 6


def test_frames_go_without_a_garbage_collection(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", STEADY, rotation=(90, False))
    gc.collect()
    gc.disable()
    try:
        with Video(path, LIMITS) as video:
            for frame in video.frames():
                frame.to_frame()
                frame.signature()
            del frame
        assert sum(type(thing) is av.VideoFrame for thing in gc.get_objects()) <= 1  # the probe's
    finally:
        gc.enable()


def test_a_gif_is_a_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.gif", range(0, 2000, 200), codec="gif", pix_fmt="rgb8", options={})
    video, frames = frames_of(path)
    assert [read_number(frame.to_frame().image) for frame in frames] == list(range(10))
    assert frames[-1].time_s == pytest.approx(1.8)
    assert video.info.container == "gif"
    assert frames[0].signature().shape == (24, 32, 3)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le", "gray"])
def test_a_signature_is_small_and_differs_between_pictures(tmp_path: Path, pix_fmt: str) -> None:
    path = write_video(tmp_path / "a.mp4", range(0, 400, 40), pix_fmt=pix_fmt, picture=lambda n: painted(n // 5 * 255))
    signatures = [frame.signature().astype(int) for frame in frames_of(path)[1]]
    assert signatures[0].shape == (24, 32, 3)
    changes = [float(np.abs(b - a).mean()) for a, b in pairwise(signatures)]
    assert max(change for i, change in enumerate(changes) if i != 4) < 3
    assert changes[4] > 25


@pytest.mark.parametrize(
    ("name", "frames", "start_pts_s"),
    [
        ("videos/hamilton_9s.mp4", 275, 0.852),
        ("videos/obama_4s.mp4", 60, 0.0),
        ("videos/elon_2s.gif", 35, 0.0),
        ("videos/traffic_nofaces_20s.mp4", 600, 0.0),
        ("odd/vp8.webm", 72, 0.0),
        ("odd/hevc.mp4", 72, 0.0),
        ("odd/fps3.mp4", 9, 0.0),
        ("odd/animated.gif", 4, 0.0),
        ("odd/video_5_frames_real.mp4", 5, 0.0),
    ],
)
def test_real_videos(eval_data: Path, name: str, frames: int, start_pts_s: float) -> None:
    video, decoded = frames_of(eval_data / name)
    assert (len(decoded), video.complete, video.warnings) == (frames, True, ())
    assert video.info.start_pts_s == pytest.approx(start_pts_s, abs=1e-3)
    assert all(a.time_s < b.time_s for a, b in pairwise(decoded))
    assert decoded[-1].time_s == pytest.approx((frames - 1) / video.info.fps, abs=0.06)

"""What browsers do not play becomes a file that they play, and shows the same frames at the same times."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from facerec_models.analysis.reading.video import Video
from facerec_models.config import LimitsConfig
from facerec_models.errors import VideoDecodeError, VideoOpenError
from facerec_models.types import FloatArray, ImageArray
from serving.exports.playability import judge_playability
from serving.exports.rendition import RenditionStoppedError, write_rendition
from tests.unit.facerec_models.analysis.reading.written_video import ODD_TIMES, read_number
from tests.unit.facerec_models.test_video_writer import loudness
from tests.unit.serving.exports.played_videos import CLICK_S, HEIGHT, WIDTH, woven, write_media

LIMITS = LimitsConfig()
INTERLACED = {"flags": "+ildct+ilme"}
REORDERED = {"preset": "ultrafast", "bf": "2"}
QUIET_X265 = {"preset": "ultrafast", "x265-params": "log-level=none"}
FAST_VPX = {"deadline": "realtime", "cpu-used": "8"}
LATE = range(3000, 5000, 40)
# A name, how it is written, and what of it does not play: container, picture, sound.
ENCODED: dict[str, tuple[dict[str, Any], str]] = {
    "mpeg2.ts": ({"codec": "mpeg2video", "options": INTERLACED, "ratio": Fraction(16, 15), "sound": "mp2"}, "mpeg2video"),
    "part2.avi": ({"codec": "mpeg4", "options": {"qscale": "3"}, "sound": "libmp3lame"}, "mpeg4"),
    "hevc.mp4": ({"codec": "libx265", "options": QUIET_X265, "sound": "aac", "rotation": (90, False)}, "hevc"),
    "prores.mov": ({"codec": "prores_ks", "pix_fmt": "yuv422p10le", "sound": "pcm_s16le", "rotation": (270, False)}, "prores"),
    "moving.gif": ({"codec": "gif", "pix_fmt": "rgb8"}, "gif"),
    "ten.mp4": ({"pix_fmt": "yuv420p10le", "options": REORDERED, "sound": "aac"}, "High 10"),
    "half.mp4": ({"pix_fmt": "yuv422p", "options": REORDERED}, "4:2:2"),
    "varying.mkv": ({"codec": "libvpx", "times_ms": ODD_TIMES, "options": FAST_VPX, "sound": "libopus"}, "vp8"),
    "mirrored.mp4": ({"options": REORDERED, "rotation": (0, True)}, "mirrored"),
    "wide.mp4": ({"options": REORDERED, "ratio": Fraction(16, 15)}, "1.07 times as wide"),
    "interlaced.mp4": ({"options": {**INTERLACED, "x264-params": "tff=1"}}, "interlaced"),
    "late.mkv": ({"codec": "mpeg4", "times_ms": LATE, "sound": "ac3", "sound_from_s": 0.5}, "mpeg4"),
}  # fmt: skip
COPIED: dict[str, tuple[dict[str, Any], str]] = {
    "plain.mkv": ({"options": REORDERED, "sound": "aac"}, "matroska"),
    "late.ts": ({"options": REORDERED, "times_ms": LATE, "sound": "aac"}, "mpegts"),
    "late.mp4": ({"options": REORDERED, "times_ms": LATE, "sound": "aac", "sound_from_s": 0.5}, "begin at 3.000 s"),
    "turned.mov": ({"options": REORDERED, "sound": "pcm_s16le", "rotation": (90, False)}, "QuickTime"),
    "sound.mp4": ({"options": REORDERED, "times_ms": ODD_TIMES, "sound": "ac3"}, "ac3"),
}
PLAYED: dict[str, dict[str, Any]] = {
    "plain.mp4": {"options": REORDERED, "sound": "aac"},
    "turned.mp4": {"options": REORDERED, "rotation": (270, False)},
    "music.mp4": {"options": REORDERED, "sound": "libmp3lame"},
    "plain.webm": {"codec": "libvpx", "options": FAST_VPX, "sound": "libopus"},
    "varying.webm": {"codec": "libvpx-vp9", "options": FAST_VPX, "times_ms": ODD_TIMES},
}


def read(path: Path) -> tuple[Video, list[float], list[ImageArray]]:
    """Return the times of all frames, and their upright pictures with square pixels."""
    with Video(path, LIMITS) as video:
        frames = list(video.frames())
    return video, [frame.time_s for frame in frames], [frame.to_square_frame().image for frame in frames]


def blocks(image: ImageArray, size: tuple[int, int]) -> FloatArray:
    """Return mean colours, in which dither and the outlines of colour samples do not show."""
    same_size = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(same_size, (12, 12), interpolation=cv2.INTER_AREA).astype(np.float32)


def click_of(path: Path) -> float | None:
    """Return the middle of the click, in seconds of the container."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
    return float(np.flatnonzero(loudness(path) > 0.2).mean()) / 100


def made(tmp_path: Path, name: str, how: dict[str, Any]) -> tuple[Path, Path]:
    """Write a video, and its rendition."""
    source = write_media(tmp_path / name, **how)
    target = tmp_path / "rendition.mp4"
    write_rendition(source, target, LIMITS)
    return source, target


def check_same(source: Path, target: Path) -> None:
    """Check that a rendition plays, and shows and sounds at each time as its source does."""
    assert judge_playability(target, LIMITS).plays
    content = target.read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")
    before, times, images = read(source)
    after, same_times, same_images = read(target)
    assert same_times == pytest.approx(times, abs=0.0011)
    assert (after.complete, after.warnings, after.info.start_pts_s) == (True, (), 0.0)
    assert after.info.sample_aspect_ratio == 1
    size = same_images[0].shape[1], same_images[0].shape[0]
    width, height = before.geometry.square_size
    assert abs(size[0] - width) <= 1
    assert abs(size[1] - height) <= 1
    for image, same in zip(images, same_images, strict=True):
        assert float(np.abs(blocks(image, size) - blocks(same, size)).mean()) < 4
    click_s = click_of(source)
    if click_s is not None:
        assert click_of(target) == pytest.approx(click_s - before.info.start_pts_s, abs=0.03)
        assert click_of(target) == pytest.approx(CLICK_S, abs=0.04)


@pytest.mark.parametrize("name", ENCODED)
def test_what_browsers_do_not_show_is_encoded_with_its_times_shape_and_sound(tmp_path: Path, name: str) -> None:
    how, reason = ENCODED[name]
    source, target = made(tmp_path, name, how)
    judged = judge_playability(source, LIMITS)
    assert judged.picture is not None
    assert reason in str(judged.why)
    check_same(source, target)
    with av.open(str(target)) as container:
        context = container.streams.video[0].codec_context
        assert (context.codec.canonical_name, context.profile, context.pix_fmt) == ("h264", "High", "yuv420p")
        assert {(track.codec.canonical_name, track.rate, track.channels) for track in container.streams.audio} <= {
            ("aac", 48_000, 2),
            ("mp3", 48_000, 2),
        }


@pytest.mark.parametrize("name", COPIED)
def test_h264_in_another_container_is_copied_to_begin_at_zero(tmp_path: Path, name: str) -> None:
    how, reason = COPIED[name]
    source, target = made(tmp_path, name, how)
    judged = judge_playability(source, LIMITS)
    assert judged.picture is None
    assert reason in str(judged.why)
    check_same(source, target)
    (_, times, images), (video, _, same) = read(source), read(target)
    assert all(np.array_equal(a, b) for a, b in zip(images, same, strict=True))
    assert video.info.duration_s == pytest.approx(times[-1] + video.info.interval_s, abs=0.005)


@pytest.mark.parametrize("name", PLAYED)
def test_what_browsers_play_is_told_from_what_they_do_not(tmp_path: Path, name: str) -> None:
    judged = judge_playability(write_media(tmp_path / name, **PLAYED[name]), LIMITS)
    assert (judged.plays, judged.why) == (True, None)
    assert judged.media_type == ("video/webm" if name.endswith(".webm") else "video/mp4")


def test_an_edit_list_that_cuts_is_not_left_to_browsers(tmp_path: Path) -> None:
    # The muxer writes an edit list that begins at 0: what is before it is decoded and not shown.
    source, target = made(tmp_path, "cut.mp4", {"times_ms": range(-400, 1600, 40), "options": {"g": "50", "bf": "0"}})
    assert judge_playability(source, LIMITS).picture == "an edit list leaves out pictures"
    assert [read_number(image) for image in read(target)[2]] == list(range(10, 50))
    check_same(source, target)


def test_the_track_that_is_meant_is_the_one_that_plays(tmp_path: Path) -> None:
    sources = [write_media(tmp_path / "a.mp4"), write_media(tmp_path / "b.mp4", times_ms=range(0, 1000, 40))]
    both = tmp_path / "both.mp4"
    with ExitStack() as stack:
        out = stack.enter_context(av.open(str(both), "w"))
        containers = [stack.enter_context(av.open(str(source))) for source in sources]
        streams = [out.add_stream_from_template(container.streams.video[0]) for container in containers]
        for container, stream in zip(containers, streams, strict=True):
            for packet in container.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
    assert judge_playability(both, LIMITS, stream=0).plays
    assert "show picture track 0, and not 1" in str(judge_playability(both, LIMITS, stream=1).why)
    target = tmp_path / "rendition.mp4"
    write_rendition(both, target, LIMITS, 1)
    assert len(read(target)[1]) == 25


def test_interlaced_pictures_lose_their_comb_and_keep_their_number(tmp_path: Path) -> None:
    how = {
        "codec": "mpeg2video",
        "options": {**INTERLACED, "qscale": "2"},
        "picture": woven,
        "times_ms": range(0, 240, 40),
    }
    source, target = made(tmp_path, "comb.ts", how)

    def comb(path: Path) -> float:
        rows = np.array(read(path)[2], np.float32).mean(-1)
        return float(np.abs(np.diff(rows, axis=1)).mean())

    assert comb(source) > 8
    assert comb(target) < comb(source) / 4
    assert len(read(target)[1]) == 6


def test_a_place_can_be_sought_near_its_keyframe(tmp_path: Path) -> None:
    how = {"codec": "mpeg4", "times_ms": range(0, 9000, 100)}
    _, target = made(tmp_path, "long.avi", how)
    with av.open(str(target)) as container:
        keyframes = [float(p.pts * p.time_base) for p in container.demux(video=0) if p.is_keyframe and p.size]  # type: ignore[operator]
    assert np.diff([*keyframes, 9.0]).max() <= 2.1


def test_large_pictures_are_reduced_and_boxes_keep_their_place(tmp_path: Path) -> None:
    def large(number: int) -> ImageArray:
        image = np.full((1440, 2000, 3), 30, np.uint8)
        image[360:720, 500:1000] = 220
        return image

    how = {"codec": "mjpeg", "pix_fmt": "yuvj420p", "picture": large, "times_ms": [0, 40], "size": (2000, 1440)}
    _, target = made(tmp_path, "large.avi", how)
    (image, _) = read(target)[2]
    assert image.shape[:2] == (1080, 1500)
    rows, columns = np.nonzero(image.mean(-1) > 125)
    box = columns.min() / 1500, rows.min() / 1080, (columns.max() + 1) / 1500, (rows.max() + 1) / 1080
    assert box == pytest.approx((500 / 2000, 360 / 1440, 1000 / 2000, 720 / 1440), abs=0.002)


def test_pictures_that_change_their_size_are_fitted_into_the_first(tmp_path: Path) -> None:
    def wide(number: int) -> ImageArray:
        return np.full((96, 240, 3), 200, np.uint8)

    parts = [
        write_media(tmp_path / "a.ts", "mpeg2video", times_ms=range(0, 400, 40)),
        write_media(tmp_path / "b.ts", "mpeg2video", times_ms=range(400, 800, 40), picture=wide, size=(240, 96)),
    ]
    source = tmp_path / "joined.ts"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    target = tmp_path / "rendition.mp4"
    write_rendition(source, target, LIMITS)
    times = read(source)[1]
    _, same_times, same_images = read(target)
    assert same_times == pytest.approx(times, abs=0.0011)
    assert [read_number(image) for image in same_images[:9]] == list(range(9))
    last = same_images[-1]
    assert last.shape == (HEIGHT, WIDTH, 3)
    assert last[HEIGHT // 2].mean() == pytest.approx(200, abs=4)
    assert last[:20].mean() < 8
    assert last[-20:].mean() < 8


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_a_clock_that_jumps_is_repaired_as_analysis_does(tmp_path: Path, codec: str) -> None:
    parts = [
        write_media(tmp_path / f"{start}.ts", codec, times_ms=range(start, start + 2000, 40), sound="aac")
        for start in (1000, 3_603_000)
    ]
    source = tmp_path / "joined.ts"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    target = tmp_path / "rendition.mp4"
    write_rendition(source, target, LIMITS)
    video, times, images = read(source)
    _, same_times, same_images = read(target)
    assert video.jumps
    assert same_times == pytest.approx(times, abs=0.0011)
    assert [read_number(a) for a in same_images] == [read_number(a) for a in images]
    loud = np.flatnonzero(loudness(target) > 0.2) / 100
    assert [loud[loud < 2].mean(), loud[loud > 2].mean()] == pytest.approx([1.0, 3.0], abs=0.08)


@pytest.mark.parametrize("name", ["damaged.mkv", "damaged.ts"])
def test_of_a_damaged_video_what_can_be_read_is_kept(tmp_path: Path, name: str) -> None:
    source = write_media(tmp_path / name, options=REORDERED, sound="aac")
    content = bytearray(source.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 2000] = bytes(2000)
    source.write_bytes(content)
    target = tmp_path / "rendition.mp4"
    write_rendition(source, target, LIMITS)
    _, times, _ = read(source)
    assert 5 < len(times) <= 50
    assert read(target)[1] == pytest.approx(times, abs=0.0011)


def test_what_cannot_be_read_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "text.mp4"
    source.write_text("no video")
    with pytest.raises(VideoOpenError, match=r"'film\.mp4'"):
        write_rendition(source, tmp_path / "out.mp4", LIMITS, name="film.mp4")
    with pytest.raises((VideoOpenError, VideoDecodeError)):
        judge_playability(source, LIMITS)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("name", ["plain.mkv", "part2.avi"])
def test_progress_is_told_and_stopping_leaves_nothing(tmp_path: Path, name: str) -> None:
    source = write_media(tmp_path / name, **(COPIED | ENCODED)[name][0])
    told: list[float] = []
    write_rendition(source, tmp_path / "out.mp4", LIMITS, None, told.append)
    assert told == sorted(told)
    assert (len(told) > 5, told[-1]) == (True, 1.0)
    (tmp_path / "out.mp4").unlink()

    def stops_soon() -> Callable[[], bool]:
        answers = iter([False] * 10 + [True])
        return lambda: next(answers)

    with pytest.raises(RenditionStoppedError):
        write_rendition(source, tmp_path / "out.mp4", LIMITS, None, None, stops_soon())
    assert list(tmp_path.iterdir()) == [source]

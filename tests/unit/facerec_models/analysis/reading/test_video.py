from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from facerec_models.analysis.reading.video import DecodedFrame, Video
from facerec_models.config import LimitsConfig
from facerec_models.errors import LimitExceededError, VideoDecodeError, VideoOpenError
from facerec_models.types import ImageArray

LIMITS = LimitsConfig()
BITS = 8
INDEX_FIRST = {"movflags": "+faststart"}
X264 = {"crf": "10", "bf": "2", "g": "12"}


def painted(number: int, width: int = 128, height: int = 96) -> ImageArray:
    """Paint a number as eight black or white columns over a gray floor."""
    image = np.full((height, width, 3), 128, np.uint8)
    for bit in range(BITS):
        image[: height // 2, bit * width // BITS : (bit + 1) * width // BITS] = 235 if number >> bit & 1 else 20
    return image


def read_number(image: ImageArray) -> int:
    height, width = image.shape[:2]
    columns = image[height // 4, width // BITS // 2 :: width // BITS].mean(-1)
    return sum(1 << bit for bit, value in enumerate(columns) if value > 128)


def noise(number: int) -> ImageArray:
    """Make pictures that compress badly, so that the file is large beside its index."""
    return np.random.default_rng(number).integers(0, 256, (96, 128, 3), np.uint8)


def write_video(
    path: Path,
    times_ms: Iterable[int],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    picture: Callable[[int], ImageArray] = painted,
    rotation: tuple[int, bool] | None = None,
    sound_s: float = 0.0,
    container: dict[str, str] | None = None,
    file_format: str | None = None,
) -> Path:
    """Write pictures that show their number, at given times."""
    with av.open(str(path), "w", format=file_format, options=container or {}) as out:
        stream = out.add_stream(codec, rate=25, options=options if options is not None else X264)
        assert isinstance(stream, av.VideoStream)
        height, width = picture(0).shape[:2]
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        if codec not in ("gif", "mpeg4"):
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation is not None:
            stream.set_display_rotation(rotation[0], hflip=rotation[1])
        if sound_s:
            sound = out.add_stream("aac" if path.suffix != ".webm" else "libopus", rate=48_000)
            sound.layout = "mono"
            for start in range(0, int(sound_s * 48_000), 960):
                tone = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.float32), "fltp", "mono")
                tone.sample_rate, tone.pts, tone.time_base = 48_000, start, Fraction(1, 48_000)
                out.mux(sound.encode(tone))
            out.mux(sound.encode(None))
        for number, time_ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(picture(number), "rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            out.mux(stream.encode(frame.reformat(format=pix_fmt)))
        out.mux(stream.encode(None))
    return path


STEADY = range(0, 2000, 40)
ODD_TIMES = [0, 7, 40, 41, 200, 201, 333, 1000, 1001, 1750, 1790, 1999]


def frames_of(path: Path) -> tuple[Video, list[DecodedFrame]]:
    with Video(path, LIMITS) as video:
        return video, list(video.frames())


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
def test_a_signature_is_small_and_tells_pictures_apart(tmp_path: Path, pix_fmt: str) -> None:
    path = write_video(tmp_path / "a.mp4", range(0, 400, 40), pix_fmt=pix_fmt, picture=lambda n: painted(n // 5 * 255))
    signatures = [frame.signature().astype(int) for frame in frames_of(path)[1]]
    assert signatures[0].shape == (24, 32, 3)
    changes = [float(np.abs(b - a).mean()) for a, b in pairwise(signatures)]
    assert max(change for i, change in enumerate(changes) if i != 4) < 3
    assert changes[4] > 25


def test_a_cut_off_file_gives_what_is_there(tmp_path: Path) -> None:
    content = write_video(tmp_path / "a.mp4", STEADY, container=INDEX_FIRST, picture=noise).read_bytes()
    part = tmp_path / "part.mp4"
    part.write_bytes(content[: len(content) // 2])
    video, frames = frames_of(part)
    assert 10 < len(frames) < 40
    assert not video.complete
    assert any("cut off: ends at" in warning and "2.00 s" in warning for warning in video.warnings)
    assert [frame.index for frame in video.frames(0, 0.2)] == [0, 1, 2, 3, 4]
    assert video.complete


def test_a_cut_off_matroska_is_told_from_sound_that_lasts_longer(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.webm", STEADY, codec="libvpx-vp9", options={"deadline": "realtime"}, sound_s=6.0)
    video, frames = frames_of(whole)
    assert (len(frames), video.complete, video.warnings) == (50, True, ())
    part = write_video(tmp_path / "b.mkv", STEADY, options={**X264, "qp": "0"})
    content = part.read_bytes()
    part.write_bytes(content[: len(content) // 2])
    video, frames = frames_of(part)
    assert 0 < len(frames) < 50
    assert not video.complete


def test_damage_in_the_middle_is_skipped_and_told(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", STEADY, options={"crf": "10", "bf": "0", "g": "10"})
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        places = [(packet.pos or 0, packet.size) for packet in container.demux(video=0)]
    for start, size in places[20:25]:
        content[start : start + size] = b"\xff" * size
    path.write_bytes(content)
    video, frames = frames_of(path)
    assert not video.complete
    assert re.match(r"damaged after 0\.[67]\d s: 5 packets", video.warnings[0])
    assert all(a.time_s < b.time_s for a, b in pairwise(frames))
    assert read_number(frames[-1].to_frame().image) == 49
    assert frames[-1].time_s == pytest.approx(49 * 0.04, abs=1e-4)


def test_clocks_that_start_anew_or_fall_back_are_repaired(tmp_path: Path) -> None:
    first = write_video(tmp_path / "a.ts", range(0, 2000, 40), options={**X264, "bf": "0"})
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() * 2)
    video, frames = frames_of(joined)
    assert len(frames) == 100
    assert [read_number(frame.to_frame().image) for frame in frames] == [*range(50), *range(50)]
    assert [frame.time_s for frame in frames] == pytest.approx([n * 0.04 for n in range(100)], abs=0.05)
    assert all(a.time_s < b.time_s for a, b in pairwise(frames))
    assert any("timestamp" in warning for warning in video.warnings)


def test_a_stream_that_changes_its_size_keeps_each_and_tells(tmp_path: Path) -> None:
    small = write_video(tmp_path / "a.ts", range(0, 400, 40), options={**X264, "bf": "0"})
    large = write_video(
        tmp_path / "b.ts", range(400, 800, 40), options={**X264, "bf": "0"}, picture=lambda n: painted(n, 256, 192)
    )
    joined = tmp_path / "joined.ts"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    video, frames = frames_of(joined)
    images = [frame.to_frame().image for frame in frames]
    assert [image.shape for image in images] == [(96, 128, 3)] * 10 + [(192, 256, 3)] * 10
    assert [read_number(image) for image in images] == [*range(10), *range(10)]
    assert video.warnings == (
        "the picture changes from 128x96 to 256x192 from 0.40 s on; each frame is analysed as it is, and its boxes are in its own "
        "pixels",
    )
    assert (video.info.width, video.info.height) == (128, 96)

    with Video(joined, LimitsConfig(max_frame_pixels=96 * 128)) as limited:
        assert len(list(limited.frames())) == 10
        assert not limited.complete


def test_limits_are_read_from_the_header(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", STEADY)
    Video(path, LimitsConfig(max_frame_pixels=128 * 96, max_video_duration_s=2.0))
    with pytest.raises(LimitExceededError, match=r"a\.mp4' has frames of 128x96 = 12288 pixels"):
        Video(path, LimitsConfig(max_frame_pixels=128 * 96 - 1))
    with pytest.raises(LimitExceededError, match=r"a\.mp4' lasts 2 s or more"):
        Video(path, LimitsConfig(max_video_duration_s=1.9))


def test_a_video_without_a_duration_meets_the_limit_on_the_way(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", STEADY, container={"live": "1"})
    video = Video(path, LimitsConfig(max_video_duration_s=1.0))
    assert video.info.duration_s is None
    with pytest.raises(LimitExceededError):
        list(video.frames())
    video, frames = frames_of(path)
    assert (len(frames), video.complete) == (50, True)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"Dear diary, this is no video.\n" * 20, "is a text, playlist or script"),
        (b"ffconcat version 1.0\nfile whole.mp4\n", "is a text, playlist or script"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nwhole.mp4\n#EXT-X-ENDLIST\n", "is a text, playlist or script"),
        (bytes(range(256)) * 20, "is no complete MP4"),
    ],
)
@pytest.mark.parametrize("name", ["upload.mp4", "upload.m3u8", "upload.ffconcat", "upload.sdp"])
def test_files_that_are_no_video_are_refused_by_content(tmp_path: Path, content: bytes, reason: str, name: str) -> None:
    write_video(tmp_path / "whole.mp4", range(0, 400, 40))
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(VideoOpenError, match=reason) as caught:
        Video(path, LIMITS)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_script_would_open_without_the_list(tmp_path: Path) -> None:
    """The refusal above is the allow-list's doing, not FFmpeg's own."""
    write_video(tmp_path / "whole.mp4", range(0, 400, 40))
    script = tmp_path / "upload.mp4"
    script.write_text("ffconcat version 1.0\nfile whole.mp4\n")
    with av.open(str(script)) as container:
        assert container.format.name == "concat"


def test_other_containers_and_stills_are_refused(tmp_path: Path) -> None:
    still = write_video(tmp_path / "a.png", [0], codec="png", pix_fmt="rgb24", options={}, file_format="image2pipe")
    raw = write_video(tmp_path / "a.h264", STEADY, file_format="h264")
    for path in (still, raw):
        with av.open(str(path)):
            pass
        with pytest.raises(VideoOpenError, match="is no complete MP4"):
            Video(path, LIMITS)


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    with pytest.raises(VideoOpenError, match=r"there is no file '.*nothing\.mp4'"):
        Video(tmp_path / "nothing.mp4", LIMITS)
    with pytest.raises(VideoOpenError, match="is not a file"):
        Video(tmp_path, LIMITS)
    with pytest.raises(VideoOpenError, match=r"cannot be reached .*too long"):
        Video(tmp_path / ("a" * 300), LIMITS)
    with pytest.raises(VideoOpenError, match="cannot be reached"):
        Video(tmp_path / "a\0b.mp4", LIMITS)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read closed folders")
def test_a_file_in_a_closed_folder_cannot_be_reached(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "a.mp4").write_bytes(b"x")
    closed.chmod(0)
    try:
        with pytest.raises(VideoOpenError, match=r"cannot be reached .*ermission"):
            Video(closed / "a.mp4", LIMITS)
    finally:
        closed.chmod(0o700)


def test_sound_alone_and_sound_with_a_cover_are_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as out:
        sound = out.add_stream("aac", rate=48_000)
        cover = out.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        out.mux(cover.encode(av.VideoFrame(64, 64, "yuvj420p")))
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        tone.sample_rate = 48_000
        out.mux([*sound.encode(tone), *sound.encode(None), *cover.encode(None)])
    with pytest.raises(VideoOpenError, match="has no pictures, only sound"):
        Video(path, LIMITS)


def test_a_video_without_one_readable_picture(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", STEADY)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.pos is not None and packet.size:
                content[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(content)
    with pytest.raises(VideoDecodeError, match=r"a\.mp4' has no readable picture \(codec h264\)"):
        Video(path, LIMITS)


def test_an_unknown_codec_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", STEADY)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC"))
    with pytest.raises((VideoOpenError, VideoDecodeError), match=r"a\.mp4'"):
        Video(path, LIMITS)


def test_names_with_colons_spaces_and_other_scripts(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", range(0, 400, 40)).rename(tmp_path / "http:a b ünï 名前.mp4")
    assert len(frames_of(path)[1]) == 10


def test_ffmpeg_writes_nothing_on_stderr(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", STEADY, container=INDEX_FIRST, picture=noise)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    code = (
        "from pathlib import Path; from facerec_models.config import LimitsConfig; "
        "from facerec_models.analysis.reading.video import Video; "
        f"video = Video(Path({str(path)!r}), LimitsConfig()); list(video.frames()); assert not video.complete"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


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


def test_real_damage(eval_data: Path) -> None:
    with pytest.raises(VideoOpenError, match="is empty"):
        Video(eval_data / "odd" / "video_empty.mp4", LIMITS)
    video, frames = frames_of(eval_data / "odd" / "video_truncated_60pct.mp4")
    assert 250 < len(frames) < 280
    assert not video.complete
    assert video.warnings[-1].startswith("cut off: ends at 9.0")

"""Files that are cut off, damaged, too large or no videos at all."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from facerec_models.analysis.reading.video import Video
from facerec_models.config import LimitsConfig
from facerec_models.errors import LimitExceededError, VideoDecodeError, VideoOpenError
from tests.unit.facerec_models.analysis.reading.written_video import (
    INDEX_FIRST,
    LIMITS,
    STEADY,
    X264,
    frames_of,
    noise,
    painted,
    read_number,
    write_video,
)


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


def test_a_cut_off_matroska_differs_from_longer_sound(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.webm", STEADY, codec="libvpx-vp9", options={"deadline": "realtime"}, sound_s=6.0)
    video, frames = frames_of(whole)
    assert (len(frames), video.complete, video.warnings) == (50, True, ())
    part = write_video(tmp_path / "b.mkv", STEADY, options={**X264, "qp": "0"})
    content = part.read_bytes()
    part.write_bytes(content[: len(content) // 2])
    video, frames = frames_of(part)
    assert 0 < len(frames) < 50
    assert not video.complete


def test_damage_in_the_middle_is_skipped_with_a_warning(tmp_path: Path) -> None:
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


def test_a_stream_that_changes_its_size_keeps_each_with_a_warning(tmp_path: Path) -> None:
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


def test_a_size_that_no_file_can_mean_is_damage(tmp_path: Path) -> None:
    content = bytearray(write_video(tmp_path / "a.mp4", STEADY, container=INDEX_FIRST).read_bytes())
    entry = content.index(b"avc1", content.index(b"stsd")) - 4
    # The sample description, of an unknown kind and 2 GiB: FFmpeg calls that a lack of memory.
    content[entry : entry + 8] = b"\x7f\xff\xff\xff" + b"c1\0\0"
    claims = tmp_path / "claims.mp4"
    claims.write_bytes(content)
    with pytest.raises(MemoryError), av.open(str(claims)):
        pass
    with pytest.raises(VideoOpenError, match="is no complete MP4"):
        Video(claims, LIMITS)


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


def test_real_damage(eval_data: Path) -> None:
    with pytest.raises(VideoOpenError, match="is empty"):
        Video(eval_data / "odd" / "video_empty.mp4", LIMITS)
    video, frames = frames_of(eval_data / "odd" / "video_truncated_60pct.mp4")
    assert 250 < len(frames) < 280
    assert not video.complete
    assert video.warnings[-1].startswith("cut off: ends at 9.0")

"""Files with several picture tracks, and with pictures that are no video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from facerec_models.analysis.reading.video import Video
from facerec_models.errors import VideoOpenError
from tests.unit.facerec_models.analysis.reading.written_video import LIMITS, frames_of


def write_tracks(path: Path, *tracks: tuple[str, int, int], sound_first: bool = False, title: str = "") -> Path:
    """Write tracks of (codec, shade, frames), the first of which is the largest; 25 frames a second."""
    with av.open(str(path), "w") as out:
        if sound_first:
            sound = out.add_stream("aac", rate=48_000)
            sound.layout = "mono"
        streams = []
        for i, (codec, _, _) in enumerate(tracks):
            stream = out.add_stream(codec, rate=25)
            stream.width, stream.height = 128 - 32 * i, 96
            stream.pix_fmt = {"mjpeg": "yuvj420p", "png": "rgb24"}.get(codec, "yuv420p")
            if title and i:
                stream.metadata["title"] = title
            streams.append(stream)
        packets = []
        if sound_first:
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
            tone.sample_rate, tone.pts, tone.time_base = 48_000, 0, Fraction(1, 48_000)
            packets += [*sound.encode(tone), *sound.encode(None)]
        for stream, (_, shade, count) in zip(streams, tracks, strict=True):
            image = np.full((96, stream.width, 3), shade, np.uint8)
            for number in range(count):
                frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=stream.pix_fmt)
                frame.pts, frame.time_base = number, Fraction(1, 25)
                packets += stream.encode(frame)
            packets += stream.encode(None)
        out.mux(packets)
    return path


def shade_of(video: Video) -> int:
    return round(float(next(iter(video.frames())).to_frame().image.mean()))


FRONT, REAR = ("libx264", 60, 20), ("libx264", 200, 20)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_second_picture_track_gives_a_warning_with_its_option(tmp_path: Path, name: str) -> None:
    path = write_tracks(tmp_path / name, FRONT, REAR)
    video, frames = frames_of(path)
    assert (video.info.stream, len(frames), video.complete) == (0, 20, True)
    assert shade_of(video) == pytest.approx(60, abs=4)
    assert video.warnings == (
        "the file has 2 picture tracks: stream 0 (h264 128x96), stream 1 (h264 96x96); this is about stream 0 alone: "
        "choose another with --stream N (over HTTP sampling.stream)",
    )
    with Video(path, LIMITS, stream=1) as rear:
        assert shade_of(rear) == pytest.approx(200, abs=4)
        assert (rear.info.stream, rear.info.width) == (1, 96)
        assert "this is about stream 1 alone" in rear.warnings[0]
        index = rear.index()
        assert index is not None
        (frame,) = rear.segment(index, 7, 8)
        assert frame.to_frame().image.mean() == pytest.approx(200, abs=4)


def test_streams_are_counted_as_ffmpeg_does_and_those_there_are_named(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "a.mkv", FRONT, REAR, sound_first=True, title="rear camera")
    with Video(path, LIMITS, stream=2) as video:
        assert shade_of(video) == pytest.approx(200, abs=4)
    for missing in (0, 7):
        with pytest.raises(VideoOpenError) as caught:
            Video(path, LIMITS, stream=missing)
        assert f"a.mkv' has no picture track {missing}; it has stream 1 (h264 128x96)" in str(caught.value)
        assert "stream 2 (h264 96x96, 'rear camera')" in str(caught.value)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "mjpeg"), ("a.mp4", "png"), ("a.mkv", "mjpeg")])
def test_a_track_of_one_still_is_no_video(tmp_path: Path, name: str, codec: str) -> None:
    video, frames = frames_of(write_tracks(tmp_path / name, FRONT, (codec, 200, 1)))
    assert (len(frames), video.warnings) == (20, ())
    assert shade_of(video) == pytest.approx(60, abs=4)


def test_a_cover_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        cover = out.add_stream("mjpeg", rate=25)
        cover.disposition = av.stream.Disposition.attached_pic
        for track, pix_fmt in ((stream, "yuv420p"), (cover, "yuvj420p")):
            track.width, track.height, track.pix_fmt = 64, 64, pix_fmt
        picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 60, np.uint8), "rgb24")
        out.mux([*cover.encode(picture.reformat(format="yuvj420p")), *cover.encode(None)])
        out.mux([*stream.encode(picture.reformat(format="yuv420p")), *stream.encode(None)])
    video, _ = frames_of(path)
    assert video.warnings == ()
    with pytest.raises(VideoOpenError, match=r"no picture track 1; it has stream 0 \(h264 64x64\)$"):
        Video(path, LIMITS, stream=1)


def test_a_video_of_jpegs_is_one(tmp_path: Path) -> None:
    video, frames = frames_of(write_tracks(tmp_path / "a.mkv", FRONT, ("mjpeg", 200, 20)))
    assert len(frames) == 20
    assert "stream 1 (mjpeg 96x96)" in video.warnings[0]
    assert len(frames_of(write_tracks(tmp_path / "b.mov", ("mjpeg", 200, 20)))[1]) == 20

"""Videos whose decoder crashes, hangs or needs too much, and those that are scanned as they are here."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from facerec_models.analysis.alignment import DLIB_TEMPLATE
from facerec_models.analysis.apart import scanning
from facerec_models.analysis.apart.probing import probe_video
from facerec_models.analysis.apart.scanning import ScanApart
from facerec_models.analysis.apart.video_child import ALIVE, Pulse
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.frame_faces import Scan, Timing
from facerec_models.analysis.frame_scanner import FrameScanner
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.analysis.reading.segments import SegmentError, plan_segments
from facerec_models.analysis.reading.video import Video
from facerec_models.config import AnalysisConfig, LimitsConfig, SamplingConfig
from facerec_models.confinement.pipe import Pipe, PipeClosedError
from facerec_models.errors import LimitExceededError, VideoDecodeError, VideoOpenError
from facerec_models.types import Detections, FloatArray, ImageArray
from facerec_models.video_writer import VideoWriter
from tests.processes import confined_children, descriptors, shared_memory
from tests.unit.facerec_models.confinement import tasks
from tests.waiting import wait_until

CONFIG = AnalysisConfig()


class ForgetfulEmbedder:
    """Embeds nothing that matters here."""

    name = terms = engine = "none"
    dimension = 4
    template = DLIB_TEMPLATE

    def embed(self, crops: ImageArray) -> FloatArray:
        return np.full((len(crops), 4), 0.5, np.float32)


class WatchfulDetector:
    """Finds nobody, and does something to the child that asks it for the third time."""

    engine = "none"

    def __init__(self, act: Callable[[int], object]) -> None:
        self._act = act
        self._before = set(confined_children())
        self._asked = 0

    def detect(self, images: Sequence[ImageArray]) -> list[Detections]:
        self._asked += 1
        if self._asked == 3:
            (pid,) = set(confined_children()) - self._before
            self._act(pid)
        return [Detections.empty() for _ in images]


def write(path: Path, seconds: int = 40, size: tuple[int, int] = (160, 120)) -> Path:
    points = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    shade = np.asarray(cv2.resize(points, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    with VideoWriter(path, 10, *size) as writer:
        for i in range(seconds * 10):
            writer.write(np.roll(shade, i, axis=1))
    return path


def scan(path: Path, act: Callable[[int], object] = lambda pid: None, config: AnalysisConfig = CONFIG) -> Scan:
    return ScanApart(path, config, WatchfulDetector(act), ForgetfulEmbedder(), name="film").scan()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("films") / "film.mp4")


def test_a_crash_in_the_middle_is_the_videos_failure(film: Path) -> None:
    with pytest.raises(
        VideoDecodeError, match=r"'film' cannot be decoded: its decoder crashed \(signal 11, SIGSEGV\); copy"
    ):
        scan(film, lambda pid: os.kill(pid, signal.SIGSEGV))
    assert scan(film).frames == 400


def test_a_hang_in_the_middle_is_the_videos_failure(film: Path) -> None:
    limits = LimitsConfig(decoder_silence_s=1.0)
    with pytest.raises(
        VideoDecodeError, match=r"gave no sign of life for 1 s and was ended; .* limits\.decoder_silence_s"
    ):
        scan(film, lambda pid: os.kill(pid, signal.SIGSTOP), AnalysisConfig(limits=limits))
    assert scan(film).frames == 400


def test_decoding_on_is_a_sign_of_life_however_long_nothing_is_sampled(tmp_path: Path) -> None:
    # No picture is asked about meanwhile.
    path = write(tmp_path / "long.mp4", 60, (640, 360))
    sampling = SamplingConfig(fragment=(59.0, 60.0))
    config = AnalysisConfig(sampling=sampling, limits=LimitsConfig(decoder_silence_s=1.2))
    assert scan(path, config=config).frames == 10


def test_memory_is_bounded(tmp_path: Path) -> None:
    path = write(tmp_path / "large.mp4", 1, (3840, 2160))
    # From what is too little for the first picture to what is too little for some of them.
    for mebibytes in (64, 80, 100, 140, 180):
        limits = LimitsConfig(decoder_memory_bytes=mebibytes * 2**20)
        with pytest.raises(
            VideoDecodeError, match=r"needs more memory than the .* GiB that it may use; reduce the video"
        ):
            scan(path, config=AnalysisConfig(limits=limits))
    assert scan(path).frames == 10


def test_a_child_cannot_fill_the_memory_of_its_parent(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "scan_in_child", tasks.send_crops)
    config = AnalysisConfig(limits=LimitsConfig(decoder_memory_bytes=2**27))
    apart = ScanApart(film, config, WatchfulDetector(lambda pid: None), ForgetfulEmbedder())
    with pytest.raises(VideoDecodeError, match="sent more crops than a part can have"):
        apart.scan()


def test_errors_of_a_file_are_those_of_reading_it_here(tmp_path: Path, film: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    small = LimitsConfig(max_frame_pixels=100)
    for path, limits, kind in [
        (text, CONFIG.limits, VideoOpenError),
        (tmp_path / "none.mp4", CONFIG.limits, VideoOpenError),
        (film, small, LimitExceededError),
    ]:
        with pytest.raises(kind) as here:
            Video(path, limits, name="film")
        for attempt in (
            lambda path=path, limits=limits: scan(path, config=AnalysisConfig(limits=limits)),
            lambda path=path, limits=limits: probe_video(path, limits, name="film"),
        ):
            with pytest.raises(kind) as apart:
                attempt()
            assert str(apart.value) == str(here.value)


def test_a_probe_tells_what_the_video_does(film: Path) -> None:
    probe = probe_video(film, CONFIG.limits, wants_index=True)
    with Video(film, CONFIG.limits) as video:
        assert (probe.info, probe.warnings) == (video.info, video.warnings)
        index = video.index()
    assert probe.index is not None
    assert index is not None
    np.testing.assert_array_equal(probe.index.pts, index.pts)
    np.testing.assert_array_equal(probe.index.keyframes, index.keyframes)
    assert probe.index.time_base == index.time_base
    assert probe_video(film, CONFIG.limits).index is None


def test_a_segment_is_scanned_as_it_is_here(eval_data: Path, detector: MtcnnDetector, embedder: FaceEmbedder) -> None:
    path = eval_data / "videos" / "obama_4s.mp4"
    with Video(path, CONFIG.limits) as video:
        index = video.index()
        assert index is not None
        segment = plan_segments(index, CONFIG.sampling, video.info.fps, 2)[1]
        here = FrameScanner(video, CONFIG, detector, embedder, (index, segment)).scan()
    apart = ScanApart(path, CONFIG, detector, embedder, segment=(index, segment)).scan()
    assert apart.timing.frames_decoded == here.timing.frames_decoded
    assert replace(apart, timing=Timing()).to_bytes() == replace(here, timing=Timing()).to_bytes()
    wrong = replace(index, pts=index.pts + 1)
    with pytest.raises(SegmentError, match="comes another than its packets say"):
        ScanApart(path, CONFIG, detector, embedder, segment=(wrong, segment)).scan()


def test_nothing_is_left_of_twenty_videos(film: Path) -> None:
    scan(film)
    before, shared, children = descriptors(), shared_memory(), confined_children()
    for number in range(20):
        if number % 4 == 3:
            with pytest.raises(VideoDecodeError):
                scan(film, lambda pid: os.kill(pid, signal.SIGKILL))
        else:
            assert scan(film).frames == 400
    assert descriptors() == before
    assert shared_memory() == shared
    wait_until(lambda: confined_children() == children)


def test_all_that_is_read_of_a_video_is_a_sign_of_life(film: Path) -> None:
    signs: list[int] = []
    with Video(film, CONFIG.limits, on_packet=lambda: signs.append(1)) as video:
        assert signs
        for read in (lambda: list(video.frames()), video.index):
            signs.clear()
            read()
            assert len(signs) >= 400


def test_signs_of_life_are_told_each_second() -> None:
    here, there = socket.socketpair()
    with here, there:
        pulse = Pulse(Pipe(here))
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            pulse()
            time.sleep(0.01)
        here.shutdown(socket.SHUT_WR)
        pipe = Pipe(there)
        assert [pipe.receive().kind for _ in range(2)] == [ALIVE, ALIVE]
        with pytest.raises(PipeClosedError):
            pipe.receive()

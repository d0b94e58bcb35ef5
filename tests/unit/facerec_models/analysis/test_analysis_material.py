"""The whole chain with the real networks on files whose time, pixels or tracks are not plain."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from facerec_models.analysis.analyze import Analysis, analyze
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.analysis.reading.segments import FrameIndex, SegmentError
from facerec_models.analysis.reading.video import Video
from facerec_models.config import AnalysisConfig, SamplingConfig
from facerec_models.types import ImageArray
from facerec_models.vectors import track_embedding
from tests.unit.facerec_models.analysis.reading.test_segments import observe
from tests.unit.facerec_models.analysis.test_analyze import HEIGHT, PAIR, WIDTH, assert_same, cup, face, launch

CONFIG = AnalysisConfig()


def write(
    path: Path,
    *tracks: Sequence[ImageArray],
    times_s: Sequence[float] | None = None,
    rate: int = 25,
    ratio: Fraction | None = None,
    start: int = 0,
) -> Path:
    """Write picture tracks at given times, by default 25 frames a second, whatever rate the header states."""
    with av.open(str(path), "w") as out:
        streams = []
        for frames in tracks:
            stream = out.add_stream("libx264", rate=rate, options={"crf": "12", "bf": "0", "preset": "veryfast"})
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = Fraction(1, 90_000)
            if ratio is not None:
                stream.codec_context.sample_aspect_ratio = ratio
            streams.append(stream)
        packets = []
        for stream, frames in zip(streams, tracks, strict=True):
            for number, image in enumerate(frames, start):
                time_s = number / 25 if times_s is None else times_s[number]
                frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base = round(time_s * 90_000), Fraction(1, 90_000)
                packets += stream.encode(frame)
            packets += stream.encode(None)
        out.mux(packets)
    return path


def resized(frames: Sequence[ImageArray], width: int, height: int) -> list[ImageArray]:
    return [np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), np.uint8) for frame in frames]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, detector: MtcnnDetector, embedder: FaceEmbedder) -> Analysis:
    path = write(tmp_path_factory.mktemp("plain") / "a.mkv", [*cup(30), *face(50)])
    return analyze(path, CONFIG, detector, embedder, PAIR)


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A frame a second: a cup, a face from 6 to 18 s, a cup; then 30 a second: a rocket, the face mirrored from 25 to 27 s, a cup."""
    mirrored = [np.ascontiguousarray(frame[:, ::-1]) for frame in face(60)]
    slow, fast = [*cup(6), *face(12), *cup(6)], [*launch(30), *mirrored, *cup(30)]
    times_s = [*range(24), *(24 + n / 30 for n in range(len(fast)))]
    return write(tmp_path_factory.mktemp("changing") / "a.mkv", [*slow, *fast], times_s=times_s, rate=30)


def test_a_rate_that_changes_in_the_file_loses_no_face(
    changing: Path, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    result = analyze(changing, CONFIG, detector, embedder, PAIR)
    slow, fast = (track for track in result.tracks if len(track) > 1)
    assert slow.times_s.tolist() == pytest.approx(range(6, 18))
    assert fast.times_s[0] == pytest.approx(25, abs=0.2)
    assert fast.times_s[-1] == pytest.approx(27, abs=0.2)
    assert np.diff(fast.times_s).min() > 1 / 6.1
    assert result.info.fps == pytest.approx(144 / 28, rel=0.01)
    assert result.period_s == 1.0
    assert result.shots[-1][1] == pytest.approx(28, abs=0.05)


def test_segments_of_a_changing_rate_change_no_track(
    changing: Path, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    whole = analyze(changing, CONFIG, detector, embedder, PAIR)
    joined, segments = observe(changing, CONFIG, detector, embedder, 4)
    assert len(segments) == 4
    assert_same(joined, whole)
    assert (joined.info, joined.period_s, joined.warnings) == (whole.info, whole.period_s, whole.warnings)


@pytest.mark.parametrize("rate", [1000, 600])
def test_a_rate_that_the_header_invents_changes_nothing(
    tmp_path: Path, plain: Analysis, detector: MtcnnDetector, embedder: FaceEmbedder, rate: int
) -> None:
    path = write(tmp_path / "a.mkv", [*cup(30), *face(50)], rate=rate)
    result = analyze(path, CONFIG, detector, embedder, PAIR)
    assert result.info.fps == pytest.approx(plain.info.fps, rel=1e-3)
    assert (result.period_s, result.frames_sampled) == (pytest.approx(plain.period_s), plain.frames_sampled)
    np.testing.assert_allclose(result.shots, plain.shots, atol=1e-3)
    assert [track.frame_indexes.tolist() for track in result.tracks] == [t.frame_indexes.tolist() for t in plain.tracks]


@pytest.mark.parametrize(
    ("size", "ratio"), [((WIDTH // 2, HEIGHT), Fraction(2)), ((WIDTH, HEIGHT // 2), Fraction(1, 2))]
)
def test_squeezed_pixels_hide_no_face(
    tmp_path: Path,
    plain: Analysis,
    detector: MtcnnDetector,
    embedder: FaceEmbedder,
    size: tuple[int, int],
    ratio: Fraction,
) -> None:
    path = write(tmp_path / "a.mkv", resized([*cup(30), *face(50)], *size), ratio=ratio)
    result = analyze(path, CONFIG, detector, embedder, PAIR)
    (track,), (expected,) = result.tracks, plain.tracks
    assert result.info.sample_aspect_ratio == ratio
    assert (result.info.width, result.info.height) == size
    np.testing.assert_array_equal(track.frame_indexes, expected.frame_indexes)
    factors = np.array([WIDTH / size[0], HEIGHT / size[1]], np.float32)
    np.testing.assert_allclose(track.boxes * np.tile(factors, 2), expected.boxes, atol=10)
    np.testing.assert_allclose(track.landmarks * factors, expected.landmarks, atol=6)
    assert PAIR.log_odds(track_embedding(track) @ track_embedding(expected)) > 4
    joined, _ = observe(path, CONFIG, detector, embedder, 2)
    assert_same(joined, result)


def test_each_frame_of_a_stream_that_changes_its_size_is_analysed_at_its_own_size(
    tmp_path: Path, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    tall = [np.pad(frame, ((200, 200), (0, 0), (0, 0)), mode="edge") for frame in face(30)]
    parts = [write(tmp_path / "a.ts", tall), write(tmp_path / "b.ts", resized(face(30), 640, 480), start=30)]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    result = analyze(path, CONFIG, detector, embedder, PAIR)
    first, second = result.tracks
    assert [track.shot for track in result.tracks] == [0, 1]
    np.testing.assert_allclose(result.shots, [(0, 1.2), (1.2, 2.4)], atol=0.01)
    np.testing.assert_allclose(first.boxes[0] - [0, 200, 0, 200], second.boxes[0] / 2, atol=6)
    assert (result.info.width, result.info.height) == (320, 640)
    assert len(result.warnings) == 1
    assert "from 320x640 to 640x480 from 1.20 s on" in result.warnings[0]
    with Video(path, CONFIG.limits) as video:
        pts = [frame.picture.pts for frame in video.frames()]
        index = FrameIndex(np.array(pts, np.int64), np.array([0, 30]), video.info.time_base)
        assert len(list(video.segment(index, 5, 30))) == 25
        with pytest.raises(SegmentError):
            list(video.segment(index, 25, 35))


def test_the_stream_that_is_asked_for_is_analysed(
    tmp_path: Path, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    path = write(tmp_path / "a.mp4", cup(50), face(50))
    assert analyze(path, CONFIG, detector, embedder, PAIR).tracks == ()
    rear = AnalysisConfig(sampling=SamplingConfig(stream=1))
    result = analyze(path, rear, detector, embedder, PAIR)
    assert len(result.tracks) == 1
    assert result.info.stream == 1
    assert rear.key("any") != CONFIG.key("any")
    fragment = AnalysisConfig(sampling=SamplingConfig(stream=1, fragment=(1.0, 1.6)))
    assert len(analyze(path, fragment, detector, embedder, PAIR).tracks) == 1


def test_a_clock_that_jumps_for_hours_leaves_one_track(
    tmp_path: Path, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    frames = face(80)
    times_s = [n / 25 + (5 * 3600 if n >= 40 else 0) for n in range(80)]
    progress: list[float] = []
    path = write(tmp_path / "a.ts", frames, times_s=times_s)
    result = analyze(path, CONFIG, detector, embedder, PAIR, on_progress=progress.append)
    (track,) = result.tracks
    assert track.times_s[-1] == pytest.approx(3.0, abs=0.21)
    np.testing.assert_allclose(result.shots, [(0, 3.2)], atol=0.01)
    assert result.info.duration_s == pytest.approx(3.2, abs=0.01)
    assert progress[-1] == 1
    assert len(result.warnings) == 1

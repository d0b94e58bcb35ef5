"""A video in segments: every codec that we can write, reached by seeking, gives the frames of reading it in one go."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from facerec_models.analysis.analyze import Analysis, analyze, link_segments
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.frame_faces import Scan
from facerec_models.analysis.frame_scanner import FrameScanner
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.analysis.reading.segments import FrameIndex, Segment, SegmentError, plan_segments
from facerec_models.analysis.reading.video import Video
from facerec_models.config import AnalysisConfig, LimitsConfig, SamplingConfig
from facerec_models.vectors import track_embedding
from tests.builders import cohort
from tests.unit.facerec_models.analysis.test_analyze import assert_same, cup, dissolve, face, launch, other_face, write

LIMITS = LimitsConfig()
PAIR = cohort().pair


def encode(path: Path, codec: str, options: dict[str, str], frames: int = 90, pix_fmt: str = "yuv420p") -> Path:
    """Moving noise, of which no frame is like another."""
    pictures = np.random.default_rng(0).integers(0, 256, (frames, 6, 8, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 128, 96, pix_fmt
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.kron(picture, np.ones((16, 16, 1), np.uint8)), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def index_of(path: Path) -> FrameIndex:
    with Video(path, LIMITS) as video:
        index = video.index()
    assert index is not None
    return index


@pytest.mark.parametrize(
    ("name", "codec", "options", "pix_fmt"),
    [
        ("a.mp4", "libx264", {"g": "12", "bf": "3", "b-pyramid": "normal"}, "yuv420p"),
        ("open.mp4", "libx264", {"g": "12", "bf": "3", "x264-params": "open-gop=1"}, "yuv420p"),
        ("one.mkv", "libx264", {"g": "1000", "bf": "2"}, "yuv420p"),
        ("a.ts", "libx264", {"g": "12", "bf": "2"}, "yuv420p"),
        ("a.mkv", "libx265", {"x265-params": "keyint=12:open-gop=1:log-level=error"}, "yuv420p"),
        ("a.webm", "libvpx", {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "16"}, "yuv420p"),
        ("b.webm", "libvpx-vp9", {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "16"}, "yuv420p"),
        ("a.avi", "mpeg4", {"g": "12"}, "yuv420p"),
        ("b.mp4", "mpeg4", {"g": "12", "bf": "2"}, "yuv420p"),
        ("a.mov", "mjpeg", {}, "yuvj420p"),
    ],
)
def test_a_segment_has_the_frames_of_the_whole(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], pix_fmt: str
) -> None:
    path = encode(tmp_path / name, codec, options, pix_fmt=pix_fmt)
    with Video(path, LIMITS) as video:
        index = video.index()
        whole = [(f.index, f.pts, f.time_s, f.to_frame().image.tobytes()) for f in video.frames()]
        assert video.complete
        assert index is not None
        assert [index.time_s(i) for i in range(len(index))] == [time_s for _, _, time_s, _ in whole]
        for first, end in pairwise([0, 1, 13, 24, 57, len(whole)]):
            part = [(f.index, f.pts, f.time_s, f.to_frame().image.tobytes()) for f in video.segment(index, first, end)]
            assert part == whole[first:end]


def test_a_frame_outside_the_index_is_an_error(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", "libx264", {"g": "12"})
    index = index_of(path)
    missing = FrameIndex(np.delete(index.pts, 40), index.keyframes[:3], index.time_base)
    hidden = FrameIndex(np.insert(index.pts, 41, index.pts[40] + 1), index.keyframes[:3], index.time_base)
    with Video(path, LIMITS) as video:
        assert len(list(video.segment(missing, 0, 40))) == 40
        for wrong in (missing, hidden):
            with pytest.raises(SegmentError, match="after frame"):
                list(video.segment(wrong, 30, 50))
        longer = FrameIndex(np.append(index.pts, index.pts[-1] + 512), index.keyframes, index.time_base)
        with pytest.raises(SegmentError, match="after frame 89 of 80 to 91"):
            list(video.segment(longer, 80, 91))


def test_a_damaged_or_cut_off_video_has_no_index(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv", "libx264", {"g": "12"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with Video(path, LIMITS) as video:
        assert video.index() is None


def test_packets_without_timestamps_give_no_index(tmp_path: Path) -> None:
    with Video(encode(tmp_path / "a.mpg", "mpeg2video", {"g": "12", "bf": "2"}), LIMITS) as video:
        assert video.index() is None


def test_an_index_is_kept_as_a_file(tmp_path: Path) -> None:
    index = index_of(encode(tmp_path / "a.mp4", "libx264", {"g": "12"}))
    again = FrameIndex.from_bytes(index.to_bytes())
    np.testing.assert_array_equal(again.pts, index.pts)
    np.testing.assert_array_equal(again.keyframes, index.keyframes)
    assert again.time_base == index.time_base
    assert again.find(int(index.pts[7])) == 7
    assert again.find(int(index.pts[7]) + 1) is None


def regular(frames: int) -> FrameIndex:
    return FrameIndex(np.arange(frames, dtype=np.int64), np.array([0]), Fraction(1, 25))


def test_segments_begin_on_the_coarse_grid_and_leave_nothing_out() -> None:
    segments = plan_segments(regular(1000), SamplingConfig(period_frames=25), 25.0, 7)
    assert len(segments) == 7
    assert all(segment.first % 25 == 0 for segment in segments)
    assert [segment.end for segment in segments[:-1]] == [segment.first for segment in segments[1:]]
    assert (segments[0].first, segments[-1].end) == (0, 1000)
    assert [segment.is_last for segment in segments] == [False] * 6 + [True]
    assert segments[1].start_s == segments[0].end_s


def test_a_fragment_is_divided_by_itself_and_short_ones_into_fewer() -> None:
    sampling = SamplingConfig(fps=2, fragment=(10.0, 14.0))
    segments = plan_segments(regular(1000), sampling, 25.0, 100)
    assert len(segments) == 8
    assert {segment.origin for segment in segments} == {250}
    assert (segments[0].first, segments[-1].end) == (250, 350)
    assert plan_segments(regular(100), SamplingConfig(fragment=(10.0, 14.0)), 25.0, 3) == []


# With the real networks


def assert_alike(one: tuple[bytes, ...], other: tuple[bytes, ...]) -> None:
    """Batches of other sizes round landmarks otherwise, by less than a thousandth of a pixel."""
    for a, b in zip(one, other, strict=True):
        pictures = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).astype(int) for data in (a, b)]
        assert np.abs(pictures[0] - pictures[1]).mean() < 0.5


def observe(
    path: Path, config: AnalysisConfig, detector: MtcnnDetector, embedder: FaceEmbedder, count: int
) -> tuple[Analysis, list[Segment]]:
    """Look at each segment by itself, the last first, keep each as a file, and link them."""
    with Video(path, config.limits) as video:
        index = video.index()
        assert index is not None
        segments = plan_segments(index, config.sampling, video.info.fps, count)
        files = [
            FrameScanner(video, config, detector, embedder, (index, segment)).scan().to_bytes()
            for segment in reversed(segments)
        ]
        scans = map(Scan.from_bytes, reversed(files))
        return link_segments(video.info, config, embedder.name, PAIR, scans), segments


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face, a cup, the face in a long shot over several borders, a rocket."""
    return write(tmp_path_factory.mktemp("clips") / "clip.mp4", [*face(45), *cup(40), *face(160), *launch(40)])


@pytest.mark.parametrize(
    "sampling", [SamplingConfig(), SamplingConfig(fps=3, densify=2), SamplingConfig(fragment=(1.3, 9.7))]
)
def test_segments_change_no_track(
    clip: Path, detector: MtcnnDetector, embedder: FaceEmbedder, sampling: SamplingConfig
) -> None:
    config = AnalysisConfig(sampling=sampling)
    whole = analyze(clip, config, detector, embedder, PAIR)
    assert len(whole.tracks) == 2
    for count in (1, 2, 3, 7) if sampling == SamplingConfig() else (3,):
        joined, segments = observe(clip, config, detector, embedder, count)
        assert len(segments) == count
        assert_same(joined, whole)
        assert joined.frames_sampled == whole.frames_sampled
        for one, other in zip(joined.tracks, whole.tracks, strict=True):
            assert_alike(one.crops, other.crops)


def test_a_dissolve_over_a_segments_border_divides_two_people(
    tmp_path: Path, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    one, other = face(100), other_face(100)
    path = write(tmp_path / "clip.mp4", [*one[:60], *dissolve(one[60:], other[:40]), *other[40:]])
    config = AnalysisConfig()
    whole = analyze(path, config, detector, embedder, PAIR)
    first, second = sorted(whole.tracks, key=lambda track: track.start_s)
    assert first.end_s == second.start_s == pytest.approx(3.2, abs=0.3)
    assert PAIR.log_odds(track_embedding(first) @ track_embedding(second)) < -2
    for count in (2, 4, 5):
        joined, _ = observe(path, config, detector, embedder, count)
        assert_same(joined, whole)

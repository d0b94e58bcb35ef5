"""The whole chain with the real networks, on real pictures cut together into a short video."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest

from facerec_models.analysis import frame_scanner as module
from facerec_models.analysis.analyze import Analysis, AnalysisStoppedError, analyze
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.faces import find_faces
from facerec_models.analysis.frame_faces import Timing
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.config import AnalysisConfig, DetectionConfig, LimitsConfig, SamplingConfig
from facerec_models.errors import InputError, LimitExceededError, VideoOpenError
from facerec_models.images import read_image
from facerec_models.types import ImageArray, Track
from facerec_models.vectors import track_embedding
from facerec_models.video_writer import VideoWriter
from tests.builders import cohort, sample_picture
from tests.scanning_here import analyze_here

FPS, WIDTH, HEIGHT = 25, 320, 240
PAIR = cohort().pair
ASTRONAUT, COFFEE, ROCKET = map(sample_picture, ("astronaut.png", "coffee.png", "rocket.jpg"))
HOPPER = read_image(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg", LimitsConfig())


def look_at(image: ImageArray, x: float, y: float, width: float) -> ImageArray:
    """Cut a window of the frame's proportions out of a picture."""
    scale = WIDTH / width
    to_frame = np.array([[scale, 0, WIDTH / 2 - scale * x], [0, scale, HEIGHT / 2 - scale * y]])
    seen = cv2.warpAffine(image, to_frame, (WIDTH, HEIGHT), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(seen, np.uint8)


def face(frames: int, start_x: float = 225, end_x: float = 245) -> list[ImageArray]:
    return [look_at(ASTRONAUT, x, 130, 320) for x in np.linspace(start_x, end_x, frames).tolist()]


def other_face(frames: int) -> list[ImageArray]:
    return [look_at(HOPPER, 258, 220 + i / 10, 460) for i in range(frames)]


def dissolve(first: Sequence[ImageArray], second: Sequence[ImageArray]) -> list[ImageArray]:
    shares = np.linspace(0, 1, len(first))
    return [cv2.addWeighted(a, 1 - s, b, s, 0) for a, b, s in zip(first, second, shares, strict=True)]


def cup(frames: int) -> list[ImageArray]:
    return [look_at(COFFEE, 300 + i, 200, 480) for i in range(frames)]


def launch(frames: int) -> list[ImageArray]:
    return [look_at(ROCKET, 320 + i, 213, 500) for i in range(frames)]


def write(path: Path, frames: Sequence[ImageArray]) -> Path:
    with VideoWriter(path, FPS, WIDTH, HEIGHT) as writer:
        for frame in frames:
            writer.write(frame)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cup for 2 s, a face for 2.4 s, a rocket for 2 s, and the face again, mirrored, for 1.6 s."""
    mirrored = [np.ascontiguousarray(frame[:, ::-1]) for frame in face(40)]
    return write(tmp_path_factory.mktemp("clips") / "clip.mp4", [*cup(50), *face(60), *launch(50), *mirrored])


@pytest.fixture(scope="module")
def found(clip: Path, detector: MtcnnDetector, embedder: FaceEmbedder) -> Analysis:
    return analyze(clip, AnalysisConfig(), detector, embedder, PAIR)


def assert_same(a: Analysis, b: Analysis) -> None:
    assert a.shots == b.shots
    assert len(a.tracks) == len(b.tracks)
    for one, other in zip(a.tracks, b.tracks, strict=True):
        assert (one.track_id, one.shot) == (other.track_id, other.shot)
        np.testing.assert_array_equal(one.frame_indexes, other.frame_indexes)
        np.testing.assert_array_equal(one.times_s, other.times_s)
        assert (one.start_s, one.end_s) == (other.start_s, other.end_s)
        np.testing.assert_array_equal(one.embedded, other.embedded)
        np.testing.assert_allclose(one.boxes, other.boxes, atol=0.05)
        np.testing.assert_allclose(one.embeddings, other.embeddings, atol=2e-3)
        np.testing.assert_allclose(one.quality, other.quality, atol=5e-3)


def test_shots_follow_each_other_from_the_first_frame_to_the_end(found: Analysis) -> None:
    np.testing.assert_allclose(found.shots, [(0, 2), (2, 4.4), (4.4, 6.4), (6.4, 8)], atol=1e-3)


def test_a_face_is_one_track_in_each_of_its_shots(found: Analysis) -> None:
    assert [(track.track_id, track.shot) for track in found.tracks] == [(1, 1), (2, 3)]
    for track in found.tracks:
        start_s, end_s = found.shots[track.shot]
        assert start_s <= track.times_s[0] < start_s + 0.25
        assert end_s - 0.25 < track.times_s[-1] < end_s
        np.testing.assert_allclose(track.times_s, track.frame_indexes / FPS, atol=1e-3)
        assert (track.scores > 0.9).all()
        assert (track.quality > 0.5).all()


def test_boxes_are_where_the_face_is(found: Analysis) -> None:
    track = found.tracks[0]
    middle = (track.boxes[:, 0] + track.boxes[:, 2]) / 2
    # The window moves to the right over the picture, the face to the left in it.
    expected = WIDTH / 2 + 224 - np.linspace(225, 245, 60)[track.frame_indexes - 50]
    np.testing.assert_allclose(middle, expected, atol=8)


def test_the_embeddings_are_those_of_the_person(
    found: Analysis, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    (portrait,) = find_faces([ASTRONAUT], detector, embedder, DetectionConfig(device="cpu"))
    for track in found.tracks:
        assert PAIR.log_odds(portrait.embeddings[0] @ track_embedding(track)) > 3


def test_crops_are_the_embedders_pictures(found: Analysis, embedder: FaceEmbedder) -> None:
    for track in found.tracks:
        assert len(track.crops) == len(track.embedded) > 0
        crops = [cv2.imdecode(np.frombuffer(crop, np.uint8), cv2.IMREAD_COLOR) for crop in track.crops]
        again = embedder.embed(np.stack([crop[..., ::-1] for crop in crops if crop is not None]).astype(np.uint8))
        assert ((again * track.embeddings).sum(axis=1) > 0.99).all()


def test_frames_are_sampled_more_often_where_a_face_is_seen(found: Analysis) -> None:
    period = 25
    assert found.period_s == pytest.approx(period / FPS)
    assert found.mode == "frames"
    assert found.timing.frames_decoded == 200
    # Every 25th frame, and in the shots with a face and around the cuts more, where the face moves every fifth.
    assert 200 // period < found.frames_sampled == found.timing.frames_detected <= 40
    for track in found.tracks:
        assert set(np.diff(track.frame_indexes).tolist()) <= {5, 10, 15}
    assert found.timing.faces_embedded == sum(len(track) for track in found.tracks)


def test_of_a_face_that_stands_still_the_middle_is_looked_at(
    tmp_path: Path, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    path = write(tmp_path / "still.mp4", face(76, 230, 231))
    (track,) = analyze(path, AnalysisConfig(), detector, embedder, PAIR).tracks
    assert track.frame_indexes.tolist() == [0, 10, 25, 35, 50, 60, 75]
    always = AnalysisConfig(sampling=SamplingConfig(still_overlap=1.0))
    (track,) = analyze(path, always, detector, embedder, PAIR).tracks
    assert track.frame_indexes.tolist() == list(range(0, 76, 5))


def test_a_face_that_moves_far_is_looked_at_all_the_way(
    tmp_path: Path, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    path = write(tmp_path / "moving.mp4", face(51, 130, 330))
    (track,) = analyze(path, AnalysisConfig(), detector, embedder, PAIR).tracks
    assert track.frame_indexes.tolist() == list(range(0, 51, 5))


def test_faces_sought_near_their_places_are_those_that_the_whole_search_finds(
    clip: Path, found: Analysis, detector: MtcnnDetector, embedder: FaceEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.FrameScanner, "_detect_near", lambda scanner, wanted: None)
    whole = analyze_here(clip, AnalysisConfig(), detector, embedder, PAIR)
    assert whole.shots == found.shots
    for ours, theirs in zip(found.tracks, whole.tracks, strict=True):
        np.testing.assert_array_equal(ours.frame_indexes, theirs.frame_indexes)
        np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=6)
        assert track_embedding(ours) @ track_embedding(theirs) > 0.995


def test_a_face_between_a_coarse_frame_without_any_and_a_cut_is_found(
    tmp_path: Path, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    # Nobody in the first frames, a face before the cut, and a rocket after it.
    path = write(tmp_path / "brief.mp4", [*cup(3), *face(15), *launch(40)])
    (track,) = analyze(path, AnalysisConfig(), detector, embedder, PAIR).tracks
    assert track.frame_indexes.tolist() == [5, 10, 15]


def test_who_walks_in_is_seen_before_the_next_coarse_frame(
    tmp_path: Path, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    empty = [np.full((HEIGHT, WIDTH, 3), 90, np.uint8)] * 6
    path = write(tmp_path / "entering.mp4", [*empty, *face(20), *face(25)])
    config = AnalysisConfig.model_validate({"shots": {"threshold": 1.0}})
    analysis = analyze(path, config, detector, embedder, PAIR)
    assert min(float(track.times_s[0]) for track in analysis.tracks) <= 0.4


def test_whoever_stops_in_the_middle_can_close_the_video(
    clip: Path, detector: MtcnnDetector, embedder: FaceEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(fraction: float) -> None:
        raise AnalysisStoppedError("stopped")

    monkeypatch.setattr(module, "_MAX_CHUNK_STEPS", 1)
    for fragment in (None, (6.0, 8.0)):
        config = AnalysisConfig(sampling=SamplingConfig(fragment=fragment))
        with pytest.raises(AnalysisStoppedError):
            analyze_here(clip, config, detector, embedder, PAIR, stop)
        assert not [thread for thread in threading.enumerate() if thread.name == "ahead"]


def test_decoding_here_finds_what_decoding_apart_does(
    clip: Path, found: Analysis, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    here = analyze_here(clip, AnalysisConfig(), detector, embedder, PAIR)
    assert_same(here, found)
    assert replace(here, tracks=(), timing=Timing()) == replace(found, tracks=(), timing=Timing())
    assert [track.crops for track in here.tracks] == [track.crops for track in found.tracks]


def test_frames_too_large_to_keep_more_of_are_not_decoded_ahead(
    clip: Path, found: Analysis, detector: MtcnnDetector, embedder: FaceEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_PIXELS_AHEAD", 0)
    monkeypatch.setattr(module, "ahead", None)
    assert_same(analyze_here(clip, AnalysisConfig(), detector, embedder, PAIR), found)


def test_a_face_that_is_not_found_near_its_place_is_sought_everywhere(
    tmp_path: Path, detector: MtcnnDetector, embedder: FaceEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Here and there from frame to frame, and never between.
    frames = [look_at(ASTRONAUT, 130 if i % 10 else 330, 130, 400) for i in range(26)]
    path = write(tmp_path / "hopping.mp4", frames)
    analysis = analyze(path, AnalysisConfig(), detector, embedder, PAIR)
    monkeypatch.setattr(module.FrameScanner, "_detect_near", lambda scanner, wanted: None)
    whole = analyze_here(path, AnalysisConfig(), detector, embedder, PAIR)
    assert sum(map(len, analysis.tracks)) == sum(map(len, whole.tracks))


def test_without_densifying_only_the_coarse_frames_are_sampled(
    clip: Path, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    config = AnalysisConfig(sampling=SamplingConfig(densify=1))
    coarse = analyze(clip, config, detector, embedder, PAIR)
    assert coarse.frames_sampled == 8
    assert not coarse.densified
    assert [track.frame_indexes.tolist() for track in coarse.tracks] == [[50, 75, 100], [175]]


def test_a_shot_that_falls_between_two_coarse_frames_is_found(
    tmp_path: Path, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    # The face is there from frame 56 to 71; the coarse frames are 50 and 75.
    path = write(tmp_path / "short.mp4", [*cup(56), *face(16), *launch(40)])
    dense = analyze(path, AnalysisConfig(), detector, embedder, PAIR)
    assert [track.frame_indexes.tolist() for track in dense.tracks] == [[60, 65, 70]]
    coarse = analyze(path, AnalysisConfig(sampling=SamplingConfig(densify=1)), detector, embedder, PAIR)
    assert coarse.tracks == ()


def test_a_face_that_comes_into_view_is_sought_between_the_coarse_frames(
    tmp_path: Path, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    # From the shuttle beside her to her face, without a cut.
    path = write(tmp_path / "pan.mp4", face(76, 480, 240))
    result = analyze(path, AnalysisConfig(), detector, embedder, PAIR)
    assert len(result.shots) == 1
    (track,) = (track for track in result.tracks if len(track) > 2)
    coarse = analyze(path, AnalysisConfig(sampling=SamplingConfig(densify=1)), detector, embedder, PAIR)
    assert 0 < track.frame_indexes[0] < coarse.tracks[0].frame_indexes[0]


def test_the_rate_of_a_fragment_counts_from_its_start(
    clip: Path, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    config = AnalysisConfig(sampling=SamplingConfig(fps=1.0, densify=1, fragment=(2.4, 4.4)))
    (track,) = analyze(clip, config, detector, embedder, PAIR).tracks
    assert track.times_s.tolist() == pytest.approx([2.4, 3.4])


def test_a_rate_in_frames_per_second_is_kept(clip: Path, detector: MtcnnDetector, embedder: FaceEmbedder) -> None:
    config = AnalysisConfig(sampling=SamplingConfig(fps=2.0, densify=1))
    result = analyze(clip, config, detector, embedder, PAIR)
    assert (result.mode, result.period_s, result.frames_sampled) == ("fps", 0.5, 16)
    assert [track.times_s.tolist() for track in result.tracks] == [
        pytest.approx([2, 2.48, 3, 3.48, 4], abs=0.021),
        pytest.approx([6.48, 7, 7.48], abs=0.021),
    ]


def test_a_fragment_keeps_the_times_of_the_video(clip: Path, detector: MtcnnDetector, embedder: FaceEmbedder) -> None:
    config = AnalysisConfig(sampling=SamplingConfig(fragment=(3.0, 5.0)))
    result = analyze(clip, config, detector, embedder, PAIR)
    np.testing.assert_allclose(result.shots, [(3.0, 4.4), (4.4, 5.0)], atol=1e-3)
    (track,) = result.tracks
    assert track.times_s[0] == pytest.approx(3.0)
    assert track.frame_indexes[0] == 75
    assert track.times_s[-1] < 4.4
    assert result.timing.frames_decoded == 50


def test_a_fragment_beyond_the_end_is_an_error(clip: Path, detector: MtcnnDetector, embedder: FaceEmbedder) -> None:
    config = AnalysisConfig(sampling=SamplingConfig(fragment=(50.0, 60.0)))
    with pytest.raises(InputError, match=r"fragment 50,60 has no frame, and the video lasts .* begins before its end"):
        analyze(clip, config, detector, embedder, PAIR)


def test_the_same_video_gives_the_same_tracks(
    clip: Path, found: Analysis, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    assert_same(analyze(clip, AnalysisConfig(), detector, embedder, PAIR), found)


@pytest.mark.parametrize("steps", [1, 3])
def test_the_size_of_chunks_changes_no_track(
    clip: Path,
    found: Analysis,
    detector: MtcnnDetector,
    embedder: FaceEmbedder,
    monkeypatch: pytest.MonkeyPatch,
    steps: int,
) -> None:
    monkeypatch.setattr(module, "_MAX_CHUNK_STEPS", steps)
    again = analyze_here(clip, AnalysisConfig(), detector, embedder, PAIR)
    assert_same(again, found)
    assert again.frames_sampled == found.frames_sampled


def long_clip(tmp_path: Path) -> Path:
    """Write more than three chunks of video."""
    return write(tmp_path / "long.mp4", [*cup(300), *launch(300), *cup(200)])


def test_progress_ascends_to_one(tmp_path: Path, detector: MtcnnDetector, embedder: FaceEmbedder) -> None:
    path = long_clip(tmp_path)
    for fragment in (None, (1.0, 31.0)):
        progress: list[float] = []
        config = AnalysisConfig(sampling=SamplingConfig(fragment=fragment))
        analyze(path, config, detector, embedder, PAIR, on_progress=progress.append)
        assert len(progress) > 3
        assert progress[0] < 0.4
        assert all(0 <= earlier < later for earlier, later in pairwise(progress))
        assert progress[-1] == 1


def test_an_analysis_can_be_stopped(tmp_path: Path, detector: MtcnnDetector, embedder: FaceEmbedder) -> None:
    progress: list[float] = []
    with pytest.raises(AnalysisStoppedError, match=r"long\.mp4' was stopped"):
        analyze(
            long_clip(tmp_path),
            AnalysisConfig(),
            detector,
            embedder,
            PAIR,
            on_progress=progress.append,
            should_stop=lambda: len(progress) == 2,
        )
    assert len(progress) == 2
    assert progress[-1] < 1


def test_the_callback_for_crops_gets_each_track_once(
    clip: Path, found: Analysis, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    taken: list[Track] = []
    result = analyze(clip, AnalysisConfig(), detector, embedder, PAIR, take_crops=taken.append)
    assert all(track.crops == () for track in result.tracks)
    assert_same(result, found)
    assert [(t.track_id, len(t.crops)) for t in taken] == [(t.track_id, len(t.crops)) for t in found.tracks]


def test_a_video_without_faces_has_no_tracks(tmp_path: Path, detector: MtcnnDetector, embedder: FaceEmbedder) -> None:
    path = write(tmp_path / "nobody.mp4", [*cup(60), *launch(30)])
    result = analyze(path, AnalysisConfig(), detector, embedder, PAIR)
    assert result.tracks == ()
    np.testing.assert_allclose(result.shots, [(0, 2.4), (2.4, 3.6)], atol=1e-3)
    assert result.complete
    assert result.warnings == ()
    assert result.timing.faces_embedded == 0


def test_a_video_of_one_frame_is_analysed(tmp_path: Path, detector: MtcnnDetector, embedder: FaceEmbedder) -> None:
    result = analyze(write(tmp_path / "one.mp4", face(1)), AnalysisConfig(), detector, embedder, PAIR)
    assert [track.times_s.tolist() for track in result.tracks] == [[0.0]]
    np.testing.assert_allclose(result.shots, [(0, 0.04)], atol=1e-3)


def test_a_file_that_is_no_video_or_too_large_is_refused(
    tmp_path: Path, clip: Path, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(VideoOpenError):
        analyze(text, AnalysisConfig(), detector, embedder, PAIR)
    with pytest.raises(LimitExceededError):
        analyze(clip, AnalysisConfig(limits=LimitsConfig(max_frame_pixels=1000)), detector, embedder, PAIR)


def test_time_is_accounted_for(found: Analysis) -> None:
    timing = found.timing
    parts = timing.decode_s + timing.detect_s + timing.embed_s
    assert min(timing.decode_s, timing.detect_s, timing.embed_s) > 0
    assert parts <= timing.wall_s


def test_a_real_clip_shows_one_person_throughout(
    eval_data: Path, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    result = analyze(eval_data / "videos" / "elon_2s.gif", AnalysisConfig(), detector, embedder, PAIR)
    longest = max(result.tracks, key=len)
    assert len(longest) == result.frames_sampled
    assert longest.times_s[0] == 0
    others = [track for track in result.tracks if track is not longest]
    assert sum(len(track) for track in others) < len(longest) / 2


def test_a_real_clip_without_faces_shows_hardly_any(
    eval_data: Path, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    config = AnalysisConfig(sampling=SamplingConfig(fragment=(0.0, 5.0)))
    result = analyze(eval_data / "videos" / "traffic_nofaces_20s.mp4", config, detector, embedder, PAIR)
    assert sum(float(track.quality.max()) > 0.5 for track in result.tracks) == 0

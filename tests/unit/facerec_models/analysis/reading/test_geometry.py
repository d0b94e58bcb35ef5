"""The shape of pixels, and streams that change it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from facerec_models.analysis.reading.geometry import Geometry, Orientation, usable_ratio
from facerec_models.analysis.reading.video import Video
from facerec_models.types import Detections, ImageArray
from tests.unit.facerec_models.analysis.reading.written_video import LIMITS, X264, frames_of

UPRIGHT = Orientation(False, False, False)
PLAIN = {**X264, "bf": "0"}


def disc(width: int, height: int, shown_width: int, shown_height: int) -> ImageArray:
    """Draw a disc that is round when the picture is shown, and store it squeezed."""
    shown = np.zeros((shown_height, shown_width, 3), np.uint8)
    cv2.circle(shown, (shown_width // 3, shown_height // 2), shown_height // 4, (230, 230, 230), -1, cv2.LINE_AA)
    return np.asarray(cv2.resize(shown, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def extent(image: ImageArray) -> tuple[int, int]:
    """Return how wide and how high the bright disc is."""
    bright = image[..., 1] > 120
    return int(bright.any(0).sum()), int(bright.any(1).sum())


def write_shaped(
    path: Path, image: ImageArray, ratio: Fraction | None, *, turned: int = 0, start: int = 0, count: int = 10
) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options=PLAIN)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuv420p"
        if ratio is not None:
            stream.codec_context.sample_aspect_ratio = ratio
        if turned:
            stream.set_display_rotation(turned)
        for number in range(start, start + count):
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov"])
@pytest.mark.parametrize(
    ("stored", "shown"), [((240, 288), (384, 288)), ((352, 144), (352, 264)), ((360, 288), (512, 288))]
)
def test_frames_are_made_square_by_the_ratio_that_is_stored(
    tmp_path: Path, name: str, stored: tuple[int, int], shown: tuple[int, int]
) -> None:
    ratio = Fraction(shown[0] * stored[1], stored[0] * shown[1])
    video, frames = frames_of(write_shaped(tmp_path / name, disc(*stored, *shown), ratio))
    assert video.info.sample_aspect_ratio == pytest.approx(float(ratio), abs=1e-3)
    assert (video.info.width, video.info.height) == stored
    assert frames[3].to_frame().image.shape == (stored[1], stored[0], 3)
    square = frames[3].to_square_frame().image
    assert square.shape == (shown[1], shown[0], 3)
    across, down = extent(square)
    assert abs(across - down) <= 3
    assert video.warnings == ()


def test_the_ratio_turns_with_the_picture(tmp_path: Path) -> None:
    path = write_shaped(tmp_path / "a.mp4", disc(240, 288, 384, 288), Fraction(8, 5), turned=90)
    video, frames = frames_of(path)
    assert (video.info.width, video.info.height) == (288, 240)
    assert video.info.sample_aspect_ratio == pytest.approx(5 / 8)
    square = frames[3].to_square_frame().image
    assert square.shape == (384, 288, 3)
    across, down = extent(square)
    assert abs(across - down) <= 3


def test_a_container_that_states_another_ratio_is_believed_as_players_do(tmp_path: Path) -> None:
    path = write_shaped(tmp_path / "a.mp4", disc(240, 288, 384, 288), Fraction(8, 5))
    content = path.read_bytes()
    place = content.index(b"pasp") + 4
    assert content[place : place + 8] == (8).to_bytes(4, "big") + (5).to_bytes(4, "big")
    path.write_bytes(content[:place] + (4).to_bytes(4, "big") + (3).to_bytes(4, "big") + content[place + 8 :])
    video, frames = frames_of(path)
    assert video.info.sample_aspect_ratio == pytest.approx(4 / 3)
    assert {frame.geometry.square_size for frame in frames} == {(320, 288)}


@pytest.mark.parametrize("ratio", [Fraction(1, 100), Fraction(100, 1)])
def test_an_absurd_ratio_is_ignored_with_a_warning(tmp_path: Path, ratio: Fraction) -> None:
    video, frames = frames_of(write_shaped(tmp_path / "a.mp4", disc(240, 288, 240, 288), ratio))
    assert video.info.sample_aspect_ratio == 1
    assert frames[0].to_square_frame().image.shape == (288, 240, 3)
    assert len(video.warnings) == 1
    assert "taken as square" in video.warnings[0]


@pytest.mark.parametrize("stated", [None, Fraction(0), Fraction(1), Fraction(1280, 1279)])
def test_nothing_stated_and_mere_rounding_mean_square(stated: Fraction | None) -> None:
    assert usable_ratio(stated) == 1


def test_a_shape_that_changes_midway_is_followed_with_a_warning(tmp_path: Path) -> None:
    first = write_shaped(tmp_path / "a.ts", disc(240, 288, 384, 288), Fraction(8, 5))
    second = write_shaped(tmp_path / "b.ts", disc(240, 288, 512, 288), Fraction(32, 15), start=10)
    path = tmp_path / "joined.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    video, frames = frames_of(path)
    assert [frame.geometry.square_size for frame in frames] == [(384, 288)] * 10 + [(512, 288)] * 10
    (warning,) = video.warnings
    assert "from 0.40 s on" in warning
    for frame in (frames[5], frames[15]):
        across, down = extent(frame.to_square_frame().image)
        assert abs(across - down) <= 3


def test_boxes_go_back_to_stored_pixels_and_stay_inside() -> None:
    geometry = Geometry(480, 576, Fraction(8, 5), UPRIGHT)
    found = Detections(
        np.array([[160, 100, 768, 580]], np.float32), np.ones(1, np.float32), np.full((1, 5, 2), 320, np.float32)
    )
    stored = geometry.unstretch(found)
    np.testing.assert_allclose(stored.boxes, [[100, 100, 480, 576]])
    np.testing.assert_allclose(stored.landmarks[0, 0], [200, 320])
    square = Geometry(480, 576, Fraction(1), UPRIGHT)
    assert square.unstretch(found) is found


def test_a_segment_does_not_reach_over_a_change_of_shape(tmp_path: Path) -> None:
    path = write_shaped(tmp_path / "a.mp4", disc(240, 288, 384, 288), Fraction(8, 5))
    with Video(path, LIMITS) as video:
        index = video.index()
        assert index is not None
        whole = [(frame.geometry, frame.end_s) for frame in video.frames()]
        assert [(frame.geometry, frame.end_s) for frame in video.segment(index, 4, 10)] == whole[4:]

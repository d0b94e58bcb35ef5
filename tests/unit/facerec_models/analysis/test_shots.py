from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from facerec_models.analysis.reading.video import Video
from facerec_models.analysis.shots import ShotDetector
from facerec_models.config import LimitsConfig, ShotConfig
from facerec_models.types import ImageArray
from tests.builders import sample_picture

ASTRONAUT, COFFEE, CAT, ROCKET = map(sample_picture, ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg"))


def signature(image: ImageArray) -> ImageArray:
    """Reduce a picture to what `DecodedFrame.signature` gives: luma and colour differences of 32 x 18 points."""
    small = cv2.resize(image, (32, 18), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2YUV), np.uint8)


def cuts(images: Iterable[ImageArray], config: ShotConfig | None = None) -> list[int]:
    """Frames that a new shot begins with."""
    detector = ShotDetector(config or ShotConfig())
    return [i for i, image in enumerate(images) if detector.update(signature(image))]


def still(image: ImageArray, frames: int, seed: int = 0) -> list[ImageArray]:
    """Show a picture with the noise of a camera."""
    noise = np.random.default_rng(seed)
    return [np.clip(image + noise.normal(0, 3, image.shape), 0, 255).astype(np.uint8) for _ in range(frames)]


def pan(image: ImageArray, frames: int, step: int) -> list[ImageArray]:
    side = image.shape[1] // 2
    return [image[:, i * step : i * step + side] for i in range(frames)]


def test_cuts_between_pictures_are_found() -> None:
    assert cuts([*still(ASTRONAUT, 20), *still(COFFEE, 15), *still(CAT, 30), *still(ROCKET, 10)]) == [20, 35, 65]


def test_a_cut_between_moving_pictures_is_found() -> None:
    assert cuts([*pan(ASTRONAUT, 30, 6), *pan(COFFEE, 30, 6)]) == [30]


def test_shots_are_counted() -> None:
    detector = ShotDetector(ShotConfig())
    shots = []
    for image in [*still(ASTRONAUT, 10), *still(CAT, 10), *still(ASTRONAUT, 10)]:
        detector.update(signature(image))
        shots.append(detector.shot)
    assert shots == [0] * 10 + [1] * 10 + [2] * 10


def test_the_first_frame_is_no_cut() -> None:
    assert cuts([ASTRONAUT]) == []


@pytest.mark.parametrize("image", [ASTRONAUT, COFFEE, CAT, ROCKET], ids=["astronaut", "coffee", "cat", "rocket"])
@pytest.mark.parametrize("step", [1, 3, 7])
def test_a_pan_is_no_cut(image: ImageArray, step: int) -> None:
    assert cuts(pan(image, min(30, image.shape[1] // 2 // step), step)) == []


def test_a_jolt_of_the_camera_is_no_cut() -> None:
    assert cuts([*still(ROCKET, 10), *still(np.roll(ROCKET, 80, axis=1), 10)]) == []


def test_a_zoom_is_no_cut() -> None:
    assert cuts([CAT[i * 3 : 300 - i * 3, i * 4 : 450 - i * 4] for i in range(30)]) == []


def test_a_flash_is_at_most_one_cut() -> None:
    bright = np.minimum(ASTRONAUT.astype(np.int32) + 70, 255).astype(np.uint8)
    assert len(cuts([*still(ASTRONAUT, 15), bright, *still(ASTRONAUT, 15, 1)])) <= 1


def test_flicker_is_no_row_of_cuts() -> None:
    lights = 1 + 0.3 * np.sin(np.arange(50) * 2.0)
    assert len(cuts([np.clip(ROCKET * light, 0, 255).astype(np.uint8) for light in lights])) <= 1


def test_a_slow_fade_is_no_cut() -> None:
    assert cuts([(ASTRONAUT * (1 - i / 40)).astype(np.uint8) for i in range(40)]) == []


def test_a_dissolve_of_a_second_is_at_most_one_cut() -> None:
    mixed = [cv2.addWeighted(COFFEE, i / 25, cv2.resize(CAT, (600, 400)), 1 - i / 25, 0) for i in range(26)]
    assert len(cuts([np.asarray(image, np.uint8) for image in mixed])) <= 1


def test_a_shot_has_its_least_length() -> None:
    flicker = [ASTRONAUT, CAT] * 15
    assert np.diff([0, *cuts(flicker, ShotConfig(min_shot_frames=8, ratio=1))]).min() >= 8


def test_two_videos_do_not_disturb_each_other() -> None:
    images = [*still(ASTRONAUT, 12), *still(CAT, 12)]
    one, other = ShotDetector(ShotConfig()), ShotDetector(ShotConfig())
    found = []
    for i, image in enumerate(images):
        if one.update(signature(image)):
            found.append(i)
        other.update(signature(COFFEE))
    assert found == [12]
    assert other.shot == 0


def shots_of(path: Path) -> list[float]:
    detector = ShotDetector(ShotConfig())
    with Video(path, LimitsConfig()) as video:
        return [frame.time_s for frame in video.frames() if detector.update(frame.signature())]


def test_the_cuts_of_a_scene_are_found(eval_data: Path) -> None:
    assert len(shots_of(eval_data / "videos" / "friends_scene_A.mp4")) >= 20


@pytest.mark.parametrize("name", ["dog_nofaces_11s.mp4", "traffic_nofaces_20s.mp4", "elon_2s.gif"])
def test_a_single_shot_has_no_cut(eval_data: Path, name: str) -> None:
    assert shots_of(eval_data / "videos" / name) == []

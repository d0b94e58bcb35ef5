"""Dissolves and fades between photographs and between moving pictures; pans, zooms and passers-by are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import cv2
import numpy as np
import pytest

from facerec_models.analysis.transitions import (
    Thumbnail,
    ThumbnailPicker,
    Transition,
    TransitionDetector,
    keep_clear,
    thumbnail,
)
from facerec_models.types import ImageArray
from tests.builders import sample_picture

ASTRONAUT, COFFEE, CAT, ROCKET = map(sample_picture, ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg"))
WIDTH, HEIGHT = 160, 90
BLACK = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
FPS = 10
Moving = Callable[[float], ImageArray]


def still(image: ImageArray) -> Moving:
    return lambda _: cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def zoom(image: ImageArray, speed: float = 0.04) -> Moving:
    def at(time_s: float) -> ImageArray:
        height, width = image.shape[:2]
        scale = 1 / (1.1 + speed * time_s)
        middle = width / 2, height / 2
        return np.asarray(cv2.getRectSubPix(image, (int(width * scale), int(height * scale)), middle), np.uint8)

    return lambda time_s: cv2.resize(at(time_s), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def pan(image: ImageArray, speed_px: float) -> Moving:
    wide = cv2.resize(image, (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_AREA)

    def at(time_s: float) -> ImageArray:
        middle = WIDTH / 2 + speed_px * time_s, float(HEIGHT)
        return np.asarray(cv2.getRectSubPix(wide, (WIDTH, HEIGHT), middle), np.uint8)

    return at


def dissolve(first: Moving, second: Moving, start_s: float, length_s: float) -> Moving:
    def at(time_s: float) -> ImageArray:
        share = float(np.clip((time_s - start_s) / length_s, 0, 1))
        return cv2.addWeighted(first(time_s), 1 - share, second(time_s), share, 0)

    return at


def filmed(scene: Moving, length_s: float, begins: Sequence[float] = ()) -> list[Thumbnail]:
    """Thumbnails of a scene, with the noise of a camera."""
    noise, picker, found = np.random.default_rng(0), ThumbnailPicker(), []
    for i in range(round(length_s * FPS)):
        image = np.clip(scene(i / FPS) + noise.normal(0, 3, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
        small = cv2.resize(image, (32, 18), interpolation=cv2.INTER_AREA)
        signature = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2YUV), np.uint8)
        picked = picker.pick(Fraction(i, FPS), signature, begins_shot=i / FPS in begins)
        found += [picked] if picked is not None else []
    return found


def thumbnail_of(image: ImageArray) -> ImageArray:
    small = cv2.resize(image, (32, 18), interpolation=cv2.INTER_AREA)
    return thumbnail(np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2YUV), np.uint8))


def transitions(thumbnails: Sequence[Thumbnail]) -> list[Transition]:
    detector = TransitionDetector()
    return [*detector.update(thumbnails), *detector.finish()]


def middles(scene: Moving, length_s: float = 7.0) -> list[float]:
    return [transition.middle_s for transition in transitions(filmed(scene, length_s))]


@pytest.mark.parametrize("length_s", [0.5, 1.0, 2.0, 3.0])
def test_a_dissolve_divides_two_shots_in_its_middle(length_s: float) -> None:
    assert middles(dissolve(still(ASTRONAUT), still(COFFEE), 2, length_s)) == pytest.approx(
        [2 + length_s / 2], abs=0.15
    )


@pytest.mark.parametrize("length_s", [0.5, 1.0])
def test_a_dissolve_between_moving_pictures_is_found(length_s: float) -> None:
    scene = dissolve(pan(ASTRONAUT, 15), zoom(COFFEE), 2, length_s)
    assert middles(scene) == pytest.approx([2 + length_s / 2], abs=0.3)


def test_dissolves_in_a_row_are_found() -> None:
    scene = dissolve(still(ASTRONAUT), dissolve(still(CAT), still(ROCKET), 5, 1), 2, 1)
    assert middles(scene, 8) == pytest.approx([2.5, 5.5], abs=0.15)


def test_a_fade_divides_shots_where_nothing_is_seen() -> None:
    scene = dissolve(still(ASTRONAUT), dissolve(still(BLACK), still(CAT), 4, 1), 2, 1)
    assert middles(scene, 7) == pytest.approx([2.9, 4.1], abs=0.15)


@pytest.mark.parametrize(
    "scene",
    [
        still(CAT),
        pan(ASTRONAUT, 5),
        pan(ASTRONAUT, 30),
        pan(ROCKET, 15),
        zoom(CAT),
        zoom(COFFEE, 0.15),
        lambda time_s: np.asarray(still(ROCKET)(0) * (0.7 + 0.3 * np.sin(2 * time_s)), np.uint8),
    ],
    ids=["still", "slow pan", "fast pan", "pan over the sky", "slow zoom", "zoom", "exposure"],
)
def test_movement_and_light_are_no_transition(scene: Moving) -> None:
    assert middles(scene, 5) == []


def test_a_passer_by_is_no_transition() -> None:
    passer = cv2.resize(ASTRONAUT, (40, 60), interpolation=cv2.INTER_AREA)

    def scene(time_s: float) -> ImageArray:
        image, left = still(COFFEE)(0).copy(), int(50 * time_s)
        image[25:85, left : left + 40] = passer[:, : max(0, WIDTH - left)]
        return image

    assert middles(scene, 2.3) == []


def test_a_cut_is_no_transition() -> None:
    scene: Moving = lambda time_s: still(ASTRONAUT if time_s < 2 else CAT)(0)  # noqa: E731
    assert transitions(filmed(scene, 4, begins=[2.0])) == []


@pytest.mark.parametrize("fps", [1, 2, 5])
def test_a_cut_between_few_frames_a_second_begins_a_shot_with_its_frame(fps: int) -> None:
    pictures = [thumbnail_of(ASTRONAUT if i < 6 else CAT) for i in range(14)]
    found = transitions([Thumbnail(i / fps, picture, i == 0) for i, picture in enumerate(pictures)])
    assert [transition.middle_s for transition in found] == [6 / fps]
    assert keep_clear(np.ones(1, np.float32), 6 / fps, found).tolist() == [1.0]


def test_thumbnail_sizes_may_change_with_the_picture() -> None:
    tall = [thumbnail._replace(picture=thumbnail.picture.transpose(1, 0, 2)) for thumbnail in filmed(still(CAT), 1)]
    after = [one._replace(time_s=one.time_s + 1) for one in tall]
    assert transitions([*filmed(still(ASTRONAUT), 1), *after]) == []


def test_parts_give_what_the_whole_gives() -> None:
    thumbnails = filmed(dissolve(still(ASTRONAUT), dissolve(still(CAT), pan(ROCKET, 15), 5, 1), 2, 1), 8)
    detector = TransitionDetector()
    found = [one for i in range(0, len(thumbnails), 7) for one in detector.update(thumbnails[i : i + 7])]
    assert [*found, *detector.finish()] == transitions(thumbnails)


def test_no_transition_is_found_in_settled_time() -> None:
    thumbnails = filmed(dissolve(still(ASTRONAUT), still(COFFEE), 2, 2), 9)
    detector = TransitionDetector()
    for one in thumbnails:
        settled_s = detector.settled_s
        assert all(transition.middle_s >= settled_s for transition in detector.update([one]))


def test_faces_count_for_nothing_in_the_middle_of_a_transition() -> None:
    quality, (transition,) = np.array([0.8], np.float32), [Transition(2.0, 2.5, 3.0, 30.0)]
    assert [float(keep_clear(quality, t, [transition])[0]) for t in (1.9, 2.0, 2.25, 2.5, 2.75, 3.1)] == pytest.approx(
        [0.8, 0.8, 0.4, 0.0, 0.4, 0.8]
    )


@pytest.mark.parametrize("shape", [(18, 32, 3), (32, 18, 3), (1, 32, 3), (17, 31, 3)])
def test_a_thumbnail_has_half_the_sides(shape: tuple[int, int, int]) -> None:
    assert thumbnail(np.full(shape, 9, np.uint8)).shape == (max(shape[0] // 2, 1), max(shape[1] // 2, 1), 3)

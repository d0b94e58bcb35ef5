from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec_models.analysis import tiles
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.faces import detect_faces, detect_in_stills, find_faces
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.config import DetectionConfig
from facerec_models.types import Detections, FloatArray, ImageArray
from tests.builders import cohort, sample_picture

CONFIG = DetectionConfig(device="cpu")


class Counting:
    """A detector that keeps what it was given."""

    def __init__(self, detector: MtcnnDetector) -> None:
        self._detector = detector
        self.engine = detector.engine
        self.shapes: list[tuple[int, ...]] = []

    def detect(self, images: Sequence[ImageArray]) -> list[Detections]:
        self.shapes += [image.shape for image in images]
        return self._detector.detect(images)


@pytest.fixture(scope="module")
def portrait() -> tuple[ImageArray, float]:
    """A person's head and shoulders, and how wide the face is in it."""
    return np.ascontiguousarray(sample_picture("astronaut.png")[0:260, 90:350]), 81.0


def wall(width: int, height: int) -> ImageArray:
    shade = np.linspace(90, 150, width).astype(np.uint8)
    return np.repeat(np.repeat(shade[None, :, None], height, axis=0), 3, axis=2)


def hang(onto: ImageArray, portrait: tuple[ImageArray, float], face_px: float, left: int, top: int) -> FloatArray:
    """Paste a portrait with a face so wide; return the middle of the face."""
    scale = face_px / portrait[1]
    resized = cv2.resize(portrait[0], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    onto[top : top + resized.shape[0], left : left + resized.shape[1]] = resized
    return np.array([left + 134 * scale, top + 121 * scale], np.float32)


def found_of(found: Detections, middles: Sequence[FloatArray], face_px: float) -> list[int]:
    """Return how many of the faces that were found lie on each of those that are there."""
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    return [int((np.linalg.norm(centres - middle, axis=1) < 0.4 * face_px).sum()) for middle in middles]


def test_in_a_long_picture_every_face_is_found_once_wherever_the_tiles_meet(
    detector: MtcnnDetector, portrait: tuple[ImageArray, float]
) -> None:
    picture = wall(14000, 400)
    middles = [hang(picture, portrait, 90, left, left % 110) for left in range(20, 13700, 293)]
    assert len(detect_faces([picture], detector, CONFIG)[0]) == 0
    found = detect_in_stills([picture], detector, CONFIG)[0]
    assert found_of(found, middles, 90) == [1] * len(middles)
    assert len(found) == len(middles)


@pytest.mark.parametrize("turn", [False, True], ids=["long", "high"])
def test_the_size_of_a_face_decides_and_not_the_shape_of_the_picture(
    detector: MtcnnDetector, portrait: tuple[ImageArray, float], turn: bool
) -> None:
    sizes = [48, 60, 90, 150, 280, 500]
    picture = wall(7000, 1700)
    lefts = np.cumsum([60, *[round(face_px * 3.3) + 120 for face_px in sizes]])
    middles = [hang(picture, portrait, px, int(at), 40) for px, at in zip(sizes, lefts, strict=False)]
    if turn:  # a pillar instead of a panorama, with the same faces upright
        rows = np.full((7000, 1700, 3), 120, np.uint8)
        middles = [hang(rows, portrait, px, 40, int(at)) for px, at in zip(sizes, lefts, strict=False)]
        picture = rows
    found = detect_in_stills([picture], detector, CONFIG)[0]
    counts = [found_of(found, [middle], px)[0] for middle, px in zip(middles, sizes, strict=True)]
    assert counts == [1] * len(sizes)


def test_a_face_in_a_large_picture_is_the_one_that_it_is_alone(
    detector: MtcnnDetector, embedder: FaceEmbedder, portrait: tuple[ImageArray, float]
) -> None:
    picture = wall(6000, 800)
    hang(picture, portrait, 81, 3000, 200)
    large, alone = find_faces([picture, portrait[0]], detector, embedder, CONFIG)
    assert len(large) == len(alone) == 1
    np.testing.assert_allclose(large.detections.landmarks - [3000, 200], alone.detections.landmarks, atol=3)
    assert cohort().pair.log_odds(large.embeddings @ alone.embeddings.T)[0, 0] > 0


def test_a_picture_that_loses_no_promised_face_is_searched_once(
    detector: MtcnnDetector, portrait: tuple[ImageArray, float]
) -> None:
    counting = Counting(detector)
    picture = wall(2560, 1920)
    hang(picture, portrait, 120, 700, 300)
    assert len(detect_in_stills([picture], counting, CONFIG)[0]) == 1
    assert counting.shapes == [(960, 1280, 3)]
    detect_in_stills([wall(4000, 3000)], counting, CONFIG)
    assert sum(height * width for height, width, _ in counting.shapes[2:]) < 4 * 1280 * 960


def test_no_tile_is_larger_than_a_reduced_picture(detector: MtcnnDetector) -> None:
    counting = Counting(detector)
    detect_in_stills([wall(11000, 2000)], counting, CONFIG)
    assert len(counting.shapes) > 8
    assert all(max(shape) <= CONFIG.max_side_px + 1 for shape in counting.shapes)


@given(
    st.integers(1, 40_000),
    st.floats(1, 40),
    st.builds(DetectionConfig, min_face_px=st.integers(12, 60), max_side_px=st.integers(160, 2000)),
)
def test_tiles_cover_a_side_and_hold_every_face_of_the_overlap(
    length: int, factor: float, config: DetectionConfig
) -> None:
    spans = tiles._spans(length, factor, config)
    assert spans[0][0] == 0
    assert spans[-1][1] == length
    assert len({end - start for start, end in spans}) == 1
    assert (spans[0][1] - spans[0][0]) / factor <= config.max_side_px + 2
    overlap = min(6 * config.min_face_px, config.max_side_px // 2) * factor
    for (_, end), (start, _) in pairwise(spans):
        assert end - start >= overlap - 2


def faces(*where: tuple[float, float, float]) -> Detections:
    """Faces by left, top and width."""
    found = np.array([[x, y, x + side, y + 1.3 * side] for x, y, side in where], np.float32)
    five = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.7), (0.35, 1.0), (0.65, 1.0)], np.float32)
    landmarks = np.stack([np.array([x, y], np.float32) + five * side for x, y, side in where]).astype(np.float32)
    return Detections(found, np.linspace(0.9, 0.99, len(where)).astype(np.float32), landmarks)


def test_one_face_of_two_searches_is_kept_as_the_search_that_saw_it_better_has_it() -> None:
    together = faces((100, 100, 60), (103, 98, 62), (500, 100, 400), (503, 98, 395))
    kept = tiles._distinct(together, np.array([4.0, 2.0, 4.0, 2.0]), np.array([-1, 0, -1, 0]))
    # 15 and 31 pixels; 100 and 198 are both enough, and the reduced picture saw more of the surroundings.
    assert kept.tolist() == [1, 2]


def test_faces_behind_each_other_are_two() -> None:
    together = faces((100, 100, 60), (140, 90, 60), (101, 101, 60), (141, 91, 60))
    kept = tiles._distinct(together, np.array([2.0] * 4), np.array([0, 0, 1, 1]))
    assert len(kept) == 2
    assert sorted({int(i) % 2 for i in kept}) == [0, 1]


def test_a_face_that_an_edge_between_tiles_cuts_off_is_left_to_the_other_tile() -> None:
    tile = tiles._Tile(left=0, top=100, width=800, height=600, factor=2.0)
    # At the picture's own left edge, at the right and the upper edge where the picture goes on, and in the middle.
    found = faces((0, 100, 40), (360, 100, 40), (200, 1, 40), (200, 100, 40))
    kept = tiles._inner(found, tile, 2000, 2000)
    np.testing.assert_allclose(kept.boxes[:, :2], [[0, 300], [400, 300]])
    np.testing.assert_allclose(kept.landmarks[1], found.landmarks[3] * 2 + [0, 100])


@pytest.mark.parametrize("is_in_tiles", [True, False], ids=["one search", "two searches"])
def test_one_head_of_a_large_picture_is_one_face(
    detector: MtcnnDetector, portrait: tuple[ImageArray, float], is_in_tiles: bool
) -> None:
    class Doubling:
        """Finds a second set of landmarks on each head, as detectors do on turned ones."""

        def detect(self, images: Sequence[ImageArray]) -> list[Detections]:
            return [self._twice(found) for found in detector.detect(images)]

        def _twice(self, found: Detections) -> Detections:
            side = np.sqrt((found.boxes[:, 2:] - found.boxes[:, :2]).prod(axis=1, keepdims=True))
            shift = side * np.float32([[0.375, 0, 0.375, 0]])
            other = Detections(
                found.boxes + shift, found.scores * np.float32(0.99), found.landmarks + shift[:, None, :2]
            )
            if not is_in_tiles:
                return other
            boxes, scores = np.concatenate([found.boxes, other.boxes]), np.concatenate([found.scores, other.scores])
            return Detections(boxes, scores, np.concatenate([found.landmarks, other.landmarks]))

    picture = wall(6000, 800)
    hang(picture, portrait, 150, 3000, 100)
    whole = detect_faces([picture], detector, CONFIG)[0]
    assert len(whole) == 1
    assert len(tiles.search_tiles(picture, whole, 6000 / CONFIG.max_side_px, Doubling(), CONFIG)) == 1

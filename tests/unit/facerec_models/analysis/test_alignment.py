"""Alignment: the fit is exact where it can be, and crops show what the landmarks say."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from facerec_models.analysis.alignment import (
    DLIB_TEMPLATE,
    FACENET_TEMPLATE,
    Template,
    align,
    fit_similarity,
    realign,
    template_of_size,
)
from facerec_models.analysis.alignment import TEMPLATES as ALL_TEMPLATES
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.types import FloatArray, ImageArray
from tests.builders import sample_picture

TEMPLATES = [DLIB_TEMPLATE, FACENET_TEMPLATE]


def placed(
    template: Template, *, scale: float, degrees: float, shift: tuple[float, float], mirrored: bool = False
) -> FloatArray:
    """Landmarks of one face whose undistorted template was turned, scaled and moved into a picture."""
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = np.array(template.points) / (template.stretch, 1)
    if mirrored:
        points = points * (-1, 1)
    return (points @ turn.T + shift).astype(np.float32)[None]


def smooth_picture(width: int, height: int) -> ImageArray:
    """A picture whose colours are linear in x and y, so that every resampling of it can be predicted."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 / width, y * 255 / height, np.full_like(x, 90)], axis=-1).round().astype(np.uint8)


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("degrees", [0, 17, -90, 180])
@pytest.mark.parametrize("scale", [0.2, 1, 3.7])
def test_similar_landmarks_fit_without_residual(template: Template, degrees: float, scale: float) -> None:
    landmarks = placed(template, scale=scale, degrees=degrees, shift=(300, 200))
    maps, residual = fit_similarity(landmarks, template)
    mapped = landmarks[0].astype(float) @ maps[0, :, :2].T + maps[0, :, 2]
    np.testing.assert_allclose(mapped, template.points, atol=1e-2)
    assert residual[0] < 1e-2
    # Never mirrored.
    assert np.linalg.det(maps[0, :, :2]) > 0


def test_fit_is_the_least_squares_one() -> None:
    rng = np.random.default_rng(3)
    landmarks = placed(DLIB_TEMPLATE, scale=2, degrees=25, shift=(90, 80))
    landmarks += rng.normal(0, 8, landmarks.shape).astype(np.float32)
    _, residual = fit_similarity(landmarks, DLIB_TEMPLATE)
    # The same as linear equations in (a, b, tx, ty): u = a x - b y + tx, v = b x + a y + ty.
    x, y = landmarks[0].T.astype(float)
    one, zero = np.ones(5), np.zeros(5)
    equations = np.block([[np.stack([x, -y, one, zero], 1)], [np.stack([y, x, zero, one], 1)]])
    _, squares, _, _ = np.linalg.lstsq(equations, np.array(DLIB_TEMPLATE.points).T.ravel())
    assert residual[0] == pytest.approx(np.sqrt(squares[0] / 5), rel=1e-4)


def test_mirrored_landmarks_leave_a_large_residual() -> None:
    _, residual = fit_similarity(
        placed(DLIB_TEMPLATE, scale=1, degrees=0, shift=(200, 50), mirrored=True), DLIB_TEMPLATE
    )
    assert residual[0] > 20


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("degrees", [0, 30, 90])
@pytest.mark.parametrize("scale", [0.4, 1, 2.6])
def test_crop_shows_each_landmark_where_the_template_has_it(template: Template, degrees: float, scale: float) -> None:
    image = smooth_picture(1200, 1000)
    landmarks = placed(template, scale=scale, degrees=degrees, shift=(600, 400))
    crops, _ = align(image, landmarks, template)
    for (u, v), (x, y) in zip(template.points, landmarks[0], strict=True):
        shown = crops[0, round(v), round(u)].astype(float)
        # One level is 4.7 px in x and 3.9 px in y; rounding the place in the crop costs up to `scale` more.
        np.testing.assert_allclose(shown[:2], [x * 255 / 1200, y * 255 / 1000], atol=1.2)


@pytest.mark.parametrize("scale", [1.9, 4, 7])
def test_reduced_faces_are_not_shifted(scale: float) -> None:
    """A half-pixel slip in the reduction of large faces would show at this edge."""
    image = np.zeros((1400, 1400, 3), np.uint8)
    image[:, 600:] = 255
    template = DLIB_TEMPLATE
    shift = (600 - 75 * scale, 50)
    crops, _ = align(image, placed(template, scale=scale, degrees=0, shift=shift), template)
    # Pixel centres are whole: the edge at 599.5 falls on 75 - 0.5 / scale, and half a pixel more is dark.
    dark = (255 - crops[0, 75, :, 0].astype(float)).sum() / 255
    assert dark == pytest.approx(75 - 0.5 / scale + 0.5, abs=0.15)


def test_fine_texture_of_a_large_face_does_not_alias() -> None:
    checkerboard = (np.indices((900, 900)).sum(axis=0) % 2 * 255).astype(np.uint8)
    image = np.repeat(checkerboard[..., None], 3, axis=2)
    landmarks = placed(DLIB_TEMPLATE, scale=4.3, degrees=12, shift=(160, 60))
    crops, _ = align(image, landmarks, DLIB_TEMPLATE)
    assert crops.std() < 20
    naive = cv2.warpAffine(image, fit_similarity(landmarks, DLIB_TEMPLATE)[0][0], (150, 150))
    assert naive.std() > 40


def test_faces_are_independent_and_keep_their_order() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (400, 600, 3), np.uint8)
    faces = np.concatenate(
        [placed(DLIB_TEMPLATE, scale=s, degrees=s * 40, shift=(200 + 50 * s, 100)) for s in (0.3, 1, 2.5)]
    )
    together, residual = align(image, faces, DLIB_TEMPLATE)
    for i in range(3):
        alone, alone_residual = align(image, faces[i : i + 1], DLIB_TEMPLATE)
        np.testing.assert_array_equal(together[i], alone[0])
        assert residual[i] == alone_residual[0]


def test_picture_is_not_altered_and_may_be_read_only() -> None:
    image = smooth_picture(300, 300)
    image.flags.writeable = False
    crops, _ = align(image, placed(DLIB_TEMPLATE, scale=1.5, degrees=5, shift=(20, 20)), DLIB_TEMPLATE)
    assert crops.any()


def test_no_face_gives_no_crop() -> None:
    crops, residual = align(smooth_picture(50, 40), np.zeros((0, 5, 2), np.float32), FACENET_TEMPLATE)
    assert crops.shape == (0, 160, 160, 3)
    assert crops.dtype == np.uint8
    assert residual.shape == (0,)


@pytest.mark.parametrize("place", [(30, 30), (-5000, 20), (90, 7000)])
def test_landmarks_without_extent_or_far_outside_do_not_fail(place: tuple[int, int]) -> None:
    image = smooth_picture(100, 100)
    coincident = np.full((1, 5, 2), place, np.float32)
    crops, residual = align(image, coincident, DLIB_TEMPLATE)
    assert not crops.any()
    assert residual[0] > 20
    outside = placed(DLIB_TEMPLATE, scale=1, degrees=0, shift=(-5000, 9000))
    assert not align(image, outside, DLIB_TEMPLATE)[0].any()


def test_border_of_the_picture_is_repeated() -> None:
    image = np.full((100, 100, 3), 200, np.uint8)
    crops, _ = align(image, placed(DLIB_TEMPLATE, scale=1, degrees=10, shift=(-60, 30)), DLIB_TEMPLATE)
    assert (crops == 200).all()


def test_template_refuses_another_number_of_points() -> None:
    with pytest.raises(ValueError, match="5x2, not 2x2"):
        Template(100, ((0.0, 0.0), (1.0, 1.0)))


# From one template to another


def test_the_size_of_a_crop_gives_its_template() -> None:
    assert len({template.size for template in ALL_TEMPLATES}) == len(ALL_TEMPLATES)
    for template in ALL_TEMPLATES:
        assert template_of_size(template.size, template.size) is template
    assert template_of_size(150, 160) is None


@pytest.mark.parametrize("source", TEMPLATES)
@pytest.mark.parametrize("target", TEMPLATES)
@pytest.mark.parametrize("degrees", [0, 40])
def test_a_realigned_crop_shows_what_the_picture_would(source: Template, target: Template, degrees: float) -> None:
    image = smooth_picture(1200, 1000)
    landmarks = placed(source, scale=2, degrees=degrees, shift=(600, 400))
    from_picture = align(image, landmarks, target)[0][0].astype(int)
    crop = align(image, landmarks, source)[0][0]
    realigned = realign(crop, source, target).astype(int)
    assert realigned.shape == from_picture.shape
    # Beyond the source's border, at most 16 % of a side, nothing can be right.
    edge = 0 if source == target else target.size // 6
    inside = slice(edge, target.size - edge)
    assert np.abs(realigned - from_picture)[inside, inside].max() <= 2


def test_a_realigned_real_face_is_embedded_alike(detector: MtcnnDetector, embedder: FaceEmbedder) -> None:
    picture = sample_picture("astronaut.png")
    landmarks = detector.detect([picture])[0].landmarks[:1]
    (theirs,), _ = align(picture, landmarks, FACENET_TEMPLATE)
    (ours,), _ = align(picture, landmarks, DLIB_TEMPLATE)
    back = realign(theirs, FACENET_TEMPLATE, DLIB_TEMPLATE)
    a, b, distorted = embedder.embed(np.stack([ours, back, cv2.resize(theirs, (150, 150))]))
    assert a @ b > 0.97
    assert a @ distorted < a @ b - 0.01


def test_a_crop_of_another_template_is_not_realigned() -> None:
    with pytest.raises(ValueError, match="150 px must not be 160x160x3"):
        realign(np.zeros((160, 160, 3), np.uint8), DLIB_TEMPLATE, FACENET_TEMPLATE)

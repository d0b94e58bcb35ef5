from __future__ import annotations

import warnings

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec_models.analysis.alignment import DLIB_TEMPLATE, align
from facerec_models.analysis.quality import FEATURES, features, score
from facerec_models.types import Detections, FloatArray, ImageArray
from tests.builders import LANDMARKS, sample_picture

GOOD = {"log_width": np.log(120), "sharpness": 6.0, "residual": 0.02, "outside": 0.0, "score": 1.0}
BOX = np.array([[180, 62, 268, 176]], np.float32)
POINTS = np.array([[[204, 100], [247, 104], [225, 129], [203, 140], [246, 142]]], np.float32)

measured_faces = st.lists(
    st.tuples(st.floats(0, 8), st.floats(0, 10), st.floats(0, 0.3), st.floats(0, 2), st.floats(0, 1)),
    min_size=1,
    max_size=8,
).map(lambda rows: np.array(rows, np.float32))


def scored(**changes: float) -> float:
    return float(score(np.array([[{**GOOD, **changes}[name] for name in FEATURES]], np.float32))[0])


def judge(image: ImageArray, box: FloatArray = BOX, points: FloatArray = POINTS) -> float:
    """Judge one face of a picture as the chain does."""
    crops, residual_px = align(image, points, DLIB_TEMPLATE)
    found = Detections(box, np.ones(1, np.float32), points)
    return float(score(features(found, crops, residual_px, image.shape[1], image.shape[0]))[0])


@pytest.fixture(scope="module")
def astronaut() -> ImageArray:
    return sample_picture("astronaut.png")


@given(measured_faces)
def test_quality_is_a_probability(measured: FloatArray) -> None:
    judged = score(measured)
    assert judged.shape == (len(measured),)
    assert judged.dtype == np.float32
    assert ((judged >= 0) & (judged <= 1)).all()


@pytest.mark.parametrize(
    ("feature", "better"), [("log_width", 1), ("sharpness", 1), ("score", 1), ("residual", -1), ("outside", -1)]
)
@given(measured=measured_faces, step=st.floats(0.001, 1))
def test_it_is_monotone_in_each_feature(feature: str, better: int, measured: FloatArray, step: float) -> None:
    improved = measured.copy()
    improved[:, FEATURES.index(feature)] += better * step
    assert (score(improved) >= score(measured) - 1e-6).all()


@pytest.mark.parametrize(
    ("feature", "worse"),
    [("log_width", np.log(20)), ("sharpness", 3.0), ("score", 0.6), ("residual", 0.1), ("outside", 0.6)],
)
def test_each_feature_alone_can_make_a_good_face_poor(feature: str, worse: float) -> None:
    assert scored() > 0.7
    assert scored(**{feature: worse}) < 0.8 * scored()


def test_a_face_of_which_more_than_half_is_cut_off_is_worth_nothing() -> None:
    assert scored(outside=0.4) > 0.1
    assert scored(outside=0.51) == 0


def test_above_what_a_crop_holds_larger_is_not_better() -> None:
    assert scored(log_width=np.log(800)) == pytest.approx(scored(log_width=np.log(200)), abs=1e-3)


def test_a_face_is_better_the_larger_it_is(astronaut: ImageArray) -> None:
    judged = []
    for factor in (0.2, 0.3, 0.4, 0.6, 0.9):
        small = np.asarray(cv2.resize(astronaut, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
        judged.append(judge(small, BOX * np.float32(factor), POINTS * np.float32(factor)))
    assert judged == sorted(judged)
    assert judged[0] < 0.1 < 0.7 < judged[-1]


def test_a_face_is_worse_the_more_it_is_blurred(astronaut: ImageArray) -> None:
    judged = [judge(np.asarray(cv2.GaussianBlur(astronaut, (0, 0), sigma), np.uint8)) for sigma in (0.1, 1, 2, 4, 8)]
    assert judged == sorted(judged, reverse=True)
    assert judged[-1] < 0.7 * judged[0]


def test_a_cut_face_is_worse_on_every_side(astronaut: ImageArray) -> None:
    whole = judge(astronaut)
    for picture, left, top in [
        (astronaut[:, 220:], 220, 0),
        (astronaut[118:], 0, 118),
        (astronaut[:, :232], 0, 0),
        (astronaut[:128], 0, 0),
    ]:
        shift = np.array([left, top], np.float32)
        box = np.clip(BOX - np.tile(shift, 2), 0, np.tile(picture.shape[1::-1], 2)).astype(np.float32)
        assert judge(np.ascontiguousarray(picture), box, POINTS - shift) < 0.9 * whole


def test_a_face_in_profile_is_worse(astronaut: ImageArray) -> None:
    turned = POINTS.copy()
    # The nose's tip over the cheek, eyes and mouth corners close to each other.
    turned[0, :, 0] = [238, 250, 262, 236, 248]
    assert judge(astronaut, points=turned) < 0.2 * judge(astronaut)


def test_landmarks_that_make_no_face_are_worth_nothing_and_raise_no_warning(astronaut: ImageArray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for points in (np.zeros((1, 5, 2)), np.full((1, 5, 2), -400.0), np.full((1, 5, 2), 1e5)):
            assert judge(astronaut, points=points.astype(np.float32)) < 0.05


def test_faces_are_judged_each_for_itself(astronaut: ImageArray) -> None:
    points = np.concatenate([POINTS, POINTS + 300, POINTS * 0.3]).astype(np.float32)
    boxes = np.concatenate([BOX, BOX + 300, BOX * 0.3]).astype(np.float32)
    crops, residual_px = align(astronaut, points, DLIB_TEMPLATE)
    together = score(features(Detections(boxes, np.ones(3, np.float32), points), crops, residual_px, 512, 512))
    alone = [judge(astronaut, boxes[i : i + 1], points[i : i + 1]) for i in range(3)]
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_no_face_has_no_features() -> None:
    crops = np.zeros((0, 150, 150, 3), np.uint8)
    measured = features(Detections.empty(), crops, np.zeros(0, np.float32), 100, 100)
    assert measured.shape == (0, len(FEATURES))
    assert score(measured).shape == (0,)


def test_the_part_outside_is_that_of_the_worse_axis() -> None:
    points = (LANDMARKS[None] * 100 + [-50, 100]).astype(np.float32)
    found = Detections(np.array([[0, 100, 50, 200]], np.float32), np.ones(1, np.float32), points)
    measured = features(found, np.zeros((1, 150, 150, 3), np.uint8), np.zeros(1, np.float32), 400, 400)
    assert 0.4 < measured[0, FEATURES.index("outside")] < 0.6

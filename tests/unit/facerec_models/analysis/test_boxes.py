from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec_models.analysis import boxes
from facerec_models.types import FloatArray

coordinates = st.floats(-200, 900, width=32)
any_boxes = st.lists(st.tuples(*[coordinates] * 4), max_size=6).map(lambda b: np.array(b, np.float32).reshape(-1, 4))


def upright(b: FloatArray) -> FloatArray:
    return np.concatenate([np.minimum(b[:, :2], b[:, 2:]), np.maximum(b[:, :2], b[:, 2:])], axis=1)


@given(any_boxes, any_boxes)
def test_overlap_is_symmetric_and_bounded(a: FloatArray, b: FloatArray) -> None:
    overlap = boxes.iou(a, b)
    assert overlap.shape == (len(a), len(b))
    np.testing.assert_allclose(overlap, boxes.iou(b, a).T)
    assert ((overlap >= 0) & (overlap <= 1 + 1e-6)).all()


@given(any_boxes.map(upright))
def test_a_box_overlaps_itself_wholly_unless_it_is_empty(a: FloatArray) -> None:
    np.testing.assert_allclose(np.diag(boxes.iou(a, a)), boxes.area(a) > 0, atol=1e-6)


def test_overlap_of_known_boxes() -> None:
    a = np.array([[0, 0, 10, 10]], np.float32)
    b = np.array([[5, 0, 15, 10], [10, 0, 20, 10], [2, 2, 4, 7], [0, 0, 10, 10]], np.float32)
    np.testing.assert_allclose(boxes.iou(a, b)[0], [50 / 150, 0, 10 / 100, 1])


@given(any_boxes, st.integers(1, 800), st.integers(1, 800))
def test_clipping_is_idempotent_and_stays_inside(a: FloatArray, width: int, height: int) -> None:
    clipped = boxes.clip(a, width, height)
    np.testing.assert_array_equal(boxes.clip(clipped, width, height), clipped)
    assert clipped.dtype == np.float32
    assert ((clipped >= 0) & (clipped <= [width, height, width, height])).all()


def test_clipping_keeps_what_is_inside() -> None:
    clipped = boxes.clip(np.array([[-5, 3, 30, 90], [1, 2, 3, 4]], np.float32), 20, 50)
    np.testing.assert_array_equal(clipped, [[0, 3, 20, 50], [1, 2, 3, 4]])


def test_a_box_that_is_turned_inside_out_has_no_area() -> None:
    np.testing.assert_array_equal(
        boxes.area(np.array([[5, 0, 3, 9], [0, 9, 5, 3], [5, 5, 3, 3], [1, 1, 3, 4]], np.float32)), [0, 0, 0, 6]
    )


@given(any_boxes, st.floats(0.1, 10))
def test_scaling_there_and_back_changes_nothing(a: FloatArray, factor: float) -> None:
    np.testing.assert_allclose(boxes.scale(boxes.scale(a, factor), 1 / factor), a, rtol=1e-5, atol=1e-3)
    assert boxes.scale(a, factor).dtype == np.float32


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_scaling_takes_boxes_to_the_larger_picture(factor: float) -> None:
    scaled = boxes.scale(np.array([[1, 2, 3, 4]], np.float32), factor)
    np.testing.assert_allclose(scaled[0], [factor, 2 * factor, 3 * factor, 4 * factor])

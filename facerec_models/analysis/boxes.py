"""Boxes as ``xyxy`` float32 pixels, right and bottom exclusive: clip, area, overlap."""

from __future__ import annotations

import numpy as np

from facerec_models.types import DoubleArray, FloatArray, IndexArray


def clip(boxes: FloatArray, width: int, height: int) -> FloatArray:
    """Cut (N, 4) boxes off at the borders of a picture.

    Examples
    --------
    >>> clip(np.float32([[-5, 10, 50, 300]]), width=640, height=200).tolist()
    [[0.0, 10.0, 50.0, 200.0]]
    """
    return np.clip(boxes, 0, np.array([width, height, width, height], np.float32)).astype(np.float32)


def area(boxes: FloatArray) -> FloatArray:
    """Area of each of (N, 4) boxes in square pixels; 0 where right <= left or bottom <= top.

    Examples
    --------
    >>> area(np.float32([[0, 0, 4, 5], [3, 3, 1, 9]])).tolist()
    [20.0, 0.0]
    """
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """Intersection over union of (N, 4) with (M, 4) boxes, as (N, M) in [0, 1]; 0 where both are empty.

    Examples
    --------
    >>> a, b = np.float32([[0, 0, 2, 2]]), np.float32([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]])
    >>> iou(a, b).round(2).tolist() == np.float32([[1, 0.33, 0]]).tolist()
    True
    """
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.maximum(bottom_right - top_left, 0)
    shared = sides[..., 0] * sides[..., 1]
    union = area(a)[:, None] + area(b)[None, :] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0), np.float32)


def paired_iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """Intersection over union of each of (N, 4) boxes with the one at its place in another (N, 4), as `iou`.

    Examples
    --------
    >>> a, b = np.float32([[0, 0, 2, 2], [0, 0, 2, 2]]), np.float32([[0, 0, 2, 2], [1, 0, 3, 2]])
    >>> paired_iou(a, b).round(2).tolist() == np.float32([1, 0.33]).tolist()
    True
    """
    sides = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0)
    shared = sides[:, 0] * sides[:, 1]
    union = area(a) + area(b) - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0), np.float32)


def scale(boxes: FloatArray, factor: float) -> FloatArray:
    """Convert (N, 4) boxes to a picture that is `factor` times as large.

    Examples
    --------
    >>> scale(np.float32([[1, 2, 3, 4]]), 2.0).tolist()
    [[2.0, 4.0, 6.0, 8.0]]
    """
    return (boxes * factor).astype(np.float32)


def distinct_by_the_smaller(boxes: FloatArray | DoubleArray, scores: FloatArray, overlap: float) -> IndexArray:
    """Return which of (N, 4) boxes remain, the best first, where the worse of two goes that share more than this of the smaller one.

    Both ends of a side are counted, as MTCNN does.

    Examples
    --------
    >>> boxes = np.float32([[0, 0, 9, 9], [0, 0, 19, 19], [30, 0, 39, 9]])
    >>> distinct_by_the_smaller(boxes, np.float32([0.9, 0.8, 0.7]), overlap=0.7).tolist()
    [0, 2]
    """
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    areas = sides[:, 0] * sides[:, 1]
    left, kept = np.argsort(scores), []
    while len(left):
        best, left = left[-1], left[:-1]
        kept.append(best)
        shared = np.minimum(boxes[best, 2:], boxes[left, 2:]) - np.maximum(boxes[best, :2], boxes[left, :2]) + 1
        left = left[np.maximum(shared, 0).prod(axis=1) / np.minimum(areas[best], areas[left]) <= overlap]
    return np.array(kept, np.intp)


def are_met(a: FloatArray, b: FloatArray, overlap: float) -> bool:
    """Whether each of (N, 4) boxes overlaps by so much, as `iou` has it, with one of (M, 4).

    Examples
    --------
    >>> here, near, elsewhere = np.float32([[0, 0, 4, 4]]), np.float32([[1, 0, 5, 4]]), np.float32([[9, 0, 13, 4]])
    >>> are_met(here, np.concatenate([near, elsewhere]), 0.5), are_met(here, elsewhere, 0.5), are_met(here[:0], elsewhere, 0.5)
    (True, False, True)
    """
    return not len(a) or bool((iou(a, b).max(axis=1, initial=0) >= overlap).all())

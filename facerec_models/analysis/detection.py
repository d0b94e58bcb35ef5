"""What finds faces, and at which size; the network is in `facerec_models.analysis.mtcnn`, so that this needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np

from facerec_models.analysis import boxes
from facerec_models.types import Detections, ImageArray

_SAME_OVERLAP, _SAME_DISTANCE = 0.4, 0.4


class FaceDetector(Protocol):
    """Whatever finds faces in pictures.

    Attributes
    ----------
    engine : str
        What computes it, as a user reads it.
    """

    @property
    def engine(self) -> str: ...  # noqa: D102

    def detect(self, images: Sequence[ImageArray]) -> list[Detections]:
        """Find the faces of each picture.

        Parameters
        ----------
        images : sequence of (H, W, 3) uint8
            RGB; sizes may differ.

        Returns
        -------
        list of Detections
            One for each picture, in its pixels; empty where no face was found.
        """
        ...


def reduce_image(image: ImageArray, max_side_px: int) -> tuple[ImageArray, float]:
    """Reduce a picture to a longer side of at most `max_side_px`; smaller ones are returned as they are.

    Returns
    -------
    (H, W, 3) uint8, float
        The picture for the detector, and the factor that takes its coordinates back to the original's.

    Examples
    --------
    >>> reduced, factor = reduce_image(np.zeros((1080, 1920, 3), np.uint8), max_side_px=1280)
    >>> reduced.shape, factor
    ((720, 1280, 3), 1.5)
    """
    height, width = image.shape[:2]
    factor = max(height, width) / max_side_px
    if factor <= 1:
        return image, 1.0
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), factor


def one_box_a_head(found: Detections) -> Detections:
    """Leave of several boxes on one head the one with the best score.

    Boxes lie on one head if they overlap by `_SAME_OVERLAP`, or if the middles of their landmarks are nearer than
    `_SAME_DISTANCE` of the smaller box's side. A detector that searches several scales finds a turned head twice, with two sets
    of landmarks; two faces cheek to cheek have their middles about a side apart.

    Examples
    --------
    >>> import numpy as np
    >>> boxes = np.array([[0, 0, 60, 80], [6, 4, 58, 78], [70, 0, 130, 80]], np.float32)
    >>> points = boxes[:, None, :2] + np.float32([[20, 30], [40, 30], [30, 45], [22, 60], [38, 60]])
    >>> one_box_a_head(Detections(boxes, np.float32([0.9, 0.99, 0.95]), points)).scores.tolist() == [np.float32(0.99), np.float32(0.95)]
    True
    """
    if len(found) < 2:
        return found
    middles = found.landmarks.mean(axis=1)
    distance = np.linalg.norm(middles[:, None] - middles[None], axis=2)
    sides = np.sqrt(boxes.area(found.boxes))
    near = distance < _SAME_DISTANCE * np.minimum(sides[:, None], sides[None])
    same = near | (boxes.iou(found.boxes, found.boxes) >= _SAME_OVERLAP)
    kept: list[int] = []
    # Of equal scores the larger box, so that the order of detections does not matter.
    for i in sorted(
        range(len(found)), key=lambda i: (-float(found.scores[i]), -float(sides[i]), found.boxes[i].tolist())
    ):
        if not same[i, kept].any():
            kept.append(i)
    return found if len(kept) == len(found) else found.select(np.array(sorted(kept), np.intp))


def scale_detections(found: Detections, factor: float, width: int, height: int) -> Detections:
    """Take detections to a picture `factor` times as large, of this size."""
    return Detections(
        boxes.clip(boxes.scale(found.boxes, factor), width, height),
        found.scores,
        (found.landmarks * factor).astype(np.float32),
    )

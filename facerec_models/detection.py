"""What finds faces, and the size at which it looks; the network is in `facerec_models.mtcnn`, so that this needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np

from facerec_models import boxes
from facerec_models.types import Detections, ImageArray


class FaceDetector(Protocol):
    """Whatever finds faces in pictures."""

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
    """
    height, width = image.shape[:2]
    factor = max(height, width) / max_side_px
    if factor <= 1:
        return image, 1.0
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), factor


def scale_detections(found: Detections, factor: float, width: int, height: int) -> Detections:
    """Take detections to a picture `factor` times as large, of this size."""
    return Detections(
        boxes.clip(boxes.scale(found.boxes, factor), width, height),
        found.scores,
        (found.landmarks * factor).astype(np.float32),
    )

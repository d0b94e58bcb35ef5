"""Look for faces where they must be: between two frames in which the whole picture was searched.

A detector spends most of its time on places without faces. Between two frames of a shot that it has searched, a face is somewhere
between its two places: a small picture of these is searched in place of the whole one. Larger faces are reduced to what the detector's
last network sees anyway. Each is a picture of its own: what is found does not depend on what else is sought at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from facerec_models.analysis import boxes
from facerec_models.analysis.detection import FaceDetector, one_box_a_head
from facerec_models.types import Detections, FloatArray, ImageArray

# Side of what shows one face: one size, for which networks are ready.
_TILE_PX = 128
# What is searched around a face on each side, in its widths.
_AROUND = 0.6
# A face is the same in both frames if its middle moves by less than this many widths.
_MOST_MOVED = 2.0
# Tiles may cover this much of a picture: more take longer than all of it. From .25 on both take as long, at 360 and 720 lines.
_MOST_COVERED = 0.4
# Nothing is there.
_GRAY = 127


class Region(NamedTuple):
    """A part of a picture, in its pixels; its longer side becomes a tile's where it is larger."""

    x1: int
    y1: int
    x2: int
    y2: int


def regions_between(before: Detections, after: Detections, width: int, height: int) -> list[Region]:
    """Return where in a picture of this size the faces of two frames may be in a frame between them.

    Examples
    --------
    >>> def at(*box: float) -> Detections:
    ...     return Detections(np.float32([box]), np.ones(1, np.float32), np.zeros((1, 5, 2), np.float32))
    >>> regions_between(at(100, 100, 150, 160), at(120, 100, 170, 160), 640, 360)
    [Region(x1=64, y1=59, x2=206, y2=201)]
    """
    found: list[tuple[FloatArray, float]] = []
    free = list(range(len(after)))
    for box in before.boxes:
        moved = [_moved(box, after.boxes[j]) for j in free]
        if moved and min(moved) < _MOST_MOVED:
            other = after.boxes[free.pop(int(np.argmin(moved)))]
            both = np.concatenate([np.minimum(box[:2], other[:2]), np.maximum(box[2:], other[2:])])
            found.append((both, max(_side(box), _side(other))))
        else:
            found.append((box, _side(box)))
    found += [(after.boxes[j], _side(after.boxes[j])) for j in free]
    return [_around(box, face_px, width, height) for box, face_px in found]


def is_worth(regions: Sequence[Region], width: int, height: int) -> bool:
    """Whether to search regions takes less time than to search the whole picture of this size."""
    return len(regions) * _TILE_PX**2 <= _MOST_COVERED * width * height


def detect_near(
    images: Sequence[ImageArray], regions: Sequence[Sequence[Region]], detector: FaceDetector
) -> list[Detections]:
    """Find the faces in some regions of each picture.

    Parameters
    ----------
    images : sequence of (H, W, 3) uint8
        RGB.
    regions : sequence of sequence of Region
        Those of each picture.

    Returns
    -------
    list of Detections
        One for each picture, in its pixels. A face that a region cuts off is left out.
    """
    wanted = [(i, region) for i, own in enumerate(regions) for region in own]
    found: list[list[Detections]] = [[] for _ in images]
    tiles = [_tile(images[i], region) for i, region in wanted]
    for (i, region), own in zip(wanted, detector.detect(tiles), strict=True):
        found[i].append(_placed(own, region, images[i]))
    return [one_box_a_head(_joined(own)) for own in found]


def _side(box: FloatArray) -> float:
    return float((box[2:] - box[:2]).max())


def _moved(box: FloatArray, other: FloatArray) -> float:
    """Return how far the middle of a box is from another's, in its own widths."""
    return float(np.abs(box[:2] + box[2:] - other[:2] - other[2:]).max()) / 2 / max(_side(box), 1.0)


def _around(box: FloatArray, face_px: float, width: int, height: int) -> Region:
    side = max(round(_side(box) + 2 * _AROUND * face_px), _TILE_PX)
    left, top = (box[:2] + box[2:] - side) / 2
    # Shifted into the picture rather than cut off.
    x, y = (int(max(0, min(round(float(at)), most - side))) for at, most in ((left, width), (top, height)))
    return Region(x, y, min(x + side, width), min(y + side, height))


def _reduced_size(region: Region) -> tuple[int, int]:
    """Return width and height of a region in its tile."""
    width, height = region.x2 - region.x1, region.y2 - region.y1
    scale = min(1.0, _TILE_PX / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _tile(image: ImageArray, region: Region) -> ImageArray:
    """Return a region in the first corner of a square, (128, 128, 3) uint8."""
    width, height = _reduced_size(region)
    tile = np.full((_TILE_PX, _TILE_PX, 3), _GRAY, np.uint8)
    part = image[region.y1 : region.y2, region.x1 : region.x2]
    tile[:height, :width] = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    return tile


def _placed(found: Detections, region: Region, image: ImageArray) -> Detections:
    """Take faces from a tile to its picture, but for those that the tile cuts off."""
    width, height = _reduced_size(region)
    whole = (
        ((found.boxes[:, 0] > 0) | (region.x1 == 0))
        & ((found.boxes[:, 1] > 0) | (region.y1 == 0))
        & ((found.boxes[:, 2] < width) | (region.x2 == image.shape[1]))
        & ((found.boxes[:, 3] < height) | (region.y2 == image.shape[0]))
    )
    found = found.select(whole)
    factor = np.array([(region.x2 - region.x1) / width, (region.y2 - region.y1) / height], np.float32)
    corner = np.array([region.x1, region.y1], np.float32)
    moved = found.boxes * np.tile(factor, 2) + np.tile(corner, 2)
    clipped = boxes.clip(moved, image.shape[1], image.shape[0])
    placed = Detections(clipped, found.scores, (found.landmarks * factor + corner).astype(np.float32))
    return placed.select(boxes.area(clipped) > 0)


def _joined(parts: Sequence[Detections]) -> Detections:
    if not parts:
        return Detections.empty()
    return Detections(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.landmarks for part in parts]),
    )

"""Look for faces where they must be: between two frames in which the whole picture was searched.

A detector spends most of its time on places without faces. Between two frames of a shot that it has searched, a face is somewhere
between its two places: small pictures of these, many side by side in one, are searched in place of the whole ones. Larger faces are
reduced to what the detector's last network sees anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from facerec_models.analysis import boxes
from facerec_models.analysis.detection import FaceDetector, one_box_a_head
from facerec_models.types import Detections, FloatArray, ImageArray

# Side of what shows one face, and how many of them lie side by side and one below the other: few sizes, for which networks are ready.
_TILE_PX, _COLUMNS, _ROWS = 128, 4, 3
# What is searched around a face on each side, in its widths.
_AROUND = 0.6
# A face is the same in both frames if its middle moves by less than this many widths.
_MOST_MOVED = 2.0
# Nothing is there.
_GRAY = 127


class Region(NamedTuple):
    """A part of a picture, in its pixels; its longer side becomes a tile's where it is larger."""

    x1: int
    y1: int
    x2: int
    y2: int


class _Tile(NamedTuple):
    """A region of the i-th picture, reduced."""

    i: int
    region: Region
    pixels: ImageArray


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
    tiles = [_Tile(i, region, _reduced(images[i], region)) for i, own in enumerate(regions) for region in own]
    sheets = [tiles[at : at + _COLUMNS * _ROWS] for at in range(0, len(tiles), _COLUMNS * _ROWS)]
    found: list[list[Detections]] = [[] for _ in images]
    for sheet, detections in zip(sheets, detector.detect([_side_by_side(sheet) for sheet in sheets]), strict=True):
        for tile, own in _by_tile(sheet, detections):
            found[tile.i].append(_placed(own, tile, images[tile.i]))
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


def _reduced(image: ImageArray, region: Region) -> ImageArray:
    part = image[region.y1 : region.y2, region.x1 : region.x2]
    scale = min(1.0, _TILE_PX / max(part.shape[:2]))
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)


def _side_by_side(sheet: Sequence[_Tile]) -> ImageArray:
    rows = -(-len(sheet) // _COLUMNS)
    picture = np.full((rows * _TILE_PX, _COLUMNS * _TILE_PX, 3), _GRAY, np.uint8)
    for at, tile in enumerate(sheet):
        top, left = (side * _TILE_PX for side in divmod(at, _COLUMNS))
        picture[top : top + tile.pixels.shape[0], left : left + tile.pixels.shape[1]] = tile.pixels
    return picture


def _by_tile(sheet: Sequence[_Tile], found: Detections) -> Iterator[tuple[_Tile, Detections]]:
    """Yield what was found in each tile, in its pixels; what crosses its border may be anything."""
    middles = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    places = np.floor(middles / _TILE_PX).astype(np.intp)
    for at, tile in enumerate(sheet):
        row, column = divmod(at, _COLUMNS)
        own = found.select((places == (column, row)).all(axis=1))
        corner = np.array([column, row], np.float32) * _TILE_PX
        yield tile, Detections(own.boxes - np.tile(corner, 2), own.scores, own.landmarks - corner)


def _placed(found: Detections, tile: _Tile, image: ImageArray) -> Detections:
    """Take faces from a tile to its picture, but for those that the tile cuts off."""
    region, (height, width) = tile.region, tile.pixels.shape[:2]
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

"""Search a large still in tiles, so that a face's size in pixels decides whether it is found, not the picture's shape.

The picture is searched at several sizes, each half as large as the one before: at the largest the smallest promised face is as large
as the detector needs, at the smallest the picture is one tile. A face is whole in a tile of at least one size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from facerec_models.analysis import boxes
from facerec_models.analysis.detection import FaceDetector, one_box_a_head
from facerec_models.config import DetectionConfig
from facerec_models.types import Detections, ImageArray

# Each size of the picture has half the pixels a side of the one before, so it has to hold faces of one to two times the smallest; this
# many times the smallest leaves room for the surroundings that the detector needs.
_OVERLAP_FACES = 6
# Tiles that the detector is given at once: 40 MB at the usual size.
_BATCH = 8
# A box this near to an edge where the picture goes on is of a face that is cut off there, in pixels of the tile.
_EDGE_PX = 2.0
# The detector's last network sees faces with this side: what is larger is not found more exactly.
_EXACT_PX = 48.0
# Two detections are one face if their landmarks are this near to each other, as a fraction of the smaller face's width, or if so much
# of the smaller box is inside of the larger one. Faces behind each other share less.
_NEAR, _INSIDE = 0.35, 0.7


@dataclass(frozen=True, slots=True)
class _Tile:
    """A part of a picture, `left` and `top` in its pixels, searched at ``1 / factor`` of its size."""

    left: int
    top: int
    width: int
    height: int
    factor: float


def search_tiles(
    image: ImageArray, whole: Detections, whole_factor: float, detector: FaceDetector, config: DetectionConfig
) -> Detections:
    """Find the faces that a reduced picture is too small for, and join them with those found in it.

    Parameters
    ----------
    image : (H, W, 3) uint8
        RGB, of any size.
    whole : Detections
        Found in the picture when it was reduced, in its original pixels.
    whole_factor : float
        How many times it was reduced.

    Returns
    -------
    Detections
        In the picture's pixels, each face once; `whole` itself where nothing could be missed.
    """
    factors = search_factors(whole_factor, config)
    if not factors:
        return whole
    found, reductions, origins = [whole], [whole_factor], [-1]
    for origin, (tile, detections) in enumerate(_search(image, factors, detector, config)):
        found.append(one_box_a_head(_inner(detections, tile, image.shape[1], image.shape[0])))
        reductions.append(tile.factor)
        origins.append(origin)
    counts = [len(detections) for detections in found]
    together = Detections(
        np.concatenate([detections.boxes for detections in found]),
        np.concatenate([detections.scores for detections in found]),
        np.concatenate([detections.landmarks for detections in found]),
    )
    return one_box_a_head(
        together.select(_distinct(together, np.repeat(reductions, counts), np.repeat(origins, counts)))
    )


def search_factors(whole_factor: float, config: DetectionConfig) -> list[float]:
    """Return how many times a picture is reduced for each search in tiles, given how many times it was as a whole.

    Examples
    --------
    >>> config = DetectionConfig(min_face_px=24, min_still_face_px=36)
    >>> search_factors(1.5, config), search_factors(4.0, config)
    ([], [1.5, 3.0])
    """
    factors = []
    factor = max(1.0, config.min_still_face_px / config.min_face_px)
    while factor < whole_factor:
        factors.append(factor)
        factor *= 2
    return factors


def _search(
    image: ImageArray, factors: Sequence[float], detector: FaceDetector, config: DetectionConfig
) -> Iterator[tuple[_Tile, Detections]]:
    tiles = [tile for factor in factors for tile in _tiles(image.shape[1], image.shape[0], factor, config)]
    for start in range(0, len(tiles), _BATCH):
        batch = tiles[start : start + _BATCH]
        yield from zip(batch, detector.detect([_cut(image, tile) for tile in batch]), strict=True)


def _tiles(width: int, height: int, factor: float, config: DetectionConfig) -> list[_Tile]:
    columns, rows = _spans(width, factor, config), _spans(height, factor, config)
    return [_Tile(left, top, right - left, bottom - top, factor) for top, bottom in rows for left, right in columns]


def _spans(length: int, factor: float, config: DetectionConfig) -> list[tuple[int, int]]:
    """Divide a side into the fewest overlapping parts of one length that are no longer than a reduced picture may be."""
    overlap = min(_OVERLAP_FACES * config.min_face_px, config.max_side_px // 2)
    reduced = length / factor
    count = max(1, int(np.ceil((reduced - overlap) / (config.max_side_px - overlap))))
    size = min(length, int(np.ceil((reduced + (count - 1) * overlap) / count * factor)))
    starts = np.linspace(0, length - size, count).round().astype(int).tolist()
    return [(start, start + size) for start in starts]


def _cut(image: ImageArray, tile: _Tile) -> ImageArray:
    part = image[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]
    size = (max(1, round(tile.width / tile.factor)), max(1, round(tile.height / tile.factor)))
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)


def _inner(found: Detections, tile: _Tile, width: int, height: int) -> Detections:
    """Take a tile's detections to the picture, without those that are cut off by an edge where the picture goes on."""
    far = np.array([width, height, width, height], np.float32)
    ends = np.array([tile.left, tile.top, tile.left + tile.width, tile.top + tile.height], np.float32)
    offset = ends[[0, 1, 0, 1]]
    moved = boxes.scale(found.boxes, tile.factor) + offset
    is_seam = np.where(np.arange(4) < 2, ends > 0, ends < far)
    is_cut = (np.abs(moved - ends) <= _EDGE_PX * tile.factor) & is_seam
    landmarks = found.landmarks * np.float32(tile.factor) + offset[:2]
    clipped = Detections(boxes.clip(moved, width, height), found.scores, landmarks.astype(np.float32))
    return clipped.select(~is_cut.any(axis=1) & (boxes.area(clipped.boxes) > 0))


def _distinct(found: Detections, reductions: np.ndarray, origins: np.ndarray) -> np.ndarray:
    """Return which detections to keep, so that each face is there once: that of the search which saw it best.

    Detections of one search are on different heads already.
    """
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    widths = np.sqrt(np.maximum(sides.prod(axis=1), 1.0))
    seen_px = np.minimum(widths / reductions, _EXACT_PX)
    kept: list[int] = []
    # Of two that saw it equally well, the one of the smaller picture: it saw more of the surroundings.
    for i in np.lexsort((-found.scores, -reductions, -seen_px)).tolist():
        rivals = [j for j in kept if origins[j] != origins[i]]
        if not rivals or not _is_same_face(found, widths, i, np.array(rivals)).any():
            kept.append(i)
    return np.array(sorted(kept), np.int64)


def _is_same_face(found: Detections, widths: np.ndarray, i: int, others: np.ndarray) -> np.ndarray:
    smaller = np.minimum(widths[others], widths[i])
    away = np.linalg.norm(found.landmarks[others] - found.landmarks[i], axis=2).mean(axis=1)
    top_left = np.maximum(found.boxes[others, :2], found.boxes[i, :2])
    bottom_right = np.minimum(found.boxes[others, 2:], found.boxes[i, 2:])
    shared = np.maximum(bottom_right - top_left, 0).prod(axis=1)
    return np.asarray((away <= _NEAR * smaller) | (shared >= _INSIDE * smaller**2))

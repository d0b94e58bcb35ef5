"""MTCNN's three networks one after the other on a CPU, in numpy and OpenCV around whatever engine computes them.

Zhang et al., *Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks*, IEEE SPL 2016. What is found is
what `facerec_models.analysis.cascade` finds. The levels of the pyramid, and all candidates of a picture together, come from sums over
the rectangles that begin at its first pixel: Python touches none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from facerec_models.analysis.batching import split
from facerec_models.analysis.boxes import distinct_by_the_smaller
from facerec_models.types import FloatArray, ImageArray, IndexArray

Network = Callable[[FloatArray], tuple[FloatArray, ...]]
"""Takes RGB of 0 to 255 as (N, H, W, 3) float32; returns arrays of N rows."""

# What P-Net sees of a picture to judge one place, and how far apart the places are, in pixels.
_WINDOW, _STRIDE = 12, 2
# Sides of the candidates that R-Net and O-Net judge, and how many go through at once.
_R_SIDE, _O_SIDE = 24, 48
_R_AT_ONCE, _O_AT_ONCE = 64, 16
# Overlap above which the worse of two candidates goes: in one level of the pyramid, and afterwards.
_SAME_IN_LEVEL, _SAME = 0.5, 0.7
_MOST_PIXELS = 2**31 // 256


class CascadeNetworks(NamedTuple):
    """The three networks, each with the outputs of facenet-pytorch's: moves, (landmarks,) probabilities."""

    pnet: Network
    rnet: Network
    onet: Network


@dataclass(frozen=True, slots=True)
class _Places:
    """Places in a picture that may be faces.

    Parameters
    ----------
    boxes : (N, 4) float32
    scores : (N,) float32
    """

    boxes: FloatArray
    scores: FloatArray

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> _Places:
        return _Places(self.boxes[index], self.scores[index])


class CpuCascade:
    """Three networks on a CPU. Several threads may search at once.

    Parameters
    ----------
    min_face_px : int
    thresholds : three of float
        Least score after each network.
    factor : float
        Scale between two levels of the pyramid.
    """

    def __init__(
        self,
        networks: CascadeNetworks,
        *,
        min_face_px: int,
        thresholds: tuple[float, float, float],
        factor: float,
    ) -> None:
        self._networks = networks
        self._min_face_px = min_face_px
        self._thresholds = thresholds
        self._factor = factor

    def find(self, image: ImageArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Find faces.

        Parameters
        ----------
        image : (H, W, 3) uint8
            RGB, at least `min_face_px` high and wide.

        Returns
        -------
        (N, 4), (N,) and (N, 5, 2) float32
            Boxes, scores and landmarks, the largest face first. Boxes may reach beyond the picture.
        """
        picture = _Picture(image)
        return self._finish(picture, self._refine(picture, self._propose(picture)))

    def _propose(self, picture: _Picture) -> _Places:
        """Slide P-Net over the levels of a picture; return the squares around what it takes for faces."""
        parts: list[tuple[FloatArray, FloatArray, FloatArray]] = []
        for level, scale in picture.levels(_WINDOW / self._min_face_px, self._factor):
            moves, scores = self._networks.pnet(level)
            row, column = np.nonzero(scores[0, 1] >= self._thresholds[0])
            corner = np.stack([column, row], axis=1).astype(np.float32) * _STRIDE
            boxes = np.concatenate([np.floor((corner + 1) / scale), np.floor((corner + _WINDOW) / scale)], axis=1)
            own = scores[0, 1, row, column]
            kept = _distinct(boxes, own, _SAME_IN_LEVEL)
            parts.append((boxes[kept], own[kept], moves[0][:, row[kept], column[kept]].T))
        boxes, scores, moves = (np.concatenate(part) for part in zip(*parts, strict=True))
        kept = _distinct(boxes, scores, _SAME)
        boxes, moves = boxes[kept], moves[kept]
        sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        return _squares(_Places((boxes + moves * sides).astype(np.float32), scores[kept]))

    def _refine(self, picture: _Picture, found: _Places) -> _Places:
        """Let R-Net judge and move the candidates."""
        found, outputs = _judged(self._networks.rnet, picture, found, _R_SIDE, _R_AT_ONCE)
        if not len(found):
            return found
        moves, scores = outputs
        passed = scores[:, 1] > self._thresholds[1]
        found, moves = _Places(found.boxes, scores[:, 1])[passed], moves[passed]
        kept = _distinct(found.boxes, found.scores, _SAME)
        found, moves = found[kept], moves[kept]
        return _squares(_Places(_moved(found.boxes, moves), found.scores))

    def _finish(self, picture: _Picture, found: _Places) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Let O-Net judge and move the candidates; return boxes, scores and landmarks."""
        found, outputs = _judged(self._networks.onet, picture, found, _O_SIDE, _O_AT_ONCE)
        if not len(found):
            return found.boxes, found.scores, np.zeros((0, 5, 2), np.float32)
        moves, places, scores = outputs
        passed = scores[:, 1] > self._thresholds[2]
        found, moves, places = _Places(found.boxes, scores[:, 1])[passed], moves[passed], places[passed]
        sides = found.boxes[:, 2:] - found.boxes[:, :2] + 1
        points = np.stack([places[:, :5], places[:, 5:]], axis=2) * sides[:, None] + found.boxes[:, None, :2] - 1
        boxes = _moved(found.boxes, moves)
        kept = distinct_by_the_smaller(boxes, found.scores, _SAME)
        extent = boxes[kept, 2:] - boxes[kept, :2]
        kept = kept[np.argsort(extent[:, 0] * extent[:, 1])[::-1]]
        return boxes[kept], found.scores[kept], points[kept].astype(np.float32)


class _Picture:
    """A picture as the sums over the rectangles that begin at its first pixel: from these any part comes in any smaller size.

    Each new pixel is the mean of those that it covers, in part or whole, as torch's ``area`` interpolation has it.
    """

    def __init__(self, image: ImageArray) -> None:
        self.height, self.width = image.shape[:2]
        # Four bytes hold the sum of a picture of 8 million pixels.
        kind = cv2.CV_32S if self.height * self.width <= _MOST_PIXELS else cv2.CV_64F
        sums = cv2.integral(image, sdepth=kind)
        self._kind = sums.dtype
        # The three numbers of a place as one element: so they are fetched several times as fast.
        self._sums = sums.view(np.dtype((np.void, 3 * sums.itemsize)))[..., 0]

    def levels(self, first: float, factor: float) -> Iterator[tuple[FloatArray, float]]:
        """Yield the whole picture in sizes that fall by a factor, as (1, H, W, 3) float32, each with its scale."""
        for top, bottom, left, right, area, scale in _levels(self.height, self.width, first, factor):
            rows = self._numbers(self._sums.take(bottom, axis=0))
            rows -= self._numbers(self._sums.take(top, axis=0))
            rows = rows.view(self._sums.dtype)
            total = self._numbers(rows.take(right, axis=1))
            total -= self._numbers(rows.take(left, axis=1))
            yield (total.reshape(len(top), len(left), 3).astype(np.float32) / area)[None], scale

    def cut(self, bounds: npt.NDArray[np.int64], side: int) -> FloatArray:
        """Return rectangles as squares, (N, side, side, 3) float32.

        Parameters
        ----------
        bounds : (N, 4) int64
            Left, top, and the first column and row that are out; inside of the picture.
        """
        left, right = _covered(bounds[:, 0, None], bounds[:, 2, None], side)
        top, bottom = _covered(bounds[:, 1, None], bounds[:, 3, None], side)
        area = ((bottom - top)[:, :, None] * (right - left)[:, None]).astype(np.float32)
        top, bottom = top[:, :, None] * (self.width + 1), bottom[:, :, None] * (self.width + 1)
        left, right, sums = left[:, None], right[:, None], self._sums.reshape(-1)
        total = self._numbers(sums.take(top + left))
        total += self._numbers(sums.take(bottom + right))
        total -= self._numbers(sums.take(top + right))
        total -= self._numbers(sums.take(bottom + left))
        return total.reshape(*area.shape, 3).astype(np.float32) / area[..., None]

    def _numbers(self, sums: npt.NDArray[np.void]) -> npt.NDArray[Any]:
        return sums.view(self._kind)


class _Level(NamedTuple):
    """A size of the pyramid: which rows and columns each of its pixels covers, how many pixels these are, and its scale."""

    top: npt.NDArray[np.int64]
    bottom: npt.NDArray[np.int64]
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    area: FloatArray
    scale: float


@lru_cache(maxsize=16)
def _levels(height: int, width: int, first: float, factor: float) -> tuple[_Level, ...]:
    """Return the sizes in which a picture of this size is searched, the largest first."""
    found: list[_Level] = []
    scale, shorter = first, min(height, width) * first
    while shorter >= _WINDOW:
        top, bottom = _covered(np.array(0), np.array(height), int(height * scale + 1))
        left, right = _covered(np.array(0), np.array(width), int(width * scale + 1))
        area = ((bottom - top)[:, None, None] * (right - left)[:, None]).astype(np.float32)
        found.append(_Level(top, bottom, left, right, area, scale))
        scale, shorter = scale * factor, shorter * factor
    return tuple(found)


def _covered(
    start: npt.NDArray[np.int64], end: npt.NDArray[np.int64], count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first of the pixels from `start` to `end` that each of `count` new ones covers, and the one after the last."""
    steps, extent = np.arange(count), end - start
    return start + steps * extent // count, start + -(-(steps + 1) * extent // count)


def _judged(
    network: Network, picture: _Picture, found: _Places, side: int, at_once: int
) -> tuple[_Places, list[FloatArray]]:
    """Return the candidates that the picture shows, and what a network says of them."""
    # As the library counts: from pixel 1, both ends included.
    corners = np.trunc(found.boxes).astype(np.int64)
    first = np.maximum(corners[:, :2], 1)
    last = np.minimum(corners[:, 2:], np.array([picture.width, picture.height]))
    shown = (last >= first).all(axis=1)
    found, bounds = found[shown], np.concatenate([first - 1, last], axis=1)[shown]
    if not len(found):
        return found, []
    squares = picture.cut(bounds, side)
    outputs = [network(squares[part]) for part in split(len(squares), at_once, in_powers=True)]
    return found, [np.concatenate(parts) for parts in zip(*outputs, strict=True)]


def _distinct(boxes: FloatArray, scores: FloatArray, overlap: float) -> IndexArray:
    """Return which candidates remain, the best first, where the worse of two that overlap goes."""
    if not len(boxes):
        return np.zeros(0, np.intp)
    places = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).astype(np.float64)
    kept = cv2.dnn.NMSBoxes(places, scores, 0.0, overlap)  # type: ignore[arg-type]
    return np.asarray(kept, np.intp)


def _squares(found: _Places) -> _Places:
    """Widen each candidate to a square around its middle."""
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    longer = sides.max(axis=1, keepdims=True)
    first = found.boxes[:, :2] + sides * 0.5 - longer * 0.5
    return _Places(np.concatenate([first, first + longer], axis=1), found.scores)


def _moved(boxes: FloatArray, moves: FloatArray) -> FloatArray:
    """Move each edge by a fraction of the box's side."""
    return boxes + moves * np.tile(boxes[:, 2:] - boxes[:, :2] + 1, 2)

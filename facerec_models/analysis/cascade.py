"""MTCNN's three networks one after the other, over a batch of pictures of one size.

Zhang et al., *Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks*, IEEE SPL 2016. Networks, weights and
arithmetic are facenet-pytorch's, and so is what is found. Its own search asks the device for every candidate, hundreds in a
picture, where to cut; here the device is asked a few times in a batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from facenet_pytorch import ONet, PNet, RNet
from torch import Tensor, nn
from torchvision.ops import nms
from torchvision.ops.boxes import batched_nms

from facerec_models.analysis.batching import split
from facerec_models.analysis.boxes import distinct_by_the_smaller
from facerec_models.types import FloatArray, ImageArray

# What P-Net sees of a picture to judge one place, and how far apart the places are, in pixels.
_WINDOW, _STRIDE = 12, 2
# Sides of the candidates that R-Net and O-Net judge.
_R_SIDE, _O_SIDE = 24, 48
# Overlap above which the worse of two candidates goes: in one level of the pyramid, and afterwards.
_SAME_IN_LEVEL, _SAME = 0.5, 0.7
# Candidates that go through R-Net or O-Net at once.
_CANDIDATES, _CANDIDATES_AT_ONCE = 64, 4096


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Places that may be faces.

    Parameters
    ----------
    boxes : (N, 4) float32
    scores : (N,) float32
    images : (N,) int64
        Which picture of the batch each is in.
    """

    boxes: Tensor
    scores: Tensor
    images: Tensor

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Tensor) -> _Candidates:
        return _Candidates(self.boxes[index], self.scores[index], self.images[index])


class Cascade:
    """Three networks on one device.

    Convolutions run in ``channels_last``: 1.5 times faster on a CPU.

    Parameters
    ----------
    device : torch.device
    min_face_px : int
    thresholds : three of float
        Least score after each network.
    factor : float
        Scale between two levels of the pyramid.
    at_once : bool, optional
        Cut out and sort out all candidates in one go, which suits an accelerator, rather than one by one, which suits a CPU; by
        default what suits the device.
    """

    def __init__(
        self,
        device: torch.device,
        *,
        min_face_px: int,
        thresholds: tuple[float, float, float],
        factor: float,
        at_once: bool | None = None,
    ) -> None:
        self._device = device
        self._at_once = device.type != "cpu" if at_once is None else at_once
        self._largest = _CANDIDATES_AT_ONCE if self._at_once else _CANDIDATES
        self._min_face_px = min_face_px
        self._thresholds = thresholds
        self._factor = factor
        self._pnet, self._rnet, self._onet = (
            network().eval().to(device, memory_format=torch.channels_last) for network in (PNet, RNet, ONet)
        )

    @torch.inference_mode()
    def find(self, images: ImageArray) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
        """Find faces.

        Parameters
        ----------
        images : (B, H, W, 3) uint8
            RGB, at least `min_face_px` high and wide.

        Returns
        -------
        list of (N, 4), (N,) and (N, 5, 2) float32
            Boxes, scores and landmarks of each picture, the largest face first. Boxes may reach beyond the picture.
        """
        pictures = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2).float()
        cut = (_CutAtOnce if self._at_once else _CutEach)(pictures)
        found = self._refine(cut, self._propose(pictures))
        boxes, scores, points, of = (part.cpu().numpy() for part in self._finish(cut, found))
        result = []
        for i in range(len(images)):
            own = np.flatnonzero(of == i)
            sides = boxes[own, 2:] - boxes[own, :2]
            own = own[np.argsort(sides[:, 0] * sides[:, 1])[::-1]]
            result.append((boxes[own], scores[own], points[own]))
        return result

    def _propose(self, pictures: Tensor) -> _Candidates:
        """Slide P-Net over every level of the pyramid; return the squares around what it takes for faces."""
        height, width = pictures.shape[2:]
        parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        scale, shorter = _WINDOW / self._min_face_px, min(height, width) * (_WINDOW / self._min_face_px)
        while shorter >= _WINDOW:
            size = int(height * scale + 1), int(width * scale + 1)
            moves, scores = self._pnet(_normalize(nn.functional.interpolate(pictures, size=size, mode="area")))
            scores = scores[:, 1].float()
            image, row, column = (scores >= self._thresholds[0]).nonzero(as_tuple=True)
            corner = torch.stack([column, row], dim=1).float() * _STRIDE
            boxes = torch.cat([((corner + 1) / scale).floor(), ((corner + _WINDOW) / scale).floor()], dim=1)
            found = _Candidates(boxes, scores[image, row, column], image)
            kept = self._distinct(found, _SAME_IN_LEVEL)
            parts.append((boxes[kept], found.scores[kept], image[kept], moves[image, :, row, column].float()[kept]))
            scale, shorter = scale * self._factor, shorter * self._factor
        boxes, scores, image, moves = (torch.cat(part) for part in zip(*parts, strict=True))
        found = _Candidates(boxes, scores, image)
        kept = self._distinct(found, _SAME)
        found, moves = found[kept], moves[kept]
        sides = (found.boxes[:, 2:] - found.boxes[:, :2]).repeat(1, 2)
        return _squares(_Candidates(found.boxes + moves * sides, found.scores, found.images))

    def _refine(self, cut: _Cut, found: _Candidates) -> _Candidates:
        """Let R-Net judge and move the candidates."""
        found, bounds = cut.shown(found)
        if not len(found):
            return found
        moves, scores = self._judge(self._rnet, cut, found, bounds, _R_SIDE)
        passed = scores[:, 1] > self._thresholds[1]
        found, moves = _Candidates(found.boxes, scores[:, 1], found.images)[passed], moves[passed]
        kept = self._distinct(found, _SAME)
        found, moves = found[kept], moves[kept]
        return _squares(_Candidates(_moved(found.boxes, moves), found.scores, found.images))

    def _finish(self, cut: _Cut, found: _Candidates) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Let O-Net judge and move the candidates; return boxes, scores, landmarks and whose they are."""
        found, bounds = cut.shown(found)
        if not len(found):
            return found.boxes, found.scores, found.boxes.new_zeros(0, 5, 2), found.images
        moves, places, scores = self._judge(self._onet, cut, found, bounds, _O_SIDE)
        passed = scores[:, 1] > self._thresholds[2]
        found, moves, places = (
            _Candidates(found.boxes, scores[:, 1], found.images)[passed],
            moves[passed],
            places[passed],
        )
        sides = found.boxes[:, 2:] - found.boxes[:, :2] + 1
        points = torch.stack([places[:, :5], places[:, 5:]], dim=2) * sides[:, None] + found.boxes[:, None, :2] - 1
        found = _Candidates(_moved(found.boxes, moves), found.scores, found.images)
        kept = _distinct_by_the_smaller(found, _SAME)
        return found.boxes[kept], found.scores[kept], points[kept], found.images[kept]

    def _judge(
        self, network: Callable[[Tensor], tuple[Tensor, ...]], cut: _Cut, found: _Candidates, bounds: Tensor, side: int
    ) -> list[Tensor]:
        outputs = [
            network(_normalize(cut(found.images[part], bounds[part], side)))
            for part in split(len(found), self._largest, in_powers=self._device.type == "cpu")
        ]
        return [torch.cat(parts).float() for parts in zip(*outputs, strict=True)]

    def _distinct(self, found: _Candidates, overlap: float) -> Tensor:
        """Return which candidates remain, the best first, where the worse of two that overlap in a picture goes."""
        kept: Tensor
        if self._at_once and len(found):
            # The library's way with many boxes is to go through the pictures one by one.
            kept = nms(_spread(found), found.scores.double(), overlap)
        else:
            kept = batched_nms(found.boxes, found.scores, found.images, overlap)
        return kept


def _normalize(pixels: Tensor) -> Tensor:
    return (pixels - 127.5) * 0.0078125


def _squares(found: _Candidates) -> _Candidates:
    """Widen each candidate to a square around its middle."""
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    longer = sides.amax(dim=1, keepdim=True)
    first = found.boxes[:, :2] + sides * 0.5 - longer * 0.5
    return _Candidates(torch.cat([first, first + longer], dim=1), found.scores, found.images)


def _moved(boxes: Tensor, moves: Tensor) -> Tensor:
    """Move each edge by a fraction of the box's side."""
    return boxes + moves * (boxes[:, 2:] - boxes[:, :2] + 1).repeat(1, 2)


def _spread(found: _Candidates) -> Tensor:
    """Return the boxes with those of each picture far from those of all others, in float64: float32 would round the farthest."""
    boxes = found.boxes.double()
    return boxes + (found.images * (boxes.max() + 1))[:, None]


def _distinct_by_the_smaller(found: _Candidates, overlap: float) -> Tensor:
    """Return which candidates remain, the best first; two overlap by what they share of the smaller one.

    These are few: on an accelerator, one round after the other would take longer than to fetch them.
    """
    if not len(found):
        return found.images
    kept = distinct_by_the_smaller(_spread(found).cpu().numpy(), found.scores.cpu().numpy(), overlap)
    return torch.tensor(kept, device=found.images.device)


class _Cut(ABC):
    """Cuts squares out of pictures, and reduces or enlarges them: each pixel is the mean of those that it covers, in part or whole.

    Parameters
    ----------
    pictures : (B, 3, H, W) float32
    """

    def __init__(self, pictures: Tensor) -> None:
        self._pictures = pictures

    def shown(self, found: _Candidates) -> tuple[_Candidates, Tensor]:
        """Return the candidates that the pictures show, and their edges inside of the picture as (N, 4) int32."""
        height, width = self._pictures.shape[2:]
        # As the library counts: from pixel 1, both ends included.
        corners = found.boxes.trunc().int()
        first, last = corners[:, :2].clamp(min=1), corners[:, 2:].clamp(max=corners.new_tensor([width, height]))
        shown = (last >= first).all(dim=1).nonzero()[:, 0]
        return found[shown], torch.cat([first - 1, last], dim=1)[shown]

    @abstractmethod
    def __call__(self, images: Tensor, bounds: Tensor, side: int) -> Tensor:
        """Return (N, 3, side, side) float32 from these pictures and edges."""


class _CutEach(_Cut):
    """One after the other."""

    def __call__(self, images: Tensor, bounds: Tensor, side: int) -> Tensor:
        cut = [
            nn.functional.interpolate(
                self._pictures[i : i + 1, :, top:bottom, left:right], size=(side, side), mode="area"
            )
            for i, (left, top, right, bottom) in zip(images.tolist(), bounds.tolist(), strict=True)
        ]
        return torch.cat(cut)


class _CutAtOnce(_Cut):
    """From sums over the rectangles that begin at a picture's first pixel."""

    def __init__(self, pictures: Tensor) -> None:
        super().__init__(pictures)
        # Whole numbers: float32 would lose the last ones in so large a sum.
        self._sums = nn.functional.pad(pictures.long().cumsum(2).cumsum(3), (1, 0, 1, 0))

    def __call__(self, images: Tensor, bounds: Tensor, side: int) -> Tensor:
        steps = torch.arange(side, device=bounds.device)[None, :, None]
        start, extent = bounds[:, None, :2].long(), (bounds[:, None, 2:] - bounds[:, None, :2]).long()
        low, high = start + steps * extent // side, start + ((steps + 1) * extent + side - 1) // side
        at = images[:, None, None]

        def before(y: Tensor, x: Tensor) -> Tensor:
            return self._sums[at, :, y[:, :, 1, None], x[:, None, :, 0]]

        total = before(high, high) - before(low, high) - before(high, low) + before(low, low)
        area = (high - low)[:, :, 1, None] * (high - low)[:, None, :, 0]
        return (total / area[..., None]).permute(0, 3, 1, 2)

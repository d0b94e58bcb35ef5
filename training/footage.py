"""Photographs as a video would show them: small, blurred, dull, grainy, compressed, in other colours, landmarks off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from facerec_models.analysis import quality
from facerec_models.analysis.alignment import align
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.faces import largest_face
from facerec_models.config import IdentificationConfig
from facerec_models.types import Detections, FaceSet, FloatArray, ImageArray
from facerec_models.vectors import normalize

# Looks at a person that a track averages, and how often they are at two photographs, where there are two: real faces turn.
_LOOKS, _TWO_PHOTOGRAPHS = (1, 2, 4, 8), 0.5
_TRIES = 20
# Of a video: the least and greatest width of its faces in pixels, how much that varies within it, JPEG's quality.
_WIDTH_PX, _ZOOM, _QUALITY = (24.0, 110.0), 0.08, (35.0, 92.0)
# How often it is blurred, and how much; of low contrast; grainy, in levels of brightness; and how soft the grain is.
_BLURRED, _BLUR_PX = 0.5, (0.3, 1.6)
_DULL, _CONTRAST, _BRIGHTNESS = 0.25, (0.4, 1.0), (0.4, 1.1)
_GRAINY, _GRAIN, _SOFT_PX = 0.3, (3.0, 14.0), (0.3, 0.8)
# How often a track is in colour; how far colours are blurred, and from which spread of a pixel's channels on a face has any.
_COLOURED, _BLUR_COLOUR_PX, _LEAST_SPREAD = 0.7, 5.0, 4.0
# Half the side of what is cut from a picture, in sides of the face.
_REACH = 1.6
# Landmarks are off by this many eye distances each, and all together.
_POINT, _SHIFT = 0.025, 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A person's face with its surroundings, cut from a picture: where it is in `image`, and its embedding."""

    person: str
    path: Path
    image: ImageArray
    box: FloatArray
    landmarks: FloatArray
    embedding: FloatArray

    @classmethod
    def cut(cls, person: str, path: Path, image: ImageArray, faces: FaceSet, largest_px: float) -> Portrait:
        """Cut the largest of one or more faces out of their picture; one that is larger than so many pixels is reduced."""
        i = largest_face(faces.detections)
        box, landmarks = faces.detections.boxes[i], faces.detections.landmarks[i]
        # A border around the face is enough, and a large picture takes long.
        middle, reach = (box[:2] + box[2:]) / 2, _REACH * float((box[2:] - box[:2]).max())
        left, top = np.maximum(np.floor(middle - reach), 0).astype(int)
        right, bottom = np.ceil(middle + reach).astype(int)
        corner = np.array([left, top], np.float32)
        around = image[top:bottom, left:right].copy()
        scale = min(1.0, largest_px / float((box[2:] - box[:2]).max()))
        if scale < 1:
            around = cv2.resize(around, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8)
        box, landmarks = (box - np.tile(corner, 2)) * scale, (landmarks - corner) * scale
        return cls(person, path, around, box, landmarks, faces.embeddings[i])

    def crop(self, embedder: FaceEmbedder) -> ImageArray:
        """Return the aligned face."""
        (crop,), _ = align(self.image, self.landmarks[None], embedder.template)
        return np.asarray(crop, np.uint8)


@dataclass(frozen=True, slots=True)
class Footage:
    """What a video does to all faces in it: their width in pixels, blur, contrast, brightness, grain, and compression."""

    width_px: float
    blur_px: float
    contrast: float
    brightness: float
    grain: float
    soft_px: float
    quality: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Footage:
        """Return any."""
        return cls(
            width_px=float(np.exp(rng.uniform(*np.log(_WIDTH_PX)))),
            blur_px=rng.uniform(*_BLUR_PX) if rng.random() < _BLURRED else 0.0,
            contrast=rng.uniform(*_CONTRAST) if rng.random() < _DULL else 1.0,
            brightness=rng.uniform(*_BRIGHTNESS),
            grain=rng.uniform(*_GRAIN) if rng.random() < _GRAINY else 0.0,
            soft_px=rng.uniform(*_SOFT_PX),
            quality=rng.uniform(*_QUALITY),
        )

    def show(self, image: ImageArray, scale: float, rng: np.random.Generator) -> ImageArray:
        """Return a picture as one frame of this footage shows it, `scale` times as large."""
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        reduced: npt.NDArray[np.floating | np.integer] = small.astype(np.float32)
        if self.contrast < 1:
            middle = reduced.mean()
            reduced = (reduced - middle) * self.contrast + middle * self.brightness
        if self.blur_px:
            reduced = cv2.GaussianBlur(reduced, (0, 0), self.blur_px * rng.uniform(0.5, 1.3))
        if self.grain:
            # Of brightness alone: a gray picture stays gray.
            noise = rng.normal(0, self.grain, reduced.shape[:2]).astype(np.float32)
            reduced = cv2.GaussianBlur(reduced + noise[..., None], (0, 0), self.soft_px)
        shown = np.clip(reduced, 0, 255).astype(np.uint8)
        coded = cv2.imencode(".jpg", shown[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, round(self.quality)])[1]
        return np.ascontiguousarray(np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])


def is_coloured(crop: ImageArray) -> bool:
    """Whether an aligned face is in colour."""
    return float(np.ptp(crop, axis=-1).mean()) >= _LEAST_SPREAD


def face_colours(crops: Sequence[ImageArray]) -> list[ImageArray]:
    """Return the two colour differences of all aligned faces that are in colour, blurred, (S, S, 2) uint8 each."""
    found = [cv2.cvtColor(crop, cv2.COLOR_RGB2YCrCb)[..., 1:] for crop in crops if is_coloured(crop)]
    return [np.asarray(cv2.GaussianBlur(one, (0, 0), _BLUR_COLOUR_PX), np.uint8) for one in found]


def in_colours(
    crops: Sequence[ImageArray], colours: Sequence[ImageArray], rng: np.random.Generator, *, is_gray: bool
) -> list[ImageArray]:
    """Return one person's crops in gray, or in colour: gray ones all in one of these."""
    has_colour = any(map(is_coloured, crops))
    if has_colour and is_gray:
        return [np.repeat(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=-1) for crop in crops]
    if has_colour or is_gray or not colours:
        return list(crops)
    colour = colours[int(rng.integers(len(colours)))]
    return [_coloured(crop, colour) for crop in crops]


def _coloured(crop: ImageArray, colour: ImageArray) -> ImageArray:
    """Return a crop in another face's colours; its brightness stays."""
    shown = cv2.cvtColor(np.dstack([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), colour]), cv2.COLOR_YCrCb2RGB)
    return np.asarray(shown, np.uint8)


def as_tracks(
    people: Sequence[Sequence[Portrait]],
    embedder: FaceEmbedder,
    colours: Sequence[ImageArray] | None,
    on_progress: Callable[[int], None] | None = None,
) -> FloatArray:
    """Return a track of each person as a video would give it, (N, D) unit vectors; none that is too poor to be named.

    Parameters
    ----------
    colours : sequence of (S, S, 2) uint8, or None
        Seven tracks in ten are in colour, those of gray pictures in one of these; None leaves all as they are.
    on_progress : callable, optional
        Gets how many tracks are done.
    """
    rng = np.random.default_rng(0)
    means = []
    for pictures in people:
        crops, weights = _good_looks(pictures, embedder, rng)
        if colours is not None:
            crops = in_colours(crops, colours, rng, is_gray=rng.random() >= _COLOURED)
        means.append((weights[:, None] * embedder.embed(np.stack(crops))).sum(axis=0))
        if on_progress is not None:
            on_progress(len(means))
    return normalize(np.stack(means))


def _good_looks(
    pictures: Sequence[Portrait], embedder: FaceEmbedder, rng: np.random.Generator
) -> tuple[list[ImageArray], FloatArray]:
    """Draw footage until its best looks are good enough for a name; pictures that never are give their best."""
    tries = []
    for _ in range(_TRIES):
        footage, count = Footage.drawn(rng), int(rng.choice(_LOOKS))
        shown = pictures[: 2 if rng.random() < _TWO_PHOTOGRAPHS else 1]
        looks = [_look(shown[k * len(shown) // count], footage, embedder, rng) for k in range(count)]
        weights = np.array([quality for _, quality in looks], np.float32)
        tries.append((float(np.sort(weights)[-3:].mean()), [crop for crop, _ in looks], weights))
        if tries[-1][0] >= IdentificationConfig().min_quality_named_tracks:
            break
    _, crops, weights = max(tries, key=lambda one: one[0])
    return crops, weights


def _look(
    subject: Portrait, footage: Footage, embedder: FaceEmbedder, rng: np.random.Generator
) -> tuple[ImageArray, float]:
    """Return a crop of the subject as the footage might show it, and its quality."""
    side = float((subject.box[2:] - subject.box[:2]).min())
    scale = min(1.0, footage.width_px * float(np.exp(rng.normal(0, _ZOOM))) / side)
    image = footage.show(subject.image, scale, rng)
    eyes = float(np.linalg.norm(subject.landmarks[1] - subject.landmarks[0])) * scale
    points = subject.landmarks * scale
    points = points + rng.normal(0, _POINT * eyes, (5, 2)) + rng.normal(0, _SHIFT * eyes, (1, 2))
    box = subject.box * scale
    found = Detections(box[None].astype(np.float32), np.ones(1, np.float32), points[None].astype(np.float32))
    crops, residual_px = align(image, found.landmarks, embedder.template)
    measured = quality.features(found, crops, residual_px, image.shape[1], image.shape[0])
    return crops[0], max(float(quality.score(measured)[0]), 1e-3)

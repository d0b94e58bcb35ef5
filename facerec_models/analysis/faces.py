"""From pictures to faces with embeddings: detection, alignment, quality and embedding of several pictures at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facerec_models.analysis import boxes, quality
from facerec_models.analysis.alignment import align
from facerec_models.analysis.detection import FaceDetector, one_box_a_head, reduce_image, scale_detections
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.tiles import search_tiles
from facerec_models.config import DetectionConfig
from facerec_models.types import Detections, FaceSet, ImageArray

# Border added around a still in which no face was found, as a fraction of its sides: tight crops of faces lack the
# surroundings that the detector was trained with.
_BORDER = 0.35
# By how much a face's area has to exceed every other's to be clearly the largest: a portrait before people in the background.
_CLEARLY_LARGER = 4.0


def detect_faces(images: Sequence[ImageArray], detector: FaceDetector, config: DetectionConfig) -> list[Detections]:
    """Find the faces of pictures of any size at the size that suits the detector.

    Returns
    -------
    list of Detections
        In the pixels of the given pictures.
    """
    reduced = [reduce_image(image, config.max_side_px) for image in images]
    found = detector.detect([image for image, _ in reduced])
    return [
        one_box_a_head(scale_detections(detections, factor, image.shape[1], image.shape[0]))
        for image, (_, factor), detections in zip(images, reduced, found, strict=True)
    ]


def describe_faces(images: Sequence[ImageArray], found: Sequence[Detections], embedder: FaceEmbedder) -> list[FaceSet]:
    """Align, judge and embed the faces of several pictures; all embeddings are computed in one call."""
    aligned = [
        align(image, detections.landmarks, embedder.template) for image, detections in zip(images, found, strict=True)
    ]
    counts = [len(detections) for detections in found]
    embeddings = embedder.embed(np.concatenate([crops for crops, _ in aligned]) if aligned else _no_crops(embedder))
    parts = np.split(embeddings, np.cumsum(counts)[:-1]) if counts else []
    return [
        FaceSet(
            detections,
            crops,
            quality.score(quality.features(detections, crops, residual_px, image.shape[1], image.shape[0])),
            part,
        )
        for image, detections, (crops, residual_px), part in zip(images, found, aligned, parts, strict=True)
    ]


def find_faces(
    images: Sequence[ImageArray], detector: FaceDetector, embedder: FaceEmbedder, config: DetectionConfig
) -> list[FaceSet]:
    """Find and describe the faces of stills: in large ones all of `min_still_face_px`, in tight crops the one that fills them."""
    found = detect_in_stills(images, detector, config)
    empty = [i for i, detections in enumerate(found) if len(detections) == 0]
    for i, detections in zip(empty, _detect_with_border([images[i] for i in empty], detector, config), strict=True):
        found[i] = detections
    return describe_faces(images, found, embedder)


def detect_in_stills(images: Sequence[ImageArray], detector: FaceDetector, config: DetectionConfig) -> list[Detections]:
    """Find the faces of stills, large and long ones in tiles as well: see `facerec_models.analysis.tiles`.

    Returns
    -------
    list of Detections
        In the pixels of the given pictures.
    """
    return [
        search_tiles(image, detections, max(1.0, max(image.shape[:2]) / config.max_side_px), detector, config)
        for image, detections in zip(images, detect_faces(images, detector, config), strict=True)
    ]


def _detect_with_border(
    images: Sequence[ImageArray], detector: FaceDetector, config: DetectionConfig
) -> list[Detections]:
    padded, factors, borders = [], [], []
    for image in images:
        # Reduced before it is copied: with its border a large picture would have three times the pixels.
        reduced, factor = reduce_image(image, round(config.max_side_px / (1 + 2 * _BORDER)))
        border = round(_BORDER * max(reduced.shape[:2]))
        padded.append(np.pad(reduced, ((border, border), (border, border), (0, 0)), mode="edge"))
        factors.append(factor)
        borders.append(border)
    found = detect_faces(padded, detector, config) if padded else []
    return [
        _without_border(detections, border, factor, image)
        for detections, border, factor, image in zip(found, borders, factors, images, strict=True)
    ]


def _without_border(found: Detections, border: int, factor: float, image: ImageArray) -> Detections:
    moved = Detections(found.boxes - np.float32(border), found.scores, found.landmarks - np.float32(border))
    inside = scale_detections(moved, factor, image.shape[1], image.shape[0])
    area_left = (inside.boxes[:, 2:] - inside.boxes[:, :2]).prod(axis=1) / factor**2
    area_found = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(axis=1)
    return inside.select(area_left > 0.6 * area_found)


def _no_crops(embedder: FaceEmbedder) -> ImageArray:
    return np.zeros((0, embedder.template.size, embedder.template.size, 3), np.uint8)


def largest_face(detections: Detections) -> int:
    """Return the index of the largest of one or more faces."""
    return int(boxes.area(detections.boxes).argmax())


def clearly_largest_face(detections: Detections) -> int | None:
    """Return the index of the face that is at least twice as wide as every other; None if there is no such face.

    Examples
    --------
    >>> import numpy as np
    >>> boxes = np.float32([[0, 0, 40, 50], [60, 0, 80, 25]])
    >>> faces = Detections(boxes, np.ones(2, np.float32), np.zeros((2, 5, 2), np.float32))
    >>> clearly_largest_face(faces), clearly_largest_face(Detections.empty())
    (0, None)
    """
    if len(detections) == 0:
        return None
    areas = boxes.area(detections.boxes)
    index = int(areas.argmax())
    return index if (areas[index] >= _CLEARLY_LARGER * np.delete(areas, index)).all() else None

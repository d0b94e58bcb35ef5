"""The faces of the evaluation pictures, found once in this process: for measurements that draw many galleries from them."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

# Before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import cv2
import numpy as np

from facerec_models.analysis.networks import load_networks
from facerec_models.config import AnalysisConfig, EmbeddingConfig
from facerec_models.errors import ImageError
from facerec_models.stills import find_stills
from facerec_models.types import FaceSet, FloatArray, ImageArray
from serving.archive.files import Files
from tests.benchmarks.command import say

# Mean difference of a channel from the light, of 255: less is compression.
_LEAST_COLOUR = 2.0
_PICTURES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """The largest face of a picture, whose name the file has."""

    person_id: str
    path: Path
    embedding: FloatArray
    quality: float
    score: float


def subject_of(person_id: str, path: Path, faces: FaceSet) -> Subject | None:
    """Return the largest face; None without any."""
    if len(faces) == 0:
        return None
    boxes = faces.detections.boxes
    i = int((boxes[:, 2:] - boxes[:, :2]).prod(axis=1).argmax())
    return Subject(person_id, path, faces.embeddings[i], float(faces.quality[i]), float(faces.detections.scores[i]))


class Pictures:
    """Finds faces with the packaged network.

    Parameters
    ----------
    gray : bool
        Embed people's faces without their colours; they are found in the pictures as these are.
    colour : bool
        Leave out people's pictures whose face is gray already.
    """

    def __init__(self, mirror: bool = True, gray: bool = False, colour: bool = False) -> None:
        self._analysis = AnalysisConfig(embedding=EmbeddingConfig(embedder="dlib", mirror=mirror))
        self._networks = load_networks(self._analysis, Files(Path("none")).weights, None)
        self._gray = gray
        self._colour = colour

    def faces(self, path: Path) -> FaceSet:
        """Return the faces of a picture, none of one that cannot be read."""
        (found,) = find_stills([(path.name, path)], self._networks, self._analysis)
        if isinstance(found, FaceSet):
            return found
        blank = np.zeros((64, 64, 3), np.uint8)
        (empty,) = find_stills([("blank", _png(blank))], self._networks, self._analysis)
        if not isinstance(empty, FaceSet):
            raise ImageError("a blank picture could not be read")
        return empty

    def _without_colours(self, found: FaceSet) -> FaceSet:
        light = [cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in found.crops]
        crops = np.repeat(np.stack(light)[..., None], 3, axis=3)
        return replace(found, crops=crops, embeddings=self._networks.embedder.embed(crops))

    def people(self, folder: Path) -> dict[str, list[Subject]]:
        """Return the subjects of ``folder/<Person>/*`` by person id, those without a face left out."""
        found: dict[str, list[Subject]] = defaultdict(list)
        pictures = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in _PICTURES)
        for path in pictures:
            person_id = unicodedata.normalize("NFC", path.parent.name)
            faces = self.faces(path)
            if self._colour and not any(map(_has_colours, faces.crops)):
                continue
            if self._gray and len(faces):
                faces = self._without_colours(faces)
            subject = subject_of(person_id, path, faces)
            if subject is not None:
                found[person_id].append(subject)
        say(f"{folder.name}: {sum(map(len, found.values()))} of {len(pictures)} pictures with a face")
        return dict(found)


def _has_colours(crop: ImageArray) -> bool:
    return bool(np.abs(crop - crop.mean(axis=2, keepdims=True)).mean() > _LEAST_COLOUR)


def _png(image: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", image)[1])


__all__ = ["Pictures", "Subject", "subject_of"]

"""One face in two copies of a picture: whose it is learned as, so that it is not learned as another person's."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from facerec_models.config import LimitsConfig
from facerec_models.errors import ImageError
from facerec_models.images import read_image
from facerec_models.types import FloatArray, ImageArray
from serving.archive.files import Files
from serving.store.rows import Face

# Of a hundred copies of photographs, smaller and compressed again, 93 of 100 are at least so similar by dlib's network, and correlate
# by more than .78; faces of two people reach .95 in similarity. The pixels tell where a network takes all faces for alike.
_LEAST_SIMILARITY, _LEAST_CORRELATION = 0.98, 0.75
# So many of the most similar faces are compared.
_COMPARED = 20


class LearnedFaces:
    """Faces that are learned as other people's, of one embedder."""

    def __init__(self, files: Files, project: str, faces: Sequence[Face]) -> None:
        self._files = files
        self._project = project
        self._faces: list[Face] = [face for face in faces if face.embedding is not None and face.crop is not None]
        vectors = [face.embedding for face in self._faces if face.embedding is not None]
        self._vectors = np.stack(vectors) if vectors else None

    def same_as(self, embedding: FloatArray, crop: ImageArray) -> Face | None:
        """Return the face that is this very one, in the same or another copy of its picture, mirrored or not."""
        if self._vectors is None:
            return None
        similarity = self._vectors @ embedding
        for i in np.argsort(-similarity)[:_COMPARED].tolist():
            if similarity[i] < _LEAST_SIMILARITY:
                break
            face: Face = self._faces[i]
            other = read_face(self._files, self._project, face)
            if (
                other is not None
                and max(_correlation(crop, other), _correlation(_mirrored(crop), other)) >= _LEAST_CORRELATION
            ):
                return face
        return None


def read_face(files: Files, project: str, face: Face) -> ImageArray | None:
    """Return a stored face's picture; None if it is gone or damaged."""
    path = files.face_crop(project, face.face_id)
    try:
        return read_image(path.read_bytes(), LimitsConfig(), name=str(path)) if path.is_file() else None
    except ImageError:
        return None


def _mirrored(crop: ImageArray) -> ImageArray:
    return np.ascontiguousarray(crop[:, ::-1])


def _correlation(a: ImageArray, b: ImageArray) -> float:
    if a.shape != b.shape:
        return 0.0
    flat = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64).ravel() for image in (a, b)]
    spread = float(flat[0].std() * flat[1].std())
    centred = [one - one.mean() for one in flat]
    return float((centred[0] * centred[1]).mean()) / spread if spread > 0 else 0.0

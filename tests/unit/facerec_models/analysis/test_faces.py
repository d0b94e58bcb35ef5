from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.faces import describe_faces, detect_faces, find_faces
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.config import DetectionConfig, LimitsConfig
from facerec_models.images import read_image
from facerec_models.types import Detections, ImageArray
from tests.builders import cohort, sample_picture

CONFIG = DetectionConfig(device="cpu")
BLANK = np.full((200, 300, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def astronaut() -> ImageArray:
    return sample_picture("astronaut.png")


@pytest.fixture(scope="module")
def tight(astronaut: ImageArray) -> ImageArray:
    """The face alone, from ear to ear: the detector does not find it without surroundings."""
    return np.ascontiguousarray(astronaut[66:176, 190:257])


def test_a_tight_crop_is_found_through_a_border(
    detector: MtcnnDetector, embedder: FaceEmbedder, astronaut: ImageArray, tight: ImageArray
) -> None:
    assert len(detect_faces([tight], detector, CONFIG)[0]) == 0
    whole, cropped = find_faces([astronaut, tight], detector, embedder, CONFIG)
    assert len(cropped) == 1
    left, top, right, bottom = cropped.detections.boxes[0]
    assert 0 <= left < right <= tight.shape[1]
    assert 0 <= top < bottom <= tight.shape[0]
    # Its coordinates are those of the crop, and it is the same person.
    np.testing.assert_allclose(cropped.detections.landmarks + np.array([190, 66]), whole.detections.landmarks, atol=8)
    assert cohort().pair.log_odds(whole.embeddings @ cropped.embeddings.T)[0, 0] > 0


def test_pictures_keep_their_faces_in_a_batch(
    detector: MtcnnDetector, embedder: FaceEmbedder, astronaut: ImageArray
) -> None:
    double = np.hstack([astronaut, astronaut[:, ::-1]])
    pictures = [BLANK, double, BLANK, astronaut]
    together = find_faces(pictures, detector, embedder, CONFIG)
    assert [len(faces) for faces in together] == [0, 2, 0, 1]
    for picture, faces in zip(pictures, together, strict=True):
        alone = find_faces([picture], detector, embedder, CONFIG)[0]
        np.testing.assert_allclose(faces.embeddings, alone.embeddings, atol=1e-3)
        np.testing.assert_array_equal(faces.crops, alone.crops)
        np.testing.assert_allclose(faces.quality, alone.quality, atol=1e-3)


def test_embeddings_have_unit_length_and_crops_the_networks_size(
    detector: MtcnnDetector, embedder: FaceEmbedder, astronaut: ImageArray
) -> None:
    faces = find_faces([astronaut], detector, embedder, CONFIG)[0]
    assert faces.crops.shape == (1, embedder.template.size, embedder.template.size, 3)
    assert faces.embeddings.shape == (1, embedder.dimension)
    np.testing.assert_allclose(np.linalg.norm(faces.embeddings, axis=1), 1, atol=1e-5)
    assert 0.5 < faces.quality[0] <= 1


def test_no_picture_and_no_face_are_described_as_nothing(embedder: FaceEmbedder) -> None:
    assert describe_faces([], [], embedder) == []
    (nobody,) = describe_faces([BLANK], [Detections.empty()], embedder)
    assert len(nobody) == 0
    assert nobody.embeddings.shape == (0, embedder.dimension)


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (900, 2)], ids=str)
def test_pictures_without_room_for_a_face_have_none(
    detector: MtcnnDetector, embedder: FaceEmbedder, size: tuple[int, int]
) -> None:
    assert len(find_faces([np.full((*size, 3), 90, np.uint8)], detector, embedder, CONFIG)[0]) == 0


def test_small_blurred_and_cut_faces_are_worse(
    detector: MtcnnDetector, embedder: FaceEmbedder, astronaut: ImageArray
) -> None:
    small = np.asarray(cv2.resize(astronaut, None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA), np.uint8)
    blurred = np.asarray(cv2.GaussianBlur(astronaut, (0, 0), 4), np.uint8)
    cut = np.ascontiguousarray(astronaut[:, 212:])
    found = find_faces([astronaut, small, blurred, cut], detector, embedder, CONFIG)
    good, *poor = [float(faces.quality.max()) for faces in found]
    assert all(quality < 0.75 * good for quality in poor), (good, poor)


def test_tight_crops_of_photographs_are_found(detector: MtcnnDetector, embedder: FaceEmbedder, eval_data: Path) -> None:
    pictures = [read_image(path, LimitsConfig()) for path in sorted((eval_data / "gallery").glob("*/*"))[::5]]
    cropped = []
    for picture, found in zip(pictures, detect_faces(pictures, detector, CONFIG), strict=True):
        for left, top, right, bottom in found.boxes[:1].tolist():
            x, y = round((right - left) / 20), round((bottom - top) / 20)
            cropped.append(picture[round(top) + y : round(bottom) - y, round(left) + x : round(right) - x].copy())
    plain = sum(len(found) > 0 for found in detect_faces(cropped, detector, CONFIG))
    bordered = sum(len(found) > 0 for found in find_faces(cropped, detector, embedder, CONFIG))
    assert len(cropped) >= 40
    assert plain < 0.8 * len(cropped)
    assert bordered > 0.9 * len(cropped)

from __future__ import annotations

import cv2
import numpy as np

from facerec_models.analysis.embedders.tint import tint_gray
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.faces import find_faces
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.config import DetectionConfig
from facerec_models.types import ImageArray
from tests.builders import sample_picture


def gray(image: ImageArray) -> ImageArray:
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def test_a_gray_face_is_as_near_to_its_colours_as_the_tint_brings_it(
    detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    (faces,) = find_faces([sample_picture("astronaut.png")], detector, embedder, DetectionConfig())
    crop = faces.crops[0]
    # One bright spot: not gray to the eye of the test, and so not tinted.
    untinted = gray(crop)
    untinted[::5, ::5, 0] = np.minimum(untinted[::5, ::5, 0].astype(int) + 9, 255)
    (coloured, tinted, plain) = embedder.embed(np.stack([crop, gray(crop), untinted]))
    assert coloured @ tinted > coloured @ plain + 0.001


def test_brightness_stays_and_colours_are_untouched() -> None:
    crop = sample_picture("astronaut.png")[50:200, 150:300]
    (same, tinted) = tint_gray(np.stack([crop, gray(crop)]))
    np.testing.assert_array_equal(same, crop)
    light = cv2.cvtColor(tinted, cv2.COLOR_RGB2GRAY).astype(int)
    # But where a channel would be less than nothing or more than full.
    between = (gray(crop)[..., 0] > 60) & (gray(crop)[..., 0] < 200)
    assert np.abs(light - gray(crop)[..., 0])[between].max() <= 3
    assert (tinted[..., 0].astype(int) - tinted[..., 2]).mean() > 20


def test_no_crops_are_no_crops() -> None:
    assert tint_gray(np.zeros((0, 150, 150, 3), np.uint8)).shape == (0, 150, 150, 3)

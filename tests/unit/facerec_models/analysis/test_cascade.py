"""The search finds what facenet-pytorch's own finds, one candidate after the other and all at once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN
from torch.utils._python_dispatch import TorchDispatchMode

from facerec_models.analysis.cascade import Cascade
from facerec_models.config import DetectionConfig
from facerec_models.types import ImageArray
from tests.builders import sample_picture

CPU = torch.device("cpu")
CONFIG = DetectionConfig(device="cpu")
# Low enough that hundreds of candidates come through all three networks.
EASY = (0.2, 0.01, 0.001)


def cascade(thresholds: tuple[float, float, float], *, at_once: bool) -> Cascade:
    return Cascade(CPU, min_face_px=CONFIG.min_face_px, thresholds=thresholds, factor=CONFIG.factor, at_once=at_once)


@pytest.fixture(scope="module")
def pictures() -> ImageArray:
    """A face, the same in noise, noise, the face at the border, and nothing."""
    whole = sample_picture("astronaut.png")
    astronaut = whole[:300, 50:400]
    noise = np.random.default_rng(0).integers(0, 256, astronaut.shape, np.uint8)
    blank = np.full_like(astronaut, 128)
    return np.stack([astronaut, astronaut // 2 + noise // 2, noise, whole[80:380, 125:475], blank])


class Operations(TorchDispatchMode):
    """Counts what torch is told to do."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("thresholds", [CONFIG.thresholds, EASY])
def test_it_finds_what_the_library_finds(
    pictures: ImageArray, thresholds: tuple[float, float, float], at_once: bool
) -> None:
    library = MTCNN(
        min_face_size=CONFIG.min_face_px,
        thresholds=list(thresholds),
        factor=CONFIG.factor,
        keep_all=True,
        device="cpu",
    )
    found = cascade(thresholds, at_once=at_once).find(pictures)
    counts = [len(boxes) for boxes, _, _ in found]
    assert counts[-1] == 0
    assert counts[0] >= 1
    assert sum(counts) >= (100 if thresholds == EASY else 3)
    expected = zip(*library.detect(pictures, landmarks=True), strict=True)
    for (boxes, scores, points), (face_boxes, face_scores, face_points) in zip(found, expected, strict=True):
        if face_boxes is None:
            assert len(boxes) == 0
            continue
        wanted = np.asarray(face_boxes, np.float32)
        # Boxes of nearly one size may change places.
        order = np.abs(boxes[:, None] - wanted[None]).max(axis=2).argmin(axis=0)
        assert sorted(order) == list(range(len(boxes)))
        np.testing.assert_allclose(boxes[order], wanted, atol=0.01)
        np.testing.assert_allclose(scores[order], np.asarray(face_scores, np.float32), atol=1e-4)
        np.testing.assert_allclose(points[order], np.asarray(face_points, np.float32), atol=0.01)
        assert boxes.dtype == scores.dtype == points.dtype == np.float32


def test_an_accelerator_is_not_asked_about_each_candidate(pictures: ImageArray) -> None:
    def told(*, at_once: bool) -> Counter[str]:
        with Operations() as operations:
            cascade(CONFIG.thresholds, at_once=at_once).find(pictures[1:2])
        return operations.counts

    together, each = told(at_once=True), told(at_once=False)
    # One for each level of the pyramid, and none for a candidate.
    levels = together["adaptive_avg_pool2d"]
    assert levels == 8
    assert each["adaptive_avg_pool2d"] > levels + 30
    for waits in ("item", "_local_scalar_dense"):
        assert together[waits] == each[waits] == 0


def test_a_small_face_in_the_last_corner_of_a_bright_picture_is_cut_out_exactly() -> None:
    """Sums over so many bright pixels have more digits than float32."""
    small = cv2.resize(sample_picture("astronaut.png"), (180, 180), interpolation=cv2.INTER_AREA)
    picture = np.full((1, 720, 1280, 3), 240, np.uint8)
    picture[0, -180:, -180:] = small
    (together,), (each,) = (cascade(EASY, at_once=at_once).find(picture) for at_once in (True, False))
    assert len(each[0]) >= 1
    for a, b in zip(together, each, strict=True):
        np.testing.assert_allclose(a, b, atol=0.01)

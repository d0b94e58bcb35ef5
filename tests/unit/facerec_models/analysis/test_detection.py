from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from facenet_pytorch import MTCNN
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from facerec_models.analysis import boxes
from facerec_models.analysis.detection import reduce_image, scale_detections
from facerec_models.analysis.faces import detect_faces
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.config import DetectionConfig, LimitsConfig
from facerec_models.errors import InputError
from facerec_models.images import read_image
from facerec_models.types import Detections, ImageArray
from tests.builders import Seen, face_set, sample_picture

CONFIG = DetectionConfig(device="cpu")


@pytest.fixture(scope="module")
def astronaut() -> ImageArray:
    return sample_picture("astronaut.png")


def resized(image: ImageArray, factor: float) -> ImageArray:
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)


def assert_same(a: Detections, b: Detections) -> None:
    np.testing.assert_allclose(a.boxes, b.boxes, atol=0.02)
    np.testing.assert_allclose(a.scores, b.scores, atol=1e-3)
    np.testing.assert_allclose(a.landmarks, b.landmarks, atol=0.02)


def test_a_face_is_found_with_its_landmarks_in_order(detector: MtcnnDetector, astronaut: ImageArray) -> None:
    found = detector.detect([astronaut])[0]
    assert len(found) == 1
    assert found.scores[0] > 0.99
    # Eileen Collins's face, as one sees it.
    assert boxes.iou(found.boxes, np.array([[180, 62, 268, 176]], np.float32))[0, 0] > 0.8
    eye_left, eye_right, nose, mouth_left, mouth_right = found.landmarks[0]
    assert eye_left[0] < nose[0] < eye_right[0]
    assert mouth_left[0] < nose[0] < mouth_right[0]
    assert max(eye_left[1], eye_right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])
    left, top, right, bottom = found.boxes[0]
    assert ((found.landmarks[0] > [left, top]) & (found.landmarks[0] < [right, bottom])).all()


def test_gray_and_colour_agree(detector: MtcnnDetector, astronaut: ImageArray) -> None:
    gray = np.repeat(cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2).astype(np.uint8)
    in_gray, in_colour = detector.detect([gray, astronaut])
    assert len(in_gray) == 1
    assert boxes.iou(in_gray.boxes, in_colour.boxes)[0, 0] > 0.8


def test_colour_channels_are_red_green_blue(detector: MtcnnDetector, astronaut: ImageArray) -> None:
    straight, swapped = detector.detect([astronaut, np.ascontiguousarray(astronaut[..., ::-1])])
    assert not np.array_equal(straight.boxes, swapped.boxes[:1])


def test_a_face_far_below_the_smallest_size_is_not_found(astronaut: ImageArray) -> None:
    # The face is 90 px wide; the size is that of the search, and what it finds may still shrink.
    small = resized(astronaut, 0.3)
    assert len(MtcnnDetector(DetectionConfig(device="cpu", min_face_px=20)).detect([small])[0]) == 1
    assert len(MtcnnDetector(DetectionConfig(device="cpu", min_face_px=80)).detect([small])[0]) == 0


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 4000), (4000, 1), (23, 23), (24, 24), (24, 3000), (3000, 25), (300, 400)], ids=str
)
@pytest.mark.parametrize("fill", [0, 128, 255])
def test_a_blank_picture_of_any_size_has_no_face(detector: MtcnnDetector, size: tuple[int, int], fill: int) -> None:
    assert len(detector.detect([np.full((*size, 3), fill, np.uint8)])[0]) == 0


@pytest.mark.parametrize("min_face_px", [24, 47, 94])
def test_a_picture_as_small_as_the_smallest_face_can_be_searched(min_face_px: int) -> None:
    detector = MtcnnDetector(DetectionConfig(device="cpu", min_face_px=min_face_px))
    for side in (min_face_px - 1, min_face_px, min_face_px + 1):
        assert len(detector.detect([np.full((side, side, 3), 128, np.uint8)])[0]) == 0


def test_a_batch_of_different_sizes_equals_one_by_one(detector: MtcnnDetector, astronaut: ImageArray) -> None:
    pictures = [
        astronaut,
        np.zeros((20, 20, 3), np.uint8),
        resized(astronaut, 0.7),
        np.ascontiguousarray(astronaut[:, ::-1]),
        np.zeros((512, 512, 3), np.uint8),
        resized(astronaut, 0.7)[:, ::-1].copy(),
        np.hstack([np.zeros_like(astronaut), astronaut]),
        np.vstack([np.zeros_like(astronaut), astronaut]),
    ]
    together = detector.detect(pictures)
    assert [len(found) for found in together] == [1, 0, 1, 1, 0, 1, 1, 1]
    for picture, found in zip(pictures, together, strict=True):
        assert_same(found, detector.detect([picture])[0])
    np.testing.assert_allclose(together[6].boxes, together[0].boxes + np.array([512, 0, 512, 0]), atol=4)
    np.testing.assert_allclose(together[7].boxes, together[0].boxes + np.array([0, 512, 0, 512]), atol=4)


def test_torchs_networks_see_batches_of_few_sizes_and_find_what_the_library_finds(astronaut: ImageArray) -> None:
    detector = MtcnnDetector(DetectionConfig(device="cpu", engine="torch"))
    # Noise looks enough like faces for some hundred candidates.
    noise = np.random.default_rng(0).integers(0, 256, astronaut.shape, np.uint8)
    pictures = [astronaut, noise, astronaut // 2 + noise // 2, np.ascontiguousarray(astronaut[:, ::-1]), astronaut]
    sizes: dict[str, set[int]] = {"PNet": set(), "RNet": set(), "ONet": set()}

    def note(module: nn.Module, inputs: tuple[Tensor]) -> None:
        if type(module).__name__ in sizes:
            sizes[type(module).__name__].add(len(inputs[0]))

    hook = register_module_forward_pre_hook(note)
    try:
        together = detector.detect(pictures)
    finally:
        hook.remove()
    assert sizes["PNet"] == {2, 1}
    for name in ("RNet", "ONet"):
        assert len(sizes[name]) > 1
        assert sizes[name] <= {1, 2, 4, 8, 16, 32, 64}

    library = MTCNN(min_face_size=CONFIG.min_face_px, thresholds=list(CONFIG.thresholds), keep_all=True, device="cpu")
    for found, face_boxes, scores, points in zip(
        together, *library.detect(np.stack(pictures), landmarks=True), strict=True
    ):
        if face_boxes is None:
            assert len(found) == 0
            continue
        size = astronaut.shape[1], astronaut.shape[0]
        clipped = boxes.clip(np.asarray(face_boxes, np.float32), *size)
        assert_same(found, Detections(clipped, np.asarray(scores, np.float32), np.asarray(points, np.float32)))


def test_no_picture_gives_no_answer(detector: MtcnnDetector) -> None:
    assert detector.detect([]) == []


def test_pictures_are_not_altered(detector: MtcnnDetector, astronaut: ImageArray) -> None:
    picture = astronaut.copy()
    picture.flags.writeable = False
    detector.detect([picture])
    np.testing.assert_array_equal(picture, astronaut)


def test_boxes_and_landmarks_stay_in_a_picture_that_cuts_the_face_off(
    detector: MtcnnDetector, astronaut: ImageArray
) -> None:
    cut = np.ascontiguousarray(astronaut[80:400, 200:500])
    found = detector.detect([cut])[0]
    assert len(found) == 1
    np.testing.assert_array_equal(boxes.clip(found.boxes, 300, 320), found.boxes)
    assert found.boxes[0, 0] == 0


def test_a_small_picture_is_not_reduced(astronaut: ImageArray) -> None:
    picture, factor = reduce_image(astronaut, 512)
    assert picture is astronaut
    assert factor == 1


@pytest.mark.parametrize(("width", "height"), [(2000, 1000), (999, 1501), (5000, 3), (3, 5000)])
def test_a_large_picture_is_reduced_to_its_longer_side(width: int, height: int) -> None:
    picture, factor = reduce_image(np.zeros((height, width, 3), np.uint8), 640)
    assert max(picture.shape[:2]) == 640
    assert factor == max(width, height) / 640
    assert min(picture.shape[:2]) == max(1, round(min(width, height) / factor))


def test_coordinates_come_back_to_the_original_picture(detector: MtcnnDetector, astronaut: ImageArray) -> None:
    large = np.asarray(cv2.resize(astronaut, (1536, 1536), interpolation=cv2.INTER_CUBIC), np.uint8)
    found = detect_faces([large, astronaut], detector, DetectionConfig(device="cpu", max_side_px=512))
    assert [len(one) for one in found] == [1, 1]
    assert boxes.iou(found[0].boxes / np.float32(3), found[1].boxes)[0, 0] > 0.9
    np.testing.assert_allclose(found[0].landmarks / 3, found[1].landmarks, atol=3)


def test_scaled_detections_stay_inside_of_the_picture() -> None:
    small = face_set([Seen(1, 50, 50), Seen(2, 80, 80)]).detections
    scaled = scale_detections(small, 2.0, 200, 210)
    np.testing.assert_allclose(scaled.boxes, [[40, 40, 160, 160], [100, 100, 200, 210]])
    np.testing.assert_allclose(scaled.landmarks, small.landmarks * 2)
    np.testing.assert_array_equal(scaled.scores, small.scores)


def test_pictures_without_faces_show_few(detector: MtcnnDetector, eval_data: Path) -> None:
    pictures = [read_image(path, LimitsConfig()) for path in sorted((eval_data / "nonfaces").iterdir())]
    with_a_face = sum(len(found) > 0 for found in detect_faces(pictures, detector, CONFIG))
    assert len(pictures) >= 15
    # Three are animals' faces.
    assert with_a_face <= len(pictures) // 4


def test_groups_have_as_many_faces_as_were_counted(detector: MtcnnDetector, eval_data: Path) -> None:
    with (eval_data / "groups_labels.csv").open(encoding="utf-8") as file:
        counts = {row["path"]: int(row["n_faces"]) for row in csv.DictReader(file) if row["n_faces"]}
    pictures = [read_image(eval_data / path, LimitsConfig()) for path in counts]
    found = [len(faces) for faces in detect_faces(pictures, detector, CONFIG)]
    assert len(counts) >= 8
    assert sum(abs(n - count) for n, count in zip(found, counts.values(), strict=True)) <= 0.05 * sum(counts.values())


def test_odd_files_are_searched_like_others(detector: MtcnnDetector, eval_data: Path) -> None:
    pictures = []
    for path in sorted((eval_data / "odd").iterdir()):
        try:
            pictures.append(read_image(path, LimitsConfig()))
        except InputError:
            continue
    assert len(pictures) >= 12
    found = detect_faces(pictures, detector, CONFIG)
    assert sum(len(faces) > 0 for faces in found) >= 10

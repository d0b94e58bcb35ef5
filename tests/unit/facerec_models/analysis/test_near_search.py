"""Faces that are sought where they must be, with the real detector on real pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from facerec_models.analysis.boxes import iou
from facerec_models.analysis.detection import FaceDetector
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.analysis.near_search import Region, detect_near, is_worth, regions_between
from facerec_models.types import Detections, FloatArray, ImageArray
from tests.builders import sample_picture

ASTRONAUT = sample_picture("astronaut.png")


def faces_at(*boxes: tuple[float, float, float, float]) -> Detections:
    """Return detections at these places; the search looks at nothing else of them."""
    found = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections(found, np.ones(len(found), np.float32), np.zeros((len(found), 5, 2), np.float32))


def scene(*places: tuple[int, int, float], width: int = 960, height: int = 540) -> ImageArray:
    """Return a gray picture with the astronaut's head at each place, at each size."""
    picture = np.full((height, width, 3), 90, np.uint8)
    for x, y, scale in places:
        head = cv2.resize(ASTRONAUT[20:260, 100:340], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        picture[y : y + len(head), x : x + head.shape[1]] = head
    return picture


@pytest.mark.parametrize("scale", [0.25, 0.5, 1.0, 2.0])
def test_a_face_is_found_where_the_whole_search_finds_it(detector: MtcnnDetector, scale: float) -> None:
    picture = scene((300, 20, scale))
    (whole,) = detector.detect([picture])
    assert len(whole) == 1
    (near,) = detect_near([picture], [regions_between(whole, whole, 960, 540)], detector)
    assert len(near) == 1
    assert near.scores[0] > 0.99
    assert iou(near.boxes, whole.boxes)[0, 0] > 0.8
    # The landmarks decide how a face is aligned: they may differ as much as they do between two levels of the pyramid.
    side = float((whole.boxes[0, 2:] - whole.boxes[0, :2]).max())
    assert np.abs(near.landmarks - whole.landmarks).max() < 0.06 * side + 1


def test_many_faces_of_many_pictures_come_back_to_their_own(detector: MtcnnDetector) -> None:
    pictures = [scene(*((40 + 180 * k, 60 + 20 * i, 0.5) for k in range(1 + i))) for i in range(5)]
    whole = detector.detect(pictures)
    assert [len(found) for found in whole] == [1, 2, 3, 4, 5]
    near = detect_near(pictures, [regions_between(found, found, 960, 540) for found in whole], detector)
    for ours, theirs in zip(near, whole, strict=True):
        assert len(ours) == len(theirs)
        assert (iou(ours.boxes, theirs.boxes).max(axis=1) > 0.7).all()


def test_a_face_on_its_way_is_found_between_its_places(detector: MtcnnDetector) -> None:
    (before, middle, after) = (scene((x, 100, 0.5)) for x in (100, 140, 180))
    found = detector.detect([before, after])
    (region,) = regions_between(*found, 960, 540)
    (near,) = detect_near([middle], [[region]], detector)
    (whole,) = detector.detect([middle])
    assert iou(near.boxes, whole.boxes)[0, 0] > 0.8


def test_what_a_region_cuts_off_is_left_out(detector: MtcnnDetector) -> None:
    picture = scene((100, 100, 0.5))
    (whole,) = detector.detect([picture])
    x1, y1, x2, y2 = whole.boxes[0].astype(int).tolist()
    through_the_face = Region(x1 - 60, y1 - 60, (x1 + x2) // 2 + 8, y2 + 60)
    assert len(detect_near([picture], [[through_the_face]], detector)[0]) == 0
    # The picture's own edge is none.
    cut = (
        np.ascontiguousarray(picture[:, (x1 + 3 * x2) // 4 - 400 : (x1 + 3 * x2) // 4]) if x2 > 400 else picture[:, :x2]
    )
    (at_the_edge,) = detector.detect([cut])
    (near,) = detect_near([cut], [regions_between(at_the_edge, at_the_edge, cut.shape[1], cut.shape[0])], detector)
    assert len(near) == len(at_the_edge)


def test_nothing_is_sought_without_regions(detector: FaceDetector) -> None:
    assert [len(found) for found in detect_near([scene(), scene()], [[], []], detector)] == [0, 0]
    assert detect_near([], [], detector) == []


@pytest.mark.parametrize(
    ("before", "after", "regions"),
    [
        (((100, 100, 150, 160),), ((700, 100, 750, 160),), 2),
        (((100, 100, 150, 160), (300, 100, 350, 160)), ((310, 100, 360, 160), (110, 100, 160, 160)), 2),
        ((), ((700, 100, 750, 160),), 1),
        ((), (), 0),
    ],
    ids=["two people", "each their own", "came", "nobody"],
)
def test_the_faces_of_two_frames_are_paired_by_place(
    before: tuple[tuple[float, float, float, float], ...],
    after: tuple[tuple[float, float, float, float], ...],
    regions: int,
) -> None:
    found = regions_between(faces_at(*before), faces_at(*after), 960, 540)
    assert len(found) == regions
    for box in (*before, *after):
        assert any(_holds(region, np.array(box, np.float32)) for region in found)


@pytest.mark.parametrize("box", [(0, 0, 50, 60), (910, 480, 960, 540), (-20, 10, 30, 70), (0, 0, 960, 540)])
def test_regions_stay_inside_of_the_picture(box: tuple[float, float, float, float]) -> None:
    (region,) = regions_between(faces_at(box), faces_at(box), 960, 540)
    assert 0 <= region.x1 < region.x2 <= 960
    assert 0 <= region.y1 < region.y2 <= 540


@pytest.mark.parametrize(
    ("faces", "width", "height", "worth"),
    [(5, 640, 360, True), (6, 640, 360, False), (22, 1280, 720, True), (23, 1280, 720, False)],
)
def test_a_crowd_is_searched_for_in_the_whole_picture(faces: int, width: int, height: int, worth: bool) -> None:
    assert is_worth([Region(0, 0, 128, 128)] * faces, width, height) is worth


def _holds(region: Region, box: FloatArray) -> bool:
    return bool(region.x1 <= box[0] and region.y1 <= box[1] and region.x2 >= box[2] and region.y2 >= box[3])

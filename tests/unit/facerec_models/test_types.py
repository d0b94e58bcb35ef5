from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from facerec_models.types import Appearance, Decision, Detections, FaceSet, Frame, Match, UndecidableReason
from tests.builders import Seen, face_set, make_match, make_track


def test_a_frame_tells_its_time_exactly() -> None:
    frame = Frame(np.zeros((4, 6, 3), np.uint8), 107892, 107892 * 1001, Fraction(1, 30000))
    assert frame.time_s == 3599.9964
    assert (frame.width, frame.height) == (6, 4)


@pytest.mark.parametrize(
    ("image", "named"),
    [
        (np.zeros((4, 6), np.uint8), r"NxNx3 uint8, not 4x6 uint8"),
        (np.zeros((4, 6, 4), np.uint8), r"NxNx3 uint8, not 4x6x4 uint8"),
        (np.zeros((4, 6, 3), np.float32), r"NxNx3 uint8, not 4x6x3 float32"),
    ],
)
def test_a_frame_refuses_other_pictures_and_names_both_shapes(image: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Frame(image)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("boxes", np.zeros((2, 5), np.float32), r"boxes must be Nx4 float32, not 2x5 float32"),
        ("boxes", np.zeros((2, 4), np.float64), r"boxes must be Nx4 float32, not 2x4 float64"),
        ("boxes", np.zeros((3, 4), np.float32), r"scores must be 3 float32, not 2 float32"),
        ("scores", np.zeros((2, 1), np.float32), r"scores must be 2 float32, not 2x1 float32"),
        ("landmarks", np.zeros((2, 10), np.float32), r"landmarks must be 2x5x2 float32, not 2x10 float32"),
        ("landmarks", np.zeros((1, 5, 2), np.float32), r"landmarks must be 2x5x2 float32, not 1x5x2 float32"),
    ],
)
def test_detections_refuse_wrong_shapes_and_name_both(field: str, value: Any, named: str) -> None:
    good = face_set([Seen(1, 50), Seen(2, 150)]).detections
    with pytest.raises(ValueError, match=named):
        replace(good, **{field: value})


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("crops", np.zeros((1, 8, 8, 3), np.uint8), r"crops must be 2xNxNx3 uint8, not 1x8x8x3 uint8"),
        ("quality", np.zeros(3, np.float32), r"quality must be 2 float32, not 3 float32"),
        ("embeddings", np.zeros((2, 128)), r"embeddings must be 2xN float32, not 2x128 float64"),
    ],
)
def test_a_face_set_refuses_wrong_shapes_and_names_both(field: str, value: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        replace(face_set([Seen(1, 50), Seen(2, 150)]), **{field: value})


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("times_s", np.zeros(3, np.float32), r"times_s must be 3 float64, not 3 float32"),
        ("frame_indexes", np.zeros(2, np.int64), r"frame_indexes must be 3 int64, not 2 int64"),
        ("boxes", np.zeros((2, 4), np.float32), r"boxes must be 3x4 float32, not 2x4 float32"),
        ("scores", np.zeros(4, np.float32), r"scores must be 3 float32, not 4 float32"),
        ("landmarks", np.zeros((3, 5), np.float32), r"landmarks must be 3x5x2 float32, not 3x5 float32"),
        ("quality", np.zeros((3, 1), np.float32), r"quality must be 3 float32, not 3x1 float32"),
        ("embedded", np.zeros(3, np.int32), r"embedded must be N int64, not 3 int32"),
        ("embeddings", np.zeros((2, 128), np.float32), r"embeddings must be 3xN float32, not 2x128 float32"),
        ("crops", (b"one", b"two"), r"track 7 has 2 crops for 3 embeddings"),
    ],
)
def test_a_track_refuses_what_does_not_fit_together(field: str, value: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        replace(make_track(7, [0.0, 1.0, 2.0]), **{field: value})


def test_a_track_has_at_least_one_sample() -> None:
    with pytest.raises(ValueError, match="track 3 has no sample"):
        make_track(3, [])


def test_no_face_is_empty_detections() -> None:
    nobody = Detections.empty()
    assert len(nobody) == 0
    assert len(FaceSet(nobody, np.zeros((0, 8, 8, 3), np.uint8), nobody.scores, np.zeros((0, 128), np.float32))) == 0


@pytest.mark.parametrize("index", [np.array([False, True, True]), np.array([1, 2])])
def test_a_mask_and_an_index_select_the_same_faces(index: Any) -> None:
    found = face_set([Seen(1, 50), Seen(2, 150), Seen(3, 250)]).detections
    chosen = found.select(index)
    np.testing.assert_array_equal(chosen.boxes, found.boxes[1:])
    np.testing.assert_array_equal(chosen.scores, found.scores[1:])
    np.testing.assert_array_equal(chosen.landmarks, found.landmarks[1:])


@pytest.mark.parametrize(
    ("decision", "person_id"), [(Decision.NAMED, None), (Decision.UNKNOWN, "Bob"), (Decision.UNDECIDABLE, "Bob")]
)
def test_a_name_goes_with_a_named_decision_and_no_other(decision: Decision, person_id: str | None) -> None:
    with pytest.raises(ValueError, match=f"decision {decision.value} does not go with person {person_id!r}"):
        Match(decision, person_id, 0.5, 0.5)


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        (Decision.UNDECIDABLE, None),
        (Decision.UNKNOWN, UndecidableReason.POOR),
        (Decision.NAMED, UndecidableReason.POOR),
    ],
)
def test_undecidable_matches_alone_have_a_reason(decision: Decision, reason: UndecidableReason | None) -> None:
    person_id = "Bob" if decision is Decision.NAMED else None
    with pytest.raises(ValueError, match=f"decision {decision.value} does not go with reason {reason}"):
        Match(decision, person_id, 0.5, 0.5, reason=reason)


def test_an_appearance_does_not_end_before_it_starts() -> None:
    with pytest.raises(ValueError, match=r"ends at 1\.0 before it starts at 2\.0"):
        Appearance(2.0, 1.0, (1,), make_match())


def test_values_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        make_track(1, [0.0]).shot = 3  # type: ignore[misc]

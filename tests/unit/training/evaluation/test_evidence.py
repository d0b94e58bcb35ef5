from __future__ import annotations

import math
from typing import Any

import pytest

from facerec_models.errors import InputError
from training.evaluation.evidence import (
    Judgement,
    TrackEvidence,
    by_pose,
    by_quality,
    by_size,
    pose,
    track_evidence,
    turn,
)
from training.evaluation.results import MeasuredResult, Sample
from training.evaluation.truth import Truth

EYES = ((30.0, 40.0), (70.0, 40.0))


def sample(
    time_s: float, width: float = 50, nose: tuple[float, float] = (50, 60), quality: float = 0.7
) -> dict[str, Any]:
    return {
        "time_s": time_s,
        "frame_index": round(time_s * 10),
        "box_xyxy": (100, 100, 100 + width, 160),
        "score": 1,
        "landmarks": [*EYES, nose, (35, 75), (65, 75)],
        "quality": quality,
    }


def track(
    number: int,
    times_s: tuple[float, ...],
    person: str | None = None,
    *,
    unknown: bool = True,
    rate: float = 0.3,
    probability: float = 0.9,
    candidate: tuple[str, float] = ("Ada", 0.2),
    **face: Any,
) -> dict[str, Any]:
    return {
        "track_id": number,
        "person_id": person,
        "decision": "named" if person else "unknown" if unknown else "undecidable",
        "start_s": times_s[0],
        "end_s": times_s[-1],
        "probability": probability,
        "false_name_rate": rate,
        "candidates": [{"person_id": candidate[0], "similarity": 0.9, "probability": candidate[1]}],
        "samples": [sample(time_s, **face) for time_s in times_s],
    }


def result(*tracks: dict[str, Any], strangers: dict[int, str] | None = None) -> MeasuredResult:
    appearances = [
        {"person_id": None, "stranger": stranger, "start_s": 0, "end_s": 1, "probability": 0.5, "track_ids": [number]}
        for number, stranger in (strangers or {}).items()
    ]
    return MeasuredResult.model_validate(
        {
            "schema": "facerec.result/1",
            "video": {"complete": True, "duration_s": 60, "sha256": "0" * 64},
            "appearances": appearances,
            "tracks": tracks,
        }
    )


def truth(
    ignore: list[tuple[float, float]] | None = None, **people: list[tuple[float, float] | tuple[float, float, str]]
) -> Truth:
    return Truth.model_validate(
        {
            "people": [
                {"name": name, "intervals": [dict(zip(("start", "end", "visibility"), i, strict=False)) for i in spans]}
                for name, spans in people.items()
            ],
            "ignore_intervals": ignore or [],
        }
    )


def evidence(truth: Truth, shown: MeasuredResult, reference: MeasuredResult | None = None) -> TrackEvidence:
    return track_evidence("clip", truth, shown, reference)


def test_a_probability_comes_true_if_the_only_person_there_is_meant() -> None:
    there = truth(Ada=[(0, 10)], Bob=[(8, 20)])
    shown = result(
        track(1, (1, 2), "Ada", probability=0.97),
        track(2, (3, 4), "Bob", probability=0.6),
        track(3, (5, 6), candidate=("Ada", 0.3)),
        track(4, (7, 9), "Ada", probability=0.99),
        track(5, (30, 31), candidate=("Bob", 0.1)),
        track(6, (32, 33), unknown=False),
    )
    assert evidence(there, shown).predictions == ((0.97, True), (0.6, False), (0.3, True), (0.1, False))


def test_strangers_are_tracks_during_which_nobody_enrolled_is_there() -> None:
    there = truth([(40, 50)], Ada=[(0, 10)])
    shown = result(
        track(1, (1, 2), rate=0.5),
        track(2, (20, 21), "Bob", rate=0.004),
        track(3, (22, 23), rate=0.2),
        track(4, (24, 25), unknown=False, rate=0.01),
        track(5, (41, 42), rate=0.9),
        track(6, (9, 12), rate=0.7),
    )
    assert evidence(there, shown).stranger_rates == (0.004, 0.2, math.inf)


def test_a_person_who_is_not_enrolled_makes_the_evidence_doubtful() -> None:
    both = truth(Ada=[(0, 10)]).model_dump() | {
        "unknown_people": [{"label": "guard", "intervals": [{"start": 0, "end": 20}]}]
    }
    shown = result(track(1, (1, 2), "Ada"), track(2, (11, 12), rate=0.4))
    seen = evidence(Truth.model_validate(both), shown)
    assert seen.stranger_rates == (0.4,)
    assert seen.predictions == ((0.2, False),)
    assert seen.faces == ()


def test_faces_are_counted_alone_in_their_frame_and_in_the_truth() -> None:
    there = truth([(40, 50)], Ada=[(0, 10), (40, 50)], Bob=[(5, 10), (2, 3, "hidden")])
    shown = result(
        track(1, (1, 2.5), "Ada"),
        track(2, (2.5, 4), "Eve"),
        track(3, (6, 7), "Ada"),
        track(4, (4.5, 41), unknown=False),
    )
    assert [face.judgement for face in evidence(there, shown).faces] == [
        Judgement.RIGHT,
        Judgement.WRONG,
        Judgement.UNDECIDABLE,
    ]


def test_faces_are_sorted_by_size_pose_and_quality() -> None:
    shown = result(
        track(1, (1,), "Ada", width=19),
        track(2, (2,), "Ada", width=20, nose=(57, 60)),
        track(3, (3,), width=160, nose=(70, 60), quality=0.1),
    )
    faces = evidence(truth(Ada=[(0, 10)]), shown).faces
    assert [(one.name, one.faces, one.recall) for one in by_size(faces)] == [
        ("below 20 px", 1, 1),
        ("20 to 40 px", 1, 1),
        ("40 to 80 px", 0, None),
        ("80 to 160 px", 0, None),
        ("from 160 px", 1, 0),
    ]
    assert [(one.name, one.faces) for one in by_pose(faces)] == [("frontal", 1), ("half", 1), ("profile", 1)]
    assert [one.faces for one in by_quality(faces)] == [1, 0, 0, 2, 0]
    assert by_size(faces)[-1].to_dict()["unknown"] == 1


@pytest.mark.parametrize("angle_deg", [0, 10, 30, 60])
def test_a_turned_head_is_recognised_at_every_rotation(angle_deg: float) -> None:
    """A nose .45 eye distances before the eyes, seen from aside; the picture itself turned by 25 degrees."""
    sine, cosine = math.sin(math.radians(angle_deg)), math.cos(math.radians(angle_deg))
    points = [(-20 * cosine, 0.0), (20 * cosine, 0.0), (0.45 * 40 * sine, 22.0)]
    roll = math.radians(25)
    turned = [(x * math.cos(roll) - y * math.sin(roll), x * math.sin(roll) + y * math.cos(roll)) for x, y in points]
    sampled = Sample.model_validate(sample(0) | {"landmarks": [*turned, (0, 0), (0, 0)]})
    found = turn(sampled)
    assert found == pytest.approx(0.45 * sine / cosine)
    assert pose(found) == {0: "frontal", 10: "frontal", 30: "half", 60: "profile"}[angle_deg]


def test_a_face_without_landmarks_has_no_pose() -> None:
    assert turn(Sample.model_validate(sample(0) | {"landmarks": []})) is None


def test_strangers_are_labelled_by_the_only_person_there() -> None:
    there = truth(Ada=[(0, 10)], Bob=[(10, 20)])
    shown = result(
        track(1, (1, 2)),
        track(2, (11, 12)),
        track(3, (9, 11)),
        track(4, (3, 4), unknown=False),
        track(5, (5, 6), "Bob"),
        track(6, (7, 8), "Ada"),
        strangers={1: "stranger-a", 2: "stranger-b", 3: "stranger-a"},
    )
    seen = evidence(there, shown)
    assert seen.grouped == (("clip", "stranger-a", "Ada"), ("clip", "stranger-b", "Bob"))
    assert (seen.undecidable, seen.misnamed) == (1, 1)


def test_a_reference_decides_among_several_people() -> None:
    there = truth(Ada=[(0, 10)], Bob=[(0, 10)])
    shown = result(track(1, (1, 2)), track(2, (1, 2)), track(3, (3, 4)), strangers={1: "s-1", 2: "s-2", 3: "s-1"})
    known = result(track(1, (1, 2), "Ada"), track(2, (1, 2), "Bob"), track(3, (3, 4), "Eve"))
    assert evidence(there, shown).grouped == ()
    assert evidence(there, shown, known).grouped == (("clip", "s-1", "Ada"), ("clip", "s-2", "Bob"))


def test_a_reference_with_other_tracks_is_refused() -> None:
    with pytest.raises(InputError, match="reference of clip has other tracks"):
        evidence(truth(Ada=[(0, 10)]), result(track(1, (1, 2))), result(track(1, (1, 3))))

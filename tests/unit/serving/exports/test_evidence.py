from __future__ import annotations

from dataclasses import replace

import pytest

from facerec_models.result import CandidateView
from facerec_models.stills import FaceView
from facerec_models.types import Decision
from serving.exports.evidence import explain_appearance, explain_face, explain_found
from serving.store.naming_rows import AppearanceRow
from tests.results import Seen, make_result


def told(seen: Seen, nearest: str | None = None) -> str:
    result = make_result(seen)
    (view,) = result.appearances
    if nearest is not None:
        other = CandidateView(person_id=nearest, similarity=0.4, probability=0.1)
        view = view.model_copy(update={"evidence": view.evidence.model_copy(update={"runner_up": other})})
    return explain_appearance(view, result)


@pytest.mark.parametrize(
    ("seen", "nearest", "text"),
    [
        (Seen("Ann Li", 0, 1, false_name_rate=1 / 240), None, "Ann Li; 1 stranger in 240 would come this near to an enrolled person"),
        (Seen("Ann Li", 0, 1, confirmed=True), "Bo_Ek", "Ann Li; a correction says so"),
        (Seen("Unknown 1", 0, 1, false_name_rate=0.24), "Bo_Ek", "nobody enrolled; nearest is Bo Ek, not near enough"),
        (Seen("Unknown 1", 0, 1, false_name_rate=0.24), None, "nobody enrolled"),
        (Seen("Unknown 1", 0, 1, told_apart="Ann_Li"), "Bo_Ek", "nobody enrolled; nearest is Ann Li, told apart from them"),
        (Seen("Undecidable", 0, 1, reason="too small"), "Bo_Ek", "too small"),
    ],
)  # fmt: skip
def test_one_sentence_says_who_it_is_and_how_near(seen: Seen, nearest: str | None, text: str) -> None:
    assert told(seen, nearest) == text


def test_a_near_face_without_a_name_is_not_called_far() -> None:
    text = told(Seen("Unknown 1", 0, 1, false_name_rate=0.001), "Bo_Ek")
    assert text.startswith("nobody enrolled; nearest is Bo Ek, but ")
    assert "not near enough" not in text


def test_what_a_search_finds_is_worded_alike() -> None:
    named = AppearanceRow("p", "a-1", 0, "v-1", Decision.NAMED, "Ann_Li", 0, 0, 0.0, 1.0, 0.97, False, (1,))
    unknown = AppearanceRow("p", "a-1", 1, "v-1", Decision.UNKNOWN, "stranger-a", 0, 0, 0.0, 1.0, 0.8, False, (2,))
    assert explain_found(named, 1 / 140) == "Ann Li; 1 stranger in 140 would come this near to an enrolled person"
    assert explain_found(unknown, 0.3) == "nobody enrolled"
    assert explain_found(replace(named, is_confirmed=True), 1 / 140) == "Ann Li; a correction says so"


def test_a_face_of_a_picture_is_worded_alike() -> None:
    face = FaceView(
        box_xyxy=(0, 0, 9, 9), score=1, quality=1, decision="unknown", reason=None, person_id=None, identity=None, probability=0.8,
        false_name_rate=0.3, candidates=[CandidateView(person_id="Ann_Li", similarity=0.4, probability=0.2)],
    )  # fmt: skip
    assert explain_face(face, 0.01) == "nobody enrolled; nearest is Ann Li, not near enough"
    named = face.model_copy(update={"decision": "named", "person_id": "Ann_Li", "false_name_rate": 0.005})
    assert explain_face(named, 0.01) == "Ann Li; 1 stranger in 200 would come this near to an enrolled person"

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serving.archive.learning.enrol import disable_outliers
from serving.store.rows import Face, FaceStatus
from tests.builders import Seen, cohort, face_of, face_set
from tests.contract.store_cases import make_face
from training.curate import Choice, choose_faces, find_outliers
from training.outlier_strategy import OutlierStrategy

NOBODY = np.zeros((0, 128), np.float32)


def faces_of(*people: int) -> np.ndarray:
    return np.stack([face_of(who, at) for at, who in enumerate(people)])


def indices(choices: list[Choice | None]) -> list[int | None]:
    return [None if choice is None else choice.index for choice in choices]


def is_guess(choices: list[Choice | None]) -> list[bool]:
    return [choice is not None and choice.doubt is not None for choice in choices]


def test_the_face_that_other_pictures_show_is_meant_however_small() -> None:
    found = [
        face_set([Seen(1, 100)], at=0),
        face_set([Seen(2, 100, side=120), Seen(1, 300, side=40)], at=1),
        face_set([Seen(3, 100, side=120), Seen(1, 300, side=40)], at=2),
    ]
    assert indices(choose_faces(found, NOBODY, cohort().pair)) == [0, 1, 1]


def test_groups_alone_agree_on_who_is_in_all_of_them() -> None:
    found = [face_set([Seen(who, 100, side=120), Seen(9, 300, side=50)], at=who) for who in (2, 3, 4)]
    assert indices(choose_faces(found, NOBODY, cohort().pair)) == [1, 1, 1]


def test_known_faces_decide_about_a_new_picture() -> None:
    found = [face_set([Seen(2, 100, side=120), Seen(1, 300, side=40)], at=5)]
    assert indices(choose_faces(found, faces_of(1, 1), cohort().pair)) == [1]


def test_without_agreement_the_largest_face_is_meant_and_none_where_there_is_none() -> None:
    found = [face_set([Seen(2, 100, side=50), Seen(3, 300, side=120)]), face_set([])]
    assert indices(choose_faces(found, NOBODY, cohort().pair)) == [1, None]


def test_a_choice_is_a_guess_unless_another_picture_or_the_size_supports_it() -> None:
    couple = [Seen(1, 100, side=90), Seen(2, 300, side=80)]
    assert is_guess(choose_faces([face_set(couple)], NOBODY, cohort().pair)) == [True]
    # Two pictures of both agree on both.
    assert is_guess(choose_faces([face_set(couple), face_set(couple, at=1)], NOBODY, cohort().pair)) == [True, True]
    alone = face_set([Seen(2, 200, side=70)], at=2)
    found = choose_faces([face_set(couple), face_set(couple, at=1), alone], NOBODY, cohort().pair)
    assert (indices(found), is_guess(found)) == ([1, 1, 0], [False] * 3)
    assert is_guess(choose_faces([face_set(couple)], faces_of(2), cohort().pair)) == [False]
    passers_by = [Seen(1, 200, side=160), Seen(2, 20, side=70), Seen(3, 500, side=60)]
    assert is_guess(choose_faces([face_set(passers_by)], NOBODY, cohort().pair)) == [False]


def test_a_picture_of_two_people_needs_support_from_one_of_a_single_person() -> None:
    found = [face_set([Seen(1, 100)], at=0), face_set([Seen(1, 100)], at=1)]
    both = choose_faces(found, NOBODY, cohort().pair, {0: "it is Bob's too", 1: "it is Bob's too"})
    assert is_guess(both) == [True, True]
    assert both[0] is not None
    assert both[0].doubt == "guessed: it is Bob's too, and no other picture supports whose face this is"
    assert is_guess(choose_faces(found, NOBODY, cohort().pair, {0: "it is Bob's too"})) == [False, False]
    assert is_guess(choose_faces(found[:1], faces_of(1), cohort().pair, {0: "it is Bob's too"})) == [False]


def test_the_face_that_is_left_when_all_others_are_known_is_the_persons() -> None:
    couple = face_set([Seen(1, 100, side=100), Seen(2, 300, side=80)])
    known = np.array([True, False])
    found = choose_faces([couple], NOBODY, cohort().pair, {0: "it is Ann's too"}, [known])
    assert (indices(found), is_guess(found)) == ([1], [False])
    for nothing_left in (known | True, known & False):
        found = choose_faces([couple], NOBODY, cohort().pair, {0: "it is Ann's too"}, [nothing_left])
        assert (indices(found), is_guess(found)) == ([0], [True])


def test_strangers_among_a_persons_pictures_are_found() -> None:
    reasons = find_outliers(faces_of(1, 1, 1, 2, 1, 1, 3, 1), cohort())
    assert [reason is not None for reason in reasons] == [False, False, False, True, False, False, True, False]
    assert reasons[3] is not None
    assert reasons[3].startswith("outlier: similarity 0.8")


def test_two_pictures_of_one_stranger_do_not_pull_the_mean() -> None:
    reasons = find_outliers(faces_of(1, 1, 1, 1, 2, 2), cohort())
    assert [reason is not None for reason in reasons] == [False] * 4 + [True] * 2


@pytest.mark.parametrize("people", [(1,), (1, 2), (1, 2, 3)])
def test_without_enough_evidence_no_picture_is_an_outlier(people: tuple[int, ...]) -> None:
    assert find_outliers(faces_of(*people), cohort()) == [None] * len(people)


def test_the_predecessors_rule_drops_until_similarities_vary_little() -> None:
    spread = faces_of(1, 1, 1)
    away = -face_of(1, 9)[None]
    reasons = find_outliers(np.concatenate([spread, away]), cohort(), OutlierStrategy.PREDECESSOR)
    assert [reason is not None for reason in reasons] == [False, False, False, True]
    # With this network two people are never so unlike that the rule finds anybody.
    assert find_outliers(faces_of(1, 1, 1, 2), cohort(), OutlierStrategy.PREDECESSOR) == [None] * 4


def faces(*people: int) -> list[Face]:
    return [make_face(f"f{i}", embedder=cohort().embedder, embedding=face_of(who, i)) for i, who in enumerate(people)]


def test_outliers_are_disabled_and_enabled_again_when_they_are_none_any_more() -> None:
    rows = faces(1, 1, 1, 2)
    changed = disable_outliers(rows, cohort(), OutlierStrategy.ROBUST)
    assert list(changed) == ["f3"]
    assert changed["f3"].status is FaceStatus.DISABLED
    assert not changed["f3"].by_hand
    # Then it turns out that most pictures show the other person.
    grown = [*rows[:3], changed["f3"], *[replace(face, face_id=f"g{i}") for i, face in enumerate(faces(*[2] * 6))]]
    changed = disable_outliers(grown, cohort(), OutlierStrategy.ROBUST)
    assert changed["f3"].status is FaceStatus.TAKEN
    assert changed["f3"].reason is None
    assert {face_id for face_id, face in changed.items() if face.status is FaceStatus.DISABLED} == {"f0", "f1", "f2"}


def test_decisions_of_users_stay() -> None:
    rows = faces(1, 1, 1, 2, 1)
    rows[3] = replace(rows[3], by_hand=True)
    rows[4] = replace(rows[4], status=FaceStatus.DISABLED, reason="by hand", by_hand=True)
    assert disable_outliers(rows, cohort(), OutlierStrategy.ROBUST) == {}

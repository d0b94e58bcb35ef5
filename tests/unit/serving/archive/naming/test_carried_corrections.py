"""What was corrected in one analysis of a video holds in another one of it, where both show the face."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serving.archive.naming.correct import TrackCorrection, correct
from serving.archive.naming.rename import merge_people, unmerge_person
from serving.archive.naming.undo import undo_edit
from serving.archive.same_faces import shared_samples
from serving.store.contract import Store
from serving.store.naming_rows import CorrectionKind
from serving.store.rows import FaceStatus
from tests.unit.serving.archive.edits import result_in
from tests.unit.serving.archive.naming.film import ANN, BOB, STRANGER, Film, seen

IS, IS_NOT = CorrectionKind.IS, CorrectionKind.IS_NOT


def tell(film: Film, track: int, kind: CorrectionKind, person: str) -> None:
    correct(film.archive, "p", [TrackCorrection("v-film", track, kind, person)])


def told(film: Film) -> list[tuple[int, str, str]]:
    """Return what the answer was corrected to: a likeness may give the same names."""
    rows = film.store.list_corrections("p", analysis_ids=[film.latest.analysis_id])
    return sorted((row.track_id, row.kind, row.person_id) for row in rows)


def labels(film: Film) -> list[str]:
    return [label for label, *_ in film.shown]


def warnings(film: Film) -> list[str]:
    return result_in(film.archive, "v-film").video.warnings


def test_corrections_hold_when_the_video_is_recognised_otherwise(film: Film, store: Store) -> None:
    # Too poor to be anybody by likeness.
    poor = {"quality": np.full(3, 0.01, np.float32)}
    first = seen(STRANGER, 1.0, 2.0)
    film.analyse([replace(first, quality=poor["quality"][:2]), seen(BOB, 5.0, 6.0, x=200)])
    tell(film, 1, IS, "Cem")
    tell(film, 2, IS_NOT, "Bob")
    # Sampled at other times, and found in another order.
    again = replace(seen(STRANGER, 1.1, 1.6, 2.1, at=5, x=8), **poor)
    film.analyse([seen(BOB, 5.2, 5.7, 6.2, at=5, x=210), again], fps=5.0)
    assert told(film) == [(1, "is_not", "Bob"), (2, "is", "Cem")]
    assert labels(film)[0] == "Cem"
    assert labels(film)[1].startswith("Unknown")
    assert not warnings(film)
    (edit,) = [row for row in store.list_edits("p") if row.cause == "carry"]
    assert edit.note == "corrections of film.mp4 hold in another analysis of it, too: 2"
    # Recognised so again, nothing is left to be done.
    film.analyse([], fps=5.0)
    assert store.list_edits("p")[-1] == edit


def test_a_part_that_is_recognised_later_has_what_was_corrected_in_the_whole(film: Film) -> None:
    film.analyse([seen(STRANGER, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0)])
    tell(film, 1, IS, "Cem")
    part = film.analyse([seen(STRANGER, 10.0, 11.0, 12.0, 13.0, at=3)], 10, 20)
    own = film.store.list_corrections("p", analysis_ids=[part.analysis_id])
    assert [(row.track_id, row.person_id) for row in own] == [(1, "Cem")]


def test_a_carrying_that_was_undone_does_not_come_back(film: Film, store: Store) -> None:
    film.analyse([seen(STRANGER, 1.0, 2.0)])
    tell(film, 1, IS, "Cem")
    film.analyse([seen(STRANGER, 1.0, 2.0, at=5)], fps=5.0)
    undo_edit(film.archive, "p")
    for fps in (5.0, 6.0):
        film.analyse([seen(STRANGER, 1.0, 2.0, at=7)], fps=fps)
        assert told(film) == []
        assert store.list_edits("p")[-1].undone_at is not None
    # What is corrected afterwards is carried.
    tell(film, 1, IS, "Dee")
    film.analyse([seen(STRANGER, 1.0, 2.0, at=9)], fps=7.0)
    assert told(film) == [(1, "is", "Dee")]


def test_a_correction_that_was_undone_is_not_carried(film: Film) -> None:
    film.analyse([seen(STRANGER, 1.0, 2.0)])
    tell(film, 1, IS, "Cem")
    undo_edit(film.archive, "p")
    film.analyse([seen(STRANGER, 1.0, 2.0, at=5)], fps=5.0)
    assert told(film) == []


@pytest.mark.parametrize("later", [IS, IS_NOT])
def test_the_last_of_contrary_corrections_holds(film: Film, later: CorrectionKind) -> None:
    film.analyse([seen(STRANGER, 1.0, 2.0)])
    tell(film, 1, IS, "Cem")
    film.analyse([seen(STRANGER, 1.0, 2.0, at=5)], fps=5.0)
    assert told(film) == [(1, "is", "Cem")]
    tell(film, 1, later, "Dee" if later is IS else "Cem")
    for fps in (None, 5.0, 6.0):
        film.analyse([seen(STRANGER, 1.0, 2.0, at=7)], **({} if fps is None else {"fps": fps}))
        assert told(film) == [(1, later, "Dee" if later is IS else "Cem")]
        assert not warnings(film)


def test_faces_of_an_earlier_analysis_are_taken_from_whom_the_track_is_not(film: Film, store: Store) -> None:
    film.analyse([seen(STRANGER, 1.0, 2.0)])
    tell(film, 1, IS, "Cem")
    film.analyse([seen(STRANGER, 1.1, 2.1, at=5)], fps=5.0)
    tell(film, 1, IS, "Dee")
    assert {face.status for face in store.list_faces("p", person_id="Cem")} == {FaceStatus.DISABLED}
    assert {face.status for face in store.list_faces("p", person_id="Dee")} == {FaceStatus.TAKEN}


def test_another_place_or_time_or_picture_track_has_another_face(film: Film) -> None:
    film.analyse([seen(STRANGER, 1.0, 2.0)])
    tell(film, 1, IS, "Cem")
    others = [seen(STRANGER, 1.0, 2.0, at=3, x=100), seen(STRANGER, 4.0, 5.0, at=5)]
    film.analyse(others, fps=5.0)
    assert told(film) == []
    assert not warnings(film)
    film.analyse([seen(STRANGER, 1.0, 2.0, at=3)], stream=2)
    assert told(film) == []


def test_every_part_of_a_face_takes_over_what_was_corrected(film: Film) -> None:
    film.analyse([seen(STRANGER, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)])
    tell(film, 1, IS, "Cem")
    film.analyse([seen(STRANGER, 1.0, 2.0, 3.0, at=6), seen(STRANGER, 4.0, 5.0, 6.0, at=12)], fps=5.0)
    assert told(film) == [(1, "is", "Cem"), (2, "is", "Cem")]


def test_of_two_faces_that_are_one_track_then_both_must_be_corrected(film: Film) -> None:
    film.analyse([seen(ANN, 1.0, 2.0, 3.0), seen(ANN, 5.0, 6.0, 7.0, at=6)])
    tell(film, 1, IS_NOT, "Ann_Lee")
    whole = seen(ANN, 1.0, 2.0, 3.0, 5.0, 6.0, 7.0, at=12)
    film.analyse([whole], fps=5.0)
    assert told(film) == []
    film.analyse([])
    tell(film, 2, IS_NOT, "Ann_Lee")
    film.analyse([whole], fps=6.0)
    assert told(film) == [(1, "is_not", "Ann_Lee")]
    assert not warnings(film)


def test_what_is_not_clear_is_told_until_it_is_corrected(film: Film) -> None:
    film.analyse([seen(STRANGER, 1.0, 2.0)])
    tell(film, 1, IS, "Cem")
    # Two faces at one place: one of them is on a screen, or was found twice.
    film.analyse([seen(BOB, 1.0, 2.0, at=5), seen(ANN, 1.0, 2.0, at=5, x=10)], fps=5.0)
    assert told(film) == []
    assert warnings(film) == [
        "another analysis was corrected: the face from 1.0 to 2.0 s is Cem. It is not clear whether tracks 1, 2 show that face here: "
        "correct what is wrong"
    ]
    tell(film, 1, IS_NOT, "Cem")
    assert [warning.partition("whether ")[2][:7] for warning in warnings(film)] == ["track 2"]
    tell(film, 2, IS, "Cem")
    assert not warnings(film)


def test_a_face_that_only_touches_another_one_is_told(film: Film) -> None:
    film.analyse([seen(STRANGER, *(float(at) for at in range(1, 9)))])
    tell(film, 1, IS, "Cem")
    film.analyse([seen(ANN, *(float(at) for at in range(6, 16)))], fps=5.0)
    assert told(film) == []
    assert len(warnings(film)) == 1


def test_many_that_are_not_clear_are_counted(film: Film) -> None:
    starts = [2.0 * at for at in range(8)]
    film.analyse([seen(STRANGER, at, at + 0.5, x=100 * at) for at in starts])
    correct(film.archive, "p", [TrackCorrection("v-film", i, IS, "Cem") for i in range(1, 9)])
    twice = [seen(ANN, at, at + 0.5, at=9, x=100 * at + dx) for at in starts for dx in (0, 5)]
    film.analyse(twice, fps=5.0)
    assert len(warnings(film)) == 6
    assert warnings(film)[-1] == "3 more corrections of other analyses are not clear here"


def test_a_video_without_corrections_reads_no_tracks(film: Film, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    correct(film.archive, "p", [TrackCorrection("v-1", 3, IS, "Cem")])
    film.analyse([seen(STRANGER, 1.0, 2.0)])
    read: list[str] = []
    for name in ("get_tracks", "pick_tracks", "list_edits"):
        monkeypatch.setattr(store, name, lambda *_, name=name, **__: read.append(name))
    film.analyse([seen(STRANGER, 1.0, 2.0, at=5)], fps=5.0)
    assert read == []


def test_moving_faces_are_compared_where_they_are_between_samples() -> None:
    boxes = np.float32([[0, 0, 60, 60], [120, 0, 180, 60], [240, 0, 300, 60]])
    moving = replace(seen(ANN, 0.0, 1.0, 2.0), boxes=boxes)
    between = replace(seen(ANN, 0.5, 1.5), boxes=boxes[:2] + np.float32([60, 0, 60, 0]))
    assert shared_samples(moving, between) == shared_samples(between, moving) == 1.0
    assert shared_samples(moving, replace(between, boxes=boxes[:2])) == 0.0


def test_corrections_that_were_carried_go_back_with_who_is_taken_apart(film: Film) -> None:
    film.analyse([seen(STRANGER, 1.0, 2.0), seen(BOB, 5.0, 6.0)])
    tell(film, 1, IS, "Cem")
    tell(film, 2, IS, "Bob")
    merge_people(film.archive, "p", "Cem", "Bob")
    film.analyse([seen(BOB, 5.0, 6.0, at=5), seen(STRANGER, 1.0, 2.0, at=5)], fps=5.0)
    assert told(film) == [(1, "is", "Bob"), (2, "is", "Bob")]
    unmerge_person(film.archive, "p", "Cem")
    assert told(film) == [(1, "is", "Bob"), (2, "is", "Cem")]
    film.analyse([seen(STRANGER, 1.0, 2.0, at=7)], fps=6.0)
    assert told(film) == [(1, "is", "Cem")]

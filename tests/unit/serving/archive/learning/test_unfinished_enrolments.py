"""Face files that have no rows: of what was killed, of what failed, and of somebody who was forgotten meanwhile."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from facerec_models.errors import ConflictError, PersonNotFoundError
from facerec_models.files import write_atomically
from serving.archive.files import Files
from serving.archive.forget import forget
from serving.archive.handle import Archive
from serving.archive.learning.unfinished_enrolments import enrolling, marks_of
from serving.archive.naming import correct as corrections
from serving.archive.naming.correct import TrackCorrection, correct
from serving.archive.naming.undo import undo_application
from serving.jobs.sweep import sweep
from serving.store import Store, open_store
from serving.store.naming_rows import CorrectionKind
from tests.archive import RULES, fill
from tests.contract.store_cases import make_face

_PATIENCE_S = 120


@pytest.fixture
def store(home: Files) -> Iterator[Store]:
    with closing(open_store(home.root)) as store:
        fill(store, home)
        yield store


def die(*_: object, **__: object) -> None:
    os._exit(9)


def die_in_a_correction(home: Files) -> None:
    corrections.rename = die  # type: ignore[assignment]
    correct(Archive(open_store(home.root), home, RULES), "p", [TrackCorrection("v-1", 3, CorrectionKind.IS, "Cem")])


def die_before_there_are_rows(home: Files) -> None:
    with enrolling(Archive(open_store(home.root), home), "p", {"Cem": ["f-c1", "f-c2"]}):
        for face_id in ("f-c1", "f-10"):
            write_atomically(home.face_crop("p", face_id), b"jpeg")
        die()


def die_in_an_undoing(home: Files) -> None:
    store = open_store(home.root)
    revision = correct(Archive(store, home, RULES), "p", [TrackCorrection("v-1", 3, CorrectionKind.IS, "Cem")]).revision
    undo = store.undo_naming

    def undo_and_die(*arguments: Any) -> None:
        undo(*arguments)
        die()

    store.undo_naming = undo_and_die  # type: ignore[method-assign]
    undo_application(Archive(store, home, RULES), "p", revision)


def run(what: Callable[[Files], None], home: Files) -> None:
    process = multiprocessing.get_context("spawn").Process(target=what, args=(home,))
    process.start()
    process.join(_PATIENCE_S)
    assert process.exitcode == 9


def crops(home: Files) -> set[str]:
    return {path.stem for path in home.face_crop("p", "x").parent.iterdir()}


def rows(store: Store) -> set[str]:
    return {face.face_id for face in store.list_faces("p")}


@pytest.mark.parametrize("what", [die_in_a_correction, die_before_there_are_rows, die_in_an_undoing])
def test_forgetting_removes_what_a_killed_enrolment_of_the_person_left(
    store: Store, home: Files, what: Callable[[Files], None]
) -> None:
    run(what, home)
    assert crops(home) > rows(store)
    with pytest.raises(PersonNotFoundError):
        forget(Archive(store, home, RULES), "p", "Dee")
    left = len(crops(home) - rows(store))
    assert left > 0
    assert forget(Archive(store, home, RULES), "p", "Cem").crops == left
    assert crops(home) == rows(store)
    assert marks_of(home, "p") == []


def test_what_a_killed_enrolment_left_is_swept_when_nobody_can_be_at_it(
    store: Store, home: Files, tmp_path: Path
) -> None:
    run(die_before_there_are_rows, home)
    (mark,) = marks_of(home, "p")
    assert b"Cem" not in mark.read_bytes() + mark.name.encode()
    assert sweep(Archive(store, home)) == 0
    os.utime(mark, (time.time() - 2 * 86400,) * 2)
    with closing(open_store(tmp_path / "other")) as other:
        assert sweep(Archive(other, home)) == 0
    assert crops(home) == {*rows(store), "f-c1"}
    store.put_faces("p", [make_face("f-c1", "Cem")])
    mark_only = sweep(Archive(store, home))
    assert (mark_only, "f-c1" in crops(home), marks_of(home, "p")) == (1, True, [])
    store.delete_faces("p", ["f-c1"])
    write_atomically(mark, b"f-c1\nf-c2\nf-10")
    os.utime(mark, (time.time() - 2 * 86400,) * 2)
    assert sweep(Archive(store, home)) == 2
    assert crops(home) == rows(store)
    assert marks_of(home, "p") == []


def enrol_and(store: Store, home: Files, faces: dict[str, list[str]], then: Callable[[], object]) -> None:
    with enrolling(Archive(store, home), "p", faces) as check:
        for face_ids in faces.values():
            for face_id in face_ids:
                write_atomically(home.face_crop("p", face_id), b"jpeg")
        check()
        then()
        check()


def test_an_enrolment_of_somebody_who_is_forgotten_meanwhile_stores_nothing(store: Store, home: Files) -> None:
    before = rows(store)

    def forget_bob() -> None:
        forget(Archive(store, home, RULES), "p", "Bob")
        assert "f-b" not in crops(home)

    with pytest.raises(ConflictError, match="Bob of project 'p' was forgotten"):
        enrol_and(store, home, {"Ann_Lee": ["f-a"], "Bob": ["f-b"], "Cem": []}, forget_bob)
    assert rows(store) < before
    assert crops(home) == rows(store)
    assert marks_of(home, "p") == []


@pytest.mark.parametrize("is_deleted", [True, False])
def test_what_fails_leaves_no_file_without_a_row(store: Store, home: Files, is_deleted: bool) -> None:
    def fail() -> None:
        if is_deleted:
            store.delete_project("p")
        else:
            store.put_faces("p", [make_face("f-d", "Cem")])
        raise KeyboardInterrupt

    before = rows(store)
    with pytest.raises(KeyboardInterrupt):
        enrol_and(store, home, {"Cem": ["f-c", "f-d"]}, fail)
    assert crops(home) == (before if is_deleted else {*before, "f-d"})
    assert marks_of(home, "p") == []

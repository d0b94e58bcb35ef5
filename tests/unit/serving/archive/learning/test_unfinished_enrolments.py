"""Face files that have no rows: of killed and failed enrolments, and of a person who was forgotten meanwhile."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
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
from serving.archive.naming.correct import TrackCorrection, correct
from serving.archive.naming.undo import undo_edit
from serving.jobs.sweep import sweep
from serving.sources.config import SourcesConfig
from serving.store.contract import Store
from serving.store.naming_rows import CorrectionKind
from serving.store.opening import open_store
from tests.archive import fill
from tests.contract.store_cases import make_face
from tests.waiting import WAIT_S


@pytest.fixture
def archive(archive: Archive) -> Archive:
    fill(archive)
    return archive


def die(*_: object, **__: object) -> None:
    os._exit(9)


def die_in_a_correction(home: Files) -> None:
    store = open_store(home.root)
    store.apply = die  # type: ignore[method-assign, assignment]
    correct(Archive(store, home), "p", [TrackCorrection("v-1", 3, CorrectionKind.IS, "Cem")])


def die_before_there_are_rows(home: Files) -> None:
    with enrolling(Archive(open_store(home.root), home), "p", {"Cem": ["f-c1", "f-c2"]}):
        for face_id in ("f-c1", "f-10"):
            write_atomically(home.face_crop("p", face_id), b"jpeg")
        die()


def die_in_an_undoing(home: Files) -> None:
    archive = Archive(open_store(home.root), home)
    correct(archive, "p", [TrackCorrection("v-1", 3, CorrectionKind.IS, "Cem")])
    apply = archive.store.apply

    def undo_and_die(*arguments: Any, **options: Any) -> int:
        apply(*arguments, **options)
        die()
        return 0

    archive.store.apply = undo_and_die  # type: ignore[method-assign]
    undo_edit(archive, "p")


def run(what: Callable[[Files], None], home: Files) -> None:
    process = multiprocessing.get_context("spawn").Process(target=what, args=(home,))
    process.start()
    process.join(WAIT_S)
    assert process.exitcode == 9


def crops(home: Files) -> set[str]:
    return {path.stem for path in home.face_crop("p", "x").parent.iterdir()}


def rows(store: Store) -> set[str]:
    return {face.face_id for face in store.list_faces("p")}


@pytest.mark.parametrize("what", [die_in_a_correction, die_before_there_are_rows, die_in_an_undoing])
def test_forgetting_removes_what_a_killed_enrolment_of_the_person_left(
    archive: Archive, store: Store, what: Callable[[Files], None]
) -> None:
    run(what, archive.files)
    assert crops(archive.files) > rows(store)
    with pytest.raises(PersonNotFoundError):
        forget(archive, "p", "Dee")
    left = len(crops(archive.files) - rows(store))
    assert left > 0
    assert forget(archive, "p", "Cem").crops == left
    assert crops(archive.files) == rows(store)
    assert marks_of(archive.files, "p") == []


def test_files_of_a_killed_enrolment_are_swept_when_they_are_old(
    archive: Archive, store: Store, tmp_path: Path
) -> None:
    run(die_before_there_are_rows, archive.files)
    (mark,) = marks_of(archive.files, "p")
    assert b"Cem" not in mark.read_bytes() + mark.name.encode()
    assert sweep(archive, SourcesConfig()) == 0
    os.utime(mark, (time.time() - 2 * 86400,) * 2)
    with closing(open_store(tmp_path / "other")) as other:
        assert sweep(Archive(other, archive.files), SourcesConfig()) == 0
    assert crops(archive.files) == {*rows(store), "f-c1"}
    store.put_faces("p", [make_face("f-c1", "Cem")])
    mark_only = sweep(archive, SourcesConfig())
    assert (mark_only, "f-c1" in crops(archive.files), marks_of(archive.files, "p")) == (1, True, [])
    store.delete_faces("p", ["f-c1"])
    write_atomically(mark, b"f-c1\nf-c2\nf-10")
    os.utime(mark, (time.time() - 2 * 86400,) * 2)
    assert sweep(archive, SourcesConfig()) == 2
    assert crops(archive.files) == rows(store)
    assert marks_of(archive.files, "p") == []


def enrol_and(archive: Archive, faces: dict[str, list[str]], then: Callable[[], object]) -> None:
    with enrolling(archive, "p", faces) as check:
        for face_ids in faces.values():
            for face_id in face_ids:
                write_atomically(archive.files.face_crop("p", face_id), b"jpeg")
        check()
        then()
        check()


def test_an_enrolment_of_a_person_forgotten_meanwhile_stores_nothing(archive: Archive, store: Store) -> None:
    before = rows(store)

    def forget_bob() -> None:
        forget(archive, "p", "Bob")
        assert "f-b" not in crops(archive.files)

    with pytest.raises(ConflictError, match="Bob of project 'p' was forgotten"):
        enrol_and(archive, {"Ann_Lee": ["f-a"], "Bob": ["f-b"], "Cem": []}, forget_bob)
    assert rows(store) < before
    assert crops(archive.files) == rows(store)
    assert marks_of(archive.files, "p") == []


@pytest.mark.parametrize("is_deleted", [True, False])
def test_a_failed_enrolment_leaves_no_file_without_a_row(archive: Archive, store: Store, is_deleted: bool) -> None:
    def fail() -> None:
        if is_deleted:
            store.delete_project("p")
        else:
            store.put_faces("p", [make_face("f-d", "Cem")])
        raise KeyboardInterrupt

    before = rows(store)
    with pytest.raises(KeyboardInterrupt):
        enrol_and(archive, {"Cem": ["f-c", "f-d"]}, fail)
    assert crops(archive.files) == (before if is_deleted else {*before, "f-d"})
    assert marks_of(archive.files, "p") == []

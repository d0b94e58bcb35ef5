"""Forgetting leaves nothing of a person, whoever interrupts it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from threading import Timer
from typing import Any

import numpy as np
import pytest

from facerec_models.errors import ConflictError, InputError, PersonNotFoundError, StoreError
from facerec_models.files import write_atomically
from facerec_models.identification.naming_model import NamingModel
from facerec_models.vectors import track_embedding
from facerec_models.video_writer import VideoWriter
from serving.archive import forget as forgetting
from serving.archive.files import Files
from serving.archive.forget import forget
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import drop_loaded_models
from serving.archive.learning.model_versions import train
from serving.archive.naming.correct import name_stranger
from serving.archive.naming.undo import undo_edit
from serving.archive.vector_sets import read_vectors, write_vectors
from serving.jobs import runner as jobs
from serving.jobs.crawl import crawl_person
from serving.settings import Settings
from serving.store import leases
from serving.store.contract import Store
from serving.store.job_rows import JobState
from serving.store.naming_rows import CorrectionKind, NamingChange
from serving.store.opening import open_store
from serving.store.sqlite.store import SqliteStore
from tests.archive import RULES, enrol, fill, put_mirror, put_video
from tests.contract.store_cases import make_face
from tests.unit.serving.archive.edits import add_named_video, before_each, correct_track, labels_in


@pytest.fixture
def archive(archive: Archive) -> Archive:
    """The archive with two named videos in it."""
    fill(archive)
    return archive


def test_forgetting_leaves_nothing_of_a_person(archive: Archive, store: Store) -> None:
    name_stranger(archive, "p", "Unknown 2", "Dee")
    write_atomically(archive.files.job_found("p", "j-at-work") / "0-0-0-1000.json", b'[{"person_id": "Dee"}]')
    old = [row.version for row in store.list_models("p")]
    receipt = forget(archive, "p", "Dee")
    assert (receipt.faces, receipt.crops, receipt.tracks, receipt.track_crops, receipt.videos) == (4, 4, 2, 4, 2)
    assert receipt.corrections == 2
    assert receipt.models == old[1:]
    assert [row.version for row in store.list_models("p")] == [receipt.new_model]
    assert labels_in(archive, "v-1") == labels_in(archive, "v-2") == ["Ann Lee", "Bob", "Unknown 1", "Undecidable"]
    assert not list(archive.files.analysis("p", "a-v-1").glob("4-*"))
    assert all(len(t.embeddings) == 0 for t in store.get_tracks("p", ["a-v-1"])["a-v-1"] if t.track_id == 4)
    everything = b"".join(path.read_bytes() for path in archive.files.root.rglob("*") if path.is_file())
    assert b"Dee" not in everything
    assert "Dee" in str(asdict(receipt))
    with pytest.raises(PersonNotFoundError, match="no person 'Dee'"):
        forget(archive, "p", "Dee")


def test_the_last_person_can_be_forgotten_too(archive: Archive, store: Store) -> None:
    forget(archive, "p", "Ann_Lee")
    receipt = forget(archive, "p", "Bob")
    assert receipt.new_model is None
    assert store.list_models("p") == []
    assert store.list_people("p") == []


@pytest.mark.parametrize("is_last", [True, False])
@pytest.mark.parametrize("are_deleted", [True, False])
def test_forgetting_that_died_at_a_model_is_completed_by_the_next_try(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch, is_last: bool, are_deleted: bool
) -> None:
    if is_last:
        forget(archive, "p", "Ann_Lee")
    delete = store.delete_model

    def die(project: str, version: str) -> None:
        if are_deleted:
            delete(project, version)
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "delete_model", die)
    with pytest.raises(KeyboardInterrupt):
        forget(archive, "p", "Bob")
    monkeypatch.undo()
    drop_loaded_models()
    if are_deleted:
        with pytest.raises(PersonNotFoundError):
            forget(archive, "p", "Bob")
    else:
        empty = store.empty_tracks

        def come_late(project: str, tracks: Sequence[tuple[str, int]]) -> int:
            put_video(archive, "v-3", 2)
            return empty(project, tracks)

        monkeypatch.setattr(store, "empty_tracks", come_late)
        assert len(forget(archive, "p", "Bob").models) == 1
    assert len(store.list_models("p")) == (0 if is_last else 1)
    assert [row.number for row in store.list_edits("p") if row.can_undo] == []
    assert "Bob" not in {row.owner for row in store.list_appearances("p", ["a-v-1", "a-v-2"])}


@pytest.mark.parametrize("is_done", [True, False])
@pytest.mark.parametrize(
    "step", ["seal_edits", "delete_corrections", "apply", "delete_faces", "empty_tracks", "delete_model", "scrub"]
)
def test_forgetting_that_was_killed_at_any_step_can_be_done_again(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch, step: str, is_done: bool
) -> None:
    name_stranger(archive, "p", "Unknown 2", "Dee")
    original = getattr(store, step)

    def die(*args: Any, **options: Any) -> None:
        if is_done:
            original(*args, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(store, step, die)
    with pytest.raises(KeyboardInterrupt):
        forget(archive, "p", "Dee")
    monkeypatch.undo()
    drop_loaded_models()
    with suppress(PersonNotFoundError):
        forget(archive, "p", "Dee")
    assert "Dee" not in {*labels_in(archive, "v-1"), *labels_in(archive, "v-2")}
    assert "Dee" not in {one.person_id for one in store.list_strangers("p")}
    everything = b"".join(path.read_bytes() for path in archive.files.root.rglob("*") if path.is_file())
    assert b"Dee" not in everything
    with pytest.raises(PersonNotFoundError, match="no person 'Dee'"):
        forget(archive, "p", "Dee")


def test_vectors_of_a_person_whom_no_model_knows_go_even_if_forgetting_is_killed_after_the_faces(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(archive, 7, "Eve")
    faces = {face.face_id: np.ones(4, np.float32) for face in store.list_faces("p")}
    write_vectors(archive.files, "p", "facenet-vggface2", faces)
    delete = store.delete_faces

    def die(project: str, face_ids: Sequence[str]) -> None:
        delete(project, face_ids)
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "delete_faces", die)
    with pytest.raises(KeyboardInterrupt):
        forget(archive, "p", "Eve")
    monkeypatch.undo()
    with pytest.raises(PersonNotFoundError):
        forget(archive, "p", "Eve")
    left = {face.face_id for face in store.list_faces("p")}
    assert 0 < len(left) < len(faces)
    assert read_vectors(archive.files, "p", "facenet-vggface2").keys() == left


def test_a_person_is_forgotten_even_if_too_few_are_left_to_train(tmp_path: Path) -> None:
    home = Files(tmp_path / "no-cohort")
    with closing(open_store(home.root)) as store:
        store.create_project("p")
        store.fix_embedder("p", "facenet-vggface2")
        vectors = np.random.default_rng(0).standard_normal((40, 512)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        people = [f"Person_{i // 2}" for i in range(40)]
        store.put_faces(
            "p",
            [
                make_face(f"f{i}", who, embedder="facenet-vggface2", embedding=vectors[i])
                for i, who in enumerate(people)
            ],
        )
        archive = Archive(store, home)
        version = train(archive, "p").version
        assert store.get_model("p").version == version
        receipt = forget(archive, "p", "Person_3")
        assert (receipt.faces, receipt.models, receipt.new_model) == (2, [version], None)
        assert store.list_models("p") == []
        assert not home.model("p", version).exists()
        with pytest.raises(PersonNotFoundError):
            forget(archive, "p", "Person_3")


def test_a_forgotten_person_is_named_in_no_reason(archive: Archive, store: Store) -> None:
    put_mirror(archive, "v-3", 2, 7)
    name_stranger(archive, "p", "Unknown 1", "Dee")
    assert any("Dee" in (row.reason or "") for row in store.list_appearances("p", ["a-v-3"]))
    forget(archive, "p", "Dee")
    everything = b"".join(path.read_bytes() for path in archive.files.root.rglob("*") if path.is_file())
    assert b"Dee" not in everything


# Meanwhile


def test_forgetting_reaches_a_video_that_ends_meanwhile(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_each(monkeypatch, store, "apply", lambda n: add_named_video(archive, (1, 9)) if n == 1 else None)
    receipt = forget(archive, "p", "Ann_Lee")
    tracks = store.get_tracks("p", ["a-v-3"])["a-v-3"]
    assert [len(track.embedded) for track in tracks] == [0, 2]
    assert not list(archive.files.analysis("p", "a-v-3").glob("1-*.jpg"))
    assert (receipt.tracks, receipt.videos) == (3, 3)


@pytest.mark.parametrize(
    "when", ["before the store knows the version", "while it is measured", "before it is promoted"]
)
def test_a_training_with_a_person_forgotten_meanwhile_leaves_nothing(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    enrol(archive, 7, "Cem")

    def forget_ann(number: int) -> None:
        if number == 1:
            forget(archive, "p", "Ann_Lee")

    def measure(*_: object) -> None:
        if when == "while it is measured" and store.list_faces("p", person_id="Ann_Lee"):
            forget_ann(1)

    if when == "before the store knows the version":
        before_each(monkeypatch, store, "add_model", forget_ann)
    elif when == "before it is promoted":
        before_each(monkeypatch, store, "add_model", lambda number: forget_ann(number - 1))
    with pytest.raises(ConflictError, match="train again"):
        train(archive, "p", evaluate=measure)
    (left,) = store.list_models("p")
    assert store.get_model("p").version == left.version
    assert left.people == 2
    assert [path.name for path in archive.files.model("p", left.version).parent.iterdir()] == [left.version]
    assert {person.person_id for person in store.list_people("p")} == {"Bob", "Cem"}


def test_an_annotated_video_drawn_during_a_forgetting_is_discarded(archive: Archive) -> None:
    folder = archive.files.analysis("p", "a-v-1")

    def draw() -> None:
        with VideoWriter(folder / "annotated-r-1.mp4", 25, 64, 48) as writer:
            writer.write(np.zeros((48, 64, 3), np.uint8))
            forget(archive, "p", "Bob")

    with pytest.raises(ConflictError, match="removed while it was written"):
        draw()
    assert [path.name for path in folder.iterdir() if "annotated" in path.name] == []


def crawl_of(store: Store, person_id: str) -> str:
    spec = {
        "person_id": person_id,
        "source": f"site:https://{person_id}.example",
        "max_num": 5,
        "discard_multi_face": False,
    }
    return jobs.submit(store, "p", "crawl", spec, max_queued=9).job_id


def test_forgetting_ends_crawls_and_takes_the_name_out_of_them(archive: Archive, store: Store) -> None:
    failed = crawl_of(store, "Ann_Lee")
    claimed = leases.claim(store, ["crawl"], "runner", 60)
    assert claimed is not None
    leases.finish(store, claimed, JobState.FAILED, error="nothing of 'Ann Lee'")
    left = crawl_of(store, "Ann_Lee")
    assert leases.claim(store, ["crawl"], "runner", -1) is not None
    waiting, other = crawl_of(store, "Ann_Lee"), crawl_of(store, "Bob")
    forget(archive, "p", "Ann_Lee")
    for job_id in (failed, left, waiting):
        job = store.get_job(job_id)
        assert "Ann" not in repr(job)
        assert job.spec["person_id"] is None
    assert store.get_job(waiting).state is JobState.CANCELLED
    assert leases.claim(store, ["crawl"], "runner", 60).job.job_id == other  # type: ignore[union-attr]
    assert store.get_job(left).state is JobState.CANCELLED
    for file in archive.files.root.glob("facerec.sqlite3*"):
        assert b"Ann_Lee" not in file.read_bytes()
    again = leases.retry(store, failed)
    with pytest.raises(InputError, match="was forgotten"):
        crawl_person(archive, Settings(home=archive.files.root), None, again, None)  # type: ignore[arg-type]


def test_forgetting_waits_for_a_running_crawl_and_removes_its_faces(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = crawl_of(store, "Cem")
    claimed = leases.claim(store, ["crawl"], "runner", 60)
    assert claimed is not None
    monkeypatch.setattr(forgetting, "_PATIENCE_S", 0.3)
    archive.files.pictures("p", "Cem").mkdir(parents=True)
    with pytest.raises(ConflictError, match=f"job {job_id}: try again"):
        forget(archive, "p", "Cem")
    assert archive.files.pictures("p", "Cem").is_dir()
    assert store.get_job(job_id).cancel_requested
    monkeypatch.undo()

    def end() -> None:
        enrol(archive, 5, "Cem")
        leases.finish(store, claimed, JobState.SUCCEEDED)

    timer = Timer(0.3, end)
    timer.start()
    assert forget(archive, "p", "Cem").faces == 3
    timer.join()
    assert store.list_faces("p", person_id="Cem") == []
    assert not archive.files.pictures("p", "Cem").exists()


def test_a_person_with_collected_pictures_only_is_forgotten(archive: Archive) -> None:
    write_atomically(archive.files.pictures("p", "Cem") / "1.jpg", b"jpeg")
    assert forget(archive, "p", "Cem").pictures == 1
    with pytest.raises(PersonNotFoundError):
        forget(archive, "p", "Cem")


def test_forgetting_that_conflicts_can_be_repeated(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply, numbers = store.apply, iter(range(100))

    def late(project: str, change: NamingChange, *, if_version: int) -> int:
        if change.edit is not None:
            number = next(numbers)
            add_named_video(archive, (20 + number,), f"v-{10 + number}")
        return apply(project, change, if_version=if_version)

    monkeypatch.setattr(store, "apply", late)
    with pytest.raises(ConflictError):
        forget(archive, "p", "Ann_Lee")
    monkeypatch.undo()
    receipt = forget(archive, "p", "Ann_Lee")
    assert len(receipt.models) >= 1
    assert "Ann_Lee" not in {row.owner for row in store.list_appearances("p", ["a-v-1", "a-v-2"])}
    with pytest.raises(PersonNotFoundError):
        forget(archive, "p", "Ann_Lee")


def test_forgetting_that_a_reader_blocks_is_completed_by_the_next_try(store: Store, home: Files) -> None:
    path = home.root / "facerec.sqlite3"
    with closing(SqliteStore(path, busy_timeout_s=0.5)) as impatient, closing(sqlite3.connect(path)) as reader:
        reader.isolation_level = None
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM faces").fetchone()
        with pytest.raises(StoreError, match="try again"):
            forget(Archive(impatient, home, RULES), "p", "Ann_Lee")
        reader.execute("COMMIT")
        with pytest.raises(PersonNotFoundError):
            forget(Archive(impatient, home, RULES), "p", "Ann_Lee")
    for file in home.root.glob("facerec.sqlite3*"):
        assert b"Ann_Lee" not in file.read_bytes()


def test_what_was_told_of_others_about_the_tracks_of_a_person_is_forgotten(archive: Archive, store: Store) -> None:
    correct_track(archive, CorrectionKind.IS, "Cem")
    undo_edit(archive, "p")
    correct_track(archive, CorrectionKind.IS, "Eve")
    correct_track(archive, CorrectionKind.IS_NOT, "Bob")
    correct_track(archive, CorrectionKind.IS, "Dee")
    (track,) = store.pick_tracks("p", {"a-v-1": [3]})["a-v-1"]
    vectors = {one.tobytes() for one in (*track.embeddings, track_embedding(track))}
    receipt = forget(archive, "p", "Dee")
    found = b"".join(path.read_bytes() for path in archive.files.root.rglob("*") if path.is_file())
    assert not any(vector in found for vector in vectors)
    drop_loaded_models()
    models = [NamingModel.load(path) for path in archive.files.model("p", "x").parent.iterdir()]
    assert not vectors & {
        one.tobytes() for model in models for one in (*model.gallery.embeddings, *model.corrections.denied)
    }
    assert {row.version for row in store.list_models("p")}.isdisjoint(receipt.models)
    assert store.list_corrections("p") == []
    assert {face.person_id for face in store.list_faces("p")} == {"Ann_Lee", "Bob"}

"""Another name for a person, and two people who are one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from facerec_models.errors import ConflictError, InputError, PersonNotFoundError
from facerec_models.files import write_atomically
from facerec_models.identification.naming_model import NamingModel
from serving.archive.forget import forget
from serving.archive.former_names import name_now
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import train
from serving.archive.naming.correct import TrackCorrection, correct, name_stranger
from serving.archive.naming.enable import enable_faces
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.rename import merge_people, rename_person
from serving.archive.naming.undo import undo_edit
from serving.jobs import runner as jobs
from serving.store import leases
from serving.store.contract import Store
from serving.store.naming_rows import CorrectionKind, Edit, NamingChange
from serving.store.rows import FaceStatus
from tests.archive import enrol, put_people
from tests.unit.serving.archive.edits import (
    add_named_video,
    before_each,
    correct_track,
    everything,
    labels_in,
    owners,
    state,
    vectors_in_models,
)

# Forgetting


@pytest.mark.parametrize("change", [rename_person, merge_people])
@pytest.mark.parametrize("is_undone", [False, True])
def test_a_person_is_forgotten_under_former_names_too(
    archive: Archive, store: Store, change: Callable[..., object], is_undone: bool
) -> None:
    enrol(archive, 3, "Old_Name")
    train(archive, "p")
    if change is merge_people:
        enrol(archive, 4, "New_Name")
        train(archive, "p")
    correct_track(archive, CorrectionKind.IS, "Old_Name")
    correct_track(archive, CorrectionKind.IS_NOT, "Old_Name", track=4)
    write_atomically(archive.files.pictures("p", "Old_Name") / "1.jpg", b"jpeg")
    faces = store.list_faces("p", person_id="Old_Name")
    vectors = {face.embedding.tobytes() for face in faces if face.embedding is not None}
    denied = {row.embedding.tobytes() for row in store.list_corrections("p", person_id="Old_Name")}
    change(archive, "p", "Old_Name", "New_Name")
    if is_undone:
        undo_edit(archive, "p")
    store.delete_faces("p", [faces[1].face_id])  # a picture that was removed is in earlier versions still
    forget(archive, "p", "Old_Name" if is_undone else "New_Name")
    assert not (vectors | denied).intersection(vectors_in_models(archive))
    found = everything(archive)
    assert not any(vector in found for vector in vectors)
    assert b"Old_Name" not in found
    assert (is_undone and change is merge_people) or b"New_Name" not in found


def test_forgetting_another_person_keeps_what_a_renamed_one_is_called(archive: Archive, store: Store) -> None:
    enrol(archive, 3, "Cem")
    train(archive, "p")
    rename_person(archive, "p", "Ann_Lee", "Ada")
    forget(archive, "p", "Bob")
    assert [person.person_id for person in store.list_people("p")] == ["Ada", "Cem"]
    assert labels_in(archive, "v-1")[0] == "Ada"


def test_crawls_under_a_former_name_are_forgotten(archive: Archive, store: Store) -> None:
    faces = store.list_faces("p", person_id="Ann_Lee")
    store.put_faces("p", [replace(face, path="Ann_Lee/1.jpg") for face in faces])
    spec = {"person_id": "Ann_Lee", "source": "site:https://x.example", "max_num": 5, "discard_multi_face": False}
    job = jobs.submit(store, "p", "crawl", spec, max_queued=9)
    with pytest.raises(ConflictError, match=job.job_id):
        rename_person(archive, "p", "Ann_Lee", "Ada")
    leases.cancel(store, job.job_id)
    rename_person(archive, "p", "Ann_Lee", "Ada")
    forget(archive, "p", "Ada")
    assert store.get_job(job.job_id).spec["person_id"] is None
    assert b"Ann_Lee" not in everything(archive)


def test_former_names_are_not_read_from_what_people_read(archive: Archive, store: Store) -> None:
    edit = Edit("rename", "Annes Name ist jetzt Ada", renamed=("Ann_Lee", "Ada"))
    store.apply("p", NamingChange(edit=edit), if_version=store.get_project("p").version)
    edit = Edit("rename", "Ada is Eve")
    store.apply("p", NamingChange(edit=edit), if_version=store.get_project("p").version)
    assert name_now(store, "p", "Ann_Lee", 0.0) == "Ada"


def test_jobs_that_ask_for_a_renamed_person_ask_for_who_it_is_now(archive: Archive, store: Store) -> None:
    def ask(name: str) -> str:
        return jobs.submit(store, "p", "video", {"person_id": name}, max_queued=9, video_id="v-1").job_id

    def now(job_id: str) -> str:
        job = store.get_job(job_id)
        return name_now(store, "p", job.spec["person_id"], job.created_at)

    before = ask("Ann_Lee")
    rename_person(archive, "p", "Ann_Lee", "Misspelt")
    between = ask("Misspelt")
    undo_edit(archive, "p")
    assert (now(before), now(between)) == ("Ann_Lee", "Ann_Lee")
    rename_person(archive, "p", "Ann_Lee", "Ada")
    enrol(archive, 5, "Ann_Lee")
    train(archive, "p")
    after = ask("Ann_Lee")
    assert (now(before), now(between), now(after)) == ("Ada", "Ada", "Ann_Lee")
    forget(archive, "p", "Bob")
    assert (now(before), now(between), now(after)) == ("Ada", "Ada", "Ann_Lee")
    forget(archive, "p", "Ada")
    assert [store.get_job(one).spec["person_id"] for one in (before, between, after)] == [None, None, "Ann_Lee"]
    assert b"Misspelt" not in everything(archive)


def test_forgetting_who_bears_a_former_name_keeps_the_pictures_of_the_renamed_one(
    archive: Archive, store: Store
) -> None:
    album = archive.files.pictures("p", "Ann_Lee")
    faces = store.list_faces("p", person_id="Ann_Lee")
    store.put_faces("p", [replace(face, path=f"Ann_Lee/{face.face_id}.jpg") for face in faces])
    for name in [*(face.face_id for face in faces), "other"]:
        write_atomically(album / f"{name}.jpg", b"jpeg")
    rename_person(archive, "p", "Ann_Lee", "Ada")
    enrol(archive, 5, "Ann_Lee")
    train(archive, "p")
    assert forget(archive, "p", "Ann_Lee").pictures == 1
    assert {path.stem for path in album.iterdir()} == {face.face_id for face in faces}
    assert forget(archive, "p", "Ada").pictures == len(faces)
    assert not album.exists()


# Renaming


def test_renaming_gives_faces_corrections_and_names_at_once(archive: Archive, store: Store) -> None:
    correct_track(archive, CorrectionKind.IS, "Ann_Lee")
    correct_track(archive, CorrectionKind.IS_NOT, "Ann_Lee", track=4)
    name_stranger(archive, "p", "Unknown 2", "Ann_Lee")
    before = state(store)
    preview = rename_person(archive, "p", "Ann Lee", " Ada Lee ", preview=True)
    assert state(store) == before
    change = rename_person(archive, "p", "Ann Lee", " Ada Lee ", expected=preview.version)
    assert change.removed["Ann_Lee"] == change.added["Ada_Lee"] > 0
    assert preview.added == change.added
    assert {person.person_id for person in store.list_people("p")} == {"Ada_Lee", "Bob"}
    assert {row.person_id for row in store.list_corrections("p")} == {"Ada_Lee"}
    assert {row.person_id for row in store.list_strangers("p")} == {None, "Ada_Lee"}
    assert {"Ada_Lee", "Bob"} <= owners(store)
    assert "Ann_Lee" not in owners(store)
    undo_edit(archive, "p")
    assert state(store) == before


def test_a_video_that_came_after_a_renaming_has_the_former_name_after_its_undo(archive: Archive) -> None:
    rename_person(archive, "p", "Ann_Lee", "Ada")
    add_named_video(archive, (1, 9))
    assert labels_in(archive, "v-3")[0] == "Ada"
    undo_edit(archive, "p")
    assert labels_in(archive, "v-3")[0] == "Ann Lee"


def test_a_name_that_exists_is_refused_with_the_remedy(archive: Archive) -> None:
    with pytest.raises(ConflictError, match="people merge"):
        rename_person(archive, "p", "Ann_Lee", "Bob")
    with pytest.raises(PersonNotFoundError, match="Nobody"):
        rename_person(archive, "p", "Nobody", "Ada")


def test_people_are_renamed_before_anything_was_trained(archive: Archive, store: Store) -> None:
    put_people(store, "q", 2, faces_each=2)
    rename_person(archive, "q", "Person_0", "Ada")
    assert [person.person_id for person in store.list_people("q")] == ["Ada", "Person_1"]
    assert store.list_models("q") == []
    undo_edit(archive, "q")
    assert [person.person_id for person in store.list_people("q")] == ["Person_0", "Person_1"]


def test_a_version_that_knows_a_former_name_is_not_promoted(archive: Archive, store: Store) -> None:
    old = store.get_model("p").version
    rename_person(archive, "p", "Ann_Lee", "Ada")
    for how in ({"model_version": old}, {"goes_back": True}):
        with pytest.raises(ConflictError, match="faces of Ada as Ann_Lee's"):
            identify_archive(archive, "p", **how)  # type: ignore[arg-type]


def test_a_version_that_knows_a_former_name_from_corrections_alone_is_not_promoted(
    archive: Archive, store: Store
) -> None:
    correct_track(archive, CorrectionKind.IS, "Cem")
    enable_faces(archive, "p", [face.face_id for face in store.list_faces("p", person_id="Cem")], enabled=False)
    old = store.get_model("p").version
    rename_person(archive, "p", "Cem", "Dee")
    with pytest.raises(ConflictError, match="tracks of Dee as Cem's"):
        identify_archive(archive, "p", model_version=old)
    correct_track(archive, CorrectionKind.IS, "Eve")
    version = store.get_model("p").version
    correct_track(archive, CorrectionKind.IS, "Ann_Lee")
    identify_archive(archive, "p", model_version=version)
    assert labels_in(archive, "v-1")[2] == "Eve"


@pytest.mark.parametrize("when", [1, 2])
def test_a_training_during_which_a_person_is_renamed_is_to_be_done_again(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch, when: int
) -> None:
    enrol(archive, 7, "Cem")
    before_each(
        monkeypatch,
        store,
        "add_model",
        lambda number: rename_person(archive, "p", "Ann_Lee", "Ada") if number == when else None,
    )
    with pytest.raises(ConflictError, match="train again"):
        train(archive, "p")
    assert "Ada" in owners(store)
    assert "Ann_Lee" not in owners(store)


# Merging


def test_merging_makes_one_person_of_two_and_undo_takes_them_apart(archive: Archive, store: Store) -> None:
    before = state(store)
    change = merge_people(archive, "p", "Ann Lee", "Bob")
    assert change.removed["Ann_Lee"] == change.added["Bob"] > 0
    assert [person.person_id for person in store.list_people("p")] == ["Bob"]
    assert len(store.list_faces("p", person_id="Bob", status=FaceStatus.TAKEN)) == 6
    assert labels_in(archive, "v-1")[:2] == ["Bob", "Bob"]
    undo_edit(archive, "p")
    assert state(store) == before


def test_the_stronger_of_two_corrections_outlives_a_merge(archive: Archive, store: Store) -> None:
    def say(kind: CorrectionKind, person: str, track: int) -> None:
        correct(archive, "p", [TrackCorrection("v-1", track, kind, person)])

    say(CorrectionKind.IS, "Ann_Lee", 3)
    say(CorrectionKind.IS_NOT, "Bob", 3)
    say(CorrectionKind.IS, "Bob", 4)
    say(CorrectionKind.IS_NOT, "Ann_Lee", 4)
    before = state(store)
    merge_people(archive, "p", "Ann_Lee", "Bob")
    assert sorted((row.kind, row.person_id, row.track_id) for row in store.list_corrections("p")) == [
        (CorrectionKind.IS, "Bob", 3),
        (CorrectionKind.IS, "Bob", 4),
    ]
    undo_edit(archive, "p")
    assert state(store) == before


def test_a_person_is_merged_with_another_who_exists(archive: Archive) -> None:
    with pytest.raises(InputError, match="itself"):
        merge_people(archive, "p", "Bob", "Bob")
    with pytest.raises(PersonNotFoundError, match="Ada"):
        merge_people(archive, "p", "Bob", "Ada")
    with pytest.raises(PersonNotFoundError, match="Nobody"):
        merge_people(archive, "p", "Nobody", "Bob")


def test_names_after_renaming_are_those_of_training_with_that_name(archive: Archive, store: Store) -> None:
    rename_person(archive, "p", "Ann_Lee", "Ada")
    by_edit = store.get_model("p").version
    assert train(archive, "p").version == by_edit
    assert np.array_equal(
        NamingModel.load(archive.files.model("p", by_edit)).gallery.person_ids,
        ["Ada"] * 3 + ["Bob"] * 3,
    )

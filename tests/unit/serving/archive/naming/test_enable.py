"""Enrolled faces that are learned from, or no longer, by hand."""

from __future__ import annotations

import pytest

from facerec_models.errors import ConflictError, NotFoundError
from serving.archive.handle import Archive
from serving.archive.naming.correct import TrackCorrection, correct, name_stranger
from serving.archive.naming.enable import enable_faces, judge_by_hand
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.one_video import assign_current
from serving.archive.naming.rename import rename_person
from serving.archive.naming.undo import undo_edit
from serving.store.contract import Store
from serving.store.naming_rows import CorrectionKind
from serving.store.rows import FaceStatus
from tests.archive import put_people, put_tracks
from tests.contract.store_cases import make_face
from tests.unit.serving.archive.edits import labels_in, owners

ANN = ["f-10", "f-11", "f-12"]


def statuses(store: Store) -> dict[str, tuple[FaceStatus, str | None, bool]]:
    return {face.face_id: (face.status, face.reason, face.by_hand) for face in store.list_faces("p")}


def test_disabled_faces_name_nobody_at_once_and_undo_brings_them_back(archive: Archive, store: Store) -> None:
    before, version = statuses(store), store.get_model("p").version
    preview = enable_faces(archive, "p", ANN, enabled=False, preview=True)
    assert (statuses(store), preview.removed) == (before, {"Ann_Lee": 2})
    change = enable_faces(archive, "p", ANN, enabled=False, expected=preview.version)
    assert change.removed == preview.removed
    assert "Ann_Lee" not in owners(store)
    assert statuses(store)["f-10"] == (FaceStatus.DISABLED, "by hand", True)
    assert store.list_edits("p")[-1].note == "3 faces of Ann_Lee are disabled"
    with pytest.raises(ConflictError, match="at version"):
        enable_faces(archive, "p", ANN, expected=preview.version)
    undo_edit(archive, "p")
    assert (statuses(store), store.get_model("p").version) == (before, version)
    assert labels_in(archive, "v-1")[0] == "Ann Lee"


def test_faces_are_enabled_again_as_they_were_learned(archive: Archive, store: Store) -> None:
    version = store.get_model("p").version
    enable_faces(archive, "p", ["f-10"], enabled=False)
    assert store.get_model("p").version != version
    enable_faces(archive, "p", ["f-10"])
    assert store.get_model("p").version == version
    assert statuses(store)["f-10"] == (FaceStatus.TAKEN, None, True)


def test_without_an_enabled_face_all_are_strangers(archive: Archive, store: Store) -> None:
    enable_faces(archive, "p", [*ANN, "f-20", "f-21", "f-22"], enabled=False)
    assert all(str(one).startswith("stranger-") for one in owners(store))
    assert store.list_edits("p")[-1].model_version is None
    undo_edit(archive, "p")
    assert {"Ann_Lee", "Bob"} <= owners(store)


def test_who_is_enabled_again_is_named_again(archive: Archive, store: Store) -> None:
    everybody = [*ANN, "f-20", "f-21", "f-22"]
    version = store.get_model("p").version
    enable_faces(archive, "p", everybody, enabled=False)
    change = enable_faces(archive, "p", everybody)
    assert change.added["Ann_Lee"] == 2
    assert store.get_model("p").version == version
    assert labels_in(archive, "v-1")[0] == "Ann Lee"


def test_one_edit_enables_some_and_disables_others(archive: Archive, store: Store) -> None:
    enable_faces(archive, "p", ANN, enabled=False)
    edits = len(store.list_edits("p"))
    judge_by_hand(archive, "p", {"f-10": True, "f-20": False})
    assert [edit.note for edit in store.list_edits("p")[edits:]] == [
        "f-10 of Ann_Lee is enabled; f-20 of Bob is disabled"
    ]
    assert (statuses(store)["f-10"][0], statuses(store)["f-20"][0]) == (FaceStatus.TAKEN, FaceStatus.DISABLED)
    undo_edit(archive, "p")
    assert statuses(store)["f-10"][0] is FaceStatus.DISABLED


def test_faces_are_disabled_before_anything_was_trained(archive: Archive, store: Store) -> None:
    put_people(store, "q", 2, faces_each=2)
    enable_faces(archive, "q", ["f-00"], enabled=False)
    assert [face.status.value for face in store.list_faces("q", person_id="Person_0")] == ["disabled", "taken"]
    assert store.list_models("q") == []
    undo_edit(archive, "q")
    assert {face.status for face in store.list_faces("q")} == {FaceStatus.TAKEN}


def test_what_is_no_face_or_is_so_already_is_refused(archive: Archive, store: Store) -> None:
    store.put_faces("p", [make_face("f-x", "Ann_Lee", status=FaceStatus.REFUSED, embedding=None)])
    for face_id in ("f-absent", "f-x"):
        with pytest.raises(NotFoundError, match=face_id):
            enable_faces(archive, "p", ["f-10", face_id], enabled=False)
    assert statuses(store)["f-10"][0] is FaceStatus.TAKEN
    enable_faces(archive, "p", ["f-10"], enabled=False)
    with pytest.raises(ConflictError, match="f-10 of project 'p' was disabled by hand already"):
        enable_faces(archive, "p", ["f-10"], enabled=False)


def test_a_video_without_faces_is_in_nobodys_way(archive: Archive, store: Store) -> None:
    assign_current(archive, put_tracks(archive, "v-empty", 9, []))
    enable_faces(archive, "p", ["f-10"], enabled=False)
    correct(archive, "p", [TrackCorrection("v-1", 1, CorrectionKind.IS, "Grace_Hopper")])
    correct(archive, "p", [TrackCorrection("v-1", 2, CorrectionKind.IS_NOT, "Bob")], preview=True)
    name_stranger(archive, "p", "Unknown 1", "Ada_Lovelace")
    rename_person(archive, "p", "Bob", "Robert")
    identify_archive(archive, "p", max_false_names=0.02)
    enable_faces(archive, "p", ["f-10"])
    assert labels_in(archive, "v-empty") == []
    for _ in range(6):
        undo_edit(archive, "p")
    assert labels_in(archive, "v-1")[0] == "Ann Lee"

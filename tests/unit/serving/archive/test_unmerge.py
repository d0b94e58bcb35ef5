"""People who were merged are taken apart again, however much later."""

from __future__ import annotations

import pytest

from facerec_models.errors import ConflictError, PersonNotFoundError
from serving.archive.forget import forget
from serving.archive.former_names import name_now
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import train
from serving.archive.naming.correct import name_stranger
from serving.archive.naming.enable import enable_faces
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.rename import list_merged, merge_people, rename_person, unmerge_person
from serving.archive.naming.undo import undo_edit
from serving.store.contract import Store
from serving.store.naming_rows import CorrectionKind
from serving.store.rows import FaceStatus
from tests.archive import enrol, fill
from tests.unit.serving.archive.edits import correct_track, everything, labels_in, state, vectors_in_models


@pytest.fixture
def archive(archive: Archive) -> Archive:
    """The archive with two named videos in it."""
    fill(archive)
    return archive


def is_(archive: Archive, person: str, track: int) -> None:
    correct_track(archive, CorrectionKind.IS, person, track=track)


def is_not(archive: Archive, person: str, track: int) -> None:
    correct_track(archive, CorrectionKind.IS_NOT, person, track=track)


def corrections(store: Store) -> set[tuple[str, str, int]]:
    return {(row.kind.value, row.person_id, row.track_id) for row in store.list_corrections("p")}


def faces(store: Store) -> dict[str, int]:
    return {one.person_id: one.taken for one in store.list_people("p")}


def merged(archive: Archive, person: str) -> list[tuple[str, int]]:
    return [(one.person_id, one.faces) for one in list_merged(archive, "p", person)]


def test_people_are_taken_apart_later_than_the_last_edit(archive: Archive, store: Store) -> None:
    is_(archive, "Ann_Lee", 3)
    is_not(archive, "Ann_Lee", 4)
    name_stranger(archive, "p", "Unknown 2", "Ann_Lee")
    before = state(store)
    merge_people(archive, "p", "Ann_Lee", "Bob")
    together = state(store)
    rename_person(archive, "p", "Bob", "Rob")
    rename_person(archive, "p", "Rob", "Bob")
    assert merged(archive, "Bob") == [("Ann_Lee", faces(store)["Bob"] - 3)]
    preview = unmerge_person(archive, "p", "Ann Lee", preview=True)
    assert state(store) == together
    change = unmerge_person(archive, "p", "Ann Lee", expected=preview.version)
    assert preview.added == change.added
    assert change.removed["Bob"] == change.added["Ann_Lee"] > 0
    assert state(store) == before
    assert merged(archive, "Bob") == []
    undo_edit(archive, "p")
    assert state(store) == together
    assert [name for name, _ in merged(archive, "Bob")] == ["Ann_Lee"]


def test_what_was_corrected_since_a_merge_stays(archive: Archive, store: Store) -> None:
    is_(archive, "Ann_Lee", 3)
    is_(archive, "Ann_Lee", 4)
    of_track = {face.face_id for face in store.list_faces("p", person_id="Ann_Lee") if face.source}
    merge_people(archive, "p", "Ann_Lee", "Bob")
    is_(archive, "Bob", 3)
    is_(archive, "Cem", 4)
    is_not(archive, "Bob", 1)
    enable_faces(archive, "p", ["f-10"], enabled=False)
    unmerge_person(archive, "p", "Ann_Lee")
    assert corrections(store) == {("is", "Bob", 3), ("is", "Cem", 4), ("is_not", "Bob", 1)}
    whose = {face.face_id: (face.person_id, face.status) for face in store.list_faces("p")}
    assert whose["f-10"] == ("Ann_Lee", FaceStatus.DISABLED)
    assert {whose[face_id] for face_id in of_track} == {("Bob", FaceStatus.TAKEN), ("Ann_Lee", FaceStatus.DISABLED)}
    assert labels_in(archive, "v-1")[:3] == ["Ann Lee", "Bob", "Bob"]


def test_corrections_that_a_merge_hid_or_replaced_are_back(archive: Archive, store: Store) -> None:
    enrol(archive, 3, "Cem")
    train(archive, "p")
    is_(archive, "Ann_Lee", 3)
    is_not(archive, "Bob", 3)
    is_not(archive, "Cem", 3)
    is_(archive, "Bob", 4)
    is_not(archive, "Ann_Lee", 4)
    is_not(archive, "Ann_Lee", 2)
    is_not(archive, "Cem", 2)
    before = corrections(store)
    apart = state(store)
    merge_people(archive, "p", "Ann_Lee", "Bob")
    merge_people(archive, "p", "Bob", "Cem")
    assert corrections(store) == {("is", "Cem", 3), ("is", "Cem", 4), ("is_not", "Cem", 2)}
    unmerge_person(archive, "p", "Ann_Lee")
    assert corrections(store) == {
        *(("is", "Ann_Lee", 3), ("is_not", "Ann_Lee", 4), ("is_not", "Ann_Lee", 2)),
        *(("is_not", "Cem", 3), ("is", "Cem", 4), ("is_not", "Cem", 2)),
    }
    undo_edit(archive, "p")
    unmerge_person(archive, "p", "Bob")
    unmerge_person(archive, "p", "Ann_Lee")
    assert corrections(store) == before
    assert state(store)[:4] == apart[:4]


def test_a_correction_that_was_changed_after_a_merge_hid_another_stays_alone(archive: Archive, store: Store) -> None:
    is_not(archive, "Ann_Lee", 4)
    is_not(archive, "Bob", 4)
    merge_people(archive, "p", "Ann_Lee", "Bob")
    is_(archive, "Bob", 4)
    unmerge_person(archive, "p", "Ann_Lee")
    assert corrections(store) == {("is", "Bob", 4)}


def test_of_a_chain_of_merges_any_person_is_taken_apart(archive: Archive, store: Store) -> None:
    enrol(archive, 3, "Cem")
    train(archive, "p")
    before = faces(store)
    merge_people(archive, "p", "Ann_Lee", "Bob")
    merge_people(archive, "p", "Bob", "Cem")
    rename_person(archive, "p", "Cem", "Dee")
    assert merged(archive, "Dee") == [("Bob", 6), ("Ann_Lee", 3)]
    unmerge_person(archive, "p", "Ann_Lee")
    assert merged(archive, "Dee") == [("Bob", 3)]
    assert faces(store) == {"Ann_Lee": 3, "Dee": 6}
    undo_edit(archive, "p")
    unmerge_person(archive, "p", "Bob")
    assert (faces(store), merged(archive, "Dee"), merged(archive, "Bob")) == (
        {"Bob": 6, "Dee": 3},
        [],
        [("Ann_Lee", 3)],
    )
    rename_person(archive, "p", "Dee", "Cem")
    unmerge_person(archive, "p", "Ann_Lee")
    assert faces(store) == before
    assert labels_in(archive, "v-1")[:2] == ["Ann Lee", "Bob"]


def test_who_is_merged_twice_is_taken_apart_from_each(archive: Archive, store: Store) -> None:
    merge_people(archive, "p", "Ann_Lee", "Bob")
    unmerge_person(archive, "p", "Ann_Lee")
    with pytest.raises(ConflictError, match="apart again"):
        unmerge_person(archive, "p", "Ann_Lee")
    merge_people(archive, "p", "Ann_Lee", "Bob")
    enrol(archive, 3, "Cem")
    enrol(archive, 5, "Ann_Lee")
    train(archive, "p")
    with pytest.raises(ConflictError, match="people rename"):
        unmerge_person(archive, "p", "Ann_Lee")
    merge_people(archive, "p", "Ann_Lee", "Cem")
    assert (merged(archive, "Bob"), merged(archive, "Cem")) == ([("Ann_Lee", 3)], [("Ann_Lee", 3)])
    with pytest.raises(ConflictError, match="merged with Bob, not with Dee"):
        unmerge_person(archive, "p", "Ann_Lee", holder="Dee")
    unmerge_person(archive, "p", "Ann_Lee", holder="Bob")
    assert {face.face_id for face in store.list_faces("p", person_id="Ann_Lee")} == {"f-10", "f-11", "f-12"}
    undo_edit(archive, "p")
    unmerge_person(archive, "p", "Ann_Lee")
    assert {face.face_id for face in store.list_faces("p", person_id="Ann_Lee")} == {"f-50", "f-51", "f-52"}
    merge_people(archive, "p", "Ann_Lee", "Bob")
    unmerge_person(archive, "p", "Ann_Lee")
    assert faces(store) == {"Ann_Lee": 6, "Bob": 3, "Cem": 3}


def test_who_was_never_merged_or_is_apart_is_not_taken_apart(archive: Archive, store: Store) -> None:
    with pytest.raises(PersonNotFoundError, match="history list"):
        unmerge_person(archive, "p", "Nobody")
    with pytest.raises(ConflictError, match="not merged"):
        unmerge_person(archive, "p", "Ann_Lee")
    merge_people(archive, "p", "Ann_Lee", "Bob")
    with pytest.raises(ConflictError, match="Ann_Lee was with Bob, give that name"):
        unmerge_person(archive, "p", "Bob")
    undo_edit(archive, "p")
    with pytest.raises(ConflictError, match="apart again"):
        unmerge_person(archive, "p", "Ann_Lee")
    merge_people(archive, "p", "Ann_Lee", "Bob")
    store.delete_faces("p", ["f-10", "f-11", "f-12"])
    assert merged(archive, "Bob") == []
    with pytest.raises(ConflictError, match="nothing any more"):
        unmerge_person(archive, "p", "Ann_Lee")
    enrol(archive, 3, "Cem")
    forget(archive, "p", "Cem")
    with pytest.raises(PersonNotFoundError, match="Ann_Lee"):
        unmerge_person(archive, "p", "Ann_Lee")
    with pytest.raises(PersonNotFoundError, match="Nobody"):
        merged(archive, "Nobody")


def test_names_from_before_lead_to_who_is_apart_again(archive: Archive, store: Store) -> None:
    merge_people(archive, "p", "Ann_Lee", "Bob")
    assert name_now(store, "p", "Ann_Lee", 0.0) == "Bob"
    rename_person(archive, "p", "Bob", "Rob")
    unmerge_person(archive, "p", "Ann_Lee")
    assert (name_now(store, "p", "Ann_Lee", 0.0), name_now(store, "p", "Bob", 0.0)) == ("Ann_Lee", "Rob")
    undo_edit(archive, "p")
    assert name_now(store, "p", "Ann_Lee", 0.0) == "Rob"


def test_a_version_from_before_people_were_taken_apart_is_not_promoted(archive: Archive, store: Store) -> None:
    merge_people(archive, "p", "Ann_Lee", "Bob")
    one = store.get_model("p").version
    unmerge_person(archive, "p", "Ann_Lee")
    with pytest.raises(ConflictError, match="faces of Ann_Lee as Bob's"):
        identify_archive(archive, "p", model_version=one)


def test_who_is_apart_again_is_forgotten_with_all_vectors(archive: Archive, store: Store) -> None:
    correct_track(archive, CorrectionKind.IS_NOT, "Ann_Lee", track=4)
    vectors = {
        face.embedding.tobytes() for face in store.list_faces("p", person_id="Ann_Lee") if face.embedding is not None
    }
    merge_people(archive, "p", "Ann_Lee", "Bob")
    unmerge_person(archive, "p", "Ann_Lee")
    forget(archive, "p", "Ann_Lee")
    assert not vectors.intersection(vectors_in_models(archive))
    assert b"Ann_Lee" not in everything(archive)
    assert faces(store) == {"Bob": 3}

"""What every store promises of naming: appearances, applications to the archive, and their undoing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from facerec_models.errors import ConflictError, GalleryMismatchError, ModelNotFoundError
from serving.store import Store
from serving.store.naming_rows import EditInverse, EditRows, ProjectState, Stranger, StrangerTrack
from serving.store.rows import FaceStatus, same_face
from tests.contract.store_cases import (
    make_appearance,
    make_application,
    make_correction,
    make_face,
    make_model,
    make_naming,
    named_by,
    put_analyses,
    put_revisions,
)

ANN = Stranger("stranger-a", "p", 1, 1.0)


@pytest.fixture
def named(store: Store) -> Store:
    """Two analyses, named by ``r1`` in the project's first application."""
    put_analyses(store, "a", "b")
    put_revisions(store, "r1", "r2")
    rows = [make_appearance("a"), make_appearance("b")]
    store.apply_naming("p", make_naming({"a": None, "b": None}, "r1", *rows), make_application(1))
    return store


def stranger_track(analysis_id: str, stranger_id: str = ANN.stranger_id) -> StrangerTrack:
    return StrangerTrack("p", analysis_id, 1, stranger_id, np.ones(4, np.float32))


def test_appearances_come_back_exactly_and_replace_those_before(store: Store) -> None:
    put_analyses(store, "a", "b")
    put_revisions(store, "r1")
    rows = [
        make_appearance("a", 0, "Zoë_O'Neill", probability=0.1 + 0.2, last_shot=7, track_ids=(1, 5, 2**31)),
        make_appearance("a", 1, "stranger-abc", false_name_rate=1e-12),
        make_appearance("a", 2, None),
    ]
    other = make_appearance("b")
    store.assign_revision("p", "r1", ["a", "b"], [*reversed(rows), other])
    assert named_by(store) == {"a": "r1", "b": "r1"}
    assert store.list_appearances("p", ["b", "a"]) == [*rows, other]
    assert [type(row.decision) for row in store.list_appearances("p", ["a"])] == [type(rows[0].decision)] * 3
    store.assign_revision("p", "r1", ["a"], [rows[1]])
    assert store.list_appearances("p", ["a", "b"]) == [rows[1], other]
    with pytest.raises(ValueError, match="of b"):
        store.assign_revision("p", "r1", ["a"], [rows[0], other])
    assert store.list_appearances("p", ["a", "b"]) == [rows[1], other]
    store.delete_video("p", "v-a")
    assert store.list_appearances("p", ["b"]) == [other]


def test_apply_naming_writes_all_or_nothing(named: Store) -> None:
    store = named
    store.add_model(make_model("m2"))
    row = make_appearance("a", owner="Bob")
    naming = make_naming(
        {"a": "r1", "b": "r1"}, "r2", row, strangers=[ANN], stranger_tracks=[stranger_track("a")], promoted="m2"
    )
    application = make_application(2, "r2", cause="correction", note="Bob is Zoë", undo={"a": [1, None, {"b": 0.5}]})
    store.apply_naming("p", naming, application)
    assert named_by(store) == {"a": "r2", "b": "r2"}
    assert store.list_appearances("p", ["a", "b"]) == [row]
    assert store.list_strangers("p") == [ANN]
    assert [track.analysis_id for track in store.list_stranger_tracks("p")] == ["a"]
    assert store.get_model("p").version == "m2"
    assert store.get_application("p", 2) == application
    # In the list the undo says only that there is one.
    assert store.list_applications("p") == [replace(one, undo={}) for one in (make_application(1), application)]
    with pytest.raises(ModelNotFoundError):
        store.get_application("p", 3)


@pytest.mark.parametrize("number", [1, 3])
def test_a_late_application_conflicts_and_writes_nothing(named: Store, number: int) -> None:
    naming = make_naming({"a": "r1", "b": "r1"}, "r2", make_appearance("a", owner="Bob"), strangers=[ANN])
    with pytest.raises(ConflictError, match="again"):
        named.apply_naming("p", naming, make_application(number, "r2"))
    late = make_naming({"a": "r1"}, "r2", make_appearance("a", owner="Bob"))
    with pytest.raises(ConflictError, match="added meanwhile"):
        named.apply_naming("p", late, make_application(2, "r2"))
    for change in ({"expected": {"a": None, "b": "r1"}}, {"known": 1}):
        with pytest.raises(ConflictError, match="try again"):
            named.apply_naming("p", replace(naming, **change), make_application(2, "r2"))
    assert named_by(named) == {"a": "r1", "b": "r1"}
    assert named.list_appearances("p", ["a"]) == [make_appearance("a")]
    assert named.list_strangers("p") == []
    assert len(named.list_applications("p")) == 1


def test_one_of_many_concurrent_applications_succeeds(named: Store) -> None:
    def apply(owner: str) -> bool:
        naming = make_naming({"a": "r1", "b": "r1"}, "r1", make_appearance("a", owner=owner))
        try:
            named.apply_naming("p", naming, make_application(2, note=owner))
        except ConflictError:
            return False
        return True

    owners = [f"Person_{number}" for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        applied = [owner for owner, done in zip(owners, pool.map(apply, owners), strict=True) if done]
    assert [row.owner for row in named.list_appearances("p", ["a"])] == applied
    assert [row.note for row in named.list_applications("p")] == ["é", *applied]


def test_undo_restores_names_and_marks_the_application(named: Store) -> None:
    store = named
    before = store.list_appearances("p", ["a", "b"])
    store.promote_model("p", "m")
    store.add_model(make_model("m2"))
    strangers = {"strangers": [ANN], "stranger_tracks": [stranger_track("a")]}
    store.apply_naming(
        "p", make_naming({"a": "r1", "b": "r1"}, "r2", promoted="m2", **strangers), make_application(2, "r2")
    )
    back = make_naming({"a": "r2", "b": "r2"}, "r1", *before, known=1, promoted="m")
    with pytest.raises(ConflictError, match="not the last"):
        store.undo_naming("p", back, 1, 5.0)
    store.undo_naming("p", back, 2, 5.0)
    assert store.list_appearances("p", ["a", "b"]) == before
    assert store.list_stranger_tracks("p") == []
    assert store.get_model("p").version == "m"
    first, second = store.list_applications("p")
    assert (first.undone_at, second.undone_at, second.undo) == (None, 5.0, None)
    with pytest.raises(ConflictError, match="not the last"):
        store.undo_naming("p", replace(back, expected={"a": "r1", "b": "r1"}), 2, 6.0)
    with pytest.raises(ModelNotFoundError):  # the promotion was taken back, not added
        store.former_model("p")
    store.undo_naming("p", make_naming({"a": "r1", "b": "r1"}, None, known=1), 1, 6.0)
    assert named_by(store) == {"a": None, "b": None}
    store.apply_naming("p", make_naming({"a": None, "b": None}, "r1", known=1), make_application(3))
    assert [row.number for row in store.list_applications("p")] == [1, 2, 3]


def test_a_late_undo_conflicts_and_writes_nothing(named: Store) -> None:
    named.assign_revision("p", "r2", ["a"], [make_appearance("a", owner="Bob")])
    with pytest.raises(ConflictError, match="named meanwhile"):
        named.undo_naming("p", make_naming({"a": "r1"}, None), 1, 5.0)
    assert named_by(named) == {"a": "r2", "b": "r1"}
    assert named.list_applications("p")[0].undone_at is None


def test_an_application_switches_the_embedder_and_undo_switches_back(named: Store) -> None:
    store = named
    store.fix_embedder("p", "dlib")
    store.promote_model("p", "m")
    store.add_model(replace(make_model("m2"), embedder="other"))
    store.put_faces("p", [make_face("f1"), make_face("f2", status=FaceStatus.DISABLED, reason="by hand")])
    before = store.list_faces("p")
    old, new = (make_correction(f"c{number}", "is", who) for number, who in enumerate(("Ann", "Bob")))
    store.put_corrections("p", [old])
    naming = make_naming(
        {"a": "r1", "b": "r1"},
        "r2",
        promoted="m2",
        embedder="other",
        vectors={"f2": np.full(3, 0.5, np.float32), "gone": np.ones(3, np.float32)},
        inverse=EditInverse(["c0"], [new]),
    )
    for wrong in ({"promoted": "m"}, {"embedder": None, "vectors": {}}):
        with pytest.raises(GalleryMismatchError, match="facerec embedder switch"):
            store.apply_naming("p", replace(naming, **wrong), make_application(2, "r2"))
    with pytest.raises(ConflictError, match="try again"):
        store.apply_naming("p", replace(naming, known=1), make_application(2, "r2"))
    assert store.get_project("p").embedder == "dlib"
    store.apply_naming("p", naming, make_application(2, "r2"))
    assert store.get_project("p").embedder == "other"
    assert store.get_model("p").version == "m2"
    first, second = store.list_faces("p")
    assert same_face(first, before[0])
    assert (second.embedder, second.status, second.reason) == ("other", FaceStatus.DISABLED, "by hand")
    np.testing.assert_array_equal(second.embedding, np.full(3, 0.5, np.float32))
    assert [row.correction_id for row in store.list_corrections("p")] == ["c1"]
    # What was analysed with the one before comes too late.
    with pytest.raises(GalleryMismatchError, match="submit the video again"):
        store.assign_revision("p", "r1", ["b"], [make_appearance("b", owner="Bob")])
    with pytest.raises(GalleryMismatchError, match="dlib"):
        store.put_strangers("p", [ANN], [stranger_track("b")], ["b"], known=0)
    assert store.list_strangers("p") == store.list_stranger_tracks("p") == []
    # A version for another embedder cannot name, by whatever way.
    with pytest.raises(GalleryMismatchError, match="'m'"):
        store.promote_model("p", "m")
    assert store.get_model("p").version == "m2"
    vector = before[1].embedding
    assert vector is not None
    back = make_naming(
        {"a": "r2", "b": "r2"},
        "r1",
        promoted="m",
        embedder="dlib",
        vectors={"f2": vector},
        inverse=EditInverse(["c1"], [old]),
    )
    store.undo_naming("p", back, 2, 5.0)
    assert store.get_project("p").embedder == "dlib"
    assert store.get_model("p").version == "m"
    assert all(same_face(a, b) for a, b in zip(store.list_faces("p"), before, strict=True))
    assert [row.correction_id for row in store.list_corrections("p")] == ["c0"]


def test_sealed_applications_cannot_be_undone_and_have_no_note(named: Store) -> None:
    named.seal_applications("p")
    named.apply_naming("p", make_naming({"a": "r1", "b": "r1"}, "r2"), make_application(2, "r2"))
    sealed, later = named.list_applications("p")
    assert (sealed.undo, sealed.note, sealed.revision) == (None, "", "r1")
    assert later == replace(make_application(2, "r2"), undo={})


def test_an_edit_is_written_with_the_names_that_follow(named: Store) -> None:
    store = named
    store.put_faces("p", [make_face("f1"), make_face("f2", status=FaceStatus.DISABLED, reason="denied")])
    store.put_corrections("p", [make_correction("c0", "is", "Ann")])
    edit = EditRows([make_correction("c1", "is", "Bob")], [make_face("f2"), make_face("f3")], ["f1"], "is Bob")
    naming = make_naming({"a": "r1", "b": "r1"}, "r2", edit=edit, state=ProjectState(1, 1, frozenset({"c0"}), None))
    store.add_model(make_model("m2"))
    for late in (
        ProjectState(1, 1, frozenset(), None),
        ProjectState(0, 1, frozenset({"c0"}), None),
        ProjectState(1, 0, frozenset({"c0"}), None),
        ProjectState(1, 1, frozenset({"c0"}), "m2"),
    ):
        with pytest.raises(ConflictError, match="meanwhile"):
            store.apply_naming("p", replace(naming, state=late), make_application(2, "r2"))
    assert [row.correction_id for row in store.list_corrections("p")] == ["c0"]
    assert [face.face_id for face in store.list_faces("p")] == ["f1", "f2"]
    store.apply_naming("p", naming, make_application(2, "r2"))
    assert [row.correction_id for row in store.list_corrections("p")] == ["c1"]
    assert [(face.face_id, face.status, face.reason, face.by_hand) for face in store.list_faces("p")] == [
        ("f1", FaceStatus.DISABLED, "is Bob", True),
        ("f2", FaceStatus.TAKEN, None, False),
        ("f3", FaceStatus.TAKEN, None, False),
    ]
    store.undo_naming("p", make_naming({"a": "r2", "b": "r2"}, "r1"), 2, 5.0)
    again = make_naming({"a": "r1", "b": "r1"}, "r2", state=ProjectState(2, 2, frozenset({"c1"}), None))
    with pytest.raises(ConflictError, match="meanwhile"):
        store.apply_naming("p", again, make_application(3, "r2"))
    store.promote_model("p", "m")
    store.promote_model("p", "m2")
    for late in (ProjectState(2, 1, frozenset({"c1"}), None), ProjectState(2, 1, frozenset({"c1"}), "m")):
        with pytest.raises(ConflictError, match="a version was promoted"):
            store.apply_naming("p", replace(again, state=late), make_application(3, "r2"))
    store.apply_naming(
        "p", replace(again, state=ProjectState(2, 1, frozenset({"c1"}), "m2")), make_application(3, "r2")
    )


def test_inconsistent_namings_raise_value_errors(named: Store) -> None:
    for naming in (
        make_naming({"a": "r1", "b": "r1"}, "r2", make_appearance("c")),
        replace(make_naming({"a": "r1", "b": "r1"}, "r2"), revisions={"a": "r2"}),
        make_naming({"a": "r1", "b": "r1"}, "r2", vectors={"f1": np.ones(3, np.float32)}),
    ):
        with pytest.raises(ValueError, match=r"analysis|named|embedder"):
            named.apply_naming("p", naming, make_application(2, "r2"))
    assert len(named.list_applications("p")) == 1


def test_undo_changes_back_every_row_of_an_edit(named: Store) -> None:
    store = named
    store.put_faces(
        "p", [make_face("f1"), make_face("f2", status=FaceStatus.DISABLED, reason="denied"), make_face("f3")]
    )
    old, new = (make_correction(f"c{number}", "is", who) for number, who in enumerate(("Ann", "Bob")))
    store.put_corrections("p", [old])
    store.put_corrections("p", [new])
    assert [row.correction_id for row in store.list_corrections("p")] == ["c1"]
    inverse = EditInverse(["c1"], [old], ["f1"], {"f2": "as before"}, {"f3": "denied"})
    naming = replace(make_naming({"a": "r1", "b": "r1"}, None), promotes_none=True, inverse=inverse)
    store.promote_model("p", "m")
    with pytest.raises(ConflictError):
        store.undo_naming("p", replace(naming, known=7), 1, 5.0)
    assert [row.correction_id for row in store.list_corrections("p")] == ["c1"]
    store.undo_naming("p", naming, 1, 5.0)
    assert [row.correction_id for row in store.list_corrections("p")] == ["c0"]
    assert [(face.face_id, face.status, face.reason) for face in store.list_faces("p")] == [
        ("f2", FaceStatus.TAKEN, "as before"),
        ("f3", FaceStatus.DISABLED, "denied"),
    ]
    with pytest.raises(ModelNotFoundError):
        store.get_model("p")

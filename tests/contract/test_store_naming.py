"""What every store promises of naming: who tracks are, edits, and their undoing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

import numpy as np
import pytest

from facerec_models.errors import ConflictError, GalleryMismatchError, ModelNotFoundError, ProjectNotFoundError
from serving.store.contract import Store
from serving.store.naming_rows import Edit, NamedTracks, NamingChange, Promotion, Stranger, StrangerTrack
from serving.store.rows import FaceStatus
from tests.contract.store_cases import (
    correct,
    make_appearance,
    make_correction,
    make_face,
    make_model,
    make_named,
    name,
    names_of,
    promote,
    put_analyses,
    same_face,
    sums,
)

ANN = Stranger("stranger-a", "p", 1, 1.0)
BOB = Stranger("stranger-b", "p", 2, 1.0)


@pytest.fixture
def named(store: Store) -> Store:
    """Two analyses, both named."""
    put_analyses(store, "a", "b")
    name(store, make_appearance("a"), make_appearance("b"))
    return store


def stranger_track(analysis_id: str, stranger: Stranger = ANN, track_id: int = 1, at: int = 0) -> StrangerTrack:
    return StrangerTrack("p", analysis_id, track_id, stranger.stranger_id, np.eye(4, dtype=np.float32)[at])


def test_names_come_back_exactly_and_replace_those_before(named: Store) -> None:
    row = make_named(
        "a", "Zoë_O'Neill", names=("Bob", "Zoë_O'Neill"), owners=np.array([1], np.int32), is_contended=True
    )
    name(named, make_appearance("b"), named=[row, make_named("b", None)])
    found, other = named.list_named("p")
    assert [found.analysis_id, other.analysis_id] == ["a", "b"]
    for field in fields(NamedTracks):
        got, put = getattr(found, field.name), getattr(row, field.name)
        if isinstance(put, np.ndarray):
            assert (got.dtype, got.tobytes()) == (put.dtype, put.tobytes()), field.name
        elif field.name != "version":
            assert got == put, field.name
    assert found.version == named.get_project("p").version
    assert [one.analysis_id for one in named.list_named("p", ["b", "gone"])] == ["b"]


def test_what_names_depend_on_is_read_as_of_one_moment(named: Store) -> None:
    state = named.read_naming("p")
    assert (state.promoted, list(state.corrections), state.latest) == (None, [], {"v-a": "a", "v-b": "b"})
    promote(named, "m")
    first = replace(make_correction("c2", "is", "Ann"), analysis_id="b", created_at=0.5)
    correct(named, make_correction("c1", "is", "Ann"), first)
    put_analyses(named, "c")
    state = named.read_naming("p")
    assert (state.project, state.promoted) == (named.get_project("p"), named.get_model("p"))
    assert [row.analysis_id for row in state.corrections] == ["b", "a"]
    assert {key: row.analysis_id for key, row in state.named.items()} == {"a": "a", "b": "b"}
    assert state.latest == named.latest_analyses("p")
    of_some = named.read_naming("p", ["a", "c", "gone"])
    assert ([row.analysis_id for row in of_some.corrections], list(of_some.named), of_some.latest) == (["a"], ["a"], {})
    assert (of_some.project, of_some.promoted) == (state.project, state.promoted)


def test_appearances_come_back_exactly_and_replace_those_before(store: Store) -> None:
    put_analyses(store, "a", "b")
    rows = [
        make_appearance(
            "a", 0, "Zoë_O'Neill", score=0.1 + 0.2, last_shot=7, track_ids=(1, 5, 2**31), is_confirmed=True
        ),
        make_appearance("a", 1, "stranger-abc", score=-np.inf),
        make_appearance("a", 2, None),
    ]
    other = make_appearance("b")
    name(store, *reversed(rows), other)
    assert store.list_appearances("p", ["b", "a"]) == [*rows, other]
    assert [type(row.decision) for row in store.list_appearances("p", ["a"])] == [type(rows[0].decision)] * 3
    name(store, rows[1])
    assert store.list_appearances("p", ["a", "b"]) == [rows[1], other]
    name(store, unnamed=["a"])
    assert store.list_appearances("p", ["a", "b"]) == [other]
    assert list(names_of(store)) == ["b"]


def test_appearances_of_many_tracks_are_exchanged_and_all_others_stay(store: Store) -> None:
    put_analyses(store, "a", "b")
    rows = [make_appearance("a", i, f"P{i % 7}", track_ids=(i, i + 500)) for i in range(100)]
    others = [make_appearance("b", i) for i in range(40)]
    name(store, *rows, *others)
    assert store.list_appearances("p", ["a", "b"]) == [*rows, *others]
    new = [replace(rows[31], owner="Zoë"), replace(rows[99], track_ids=(99,)), make_appearance("a", 300, None)]
    name(store, named=[make_named("a")], lost=[rows[31], rows[32], *rows[64:]], appearances=new)
    left = [*rows[:31], new[0], *rows[33:64], *new[1:]]
    assert store.list_appearances("p", ["a", "b"]) == [*left, *others]
    assert store.describe().rows["appearances"] == len(left) + len(others)


def test_two_appearances_that_begin_with_one_track_are_refused(named: Store) -> None:
    before = named.list_appearances("p", ["a"])
    with pytest.raises(Exception, match=r"two appearances|UNIQUE"):
        name(named, named=[make_named("a")], lost=[], appearances=[make_appearance("a", 0, "Late")])
    assert named.list_appearances("p", ["a"]) == before


@pytest.mark.parametrize(
    "change",
    [
        NamingChange([make_named("a")], appearances=[make_appearance("b")]),
        NamingChange([make_named("a")], stranger_tracks=[stranger_track("b")]),
        NamingChange([make_named("a")], unnamed=["a"]),
    ],
)
def test_rows_of_analyses_that_are_not_named_are_refused(named: Store, change: NamingChange) -> None:
    with pytest.raises(ValueError, match="names of"):
        named.apply("p", change, if_version=named.get_project("p").version)


@pytest.mark.parametrize(
    "write",
    [
        lambda s: name(s, make_appearance("a", owner="Bob")),
        lambda s: name(s, strangers=[ANN]),
        lambda s: correct(s, make_correction("c", "is", "Ann")),
        lambda s: promote(s, "m"),
        lambda s: s.put_faces("p", [make_face("f")]),
        lambda s: s.judge_faces("p", ["f"], FaceStatus.DISABLED, None),
        lambda s: s.delete_faces("p", ["f"]),
        lambda s: s.set_vectors("p", "dlib", {"f": np.ones(3, np.float32)}),
        lambda s: s.delete_corrections("p", ["c"]),
        lambda s: s.delete_video("p", "v-a"),
        lambda s: s.raise_version("p"),
        lambda s: s.seal_edits("p"),
    ],
)
def test_what_names_depend_on_raises_the_version_and_an_older_one_is_refused(named: Store, write) -> None:  # type: ignore[no-untyped-def]
    before = named.get_project("p").version
    write(named)
    assert named.get_project("p").version == before + 1
    left = names_of(named)
    change = NamingChange(
        [make_named("b", "Late")], appearances=[make_appearance("b", owner="Late")], edit=Edit("late")
    )
    edits = named.list_edits("p")
    with pytest.raises(ConflictError, match=f"at version {before + 1}, not {before}"):
        named.apply("p", change, if_version=before)
    assert (names_of(named), named.list_edits("p")) == (left, edits)


def test_what_names_do_not_depend_on_leaves_the_version(named: Store) -> None:
    before = named.get_project("p").version
    named.add_model(make_model("m2"))
    named.put_video(named.get_video("p", "v-a"))
    named.touch_analysis("p", "a", 9.0)
    put_analyses(named, "c")
    assert named.get_project("p").version == before


def test_one_of_many_concurrent_edits_succeeds(named: Store) -> None:
    version = named.get_project("p").version

    def apply(owner: str) -> bool:
        change = NamingChange(
            [make_named("a", owner)],
            lost=[make_appearance("a")],
            appearances=[make_appearance("a", owner=owner)],
            edit=Edit("correction", owner),
        )
        try:
            named.apply("p", change, if_version=version)
        except ConflictError:
            return False
        return True

    owners = [f"Person_{number}" for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        applied = [owner for owner, done in zip(owners, pool.map(apply, owners), strict=True) if done]
    assert [row.owner for row in named.list_appearances("p", ["a"])] == applied
    assert [row.note for row in named.list_edits("p")] == applied


def test_an_edit_writes_all_or_nothing(named: Store) -> None:
    store = named
    store.put_faces("p", [make_face("f1"), make_face("f2"), make_face("f3")])
    correct(store, make_correction("c0", "is", "Ann"))
    store.add_model(make_model("m2"))
    disabled = replace(make_face("f1"), status=FaceStatus.DISABLED, reason="is Bob", by_hand=True)
    edit = Edit(
        "correction",
        "é",
        corrections=[make_correction("c1", "is", "Bob")],
        faces=[disabled, make_face("f4")],
        removed=["f3"],
        strangers=[replace(ANN, person_id="Bob")],
        promotion=Promotion.PROMOTE,
        model_version="m2",
        max_false_names=0.01,
    )
    before = names_of(store)
    with pytest.raises(ModelNotFoundError):
        name(store, make_appearance("a", owner="Bob"), edit=replace(edit, model_version="gone"))
    assert (names_of(store), [row.correction_id for row in store.list_corrections("p")]) == (before, ["c0"])
    number = name(
        store,
        make_appearance("a", owner="Bob"),
        named=[make_named("a", "Bob")],
        stranger_tracks=[stranger_track("a")],
        edit=edit,
    )
    assert names_of(store) == {"a": ("Bob",), "b": ("Ann_Lee",)}
    assert [row.correction_id for row in store.list_corrections("p")] == ["c1"]
    faces = [(face.face_id, face.status, face.reason) for face in store.list_faces("p")]
    assert faces == [
        ("f1", FaceStatus.DISABLED, "is Bob"),
        ("f2", FaceStatus.TAKEN, None),
        ("f4", FaceStatus.TAKEN, None),
    ]
    assert store.list_strangers("p") == [replace(ANN, person_id="Bob")]
    project = store.get_project("p")
    assert (store.get_model("p").version, project.max_false_names) == ("m2", 0.01)
    last = store.list_edits("p")[-1]
    assert (last.number, last.cause, last.note, last.version) == (number, "correction", "é", project.version)
    assert (last.model_version, last.max_false_names) == ("m2", 0.01)
    assert (last.former_model, last.former_max_false_names) == (None, None)
    assert (last.can_undo, last.undone_at) == (True, None)


def test_undo_brings_every_row_back(named: Store) -> None:
    store = named
    store.put_faces("p", [make_face("f1"), make_face("f2")])
    correct(store, make_correction("c0", "is", "Ann"))
    name(store, named=[make_named("b", ANN.stranger_id)], stranger_tracks=[stranger_track("b")], strangers=[ANN])
    promote(store, "m")
    store.add_model(make_model("m2"))
    faces, corrections = store.list_faces("p"), store.list_corrections("p")
    before, strangers, known = names_of(store), store.list_strangers("p"), sums(store)
    changed = [replace(make_face("f1"), person_id="Bob"), make_face("f3")]
    edit = Edit(
        "stranger",
        corrections=[make_correction("c1", "is", "Bob")],
        faces=changed,
        removed=["f2"],
        strangers=[replace(ANN, person_id="Bob")],
        promotion=Promotion.PROMOTE,
        model_version="m2",
        max_false_names=0.02,
    )
    number = name(store, named=[make_named("b", "Bob")], freed=[stranger_track("b")], unnamed=["a"], edit=edit)
    assert (names_of(store), sums(store)) == ({"b": ("Bob",)}, {})
    former = store.list_former_named("p", number)
    assert {row.analysis_id: row.names for row in former} == before
    back = NamingChange(
        former,
        lost=store.list_appearances("p", ["b"]),
        appearances=[make_appearance("a"), make_appearance("b", owner=ANN.stranger_id)],
        stranger_tracks=[stranger_track("b")],
        edit=store.get_inverse("p", number),
        undoes=number,
    )
    with pytest.raises(ConflictError, match="not the last"):
        store.apply("p", replace(back, undoes=number - 1), if_version=store.get_project("p").version)
    store.apply("p", back, if_version=store.get_project("p").version)
    assert (names_of(store), store.list_strangers("p"), sums(store)) == (before, strangers, known)
    assert all(same_face(a, b) for a, b in zip(store.list_faces("p"), faces, strict=True))
    assert [row.correction_id for row in store.list_corrections("p")] == [row.correction_id for row in corrections]
    assert (store.get_model("p").version, store.get_project("p").max_false_names) == ("m", None)
    with pytest.raises(ModelNotFoundError):  # the promotion was taken back, not added
        store.former_model("p")
    assert store.list_edits("p")[-1].undone_at is not None
    assert store.list_former_named("p", number) == []
    with pytest.raises(ConflictError, match="not the last"):
        store.apply("p", back, if_version=store.get_project("p").version)


def test_undo_of_the_first_promotion_leaves_no_model(store: Store) -> None:
    store.add_model(make_model("m"))
    number = name(store, edit=Edit("training", promotion=Promotion.PROMOTE, model_version="m"))
    name(store, edit=store.get_inverse("p", number), undoes=number)
    with pytest.raises(ModelNotFoundError):
        store.get_model("p")
    number = name(store, edit=Edit("training", promotion=Promotion.PROMOTE, model_version="m"))
    name(store, edit=Edit("forget", promotion=Promotion.NONE))
    with pytest.raises(ModelNotFoundError):
        store.get_model("p")


def test_an_edit_switches_the_embedder_and_undo_switches_back(named: Store) -> None:
    store = named
    store.fix_embedder("p", "dlib")
    promote(store, "m")
    store.add_model(replace(make_model("m2"), embedder="other"))
    store.put_faces("p", [make_face("f1"), make_face("f2", status=FaceStatus.DISABLED, reason="by hand")])
    before = store.list_faces("p")
    other = replace(before[1], embedder="other", embedding=np.full(3, 0.5, np.float32))
    edit = Edit("embedder", faces=[other], promotion=Promotion.PROMOTE, model_version="m2", embedder="other")
    for wrong in ({"model_version": "m", "embedder": "other"}, {"embedder": None}):
        with pytest.raises(GalleryMismatchError, match="facerec embedder switch"):
            name(store, unnamed=["a", "b"], edit=replace(edit, **wrong))
    with pytest.raises(GalleryMismatchError, match="submit the video again"):
        name(store, make_appearance("a"), edit=edit)
    assert store.get_project("p").embedder == "dlib"
    number = name(store, unnamed=["a", "b"], edit=edit)
    assert (store.get_project("p").embedder, names_of(store)) == ("other", {})
    assert [face.embedder for face in store.list_faces("p")] == ["dlib", "other"]
    with pytest.raises(GalleryMismatchError, match="dlib"):  # what was analysed with the one before comes too late
        name(store, make_appearance("b"))
    former = store.list_former_named("p", number)
    name(store, named=former, edit=store.get_inverse("p", number), undoes=number)
    assert (store.get_project("p").embedder, store.get_model("p").version) == ("dlib", "m")
    assert list(names_of(store)) == ["a", "b"]
    assert all(same_face(a, b) for a, b in zip(store.list_faces("p"), before, strict=True))


def test_sealed_edits_cannot_be_undone_and_have_no_note(named: Store) -> None:
    carried = (("a", 3), ("b", 1))
    edit = Edit("rename", "is Zoë", faces=[make_face("f")], carried=carried, renamed=("Zoé", "Zoë"))
    number = name(named, make_appearance("a"), edit=edit)
    (applied,) = named.list_edits("p")
    assert (applied.renamed, applied.carried) == (("Zoé", "Zoë"), carried)
    named.seal_edits("p")
    (sealed,) = named.list_edits("p")
    assert (sealed.renamed, sealed.carried) == (None, carried)
    assert (sealed.number, sealed.can_undo, sealed.note, sealed.cause) == (number, False, "", "rename")
    assert named.list_former_named("p", number) == []
    assert named.get_inverse("p", number).removed == []
    name(named, edit=Edit("identify", "later"))
    assert [(row.can_undo, row.note) for row in named.list_edits("p")] == [(False, ""), (True, "later")]
    assert [(row.renamed, row.carried) for row in named.list_edits("p")] == [(None, carried), (None, ())]


def test_the_first_tracks_of_each_stranger_are_read(named: Store) -> None:
    rows = [stranger_track("b", ANN, 7), *(stranger_track("a", ANN, i) for i in (5, 3)), stranger_track("b", BOB, 2)]
    name(named, named=[make_named("a"), make_named("b")], stranger_tracks=rows, strangers=[ANN, BOB])

    def first(limit: int, *ids: str) -> set[tuple[str, str, int]]:
        found = named.list_some_tracks("p", ids, limit)
        return {(row.stranger_id, row.analysis_id, row.track_id) for row in found}

    ann, bob = ANN.stranger_id, BOB.stranger_id
    assert first(2, ann, bob, "gone") == {(ann, "a", 3), (ann, "a", 5), (bob, "b", 2)}
    assert first(1, ann) == {(ann, "a", 3)}
    assert first(9, ann) == {(ann, "a", 3), (ann, "a", 5), (ann, "b", 7)}


def test_strangers_are_found_by_id_number_and_merge(named: Store) -> None:
    cem = Stranger("stranger-c", "p", 3, 1.0, merged_into="stranger-a", is_hidden=True)
    name(
        named,
        named=[make_named("a"), make_named("b")],
        stranger_tracks=[stranger_track("b", BOB), stranger_track("a")],
        strangers=[cem, BOB, ANN],
    )
    assert named.list_strangers("p") == [ANN, BOB, cem]
    assert named.list_strangers("p", ["stranger-b", "gone", "stranger-a"]) == [ANN, BOB]
    assert named.list_strangers("p", merged_into=["stranger-a", "stranger-b"]) == [cem]
    assert named.find_stranger_number("p", 2) == BOB
    assert (named.find_stranger_number("p"), named.find_stranger_number("p", 9)) == (cem, None)
    assert [row.analysis_id for row in named.list_stranger_tracks("p")] == ["a", "b"]
    assert [row.analysis_id for row in named.list_stranger_tracks("p", stranger_ids=["stranger-b"])] == ["b"]
    assert [row.stranger_id for row in named.list_stranger_tracks("p", analysis_ids=["a"])] == ["stranger-a"]


def test_nobody_writes_while_names_are_worked_out_alone(named: Store) -> None:
    version = named.get_project("p").version
    waiting = threading.Thread(target=lambda: named.put_faces("p", [make_face("late")]))

    def work() -> NamingChange:
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        assert (named.get_project("p").version, named.list_faces("p")) == (version, [])
        return NamingChange(edit=Edit("identify", "alone"))

    number = named.apply_alone("p", work)
    waiting.join()
    assert [(row.number, row.note) for row in named.list_edits("p")][-1] == (number, "alone")
    assert named.list_edits("p")[-1].version == version + 1
    assert [face.face_id for face in named.list_faces("p")] == ["late"]


def test_work_that_ends_in_nothing_or_in_an_error_writes_nothing(named: Store) -> None:
    before = named.get_project("p").version, named.list_edits("p")

    def fail() -> NamingChange:
        raise ConflictError("not now")

    assert named.apply_alone("p", lambda: None) == 0
    with pytest.raises(ConflictError, match="not now"):
        named.apply_alone("p", fail)
    with pytest.raises(ProjectNotFoundError):
        named.apply_alone("nobody", lambda: None)
    assert (named.get_project("p").version, named.list_edits("p")) == before
    assert named.apply_alone("p", lambda: NamingChange(edit=Edit("identify"))) > 0

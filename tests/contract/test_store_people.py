"""Enrolled faces and people of every store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from facerec_models.errors import ProjectNotFoundError
from serving.store.contract import Store
from serving.store.rows import Face, FaceStatus, PersonSummary
from tests.contract.store_cases import make_face, put_analyses, same_face


def test_faces_come_back_as_they_were(store: Store) -> None:
    odd = np.array([np.nan, -0.0, np.inf, np.finfo(np.float32).smallest_subnormal], np.float32)
    faces = [
        make_face("f1", embedding=odd, created_at=1700000000.123456),
        make_face(
            "f2",
            "Zoë_O'Neill",
            status=FaceStatus.REFUSED,
            reason="no face found",
            embedding=None,
            crop=None,
            quality=0.0,
        ),
    ]
    store.put_faces("p", iter(faces))
    got = store.list_faces("p")
    assert isinstance(got[0].status, FaceStatus)
    assert got[0].embedding is not None
    assert got[0].embedding.dtype == np.float32
    assert got[0].embedding.tobytes() == odd.tobytes()
    assert same_face(replace(got[0], embedding=None), replace(faces[0], embedding=None))
    assert same_face(got[1], faces[1])


def test_faces_are_listed_by_person_and_path(store: Store) -> None:
    faces = [
        make_face("f1", "B", path="1.jpg"),
        make_face("f2", "A", path="A/2.jpg"),
        make_face("f3", "A", path="A/10.jpg"),
    ]
    store.put_faces("p", [*faces, make_face("f4", "A", path="A/3.jpg", status=FaceStatus.DISABLED)])
    assert [face.face_id for face in store.list_faces("p")] == ["f3", "f2", "f4", "f1"]
    assert [face.face_id for face in store.list_faces("p", person_id="A")] == ["f3", "f2", "f4"]
    assert [face.face_id for face in store.list_faces("p", status=FaceStatus.TAKEN)] == ["f3", "f2", "f1"]
    assert [face.face_id for face in store.list_faces("p", person_id="A", status=FaceStatus.DISABLED)] == ["f4"]
    assert store.list_faces("p", person_id="C") == []


def test_a_face_with_the_same_id_replaces_the_row(store: Store) -> None:
    store.put_faces("p", [make_face("f"), make_face("g")])
    changed = make_face("f", status=FaceStatus.DISABLED, reason="blurred", embedding=np.ones(4, np.float32))
    store.put_faces("p", [changed])
    faces = store.list_faces("p")
    assert [face.face_id for face in faces] == ["f", "g"]
    assert same_face(faces[0], changed)


def test_faces_of_another_project_are_refused(store: Store) -> None:
    store.create_project("q")
    with pytest.raises(ValueError, match="'q'"):
        store.put_faces("p", [make_face("f1"), make_face("f2", project="q")])
    assert store.list_faces("p") == store.list_faces("q") == []


def test_a_failing_iterator_adds_no_face(store: Store) -> None:
    def faces() -> Iterator[Face]:
        yield make_face("f1")
        raise RuntimeError("the disk of the pictures is gone")

    with pytest.raises(RuntimeError, match="gone"):
        store.put_faces("p", faces())
    assert store.list_faces("p") == []
    store.put_faces("p", [make_face("f2")])
    assert len(store.list_faces("p")) == 1


def test_faces_are_enabled_and_disabled(store: Store) -> None:
    refused = make_face("f3", status=FaceStatus.REFUSED, reason="no face found", embedding=None)
    store.put_faces("p", [make_face("f1"), make_face("f2"), refused])
    assert store.judge_faces("p", ["f1", "f3", "absent"], FaceStatus.DISABLED, "by hand") == 1
    assert [(face.face_id, face.status, face.reason) for face in store.list_faces("p")] == [
        ("f1", FaceStatus.DISABLED, "by hand"),
        ("f2", FaceStatus.TAKEN, None),
        ("f3", FaceStatus.REFUSED, "no face found"),
    ]
    assert store.judge_faces("p", ["f1", "f2"], FaceStatus.TAKEN, None) == 2
    assert [face.reason for face in store.list_faces("p", status=FaceStatus.TAKEN)] == [None, None]
    assert store.judge_faces("p", [], FaceStatus.DISABLED, None) == 0


def test_only_a_user_changes_the_status_that_a_user_set(store: Store) -> None:
    store.put_faces("p", [make_face("f1"), make_face("f2", by_hand=True)])
    assert store.judge_faces("p", ["f1", "f2"], FaceStatus.DISABLED, "unlike") == 1
    assert [(face.status, face.by_hand) for face in store.list_faces("p")] == [
        (FaceStatus.DISABLED, False),
        (FaceStatus.TAKEN, True),
    ]


def test_thousands_of_faces_change_at_once(store: Store) -> None:
    store.put_faces("p", [make_face(f"f{i}", embedding=np.ones(2, np.float32)) for i in range(5000)])
    ids = [f"f{i}" for i in range(4000)]
    assert store.judge_faces("p", ids, FaceStatus.DISABLED, None) == 4000
    assert store.list_people("p") == [
        PersonSummary("Ada_Lovelace", taken=1000, disabled=4000, refused=0, newest_at=1.5)
    ]


def test_people_are_counted_by_status(store: Store) -> None:
    store.create_project("q")
    store.put_faces("q", [make_face("f", "Other", project="q")])
    assert store.list_people("p") == []
    rows = [("f1", "B", FaceStatus.TAKEN), ("f2", "A", FaceStatus.REFUSED), ("f3", "B", FaceStatus.TAKEN)]
    store.put_faces("p", [make_face(i, person, status=status) for i, person, status in rows])
    store.put_faces("p", [make_face("f4", "B", status=FaceStatus.DISABLED, created_at=7.25)])
    assert store.list_people("p") == [PersonSummary("A", 0, 0, 1, 1.5), PersonSummary("B", 2, 1, 0, 7.25)]


def test_set_vectors_changes_only_vectors_of_faces_that_exist(store: Store) -> None:
    store.put_faces("p", [make_face("f1"), make_face("f2", status=FaceStatus.DISABLED, reason="by hand")])
    vector = np.full(3, 0.5, np.float32)
    store.set_vectors("p", "other", {"f2": vector, "gone": vector})
    first, second = store.list_faces("p")
    assert same_face(first, make_face("f1"))
    changed = make_face("f2", status=FaceStatus.DISABLED, reason="by hand", embedder="other", embedding=vector)
    assert same_face(second, changed)
    with pytest.raises(ProjectNotFoundError):
        store.set_vectors("q", "other", {"f2": vector})


def test_faces_and_the_embeddings_of_tracks_can_be_deleted(store: Store) -> None:
    store.create_project("p")
    put_analyses(store, "a")
    store.put_faces("p", [make_face("f1"), make_face("f2")])
    assert store.delete_faces("p", ["f1", "absent"]) == 1
    assert [face.face_id for face in store.list_faces("p")] == ["f2"]
    assert store.empty_tracks("p", [("a", 1), ("a", 9)]) == 1
    assert store.empty_tracks("p", [("a", 1)]) == 0
    (track,) = store.get_tracks("p", ["a"])["a"]
    assert (len(track), track.embeddings.shape) == (10, (0, 128))
    store.scrub()

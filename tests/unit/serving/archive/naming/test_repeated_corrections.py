"""Corrections of what was corrected before."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from facerec_models.config import TrainingConfig
from facerec_models.errors import ConflictError, ModelNotFoundError
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import train
from serving.archive.naming.aliases import find_stranger
from serving.archive.naming.correct import TrackCorrection, correct, name_stranger
from serving.archive.naming.undo import undo_edit
from serving.archive.search.people_and_faces import search_people
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceQuery, CorrectionKind, NamingChange
from serving.store.opening import open_store
from tests.archive import put_video
from tests.builders import EMBEDDER
from tests.unit.serving.archive.edits import add_named_video, correct_track, corrections_and_enrolled, labels_in


def test_a_named_stranger_whose_name_is_denied_is_a_stranger_again(archive: Archive, store: Store) -> None:
    first, _ = store.list_strangers("p")
    name_stranger(archive, "p", "Unknown 1", "Bob")
    for video in ("v-1", "v-2"):
        correct_track(archive, CorrectionKind.IS_NOT, "Bob", video)
    again = find_stranger(store, "p", "Unknown 1")
    assert again == replace(first, person_id=None)
    assert {row.stranger_id for row in store.list_stranger_tracks("p")} >= {again.stranger_id}
    found = search_people(archive, "p", ["Unknown 1"], AppearanceQuery()).hits
    assert {hit.label for hit in found} == {"Unknown 1"}


def test_that_a_track_is_not_a_stranger_who_was_named_is_refused(archive: Archive, store: Store) -> None:
    stranger = store.list_strangers("p")[0].stranger_id
    name_stranger(archive, "p", stranger, "Dee")
    with pytest.raises(ConflictError, match="Unknown 1 was named Dee: correct the track not to be Dee"):
        correct_track(archive, CorrectionKind.IS_NOT, stranger)
    assert {row.kind for row in store.list_corrections("p")} == {CorrectionKind.IS}


def test_repeated_corrections_are_undone_one_by_one(archive: Archive, store: Store) -> None:
    def state() -> tuple[object, ...]:
        faces = {face.face_id: (face.person_id, face.status, face.reason) for face in store.list_faces("p")}
        return (
            corrections_and_enrolled(store),
            faces,
            sorted(path.name for path in (archive.files.project("p") / "faces").iterdir()),
        )

    states, revisions = [state()], []
    for person in ("Cem", "Dee", "Cem"):
        revisions.append(correct_track(archive, CorrectionKind.IS, person))
        states.append(state())
    assert states[3][0] == (["is Cem"], ["Cem"])
    for revision, before in zip(reversed(revisions), reversed(states[:-1]), strict=True):
        undo_edit(archive, "p", revision)
        assert state() == before


@pytest.mark.parametrize("kind", [CorrectionKind.IS, CorrectionKind.IS_NOT])
def test_correcting_a_confirmed_track_moves_its_enrolled_faces(
    archive: Archive, store: Store, kind: CorrectionKind
) -> None:
    correct_track(archive, CorrectionKind.IS, "Ann_Lee")
    before = {face.face_id: (face.status, face.reason) for face in store.list_faces("p")}
    assert corrections_and_enrolled(store) == (["is Ann_Lee"], ["Ann_Lee"])
    correction = TrackCorrection("v-1", 3, kind, "Cem" if kind is CorrectionKind.IS else "Ann_Lee")
    preview = correct(archive, "p", [correction], preview=True)
    assert corrections_and_enrolled(store) == (["is Ann_Lee"], ["Ann_Lee"])
    change = correct(archive, "p", [correction], expected=preview.version)
    assert change.revision == preview.revision
    assert corrections_and_enrolled(store)[1] == (["Cem"] if kind is CorrectionKind.IS else [])
    undo_edit(archive, "p", change.edit)
    assert {face.face_id: (face.status, face.reason) for face in store.list_faces("p")} == before
    correct_track(archive, kind, correction.person_id)
    correct_track(archive, CorrectionKind.IS, "Ann_Lee")
    assert corrections_and_enrolled(store) == (["is Ann_Lee"], ["Ann_Lee"])


def test_equal_corrections_are_stored_once(archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    changes: list[NamingChange] = []
    apply = store.apply

    def record(project: str, change: NamingChange, *, if_version: int) -> int:
        changes.append(change)
        return apply(project, change, if_version=if_version)

    monkeypatch.setattr(store, "apply", record)
    corrections = [TrackCorrection("v-1", 3, CorrectionKind.IS, who) for who in ("Cem", " Cem", "Cem")]
    change = correct(archive, "p", corrections)
    assert corrections_and_enrolled(store) == (["is Cem"], ["Cem"])
    (written,) = changes
    assert written.edit is not None
    assert [row.person_id for row in written.edit.corrections] == ["Cem"]
    assert len({face.face_id for face in written.edit.faces}) == len(written.edit.faces) == 2
    undo_edit(archive, "p", change.edit)
    assert corrections_and_enrolled(store) == ([], [])


def test_a_stranger_without_tracks_cannot_be_named_again(archive: Archive) -> None:
    name_stranger(archive, "p", "Unknown 1", "Dee")
    with pytest.raises(ConflictError, match="Unknown 1 was named Dee and has no tracks left"):
        name_stranger(archive, "p", "Unknown 1", "Eve")


def test_undoing_the_first_correction_leaves_no_model(tmp_path: Path) -> None:
    home = Files(tmp_path / "empty")
    with closing(open_store(home.root)) as store:
        store.create_project("p")
        store.fix_embedder("p", EMBEDDER)
        archive = Archive(store, home)
        put_video(archive, "v-1", 0)
        revision = correct_track(archive, CorrectionKind.IS, "Cem")
        add_named_video(archive, (1, 9))
        undo_edit(archive, "p", revision)
        assert corrections_and_enrolled(store) == ([], [])
        assert {label.partition(" ")[0] for label in labels_in(archive, "v-3")} == {"Unknown"}
        assert not any(row.names and "Cem" in row.names for row in store.list_named("p"))
        with pytest.raises(ModelNotFoundError):
            store.get_model("p")


def test_corrections_learn_as_the_promoted_version_did(archive: Archive, store: Store) -> None:
    train(archive, "p", TrainingConfig(promote="yes", use_seen_strangers=True, seed=5))
    correct_track(archive, CorrectionKind.IS_NOT, "Ann_Lee", track=1)
    metrics = store.get_model("p").metrics
    assert metrics["training"] == {"classifier": "prototype", "seed": 5, "use_seen_strangers": True}
    assert "seen in the project's videos" in metrics["cohort"]

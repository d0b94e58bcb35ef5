"""Edits of the small archive, and what is compared before and after them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from facerec_models.identification.naming_model import NamingModel
from facerec_models.result import Result
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import drop_loaded_models
from serving.archive.naming.correct import TrackCorrection, correct
from serving.archive.naming.one_video import assign_current, stored_result
from serving.store.contract import Store
from serving.store.naming_rows import CorrectionKind
from serving.store.rows import FaceStatus
from tests.archive import put_video


def correct_track(archive: Archive, kind: CorrectionKind, person: str, video: str = "v-1", track: int = 3) -> int:
    """Correct a track, and return the number of the edit."""
    number = correct(archive, "p", [TrackCorrection(video, track, kind, person)]).edit
    assert number is not None
    return number


def add_named_video(archive: Archive, seen: tuple[int, ...], video_id: str = "v-3") -> None:
    """Store a video as its job does at the end: analysed, and named by the present model."""
    assign_current(archive, put_video(archive, video_id, 2, seen=seen))


def before_each(monkeypatch: pytest.MonkeyPatch, store: Store, method: str, what: Callable[[int], None]) -> None:
    """Let something happen right before each use of a store's method, but for its own uses; `what` gets the number of the use."""
    original, uses, within = getattr(store, method), [], []

    def first_that(*arguments: object, **options: object) -> object:
        if not within:
            uses.append(1)
            within.append(1)
            try:
                what(len(uses))
            finally:
                within.clear()
        return original(*arguments, **options)

    monkeypatch.setattr(store, method, first_that)


def corrections_and_enrolled(store: Store) -> tuple[list[str], list[str]]:
    """Return the corrections, and who was enrolled by one."""
    corrections = [f"{row.kind} {row.person_id}" for row in store.list_corrections("p")]
    faces = [face.person_id for face in store.list_faces("p", status=FaceStatus.TAKEN) if face.source]
    return sorted(corrections), sorted(set(faces))


def owners(store: Store) -> set[str | None]:
    """Return who the first two videos show."""
    return {row.owner for row in store.list_appearances("p", ["a-v-1", "a-v-2"])}


def result_in(archive: Archive, video_id: str) -> Result:
    return stored_result(archive, "p", video_id, lambda *_: "")


def labels_in(archive: Archive, video_id: str) -> list[str]:
    """Return who is shown to be in a video, from its start on."""
    return [appearance.label for appearance in result_in(archive, video_id).appearances]


def crops_and_faces(archive: Archive) -> tuple[list[str], list[str]]:
    """Return the files of enrolled faces, and those that there should be."""
    folder = archive.files.project("p") / "faces"
    return sorted(path.name for path in folder.iterdir()), sorted(
        face.crop for face in archive.store.list_faces("p") if face.crop
    )


def state(store: Store) -> tuple[object, ...]:
    """Return what an undo must bring back."""
    return (
        sorted((face.face_id, face.person_id, face.status, face.reason) for face in store.list_faces("p")),
        sorted((row.correction_id, row.kind, row.person_id) for row in store.list_corrections("p")),
        sorted(row.person_id for row in store.list_strangers("p") if row.person_id),
        [(row.analysis_id, row.owner, row.track_ids) for row in store.list_appearances("p", ["a-v-1", "a-v-2"])],
        store.get_model("p").version,
    )


def everything(archive: Archive) -> bytes:
    """Return all that is stored."""
    return b"".join(path.read_bytes() for path in archive.files.root.rglob("*") if path.is_file())


def vectors_in_models(archive: Archive) -> list[bytes]:
    """Return all vectors that stored models learned from."""
    drop_loaded_models()
    models = [NamingModel.load(path) for path in archive.files.model("p", "x").parent.iterdir()]
    return [one.tobytes() for model in models for one in (*model.gallery.embeddings, *model.corrections.denied)]

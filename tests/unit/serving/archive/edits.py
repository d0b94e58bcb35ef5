"""Edits of the small archive, and what is compared before and after them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from facerec_models.result import Result
from serving.archive.handle import Archive
from serving.archive.naming.correct import TrackCorrection, correct
from serving.archive.naming.one_video import assign, current_revision, stored_result
from serving.store import Store
from serving.store.naming_rows import CorrectionKind, Revision
from serving.store.rows import FaceStatus
from tests.archive import put_video


def correct_track(archive: Archive, kind: CorrectionKind, person: str, video: str = "v-1", track: int = 3) -> str:
    return correct(archive, "p", [TrackCorrection(video, track, kind, person)]).revision


def add_named_video(archive: Archive, seen: tuple[int, ...], video_id: str = "v-3") -> None:
    """Store a video as its job does at the end: analysed, and named by the present revision."""
    assign(archive, put_video(archive, video_id, 2, seen=seen), current_revision(archive, "p"))


def before_each(monkeypatch: pytest.MonkeyPatch, store: Store, method: str, what: Callable[[int], None]) -> None:
    """Let something happen right before each use of a store's method; `what` gets the number of the use."""
    original, uses = getattr(store, method), []

    def first_that(*arguments: object, **options: object) -> object:
        uses.append(1)
        what(len(uses))
        return original(*arguments, **options)

    monkeypatch.setattr(store, method, first_that)


def revisions(store: Store) -> list[Revision]:
    return [store.get_revision("p", row.revision or "") for row in store.list_analyses("p")]


def corrections_and_enrolled(store: Store) -> tuple[list[str], list[str]]:
    """Return the corrections, and who was enrolled by one."""
    corrections = [f"{row.kind} {row.person_id}" for row in store.list_corrections("p")]
    faces = [face.person_id for face in store.list_faces("p", status=FaceStatus.TAKEN) if face.source]
    return sorted(corrections), sorted(set(faces))


def models_in_use(store: Store) -> set[str]:
    return {store.get_revision("p", row.revision).model_version for row in store.list_analyses("p") if row.revision}


def owners(store: Store) -> set[str | None]:
    """Return who the first two videos show."""
    return {row.owner for row in store.list_appearances("p", ["a-v-1", "a-v-2"])}


def result_in(archive: Archive, video_id: str) -> Result:
    return stored_result(archive, "p", video_id, lambda *_: "")


def labels_in(archive: Archive, video_id: str) -> list[str]:
    """Return who is shown to be in a video, from its start on."""
    return [appearance.label for appearance in result_in(archive, video_id).appearances]

"""A video ends while an edit is applied or undone: it is named like the rest of the archive."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from facerec_models.config import TrainingConfig
from facerec_models.errors import ConflictError, VideoNotFoundError
from serving.archive.deletion import delete_video
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import train
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.one_video import assign_current
from serving.archive.naming.undo import undo_edit
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceQuery, CorrectionKind
from tests.archive import enrol, put_video
from tests.contract.store_cases import stranger_sums
from tests.unit.serving.archive.edits import (
    add_named_video,
    before_each,
    correct_track,
    corrections_and_enrolled,
    crops_and_faces,
)


def test_a_video_added_meanwhile_is_named_with_the_archive(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_each(monkeypatch, store, "apply", lambda n: add_named_video(archive, (7, 9)) if n == 1 else None)
    correct_track(archive, CorrectionKind.IS, "Cem")
    assert {row.version for row in store.list_named("p")} >= {store.get_project("p").version}
    assert next(row.owner for row in store.list_appearances("p", ["a-v-3"])) == "Cem"


def test_a_correction_that_conflicts_every_time_changes_nothing(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, promoted = corrections_and_enrolled(store), store.get_model("p").version
    before_each(monkeypatch, store, "apply", lambda n: add_named_video(archive, (20 + n,), f"v-{10 + n}"))
    with pytest.raises(ConflictError):
        correct_track(archive, CorrectionKind.IS, "Cem")
    assert corrections_and_enrolled(store) == before
    assert store.get_model("p").version == promoted
    found, wanted = crops_and_faces(archive)
    assert found == wanted
    monkeypatch.undo()
    undo_edit(archive, "p", correct_track(archive, CorrectionKind.IS, "Cem"))
    assert corrections_and_enrolled(store) == before


def test_an_undo_that_conflicts_every_time_changes_nothing(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = correct_track(archive, CorrectionKind.IS, "Cem")
    before = corrections_and_enrolled(store)
    before_each(monkeypatch, store, "apply", lambda n: add_named_video(archive, (20 + n,), f"v-{10 + n}"))
    with pytest.raises(ConflictError):
        undo_edit(archive, "p", revision)
    assert corrections_and_enrolled(store) == before == (["is Cem"], ["Cem"])
    monkeypatch.undo()
    undo_edit(archive, "p", revision)
    assert corrections_and_enrolled(store) == ([], [])


@pytest.mark.parametrize("seen", [(1, 2, 7, 8), (1, 9)])
def test_undo_reaches_a_video_added_meanwhile(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch, seen: tuple[int, ...]
) -> None:
    revision = correct_track(archive, CorrectionKind.IS, "Carl")
    ends = lambda call: add_named_video(archive, seen) if call == 1 else None  # noqa: E731
    before_each(monkeypatch, store, "apply", ends)
    undo_edit(archive, "p", revision)
    assert len(store.list_analyses("p")) == 3
    assert "Carl" not in {row.owner for row in store.find_appearances("p", AppearanceQuery(), limit=99)}


@pytest.mark.parametrize(
    "method", ["list_stranger_sums", "list_stranger_tracks", "list_named", "list_appearances", "get_columns"]
)
def test_new_strangers_seen_meanwhile_stop_no_edit(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    ends = lambda call: add_named_video(archive, (9, 10), f"v-{call + 3}") if call in (1, 2) else None  # noqa: E731
    before_each(monkeypatch, store, method, ends)
    revision = correct_track(archive, CorrectionKind.IS, "Carl")
    monkeypatch.undo()
    before_each(monkeypatch, store, method, lambda call: ends(call + 10))
    undo_edit(archive, "p", revision)
    monkeypatch.undo()
    assert "Carl" not in {row.owner for row in store.find_appearances("p", AppearanceQuery(), limit=99)}
    shown = {row.stranger_id for row in store.list_stranger_tracks("p")}
    assert shown == stranger_sums(store).keys()


def test_videos_named_at_once_number_their_strangers_without_gaps(archive: Archive, store: Store) -> None:
    ended = [put_video(archive, f"v-{number}", number, seen=(number, number + 20)) for number in range(20, 32)]
    with ThreadPoolExecutor(len(ended)) as pool:
        list(pool.map(lambda row: assign_current(archive, row), ended))
    known, shown = store.list_strangers("p"), store.list_stranger_tracks("p")
    assert len(known) == 2 + 2 * len(ended)
    assert [one.number for one in known] == list(range(1, len(known) + 1))
    assert {row.stranger_id for row in shown} == {one.stranger_id for one in known}


def test_a_video_is_named_by_a_model_promoted_meanwhile(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(archive, 7, "Cem")
    version = train(archive, "p", TrainingConfig(promote="no")).version
    row = put_video(archive, "v-3", 2, seen=(1, 7))

    def promote(number: int) -> None:
        if number == 1:
            monkeypatch.undo()
            identify_archive(archive, "p", model_version=version)

    before_each(monkeypatch, store, "apply", promote)
    assign_current(archive, row)
    assert [one.owner for one in store.list_appearances("p", ["a-v-3"])] == ["Ann_Lee", "Cem"]


def test_a_video_that_is_deleted_before_it_is_named_is_told(archive: Archive) -> None:
    row = put_video(archive, "v-3", 3)
    delete_video(archive, "p", "v-3")
    with pytest.raises(VideoNotFoundError, match="v-3 of project 'p' was deleted meanwhile"):
        assign_current(archive, row)


def test_a_video_that_is_deleted_while_the_archive_is_named_is_left_out(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_each(monkeypatch, store, "get_columns", lambda n: delete_video(archive, "p", "v-2") if n == 1 else None)
    assert identify_archive(archive, "p", max_false_names=0.3).applied
    assert [(row.analysis_id, row.max_false_names) for row in store.list_named("p")] == [("a-v-1", 0.3)]

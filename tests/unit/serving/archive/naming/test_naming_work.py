"""The archive is named again while others name, edit and delete: nothing is lost, it ends, and it is one edit."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from facerec_models.errors import ConflictError, FacerecError
from serving.archive.handle import Archive
from serving.archive.naming import whole_archive
from serving.archive.naming.correct import name_stranger
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.one_video import assign_current
from serving.archive.naming.undo import undo_edit
from serving.archive.naming.whole_archive import NamingWork
from serving.store.contract import Store
from serving.store.naming_rows import CorrectionKind
from tests.archive import put_video
from tests.unit.serving.archive.edits import add_named_video, before_each, correct_track
from tests.unit.serving.archive.naming.random_edits import RandomEdit, draw
from tests.unit.serving.archive.naming.test_incremental import check, everything
from training.ray_tasks import TrainingStoppedError

GROUPED = RandomEdit("again")


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The analyses of each block that is named."""
    blocks: list[list[str]] = []
    original = whole_archive.name_block

    def name_block(block: Sequence[Any], *arguments: Any) -> Any:
        blocks.append([one.analysis.analysis_id for one in block])
        return original(block, *arguments)

    monkeypatch.setattr(whole_archive, "name_block", name_block)
    return blocks


def test_grouping_anew_ends_though_a_video_is_named_each_time(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_each(monkeypatch, store, "apply", lambda n: add_named_video(archive, (7, 20 + n), f"v-{10 + n}"))
    states: list[Any] = []
    before_each(monkeypatch, store, "apply_alone", lambda _: states.append(everything(archive)))
    change = identify_archive(archive, "p")
    monkeypatch.undo()
    assert change.applied
    assert (change.videos, len(store.list_named("p"))) == (7, 7)
    check(archive, GROUPED)
    assert [(row.number, row.cause) for row in store.list_edits("p")] == [(1, "training"), (2, "identify")]
    undo_edit(archive, "p", change.edit)
    assert everything(archive) == states[-1]


def test_only_what_changed_meanwhile_is_worked_out_again(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch, decided: list[list[str]]
) -> None:
    before_each(monkeypatch, store, "apply", lambda n: add_named_video(archive, (7, 9)) if n == 1 else None)
    assert identify_archive(archive, "p").videos == 3
    assert decided == [["a-v-1", "a-v-2"], ["a-v-3"]]
    check(archive, GROUPED)


def test_who_is_corrected_meanwhile_stays_who_they_are(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch, decided: list[list[str]]
) -> None:
    edits = {
        1: lambda: correct_track(archive, CorrectionKind.IS, "Cem", track=3),
        2: lambda: name_stranger(archive, "p", "Unknown 2", "Dee"),
        3: lambda: store.delete_video("p", "v-2"),
    }
    before_each(monkeypatch, store, "apply", lambda n: edits[n]() if n in edits else None)
    assert identify_archive(archive, "p").videos == 1
    assert {row.owner for row in store.list_appearances("p", ["a-v-1"])} == {"Ann_Lee", "Bob", "Cem", "Dee"}
    check(archive, RandomEdit("again", is_correction=True))


def test_a_model_that_comes_meanwhile_names_by_the_new_accepted_error_too(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    identify_archive(archive, "p", max_false_names=1e-9)
    before = store.list_named("p", ["a-v-2"])[0].version

    def learn(number: int) -> None:
        if number == 1:
            correct_track(archive, CorrectionKind.IS, "Cem", track=3)
            # The other video has the same face, and is named as before: by so small an error nobody else is.
            assert store.list_named("p", ["a-v-2"])[0].version == before

    before_each(monkeypatch, store, "apply", learn)
    identify_archive(archive, "p", max_false_names=0.1)
    assert "Cem" in {row.owner for row in store.list_appearances("p", ["a-v-2"])}
    check(archive, GROUPED)


def test_numbers_that_strangers_got_meanwhile_stay(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (put_video(archive, f"v-{number}", number, seen=(20,)) for number in (3, 4))
    given: list[tuple[str, str]] = []

    def name(number: int) -> None:
        if number == 1:  # the later one first: its track gives the id
            assign_current(archive, second)
            assign_current(archive, first)
            given.extend(shown())

    def shown() -> list[tuple[str, str]]:
        rows = store.list_stranger_tracks("p", analysis_ids=["a-v-3", "a-v-4"])
        return [(row.analysis_id, row.stranger_id) for row in rows]

    before_each(monkeypatch, store, "apply", name)
    identify_archive(archive, "p")
    assert shown() == given


@pytest.mark.parametrize("seed", range(6))
def test_grouping_anew_is_right_whatever_others_do_meanwhile(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    if seed % 2:
        monkeypatch.setattr(whole_archive, "BLOCK", 1)
    done: list[str] = []

    def something(_number: int) -> None:
        one = draw(archive, rng, len(done))
        done.append(one.what)
        with suppress(FacerecError):  # it may be impossible then
            (one.change or one.edit)()  # type: ignore[misc]

    for number in range(8):
        something(number)
    for _ in range(3):
        done.append("grouped anew, and meanwhile")
        with monkeypatch.context() as patch:
            states: list[Any] = []
            before_each(patch, store, "apply", lambda n: states.append(something(n) or everything(archive)))  # type: ignore[func-returns-value]  # noqa: B023
            limit = float(rng.choice([0.005, 0.1])) if rng.random() < 0.3 else None
            change = identify_archive(archive, "p", max_false_names=limit)
        try:
            check(archive, GROUPED)
            undo_edit(archive, "p", change.edit)
            assert everything(archive) == states[-1]
        except AssertionError as error:
            raise AssertionError(f"archive {seed}: {done}") from error


def test_a_preview_is_answered_though_a_video_is_named_each_time(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_each(
        monkeypatch,
        store,
        "columns_positions",
        lambda n: add_named_video(archive, (7, 20 + n), f"v-{10 + n}") if n < 6 else None,
    )
    change = identify_archive(archive, "p", preview=True)
    monkeypatch.undo()
    assert (change.applied, change.edit, change.videos) == (False, None, 7)
    assert change.version == store.get_project("p").version
    assert [row.cause for row in store.list_edits("p")] == ["training"]


def test_a_preview_that_was_expected_is_not_applied_to_another_state(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = identify_archive(archive, "p", preview=True).version
    before_each(monkeypatch, store, "apply", lambda _: add_named_video(archive, (7, 9)))
    with pytest.raises(ConflictError, match="changed meanwhile"):
        identify_archive(archive, "p", expected=version)
    assert [row.cause for row in store.list_edits("p")] == ["training"]


class Stopping:
    """Stops the work when so much of it is done."""

    def __init__(self, at: float) -> None:
        self.at = at
        self.told: list[float] = []

    def report(self, progress: float) -> None:
        self.told.append(progress)

    def should_stop(self) -> bool:
        return bool(self.told) and self.told[-1] >= self.at


def test_progress_is_told_and_the_work_is_stopped(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_archive, "BLOCK", 1)
    put_video(archive, "v-3", 3)
    before = everything(archive)
    halfway = Stopping(0.3)
    with pytest.raises(TrainingStoppedError):
        identify_archive(archive, "p", work=NamingWork(halfway))
    assert halfway.told == pytest.approx([0.15, 0.3])
    assert everything(archive) == before
    never = Stopping(2.0)
    identify_archive(archive, "p", work=NamingWork(never))
    assert never.told == pytest.approx([0.15, 0.3, 0.45, 0.95])
    assert len(store.list_named("p")) == 3

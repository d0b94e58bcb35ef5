"""Two edits at the same time: both are kept, or the later one is refused."""

from __future__ import annotations

import pytest

from facerec_models.config import TrainingConfig
from facerec_models.errors import ConflictError
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import load_model
from serving.archive.learning.model_versions import train
from serving.archive.naming.correct import TrackCorrection, correct
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.undo import undo_edit
from serving.store.contract import Store
from serving.store.naming_rows import CorrectionKind
from tests.archive import enrol
from tests.contract.store_cases import promote
from tests.unit.serving.archive.edits import (
    before_each,
    correct_track,
    corrections_and_enrolled,
    crops_and_faces,
    owners,
)


@pytest.mark.parametrize("when", ["add_new_model", "apply"])
def test_two_corrections_at_once_are_both_kept(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    def other(number: int) -> None:
        if number == 1:
            correct_track(archive, CorrectionKind.IS, "Dee", track=4)

    before_each(monkeypatch, store, when, other)
    number = correct_track(archive, CorrectionKind.IS, "Cem")
    assert corrections_and_enrolled(store) == (["is Cem", "is Dee"], ["Cem", "Dee"])
    assert owners(store) == {"Ann_Lee", "Bob", "Cem", "Dee"}
    undo_edit(archive, "p", number)
    assert corrections_and_enrolled(store) == (["is Dee"], ["Dee"])
    assert "Cem" not in owners(store) >= {"Dee"}


def test_an_expected_state_that_changed_meanwhile_refuses_the_edit_whole(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    correction = TrackCorrection("v-1", 3, CorrectionKind.IS, "Cem")
    version = correct(archive, "p", [correction], preview=True).version
    before_each(
        monkeypatch,
        store,
        "apply",
        lambda n: correct_track(archive, CorrectionKind.IS, "Dee", track=4) if n == 1 else None,
    )
    with pytest.raises(ConflictError):
        correct(archive, "p", [correction], expected=version)
    assert corrections_and_enrolled(store) == (["is Dee"], ["Dee"])
    assert owners(store) >= {"Dee"}
    assert "Cem" not in owners(store)
    found, wanted = crops_and_faces(archive)
    assert found == wanted


@pytest.mark.parametrize("when", ["read", "applied"])
def test_naming_again_keeps_the_model_of_a_correction_made_meanwhile(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    before_each(
        monkeypatch,
        store,
        "apply" if when == "applied" else "list_appearances",
        lambda n: correct_track(archive, CorrectionKind.IS, "Cem") if n == 1 else None,
    )
    identify_archive(archive, "p")
    assert owners(store) >= {"Cem"}


def test_a_correction_keeps_an_undo_made_meanwhile(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = correct_track(archive, CorrectionKind.IS, "Dee", track=4)
    before_each(
        monkeypatch,
        store,
        "apply",
        lambda n: undo_edit(archive, "p", number) if n == 1 else None,
    )
    correct_track(archive, CorrectionKind.IS, "Cem")
    assert corrections_and_enrolled(store) == (["is Cem"], ["Cem"])
    assert "Dee" not in owners(store) >= {"Cem"}


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_correction_is_learned_again_where_a_version_is_promoted_meanwhile(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch, is_kept: bool
) -> None:
    enrol(archive, 5, "Eve")
    version = train(archive, "p", TrainingConfig(promote="no", seed=5)).version
    before = store.get_model("p").version

    def promote_another(number: int) -> None:
        if number == 1:
            promote(store, version)
            if not is_kept:
                store.delete_model("p", before)

    before_each(monkeypatch, store, "apply" if is_kept else "list_faces", promote_another)
    number = correct_track(archive, CorrectionKind.IS, "Cem")
    assert store.get_model("p").metrics["training"]["seed"] == 5
    undo_edit(archive, "p", number)
    assert store.get_model("p").version == version != before


@pytest.mark.parametrize("is_undone", [True, False])
@pytest.mark.parametrize("times", [1, 3])
def test_a_training_learns_corrections_made_meanwhile_or_is_refused(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch, times: int, is_undone: bool
) -> None:
    corrections = [(CorrectionKind.IS_NOT, "Ann_Lee", "v-1", 2 + n) for n in range(times)]
    revisions = [correct_track(archive, *one) for one in corrections if is_undone]
    enrol(archive, 5, "Eve")

    def change(number: int) -> None:
        if number > times:
            return
        if is_undone:
            undo_edit(archive, "p", revisions.pop())
        else:
            correct_track(archive, *corrections.pop())
        enrol(archive, 10 + number, f"Other{number}")

    before_each(monkeypatch, store, "apply", change)
    if times == 3:
        with pytest.raises(ConflictError, match="train again"):
            train(archive, "p")
        reasons = [model.metrics.get("gate", {}).get("reason", "") for model in store.list_models("p")]
        assert sum("train again" in reason for reason in reasons) == 3
    else:
        row = train(archive, "p")
        assert store.get_model("p").version == row.version
        assert row.metrics["gate"]["promoted"] is True
    model = load_model(archive.files, "p", store.get_model("p").version)
    assert len(model.corrections.denied_people) == len(store.list_corrections("p")) == (0 if is_undone else times)


def test_a_training_with_faces_of_a_correction_undone_meanwhile_is_refused(
    archive: Archive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, number = store.get_model("p").version, correct_track(archive, CorrectionKind.IS, "Cem")
    enrol(archive, 5, "Eve")
    before_each(monkeypatch, store, "apply", lambda _: undo_edit(archive, "p", number))
    with pytest.raises(ConflictError, match="train again"):
        train(archive, "p")
    assert store.get_model("p").version == before

"""Strangers who are left out of lists."""

from __future__ import annotations

import pytest

from facerec_models.errors import ConflictError
from serving.archive.handle import Archive
from serving.archive.naming.edit_strangers import hide_stranger
from serving.archive.naming.undo import undo_edit
from serving.archive.search.strangers import rank_strangers
from serving.store import Store
from tests.unit.serving.archive.edits import labels_in


def numbers(archive: Archive, *, with_hidden: bool = False) -> list[int]:
    return [one.number for one in rank_strangers(archive, "p", with_hidden=with_hidden).strangers]


def test_a_hidden_stranger_is_in_results_and_not_in_lists(archive: Archive, store: Store) -> None:
    before = store.list_named("p")
    assert not hide_stranger(archive, "p", "Unknown 1", preview=True).applied
    assert numbers(archive) == [1, 2]
    hide_stranger(archive, "p", "Unknown 1")
    assert numbers(archive) == [2]
    assert numbers(archive, with_hidden=True) == [1, 2]
    assert labels_in(archive, "v-1") == ["Ann Lee", "Bob", "Unknown 1", "Unknown 2"]
    assert [row.version for row in store.list_named("p")] == [row.version for row in before]
    assert store.list_edits("p")[-1].note == "Unknown 1 is hidden"
    with pytest.raises(ConflictError, match="Unknown 1 is hidden already"):
        hide_stranger(archive, "p", "1")


def test_they_are_shown_again_by_undo_and_when_asked_for(archive: Archive) -> None:
    hide_stranger(archive, "p", "Unknown 1")
    undo_edit(archive, "p")
    assert numbers(archive) == [1, 2]
    hide_stranger(archive, "p", "Unknown 1")
    hide_stranger(archive, "p", "Unknown 2")
    hide_stranger(archive, "p", "Unknown 1", is_hidden=False)
    assert numbers(archive) == [1]
    with pytest.raises(ConflictError, match="Unknown 1 is not hidden"):
        hide_stranger(archive, "p", "1", is_hidden=False)

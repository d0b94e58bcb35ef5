"""Strangers who are left out of lists."""

from __future__ import annotations

import pytest

from facerec_models.errors import ConflictError
from serving.archive.handle import Archive
from serving.archive.naming.edit_strangers import (
    hide_passers_by,
    hide_stranger,
    hide_strangers,
    merge_strangers,
    unmerge_stranger,
)
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.undo import undo_edit
from serving.archive.search.strangers import rank_strangers
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceQuery, CorrectionKind
from tests.unit.serving.archive.edits import add_named_video, correct_track, labels_in


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


def seconds_of(archive: Archive) -> dict[int, float]:
    return {one.number: one.screen_time_s for one in rank_strangers(archive, "p", with_hidden=True).strangers}


def test_passers_by_are_hidden_by_one_edit_that_one_undo_takes_back(archive: Archive, store: Store) -> None:
    add_named_video(archive, (9, 10))
    before = seconds_of(archive)
    assert before[1] == before[2] > before[3] == before[4]
    preview = hide_passers_by(archive, "p", before[1], preview=True)
    assert (preview.applied, preview.strangers, sorted(numbers(archive))) == (False, 2, [1, 2, 3, 4])
    change = hide_passers_by(archive, "p", before[1], expected=preview.version)
    assert (change.strangers, change.people, numbers(archive)) == (2, [], [1, 2])
    assert store.list_edits("p")[-1].note == f"2 strangers are hidden, each in view for less than {before[1]:g} s"
    assert seconds_of(archive) == before
    undo_edit(archive, "p")
    assert sorted(numbers(archive)) == [1, 2, 3, 4]


def test_those_who_are_hidden_are_passed_over(archive: Archive, store: Store) -> None:
    hide_stranger(archive, "p", "Unknown 1")
    change = hide_passers_by(archive, "p", 1000)
    assert (change.strangers, numbers(archive)) == (1, [])
    assert store.list_edits("p")[-1].note == "1 stranger is hidden, each in view for less than 1000 s"
    with pytest.raises(ConflictError, match="no stranger who is listed is in view for less than 1000 s"):
        hide_passers_by(archive, "p", 1000)
    undo_edit(archive, "p")
    assert numbers(archive) == [2]


def test_a_passer_by_of_one_video_is_none_who_is_seen_long_in_others(archive: Archive) -> None:
    add_named_video(archive, (7, 9))
    times = seconds_of(archive)
    in_this = {
        one.number: one.screen_time_s for one in rank_strangers(archive, "p", AppearanceQuery(video_id="v-3")).strangers
    }
    assert sorted(in_this) == [1, 3]
    # Unknown 1 is in view as briefly in this video, and longer over all; Unknown 2 is not in it.
    limit = in_this[1] + 0.1
    assert times[3] < limit < times[1]
    change = hide_passers_by(archive, "p", limit, video_id="v-3")
    assert (change.strangers, sorted(numbers(archive))) == (1, [1, 2])
    with pytest.raises(ConflictError, match="no stranger who is listed"):
        hide_passers_by(archive, "p", 1000, video_id="v-2" * 2)


def test_one_stranger_is_told_of_as_one(archive: Archive, store: Store) -> None:
    assert hide_strangers(archive, "p", ["1", "Unknown 1"]).strangers == 1
    assert store.list_edits("p")[-1].note == "1 stranger is hidden"


def split(archive: Archive, store: Store) -> None:
    """Take the third track of the second video out of Unknown 1: it is Unknown 3 then, and nothing keeps them apart any more."""
    correct_track(archive, CorrectionKind.IS_NOT, "Unknown 1", "v-2")
    store.delete_corrections("p", [row.correction_id for row in store.list_corrections("p")])
    assert sorted(numbers(archive)) == [1, 2, 3]


@pytest.mark.parametrize("hidden", [[1], [3], [1, 3]])
def test_nobody_who_is_shown_is_hidden_by_grouping_anew(archive: Archive, store: Store, hidden: list[int]) -> None:
    split(archive, store)
    for number in hidden:
        hide_stranger(archive, "p", f"Unknown {number}")
    before = numbers(archive)
    identify_archive(archive, "p")
    assert labels_in(archive, "v-1")[2] == labels_in(archive, "v-2")[2] == "Unknown 1"
    assert numbers(archive) == ([2] if hidden == [1, 3] else [1, 2])
    undo_edit(archive, "p")
    assert numbers(archive) == before


@pytest.mark.parametrize("hidden", [True, False])
def test_who_is_split_by_grouping_anew_is_hidden_as_before(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, hidden: bool
) -> None:
    if hidden:
        hide_stranger(archive, "p", "Unknown 1")
    monkeypatch.setattr("serving.archive.naming.strangers.stranger_similarity", lambda _: 0.99999)
    identify_archive(archive, "p")
    assert labels_in(archive, "v-2")[2:] == ["Unknown 3", "Unknown 4"]
    assert sorted(numbers(archive)) == ([2, 4] if hidden else [1, 2, 3, 4])


def test_a_new_face_of_a_hidden_stranger_is_hidden_by_grouping_anew(archive: Archive) -> None:
    hide_stranger(archive, "p", "Unknown 1")
    add_named_video(archive, (7,))
    identify_archive(archive, "p")
    assert labels_in(archive, "v-3") == ["Unknown 1"]
    assert numbers(archive) == [2]


def test_nobody_who_is_shown_is_hidden_by_a_merge(archive: Archive, store: Store) -> None:
    hide_stranger(archive, "p", "Unknown 1")
    merge_strangers(archive, "p", "Unknown 2", "Unknown 1")
    assert numbers(archive) == [1]
    assert store.list_edits("p")[-1].note == "Unknown 2 is Unknown 1, who is shown again"
    # Both are one then, also for grouping anew.
    identify_archive(archive, "p")
    assert numbers(archive) == [1]
    hide_stranger(archive, "p", "Unknown 2")
    identify_archive(archive, "p")
    assert numbers(archive) == []
    unmerge_stranger(archive, "p", "Unknown 2")
    assert numbers(archive) == [2]

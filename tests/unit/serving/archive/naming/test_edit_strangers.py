"""Strangers whom a user makes one, and takes apart again."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from facerec_models.errors import ConflictError, NotFoundError
from serving.archive.handle import Archive
from serving.archive.naming.aliases import find_alias, follow_all, follow_merges
from serving.archive.naming.correct import TrackCorrection, correct, name_stranger
from serving.archive.naming.edit_strangers import hide_stranger, merge_strangers, unmerge_stranger
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.named import appearance_rows
from serving.archive.naming.one_video import assign_current
from serving.archive.naming.strangers import StrangerGroups
from serving.archive.naming.undo import undo_edit
from serving.archive.search.strangers import list_merged, rank_strangers, show_stranger
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceRow, CorrectionKind, NamingChange, Stranger
from tests.archive import put_video
from tests.builders import cohort
from tests.contract.store_cases import stranger_sums
from tests.unit.serving.archive.edits import add_named_video, correct_track, labels_in
from tests.unit.serving.archive.naming.test_strangers import seen


def numbers(archive: Archive) -> list[int]:
    return [one.number for one in rank_strangers(archive, "p").strangers]


def shown(store: Store) -> list[AppearanceRow]:
    return store.list_appearances("p", [row.analysis_id for row in store.list_named("p")])


def from_scratch(archive: Archive) -> list[AppearanceRow]:
    """Return the appearances that follow from who tracks show, and from merges, as they are stored."""
    store = archive.store
    strangers = {row.stranger_id: row for row in store.list_strangers("p")}
    means = {one: follow_merges(one, strangers).stranger_id for one in strangers}
    return [
        row
        for named in store.list_named("p")
        for row in appearance_rows(
            store.get_analysis("p", named.analysis_id),
            store.get_columns("p", [named.analysis_id])[named.analysis_id],
            named,
            means,
        )
    ]


def test_merged_strangers_are_one_in_results_lists_and_search(archive: Archive, store: Store) -> None:
    before, groups = shown(store), store.list_stranger_tracks("p")
    preview = merge_strangers(archive, "p", "Unknown 2", "Unknown 1", preview=True)
    assert (preview.applied, shown(store)) == (False, before)
    assert merge_strangers(archive, "p", "Unknown 2", "1", expected=preview.version).applied
    assert numbers(archive) == [1]
    assert labels_in(archive, "v-1") == labels_in(archive, "v-2") == ["Ann Lee", "Bob", "Unknown 1", "Unknown 1"]
    found, summary = show_stranger(archive, "p", "Unknown 2")
    assert (found.number, summary.tracks, summary.videos) == (1, 4, 2)
    assert summary.aliases == (find_alias(store, "p", "Unknown 2").stranger_id,)
    assert shown(store) == from_scratch(archive)
    assert [(row.track_id, row.stranger_id) for row in store.list_stranger_tracks("p")] == [
        (row.track_id, row.stranger_id) for row in groups
    ]
    undo_edit(archive, "p")
    assert shown(store) == before


def test_strangers_who_are_in_view_at_once_are_not_merged(archive: Archive, store: Store) -> None:
    assign_current(archive, put_video(archive, "v-3", 3, (8, 9), together=True))
    one, other = labels_in(archive, "v-3")
    before = shown(store)
    with pytest.raises(ConflictError, match=r"in view at once, as tracks 1 and 2 of .*: two people"):
        merge_strangers(archive, "p", one, other)
    assert shown(store) == before


def test_an_unmerged_stranger_has_the_former_number_again(archive: Archive, store: Store) -> None:
    before = shown(store)
    merge_strangers(archive, "p", "2", "1")
    add_named_video(archive, (8, 9))
    assert labels_in(archive, "v-3") == ["Unknown 1", "Unknown 3"]
    preview = unmerge_stranger(archive, "p", "2", preview=True)
    assert unmerge_stranger(archive, "p", "2", expected=preview.version).applied
    assert [row for row in shown(store) if row.analysis_id != "a-v-3"] == before
    assert labels_in(archive, "v-3") == ["Unknown 2", "Unknown 3"]
    undo_edit(archive, "p")
    assert labels_in(archive, "v-3") == ["Unknown 1", "Unknown 3"]
    assert numbers(archive) == [1, 3]


def test_a_video_after_a_merge_shows_the_former_stranger_after_its_undo(archive: Archive, store: Store) -> None:
    merge_strangers(archive, "p", "2", "1")
    add_named_video(archive, (8, 9))
    undo_edit(archive, "p")
    assert labels_in(archive, "v-3") == ["Unknown 2", "Unknown 3"]
    assert shown(store) == from_scratch(archive)


def merged(archive: Archive, whom: str) -> list[tuple[int, int]]:
    return [(one.stranger.number, one.tracks) for one in list_merged(archive, "p", whom)]


def test_those_who_can_be_taken_apart_are_listed(archive: Archive) -> None:
    add_named_video(archive, (9,))
    assert merged(archive, "1") == []
    merge_strangers(archive, "p", "3", "2")
    merge_strangers(archive, "p", "2", "1")
    # With Unknown 2 goes Unknown 3, who may leave alone, too.
    assert merged(archive, "1") == merged(archive, "Unknown 3") == [(2, 3), (3, 1)]
    (two, three) = list_merged(archive, "p", "1")
    assert two.sighting is not None
    assert (two.sighting.track_id, two.sighting.crop is not None) == (4, True)
    assert three.sighting is not None
    assert three.sighting.video_id == "v-3"
    unmerge_stranger(archive, "p", "2")
    assert (merged(archive, "1"), merged(archive, "2")) == ([], [(3, 1)])
    with pytest.raises(NotFoundError):
        list_merged(archive, "p", "99")


def test_who_was_merged_by_the_grouping_cannot_be_taken_apart(archive: Archive, store: Store) -> None:
    correct_track(archive, CorrectionKind.IS_NOT, "Unknown 1", "v-2")
    store.delete_corrections("p", [row.correction_id for row in store.list_corrections("p")])
    identify_archive(archive, "p")
    assert find_alias(store, "p", "3").merged_into is not None
    assert merged(archive, "1") == []


def test_a_merge_outlives_grouping_anew(archive: Archive, store: Store) -> None:
    merge_strangers(archive, "p", "2", "1")
    identify_archive(archive, "p")
    assert numbers(archive) == [1]
    unmerge_stranger(archive, "p", "2")
    assert numbers(archive) == [1, 2]


def test_naming_takes_the_tracks_of_all_who_were_merged(archive: Archive, store: Store) -> None:
    merge_strangers(archive, "p", "2", "1")
    before = shown(store)
    change = name_stranger(archive, "p", "Unknown 2", "Dee")
    assert (change.added, list(change.perhaps)) == ({"Dee": 4}, [])
    assert labels_in(archive, "v-1") == ["Ann Lee", "Bob", "Dee", "Dee"]
    add_named_video(archive, (9,))
    with pytest.raises(ConflictError, match="Unknown 1 was named Dee and has no tracks left"):
        merge_strangers(archive, "p", "3", "1")
    undo_edit(archive, "p")
    assert [row for row in shown(store) if row.analysis_id != "a-v-3"] == before


def test_hiding_one_hides_both(archive: Archive) -> None:
    merge_strangers(archive, "p", "2", "1")
    hide_stranger(archive, "p", "Unknown 2")
    assert numbers(archive) == []


@pytest.mark.parametrize("is_denied_first", [True, False])
def test_a_track_that_is_not_the_merged_stranger_leaves_both(
    archive: Archive, store: Store, is_denied_first: bool
) -> None:
    if not is_denied_first:
        merge_strangers(archive, "p", "2", "1")
    stranger = find_alias(store, "p", "Unknown 1").stranger_id
    correct(archive, "p", [TrackCorrection("v-1", 4, CorrectionKind.IS_NOT, stranger)])
    if is_denied_first:
        assert labels_in(archive, "v-1")[3] == "Unknown 2"
        merge_strangers(archive, "p", "2", "1")
    assert labels_in(archive, "v-1") == ["Ann Lee", "Bob", "Unknown 1", "Unknown 3"]
    assert labels_in(archive, "v-2") == ["Ann Lee", "Bob", "Unknown 1", "Unknown 1"]
    assert shown(store) == from_scratch(archive)
    identify_archive(archive, "p")
    assert labels_in(archive, "v-1") == ["Ann Lee", "Bob", "Unknown 1", "Unknown 3"]


def test_a_track_that_is_not_who_another_turns_out_to_be_leaves_both(archive: Archive, store: Store) -> None:
    stranger = find_alias(store, "p", "Unknown 1").stranger_id
    add_named_video(archive, (8,))
    correct(archive, "p", [TrackCorrection("v-3", 1, CorrectionKind.IS_NOT, stranger)])
    assert labels_in(archive, "v-3") == ["Unknown 2"]
    merge_strangers(archive, "p", "1", "2")
    assert labels_in(archive, "v-3") == ["Unknown 3"]
    assert labels_in(archive, "v-2") == ["Ann Lee", "Bob", "Unknown 2", "Unknown 2"]


def test_what_cannot_be_merged_or_taken_apart_is_refused(archive: Archive, store: Store) -> None:
    with pytest.raises(NotFoundError, match="Unknown 9"):
        merge_strangers(archive, "p", "Unknown 9", "1")
    with pytest.raises(ConflictError, match="one stranger already"):
        merge_strangers(archive, "p", "Unknown 1", "1")
    with pytest.raises(ConflictError, match="Unknown 1 was not merged"):
        unmerge_stranger(archive, "p", "1")
    merge_strangers(archive, "p", "1", "2")
    with pytest.raises(ConflictError, match="'1' and '2' are one stranger already, Unknown 2"):
        merge_strangers(archive, "p", "1", "2")
    with pytest.raises(ConflictError, match="Unknown 2 was not merged"):
        unmerge_stranger(archive, "p", "2")


def test_what_the_grouping_merged_is_not_taken_apart(archive: Archive, store: Store) -> None:
    first = find_alias(store, "p", "1")
    gone = Stranger("stranger-gone", "p", 9, 1.0, merged_into=first.stranger_id)
    store.apply("p", NamingChange(strangers=[gone]), if_version=store.get_project("p").version)
    with pytest.raises(ConflictError, match="Unknown 9 was merged by the grouping"):
        unmerge_stranger(archive, "p", "9")


def edit(archive: Archive, rng: np.random.Generator, step: int) -> None:
    """Change something about strangers at random."""
    store = archive.store
    known = [str(row.number) for row in store.list_strangers("p")]
    one, other = (str(rng.choice(known)) for _ in range(2))
    what = rng.choice(
        ["merge", "unmerge", "again", "video", "undo", "is not", "is", "name"],
        p=[0.3, 0.15, 0.15, 0.15, 0.1, 0.05, 0.05, 0.05],
    )
    if what == "merge":
        merge_strangers(archive, "p", one, other)
    elif what == "unmerge":
        unmerge_stranger(archive, "p", one)
    elif what == "again":
        identify_archive(archive, "p")
    elif what == "video":
        seen = tuple(int(who) for who in rng.integers(3, 14, size=rng.integers(1, 6)))
        assign_current(archive, put_video(archive, f"v-{step + 10}", step + 10, seen, together=bool(rng.integers(2))))
    elif what == "undo":
        undo_edit(archive, "p")
    elif what == "name":
        name_stranger(archive, "p", one, "Dee")
    else:
        video = str(rng.choice([row.video_id for row in store.list_videos("p")]))
        track = int(rng.integers(1, 1 + len(store.get_tracks("p", [f"a-{video}"])[f"a-{video}"])))
        stranger = find_alias(store, "p", one).stranger_id
        kind = CorrectionKind.IS_NOT if what == "is not" else CorrectionKind.IS
        correct_track(archive, kind, stranger if what == "is not" else "Bob", video, track)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_shown_follows_merges_whatever_happens(archive: Archive, seed: int) -> None:
    rng, store = np.random.default_rng(seed), archive.store
    for step in range(30):
        before = {row.stranger_id: row for row in store.list_strangers("p")}
        alive = set(stranger_sums(store))
        number = len(store.list_edits("p"))
        try:
            edit(archive, rng, step)
        except ConflictError:  # nothing is left to undo, to merge, or to take apart
            continue
        rows = {row.stranger_id: row for row in store.list_strangers("p")}
        for identifier in rows:  # no circle
            assert identifier not in path_of(rows, identifier), f"seed {seed}, step {step}"
        assert shown(store) == from_scratch(archive), f"seed {seed}, step {step}"
        edits = store.list_edits("p")
        if len(edits) > number and edits[-1].cause == "identify":
            alive &= stranger_sums(store).keys()
            for one, other in itertools.combinations(sorted(alive), 2):
                was_one = follow_merges(one, before) == follow_merges(other, before)
                is_one = follow_all(store, "p", [one])[one] == follow_all(store, "p", [other])[other]
                assert is_one or not was_one, f"seed {seed}, step {step}"


@pytest.mark.parametrize("seed", range(200))
def test_grouping_anew_keeps_those_one_whom_a_user_made_one(store: Store, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ids = [f"stranger-{i}" for i in range(8)]
    rows = {one: Stranger(one, "p", i, 0.0) for i, one in enumerate(ids, 1)}
    for _ in range(rng.integers(0, 7)):
        one, other = (follow_merges(str(who), rows) for who in rng.choice(ids, 2))
        if one != other:
            rows[one.stranger_id] = replace(one, merged_into=other.stranger_id)
    who = rng.integers(0, 5, size=20)
    unknown = seen(store, "a", *who.tolist())
    held = {row: str(rng.choice(ids)) for row in range(20)}
    store.apply("p", NamingChange(strangers=list(rows.values())), if_version=store.get_project("p").version)
    groups = StrangerGroups(store, "p", cohort().pair, {}, anew=True)
    groups.add([replace(unknown, held=held)], [])
    grouping = groups.grouping()
    then = rows | {row.stranger_id: row for row in grouping.strangers}
    left = set(grouping.of_track.values())
    for one in then:
        assert one not in path_of(then, one)
    for one, other in itertools.combinations(sorted(left & set(held.values())), 2):
        if follow_merges(one, rows) == follow_merges(other, rows):
            assert follow_merges(one, then) == follow_merges(other, then)
    for one in set(held.values()) - left:
        assert not left.isdisjoint(path_of(then, one))


def path_of(rows: dict[str, Stranger], identifier: str) -> list[str]:
    """Return into whom a stranger was merged, one after the other; a circle once."""
    found: list[str] = []
    while (into := rows[identifier].merged_into) is not None and into not in found:
        found.append(into)
        identifier = into
    return found

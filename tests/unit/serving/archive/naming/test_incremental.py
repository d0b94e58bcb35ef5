"""Naming only what an edit can change gives the names that naming everything at once gives.

``FACEREC_RANDOM_EDITS=1000`` makes so many edits, in archives of 50 edits each.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from facerec_models.errors import ConflictError, GalleryError, InputError, NotFoundError
from facerec_models.identification.corrections import Corrections
from facerec_models.identification.decide import VideoNames
from facerec_models.identification.identify import identify_videos
from facerec_models.names import STRANGER_PREFIX
from facerec_models.types import Decision, UndecidableReason
from serving.archive.handle import Archive
from serving.archive.naming.affected import affected
from serving.archive.naming.aliases import moved_meanings, strangers_in
from serving.archive.naming.current import read_current
from serving.archive.naming.named import appearance_rows, matches_of, merge_names, name_tracks, owners_of, strangers_of
from serving.archive.naming.one_video import stored_result
from serving.archive.naming.undo import undo_edit
from serving.archive.search.people_and_faces import search_people
from serving.archive.search.strangers import rank_strangers
from serving.store.naming_rows import AppearanceQuery, CorrectionKind, NamedTracks
from tests.builders import cohort, make_match
from tests.contract.store_cases import make_analysis, stranger_sums
from tests.unit.serving.archive.edits import add_named_video
from tests.unit.serving.archive.naming.random_edits import RandomEdit, draw

_EDITS = int(os.environ.get("FACEREC_RANDOM_EDITS", "75"))
_IN_ARCHIVE = 50
# So many are undone at once, to compare what is then with what was before.
_UNDONE = 0.3


def stored(archive: Archive) -> dict[str, list[str | None]]:
    """Return who the tracks of each analysis are, without strangers."""
    return {
        row.analysis_id: [None if one is None or one.startswith(STRANGER_PREFIX) else one for one in owners_of(row)]
        for row in archive.store.list_named("p")
    }


def from_scratch(archive: Archive) -> dict[str, list[str | None]]:
    """Return the same for the model that names now, of everything at once."""
    current = read_current(archive, "p")
    found = {}
    for row in archive.store.list_named("p"):
        columns = archive.store.get_columns("p", [row.analysis_id])
        (names,) = identify_videos(
            list(columns.items()), current.model, archive.rules, max_false_names=row.max_false_names, pair=cohort().pair
        )
        found[row.analysis_id] = [match.person_id for match in names.matches]
    return found


def everything(archive: Archive) -> dict[str, Any]:
    """Return all that undoing brings back. A stranger whom an edit made keeps the number, and is seen nowhere."""
    store = archive.store
    tracks = store.list_stranger_tracks("p")
    shown = {row.stranger_id for row in tracks}
    current = read_current(archive, "p")
    return {
        "named": {
            row.analysis_id: (owners_of(row), row.decisions.tolist(), row.max_false_names, row.confirmed.tolist())
            for row in store.list_named("p")
        },
        "appearances": [
            (
                row.analysis_id,
                row.first_track,
                row.owner,
                row.track_ids,
                row.start_s,
                row.end_s,
                row.is_confirmed,
                row.reason,
            )
            for row in store.list_appearances("p", sorted(row.analysis_id for row in store.list_named("p")))
        ],
        "strangers": [row for row in store.list_strangers("p") if row.stranger_id in shown],
        "tracks": [(row.analysis_id, row.track_id, row.stranger_id) for row in tracks],
        "corrections": sorted(row.correction_id for row in store.list_corrections("p")),
        "faces": sorted((face.face_id, face.person_id, face.status, face.reason) for face in store.list_faces("p")),
        "model": current.model_version,
        "limit": current.max_false_names,
    }


def check_search_and_strangers(archive: Archive) -> None:
    """Compare what search reads with what results read, and strangers' tracks and sums with both."""
    store = archive.store
    named = {row.analysis_id: row for row in store.list_named("p")}
    analyses = {row.analysis_id: row for row in store.list_analyses("p", sorted(named))}
    columns = store.get_columns("p", sorted(named))
    appearances = defaultdict(list)
    for row in store.list_appearances("p", sorted(named)):
        appearances[row.analysis_id].append(row)
    shown = {}
    sums: dict[str, list[Any]] = defaultdict(lambda: [0, 0.0])
    for analysis_id, row in named.items():
        found = appearance_rows(analyses[analysis_id], columns[analysis_id], row, means(archive, [row]))
        assert appearances[analysis_id] == sorted(found, key=lambda one: (one.start_s, one.first_track))
        strangers = strangers_of(row)
        for i, stranger_id in strangers.items():
            shown[analysis_id, int(columns[analysis_id].track_ids[i])] = stranger_id
            sums[stranger_id][0] += 1
            sums[stranger_id][1] = sums[stranger_id][1] + columns[analysis_id].vectors[i].astype(np.float64)
        for a, b in columns[analysis_id].together.tolist():
            assert a not in strangers or strangers[a] != strangers.get(b), "one stranger twice in a frame"
    assert {(row.analysis_id, row.track_id): row.stranger_id for row in store.list_stranger_tracks("p")} == shown
    kept = stranger_sums(store)
    assert {one: count for one, (count, _) in kept.items()} == {one: count for one, (count, _) in sums.items()}
    for one, (_, total) in kept.items():
        np.testing.assert_allclose(total, sums[one][1], atol=1e-4)
    known = {row.stranger_id: row for row in store.list_strangers("p", sorted(sums))}
    assert known.keys() == sums.keys()
    assert all(row.person_id is None for row in known.values()), "a track shows a stranger who was named"


def means(archive: Archive, named: list[NamedTracks]) -> dict[str, str]:
    """Return whom strangers are shown as: those with whom a user merged them."""
    return moved_meanings(archive.store, "p", strangers_in(archive.store, "p", named), ())[0]


def check_lists(archive: Archive) -> None:
    """Compare the list of strangers and search by person with the newest analysis of each video."""
    store = archive.store
    latest = sorted(store.latest_analyses("p").values())
    tracks: dict[str, int] = defaultdict(int)
    people: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for row in store.list_appearances("p", latest):
        if row.decision is Decision.UNKNOWN:
            tracks[str(row.owner)] += len(row.track_ids)
        elif row.decision is Decision.NAMED:
            people[str(row.owner)].append((row.analysis_id, row.first_track))
    assert {one.stranger_id: one.tracks for one in rank_strangers(archive, "p", with_hidden=True).strangers} == tracks
    for person, rows in people.items():
        found = search_people(archive, "p", [person], AppearanceQuery(), limit=1000).hits
        assert sorted((hit.row.analysis_id, hit.row.first_track) for hit in found) == sorted(rows)
    for row in store.list_named("p", latest):
        video_id = store.get_analysis("p", row.analysis_id).video_id
        result = stored_result(archive, "p", video_id, lambda *_: "")
        shown = {track: one.person_id or one.stranger for one in result.appearances for track in one.track_ids}
        hits = search_people(archive, "p", [], AppearanceQuery(video_id=video_id), limit=1000).hits
        figures = {hit.row.track_ids: (hit.figure.probability, hit.figure.false_name_rate) for hit in hits}
        sure = {tuple(one.track_ids): (one.probability, one.false_name_rate) for one in result.appearances}
        assert figures.keys() == sure.keys()
        for track_ids, (probability, rate) in figures.items():
            assert probability == pytest.approx(sure[track_ids][0], abs=1e-4)
            # A face that the cohort has, too, is as good as itself, or almost: a step of one among hundreds.
            assert rate == pytest.approx(sure[track_ids][1], rel=1e-3, abs=4e-3)
        columns = store.get_columns("p", [row.analysis_id])[row.analysis_id]
        of = means(archive, [row])
        owners = [None if one is None else of.get(one, one) for one in owners_of(row)]
        assert shown == dict(zip(columns.track_ids.tolist(), owners, strict=True))


def check_corrections(archive: Archive) -> None:
    """Compare names with the corrections that hold; of a model that was fitted with all of them."""
    store = archive.store
    owners = {}
    for row in store.list_named("p"):
        columns = store.get_columns("p", [row.analysis_id])[row.analysis_id]
        owners |= {(row.analysis_id, int(one)): who for one, who in zip(columns.track_ids, owners_of(row), strict=True)}
    for one in store.list_corrections("p"):
        key = one.analysis_id, one.track_id
        if key in owners and one.kind is CorrectionKind.IS:
            assert owners[key] == one.person_id, f"{key} was corrected to {one.person_id}"
        elif key in owners:
            assert owners[key] != one.person_id, f"{key} was corrected not to be {one.person_id}, or held apart"


def apply(archive: Archive, one: RandomEdit) -> None:
    """Do something at random; of an edit, the preview must say what it changes."""
    if one.change is not None:
        one.change()
        return
    assert one.edit is not None
    before = everything(archive)
    preview = one.edit(preview=True)
    assert everything(archive) == before, "a preview changes something"
    change = one.edit(expected=preview.version)
    differing = {"applied", "edit"}
    shown, done = ({k: v for k, v in what.to_dict().items() if k not in differing} for what in (preview, change))
    assert shown == done


def check(archive: Archive, one: RandomEdit) -> None:
    """Compare what is stored with what naming everything at once gives, with itself, and with corrections that were just learned."""
    assert stored(archive) == from_scratch(archive)
    check_search_and_strangers(archive)
    check_lists(archive)
    if one.is_correction:
        check_corrections(archive)


@pytest.mark.parametrize("seed", range(-(-_EDITS // _IN_ARCHIVE)))
def test_names_after_many_edits_are_those_of_naming_everything_at_once(
    archive: Archive, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if seed % 2:  # a block of each analysis, and one of them all
        monkeypatch.setattr("serving.archive.naming.whole_archive.BLOCK", 1)
    rng = np.random.default_rng(seed)
    done: list[str] = []
    for step in range(min(_IN_ARCHIVE, _EDITS - seed * _IN_ARCHIVE)):
        one = draw(archive, rng, step)
        done.append(one.what)
        is_undone = one.edit is not None and one.what != "undo" and bool(rng.random() < _UNDONE)
        before, edits = everything(archive), len(archive.store.list_edits("p"))
        try:
            try:
                apply(archive, one)
            except (
                ConflictError,
                GalleryError,
                InputError,
                NotFoundError,
            ) as error:  # nothing to undo, one track twice
                done[-1] += f": {error}"
                assert everything(archive) == before
                continue
            check(archive, one)
            if is_undone and len(archive.store.list_edits("p")) > edits:
                undo_edit(archive, "p")
                done[-1] += ", undone"
                assert everything(archive) == before
        except AssertionError as error:
            raise AssertionError(f"archive {seed}: {done}") from error


@pytest.mark.parametrize("together", [256, 1])
def test_only_tracks_whose_corrections_change_are_named_again_where_nobody_scores_otherwise(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    monkeypatch.setattr("serving.archive.naming.affected._BATCH", together)
    add_named_video(archive, (7, 8))
    current = read_current(archive, "p", None)
    assert current.model is not None
    no_image, other = (
        replace(current.model, corrections=Corrections(confirmed, no_images=no_images))
        for confirmed, no_images in (
            ({("a-v-1", 2): "Bob"}, {("a-v-2", 3), ("a-v-3", 1)}),
            ({("a-v-1", 1): "Ann_Lee", ("a-v-1", 2): "Bob"}, {("a-v-3", 1), ("a-v-3", 2)}),
        )
    )
    for before, after in ((no_image, other), (other, no_image)):
        found = affected(archive.store, "p", current.named, before, after)
        assert {one: None if rows is None else rows.tolist() for one, rows in found.items()} == {
            "a-v-1": [0],
            "a-v-2": [2],
            "a-v-3": [1],
        }


def test_tracks_that_are_decided_again_take_their_rows_and_others_stay_who_they_are() -> None:
    scores = np.array([[0.9], [0.2], [0.3]], np.float32)
    matches = [make_match("Ann_Lee"), make_match(), make_match()]
    before = name_tracks(
        make_analysis("a"), VideoNames(matches, scores, is_contended=False), {1: "stranger-a"}, 0.01, 0.1
    )
    again = VideoNames([make_match("Bob")], np.array([[0.8, 0.05]], np.float32), is_contended=True)
    merged = merge_names(before, np.array([2]), again)
    assert (owners_of(merged), strangers_of(merged)) == (["Ann_Lee", "stranger-a", "Bob"], {1: "stranger-a"})
    assert merged.is_contended
    # More people are known by now: of those who were not compared with a track no score is kept, as of those below the floor.
    expected = np.array([[0.9, -np.inf], [0.2, -np.inf], [0.8, -np.inf]], np.float32)
    np.testing.assert_array_equal(merged.scores.reshape(3, -1), expected)


def test_a_stranger_who_is_decided_again_has_none_until_strangers_are_settled() -> None:
    scores = np.zeros((2, 0), np.float32)
    names = VideoNames([make_match(), make_match()], scores, is_contended=False)
    before = name_tracks(make_analysis("a"), names, dict.fromkeys(range(2), "stranger-a"), 0.01, 0.1)
    again = VideoNames([make_match(), make_match(decidable=False)], scores, is_contended=False)
    merged = merge_names(before, np.arange(2), again)
    assert owners_of(merged) == [None, None]
    assert [match.reason for match in matches_of(merged)] == [None, UndecidableReason.POOR]

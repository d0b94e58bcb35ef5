"""What every store promises of search: over appearances, and of the vectors of tracks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from facerec_models.identification.track_columns import TrackColumns
from serving.store.contract import Store
from serving.store.naming_rows import AppearanceKey, AppearanceQuery, AppearanceRow, Edit
from tests.contract.store_cases import (
    make_analysis,
    make_appearance,
    make_track,
    make_video,
    name,
    put_analyses,
)

ANN, BOB, CEM = ("Ann_Lee",), ("Bob",), ("Cem",)


@pytest.fixture
def archive(store: Store) -> Store:
    """Three videos, submitted at 0, 1 and 2; Ann is in all, Bob and a stranger in some."""
    put_analyses(store, "a", "b", "c")
    rows = [
        make_appearance("a", 0, "Ann_Lee", last_shot=1, end_s=15.0),
        make_appearance("a", 1, "Bob"),
        make_appearance("a", 2, "Ann_Lee", score=0.6),
        make_appearance("b", 0, "Bob"),
        make_appearance("b", 1, "Ann_Lee"),
        make_appearance("b", 2, None),
        make_appearance("c", 0, "Ann_Lee", start_s=0.5),
        make_appearance("c", 1, "stranger-a", first_shot=0),
        make_appearance("c", 2, "Bob", first_shot=0, score=0.5),
    ]
    name(store, *rows)
    return store


def places(rows: list[AppearanceRow]) -> list[tuple[str, int]]:
    return [(row.analysis_id, row.first_track) for row in rows]


def find(store: Store, query: AppearanceQuery, **paging: object) -> list[tuple[str, int]]:
    return places(store.find_appearances("p", query, limit=paging.pop("limit", 100), **paging))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (AppearanceQuery((ANN,)), [("a", 0), ("a", 2), ("b", 1), ("c", 0)]),
        (AppearanceQuery((CEM,)), []),
        (AppearanceQuery((("stranger-z", "stranger-a"),)), [("c", 1)]),
        (AppearanceQuery(), [("a", i) for i in range(3)] + [("b", i) for i in range(3)] + [("c", i) for i in range(3)]),
        (AppearanceQuery((ANN,), video_id="v-a"), [("a", 0), ("a", 2)]),
        (AppearanceQuery((ANN,), video_id="v-none"), []),
        (AppearanceQuery((ANN,), least_score=0.9), [("a", 0), ("b", 1), ("c", 0)]),
        (AppearanceQuery((ANN,), submitted_from=1.0), [("b", 1), ("c", 0)]),
        (AppearanceQuery((ANN,), submitted_to=1.0), [("a", 0), ("a", 2)]),
        (AppearanceQuery((ANN,), submitted_from=1.0, submitted_to=1.5), [("b", 1)]),
        (AppearanceQuery((ANN,), start_s=15.0), [("a", 2)]),
        (AppearanceQuery((ANN,), start_s=14.0, end_s=20.0), [("a", 0), ("b", 1)]),
        (AppearanceQuery((ANN,), end_s=0.5), [("a", 0)]),
    ],
)
def test_appearances_are_found(archive: Store, query: AppearanceQuery, expected: list[tuple[str, int]]) -> None:
    assert find(archive, query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (AppearanceQuery((ANN, BOB)), [("a", 0), ("c", 0)]),
        (AppearanceQuery((BOB, ANN)), [("a", 1), ("c", 2)]),
        (AppearanceQuery((ANN, BOB), least_score=0.9), [("a", 0)]),
        (AppearanceQuery((ANN, BOB, ("stranger-a",))), [("c", 0)]),
        (AppearanceQuery((ANN, CEM)), []),
        (AppearanceQuery((ANN, ("stranger-b", "stranger-a")), video_id="v-c"), [("c", 0)]),
    ],
)
def test_several_owners_are_found_in_the_same_shot(
    archive: Store, query: AppearanceQuery, expected: list[tuple[str, int]]
) -> None:
    assert find(archive, query) == expected


def test_a_page_continues_after_the_last_row_whatever_was_added(archive: Store) -> None:
    query = AppearanceQuery((ANN,))
    everything = archive.find_appearances("p", query, limit=100)
    assert [row.key for row in everything] == sorted(row.key for row in everything)
    seen: list[tuple[str, int]] = []
    after: AppearanceKey | None = None
    for number in range(4):
        (row,) = archive.find_appearances("p", query, after=after, limit=1)
        seen += places([row])
        after = row.key
        # One video more before and one more after all others.
        for one in (f"A{number}", f"z{number}"):
            archive.put_video(make_video(f"v-{one}", 9.0))
            archive.put_analysis(make_analysis(one, f"v-{one}"), [])
            name(archive, make_appearance(one))
    assert seen == places(everything)
    assert find(archive, query, after=after) == [(f"z{number}", 0) for number in range(4)]
    assert find(archive, query, limit=0) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (AppearanceQuery(), [("a", 1), ("b", 0), ("a", 0), ("a", 2)]),
        (AppearanceQuery((CEM,), least_score=0.9), [("a", 1), ("b", 0), ("a", 0), ("b", 1)]),
        (AppearanceQuery((CEM, BOB)), [("a", 1), ("b", 0), ("a", 0), ("b", 1)]),
        (AppearanceQuery(submitted_from=1.0), [("b", 0), ("c", 2), ("b", 1), ("c", 0)]),
    ],
)
def test_the_first_appearances_of_each_owner_are_found(
    archive: Store, query: AppearanceQuery, expected: list[tuple[str, int]]
) -> None:
    name(archive, make_appearance("b", 0, "Bob"), make_appearance("b", 1, "Ann_Lee", first_shot=0))
    rows = archive.find_some_appearances("p", query, ["Bob", "gone", "Ann_Lee"], 2)
    assert places(rows) == expected
    assert [row.owner for row in rows] == ["Bob", "Bob", "Ann_Lee", "Ann_Lee"]
    assert archive.find_some_appearances("p", query, [], 2) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (AppearanceQuery(), [("stranger-a", 15.0, 2, 4), ("stranger-b", 2.5, 1, 1)]),
        (AppearanceQuery((("stranger-b", "stranger-z"),)), [("stranger-b", 2.5, 1, 1)]),
        (AppearanceQuery((ANN,)), []),
        (AppearanceQuery(least_score=0.9), [("stranger-a", 15.0, 2, 4), ("stranger-b", 2.5, 1, 1)]),
        (AppearanceQuery(video_id="v-c"), [("stranger-a", 5.0, 1, 1)]),
        (AppearanceQuery(submitted_from=1.0), [("stranger-a", 5.0, 1, 1)]),
        (AppearanceQuery(submitted_to=1.0, start_s=45.0), [("stranger-b", 2.5, 1, 1)]),
        (AppearanceQuery(end_s=20.0), [("stranger-a", 5.0, 1, 1)]),
    ],
)
def test_screen_times_of_strangers_are_added_up(
    archive: Store, query: AppearanceQuery, expected: list[tuple[str, float, int, int]]
) -> None:
    rows = archive.list_appearances("p", ["a"])
    rows += [make_appearance("a", 3, "stranger-a", track_ids=(4, 12)), make_appearance("a", 4, "stranger-a", score=0.5)]
    rows += [make_appearance("a", 5, "stranger-b", end_s=52.5, score=0.5)]
    name(archive, *rows)
    found = archive.list_screen_times("p", query)
    assert [(time.owner, time.seconds, time.videos, time.tracks) for time in found] == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            AppearanceQuery(),
            [("Ann_Lee", 29.5, 3, 4), ("Bob", 15.0, 3, 3), ("stranger.z", 5.0, 1, 1), ("Ö", 5.0, 1, 1)],
        ),
        (AppearanceQuery((BOB, ANN)), [("Bob", 10.0, 2, 2)]),
        (AppearanceQuery(least_score=0.9), [("Ann_Lee", 24.5, 3, 3), ("Bob", 10.0, 2, 2), ("stranger.z", 5.0, 1, 1)]),
        (AppearanceQuery(submitted_from=2.0), [("Ann_Lee", 4.5, 1, 1), ("Bob", 5.0, 1, 1)]),
    ],
)
def test_screen_times_of_people_are_added_up(
    archive: Store, query: AppearanceQuery, expected: list[tuple[str, float, int, int]]
) -> None:
    rows = archive.list_appearances("p", ["b"])
    rows += [make_appearance("b", 3, "stranger.z"), make_appearance("b", 4, "Ö", score=0.5)]
    name(archive, *rows)
    found = archive.list_screen_times("p", query, of_people=True)
    assert [(time.owner, time.seconds, time.videos, time.tracks) for time in found] == expected


def test_a_confirmed_appearance_is_sure_whatever_its_score(archive: Store) -> None:
    name(archive, make_appearance("a", 0, "Ann_Lee", score=0.1, is_confirmed=True))
    assert find(archive, AppearanceQuery((ANN,), least_score=0.9)) == [("a", 0), ("b", 1), ("c", 0)]


def test_screen_time_is_of_the_latest_analysis(archive: Store) -> None:
    archive.put_analysis(make_analysis("c2", "v-c", 10.0), [])
    assert archive.list_screen_times("p", AppearanceQuery()) == []


def test_a_video_counts_by_its_latest_analysis(archive: Store) -> None:
    archive.put_analysis(make_analysis("a2", "v-a", 10.0), [make_track(1)])
    assert archive.latest_analyses("p") == {"v-a": "a2", "v-b": "b", "v-c": "c"}
    assert find(archive, AppearanceQuery((ANN,))) == [("b", 1), ("c", 0)]
    row = make_appearance("a2", 0, "Bob", video_id="v-a")
    name(archive, row)
    assert find(archive, AppearanceQuery((BOB,), video_id="v-a")) == [("a2", 0)]
    archive.touch_analysis("p", "a", 11.0)
    assert archive.latest_analyses("p")["v-a"] == "a"
    assert find(archive, AppearanceQuery((BOB,), video_id="v-a")) == [("a", 1)]


def test_the_latest_analysis_is_of_the_projects_embedder_where_there_is_any(archive: Store) -> None:
    archive.fix_embedder("p", "dlib")
    newer = replace(make_analysis("a2", "v-a", 10.0), embedder="other")
    archive.put_video(make_video("v-d", 3.0))
    only = replace(make_analysis("d", "v-d", 1.0), embedder="other")
    for row in (newer, only):
        archive.put_analysis(row, [make_track(1)])
    assert archive.latest_analyses("p") == {"v-a": "a", "v-b": "b", "v-c": "c", "v-d": "d"}
    assert archive.latest_analysis("p", "v-a").analysis_id == "a"
    assert archive.latest_analysis("p", "v-d") == only
    assert find(archive, AppearanceQuery((ANN,))) == [("a", 0), ("a", 2), ("b", 1), ("c", 0)]
    assert find(archive, AppearanceQuery((ANN, BOB))) == [("a", 0), ("c", 0)]
    name(archive, unnamed=["a", "b", "c"], edit=Edit("embedder", embedder="other"))
    assert archive.latest_analyses("p") == {"v-a": "a2", "v-b": "b", "v-c": "c", "v-d": "d"}
    assert archive.latest_analysis("p", "v-a") == newer


def test_search_stays_within_its_project(archive: Store) -> None:
    archive.create_project("q")
    assert archive.find_appearances("q", AppearanceQuery(), limit=9) == []
    assert archive.list_columns("q", limit=9) == []
    assert archive.columns_state("q")[0] == 0


def stored(store: Store) -> dict[str, list[int]]:
    rows = store.list_columns("p", limit=100)
    return {row.analysis_id: row.columns.track_ids[row.columns.is_embedded].tolist() for row in rows}


def test_columns_say_what_naming_needs_of_tracks(store: Store) -> None:
    store.put_video(make_video("v"))
    tracks = [make_track(5), make_track(2), make_track(3, embedded=0)]
    store.put_analysis(make_analysis("a"), tracks)
    store.put_analysis(make_analysis("b"), [])
    found = store.get_columns("p", ["b", "a", "gone"])
    assert sorted(found) == ["a", "b"]
    assert len(found["b"]) == 0
    by_id = sorted(tracks, key=lambda track: track.track_id)
    wanted = TrackColumns.of(by_id)
    for field in fields(TrackColumns):
        got, put = getattr(found["a"], field.name), getattr(wanted, field.name)
        assert (got.dtype, got.shape, got.tobytes()) == (put.dtype, put.shape, put.tobytes()), field.name
    (first, _) = store.list_columns("p", limit=100)
    assert (first.analysis_id, first.embedder, first.columns.is_embedded.tolist()) == ("a", "dlib", [True, False, True])


def test_new_vectors_are_listed_by_position(store: Store) -> None:
    put_analyses(store, "a", "b", "c")
    rows = store.list_columns("p", limit=100)
    assert [row.analysis_id for row in rows] == ["a", "b", "c"]
    positions = [row.position for row in rows]
    assert positions == sorted(set(positions))
    assert min(positions) > 0
    assert store.columns_state("p") == (3, positions[-1])
    assert store.columns_positions("p") == dict(zip("abc", positions, strict=True))
    assert [row.analysis_id for row in store.list_columns("p", since=positions[0], limit=1)] == ["b"]
    assert store.list_columns("p", since=positions[-1], limit=9) == []


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (lambda s: s.put_analysis(make_analysis("b", "v-b"), [make_track(4)]), {"a": [1], "b": [4]}),
        (lambda s: s.put_analysis(make_analysis("b", "v-b"), []), {"a": [1], "b": []}),
        (lambda s: s.empty_tracks("p", [("b", 1)]), {"a": [1], "b": []}),
        (lambda s: s.delete_video("p", "v-b"), {"a": [1]}),
        (lambda s: s.delete_video("p", "v-a"), {"b": [1]}),
    ],
)
def test_every_change_of_vectors_changes_the_columns_state(
    store: Store, change: Callable[[Store], object], left: dict[str, list[int]]
) -> None:
    put_analyses(store, "a", "b")
    before, known = store.columns_state("p"), store.columns_positions("p")
    change(store)
    assert store.columns_state("p") != before
    assert stored(store) == left
    # A row that a change has written is new; none that is left is older than it was.
    for analysis_id, position in store.columns_positions("p").items():
        assert position >= known[analysis_id]
    # Positions are not used again, not even those of the newest rows.
    store.put_video(make_video("v-d"))
    store.put_analysis(replace(make_analysis("d"), video_id="v-d"), [make_track(1)])
    assert store.columns_positions("p")["d"] > before[1]


def test_emptied_tracks_have_no_vector(store: Store) -> None:
    store.put_video(make_video("v"))
    store.put_analysis(make_analysis("a"), [make_track(i) for i in (1, 2, 3)])
    before = store.columns_state("p")
    assert store.empty_tracks("p", [("a", 2), ("a", 9), ("none", 1)]) == 1
    assert stored(store) == {"a": [1, 3]}
    assert store.columns_state("p") != before

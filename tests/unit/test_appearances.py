from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec_models.appearances import build_appearances, track_interval
from facerec_models.types import Appearance
from tests.builders import make_match, make_track

SHOTS = [(0.0, 10.0), (10.0, 20.0), (20.0, 30.0)]


def spans(appearances: list[Appearance]) -> list[tuple[float, float, tuple[int, ...]]]:
    return [(a.start_s, a.end_s, a.track_ids) for a in appearances]


@pytest.mark.parametrize(
    ("times_s", "shot", "interval"),
    [
        ([4.0, 5.0, 6.0], 0, (3.5, 6.5)),
        ([4.0], 0, (3.5, 4.5)),
        ([0.0, 1.0], 0, (0.0, 1.5)),
        ([9.8], 0, (9.3, 10.0)),
        ([10.2, 19.9], 1, (10.0, 20.0)),
        ([29.9], 2, (29.4, 30.0)),
    ],
)
def test_a_face_is_in_view_half_a_period_longer_within_its_shot(
    times_s: list[float], shot: int, interval: tuple[float, float]
) -> None:
    assert track_interval(make_track(1, times_s, shot=shot), SHOTS, 1.0) == pytest.approx(interval)


def test_tracks_of_one_owner_are_joined_over_a_cut() -> None:
    tracks = [make_track(1, [8.0, 9.6]), make_track(2, [10.3, 12.0], shot=1)]
    matches = [make_match("Bob", rate=0.01), make_match("Bob", rate=0.0001)]
    (appearance,) = build_appearances(tracks, matches, ["Bob", "Bob"], SHOTS, 1.0)
    assert spans([appearance]) == [(7.5, 12.5, (1, 2))]
    assert appearance.match is matches[1]


def test_a_gap_separates_appearances() -> None:
    tracks = [make_track(1, [1.0, 2.0]), make_track(2, [3.1, 4.0]), make_track(3, [5.0])]
    found = build_appearances(tracks, [make_match("Bob")] * 3, ["Bob"] * 3, SHOTS, 1.0)
    assert spans(found) == [(0.5, 2.5, (1,)), (2.6, 5.5, (2, 3))]


def test_a_shot_without_the_person_separates_appearances() -> None:
    tracks = [make_track(1, [9.9]), make_track(2, [20.1], shot=2)]
    found = build_appearances(tracks, [make_match("Bob")] * 2, ["Bob"] * 2, SHOTS, 1.0)
    assert spans(found) == [(9.4, 10.0, (1,)), (20.0, 20.6, (2,))]


def test_people_do_not_share_appearances() -> None:
    tracks = [make_track(1, [1.0, 2.0, 3.0]), make_track(2, [2.0]), make_track(3, [3.0, 4.0])]
    matches = [make_match("Bob"), make_match("Ann"), make_match(decidable=False)]
    found = build_appearances(tracks, matches, ["Bob", "Ann", ("track", 3)], SHOTS, 1.0)
    assert [(a.match.person_id, a.track_ids) for a in found] == [("Bob", (1,)), ("Ann", (2,)), (None, (3,))]


def test_a_short_track_within_a_long_one_does_not_shorten_it() -> None:
    tracks = [make_track(1, [1.0, 8.0]), make_track(2, [3.0]), make_track(3, [8.9])]
    (appearance,) = build_appearances(tracks, [make_match("Bob")] * 3, ["Bob"] * 3, SHOTS, 1.0)
    assert spans([appearance]) == [(0.5, 9.4, (1, 2, 3))]


def test_no_track_has_no_appearance() -> None:
    assert build_appearances([], [], [], SHOTS, 1.0) == []


@given(
    st.lists(st.tuples(st.floats(0, 29.9), st.floats(0, 5), st.sampled_from("abc")), max_size=12),
    st.floats(0.04, 2),
)
def test_appearances_hold_every_track_once_and_never_touch(
    rows: list[tuple[float, float, str]], period_s: float
) -> None:
    tracks = []
    for i, (start_s, length_s, _) in enumerate(rows):
        shot = int(start_s // 10)
        tracks.append(make_track(i + 1, [start_s, min(start_s + length_s, SHOTS[shot][1])], shot=shot))
    owners = [owner for *_, owner in rows]
    found = build_appearances(tracks, [make_match(owner) for owner in owners], owners, SHOTS, period_s)
    assert sorted(i for a in found for i in a.track_ids) == [track.track_id for track in tracks]
    assert [a.start_s for a in found] == sorted(a.start_s for a in found)
    for owner in "abc":
        own = [a for a in found if a.match.person_id == owner]
        assert all(earlier.end_s < later.start_s for earlier, later in pairwise(own))
    for a in found:
        assert 0 <= a.start_s <= a.end_s <= 30

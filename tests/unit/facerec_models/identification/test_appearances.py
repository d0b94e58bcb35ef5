from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec_models.analysis.tracking import in_view
from facerec_models.identification.appearances import build_appearances
from facerec_models.types import Appearance
from tests.builders import make_match
from tests.builders import make_track as make_any_track

make_track = partial(make_any_track, reach_s=0.0)
SHOTS = [(0.0, 10.0), (10.0, 20.0), (20.0, 30.0)]


def spans(appearances: list[Appearance]) -> list[tuple[float, float, tuple[int, ...]]]:
    return [(a.start_s, pytest.approx(a.end_s), a.track_ids) for a in appearances]


def seen(
    times_s: Sequence[float], shot: int, sampled_s: Sequence[float], *, reach_s: float = 0.0
) -> tuple[float, float]:
    """Interval of a face found at these times, when frames of 40 ms were sampled at those."""
    sampled = [(time_s, time_s + 0.04) for time_s in sampled_s]
    (found,) = in_view([make_track(1, times_s, shot=shot)], sampled, SHOTS, reach_s=reach_s, reach_to_cut_s=0.5)
    return found


def test_a_face_is_in_view_from_its_first_frame_to_the_end_of_its_last() -> None:
    assert seen([4.0, 4.2, 4.4], 0, [3.8, 4.0, 4.2, 4.4, 4.6]) == pytest.approx((4.0, 4.44))


def test_a_face_is_in_view_up_to_the_cut_where_no_frame_denies_it() -> None:
    assert seen([10.1, 10.3], 1, [9.9, 10.1, 10.3, 10.5]) == pytest.approx((10.0, 10.34))
    assert seen([19.6, 19.8], 1, [19.4, 19.6, 19.8, 20.1]) == pytest.approx((19.6, 20.0))
    assert seen([15.0], 1, [9.0, 15.0, 21.0]) == pytest.approx((14.5, 15.5))


def test_a_face_is_not_in_view_on_a_frame_between_it_and_the_cut_that_does_not_show_it() -> None:
    assert seen([10.3], 1, [9.9, 10.1, 10.3, 10.5]) == pytest.approx((10.3, 10.34))


def test_between_coarse_samples_a_face_is_in_view_for_half_a_period_more() -> None:
    assert seen([4.0, 5.0], 0, [3.0, 4.0, 5.0, 6.0], reach_s=0.5) == pytest.approx((3.5, 5.5))


def test_half_a_period_never_reaches_a_frame_that_does_not_show_the_face() -> None:
    assert seen([4.0], 0, [3.9, 4.0, 4.1], reach_s=0.5) == pytest.approx((3.94, 4.1))


def test_the_last_frame_of_a_video_lasts_to_its_end() -> None:
    assert seen([29.96], 2, [29.8, 29.96]) == pytest.approx((29.96, 30.0))


def test_tracks_of_one_owner_are_joined_over_a_cut() -> None:
    tracks = [make_track(1, [8.0, 9.96]), make_track(2, [10.0, 12.0], shot=1)]
    matches = [make_match("Bob", rate=0.01), make_match("Bob", rate=0.0001)]
    (appearance,) = build_appearances(tracks, matches, ["Bob", "Bob"], 1.0)
    assert spans([appearance]) == [(8.0, 12.04, (1, 2))]
    assert appearance.match is matches[1]


def test_the_match_of_an_appearance_is_its_confirmed_tracks_or_else_that_of_the_highest_score() -> None:
    tracks = [make_track(i, [8.0 + i / 5]) for i in range(3)]
    scores = [replace(make_match("Bob"), score=score) for score in (0.92, 0.96, 0.94)]
    (appearance,) = build_appearances(tracks, scores, ["Bob"] * 3, 1.0)
    assert appearance.match is scores[1]
    confirmed = [scores[0], scores[1], replace(scores[2], is_confirmed=True)]
    (appearance,) = build_appearances(tracks, confirmed, ["Bob"] * 3, 1.0)
    assert appearance.match is confirmed[2]


def test_a_gap_of_more_than_half_a_period_separates_appearances() -> None:
    tracks = [make_track(1, [1.0, 2.0]), make_track(2, [2.6, 4.0]), make_track(3, [4.5])]
    found = build_appearances(tracks, [make_match("Bob")] * 3, ["Bob"] * 3, 1.0)
    assert spans(found) == [(1.0, 2.04, (1,)), (2.6, 4.54, (2, 3))]


def test_any_gap_at_a_cut_separates_appearances() -> None:
    tracks = [make_track(1, [9.5]), make_track(2, [10.0], shot=1)]
    found = build_appearances(tracks, [make_match("Bob")] * 2, ["Bob"] * 2, 1.0)
    assert spans(found) == [(9.5, 9.54, (1,)), (10.0, 10.04, (2,))]


def test_people_do_not_share_appearances() -> None:
    tracks = [make_track(1, [1.0, 2.0, 3.0]), make_track(2, [2.0]), make_track(3, [3.0, 4.0])]
    matches = [make_match("Bob"), make_match("Ann"), make_match(decidable=False)]
    found = build_appearances(tracks, matches, ["Bob", "Ann", ("track", 3)], 1.0)
    assert [(a.match.person_id, a.track_ids) for a in found] == [("Bob", (1,)), ("Ann", (2,)), (None, (3,))]


def test_a_short_track_within_a_long_one_does_not_shorten_it() -> None:
    tracks = [make_track(1, [1.0, 8.0]), make_track(2, [3.0]), make_track(3, [8.5])]
    (appearance,) = build_appearances(tracks, [make_match("Bob")] * 3, ["Bob"] * 3, 1.0)
    assert spans([appearance]) == [(1.0, 8.54, (1, 2, 3))]


def test_no_track_has_no_appearance() -> None:
    assert build_appearances([], [], [], 1.0) == []


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
    found = build_appearances(tracks, [make_match(owner) for owner in owners], owners, period_s)
    assert sorted(i for a in found for i in a.track_ids) == [track.track_id for track in tracks]
    assert [a.start_s for a in found] == sorted(a.start_s for a in found)
    for owner in "abc":
        own = [a for a in found if a.match.person_id == owner]
        assert all(earlier.end_s < later.start_s for earlier, later in pairwise(own))
    for a in found:
        assert 0 <= a.start_s <= a.end_s <= 30.04

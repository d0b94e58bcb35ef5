"""Tracking: look-alike faces on paths that cross, stop, jump and hide, at the similarities of the packaged network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec_models.analysis.frame_faces import FrameFaces
from facerec_models.analysis.tracking import Tracker
from facerec_models.config import TrackingConfig
from facerec_models.types import Track
from tests.builders import DIFFERENT, SAME, Seen, cohort, face_of, face_set, near, people_of, person

WIDTH, HEIGHT = 640, 360
Scene = Sequence[Sequence[Seen]]


def make_tracker(config: TrackingConfig | None = None) -> Tracker:
    return Tracker(config or TrackingConfig(), cohort().pair, width=WIDTH, height=HEIGHT)


def follow(
    scene: Scene, period_s: float = 1.0, *, shots: Sequence[int] | None = None, config: TrackingConfig | None = None
) -> list[Track]:
    """Track a scene, one entry per sampled frame."""
    tracker = make_tracker(config)
    tracks = []
    for i, seen in enumerate(scene):
        frame = FrameFaces.of(i * period_s, i * period_s + 0.04, round(i * period_s * 25), face_set(seen, i))
        tracks += tracker.update(frame, shots[i] if shots else 0)
    return sorted([*tracks, *tracker.finish()], key=lambda track: track.track_id)


def summary(tracks: Sequence[Track]) -> list[tuple[int, set[int], int]]:
    return [(track.track_id, people_of(track), len(track)) for track in tracks]


def assert_equal(a: Sequence[Track], b: Sequence[Track]) -> None:
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        assert (one.track_id, one.shot) == (other.track_id, other.shot)
        np.testing.assert_array_equal(one.times_s, other.times_s)
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.embeddings, other.embeddings)


def test_the_synthetic_faces_are_as_alike_as_real_ones() -> None:
    same = [face_of(who, 0) @ face_of(who, 1) for who in range(30)]
    different = [face_of(who) @ face_of(who + 1) for who in range(30)]
    assert np.mean(same) == pytest.approx(SAME, abs=0.01)
    assert np.mean(different) == pytest.approx(DIFFERENT, abs=0.02)
    real = cohort().stills @ cohort().stills.T
    assert np.mean(different) == pytest.approx(real[np.triu_indices(len(real), 1)].mean(), abs=0.02)


# Motion


def test_a_face_that_stays_is_one_track() -> None:
    assert summary(follow([[Seen(1, 300)]] * 20, 0.2)) == [(1, {1}, 20)]


@pytest.mark.parametrize("speed_px", [20, 60, 100])
def test_straight_motion_at_one_sample_a_second_needs_no_overlap(speed_px: float) -> None:
    scene = [[Seen(1, 40 + speed_px * i, side=50)] for i in range(6)]
    assert summary(follow(scene)) == [(1, {1}, 6)]


def test_many_walk_side_by_side_and_keep_their_tracks() -> None:
    scene = [[Seen(who, 60 + 90 * who + 45 * i, side=50) for who in range(1, 6)] for i in range(4)]
    assert summary(follow(scene)) == [(who, {who}, 4) for who in range(1, 6)]


def test_a_face_that_comes_nearer_is_one_track() -> None:
    assert summary(follow([[Seen(1, 300, side=30 * 1.25**i)] for i in range(10)])) == [(1, {1}, 10)]


def test_a_jerk_of_the_camera_breaks_no_track() -> None:
    before = [[Seen(1, 200), Seen(2, 400)]] * 5
    after = [[Seen(1, 290, 150), Seen(2, 490, 150)]] * 5
    assert summary(follow([*before, *after], 0.2)) == [(1, {1}, 10), (2, {2}, 10)]


@pytest.mark.parametrize("period_s", [0.2, 1.0])
@pytest.mark.parametrize("gap_px", [0, 25])
def test_two_people_cross_and_keep_their_tracks(period_s: float, gap_px: float) -> None:
    frames = round(8 / period_s)
    path = np.linspace(100, 540, frames)
    scene = [[Seen(1, x, 180), Seen(2, 640 - x, 180 + gap_px)] for x in path.tolist()]
    assert summary(follow(scene, period_s)) == [(1, {1}, frames), (2, {2}, frames)]


def test_two_people_cross_while_one_hides_the_other() -> None:
    path = np.linspace(100, 540, 40).tolist()
    scene = [[Seen(1, x), *([Seen(2, 640 - x)] if abs(2 * x - 640) > 60 else [])] for x in path]
    assert [(track_id, people) for track_id, people, _ in summary(follow(scene, 0.2))] == [(1, {1}), (2, {2})]


# Gaps


def test_a_gap_shorter_than_the_limit_is_bridged() -> None:
    scene = [[Seen(1, 300)]] * 5 + [[]] * 3 + [[Seen(1, 320)]] * 5
    (track,) = follow(scene, 0.2, config=TrackingConfig(max_gap_s=1.0))
    assert len(track) == 10
    assert np.diff(track.times_s).max() == pytest.approx(0.8)


def test_a_gap_longer_than_the_limit_ends_the_track() -> None:
    scene = [[Seen(1, 300)]] * 5 + [[]] * 6 + [[Seen(1, 300)]] * 5
    assert summary(follow(scene, 0.2, config=TrackingConfig(max_gap_s=1.0))) == [(1, {1}, 5), (2, {1}, 5)]


@pytest.mark.parametrize("period_s", [1.0, 5.0, 60.0])
def test_a_track_survives_two_missed_samples_however_far_apart_they_are(period_s: float) -> None:
    scene = [[Seen(1, 300)]] * 4 + [[]] * 2 + [[Seen(1, 300)]] * 4 + [[]] * 3 + [[Seen(1, 300)]] * 2
    assert summary(follow(scene, period_s)) == [(1, {1}, 8), (2, {1}, 2)]


def test_a_face_that_is_hidden_by_another_comes_back_as_itself() -> None:
    both = [Seen(1, 250), Seen(2, 400)]
    scene = [both] * 5 + [[Seen(2, 400 - 30 * i)] for i in range(1, 5)] + [[Seen(1, 250), Seen(2, 200)]] * 5
    assert summary(follow(scene, 0.2)) == [(1, {1}, 10), (2, {2}, 14)]


def test_a_video_without_faces_has_no_tracks() -> None:
    assert follow([[]] * 10) == []


def test_a_track_is_returned_as_soon_as_it_has_ended() -> None:
    tracker = make_tracker(TrackingConfig(max_gap_s=1.0))
    assert tracker.update(FrameFaces.of(0.0, 0.04, 0, face_set([Seen(1, 300)])), 0) == []
    assert tracker.update(FrameFaces.of(1.0, 1.04, 25, face_set([])), 0) == []
    assert tracker.update(FrameFaces.of(1.2, 1.24, 30, face_set([])), 0) == []
    assert tracker.update(FrameFaces.of(1.4, 1.44, 35, face_set([])), 0) == []
    (ended,) = tracker.update(FrameFaces.of(1.6, 1.64, 40, face_set([])), 0)
    assert summary([ended]) == [(1, {1}, 1)]
    assert tracker.finish() == []


# Cuts


def test_a_cut_ends_all_tracks() -> None:
    scene = [[Seen(1, 200), Seen(2, 400)]] * 10
    tracks = follow(scene, 0.2, shots=[0] * 5 + [1] * 5)
    assert [(track.track_id, track.shot, len(track)) for track in tracks] == [
        (1, 0, 5),
        (2, 0, 5),
        (3, 1, 5),
        (4, 1, 5),
    ]


def test_a_stranger_in_the_same_place_after_a_cut_is_another_track() -> None:
    tracks = follow([[Seen(1, 300)]] * 5 + [[Seen(2, 300)]] * 5, 0.2, shots=[0] * 5 + [1] * 5)
    assert summary(tracks) == [(1, {1}, 5), (2, {2}, 5)]


def test_a_stranger_in_the_same_place_a_second_later_is_another_track_without_a_cut() -> None:
    assert summary(follow([[Seen(1, 300)]] * 5 + [[Seen(2, 300)]] * 5)) == [(1, {1}, 5), (2, {2}, 5)]


def test_a_perfect_place_does_not_outvote_a_different_face() -> None:
    other = near(person(1), 0.75)
    scene = [[Seen(1, 300, quality=1.0)]] * 5 + [[Seen(2, 300, quality=1.0, embedding=other)]] * 5
    assert summary(follow(scene, 0.2)) == [(1, {1}, 5), (2, {2}, 5)]


def test_a_shot_without_faces_lies_between_two_tracks_of_one_person() -> None:
    scene = [[Seen(1, 300)], [], [Seen(1, 300)]]
    assert [track.shot for track in follow(scene, 0.2, shots=[3, 4, 5])] == [3, 5]


# Looks


def test_a_similar_face_at_the_other_side_does_not_take_the_track_of_a_face_in_its_place() -> None:
    double = near(person(1), 0.97)
    scene = [[Seen(1, 100)]] * 5 + [
        [Seen(1, 100, embedding=near(person(1), 0.93, i)), Seen(2, 560, embedding=double)] for i in range(5)
    ]
    assert summary(follow(scene, 0.2)) == [(1, {1}, 10), (2, {2}, 5)]


def test_a_blurred_face_does_not_break_a_track() -> None:
    turned = [Seen(1, 300 + i, quality=0.05, embedding=face_of(50, i)) for i in range(3)]
    scene = [[Seen(1, 300)]] * 5 + [[seen] for seen in turned] + [[Seen(1, 303)]] * 5
    assert summary(follow(scene, 0.2)) == [(1, {1}, 13)]


def test_embeddings_separate_two_people_who_swap_places_between_samples() -> None:
    scene = [[Seen(1, 260), Seen(2, 380)]] * 3 + [[Seen(2, 260), Seen(1, 380)]] * 3
    assert summary(follow(scene)) == [(1, {1}, 6), (2, {2}, 6)]


# Order and ownership


def test_ids_start_at_1_from_left_to_right() -> None:
    tracks = follow([[Seen(5, 500), Seen(3, 100), Seen(4, 300)]])
    assert summary(tracks) == [(1, {3}, 1), (2, {4}, 1), (3, {5}, 1)]
    assert summary(follow([[Seen(5, 500)]])) == [(1, {5}, 1)]


def test_the_order_of_detections_changes_no_track() -> None:
    def scene(order: Sequence[int]) -> Scene:
        seen = [[Seen(1, 100 + 40 * i), Seen(2, 540 - 40 * i), Seen(3, 320, 100 + 10 * i)] for i in range(8)]
        return [[frame[k] for k in order] for frame in seen]

    expected = follow(scene((0, 1, 2)), 0.5)
    assert summary(expected) == [(1, {1}, 8), (2, {3}, 8), (3, {2}, 8)]
    for order in permutations(range(3)):
        assert_equal(follow(scene(order), 0.5), expected)


def test_two_interleaved_videos_do_not_touch_each_other() -> None:
    first = [[Seen(1, 100 + 30 * i), Seen(2, 500)] for i in range(10)]
    second = [[Seen(3, 130 + 30 * i)] if i != 4 else [] for i in range(10)]
    trackers = make_tracker(), make_tracker()
    ended: tuple[list[Track], list[Track]] = [], []
    for i in range(10):
        for tracker, tracks, scene in zip(trackers, ended, (first, second), strict=True):
            tracks += tracker.update(FrameFaces.of(0.2 * i, 0.2 * i + 0.04, 5 * i, face_set(scene[i], i)), 0)
    for tracker, tracks, scene in zip(trackers, ended, (first, second), strict=True):
        tracks += tracker.finish()
        assert_equal(sorted(tracks, key=lambda track: track.track_id), follow(scene, 0.2))


faces_of_a_frame = st.lists(
    st.builds(
        Seen,
        who=st.integers(1, 6),
        x=st.floats(20, 620),
        y=st.floats(20, 340),
        side=st.floats(2, 200),
        quality=st.floats(0, 1),
    ),
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(
    scene=st.lists(faces_of_a_frame, max_size=8),
    steps=st.lists(st.tuples(st.floats(0.01, 4), st.booleans()), min_size=8, max_size=8),
)
def test_every_face_is_in_one_track_of_its_shot_whatever_happens(
    scene: Scene, steps: Sequence[tuple[float, bool]]
) -> None:
    tracker = make_tracker()
    time_s, shot = 0.0, 0
    given_faces, tracks = [], []
    shot_at: dict[float, int] = {}
    sample_at: dict[float, int] = {}
    for i, (seen, (step_s, is_cut)) in enumerate(zip(scene, steps, strict=False)):
        time_s, shot = time_s + step_s, shot + is_cut
        shot_at[time_s] = shot
        sample_at[time_s] = i
        faces = face_set(seen, i)
        given_faces += [(time_s, *box) for box in faces.detections.boxes.tolist()]
        tracks += tracker.update(FrameFaces.of(time_s, time_s + 0.04, i, faces), shot)
    tracks += tracker.finish()
    in_tracks = [
        (t, *box) for track in tracks for t, box in zip(track.times_s.tolist(), track.boxes.tolist(), strict=True)
    ]
    assert sorted(in_tracks) == sorted(given_faces)
    assert sorted(track.track_id for track in tracks) == list(range(1, len(tracks) + 1))
    for track in tracks:
        assert (np.diff(track.times_s) > 0).all()
        samples = [sample_at[t] for t in track.times_s.tolist()]
        for gap_s, missed in zip(np.diff(track.times_s), np.diff(samples) - 1, strict=True):
            assert gap_s <= TrackingConfig().max_gap_s or missed < 3
        assert {shot_at[t] for t in track.times_s.tolist()} == {track.shot}


# What is kept


def test_kept_samples_are_the_best_and_spread_over_time() -> None:
    config = TrackingConfig(max_kept=8)
    # The best faces are all at the end.
    scene = [[Seen(1, 300, quality=0.5 + 0.4 * i / 200)] for i in range(200)]
    (track,) = follow(scene, 0.2, config=config)
    assert len(track) == 200
    assert len(track.embedded) == len(track.embeddings) == len(track.crops) == 8
    quality = track.quality[track.embedded]
    assert (np.diff(quality) <= 0).all()
    assert np.ptp(track.times_s[track.embedded]) > 0.3 * np.ptp(track.times_s)
    for sample, embedding in zip(track.embedded.tolist(), track.embeddings, strict=True):
        np.testing.assert_array_equal(embedding, face_of(1, sample))


def test_the_best_sample_is_always_kept() -> None:
    for best in (0, 37, 99):
        scene = [[Seen(1, 300, quality=0.95 if i == best else 0.5)] for i in range(100)]
        (track,) = follow(scene, 0.2, config=TrackingConfig(max_kept=4))
        assert track.embedded[0] == best


def test_all_samples_of_a_short_track_are_kept() -> None:
    (track,) = follow([[Seen(1, 300, quality=q)] for q in (0.3, 0.9, 0.6)], 0.2)
    assert track.embedded.tolist() == [1, 2, 0]


def test_crops_are_pictures_of_the_aligned_faces() -> None:
    (track,) = follow([[Seen(1, 300)]] * 2, 0.2)
    pictures = [cv2.imdecode(np.frombuffer(crop, np.uint8), cv2.IMREAD_COLOR) for crop in track.crops]
    assert [picture.shape for picture in pictures if picture is not None] == [(8, 8, 3)] * 2


def test_crops_keep_their_colours() -> None:
    faces = face_set([Seen(1, 300)])
    faces.crops[:] = (220, 40, 10)
    tracker = make_tracker()
    tracker.update(FrameFaces.of(0.0, 0.04, 0, faces), 0)
    crop = cv2.imdecode(np.frombuffer(tracker.finish()[0].crops[0], np.uint8), cv2.IMREAD_COLOR)
    assert crop is not None
    np.testing.assert_allclose(crop[4, 4, ::-1], (220, 40, 10), atol=6)

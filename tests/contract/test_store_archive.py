"""What every store promises of videos, analyses, and tracks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facerec_models.errors import VideoNotFoundError
from facerec_models.types import Track
from serving.store.contract import Store
from tests.contract.store_cases import (
    assert_same_track,
    make_analysis,
    make_appearance,
    make_track,
    make_video,
    name,
    names_of,
    put_analyses,
)

# Videos and analyses


def test_videos_come_back_as_they_were_oldest_first(store: Store) -> None:
    videos = [make_video("b", 1.0), make_video("a", 2.0)]
    for video in reversed(videos):
        store.put_video(video)
    assert store.list_videos("p") == videos
    assert store.get_video("p", "a") == videos[1]
    store.put_video(make_video("c", 2.0))
    assert [video.video_id for video in store.list_videos("p", limit=2)] == ["b", "a"]
    assert [video.video_id for video in store.list_videos("p", after=videos[0], limit=1)] == ["a"]
    assert [video.video_id for video in store.list_videos("p", after=videos[1])] == ["c"]
    assert store.list_videos("p", limit=0) == []


def test_videos_are_found_by_name_and_by_content(store: Store) -> None:
    store.create_project("q")
    videos = [
        replace(make_video("b", 2.0), name="ü.mp4"),
        replace(make_video("a", 1.0), name="ü.mp4", sha256="00" * 32),
    ]
    for video in (*videos, replace(make_video("c"), name="other.mp4"), make_video("d", project="q")):
        store.put_video(video)
    assert store.find_videos("p", name="ü.mp4") == [videos[1], videos[0]]
    assert store.find_videos("p", sha256="00" * 32) == [videos[1]]
    assert store.find_videos("p", [*(video.video_id for video in videos), "gone"]) == [videos[1], videos[0]]
    assert store.find_videos("p", [videos[0].video_id], name="ü.mp4") == [videos[0]]
    assert store.find_videos("p", uri=videos[0].uri) == [videos[0]]
    assert store.find_videos("p", []) == []
    assert store.find_videos("p", name="other.mp4", sha256="00" * 32) == store.find_videos("p", name="") == []


def test_analyses_of_a_video_are_listed_oldest_first(store: Store) -> None:
    for video_id in ("v", "w"):
        store.put_video(make_video(video_id))
    rows = [make_analysis("b", "v", 2.0), make_analysis("c", "w", 0.0), make_analysis("a", "v", 1.0)]
    for row in rows:
        store.put_analysis(row, [])
    assert store.list_analyses("p", video_id="v") == [rows[2], rows[0]]
    assert store.list_analyses("p", video_id="none") == []


def test_putting_a_video_again_keeps_its_analyses(store: Store) -> None:
    store.put_video(make_video("v"))
    store.put_analysis(make_analysis("a"), [make_track(1)])
    store.put_video(replace(make_video("v"), name="renamed.mp4"))
    assert [video.name for video in store.list_videos("p")] == ["renamed.mp4"]
    assert len(store.get_tracks("p", ["a"])["a"]) == 1


def test_the_same_video_is_in_two_projects(store: Store) -> None:
    store.create_project("q")
    for project in ("p", "q"):
        store.put_video(make_video("v", project=project))
        store.put_analysis(make_analysis("a", project=project), [make_track(1)])
    store.delete_video("p", "v")
    assert store.list_videos("p") == store.list_analyses("p") == []
    assert store.get_analysis("q", "a") == make_analysis("a", project="q")
    assert len(store.get_tracks("q", ["a"])["a"]) == 1


def test_deleting_a_video_deletes_its_tracks(store: Store) -> None:
    for video_id in ("v", "w"):
        store.put_video(make_video(video_id))
        store.put_analysis(make_analysis(f"a-{video_id}", video_id), [make_track(1)])
    store.delete_video("p", "v")
    with pytest.raises(VideoNotFoundError):
        store.get_tracks("p", ["a-v"])
    assert [row.analysis_id for row in store.list_analyses("p")] == ["a-w"]
    store.put_video(make_video("v"))
    store.put_analysis(make_analysis("a-v"), [])
    assert store.get_tracks("p", ["a-v"]) == {"a-v": []}


def test_a_deleted_analysis_is_gone_with_its_tracks_and_names(store: Store) -> None:
    put_analyses(store, "a", "b")
    name(store, make_appearance("a"), make_appearance("b"))
    version = store.get_project("p").version
    store.delete_analysis("p", "a")
    assert [row.analysis_id for row in store.list_analyses("p")] == ["b"]
    assert {*names_of(store)} == {"b"}
    assert store.get_project("p").version > version
    with pytest.raises(VideoNotFoundError):
        store.get_tracks("p", ["a"])
    store.delete_analysis("p", "a")
    assert store.latest_analyses("p") == {"v-b": "b"}


def test_analyses_come_back_oldest_first_and_the_latest_is_found(store: Store) -> None:
    store.put_video(make_video("v"))
    store.put_video(make_video("w"))
    with pytest.raises(VideoNotFoundError, match="not been analysed"):
        store.latest_analysis("p", "v")
    rows = [make_analysis("c", created_at=1.0), make_analysis("b", "w", 2.0), make_analysis("a", created_at=1.5)]
    for row in rows:
        store.put_analysis(row, [])
    assert store.list_analyses("p") == [rows[0], rows[2], rows[1]]
    assert store.latest_analysis("p", "v") == rows[2]
    store.touch_analysis("p", rows[0].analysis_id, rows[2].created_at + 1)
    assert store.latest_analysis("p", "v").analysis_id == rows[0].analysis_id
    with pytest.raises(VideoNotFoundError):
        store.touch_analysis("p", "absent", 0.0)
    assert store.get_analysis("p", "b") == rows[1]
    assert [row.analysis_id for row in store.list_analyses("p", ["b", "a", "gone"])] == ["a", "b"]


def test_tracks_come_back_exactly_by_id_and_without_crops(store: Store) -> None:
    store.put_video(make_video("v"))
    some = [make_track(7), make_track(2, samples=1, embedded=0), make_track(3, embedded=1)]
    crops = (b"jpeg",) * 8
    others = [make_track(2, seed=1, dimension=512)]
    store.put_analysis(make_analysis("a"), [replace(some[0], crops=crops), *some[1:]])
    store.put_analysis(make_analysis("b"), others)
    store.put_analysis(make_analysis("c"), [])
    got = store.get_tracks("p", ["c", "b", "a"])
    assert list(got) == ["c", "b", "a"]
    assert got["c"] == []
    assert_same_track(got["b"][0], others[0])
    assert [track.track_id for track in got["a"]] == [2, 3, 7]
    for track, put in zip(got["a"], [some[1], some[2], some[0]], strict=True):
        assert_same_track(track, put)
    assert store.get_tracks("p", []) == {}
    picked = store.pick_tracks("p", {"b": [2], "a": [7, 99, 2, 7], "c": [1]})
    assert {name: [track.track_id for track in tracks] for name, tracks in picked.items()} == {
        "b": [2],
        "a": [2, 7],
        "c": [],
    }
    assert_same_track(picked["a"][1], got["a"][2])
    assert store.pick_tracks("p", {"a": []}) == {"a": []}
    assert store.pick_tracks("p", {}) == {}


@st.composite
def tracks(draw: st.DrawFn, dimension: int) -> Track:
    """Any track: every bit pattern, infinities and NaN included."""
    samples = draw(st.integers(1, 6))
    embedded = draw(st.integers(0, samples))
    floats = st.floats(width=32)

    def values(*shape: int) -> np.ndarray:
        return draw(arrays(np.float32, shape, elements=floats))

    return Track(
        track_id=draw(st.integers(1, 2**31)),
        shot=draw(st.integers(0, 10**6)),
        times_s=draw(arrays(np.float64, samples, elements=st.floats())),
        frame_indexes=draw(arrays(np.int64, samples)),
        boxes=values(samples, 4),
        scores=values(samples),
        landmarks=values(samples, 5, 2),
        quality=values(samples),
        embedded=draw(arrays(np.int64, embedded, elements=st.integers(0, samples - 1))),
        embeddings=values(embedded, dimension),
        start_s=draw(st.floats()),
        end_s=draw(st.floats()),
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(put=st.integers(1, 5).flatmap(lambda d: st.lists(tracks(d), max_size=3, unique_by=lambda track: track.track_id)))
def test_any_tracks_replace_those_before(store: Store, put: list[Track]) -> None:
    store.put_video(make_video("v"))
    store.put_analysis(make_analysis("a"), put)
    got = store.get_tracks("p", ["a"])["a"]
    for track, wanted in zip(got, sorted(put, key=lambda track: track.track_id), strict=True):
        assert_same_track(track, wanted)


def test_an_analysis_that_fails_half_way_leaves_the_one_before(store: Store) -> None:
    store.put_video(make_video("v"))
    store.put_analysis(make_analysis("a"), [make_track(1), make_track(2)])
    changed = replace(make_analysis("a"), key="changed")
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        store.put_analysis(changed, [make_track(1), make_track(1)])
    assert store.get_analysis("p", "a") == make_analysis("a")
    assert len(store.get_tracks("p", ["a"])["a"]) == 2


def test_an_analysis_put_again_is_not_named(store: Store) -> None:
    put_analyses(store, "a")
    name(store, make_appearance("a"))
    put_analyses(store, "a")
    assert names_of(store) == {}
    assert store.list_appearances("p", ["a"]) == []

"""What every store promises of videos, analyses, tracks and revisions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facerec_models.errors import (
    VideoNotFoundError,
)
from facerec_models.types import Track
from serving.store import Store
from serving.store.rows import (
    Revision,
)
from tests.contract.store_cases import (
    assert_same_track,
    make_analysis,
    make_model,
    make_track,
    make_video,
    named_by,
    put_analyses,
    put_revisions,
)

# Videos and analyses


def test_videos_come_back_as_they_were_oldest_first(store: Store) -> None:
    videos = [make_video("b", 1.0), make_video("a", 2.0)]
    for video in reversed(videos):
        store.put_video(video)
    assert store.list_videos("p") == videos
    assert store.get_video("p", "a") == videos[1]


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


def test_analyses_come_back_oldest_first_and_the_newest_is_known(store: Store) -> None:
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


def test_tracks_come_back_exactly_by_id_and_without_crops(store: Store) -> None:
    store.put_video(make_video("v"))
    some = [make_track(7), make_track(2, samples=1, embedded=0), make_track(3, embedded=1, dimension=512)]
    crops = (b"jpeg",) * 8
    others = [make_track(2, seed=1)]
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


@st.composite
def tracks(draw: st.DrawFn) -> Track:
    """Any track: every bit pattern, infinities and NaN included."""
    samples, dimension = draw(st.integers(1, 6)), draw(st.integers(1, 5))
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
        embedded=draw(arrays(np.int64, embedded)),
        embeddings=values(embedded, dimension),
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(put=st.lists(tracks(), max_size=3, unique_by=lambda track: track.track_id))
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


# Revisions


def test_revisions_come_back_as_they_were_oldest_first(store: Store) -> None:
    store.add_model(make_model("m"))
    rows = [Revision("b", "p", "m", 0.005, 1.0, "named Zoë"), Revision("a", "p", "m", 0.01, 2.0)]
    for row in reversed(rows):
        store.put_revision(row)
    store.put_revision(replace(rows[0], note="changed"))
    assert store.list_revisions("p") == rows
    assert store.get_revision("p", "b") == rows[0]


def test_undo_gives_analyses_back_to_whoever_named_them(store: Store) -> None:
    put_analyses(store, "c", "b", "a", "d")
    put_revisions(store, "r1", "r2", "r3")
    store.assign_revision("p", "r1", ["a", "b"])
    store.assign_revision("p", "r2", ["b", "c"])
    store.assign_revision("p", "r3", ["a", "b", "c", "d"])
    before = named_by(store)
    assert before == {"a": "r3", "b": "r3", "c": "r3", "d": "r3"}
    assert store.undo_revision("p", "r3") == ["c", "b", "a"]
    assert named_by(store) == {"a": "r1", "b": "r2", "c": "r2", "d": "r3"}
    assert store.undo_revision("p", "r3") == []
    assert store.undo_revision("p", "r2") == ["b"]
    assert store.undo_revision("p", "r1") == []
    assert named_by(store) == {"a": "r1", "b": "r1", "c": "r2", "d": "r3"}


def test_undo_leaves_analyses_that_another_revision_names_by_now(store: Store) -> None:
    put_analyses(store, "a", "b")
    put_revisions(store, "r1", "r2", "r3")
    for revision, analysis_ids in (("r1", ["a", "b"]), ("r2", ["a", "b"]), ("r3", ["a"])):
        store.assign_revision("p", revision, analysis_ids)
    assert store.undo_revision("p", "r2") == ["b"]
    assert named_by(store) == {"a": "r3", "b": "r1"}


def test_a_revision_that_was_assigned_twice_is_undone_once(store: Store) -> None:
    put_analyses(store, "a")
    put_revisions(store, "r1", "r2")
    for revision in ("r1", "r2", "r2", "r1", "r1"):
        store.assign_revision("p", revision, ["a"])
    assert store.undo_revision("p", "r1") == ["a"]
    assert named_by(store) == {"a": "r2"}
    assert store.undo_revision("p", "r2") == ["a"]
    assert store.undo_revision("p", "r1") == []
    assert named_by(store) == {"a": "r1"}


def test_an_analysis_put_again_is_not_named_and_has_no_past(store: Store) -> None:
    put_analyses(store, "a")
    put_revisions(store, "r1", "r2")
    store.assign_revision("p", "r1", ["a"])
    store.assign_revision("p", "r2", ["a"])
    put_analyses(store, "a")
    assert named_by(store) == {"a": None}
    store.assign_revision("p", "r2", ["a"])
    assert store.undo_revision("p", "r2") == []

"""The index in memory says what a comparison with every stored track says, whatever happens to the store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from facerec_models.types import FloatArray
from serving.archive.search import track_index
from serving.archive.search.track_index import TrackHit, TrackIndex, TrackIndexes
from serving.store.contract import Store
from tests.contract.store_cases import make_analysis, make_track, make_video


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(track_index, "_BLOCK", 7)
    monkeypatch.setattr(track_index, "_READ", 2)


@pytest.fixture
def store(store: Store) -> Store:
    store.put_video(make_video("v"))
    return store


def put(store: Store, analysis_id: str, count: int, seed: int = 0) -> None:
    store.put_analysis(make_analysis(analysis_id), [make_track(i, seed=seed) for i in range(1, count + 1)])


def face(seed: int = 5) -> FloatArray:
    vector = np.random.default_rng(seed).standard_normal(128).astype(np.float32)
    return vector / np.linalg.norm(vector)


def by_hand(store: Store, wanted: FloatArray, analyses: set[str], limit: int) -> list[tuple[str, int]]:
    found = [
        (-float(vector.astype(np.float64) @ wanted), row.analysis_id, track_id)
        for row in store.list_columns("p", limit=1000)
        for track_id, vector in zip(row.columns.track_ids.tolist(), row.columns.vectors, strict=True)
        if vector.any() and row.analysis_id in analyses
    ]
    return [(analysis_id, track_id) for _, analysis_id, track_id in sorted(found)[:limit]]


def keys(hits: list[TrackHit]) -> list[tuple[str, int]]:
    return [(hit.analysis_id, hit.track_id) for hit in hits]


def check(store: Store, index: TrackIndex) -> None:
    index.refresh()
    everything = set(store.columns_positions("p"))
    assert len(index) == sum(int(row.columns.is_embedded.sum()) for row in store.list_columns("p", limit=1000))
    for limit in (1, 5, 100):
        assert keys(index.search(face(), everything, limit)) == by_hand(store, face(), everything, limit)
    some = set(sorted(everything)[::2])
    assert keys(index.search(face(), some, 9)) == by_hand(store, face(), some, 9)


def test_the_index_follows_the_store(store: Store) -> None:
    index, late = TrackIndex(store, "p"), TrackIndex(store, "p")
    assert index.search(face(), {"a"}, 5) == []
    check(store, index)
    for number in range(6):
        put(store, f"a{number}", 5 * number + 1, number)
        check(store, index)
    put(store, "a3", 2, 77)  # replaced
    check(store, index)
    store.empty_tracks("p", [("a5", 3), ("a5", 20)])
    check(store, index)
    store.put_video(make_video("w"))
    store.put_analysis(make_analysis("b", "w"), [make_track(1)])
    check(store, index)
    store.delete_video("p", "w")  # the newest one
    check(store, index)
    put(store, "a5", 0)
    put(store, "a6", 3, 9)  # one less, one more
    check(store, index)
    store.delete_video("p", "v")
    check(store, index)
    store.put_video(make_video("v"))
    put(store, "a", 3)
    check(store, index)
    check(store, late)


def test_of_two_sets_one_is_followed_however_many_the_other_has(store: Store) -> None:
    store.fix_embedder("p", "dlib")
    index = TrackIndex(store, "p")

    def put_other(analysis_id: str) -> None:
        store.put_analysis(replace(make_analysis(analysis_id), embedder="other"), [make_track(1)])

    def found() -> set[str]:
        index.refresh()
        return {hit.analysis_id for hit in index.search(face(), set(store.columns_positions("p")) | {"a", "b"}, 9)}

    put(store, "a", 3)
    put(store, "b", 2)
    put_other("other-a")
    assert found() == {"a", "b"}
    store.empty_tracks("p", [("a", 1), ("a", 2), ("a", 3)])
    assert found() == {"b"}
    put_other("other-b")
    put(store, "b", 0)
    assert found() == set()
    put(store, "other-a", 0)
    put(store, "a", 1)
    assert found() == {"a"}
    assert len(index) == 1


def test_nothing_is_read_when_nothing_has_changed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, "a", 3)
    index = TrackIndex(store, "p")
    index.refresh()
    monkeypatch.setattr(type(store), "list_columns", None)
    index.refresh()
    assert len(index.search(face(), {"a"}, 9)) == 3
    put(store, "b", 3)
    with pytest.raises(TypeError):
        index.refresh()


def test_deleted_rows_are_overwritten_and_their_place_reused(store: Store) -> None:
    put(store, "a", 30, 1)
    index = TrackIndex(store, "p")
    for seed in range(9):
        put(store, "a", 30, seed)
        check(store, index)
    assert index.memory_bytes <= 3 * 35 * (128 * 4 + 12)


def test_threads_search_while_others_write(store: Store) -> None:
    index = TrackIndex(store, "p")

    def write(number: int) -> None:
        put(store, f"a{number % 5}", 10 + number, number)

    def search(_: int) -> None:
        index.refresh()
        for hit in index.search(face(), {f"a{i}" for i in range(5)}, 20):
            assert -1.01 <= hit.similarity <= 1.01

    with ThreadPoolExecutor(4) as pool:
        for call in [pool.submit(search if number % 3 else write, number) for number in range(60)]:
            call.result()
    check(store, index)


def test_few_projects_are_kept(store: Store) -> None:
    indexes = TrackIndexes(store, keep=2)
    first = indexes.of("p")
    indexes.of("q")
    assert indexes.of("p") is first
    indexes.of("r")
    assert indexes.of("p") is first
    indexes.of("s")
    indexes.of("t")
    assert indexes.of("p") is not first

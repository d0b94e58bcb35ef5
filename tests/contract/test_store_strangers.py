"""What every store promises of the sums of strangers' vectors."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_models.types import FloatArray
from serving.store.contract import Store
from serving.store.naming_rows import Stranger, StrangerTrack
from tests.contract.store_cases import make_appearance, make_named, name, put_analyses, stranger_sums, sums

ANN = Stranger("stranger-a", "p", 1, 1.0)
BOB = Stranger("stranger-b", "p", 2, 1.0)


@pytest.fixture
def named(store: Store) -> Store:
    """Two analyses, both named."""
    put_analyses(store, "a", "b")
    name(store, make_appearance("a"), make_appearance("b"))
    return store


def stranger_track(analysis_id: str, stranger: Stranger = ANN, track_id: int = 1, at: int = 0) -> StrangerTrack:
    return StrangerTrack("p", analysis_id, track_id, stranger.stranger_id, np.eye(4, dtype=np.float32)[at])


def test_the_sum_of_a_strangers_vectors_follows_its_tracks(named: Store) -> None:
    store = named
    name(
        store,
        named=[make_named("a"), make_named("b")],
        stranger_tracks=[stranger_track("a"), stranger_track("a", BOB, 2, 1), stranger_track("b", at=2)],
        strangers=[ANN, BOB],
    )
    assert sums(store) == {"stranger-a": (2, [1, 0, 1, 0]), "stranger-b": (1, [0, 1, 0, 0])}
    freed = [stranger_track("a"), stranger_track("a", BOB, 2, 1)]
    name(store, named=[make_named("a")], freed=freed, stranger_tracks=[stranger_track("a", BOB, 1, 3)])
    assert sums(store) == {"stranger-a": (1, [0, 0, 1, 0]), "stranger-b": (1, [0, 0, 0, 1])}
    assert [(row.analysis_id, row.track_id) for row in store.list_stranger_tracks("p")] == [("a", 1), ("b", 1)]
    store.delete_video("p", "v-b")
    assert sums(store) == {"stranger-b": (1, [0, 0, 0, 1])}
    put_analyses(store, "a")
    assert sums(store) == {}


def test_the_sums_of_many_strangers_follow_their_tracks(store: Store) -> None:
    rng, analyses = np.random.default_rng(0), ["a", "b", "c"]
    put_analyses(store, *analyses)
    strangers = [Stranger(f"stranger-{number}", "p", number, 1.0) for number in range(1, 101)]
    name(store, named=[make_named(one) for one in analyses], strangers=strangers)
    seen: dict[tuple[str, int], StrangerTrack] = {}
    for _ in range(6):
        keys = [(analyses[i % 3], i // 3) for i in rng.permutation(240).tolist()]
        freed = [seen.pop(key) for key in keys[:60] if key in seen]
        shown = [
            StrangerTrack("p", *key, f"stranger-{rng.integers(1, 101)}", rng.random(4).astype(np.float32))
            for key in keys[:120]
            if key not in seen
        ]
        seen |= {(row.analysis_id, row.track_id): row for row in shown}
        name(store, named=[make_named(one) for one in analyses], freed=freed, stranger_tracks=shown)
        vectors: dict[str, list[FloatArray]] = {}
        for row in seen.values():
            vectors.setdefault(row.stranger_id, []).append(row.embedding)
        found = stranger_sums(store)
        assert {one: count for one, (count, _) in found.items()} == {one: len(rows) for one, rows in vectors.items()}
        for one, rows in vectors.items():
            np.testing.assert_allclose(found[one][1], np.sum(rows, axis=0, dtype=np.float64), atol=1e-12)
        stored = store.list_stranger_sums("p")
        assert len({one for row in stored for one in row.stranger_ids}) == sum(len(row.counts) for row in stored)
        assert [row.block for row in stored] == sorted({row.block for row in stored})
    assert len(stored) > 1
    name(store, unnamed=analyses)
    assert store.list_stranger_sums("p") == []

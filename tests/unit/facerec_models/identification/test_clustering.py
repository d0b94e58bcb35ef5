from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec_models.identification.clustering import cluster_tracks
from facerec_models.vectors import normalize
from tests.builders import face_of, near, person

MIN_SIMILARITY = 0.9


def together(count: int) -> npt.NDArray[np.bool_]:
    return np.zeros((count, count), bool)


def test_faces_of_one_person_are_one_cluster() -> None:
    faces = np.stack([face_of(who, at) for at in range(4) for who in (5, 3, 9)])
    assert cluster_tracks(faces, together(12), MIN_SIMILARITY).tolist() == [0, 1, 2] * 4


def test_groups_are_numbered_by_their_first_members() -> None:
    faces = np.stack([face_of(who) for who in (8, 2, 2, 8, 1)])
    assert cluster_tracks(faces, together(5), MIN_SIMILARITY).tolist() == [0, 1, 1, 0, 2]


def test_tracks_that_are_apart_are_never_grouped() -> None:
    apart = together(4)
    apart[0, 1] = apart[1, 0] = True
    groups = cluster_tracks(np.stack([face_of(1)] * 4), apart, MIN_SIMILARITY)
    assert groups[0] != groups[1]


def test_linkage_is_complete_and_chains_do_not_grow() -> None:
    # Each is like its neighbour, the ends are not like each other.
    angles = np.arccos(0.96) * np.arange(4)
    faces = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    groups = cluster_tracks(faces, together(4), 0.95)
    assert np.bincount(groups).max() == 2


def test_no_track_and_one_track() -> None:
    assert cluster_tracks(np.zeros((0, 128), np.float32), together(0), MIN_SIMILARITY).tolist() == []
    assert cluster_tracks(face_of(1)[None], together(1), MIN_SIMILARITY).tolist() == [0]


def test_the_least_similarity_decides() -> None:
    pair = np.stack([person(1), near(person(1), 0.92)])
    assert cluster_tracks(pair, together(2), 0.91).tolist() == [0, 0]
    assert cluster_tracks(pair, together(2), 0.93).tolist() == [0, 1]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 14), share=st.floats(0, 0.6), least=st.floats(-0.9, 0.99))
def test_every_two_of_a_group_are_alike_and_not_apart(seed: int, count: int, share: float, least: float) -> None:
    noise = np.random.default_rng(seed)
    faces = normalize(noise.normal(size=(count, 3)) + 1)
    apart = np.triu(noise.random((count, count)) < share, 1)
    apart |= apart.T
    groups = cluster_tracks(faces, apart, least)
    assert groups.shape == (count,)
    same = groups[:, None] == groups
    assert not (same & apart).any()
    assert (faces @ faces.T)[same].min(initial=1) >= least - 1e-6
    first_members = [groups.tolist().index(group) for group in range(len(set(groups.tolist())))]
    assert first_members == sorted(first_members)

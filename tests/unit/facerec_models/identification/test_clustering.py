from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec_models.identification.clustering import group_unknown, join_tracks, stranger_similarity
from facerec_models.identification.track_columns import TrackColumns
from facerec_models.types import FloatArray
from facerec_models.vectors import normalize
from tests.builders import cohort, face_of, make_match, make_track, near, person

MIN_SIMILARITY = 0.9


def join(
    faces: FloatArray,
    least: float = MIN_SIMILARITY,
    *,
    apart: Sequence[tuple[int, int]] = (),
    groups: Sequence[FloatArray] = (),
) -> list[int]:
    """Group faces; known groups are given by their faces."""
    similarity = faces @ faces.T
    for a, b in apart:
        similarity[a, b] = similarity[b, a] = -1
    to_group = [(faces @ members.T).min(axis=1) for members in groups]
    close = [(i, k, float(value)) for k, one in enumerate(to_group) for i, value in enumerate(one) if value >= least]
    return join_tracks(similarity, close, len(groups), least).tolist()


def directions(degrees: Sequence[float]) -> FloatArray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_faces_of_one_person_are_one_cluster() -> None:
    assert join(np.stack([face_of(who, at) for at in range(4) for who in (5, 3, 9)])) == [0, 1, 2] * 4


def test_groups_are_numbered_by_their_first_members() -> None:
    assert join(np.stack([face_of(who) for who in (8, 2, 2, 8, 1)])) == [0, 1, 1, 0, 2]


def test_tracks_that_are_apart_are_never_grouped() -> None:
    groups = join(np.stack([face_of(1)] * 4), apart=[(0, 1)])
    assert groups[0] != groups[1]


def test_linkage_is_complete_and_chains_do_not_grow() -> None:
    # Each is like its neighbour, the ends are not like each other.
    assert np.bincount(join(directions([0, 10, 20, 30]), float(np.cos(np.radians(11))))).max() == 2


def test_no_track_and_one_track() -> None:
    assert join(np.zeros((0, 128), np.float32)) == []
    assert join(face_of(1)[None]) == [0]


def test_the_least_similarity_decides() -> None:
    pair = np.stack([person(1), near(person(1), 0.92)])
    assert join(pair, 0.91) == [0, 0]
    assert join(pair, 0.93) == [0, 1]


def test_a_track_joins_the_nearest_group_of_those_that_are_known() -> None:
    known = [directions([0]), directions([40]), directions([90])]
    assert join(directions([18, 200]), groups=known) == [0, 3]
    assert join(directions([22, 200]), groups=known) == [1, 3]


def test_of_two_tracks_that_are_not_alike_only_the_nearer_joins_a_group() -> None:
    assert join(directions([-20, 10]), groups=[directions([0])]) == [1, 0]


def test_known_groups_stay_apart_however_alike() -> None:
    assert sorted(join(directions([0, 0]), apart=[(0, 1)], groups=[directions([0]), directions([0])])) == [0, 1]


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(0, 14),
    known=st.integers(0, 4),
    share=st.floats(0, 0.6),
    least=st.floats(-0.9, 0.99),
)
def test_every_two_of_a_group_are_alike_and_not_apart_and_no_groups_are_left_that_could_be_one(
    seed: int, count: int, known: int, share: float, least: float
) -> None:
    noise = np.random.default_rng(seed)
    faces = normalize(noise.normal(size=(count, 3)) + 1)
    members = normalize(noise.normal(size=(known, 3)) + 1)
    apart = [(a, b) for a in range(count) for b in range(a) if noise.random() < share]
    groups = join(faces, least, apart=apart, groups=[one[None] for one in members])
    assert len(groups) == count
    similarity = np.concatenate([faces, members]) @ np.concatenate([faces, members]).T
    for a, b in apart:
        similarity[a, b] = similarity[b, a] = -1
    same = np.equal.outer([*groups, *range(known)], [*groups, *range(known)])
    assert similarity[same].min(initial=1) >= least - 1e-6
    for a in set(groups):
        for b in {*groups, *range(known)} - {a}:
            if max(a, b) >= known:
                ours, others = ([i for i, one in enumerate([*groups, *range(known)]) if one == k] for k in (a, b))
                assert similarity[np.ix_(ours, others)].min() < least + 1e-6
    new = [one for one in groups if one >= known]
    assert list(dict.fromkeys(new)) == list(range(known, known + len(set(new))))


def test_unknown_tracks_of_a_video_that_are_alike_and_share_no_frame_are_one_stranger() -> None:
    assert stranger_similarity(cohort().pair) < 0.99
    own, other = face_of(70), face_of(71)
    faces = [face_of(1), own, near(own, 0.99, 1), other, own, np.zeros(128, np.float32), near(own, 0.99, 2)]
    tracks = [
        make_track(10 + i, [second], embeddings=face[None])
        for i, (face, second) in enumerate(zip(faces, (0, 1, 1, 2, 3, 4, 5), strict=True))
    ]
    matches = [make_match("Ann"), *[make_match()] * 5, make_match(decidable=False)]
    assert group_unknown(TrackColumns.of(tracks), matches, cohort().pair) == {1: 1, 2: 2, 3: 3, 4: 1}
    assert group_unknown(TrackColumns.of(tracks[:1]), matches[:1], cohort().pair) == {}


def test_a_stranger_who_shares_a_frame_with_a_named_track_is_known_again() -> None:
    tracks = [
        make_track(i, [second], embeddings=face_of(who)[None]) for i, who, second in ((1, 1, 0), (2, 70, 0), (3, 70, 1))
    ]
    matches = [make_match("Ann"), make_match(), make_match()]
    assert group_unknown(TrackColumns.of(tracks), matches, cohort().pair) == {1: 1, 2: 1}

"""Where a track goes on with another person, at the similarities of the packaged network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from facerec_models.analysis.one_person import SETTLED, find_change
from facerec_models.config import TrackingConfig
from facerec_models.types import FloatArray, Track
from facerec_models.vectors import normalize
from tests.builders import Seen, cohort, face_of, near, people_of, person
from tests.unit.facerec_models.analysis.test_tracking import follow

PAIR = cohort().pair


def change(embeddings: Sequence[FloatArray], quality: float | Sequence[float] = 0.8, settled: int = 0) -> int | None:
    weights = np.broadcast_to(np.array(quality, np.float32), len(embeddings))
    return find_change(np.stack(embeddings), weights, PAIR, settled=settled)


def morph(first: int, second: int, count: int) -> list[FloatArray]:
    """Faces of a dissolve from one person to another."""
    shares = np.linspace(0, 1, count + 2)[1:-1]
    return [normalize((1 - s) * face_of(first, 50 + i) + s * face_of(second, 50 + i)) for i, s in enumerate(shares)]


def summary(tracks: Sequence[Track]) -> list[tuple[set[int], int]]:
    return [(people_of(track), len(track)) for track in tracks]


@pytest.mark.parametrize("who", range(5))
def test_one_person_is_not_divided(who: int) -> None:
    assert change([face_of(who, at) for at in range(40)]) is None


@pytest.mark.parametrize("who", range(5))
def test_another_person_is_found_where_they_begin(who: int) -> None:
    assert change([face_of(who, at) for at in range(12)] + [face_of(who + 10, at) for at in range(10)]) == 12


def test_a_slow_morph_is_divided_within_it() -> None:
    found = change([*(face_of(1, at) for at in range(12)), *morph(1, 2, 8), *(face_of(2, at) for at in range(12))])
    assert found is not None
    assert 12 <= found <= 20


def test_turned_and_blurred_faces_of_one_person_are_no_change() -> None:
    assert change([*(face_of(1, at) for at in range(10)), *(near(person(1), 0.93, i) for i in range(6))]) is None


def test_one_poor_face_is_no_change() -> None:
    faces = [face_of(1, at) for at in range(10)]
    assert change([*faces, face_of(2)], [0.8] * 10 + [0.05]) is None


def test_a_growing_track_is_divided_once_the_change_is_settled() -> None:
    faces = [*(face_of(1, at) for at in range(12)), *(face_of(2, at) for at in range(SETTLED - 1))]
    assert change(faces, settled=SETTLED) is None
    assert change([*faces, *(face_of(2, 90 + at) for at in range(8))], settled=SETTLED) == 12


def test_a_track_that_changes_its_person_becomes_two() -> None:
    scene = [[Seen(1, 300)]] * 15
    scene += [[Seen(1 if i < 4 else 2, 300, embedding=face)] for i, face in enumerate(morph(1, 2, 8))]
    scene += [[Seen(2, 300)]] * 15
    first, *between, last = summary(follow(scene, 0.2))
    assert first[0] <= {1, 2}
    assert first[1] >= 15
    assert last[1] >= 15
    assert not between


def test_six_people_in_a_row_are_six_tracks() -> None:
    scene = [[Seen(1, 300)]] * 15
    for who in range(2, 7):
        scene += [[Seen(who - 1 if i < 3 else who, 300, embedding=f)] for i, f in enumerate(morph(who - 1, who, 6))]
        scene += [[Seen(who, 300)]] * 12
    tracks = follow(scene, 0.2)
    assert len(tracks) == 6
    assert sorted(track.track_id for track in tracks) == [1, 2, 3, 4, 5, 6]


def test_each_part_keeps_crops_and_embeddings_of_its_own() -> None:
    scene = [[Seen(1, 300)]] * 200 + [[Seen(2, 300, embedding=face_of(2, i))] for i in range(10)]
    scene[199:201] = [[Seen(1, 300, embedding=face)] for face in morph(1, 2, 2)]
    first, last = follow(scene, 0.2, config=TrackingConfig(max_kept=8))
    for track, who in ((first, 1), (last, 2)):
        assert len(track.crops) == len(track.embeddings) == 8
        assert (track.embeddings @ person(who)).min() > 0.9
        assert track.embedded.max() < len(track)

from __future__ import annotations

import numpy as np
import pytest

from facerec_models.identification.naming_model import Gallery
from tests.builders import EMBEDDER, face_of, make_track
from training.evaluation.baseline import IndependentClassifiers, Vote, merge_votes, vote, vote_tracks


def gallery(people: int, pictures: int = 4) -> Gallery:
    faces = [(number, at) for number in range(people) for at in range(pictures)]
    return Gallery(
        EMBEDDER,
        np.stack([face_of(number, at) for number, at in faces]),
        tuple(f"Person_{number}" for number, _ in faces),
        tuple(f"f-{number}-{at}" for number, at in faces),
    )


@pytest.mark.parametrize(
    ("names", "confidences", "decided"),
    [
        ("AAAB", (0.8, 0.9, 1.0, 0.9), ("A", 0.9)),
        ("A", (0.3,), ("A", 0.3)),
        # 3 of 5 is no more than .6.
        ("AAABB", (0.9, 0.9, 0.9, 0.1, 0.1), None),
        # The most frequent is not the most certain.
        ("AABCD", (0.1, 0.1, 0.9, 0.1, 0.1), None),
        # .39 of the confidence is not enough, though 2 of 3 faces are.
        ("AAB", (0.3, 0.3, 0.94), None),
        ("AB", (0.9, 0.8), None),
        ("", (), None),
        ("A", (0.0,), None),
    ],
)
def test_vote(names: str, confidences: tuple[float, ...], decided: tuple[str, float] | None) -> None:
    found = vote(names, confidences)
    assert found == (decided if decided is None else (decided[0], pytest.approx(decided[1])))


def test_neighbouring_tracks_of_a_person_are_joined() -> None:
    """One second apart at one sample a second: .9 for 2 s and .6, which is too little, then .8 for 6 s."""
    votes = [
        Vote((0, 2), "A", 0.9),
        Vote((2, 3), "A", 0.6),
        Vote((3, 9), "A", 0.8),
        Vote((11, 12), "A", 0.75),
        Vote((1, 2), "B", 0.7),
    ]
    merged = [(n.person_id, n.start_s, n.end_s, pytest.approx(n.confidence)) for n in merge_votes(votes, 1.0)]
    assert merged == [("A", 0, 9, (2 * 0.9 + 6 * 0.8) / 8), ("B", 1, 2, 0.7), ("A", 11, 12, 0.75)]


def test_enrolled_people_are_distinguished() -> None:
    classifiers = IndependentClassifiers(gallery(12))
    chances = classifiers.probabilities(np.stack([face_of(3, 50), face_of(7, 50)]))
    assert chances.shape == (2, 12)
    assert [classifiers.people[i] for i in chances.argmax(axis=1)] == ["Person_3", "Person_7"]
    assert ((chances >= 0) & (chances <= 1)).all()


def test_the_same_gallery_gives_the_same_probabilities() -> None:
    faces = np.stack([face_of(number, 60) for number in range(5)])
    first, second = (IndependentClassifiers(gallery(5)).probabilities(faces) for _ in range(2))
    assert np.array_equal(first, second)


def test_with_one_person_every_face_is_theirs() -> None:
    """The predecessor's weakness, kept: without anybody else, every stranger is certainly the one who is enrolled."""
    assert IndependentClassifiers(gallery(1)).probabilities(face_of(99)[None]).tolist() == [[1.0]]


def test_a_person_of_one_picture_has_a_probability() -> None:
    chances = IndependentClassifiers(gallery(4, pictures=1)).probabilities(np.stack([face_of(2, 0), face_of(90)]))
    assert chances[0].argmax() == 2
    assert np.isfinite(chances).all()


def test_tracks_are_voted_on() -> None:
    classifiers = IndependentClassifiers(gallery(8))
    tracks = [
        make_track(1, (1.0, 2.0, 3.0), embeddings=np.stack([face_of(5, at) for at in (30, 31, 32)])),
        make_track(2, (5.0, 6.0), embeddings=np.stack([face_of(1, 30), face_of(2, 30)])),
    ]
    (only,) = vote_tracks(tracks, classifiers)
    assert (only.person_id, only.interval) == ("Person_5", (0.5, 3.5))
    assert vote_tracks([], classifiers) == []

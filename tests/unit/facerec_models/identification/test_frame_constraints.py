"""Two faces in a frame: when they are two people, and when they are one face twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from facerec_models.config import IdentificationConfig
from facerec_models.identification.clustering import stranger_similarity
from facerec_models.identification.corrections import Corrections
from facerec_models.identification.fit import fit_model
from facerec_models.identification.frame_constraints import assign_people, find_alike, find_contradicted, find_repeated
from facerec_models.identification.identify import identify_faces, identify_tracks, nearest_people, told_apart
from facerec_models.identification.naming_model import Gallery, NamingModel
from facerec_models.types import Candidate, Decision, FloatArray, Match, Track, UndecidableReason
from facerec_models.vectors import normalize
from tests.builders import EMBEDDER, cohort, face_of, make_track, near

CONFIG = IdentificationConfig()
ALIKE = stranger_similarity(cohort().pair)
ONE_PICTURE, STRANGER = 0.995, 70
SAME_FACE, SAME_PICTURE = UndecidableReason.SAME_FACE_BESIDE, UndecidableReason.SAME_PICTURE_BESIDE


def name_of(who: int) -> str:
    return f"Person_{who:02}"


def fit(faces: Mapping[str, list[FloatArray]], corrections: Corrections | None = None) -> NamingModel:
    rows = [(person, face) for person, own in faces.items() for face in own]
    gallery = Gallery(
        EMBEDDER,
        np.stack([face for _, face in rows]),
        tuple(person for person, _ in rows),
        tuple(f"{person}/{i}" for i, (person, _) in enumerate(rows)),
    )
    model = fit_model(gallery, cohort(), CONFIG.prior_known)
    return model if corrections is None else with_corrections(model, corrections)


def with_corrections(model: NamingModel, corrections: Corrections) -> NamingModel:
    return replace(model, corrections=corrections)


@pytest.fixture(scope="module")
def model() -> NamingModel:
    return fit({name_of(who): [face_of(who, at) for at in range(3)] for who in range(1, 21)})


def still(model: NamingModel, *faces: FloatArray, quality: float = 0.9) -> list[Match]:
    count = len(faces)
    judged, sure = np.full(count, quality, np.float32), np.ones(count, np.float32)
    return identify_faces(np.stack(faces), judged, sure, model, CONFIG)


def seen(track_id: int, face: FloatArray, *, samples: int = 3, first: int = 0) -> Track:
    """Return a track of this face in so many frames."""
    frames = list(range(first, first + samples))
    track = make_track(track_id, [frame / 5 for frame in frames], embeddings=face[None], frames=frames)
    return Track(**{**{name: getattr(track, name) for name in track.__slots__}, "scores": np.ones(samples, np.float32)})


# A person who is enrolled, twice


def test_a_mirror_image_of_a_named_face_is_undecidable_and_names_the_face(model: NamingModel) -> None:
    own = face_of(3, 9)
    for image, reason in ((near(own, ONE_PICTURE), SAME_PICTURE), (face_of(3, 11), SAME_FACE)):
        named, other = sorted(still(model, own, image), key=lambda match: match.decision)
        assert (named.decision, named.person_id, named.reason) == (Decision.NAMED, name_of(3), None)
        assert (other.decision, other.reason, other.beside) == (Decision.UNDECIDABLE, reason, name_of(3))
        assert other.candidates[0].person_id == name_of(3)


def test_the_figures_of_a_face_without_a_name_are_about_its_first_candidate(model: NamingModel) -> None:
    own = face_of(3, 9)
    for faces in ([own, near(own, ONE_PICTURE)], [own, face_of(STRANGER)], [face_of(STRANGER)]):
        for match in still(model, *faces):
            if match.decision is not Decision.NAMED:
                assert match.probability == pytest.approx(1 - match.candidates[0].probability, abs=1e-6)
    alone, beside = still(model, face_of(STRANGER))[0], still(model, own, face_of(STRANGER))[1]
    assert beside.false_name_rate == pytest.approx(alone.false_name_rate)


def test_an_image_below_the_limit_is_known_by_its_likeness(model: NamingModel) -> None:
    """A reflection that is not near enough to be named by itself."""
    own = face_of(3, 9, similarity=0.84)
    images = np.stack([near(own, (ALIKE + 0.98) / 2, seed) for seed in range(40)])
    rates = model.stills.false_name_rate(model.classifier.decision_function(images).max(axis=1))
    image, farther = images[rates.argmax()], float(rates.max())
    nearer = float(model.stills.false_name_rate(model.classifier.decision_function(own[None]).max(axis=1))[0])
    limit = float(np.sqrt(nearer * farther))
    assert nearer < limit < farther
    sure = np.ones(2, np.float32)
    alone = identify_faces(image[None], sure[:1], sure[:1], model, CONFIG, max_false_names=limit)[0]
    named, other = identify_faces(np.stack([own, image]), sure, sure, model, CONFIG, max_false_names=limit)
    assert alone.decision is Decision.UNKNOWN
    assert named.person_id == name_of(3)
    assert (other.decision, other.reason, other.beside) == (Decision.UNDECIDABLE, SAME_FACE, name_of(3))


def test_an_image_is_never_named_as_the_second_best_person() -> None:
    """A look-alike passes the limit too, but is clearly less likely: only the rule would make them of the image."""
    double = near(face_of(1, 0), 0.97)
    model = fit({"Ann": [face_of(1, 0)], "Double": [double], **{name_of(who): [face_of(who)] for who in range(2, 20)}})
    own, image = near(face_of(1, 0), 0.999), face_of(1, 0)
    rates = model.stills.false_name_rate(model.classifier.decision_function(image[None])[0])
    assert rates[model.classifier.classes_.tolist().index("Double")] <= CONFIG.max_false_names_stills
    matches = still(model, own, image)
    assert {match.person_id for match in matches} == {"Ann", None}
    assert {match.reason for match in matches} == {SAME_PICTURE, None}


def test_another_face_of_a_named_person_is_never_named_as_a_less_likely_one() -> None:
    """A mirror at an angle: not the same picture, and a look-alike who is enrolled passes the limit as well."""
    ann = face_of(1, 0)
    model = fit({"Ann": [ann], "Double": [near(ann, 0.95)], **{name_of(who): [face_of(who)] for who in range(2, 20)}})
    own, image = near(ann, 0.999, 7), near(ann, 0.97, 4)
    scores = dict(
        zip(model.classifier.classes_.tolist(), model.classifier.decision_function(image[None])[0], strict=True)
    )
    assert model.stills.false_name_rate(np.array(scores["Double"])) <= 0.05
    assert scores["Ann"] - scores["Double"] > 1.5 * model.stills.genuine.deviation
    assert own @ image < 0.975
    sure = np.ones(2, np.float32)
    named, other = identify_faces(np.stack([own, image]), sure, sure, model, CONFIG, max_false_names=0.05)
    assert (named.person_id, other.person_id) == ("Ann", None)
    assert (other.decision, other.reason, other.beside) == (Decision.UNDECIDABLE, SAME_FACE, "Ann")


def test_brothers_who_are_both_enrolled_and_equally_near_are_both_named() -> None:
    first, second = face_of(1, 0), near(face_of(1, 0), 0.965)
    model = fit({"Abel": [first], "Cain": [second], **{name_of(who): [face_of(who)] for who in range(2, 20)}})
    between = normalize(1.02 * first + second)
    matches = still(model, near(first, 0.97, 5), between)
    assert [match.person_id for match in matches] == ["Abel", "Cain"]
    matches = still(model, near(first, 0.97, 5), near(second, 0.97, 6))
    assert [match.person_id for match in matches] == ["Abel", "Cain"]


def test_one_picture_twice_does_not_get_two_names() -> None:
    first, second = face_of(1, 0), near(face_of(1, 0), 0.99)
    model = fit({"Ann": [first], "Zoe": [second], **{name_of(who): [face_of(who)] for who in range(2, 20)}})
    matches = still(model, first, second)
    assert sorted(match.decision for match in matches) == [Decision.NAMED, Decision.UNDECIDABLE]
    named, image = sorted(matches, key=lambda match: match.decision)
    assert (image.reason, image.beside) == (SAME_PICTURE, named.person_id)


def test_another_person_beside_a_named_face_stays_unknown(model: NamingModel) -> None:
    named, other = still(model, face_of(3, 9), face_of(STRANGER))
    assert (named.decision, other.decision, other.reason) == (Decision.NAMED, Decision.UNKNOWN, None)


# A stranger, twice


def test_an_image_of_an_unknown_face_is_no_second_stranger(model: NamingModel) -> None:
    own = face_of(STRANGER)
    for image, reason in ((near(own, ONE_PICTURE), SAME_PICTURE), (near(own, (ALIKE + 0.98) / 2), SAME_FACE)):
        matches = still(model, own, image)
        assert sorted(match.decision for match in matches) == [Decision.UNDECIDABLE, Decision.UNKNOWN]
        assert {(match.reason, match.beside) for match in matches} == {(None, None), (reason, None)}


def test_two_unknown_people_in_a_frame_are_two_strangers(model: NamingModel) -> None:
    matches = still(model, face_of(STRANGER), face_of(STRANGER + 1), near(face_of(STRANGER), ALIKE - 0.01))
    assert [match.decision for match in matches] == [Decision.UNKNOWN] * 3


def test_of_an_unknown_face_and_its_image_the_one_longer_in_view_is_the_stranger(model: NamingModel) -> None:
    own = face_of(STRANGER)
    image = near(own, ONE_PICTURE)
    tracks = [seen(1, image, samples=2), seen(2, own, samples=9), seen(3, image, samples=3, first=20)]
    matches = identify_tracks(tracks, model, CONFIG)
    assert [match.decision for match in matches] == [Decision.UNDECIDABLE, Decision.UNKNOWN, Decision.UNKNOWN]
    assert matches[0].reason is SAME_PICTURE


def test_a_poor_face_is_undecidable_for_its_quality_first(model: NamingModel) -> None:
    own = face_of(STRANGER)
    sure = np.ones(2, np.float32)
    embeddings = np.stack([own, near(own, ONE_PICTURE)])
    matches = identify_faces(embeddings, np.array([0.9, 0.02], np.float32), sure, model, CONFIG)
    assert [match.reason for match in matches] == [None, UndecidableReason.POOR]


def test_every_undecidable_track_has_its_reason(model: NamingModel) -> None:
    doubtful = make_track(1, [0.0], embeddings=face_of(STRANGER)[None])  # the detector's score is not above .99
    doubtful = Track(
        **{**{name: getattr(doubtful, name) for name in doubtful.__slots__}, "scores": np.full(1, 0.9, np.float32)}
    )
    empty = make_track(2, [5.0], embeddings=np.zeros((0, 128), np.float32))
    poor = make_track(3, [9.0], embeddings=face_of(STRANGER)[None], quality=0.1)
    matches = identify_tracks([doubtful, empty, poor], model, CONFIG)
    assert [match.reason for match in matches] == [
        UndecidableReason.MAYBE_NO_FACE,
        UndecidableReason.NO_VECTORS,
        UndecidableReason.POOR,
    ]


# Confirmed, and ruled out


def test_a_face_that_is_no_image_is_a_stranger_of_its_own(model: NamingModel) -> None:
    tracks = [seen(1, face_of(STRANGER)), seen(2, near(face_of(STRANGER), ONE_PICTURE), samples=2)]
    corrected = with_corrections(model, Corrections(no_images={("a", 2)}))
    for analysis_id, second in (("a", Decision.UNKNOWN), ("b", Decision.UNDECIDABLE), (None, Decision.UNDECIDABLE)):
        matches = identify_tracks(tracks, corrected, CONFIG, analysis_id=analysis_id)
        assert [match.decision for match in matches] == [Decision.UNKNOWN, second]


def test_each_negative_example_is_of_one_person() -> None:
    with pytest.raises(ValueError, match="1 negative examples are of 2 people"):
        Corrections(denied_people=np.array(["Ann", "Bob"]), denied=face_of(1)[None])


def test_both_can_be_confirmed_and_a_third_is_still_an_image(model: NamingModel) -> None:
    own = face_of(3, 9)
    tracks = [seen(i, face) for i, face in enumerate((own, near(own, ONE_PICTURE), face_of(3, 12)), 1)]
    both = with_corrections(model, Corrections({("a", 1): name_of(3), ("a", 2): name_of(3)}))
    matches = identify_tracks(tracks, both, CONFIG, analysis_id="a")
    assert [match.person_id for match in matches] == [name_of(3), name_of(3), None]
    assert (matches[2].reason, matches[2].beside) == (SAME_FACE, name_of(3))
    one = with_corrections(model, Corrections({("a", 2): name_of(3)}))
    assert [m.person_id for m in identify_tracks(tracks, one, CONFIG, analysis_id="a")] == [None, name_of(3), None]


def test_a_person_whom_a_correction_rules_out_is_not_taken_for_the_original(model: NamingModel) -> None:
    own, other = face_of(3, 9), face_of(3, 12)
    denied = with_corrections(model, Corrections({}, np.array([name_of(3)]), other[None]))
    named, match = still(denied, own, other)
    assert named.person_id == name_of(3)
    assert (match.decision, match.reason) == (Decision.UNKNOWN, None)
    assert name_of(3) not in {candidate.person_id for candidate in match.candidates}
    assert match.probability == pytest.approx(1 - match.candidates[0].probability, abs=1e-6)
    assert nearest_people(denied, other, None)[0].person_id == match.candidates[0].person_id


def test_a_person_is_not_ruled_out_by_a_negative_example_that_a_face_resembles_less_than_them(
    model: NamingModel,
) -> None:
    own = face_of(3, 9)
    denied = with_corrections(model, Corrections({}, np.array([name_of(3)]), face_of(STRANGER)[None]))
    named, image = still(denied, own, near(own, ONE_PICTURE))
    assert named.person_id == name_of(3)
    assert (image.reason, image.beside) == (SAME_PICTURE, name_of(3))


def test_a_face_beside_a_person_who_is_not_enrolled_is_their_image_unless_it_was_corrected_not_to_be() -> None:
    model = fit({"Ann": [face_of(1)], "Bob": [face_of(2)]})
    tracks = [seen(1, face_of(STRANGER)), seen(2, near(face_of(STRANGER), ONE_PICTURE), samples=2)]
    face = tracks[1].embeddings
    for people, decision, reason, beside in (
        (["Ann", "Bob"], Decision.UNDECIDABLE, SAME_PICTURE, "Zoe"),  # nobody enrolled is left who it may be
        (["Ann", "Bob", "Zoe"], Decision.UNKNOWN, None, None),
        (["Zoe"], Decision.UNKNOWN, None, None),
    ):
        corrections = Corrections({("a", 1): "Zoe"}, np.array(people), np.repeat(face, len(people), axis=0))
        named, image = identify_tracks(tracks, with_corrections(model, corrections), CONFIG, analysis_id="a")
        assert named.person_id == "Zoe"
        assert (image.decision, image.reason, image.beside) == (decision, reason, beside)


def test_a_face_whose_candidates_are_all_ruled_out_has_the_figures_of_the_last() -> None:
    model = fit({"Ann": [face_of(1)], "Bob": [face_of(2)]})
    face = face_of(1, 5)
    denied = with_corrections(model, Corrections({}, np.array(["Ann", "Bob"]), np.stack([face, face])))
    (match,) = still(denied, face)
    assert (match.decision, match.candidates) == (Decision.UNKNOWN, ())
    assert match.probability > 0.9
    assert nearest_people(denied, face, None) == []
    assert (told_apart(model, face), told_apart(denied, face)) == (
        None,
        str(nearest_people(model, face, None)[0].person_id),
    )


def test_a_face_that_is_not_a_person_is_not_them_even_if_they_are_known_by_nothing_else() -> None:
    # What the face is like: itself, and the person's mean, which is the same but for rounding.
    face, beyond = face_of(3), np.nextafter(np.float32(1), np.float32(2))
    denied = Corrections(denied_people=np.array(["Ann"]), denied=face[None])
    assert denied.denies(face[None], np.array([["Ann"]]), np.array([[beyond]])).tolist() == [[True]]


def test_beside_a_confirmed_name_stand_the_nearest_others_whom_no_correction_rules_out(model: NamingModel) -> None:
    face = face_of(3, 9)
    second = nearest_people(model, face, name_of(3))[0].person_id
    denied = Corrections({("a", 1): name_of(3)}, np.array([second]), face[None])
    (match,) = identify_tracks([seen(1, face)], with_corrections(model, denied), CONFIG, analysis_id="a")
    (without,) = identify_tracks([seen(1, face)], model, CONFIG)
    assert (match.person_id, match.probability) == (name_of(3), 1.0)
    own = model.prototypes[model.classifier.classes_.tolist().index(name_of(3))] @ face
    assert match.candidates[0] == Candidate(name_of(3), pytest.approx(float(own), abs=1e-6), 1.0)
    assert match.score == pytest.approx(without.score, abs=1e-6)
    assert match.false_name_rate == model.tracks.false_name_rate(np.array(match.score))
    expected = [one.person_id for one in without.candidates if one.person_id not in (second, name_of(3))]
    assert len(expected) == 3  # of the five nearest
    assert [candidate.person_id for candidate in match.candidates[1:]] == expected
    assert {candidate.probability for candidate in match.candidates[1:]} == {0.0}


def test_a_confirmed_person_who_is_not_enrolled_is_named_without_a_score(model: NamingModel) -> None:
    for person in ("Aaron", "Zoe"):  # before and after all who are enrolled
        confirmed = with_corrections(model, Corrections({("a", 1): person}))
        (match,) = identify_tracks([seen(1, face_of(STRANGER))], confirmed, CONFIG, analysis_id="a")
        assert (match.person_id, match.score, match.false_name_rate) == (person, -np.inf, 1.0)
        assert match.candidates[0] == Candidate(person, 0.0, 1.0)
        assert len(match.candidates) == 5


# The runner-up


def test_the_runner_up_is_the_most_similar_other_person_whatever_decides(model: NamingModel) -> None:
    similarity = model.prototypes @ face_of(3, 9)
    people = model.classifier.classes_
    order = people[np.argsort(-similarity)].tolist()
    assert [one.person_id for one in nearest_people(model, face_of(3, 9), None)] == order[:2]
    without = [person for person in order if person != order[1]]
    assert [one.person_id for one in nearest_people(model, face_of(3, 9), order[1])] == without[:2]
    (second,) = nearest_people(model, face_of(3, 9), order[0], 1)
    assert second.similarity == pytest.approx(float(np.sort(similarity)[-2]), abs=1e-6)
    (match,) = identify_tracks([seen(1, face_of(3, 9))], model, CONFIG)
    of_score = {candidate.person_id: candidate.probability for candidate in match.candidates}
    assert second.probability == pytest.approx(of_score[second.person_id], abs=1e-6)


# The parts


def test_only_usable_faces_that_share_a_frame_are_alike() -> None:
    faces = np.stack([face_of(1)] * 4)
    apart = [np.array(others, np.intp) for others in ([1, 2], [0, 2], [0, 1], [])]
    usable = np.array([True, True, False, True])
    found = find_alike(faces, apart, usable, 0.99)
    assert {i: set(others) for i, others in found.items()} == {0: {1}, 1: {0}}


def test_confirmed_names_refute_others_and_are_not_refuted() -> None:
    alike = {0: {1: 0.99, 2: 0.99}, 1: {0: 0.99}, 2: {0: 0.99}}
    given = {0: "Ann", 1: "Bob", 2: "Cem"}
    assert find_contradicted(given, {0: 0.9, 1: np.inf, 2: 0.8}, alike, 0.98) == {0: "Bob"}
    assert find_contradicted(given, {0: 0.9, 1: 0.8, 2: 0.8}, alike, 0.98) == {1: "Ann", 2: "Ann"}
    assert find_contradicted(given, dict.fromkeys(given, np.inf), alike, 0.98) == {}
    assert find_contradicted(given, {0: 0.9, 1: 0.8, 2: 0.8}, alike, 0.995) == {}


def test_a_face_repeats_only_one_that_is_kept() -> None:
    chain = {0: {1: 0.97}, 1: {0: 0.97, 2: 0.97}, 2: {1: 0.97}}
    assert find_repeated([0, 1, 2], np.array([3.0, 2.0, 1.0]), chain) == {1: 0.97}
    assert find_repeated([0, 1, 2], np.array([1.0, 2.0, 1.0]), chain) == {0: 0.97, 2: 0.97}


def chosen(nearest: list[list[int]], margin: list[list[float]], apart: Mapping[int, list[int]]) -> list[int | None]:
    """Assign faces; those of `apart` are in one frame."""
    others = [np.array(apart.get(i, []), int) for i in range(len(nearest))]
    return assign_people(np.array(nearest), np.array(margin), others)


def test_a_face_gets_one_person_even_where_it_passes_for_two() -> None:
    both = {0: [1], 1: [0]}
    # The first is 5 over the limit of person 7 and 1 over that of person 8; the second only of person 7.
    assert chosen([[7, 8], [7, 8]], [[5.0, 1.0], [3.0, -1.0]], both) == [0, None]
    assert chosen([[7, 8], [7, 8]], [[5.0, 4.0], [3.0, -1.0]], both) == [1, 0]


def test_a_face_at_its_very_limit_is_named() -> None:
    both = {0: [1], 1: [0]}
    assert chosen([[7, 8], [7, 8]], [[0.5, -1.0], [0.4, 0.0]], both) == [0, 1]
    assert chosen([[7, 8]], [[0.0, -1.0]], {}) == [0]
    assert chosen([[7, 8]], [[-0.001, -1.0]], {}) == [None]


def test_three_faces_of_a_frame_are_three_people() -> None:
    all_three = {0: [1, 2], 1: [0, 2], 2: [0, 1]}
    margin = [[0.9, 0.1, -1.0], [0.8, 0.7, -1.0], [0.7, 0.6, 0.5]]
    assert chosen([[7, 8, 9]] * 3, margin, all_three) == [0, 1, 2]


def test_faces_of_different_frames_may_be_one_person() -> None:
    assert chosen([[7, 8], [7, 8]], [[0.5, 0.1], [0.4, 0.1]], {}) == [0, 0]

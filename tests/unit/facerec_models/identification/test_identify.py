from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec_models.config import IdentificationConfig
from facerec_models.identification.classifiers import PrototypeClassifier
from facerec_models.identification.corrections import Corrections
from facerec_models.identification.fit import fit_model
from facerec_models.identification.identify import identify_faces, identify_tracks, identify_videos, match_again
from facerec_models.identification.naming_model import Gallery, NamingModel
from facerec_models.identification.track_columns import TrackColumns
from facerec_models.types import Decision, FloatArray, Match, UndecidableReason
from facerec_models.vectors import normalize, track_embedding, track_quality
from tests.builders import EMBEDDER, cohort, face_of, make_track, near

CONFIG = IdentificationConfig()
ENROLLED, STRANGER = range(1, 21), 70


def name_of(who: int) -> str:
    return f"Person_{who:02}"


@pytest.fixture(scope="module")
def model() -> NamingModel:
    faces = [(who, at) for who in ENROLLED for at in range(3)]
    return fit_model(
        Gallery(
            EMBEDDER,
            np.stack([face_of(who, at) for who, at in faces]),
            tuple(name_of(who) for who, _ in faces),
            tuple(f"{who}/{at}" for who, at in faces),
        ),
        cohort(),
        CONFIG.prior_known,
    )


def prototype(model: NamingModel, who: int) -> FloatArray:
    return np.asarray(model.classifier.prototypes_[model.classifier.classes_.tolist().index(name_of(who))], np.float32)


def identify(
    model: NamingModel, embeddings: Sequence[FloatArray], quality: float | Sequence[float] = 0.9
) -> list[Match]:
    judged = np.full(len(embeddings), quality, np.float32)
    return identify_faces(np.stack(embeddings), judged, np.ones(len(embeddings), np.float32), model, CONFIG)


# Decisions


def test_a_good_face_of_an_enrolled_person_is_named(model: NamingModel) -> None:
    for who in ENROLLED:
        (match,) = identify(model, [face_of(who, 9)])
        assert (match.decision, match.person_id) == (Decision.NAMED, name_of(who))
        assert match.probability > 0.9
        assert 0 < match.false_name_rate <= CONFIG.max_false_names_stills


def test_a_good_face_of_a_stranger_is_unknown(model: NamingModel) -> None:
    (match,) = identify(model, [face_of(STRANGER)])
    assert (match.decision, match.person_id) == (Decision.UNKNOWN, None)
    assert match.probability > 0.9
    assert match.false_name_rate > CONFIG.max_false_names_stills


def test_a_poor_face_is_undecidable_rather_than_unknown(model: NamingModel) -> None:
    (match,) = identify(model, [face_of(STRANGER, 9)], quality=0.02)
    assert (match.decision, match.person_id) == (Decision.UNDECIDABLE, None)


def test_a_doubtful_detection_is_undecidable_rather_than_unknown(model: NamingModel) -> None:
    """A dog's face, which the detector takes for one and is never sure of."""
    sure = CONFIG.min_score_unknown
    tracks = [make_track(i, [float(i)], embeddings=face_of(STRANGER, i)[None]) for i in (1, 2)]
    doubtful = replace(tracks[1], scores=np.full(1, sure - 0.01, np.float32))
    known, face, no_face = identify_tracks(
        [
            make_track(3, [3.0], embeddings=face_of(1, 9)[None]),
            replace(tracks[0], scores=np.full(1, sure, np.float32)),
            doubtful,
        ],
        model,
        CONFIG,
    )
    assert [match.decision for match in (known, face, no_face)] == [
        Decision.NAMED,
        Decision.UNKNOWN,
        Decision.UNDECIDABLE,
    ]


def test_a_face_too_poor_to_be_named_is_unknown_if_so_configured(model: NamingModel) -> None:
    strict = CONFIG.model_copy(update={"min_quality_named_stills": 0.5, "min_quality_unknown": 0.2})
    probes = np.stack([face_of(1, 9), face_of(STRANGER)])
    judged, sure = np.full(2, 0.3, np.float32), np.ones(2, np.float32)
    assert [m.decision for m in identify_faces(probes, judged, sure, model, strict)] == [Decision.UNKNOWN] * 2


def test_a_poor_face_of_a_still_may_be_named_but_no_cut_one_and_no_poor_track(model: NamingModel) -> None:
    probes, sure = np.stack([face_of(1, 9)]), np.ones(1, np.float32)
    for judged, decision in ((0.05, Decision.NAMED), (0.0, Decision.UNDECIDABLE)):
        (match,) = identify_faces(probes, np.full(1, judged, np.float32), sure, model, CONFIG)
        assert match.decision is decision
    poor = make_track(1, [0.0, 1.0], embeddings=np.stack([face_of(1, 8), face_of(1, 9)]), quality=0.05)
    (match,) = identify_tracks([poor], model, CONFIG)
    assert match.decision is Decision.UNDECIDABLE


def test_a_track_without_embeddings_is_undecidable(model: NamingModel) -> None:
    empty = make_track(1, [0.0, 1.0], embeddings=np.zeros((0, 128), np.float32))
    (match,) = identify_tracks([empty], model, CONFIG)
    assert match.decision is Decision.UNDECIDABLE


def test_no_face_has_no_answer(model: NamingModel) -> None:
    nobody = np.zeros((0, 128), np.float32)
    assert identify_faces(nobody, np.zeros(0, np.float32), np.zeros(0, np.float32), model, CONFIG) == []
    assert identify_tracks([], model, CONFIG) == []


def test_candidates_are_the_nearest_people_nearest_first(model: NamingModel) -> None:
    for probe in (face_of(3, 9), face_of(STRANGER)):
        (match,) = identify(model, [probe])
        best = np.argsort(-model.classifier.decision_function(probe[None])[0])[:5]
        assert [c.person_id for c in match.candidates] == model.classifier.classes_[best].tolist()
        np.testing.assert_allclose([c.similarity for c in match.candidates], model.prototypes[best] @ probe, rtol=1e-5)
        probabilities = [c.probability for c in match.candidates]
        assert probabilities == sorted(probabilities, reverse=True)


# Several videos at once, and figures again


def test_videos_named_at_once_are_named_as_each_alone(model: NamingModel) -> None:
    people = ((1, STRANGER), (), (2, STRANGER, 3))
    videos = [
        [make_track(i, [float(i)], embeddings=face_of(who, 9)[None]) for i, who in enumerate(own)] for own in people
    ]
    confirmed = replace(model, corrections=Corrections({("0", 1): name_of(7), ("2", 1): name_of(8)}))
    rows = [(str(i), TrackColumns.of(tracks)) for i, tracks in enumerate(videos)]
    found = identify_videos(rows, confirmed, CONFIG)
    assert [[(match.person_id, match.is_confirmed) for match in names.matches] for names in found] == [
        [(name_of(1), False), (name_of(7), True)],
        [],
        [(name_of(2), False), (name_of(8), True), (name_of(3), False)],
    ]
    for row, names in zip(rows, found, strict=True):
        (alone,) = identify_videos([row], confirmed, CONFIG)
        np.testing.assert_allclose([m.score for m in names.matches], [m.score for m in alone.matches], rtol=1e-5)
    nobody = identify_videos(rows, None, CONFIG, pair=cohort().pair)
    assert [[match.decision for match in names.matches] for names in nobody] == [
        [Decision.UNKNOWN] * n for n in (2, 0, 3)
    ]
    assert [match.person_id for match in identify_tracks(videos[0], confirmed, CONFIG)] == [name_of(1), None]


def test_where_nobody_is_enrolled_a_track_is_unknown_or_undecidable_for_a_reason() -> None:
    own = face_of(STRANGER)
    faces = ((own, [0.0, 1.0], 0.9), (near(own, 0.995), [0.0], 0.9), (own, [5.0], 0.1))
    columns = TrackColumns.of(
        [make_track(i, times, embeddings=face[None], quality=good) for i, (face, times, good) in enumerate(faces)]
    )
    (names,) = identify_videos([("a", columns)], None, CONFIG, pair=cohort().pair)
    assert names.matches == [
        Match(Decision.UNKNOWN, None, 1.0, 1.0),
        Match(Decision.UNDECIDABLE, None, 1.0, 1.0, reason=UndecidableReason.SAME_PICTURE_BESIDE),
        Match(Decision.UNDECIDABLE, None, 1.0, 1.0, reason=UndecidableReason.POOR),
    ]
    with pytest.raises(ValueError, match="what similarities tell must be given"):
        identify_videos([("a", columns)], None, CONFIG)


def test_tracks_of_a_frame_that_are_nearest_to_one_person_are_contended(model: NamingModel) -> None:
    for first, second, second_s, is_contended in ((1, 1, 0.0, True), (1, 1, 1.0, False), (1, 2, 0.0, False)):
        tracks = [make_track(1, [0.0], embeddings=face_of(first, 8)[None])]
        tracks.append(make_track(2, [second_s], embeddings=face_of(second, 9)[None]))
        (names,) = identify_videos([(None, TrackColumns.of(tracks))], model, CONFIG)
        assert names.is_contended is is_contended


def test_figures_made_again_are_those_of_naming(model: NamingModel) -> None:
    own = face_of(3, 9)
    faces = (own, near(own, 0.995), face_of(STRANGER), face_of(4, 9), face_of(5, 9))
    columns = TrackColumns.of([make_track(i, [i // 2], embeddings=face[None]) for i, face in enumerate(faces)])
    confirmed = replace(model, corrections=Corrections({("a", 3): name_of(4), ("a", 4): name_of(7)}))
    for one in (confirmed, None):
        (names,) = identify_videos([("a", columns)], one, CONFIG, pair=cohort().pair)
        decided = [replace(match, probability=0.0, false_name_rate=1.0, candidates=()) for match in names.matches]
        assert match_again(columns, decided, one, CONFIG) == names.matches
    assert match_again(TrackColumns.of([]), [], model, CONFIG) == []


def test_a_name_that_was_not_decided_by_the_model_has_no_figures(model: NamingModel) -> None:
    columns = TrackColumns.of([make_track(6, [0.0], embeddings=face_of(1, 9)[None])])
    with pytest.raises(ValueError, match="'Nobody' is not among the likeliest people of track 6"):
        match_again(columns, [Match(Decision.NAMED, "Nobody", 0.0, 1.0)], model, CONFIG)


# Two faces are two people


def test_two_faces_of_a_picture_never_get_one_name(model: NamingModel) -> None:
    better, worse = near(prototype(model, 1), 0.99), near(prototype(model, 1), 0.97, 1)
    for order in ([better, worse], [worse, better]):
        matches = identify(model, order)
        assert [match.person_id for match in matches].count(name_of(1)) == 1
        assert matches[[face is better for face in order].index(True)].person_id == name_of(1)


def test_a_face_between_two_people_is_the_one_who_is_not_taken(model: NamingModel) -> None:
    first, second = prototype(model, 1), prototype(model, 2)
    between = normalize(1.2 * first + second)
    assert identify(model, [between])[0].person_id == name_of(1)
    assert [match.person_id for match in identify(model, [between, first])] == [name_of(2), name_of(1)]


@settings(max_examples=40, deadline=None)
@given(
    faces=st.lists(st.tuples(st.sampled_from(ENROLLED), st.sampled_from(ENROLLED), st.floats(0, 1)), max_size=8),
    frames=st.lists(st.sets(st.integers(0, 5), min_size=1), min_size=8, max_size=8),
)
def test_no_two_faces_of_a_frame_get_one_name_however_alike(
    model: NamingModel, faces: list[tuple[int, int, float]], frames: list[set[int]]
) -> None:
    embeddings = [normalize(w * prototype(model, a) + (1 - w) * prototype(model, b)) for a, b, w in faces]
    tracks = [
        make_track(i + 1, [float(f) for f in sorted(seen)], embeddings=face[None], frames=sorted(seen))
        for i, (face, seen) in enumerate(zip(embeddings, frames, strict=False))
    ]
    matches = identify_tracks(tracks, model, CONFIG)
    assert len(matches) == len(faces)
    for i, match in enumerate(matches):
        others = {m.person_id for j, m in enumerate(matches) if j != i and frames[i] & frames[j]}
        assert match.person_id is None or match.person_id not in others


def test_the_same_face_many_times_in_a_frame_is_named_once(model: NamingModel) -> None:
    matches = identify(model, [near(prototype(model, 1), 0.98, i) for i in range(10)])
    assert [match.decision for match in matches].count(Decision.NAMED) == 1


@pytest.mark.parametrize("place", range(0, 27, 3))
def test_of_one_picture_twice_in_a_frame_the_first_is_named_whatever_else_is_scored(
    model: NamingModel, place: int
) -> None:
    twice = np.stack([face_of(1, 30), face_of(1, 31)])
    twins = TrackColumns.of([make_track(i, [3.0, 4.0], embeddings=twice) for i in (1, 2)])
    for others in range(place, 40):
        videos = [
            (None, TrackColumns.of([make_track(1, [3.0], embeddings=face_of(40, at)[None])])) for at in range(others)
        ]
        found = identify_videos([*videos[:place], (None, twins), *videos[place:]], model, CONFIG)[place].matches
        assert [(match.person_id, match.reason) for match in found] == [
            (name_of(1), None), (None, UndecidableReason.SAME_PICTURE_BESIDE),
        ]  # fmt: skip


def test_tracks_that_share_a_frame_never_get_one_name(model: NamingModel) -> None:
    one = make_track(1, [0.0, 1.0, 2.0], embeddings=np.stack([face_of(4, 9)]))
    meanwhile = make_track(2, [2.0, 3.0], embeddings=np.stack([near(prototype(model, 4), 0.999)]))
    later = make_track(3, [4.0, 5.0], embeddings=np.stack([face_of(4, 8)]))
    first, second, third = identify_tracks([one, meanwhile, later], model, CONFIG)
    assert first.person_id is None
    assert second.person_id == third.person_id == name_of(4)


def test_one_person_before_and_after_a_double_keeps_both_tracks(model: NamingModel) -> None:
    own = prototype(model, 4)[None]
    tracks = [
        make_track(1, [0.0, 1.0], embeddings=own),
        make_track(2, [1.0, 2.0], embeddings=near(prototype(model, 4), 0.97)[None]),
        make_track(3, [2.0, 3.0], embeddings=own),
    ]
    assert [match.person_id for match in identify_tracks(tracks, model, CONFIG)] == [name_of(4), None, name_of(4)]


def test_only_tracks_that_share_a_frame_are_apart() -> None:
    tracks = [
        make_track(1, [0, 1], frames=[0, 25]),
        make_track(2, [1, 2], frames=[25, 50]),
        make_track(3, [3], frames=[75]),
    ]
    assert [others.tolist() for others in TrackColumns.of(tracks).apart()] == [[1], [0], []]


# The one knob


def test_a_stricter_limit_never_names_more(model: NamingModel) -> None:
    strangers = model.stills.strangers
    assert isinstance(model.classifier, PrototypeClassifier)
    taken_off = model.classifier.commonness(cohort().stills).mean()
    similarities = taken_off + np.linspace(np.median(strangers), strangers.max() + 0.02, 40)
    probes = np.stack([near(prototype(model, 1 + i % 20), float(s), i) for i, s in enumerate(similarities)])
    tracks = [make_track(i + 1, [float(i)], embeddings=probe[None]) for i, probe in enumerate(probes)]
    quality = np.ones(len(probes), np.float32)
    before: tuple[set[int], set[int]] | None = None
    for limit in (0.5, 0.2, 0.05, 0.01, 0.003, 0.001, 1e-4):
        matches = identify_faces(probes, quality, quality, model, CONFIG, max_false_names=limit)
        of_tracks = identify_tracks(tracks, model, CONFIG, max_false_names=limit)
        assert all(match.false_name_rate <= limit for match in [*matches, *of_tracks] if match.person_id)
        named = ({i for i, m in enumerate(matches) if m.person_id}, {i for i, m in enumerate(of_tracks) if m.person_id})
        if before is not None:
            assert named[0] <= before[0]
            assert named[1] <= before[1]
        else:
            assert named[0]
            assert named[1]
        before = named
    assert before is not None
    assert len(before[0]) < 30


def test_strangers_are_named_as_rarely_as_promised() -> None:
    stills = cohort().stills
    false_names = asked = 0
    for seed in range(8):
        order = np.random.default_rng(seed).permutation(len(stills))
        enrolled, probes = stills[order[:40]], stills[order[40:160]]
        rest = np.sort(order[160:])
        others = cohort().__class__(
            EMBEDDER, stills[rest], cohort().tracks[rest], cohort().pair,
            cohort().genuine_stills, cohort().genuine_tracks, "a part",
        )  # fmt: skip
        ids = tuple(f"p{i}" for i in range(40))
        fitted = fit_model(Gallery(EMBEDDER, enrolled, ids, ids), others, 0.5)
        for probe in probes:
            (match,) = identify_faces(
                probe[None], np.ones(1, np.float32), np.ones(1, np.float32), fitted, CONFIG, max_false_names=0.02
            )
            false_names += match.person_id is not None
            asked += 1
    assert asked == 960
    assert false_names / asked < 0.035


# What a track says


def test_a_track_is_weighted_by_quality() -> None:
    good, poor = face_of(1, 0), face_of(STRANGER, 0)
    track = make_track(1, [0.0, 1.0], embeddings=np.stack([good, poor]), quality=[0.9, 0.1])
    np.testing.assert_allclose(track_embedding(track), normalize(0.9 * good + 0.1 * poor), atol=1e-6)


def test_the_quality_that_weighs_is_that_of_the_kept_samples() -> None:
    track = make_track(
        1, [0.0, 1.0, 2.0], embeddings=np.stack([face_of(1, 0), face_of(2, 0)]), quality=[0.05, 0.4, 0.9]
    )
    track = replace(track, embedded=np.array([2, 0], np.int64))
    np.testing.assert_allclose(track_embedding(track), normalize(0.9 * face_of(1, 0) + 0.05 * face_of(2, 0)), atol=1e-6)


def test_a_track_without_any_quality_still_has_a_direction() -> None:
    track = make_track(1, [0.0, 1.0], embeddings=np.stack([face_of(1, 0), face_of(1, 1)]), quality=[0.0, 0.0])
    assert np.linalg.norm(track_embedding(track)) == pytest.approx(1, abs=1e-5)
    assert track_quality(track) == 0


def test_many_samples_name_a_person_whom_one_does_not(model: NamingModel) -> None:
    def track(faces: int) -> Match:
        embeddings = np.stack([face_of(5, 20 + i, similarity=0.82) for i in range(faces)])
        return identify_tracks([make_track(1, [float(i) for i in range(faces)], embeddings=embeddings)], model, CONFIG)[
            0
        ]

    one, many = track(1), track(10)
    assert one.decision is Decision.UNKNOWN
    assert many.person_id == name_of(5)
    assert many.false_name_rate < one.false_name_rate


def test_one_good_sample_does_not_make_a_track_good() -> None:
    times = [float(i) for i in range(9)]
    assert track_quality(make_track(1, times, quality=[0.95] + [0.1] * 8)) < 0.5
    # A face that is clear for a while is, however long it is not.
    assert track_quality(make_track(1, times, quality=[0.1] * 3 + [0.9] * 3 + [0.1] * 3)) == pytest.approx(0.9)
    assert track_quality(make_track(1, [0.0], quality=[0.7])) == pytest.approx(0.7)

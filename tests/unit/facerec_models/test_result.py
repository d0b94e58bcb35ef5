from __future__ import annotations

import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from facerec_models.analysis.analyze import Analysis, Timing
from facerec_models.analysis.reading.video_info import VideoInfo
from facerec_models.build_result import StrangerLabel, build_result, stranger_id
from facerec_models.identification.fit import fit_model
from facerec_models.identification.naming_model import Gallery, NamingModel
from facerec_models.result import EngineView, ModelView, Result, VideoView
from facerec_models.types import Candidate, Decision, Match, Track, UndecidableReason
from facerec_models.vectors import track_embedding
from tests.builders import EMBEDDER, cohort, face_of, make_match, make_track

VIDEO = VideoView(
    id="v1", name="clip.mp4", uri="file:///clip.mp4", sha256="ab" * 32, duration_s=20.0, start_pts_s=0.5, fps=25.0, frame_rate="25",
    start_timecode=None, stream=0, width=640, height=360, sample_aspect_ratio=1.0, complete=True, warnings=[], catalogue=None,
)  # fmt: skip
MODEL_VIEW = ModelView(
    version="3",
    embedder=EMBEDDER,
    classifier="prototype",
    max_false_names=0.005,
    prior_known=0.5,
    extrapolated=False,
    engine=EngineView(detector="openvino fp32 on cpu", embedder="openvino bf16 on cpu"),
)
INFO = VideoInfo(Path("clip.mp4"), "mov", "h264", 0, 20.0, 25.0, 0.04, 640, 360, 1.0, 0, 0.5, Fraction(1, 25))
SHOTS = ((0.0, 10.0), (10.0, 20.0))


@pytest.fixture(scope="module")
def model() -> NamingModel:
    faces = np.stack([face_of(1), face_of(2)])
    return fit_model(Gallery(EMBEDDER, faces, ("Ann_Lee", "Bob"), ("ann-1", "bob-1")), cohort(), 0.5)


# What the best track of the example shows.
BEST = np.stack([face_of(1, 1), face_of(1, 2)])
# Who the unknown tracks of the example show.
STRANGERS = {2: 1, 5: 2, 6: 1}


def build(model: NamingModel, tracks: list[Track], matches: list[Match], *, project: str = "default") -> Result:
    analysis = Analysis(
        info=INFO, embedder=EMBEDDER, tracks=tuple(tracks), shots=SHOTS, period_s=1.0, mode="frames", frames_sampled=20, densified=True,
        complete=True, warnings=(), timing=Timing(5.0, 1.0, 2.0, 1.5, 500, 60, 42),
    )  # fmt: skip
    return build_result(
        analysis,
        matches,
        video=VIDEO,
        project=project,
        analysis_id=None,
        revision="7",
        model=model,
        model_view=MODEL_VIEW,
        strangers={
            track.track_id: StrangerLabel(f"stranger-{who}", who)
            for track, match in zip(tracks, matches, strict=True)
            if match.decision is Decision.UNKNOWN
            for who in [STRANGERS.get(track.track_id, track.track_id)]
        },
        crop_url=lambda track_id, number: f"/crops/{track_id}/{number}",
        identify_s=0.25,
    )


@pytest.fixture(scope="module")
def example(model: NamingModel) -> Result:
    """Ann over a cut, two strangers of whom one comes back, and a face too poor to decide."""
    tracks = [
        make_track(1, [1.0, 2.0], embeddings=face_of(1)[None]),
        make_track(2, [2.0, 3.0], embeddings=face_of(31, 0, 0.99)[None]),
        make_track(3, [9.8], embeddings=face_of(1, 3)[None]),
        make_track(4, [10.1, 11.0], shot=1, embeddings=BEST, quality=[0.5, 0.95]),
        make_track(5, [12.0], shot=1, embeddings=face_of(32)[None]),
        make_track(6, [15.0, 16.0], shot=1, embeddings=face_of(31, 1, 0.99)[None]),
        make_track(7, [18.0], shot=1, embeddings=face_of(60)[None], quality=0.05),
    ]
    matches = [
        make_match("Ann_Lee", rate=0.004),
        make_match(),
        make_match("Ann_Lee", rate=0.003),
        make_match("Ann_Lee", rate=0.0001),
        make_match(),
        make_match(),
        make_match(decidable=False),
    ]
    return build(model, tracks, matches)


CANDIDATE = {"person_id", "similarity", "probability"}
# The document's fields as published; a list holds the fields of its items.
CONTRACT: dict[str, Any] = {
    "schema": None,
    "video": {"id", "name", "uri", "sha256", "duration_s", "start_pts_s", "fps", "frame_rate", "start_timecode", "stream", "width",
              "height", "sample_aspect_ratio", "complete", "warnings", "catalogue"},
    "project": None,
    "analysis_id": None,
    "revision": None,
    "model": {"version", "embedder", "classifier", "max_false_names", "prior_known", "extrapolated", "engine"},
    "sampling": {"period_s", "mode", "frames_sampled", "densified", "fragment", "fragments"},
    "appearances": {
        "person_id", "identity", "stranger", "label", "start_s", "end_s", "probability", "false_name_rate", "track_ids",
        "reason", "confirmed", "evidence",
    },
    "tracks": {
        "track_id", "shot", "start_s", "end_s", "person_id", "identity", "decision", "reason", "probability",
        "false_name_rate", "candidates", "samples",
    },
    "shots": None,
    "asked_for": None,
    "coverage": {"face_s", "named_s", "unknown_s", "undecidable_s"},
    "timing": {
        "wall_s", "decode_s", "detect_s", "embed_s", "identify_s", "frames_decoded", "frames_detected",
        "faces_embedded",
    },
}  # fmt: skip


def test_the_json_has_exactly_the_fields_of_the_contract(example: Result) -> None:
    document = json.loads(example.to_json())
    assert document["schema"] == "facerec.result/1"
    assert set(document) == set(CONTRACT)
    for name, fields in CONTRACT.items():
        for item in document[name] if name in ("appearances", "tracks") else [document[name]]:
            assert fields is None or set(item) == fields, name
    for appearance in document["appearances"]:
        evidence = appearance["evidence"]
        assert set(evidence) == {"crops", "nearest", "runner_up", "margin", "told_apart"}
        assert set(evidence["runner_up"]) == CANDIDATE
        assert all(set(crop) == {"time_s", "url"} for crop in evidence["crops"])
        assert all(set(face) == {"face_id", "similarity"} for face in evidence["nearest"])
    for track in document["tracks"]:
        assert all(set(candidate) == CANDIDATE for candidate in track["candidates"])
        for sample in track["samples"]:
            assert set(sample) == {"time_s", "frame_index", "box_xyxy", "score", "landmarks", "quality"}
            assert len(sample["box_xyxy"]) == 4
            assert np.shape(sample["landmarks"]) == (5, 2)
    assert document["shots"] == [[0.0, 10.0], [10.0, 20.0]]
    assert document["timing"] == {
        "wall_s": 5.0, "decode_s": 1.0, "detect_s": 2.0, "embed_s": 1.5, "identify_s": 0.25, "frames_decoded": 500,
        "frames_detected": 60, "faces_embedded": 42,
    }  # fmt: skip


def test_the_json_is_read_back_as_the_same_document(example: Result) -> None:
    assert Result.model_validate_json(example.to_json(indent=1)) == example


def test_the_json_schema_names_the_version_and_closes_every_object(example: Result) -> None:
    schema = Result.model_json_schema(by_alias=True)
    assert schema["properties"]["schema"]["const"] == "facerec.result/1"
    assert all(part["additionalProperties"] is False for part in [schema, *schema["$defs"].values()])
    with pytest.raises(ValidationError, match="confidence"):
        Result.model_validate({**json.loads(example.to_json()), "confidence": 1})


def test_every_appearance_has_a_label(example: Result) -> None:
    assert [(a.label, a.identity, a.person_id, a.track_ids) for a in example.appearances] == [
        ("Ann Lee", "Ann Lee", "Ann_Lee", [1]),
        ("Unknown 1", None, None, [2]),
        ("Ann Lee", "Ann Lee", "Ann_Lee", [3, 4]),
        ("Unknown 2", None, None, [5]),
        ("Unknown 1", None, None, [6]),
        ("Undecidable", None, None, [7]),
    ]


def test_only_who_is_unknown_is_a_stranger(example: Result) -> None:
    strangers = [a.stranger for a in example.appearances]
    assert [stranger is None for stranger in strangers] == [True, False, True, False, False, True]
    assert strangers[1] == strangers[4] != strangers[3]
    assert [a.label for a in example.appearances if a.stranger] == ["Unknown 1", "Unknown 2", "Unknown 1"]


def test_an_appearance_spans_its_tracks(example: Result) -> None:
    np.testing.assert_allclose(
        [(a.start_s, a.end_s) for a in example.appearances],
        [(0.5, 2.5), (1.5, 3.5), (9.3, 11.5), (11.5, 12.5), (14.5, 16.5), (17.5, 18.5)],
    )
    # Of several tracks the best one speaks.
    assert [a.false_name_rate for a in example.appearances][2] == 0.0001


def test_evidence_shows_the_best_crops_and_the_nearest_faces(example: Result, model: NamingModel) -> None:
    evidence = example.appearances[2].evidence
    assert [(crop.time_s, crop.url) for crop in evidence.crops] == [
        (11.0, "/crops/4/1"),
        (9.8, "/crops/3/0"),
        (10.1, "/crops/4/0"),
    ]
    assert [face.face_id for face in evidence.nearest] == ["ann-1"]
    assert evidence.runner_up is not None
    assert evidence.runner_up.person_id == "Bob"
    to_bob = float(model.prototypes[1] @ track_embedding(make_track(4, [0, 1], embeddings=BEST, quality=[0.5, 0.95])))
    assert evidence.runner_up.similarity == pytest.approx(to_bob, abs=1e-6)
    assert evidence.margin == pytest.approx(0.96 - to_bob, abs=1e-6)
    assert example.appearances[1].evidence.nearest == []


def test_the_runner_up_is_the_nearest_other_person_and_without_a_name_the_nearest(model: NamingModel) -> None:
    """Ann by confirmation, though Bob is nearer: the margin is below 0."""
    face = face_of(2, 4)
    track = make_track(1, [1.0], embeddings=face[None])
    to_ann, to_bob = (model.prototypes @ face).tolist()
    confirmed = Match(
        Decision.NAMED, "Ann_Lee", 1.0, 0.5, (Candidate("Ann_Lee", to_ann, 1.0), Candidate("Bob", to_bob, 0.0))
    )
    (view,) = build(model, [track], [confirmed]).appearances
    assert view.evidence.runner_up is not None
    assert (view.evidence.runner_up.person_id, view.evidence.margin) == (
        "Bob",
        pytest.approx(to_ann - to_bob, abs=1e-6),
    )
    assert view.evidence.margin < 0
    for nobody in (make_match(), make_match(decidable=False)):
        (view,) = build(model, [track], [nobody]).appearances
        assert view.evidence.runner_up is not None
        assert view.evidence.runner_up.person_id == "Bob"
        assert view.evidence.margin == pytest.approx(to_bob - to_ann, abs=1e-6)


def test_undecidable_appearances_alone_have_a_reason(model: NamingModel, example: Result) -> None:
    assert [view.reason is None for view in example.appearances] == [True] * 5 + [False]
    assert [track.reason for track in example.tracks if track.decision == "undecidable"] == [
        view.reason for view in example.appearances if view.reason
    ]
    image = replace(make_match(decidable=False), reason=UndecidableReason.SAME_PICTURE_BESIDE, beside="Ann_Lee")
    (view,) = build(model, [make_track(1, [1.0], embeddings=face_of(1)[None])], [image]).appearances
    assert view.reason is not None
    assert "Ann Lee, who is named beside it in the same frame" in view.reason
    assert [face.face_id for face in view.evidence.nearest] == ["ann-1"]


def test_coverage_counts_each_second_once(model: NamingModel) -> None:
    tracks = [
        make_track(1, [1.0, 4.0]),  # 0.5 to 4.5
        make_track(2, [2.0, 3.0]),  # 1.5 to 3.5, within
        make_track(3, [4.5, 6.0]),  # 4.0 to 6.5, overlaps
        make_track(4, [9.5]),  # 9.0 to 10.0
        make_track(5, [10.5, 12.0], shot=1),  # 10.0 to 12.5
    ]
    named, unknown, undecidable = make_match("Bob"), make_match(), make_match(decidable=False)
    coverage = build(model, tracks, [named, unknown, named, undecidable, unknown]).coverage
    assert coverage.face_s == pytest.approx(6.0 + 1.0 + 2.5)
    assert coverage.named_s == pytest.approx(6.0)
    assert coverage.unknown_s == pytest.approx(2.0 + 2.5)
    assert coverage.undecidable_s == pytest.approx(1.0)


def first_id(project: str, video: str, track: Track) -> str:
    return stranger_id(project, video, int(track.frame_indexes[0]), track.boxes[0])


def test_a_video_without_faces_has_an_empty_result(model: NamingModel) -> None:
    empty = build(model, [], [])
    assert (empty.appearances, empty.tracks) == ([], [])
    assert empty.coverage.face_s == 0
    assert empty.shots == list(SHOTS)


def test_strangers_of_other_videos_and_places_have_other_ids() -> None:
    track = make_track(1, [2.0])
    ids = {
        first_id("p", "a", track),
        first_id("p", "b", track),
        first_id("q", "a", track),
        first_id("p", "a", make_track(1, [3.0])),
        first_id("p", "a", make_track(1, [2.0], x=100)),
    }
    assert len(ids) == 5
    assert all(re.fullmatch(r"stranger-[a-z2-7]{10}", identifier) for identifier in ids)


def test_a_track_whose_embeddings_were_forgotten_has_no_evidence(model: NamingModel) -> None:
    empty = make_track(1, [1.0, 2.0], embeddings=np.zeros((0, 128), np.float32))
    (appearance,) = build(model, [empty], [make_match(decidable=False)]).appearances
    assert appearance.label == "Undecidable"
    assert (appearance.evidence.crops, appearance.evidence.nearest) == ([], [])


def test_a_gallery_of_one_person_has_no_runner_up() -> None:
    alone = fit_model(Gallery(EMBEDDER, face_of(1)[None], ("Bob",), ("bob-1",)), cohort(), 0.5)
    match = replace(make_match("Bob"), candidates=make_match("Bob").candidates[:1])
    match = replace(match, candidates=(replace(match.candidates[0], person_id="Bob"),))
    (appearance,) = build(alone, [make_track(1, [1.0], embeddings=face_of(1)[None])], [match]).appearances
    assert appearance.evidence.runner_up is None
    assert appearance.evidence.margin is None
    assert [face.face_id for face in appearance.evidence.nearest] == ["bob-1"]

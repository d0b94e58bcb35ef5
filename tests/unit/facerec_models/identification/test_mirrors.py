"""A person and their image in one picture or video, from photographs to names, with the real networks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from facerec_models.analysis.analyze import analyze
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.faces import find_faces
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.config import AnalysisConfig, DetectionConfig, IdentificationConfig
from facerec_models.identification.fit import fit_model
from facerec_models.identification.identify import identify_tracks
from facerec_models.identification.naming_model import Gallery, NamingModel
from facerec_models.stills import FaceView, name_still
from facerec_models.types import Decision, FaceSet, ImageArray, UndecidableReason
from facerec_models.video_writer import VideoWriter
from tests.builders import EMBEDDER, cohort, face_of, sample_picture

RULES = IdentificationConfig()
# A head and shoulders of the size of a video's face.
FACE = np.ascontiguousarray(sample_picture("astronaut.png")[:300, 80:380])


def beside(*images: ImageArray) -> ImageArray:
    """Put pictures side by side, each in the middle of a tile."""
    height, width = max(image.shape[0] for image in images), max(image.shape[1] for image in images)
    tiles = []
    for image in images:
        tile = np.full((height, width, 3), 128, np.uint8)
        top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
        tile[top : top + image.shape[0], left : left + image.shape[1]] = image
        tiles.append(tile)
    return np.ascontiguousarray(np.hstack(tiles))


def reduced(image: ImageArray, scale: float) -> ImageArray:
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def mirrored(image: ImageArray) -> ImageArray:
    return np.ascontiguousarray(np.fliplr(image))


def screen(image: ImageArray) -> ImageArray:
    """A copy as a screen in the picture shows it: smaller, paler, bluish."""
    return np.asarray(np.clip(reduced(image, 0.6) * [0.75, 0.8, 0.9] + 30, 0, 255), np.uint8)


TWICE = {
    "mirror": beside(FACE, mirrored(FACE)),
    "split screen": beside(FACE, FACE),
    "small": beside(FACE, reduced(FACE, 0.5)),
    "screen": beside(FACE, screen(mirrored(FACE))),
}


@pytest.fixture(scope="module")
def seen(detector: MtcnnDetector, embedder: FaceEmbedder) -> dict[str, FaceSet]:
    pictures = {"alone": FACE, **TWICE}
    found = find_faces(list(pictures.values()), detector, embedder, DetectionConfig(device="cpu"))
    return dict(zip(pictures, found, strict=True))


def model_of(face: FaceSet | None) -> NamingModel:
    """Return a model that knows three people of numbers, and the astronaut where her face is given."""
    others = np.stack([face_of(who) for who in (1, 2, 3)])
    embeddings = others if face is None else np.concatenate([others, face.embeddings])
    people = ("Ann_Lee", "Bob", "Cem", "Eileen_Collins")[: len(embeddings)]
    return fit_model(Gallery(EMBEDDER, embeddings, people, people), cohort(), RULES.prior_known)


def answers(seen: dict[str, FaceSet], kind: str, *, enrolled: bool) -> list[FaceView]:
    model = model_of(seen["alone"] if enrolled else None)
    return sorted(name_still(kind, seen[kind], model, RULES, None).faces, key=lambda face: face.decision)


@pytest.mark.parametrize("kind", TWICE)
def test_a_photograph_of_a_person_twice_names_them_once_with_a_reason(seen: dict[str, FaceSet], kind: str) -> None:
    named, image = answers(seen, kind, enrolled=True)
    assert (named.decision, named.identity, named.reason) == ("named", "Eileen Collins", None)
    assert (image.decision, image.person_id) == ("undecidable", None)
    assert "Eileen Collins, who is named beside it" in (image.reason or "")
    assert image.candidates[0].person_id == "Eileen_Collins"


@pytest.mark.parametrize("kind", TWICE)
def test_a_photograph_that_shows_a_stranger_twice_shows_one_stranger(seen: dict[str, FaceSet], kind: str) -> None:
    image, unknown = answers(seen, kind, enrolled=False)
    assert (unknown.decision, unknown.reason) == ("unknown", None)
    assert image.decision == "undecidable"
    assert "an unknown face beside it" in (image.reason or "")


def test_a_person_and_their_mirror_image_in_a_video_are_one(
    seen: dict[str, FaceSet], detector: MtcnnDetector, embedder: FaceEmbedder, tmp_path: Path
) -> None:
    path = tmp_path / "mirror.mp4"
    picture = beside(FACE, mirrored(FACE))
    with VideoWriter(path, 25, picture.shape[1], picture.shape[0]) as writer:
        for shift in np.linspace(0, 12, 60).round().astype(int).tolist():
            writer.write(np.roll(picture, shift, axis=0))
    tracks = analyze(path, AnalysisConfig(), detector, embedder, cohort().pair).tracks
    assert len(tracks) == 2
    for enrolled, rest in ((True, Decision.NAMED), (False, Decision.UNKNOWN)):
        model = model_of(seen["alone"] if enrolled else None)
        matches = sorted(identify_tracks(tracks, model, RULES), key=lambda match: match.reason is None)
        assert [match.decision for match in matches] == [Decision.UNDECIDABLE, rest]
        assert matches[0].reason is UndecidableReason.SAME_PICTURE_BESIDE
        assert matches[0].beside == matches[1].person_id

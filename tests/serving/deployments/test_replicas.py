"""The bodies of the batched methods, without Ray: what is done together equals what is done one by one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from facerec_models.analysis.detection import reduce_image
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.faces import describe_faces
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.config import DetectionConfig, EmbeddingConfig
from facerec_models.errors import WeightsError
from facerec_models.identification.fit import fit_model
from facerec_models.identification.naming_model import Gallery, NamingModel
from facerec_models.stills import StillResult
from facerec_models.types import FaceSet, ImageArray
from serving.api.addresses import crop_address
from serving.deployments.classifier import ClassifierReplica
from serving.deployments.detector import DetectorReplica
from serving.deployments.embedder import EmbedderReplica
from serving.settings import Settings
from serving.store.rows import AnalysisRow
from tests.builders import EMBEDDER, Seen, cohort, face_of, face_set, near, sample_picture


@pytest.fixture(scope="module")
def pictures() -> list[ImageArray]:
    """A face, nothing, two faces, and the first again at another size."""
    face = sample_picture("astronaut.png")
    blank = np.full((120, 160, 3), 60, np.uint8)
    return [face, blank, np.hstack([face, face[:, ::-1]]), reduce_image(face, 300)[0]]


@pytest.fixture(scope="module")
def crops(detector: MtcnnDetector, embedder: FaceEmbedder, pictures: list[ImageArray]) -> ImageArray:
    return np.concatenate([faces.crops for faces in describe_faces(pictures, detector.detect(pictures), embedder)])


def test_requests_are_detected_together_as_alone(detector: MtcnnDetector, pictures: list[ImageArray]) -> None:
    replica = DetectorReplica(DetectionConfig(), engine=detector)
    requests = [pictures[:2], [], pictures[2:], pictures[:1]]
    together = [answer.unwrap() for answer in replica.detect_all(requests)]
    assert [[len(found) for found in reply] for reply in together] == [[1, 0], [], [2, 1], [1]]
    for request, reply in zip(requests, together, strict=True):
        for alone, found in zip(detector.detect(request) if request else [], reply, strict=True):
            np.testing.assert_allclose(found.boxes, alone.boxes, atol=0.5)
            np.testing.assert_allclose(found.landmarks, alone.landmarks, atol=0.5)
            np.testing.assert_allclose(found.scores, alone.scores, atol=1e-3)


def test_a_request_that_is_no_picture_fails_alone(detector: MtcnnDetector, pictures: list[ImageArray]) -> None:
    replica = DetectorReplica(DetectionConfig(), engine=detector)
    flat = np.zeros((40, 40), np.uint8)
    good, bad, also_good = replica.detect_all([pictures[:1], [flat], pictures[2:3]])
    assert [len(found) for found in good.unwrap() + also_good.unwrap()] == [1, 2]
    assert bad.error is not None
    with pytest.raises(type(bad.error)):
        bad.unwrap()


def test_requests_are_embedded_together_as_alone(embedder: FaceEmbedder, crops: ImageArray) -> None:
    replica = EmbedderReplica(EmbeddingConfig(), Path(), engine=embedder)
    assert len(crops) == 4
    together = [answer.unwrap() for answer in replica.embed_all([crops[:1], crops[1:3], crops[3:]])]
    assert [len(part) for part in together] == [1, 2, 1]
    alone = np.concatenate([embedder.embed(crop[None]) for crop in crops])
    np.testing.assert_allclose(np.concatenate(together), alone, atol=1e-4)


def test_crops_of_a_wrong_size_fail_alone(embedder: FaceEmbedder, crops: ImageArray) -> None:
    replica = EmbedderReplica(EmbeddingConfig(), Path(), engine=embedder)
    good, bad = replica.embed_all([crops, np.zeros((1, 7, 9, 3), np.uint8)])
    assert good.unwrap().shape == (4, embedder.dimension)
    assert bad.error is not None


def test_healthy_networks_name_their_weights(detector: MtcnnDetector, embedder: FaceEmbedder) -> None:
    DetectorReplica(DetectionConfig(), engine=detector).check_health()
    replica = EmbedderReplica(EmbeddingConfig(), Path(), engine=embedder)
    replica.check_health()
    facts = asyncio.run(replica.facts())
    assert (facts.name, facts.dimension, facts.template) == (embedder.name, embedder.dimension, embedder.template)
    assert (facts.terms, facts.engine) == (embedder.terms, embedder.engine)


def test_a_network_that_fails_is_not_healthy() -> None:
    class Broken:
        def detect(self, images: object) -> list[object]:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        DetectorReplica(DetectionConfig(), engine=Broken()).check_health()  # type: ignore[arg-type]


def test_weights_that_are_missing_are_never_replaced(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="facenet-vggface2"):
        EmbedderReplica(EmbeddingConfig(embedder="facenet-vggface2", device="cpu"), tmp_path)


@pytest.fixture(scope="module")
def models() -> list[NamingModel]:
    """A model of the people 0 to 4, and one of 5 to 9."""
    return [
        fit_model(
            Gallery(
                EMBEDDER,
                np.stack([face_of(number, at) for number in numbers for at in range(3)]),
                tuple(f"Person_{number}" for number in numbers for _ in range(3)),
                tuple(f"f-{number}-{at}" for number in numbers for at in range(3)),
            ),
            cohort(),
            0.5,
        )
        for numbers in (range(5), range(5, 10))
    ]


@pytest.fixture
def namer(tmp_path: Path) -> ClassifierReplica:
    return ClassifierReplica(Settings(home=tmp_path))


def test_pictures_are_named_together_as_alone_each_by_its_model(
    namer: ClassifierReplica, models: list[NamingModel]
) -> None:
    faces = face_set([Seen(1, 100), Seen(6, 300)], at=7)
    unread = StillResult(path="c", faces=[], error="no picture")
    hardly_alike = face_set([Seen(0, 100, embedding=near(face_of(0, 1), 0.87))])
    requests: list[tuple[list[str], list[FaceSet | StillResult], NamingModel, float | None]] = [
        (["a"], [faces], models[0], None),
        (["b"], [faces], models[1], None),
        (["c", "d"], [unread, hardly_alike], models[0], None),
        (["e"], [hardly_alike], models[0], 0.4),
    ]
    answers = [answer.unwrap() for answer in namer.name_all(requests)]
    together = [still for answer in answers for still in answer]
    assert [[face.person_id for face in still.faces] for still in together[:3]] == [
        ["Person_1", None],
        [None, "Person_6"],
        [],
    ]
    assert [still.path for still in together] == ["a", "b", "c", "d", "e"]
    # Only the more generous limit names a face that is hardly like the person's.
    assert [still.faces[0].person_id for still in together[3:]] == [None, "Person_0"]
    assert together[2].error == "no picture"
    assert answers == [namer.name_all([request])[0].unwrap() for request in requests]


def test_faces_of_another_network_fail_alone(namer: ClassifierReplica, models: list[NamingModel]) -> None:
    faces = face_set([Seen(1, 100)])
    other = FaceSet(faces.detections, faces.crops, faces.quality, np.ones((1, 512), np.float32))
    good, bad = namer.name_all([(["good"], [faces], models[0], None), (["bad"], [other], models[0], None)])
    assert good.unwrap()[0].faces[0].person_id == "Person_1"
    assert bad.error is not None


def test_a_crops_address_is_a_route() -> None:
    row = AnalysisRow("a-1", "p", "v-1", "key", EMBEDDER, {}, 0.0)
    assert crop_address(row, 3, 0) == "/v1/projects/p/videos/v-1/crops/a-1/3/0.jpg"

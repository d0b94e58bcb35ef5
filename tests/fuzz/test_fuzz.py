"""A short run of each fuzzing command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from fastapi.testclient import TestClient

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from serving.api.app import build_api
from serving.api.service import Service
from serving.archive.learning.model_versions import train
from serving.settings import Settings
from tests.fuzz import interface, media, parsers
from tests.local_servers import running
from tests.serving.in_process import enrol_all, in_process
from ui.demo_material import DemoMaterial


@pytest.fixture(scope="module")
def served(
    detector: MtcnnDetector, embedder: FaceEmbedder, material: DemoMaterial, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TestClient, Service]]:
    """A service in this process, where a project ``p`` has the demonstration's people and a model."""
    with in_process(Settings(home=tmp_path_factory.mktemp("fuzzed")), detector, embedder) as (client, service):
        enrol_all(client, "p", material)
        train(service.archive, "p")
        yield client, service


@pytest.mark.expects_errors
def test_the_interface_answers_what_it_declares(served: tuple[TestClient, Service]) -> None:
    _, service = served
    # What would start processes of its own.
    left_out = interface.LEFT_OUT | {
        ("POST", "/v1/projects/{project}/training"),
        ("POST", "/v1/projects/{project}/identify"),
        ("POST", "/v1/projects/{project}/embedder/prepare"),
    }
    with running(build_api(service)) as url:
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        known = {"project": ["p"], "person_id": ["Eileen_Collins"], "video_id": ["v-aaaaaaaaaaaaaaaa"]}
        statuses = interface.fuzz(schema, known, 0, 6, left_out)
    assert {"200", "404", "422"} <= statuses.keys()


@pytest.mark.expects_errors
def test_parsers_read_or_refuse() -> None:
    counts = parsers.fuzz(0, 25)
    assert min(counts["read"], counts["refused"]) > 50


@pytest.mark.expects_errors
def test_damaged_media_are_answered(
    served: tuple[TestClient, Service], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FACEREC_EVAL_DATA", raising=False)
    client, service = served
    found = media.fuzz(client, "p", 0, 24, tmp_path)
    assert found["faces 200"] == 12
    assert list(service.archive.files.uploads.glob("*.unfinished")) == []

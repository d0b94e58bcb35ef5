"""The service without Ray: handles that call the replicas' own methods in this process, with real networks and a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from fastapi.testclient import TestClient

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.config import DetectionConfig, EmbeddingConfig
from facerec_models.errors import FacerecError
from serving.api.app import build_api
from serving.api.service import Service
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import load_model
from serving.archive.naming import one_video as naming
from serving.archive.naming.one_video import CropUrl, stored_result
from serving.deployments.analyzer import AnalyzerReplica
from serving.deployments.batching import ItemResult
from serving.deployments.classifier import ClassifierReplica
from serving.deployments.detector import DetectorReplica
from serving.deployments.embedder import EmbedderReplica
from serving.settings import Settings
from serving.store.rows import AnalysisRow
from tests.serving.routes import local_client
from ui.demo_material import DemoMaterial


class Reply:
    """What a handle's method returns: to be awaited, or asked for its result."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Any:
        return asyncio.sleep(0, self._value).__await__()

    def result(self, timeout_s: float) -> Any:
        return self._value


def answer(function: Callable[[], str]) -> ItemResult[str]:
    """Return what a replica answers, see `serving.deployments.batching.answer_of`."""
    try:
        return ItemResult(function())
    except FacerecError as error:
        return ItemResult(error=error)


def handle(**methods: Any) -> Any:
    return SimpleNamespace(
        **{name: SimpleNamespace(remote=lambda *a, f=f: Reply(f(*a))) for name, f in methods.items()},
        options=lambda multiplexed_model_id: handle(
            **{n: lambda *a, f=f: f(multiplexed_model_id, *a) for n, f in methods.items()}
        ),
    )


@contextmanager
def in_process(
    settings: Settings, detector: MtcnnDetector, embedder: FaceEmbedder
) -> Iterator[tuple[TestClient, Service]]:
    """Answer requests and work on jobs, but those of training, until the block ends."""
    finder = DetectorReplica(DetectionConfig(), engine=detector)
    network = EmbedderReplica(EmbeddingConfig(), settings.home, engine=embedder)
    namer = ClassifierReplica(settings)

    def name_stills(model_id: str, *request: Any) -> Any:
        project, version = model_id.split("/")
        names, found, limit = request
        return namer.name_all([(names, found, load_model(archive.files, project, version), limit)])[0]

    # Here and not when it is asked: that may be within a loop.
    with ThreadPoolExecutor(1) as aside:
        engine = aside.submit(lambda: asyncio.run(finder.engine())).result()
        facts = aside.submit(lambda: asyncio.run(network.facts())).result()
    detectors = handle(detect=lambda images: finder.detect_all([images])[0], engine=lambda: engine)
    embedders = handle(embed=lambda crops: network.embed_all([crops])[0], facts=lambda: facts)

    def result(project: str, video_id: str, crop_url: CropUrl, with_samples: bool = True) -> ItemResult[str]:
        return answer(lambda: stored_result(archive, project, video_id, crop_url, with_samples=with_samples).to_json())

    def result_of(analysis: AnalysisRow, crop_url: CropUrl) -> ItemResult[str]:
        return answer(lambda: naming.result_of(archive, analysis, crop_url).to_json())

    classifiers = handle(name_stills=name_stills, result=result, result_of=result_of)
    analyzer = AnalyzerReplica(settings, detectors, embedders, slots=1)
    archive = Archive.of(settings)
    service = Service(settings, archive, detectors, embedders, classifiers, handle(wake=analyzer.wake))
    finder.check_health()
    network.check_health()
    with local_client(build_api(service)) as client:
        yield client, service
    analyzer.check_health()
    del analyzer


def enrol_all(client: TestClient, project: str, material: DemoMaterial) -> None:
    """Make a project with the demonstration's people."""
    client.put(f"/v1/projects/{project}")
    for folder in sorted(material.people.iterdir()):
        files = [("files", (path.name, path.read_bytes())) for path in sorted(folder.iterdir())]
        assert client.post(f"/v1/projects/{project}/people/{folder.name}/pictures", files=files).status_code == 200


def wait(client: TestClient, job_id: str) -> dict[str, Any]:
    text = client.get(f"/v1/jobs/{job_id}/events").text
    assert text.rstrip().rsplit("\n\n", 1)[-1].startswith("event: end")
    job: dict[str, Any] = client.get(f"/v1/jobs/{job_id}").json()
    return job

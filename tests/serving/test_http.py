"""The routes without Ray: handles that call the replicas' own methods in this process, with real networks and a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from ray.serve.exceptions import BackPressureError

from facerec_models.config import DetectionConfig, EmbeddingConfig
from facerec_models.embedders.torch_embedder import TorchEmbedder
from facerec_models.mtcnn import MtcnnDetector
from serving.analyzer import AnalyzerReplica
from serving.api.app import build_api
from serving.api.service import Service
from serving.classifier import ClassifierReplica, crop_address
from serving.detector import DetectorReplica
from serving.embedder import EmbedderReplica
from serving.home import Home
from serving.naming import load_model, stored_result
from serving.settings import Settings
from serving.store import open_store
from ui.demo_material import DemoMaterial


class Reply:
    """What a handle's method returns: to be awaited, or asked for its result."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Any:
        return asyncio.sleep(0, self._value).__await__()

    def result(self, timeout_s: float) -> Any:
        return self._value


def handle(**methods: Any) -> Any:
    return SimpleNamespace(
        **{name: SimpleNamespace(remote=lambda *a, f=f: Reply(f(*a))) for name, f in methods.items()},
        options=lambda multiplexed_model_id: handle(
            **{n: lambda *a, f=f: f(multiplexed_model_id, *a) for n, f in methods.items()}
        ),
    )


@pytest.fixture(scope="module")
def client(
    detector: MtcnnDetector, embedder: TorchEmbedder, material: DemoMaterial, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("http")
    settings, home = Settings(home=root, max_queued_jobs=3, media_roots=(material.reel.parent,)), Home(root)
    finder = DetectorReplica(DetectionConfig(), engine=detector)
    network = EmbedderReplica(EmbeddingConfig(), root, engine=embedder)
    namer = ClassifierReplica(root, settings.identification)

    def name_still(model_id: str, *request: Any) -> Any:
        project, version = model_id.split("/")
        name, found, limit = request
        return namer.name_all([(name, found, load_model(home, project, version), limit)])[0].unwrap()

    detectors = handle(detect=lambda images: finder.detect_all([images])[0].unwrap())
    embedders = handle(
        embed=lambda crops: network.embed_all([crops])[0].unwrap(), facts=lambda: asyncio.run(network.facts())
    )

    def result(project: str, video_id: str) -> str:
        return stored_result(service.store, home, project, video_id, settings.identification, crop_address).to_json()

    classifiers = handle(name_still=name_still, result=result)
    analyzer = AnalyzerReplica(settings, detectors, embedders, slots=1)
    service = Service(settings, home, open_store(root), detectors, embedders, classifiers, handle(wake=analyzer.wake))
    finder.check_health()
    network.check_health()
    with TestClient(build_api(service), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        client.put("/v1/projects/shown")
        for folder in sorted(material.people.iterdir()):
            files = [("files", (path.name, path.read_bytes())) for path in sorted(folder.iterdir())]
            assert client.post(f"/v1/projects/shown/people/{folder.name}/pictures", files=files).status_code == 200
        from training.train import train

        train(service.store, home, "shown", settings.identification)
        yield client
    analyzer.check_health()
    del analyzer


def wait(client: TestClient, job_id: str) -> dict[str, Any]:
    text = client.get(f"/v1/jobs/{job_id}/events").text
    assert text.rstrip().rsplit("\n\n", 1)[-1].startswith("event: end")
    job: dict[str, Any] = client.get(f"/v1/jobs/{job_id}").json()
    return job


def test_a_video_goes_through(client: TestClient, clip: Path) -> None:
    sent = client.post("/v1/projects/shown/videos", files={"file": ("a.mp4", clip.read_bytes())})
    assert sent.status_code == 202
    job = wait(client, sent.json()["job_id"])
    assert (job["state"], job["progress"]) == ("succeeded", 1.0)
    base = f"/v1/projects/shown/videos/{sent.json()['video_id']}"
    result = client.get(f"{base}/result").json()
    assert {a["identity"] for a in result["appearances"] if a["identity"]} == {"Eileen Collins", "Carphone Man"}
    assert client.get(result["appearances"][0]["evidence"]["crops"][0]["url"]).content[:2] == b"\xff\xd8"
    assert client.get(f"{base}/crops/a-none/1/0.jpg").status_code == 404
    assert "Carphone Man" in client.get(f"{base}/result.csv").text
    assert client.get(f"{base}/annotated.mp4").headers["content-type"] == "video/mp4"
    assert client.get(f"{base}/file", headers={"Range": "bytes=5-9"}).status_code == 206
    assert client.get("/healthz").json()["embedder"] == "dlib-resnet-v1"
    assert client.get("/v1/projects/shown/videos").json()[0]["name"] == "a.mp4"
    assert client.post("/v1/projects/shown/identify?preview=true").json()["tracks"] > 0


def test_files_by_address_only_where_the_operator_allows(
    client: TestClient, material: DemoMaterial, tmp_path: Path
) -> None:
    settings = {"fragment": [10, 12], "sampling": {"fps": 2}}
    sent = client.post("/v1/projects/shown/videos", json={"uri": material.reel.as_uri(), **settings})
    assert sent.status_code == 202
    assert wait(client, sent.json()["job_id"])["state"] == "succeeded"
    for uri in (tmp_path.as_uri(), f"{material.reel.parent.as_uri()}/../../etc/passwd", "https://example.org/a.mp4"):
        assert client.post("/v1/projects/shown/videos", json={"uri": uri}).status_code == 422
    bad = client.post("/v1/projects/shown/videos", json={"uri": material.reel.as_uri(), "sampling": {"fps": -1}})
    assert "sampling.fps" in bad.json()["detail"]


def test_an_upload_that_is_no_video_leaves_nothing(client: TestClient) -> None:
    home: Home = client.app.state.service.home  # type: ignore[attr-defined]
    before = sorted(home.uploads.iterdir()) if home.uploads.exists() else []
    answer = client.post("/v1/projects/shown/videos", files={"file": ("x.mp4", b"ffconcat version 1.0\nfile a.mp4\n")})
    assert (answer.status_code, answer.json()["title"]) == (422, "VideoOpen")
    assert (sorted(home.uploads.iterdir()) if home.uploads.exists() else []) == before


def test_pictures(client: TestClient, material: DemoMaterial) -> None:
    good = next((material.people / "Eileen_Collins").iterdir()).read_bytes()
    files = [("files", ("good.jpg", good)), ("files", ("bad.jpg", b"no picture"))]
    first, second = client.post("/v1/projects/shown/faces", files=files).json()
    assert (first["path"], first["faces"][0]["identity"]) == ("good.jpg", "Eileen Collins")
    assert "bad.jpg" in second["error"]
    large = client.post("/v1/projects/shown/faces", files={"files": ("large.jpg", b"0" * (64 * 2**20 + 1))})
    assert large.status_code == 413
    assert client.get("/v1/projects/shown/faces/..%2F..%2Fx.jpg").status_code in {404, 422}
    assert client.get("/v1/projects/shown/faces/f-none.jpg").status_code == 404


def test_a_face_is_searched_in_all_videos(client: TestClient, material: DemoMaterial, clip: Path) -> None:
    sent = client.post("/v1/projects/shown/videos", files={"file": ("a.mp4", clip.read_bytes())})
    wait(client, sent.json()["job_id"])
    (found,) = client.get("/v1/projects/shown/appearances?person_id=Eileen_Collins&limit=1").json()["items"]
    good = next((material.people / "Eileen_Collins").iterdir()).read_bytes()
    answer = client.post("/v1/projects/shown/search/faces", files={"file": ("good.jpg", good)})
    assert answer.status_code == 200, answer.text
    hits = answer.json()[0]["hits"]
    assert (hits[0]["identity"], hits[0]["is_named"]) == ("Eileen Collins", True)
    assert found["video_id"] in {hit["video_id"] for hit in hits}
    assert client.get(hits[0]["crop"]).content[:2] == b"\xff\xd8"
    assert [hit["similarity"] for hit in hits] == sorted((hit["similarity"] for hit in hits), reverse=True)
    refused = client.post("/v1/projects/shown/search/faces", files={"file": ("bad.jpg", b"no picture")})
    assert refused.status_code == 422


def test_a_full_queue_says_when_to_come_back(client: TestClient) -> None:
    store = client.app.state.service.store  # type: ignore[attr-defined]
    from serving.jobs import submit

    store.create_project("busy")
    for _ in range(3):
        submit(store, "busy", "of-another-kind", {}, max_queued=9)
    answer = client.post("/v1/projects/shown/training")
    assert (answer.status_code, answer.json()["title"]) == (429, "Busy")
    assert int(answer.headers["Retry-After"]) > 0
    for job in store.list_jobs("busy"):
        assert client.post(f"/v1/jobs/{job.job_id}/cancel").json()["state"] == "cancelled"


@pytest.mark.expects_errors
def test_back_pressure_and_bugs_become_problems(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    store = client.app.state.service.store  # type: ignore[attr-defined]

    def full(*_: object) -> None:
        raise BackPressureError(num_queued_requests=9, max_queued_requests=9)

    monkeypatch.setattr(type(store), "list_projects", full)
    answer = client.get("/v1/projects")
    assert answer.status_code == 429
    assert "Retry-After" in answer.headers


def test_foreign_pages_are_refused(client: TestClient) -> None:
    assert client.get("/healthz", headers={"Origin": "http://localhost:7860"}).status_code == 200
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        assert client.get("/healthz", headers=headers).status_code == 403

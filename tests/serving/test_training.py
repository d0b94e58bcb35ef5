"""Training on Ray: in tasks, in the service, and as a job of a cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import numpy as np
import pytest

from facerec_models.analysis.alignment import DLIB_TEMPLATE, FACENET_TEMPLATE, realign
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.config import EmbeddingConfig, TrainingConfig
from facerec_models.files import write_atomically
from facerec_models.images import encode_crop
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import train
from serving.store.contract import Store
from serving.store.job_rows import JobState
from serving.store.opening import open_store
from tests.archive import put_people
from tests.builders import EMBEDDER, face_of, sample_picture
from tests.contract.store_cases import make_face
from tests.serving.jobs.runners import final
from tests.serving.service import RunningService, free_port
from tests.serving.train_command import command
from tests.waiting import WAIT_S, wait_until
from training.ray_tasks import Workers
from ui.client import FacerecClient
from ui.demo_material import DemoMaterial


@pytest.fixture
def store(store: Store) -> Store:
    """Forty people of three faces each, in project ``p``."""
    put_people(store, "p", 40, faces_each=3)
    return store


def test_pictures_without_a_vector_are_embedded_in_tasks_and_no_others(
    archive: Archive, store: Store, embedder: FaceEmbedder
) -> None:
    size = embedder.template.size
    crop = np.ascontiguousarray(sample_picture("astronaut.png")[:size, 150 : 150 + size])
    for face_id, embedding, of, kept in (
        ("new", None, EMBEDDER, crop),
        ("kept", face_of(50), EMBEDDER, crop),
        ("other", face_of(51), "facenet-casia", realign(crop, DLIB_TEMPLATE, FACENET_TEMPLATE)),
        ("odd", None, EMBEDDER, crop[1:]),
    ):
        write_atomically(archive.files.face_crop("p", face_id), encode_crop(kept))
        store.put_faces("p", [make_face(face_id, "Zoë", embedder=of, embedding=embedding)])
    with Workers(archive.files.root) as workers:
        row = train(archive, "p", workers=workers, embedding=EmbeddingConfig(device="cpu"))
    assert (row.metrics["embedded_faces"], row.metrics["unusable_faces"], row.faces) == (2, 1, 123)
    by_id = {face.face_id: face for face in store.list_faces("p", person_id="Zoë")}
    vector = by_id["new"].embedding
    assert vector is not None
    assert float(vector @ embedder.embed(crop[None])[0]) > 0.99
    np.testing.assert_array_equal(by_id["kept"].embedding, face_of(50))
    other = by_id["other"].embedding
    assert by_id["other"].embedder == EMBEDDER
    assert other is not None
    assert float(vector @ other) > 0.97
    assert by_id["odd"].embedding is None


def test_a_model_is_swapped_under_load_and_no_request_fails(
    client: FacerecClient, service: RunningService, material: DemoMaterial
) -> None:
    client.create_project("swapped")
    for folder in sorted(material.people.iterdir()):
        client.add_pictures("swapped", folder.name, sorted(folder.iterdir()))
    client.wait(client.start_training("swapped"))
    picture = next((material.people / "Eileen_Collins").iterdir()).read_bytes()
    ended, answers, failures = threading.Event(), [], []

    def ask() -> None:
        with httpx.Client(base_url=service.url, timeout=WAIT_S) as http:
            while not ended.is_set():
                reply = http.post("/v1/projects/swapped/faces", files={"files": ("a.jpg", picture)})
                if reply.status_code == 200:
                    answers.append(reply.json()[0]["faces"][0]["identity"])
                else:
                    failures.append(reply.text)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        with httpx.Client(base_url=service.url, timeout=WAIT_S) as http:
            for classifier in ("knn", "svm"):
                config = {"classifier": classifier, "promote": "yes", "max_false_names": 0.05}
                client.wait(http.post("/v1/projects/swapped/training", json=config).json()["job_id"])
            versions = [model["version"] for model in http.get("/v1/projects/swapped/models").json()]
            assert len(versions) == 3
            for version in versions * 3:
                before = len(answers)
                assert http.post(f"/v1/projects/swapped/models/{version}/promote").status_code == 200
                while len(answers) < before + 6 and not failures:
                    time.sleep(0.02)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert "Eileen Collins" in answers


def test_a_training_job_has_a_log_and_is_cancelled(client: FacerecClient, service: RunningService) -> None:
    with closing(open_store(service.home)) as store, httpx.Client(base_url=service.url, timeout=WAIT_S) as http:
        put_people(store, "forest", 300, faces_each=3)
        job_id = http.post("/v1/projects/forest/training", json={"classifier": "rf", "seed": 2}).json()["job_id"]
        wait_until(lambda: client.job(job_id).progress > 0.3)
        log = http.get(f"/v1/jobs/{job_id}/log")
        assert log.headers["content-type"].startswith("text/plain")
        assert "learning 900 faces with rf" in log.text
        client.cancel(job_id)
        assert final(store, job_id).state is JobState.CANCELLED
        assert http.get(f"/v1/jobs/{job_id}/log").text.splitlines()[-1].endswith("stopped")
        assert store.list_models("forest") == []
        models = Files(service.home).model("forest", "x").parent
        assert not models.exists() or not any(models.iterdir())
        assert http.post("/v1/projects/forest/training", json={"classifier": "mlp"}).status_code == 422
        assert http.get("/v1/jobs/j-nothing/log").status_code == 404


@pytest.fixture
def cluster() -> Iterator[tuple[str, dict[str, str]]]:
    """A Ray head with its job server on the loopback interface: the dashboard's address, and what its clients' environment needs."""
    # Ray's sockets lie deep in it, and a socket's path has 107 bytes at most: pytest's folders are too long.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        yield from _ray_head(Path(folder))


def _ray_head(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text("ab" * 32)
    ports = [free_port() for _ in range(4)]
    environment = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_TMPDIR": str(folder),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
    }
    start = [
        *(str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--include-dashboard=true"),
        *("--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", "--num-cpus=2", "--disable-usage-stats"),
        *(f"--port={ports[0]}", f"--dashboard-port={ports[1]}", f"--ray-client-server-port={ports[2]}"),
        # The agent starts the jobs; on its usual port that of another Ray on this machine may listen.
        f"--dashboard-agent-listen-port={ports[3]}",
        "--object-store-memory=100000000",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            start, env={**os.environ, **environment}, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield f"http://127.0.0.1:{ports[1]}", environment
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)


def test_a_clusters_job_server_trains(store: Store, home: Files, cluster: tuple[str, dict[str, str]]) -> None:
    address, environment = cluster
    submit = [
        *(str(Path(sys.executable).with_name("ray")), "job", "submit", "--address", address, "--"),
        *command(home, "--classifier", "svm", "--job-id", "of-the-cluster"),
    ]
    deadline = time.monotonic() + WAIT_S
    while True:
        done = subprocess.run(
            submit, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=WAIT_S
        )
        # Until the job server listens, and has an agent that starts jobs.
        is_starting = any(text in done.stderr for text in ("Failed to connect", "No available agent"))
        if done.returncode == 0 or not is_starting or time.monotonic() > deadline:
            break
        time.sleep(1)
    assert done.returncode == 0, done.stdout + done.stderr
    job = store.get_job("of-the-cluster")
    assert (job.state, job.progress) == (JobState.SUCCEEDED, 1.0)
    assert store.get_model("p").classifier == "svm"
    assert "tasks" in home.job_log("p", "of-the-cluster").read_text()
    assert TrainingConfig(**job.spec) == TrainingConfig(classifier="svm")

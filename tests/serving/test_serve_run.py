"""``serve run serve_config.yaml``: how an operator starts the service on a cluster.

All rows are in MongoDB and all files in a bucket; one analyzer works, and one job may wait.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from pydantic import SecretStr

from facerec_models.analysis.weights import DLIB, FACENET_VGGFACE2
from facerec_models.identification.cohort import Cohort, save_cohort
from serving.archive.files import Files
from serving.local import find_config
from serving.store.opening import open_store
from tests.bucket import files_at, fresh_bucket
from tests.mongodb import fresh_database
from tests.serving.service import free_port
from tests.waiting import WAIT_S, wait_until
from ui.client import FacerecClient
from ui.demo_material import DemoMaterial

P = "/v1/projects/shown"

_START_TIMEOUT_S, _STOP_TIMEOUT_S = 240.0, 60.0

# Eleven processes start, on cores that may be shared.
pytestmark = pytest.mark.timeout(480)


@dataclass(frozen=True, slots=True)
class Configured:
    """A service that answers at `url`, and where it keeps what it knows."""

    url: str
    process: subprocess.Popen[str]
    home: Files
    bucket: str
    store: str


@pytest.fixture(scope="module")
def configured(
    tmp_path_factory: pytest.TempPathFactory, mongodb_uri: str, s3_server: str, facenet_weights: Path
) -> Iterator[Configured]:
    """The service of the shipped file, but for its port and one video at a time."""
    folder = tmp_path_factory.mktemp("serve-run")
    with fresh_database(mongodb_uri) as store, fresh_bucket(s3_server) as bucket:
        home = Files.at(folder / "home", bucket)
        home.root.mkdir()
        home.weights.symlink_to(facenet_weights)
        with _serve_run(folder, home, bucket, store) as (url, process):
            yield Configured(url, process, home, bucket, store)


@contextmanager
def _serve_run(folder: Path, home: Files, bucket: str, store: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    document = yaml.safe_load(find_config().read_text())
    port = document["http_options"]["port"] = free_port()
    analyzer = next(one for one in document["applications"][0]["deployments"] if one["name"] == "VideoAnalyzer")
    analyzer["num_replicas"] = 1
    config, log = folder / "serve_config.yaml", folder / "log"
    config.write_text(yaml.safe_dump(document))
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text("0" * 64)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FACEREC_", "RAY_"))}
    environment = {
        **inherited,
        "FACEREC_HOME": str(home.root),
        "FACEREC_STORE": store,
        "FACEREC_FILES": bucket,
        "FACEREC_SEGMENT_S": "3",
        "FACEREC_ANALYSIS__EMBEDDING__EMBEDDER": "dlib",
        "FACEREC_MAX_QUEUED_JOBS": "1",
        # A Ray of its own, whatever else runs on this machine.
        "RAY_ADDRESS": "local",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    with (
        log.open("w") as messages,
        subprocess.Popen(
            [Path(sys.executable).with_name("serve"), "run", config],
            cwd=Path(__file__).parents[2],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url, process, log)
            yield url, process
        finally:
            _end(process)


def _wait_for(url: str, process: subprocess.Popen[str], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        assert process.poll() is None, f"the service did not start:\n{log.read_text()[-4000:]}"
        assert time.monotonic() < deadline, f"the service does not answer:\n{log.read_text()[-4000:]}"
        try:
            if httpx.get(f"{url}/readyz", timeout=WAIT_S).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)


def _end(process: subprocess.Popen[str]) -> None:
    """Interrupt the command; end by force what is left of it and of what it started."""
    if process.poll() is not None:
        return
    started = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
    _, left = psutil.wait_procs(started, timeout=10)
    for child in left:
        child.kill()


def test_serve_run_listens_on_the_loopback_interface_alone(configured: Configured) -> None:
    health = httpx.get(f"{configured.url}/readyz", timeout=WAIT_S).json()
    assert (health["status"], health["embedder"]) == ("ok", "dlib-resnet-v1")
    port = int(configured.url.rsplit(":", 1)[1])
    listening = {
        connection.laddr.ip
        for child in psutil.Process(configured.process.pid).children(recursive=True)
        for connection in child.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    }
    assert listening == {"127.0.0.1"}


def test_the_service_keeps_everything_where_others_reach_it(
    configured: Configured, material: DemoMaterial, clip: Path, facenet_strangers: Cohort
) -> None:
    with (
        FacerecClient(configured.url) as client,
        httpx.Client(base_url=configured.url, timeout=WAIT_S) as http,
    ):
        client.create_project("shown")
        for folder in sorted(material.people.iterdir()):
            client.add_pictures("shown", folder.name, sorted(folder.iterdir()))
        client.wait(client.start_training("shown"))
        job_id, video_id = client.submit_video("shown", clip)
        client.wait(job_id)
        assert client.submit_video("shown", clip)[0] == job_id
        result = client.result("shown", video_id)
        named = next(one for one in result.appearances if one.person_id == "Eileen_Collins")
        assert client.picture(named.evidence.crops[0].url)[:2] == b"\xff\xd8"
        found = http.get(f"{P}/appearances", params={"person_id": "Eileen_Collins"}).json()
        assert found["items"]
        change_network_and_back(client, http, configured.home, facenet_strangers)
        track = next(track for track in result.tracks if track.person_id == "Eileen_Collins")
        client.correct("shown", video_id, track.track_id, "is_not", "Eileen_Collins")
        after = {track.track_id: track.person_id for track in client.result("shown", video_id).tracks}
        assert after[track.track_id] != "Eileen_Collins"
    with closing(open_store(configured.home.root, SecretStr(configured.store))) as store:
        assert [video.video_id for video in store.list_videos("shown")] == [video_id]
        assert store.get_job(job_id).video_id == video_id
        assert [row.cause for row in store.list_edits("shown")] == ["training", "embedder", "correction"]

    def kinds() -> set[str]:
        return {name.split("/")[2] for name in files_at(configured.bucket)}

    assert {"faces", "models", "analyses"} <= kinds()
    # Parts of a job go after its success is seen.
    wait_until(lambda: "jobs" not in kinds())
    root = configured.home.root
    assert list(root.glob("*.sqlite3*")) == []
    left = [path for path in (root / "projects").rglob("*") if path.is_file()]
    assert {path.suffix for path in left} == {".log"}


def change_network_and_back(client: FacerecClient, http: httpx.Client, home: Files, strangers: Cohort) -> None:
    """Prepare a second set as a job, compare, switch, and undo: in the end everything is as before."""

    def shown() -> list[Any]:
        return [http.get(f"{P}/{what}").json() for what in ("models", "appearances", "strangers", "videos")]

    def embedder() -> str:
        return next(str(row["embedder"]) for row in http.get("/v1/projects").json() if row["name"] == "shown")

    refused = http.post(f"{P}/embedder/prepare", json={"embedder": "nonsense"})
    assert (refused.status_code, "dlib-resnet-v1" in refused.json()["detail"]) == (422, True), refused.text
    assert http.get(f"{P}/embedder/comparison").status_code == 409
    save_cohort(strangers, home.cohort("shown", FACENET_VGGFACE2.name))
    job_id = http.post(f"{P}/embedder/prepare", json={"embedder": FACENET_VGGFACE2.name}).json()["job_id"]
    assert client.wait(job_id).state == "succeeded"
    assert "beside the project's own" in http.get(f"/v1/jobs/{job_id}/log").text
    before = shown()
    compared = http.get(f"{P}/embedder/comparison").json()
    assert (compared["present"]["embedder"], compared["prepared"]["embedder"]) == (DLIB.name, FACENET_VGGFACE2.name)
    assert compared["agreement"]["tracks"] == compared["change"]["tracks"] > 0
    assert (shown(), embedder()) == (before, DLIB.name)
    version = {"expect": compared["change"]["version"]}
    switched = http.post(f"{P}/embedder/switch", params=version).json()
    assert (switched["applied"], embedder()) == (True, FACENET_VGGFACE2.name)
    # The random network does not say what the trained one says.
    assert shown() != before
    http.post(f"{P}/history/{switched['edit']}/undo").raise_for_status()
    assert (shown(), embedder()) == (before, DLIB.name)


def test_a_full_queue_answers_429_with_retry_after(configured: Configured, material: DemoMaterial) -> None:
    with httpx.Client(base_url=configured.url, timeout=WAIT_S) as client:
        client.put("/v1/projects/busy")

        def submit() -> httpx.Response:
            return client.post(
                "/v1/projects/busy/videos",
                files={"file": (material.reel.name, material.reel.read_bytes())},
                data={"settings": json.dumps({"no_cache": True})},
            )

        def job_ids() -> set[str]:
            return {job["job_id"] for job in client.get("/v1/jobs", params={"project": "busy"}).json()}

        first = submit().raise_for_status().json()["job_id"]
        wait_until(lambda: client.get(f"/v1/jobs/{first}").json()["state"] != "queued")
        # One is worked on, one waits. A job that ends meanwhile makes room for one more.
        accepted = {first}
        while (answer := submit()).status_code == 202:
            accepted.add(answer.json()["job_id"])
            assert len(accepted) < 10
        assert len(accepted) >= 2
        assert (answer.status_code, answer.headers["content-type"]) == (429, "application/problem+json")
        assert (answer.json()["status"], answer.json()["title"]) == (429, "Busy")
        assert "jobs wait, as many as FACEREC_MAX_QUEUED_JOBS allows" in answer.json()["detail"]
        assert int(answer.headers["Retry-After"]) >= 1
        assert job_ids() == accepted
        for job_id in accepted:
            client.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()
        again = submit()
        assert again.status_code == 202
        client.post(f"/v1/jobs/{again.json()['job_id']}/cancel").raise_for_status()

"""``serve run serve_config.yaml``: how an operator starts the service on a cluster, with a queue of one job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from serving.local import find_config
from tests.serving.service import RunningService, free_port
from tests.waiting import WAIT_S, wait_until
from ui.demo_material import DemoMaterial

_START_TIMEOUT_S, _STOP_TIMEOUT_S = 240.0, 60.0

# Eleven processes start, on cores that may be shared.
pytestmark = pytest.mark.timeout(480)


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """The service of the shipped file, but for its port and one video at a time."""
    folder = tmp_path_factory.mktemp("serve-run")
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
        "FACEREC_HOME": str(folder / "home"),
        "FACEREC_MAX_QUEUED_JOBS": "1",
        # A Ray of its own, whatever else runs on this machine.
        "RAY_ADDRESS": "local",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
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
            yield RunningService(url, folder / "home", process)
        finally:
            _end(process)


def _wait_for(url: str, process: subprocess.Popen[str], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        assert process.poll() is None, f"the service did not start:\n{log.read_text()[-4000:]}"
        assert time.monotonic() < deadline, f"the service does not answer:\n{log.read_text()[-4000:]}"
        try:
            if httpx.get(f"{url}/healthz", timeout=WAIT_S).status_code == 200:
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


def test_serve_run_listens_on_the_loopback_interface_alone(configured: RunningService) -> None:
    health = httpx.get(f"{configured.url}/healthz", timeout=WAIT_S).json()
    assert (health["status"], health["embedder"]) == ("ok", "dlib-resnet-v1")
    assert (configured.home / "facerec.sqlite3").is_file()
    port = int(configured.url.rsplit(":", 1)[1])
    listening = {
        connection.laddr.ip
        for child in psutil.Process(configured.process.pid).children(recursive=True)
        for connection in child.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    }
    assert listening == {"127.0.0.1"}


def test_a_full_queue_answers_429_with_retry_after(configured: RunningService, material: DemoMaterial) -> None:
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

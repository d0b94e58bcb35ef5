"""``facerec serve`` as a process: what it prints answers, what dies under it starts again or ends it, and it ends in order.

The service that all tests share is ended by the last test.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from serving.store.job_rows import Job, JobState
from serving.store.opening import open_store
from tests.serving.service import RunningService, free_port, running_service
from tests.waiting import WAIT_S, still_alive, wait_until
from ui.client import FacerecClient
from ui.demo_material import DemoMaterial

# Twelve processes start where no other test has started them, on cores that may be shared.
pytestmark = pytest.mark.timeout(600)

# What a service manager waits for: see docs/operators/running.md.
_NOTICED_S, _STOPPED_S = 20.0, 10.0


def processes_of(service: RunningService) -> list[psutil.Process]:
    return psutil.Process(service.process.pid).children(recursive=True)


def named(processes: list[psutil.Process], part: str) -> list[psutil.Process]:
    found = []
    for process in processes:
        with suppress(psutil.Error):
            if part in " ".join([process.name(), *process.cmdline()[:3]]):
                found.append(process)
    return found


def status(url: str) -> int:
    with suppress(httpx.TransportError):
        return httpx.get(url, trust_env=False, timeout=10).status_code
    return 0


def lines_of(service: RunningService) -> list[str]:
    return [line for line in (service.home / "service.log").read_text().splitlines() if line.startswith("facerec:")]


def require_ended(service: RunningService, kill: Callable[[], object], why: str) -> None:
    """Kill something; the command must notice, say why in one line, and leave nothing behind."""
    started = processes_of(service)
    began = time.monotonic()
    kill()
    assert service.process.wait(WAIT_S) == 1
    assert time.monotonic() - began < _NOTICED_S
    (line,) = lines_of(service)
    assert re.fullmatch(why, line)
    assert still_alive(started, 1.0) == []


def test_what_serve_prints_answers(service: RunningService) -> None:
    assert httpx.get(f"{service.url}/healthz", trust_env=False, timeout=WAIT_S).json()["status"] == "ok"
    assert httpx.get(service.page, trust_env=False, timeout=WAIT_S).status_code == 200


def test_nothing_listens_but_on_this_machine(service: RunningService) -> None:
    listening = {
        f"{process.name()} at {connection.laddr.ip}"
        for process in (psutil.Process(service.process.pid), *processes_of(service))
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert len(listening) > 8
    assert {one for one in listening if not one.endswith(("127.0.0.1", "at ::1"))} == set()


@pytest.mark.parametrize("part", ["ProxyActor", "ServeController", "ServeReplica:facerec:Api", "ui.app"])
def test_what_can_be_started_again_is(service: RunningService, part: str) -> None:
    (victim,) = named(processes_of(service), part)
    victim.kill()
    victim.wait(WAIT_S)
    wait_until(lambda: len(named(processes_of(service), part)) == 1)
    wait_until(lambda: status(f"{service.url}/healthz") == status(service.page) == 200)
    assert service.process.poll() is None


@pytest.mark.parametrize("part", ["gcs_server", "ray::DashboardAgent"])
def test_serve_ends_with_an_error_when_what_ray_needs_has_died(tmp_path: Path, part: str) -> None:
    with running_service(tmp_path) as service:
        (victim,) = named(processes_of(service), part)
        require_ended(
            service, victim.kill, r"facerec: Ray has died, and the service with it: .+ \(.+\)\. Start it again"
        )


def test_a_stopped_service_hands_its_work_to_the_next(material: DemoMaterial, tmp_path: Path) -> None:
    environment = {"FACEREC_SEGMENT_S": "1"}

    def job(job_id: str) -> Job:
        with closing(open_store(tmp_path)) as store:
            return store.get_job(job_id)

    def segments(job_id: str, state: JobState) -> set[int]:
        return {segment.index for segment in job(job_id).segments if segment.state is state}

    with running_service(tmp_path, environment) as service, FacerecClient(service.url) as client:
        client.create_project("p")
        job_id, _ = client.submit_video("p", material.reel)
        wait_until(lambda: segments(job_id, JobState.SUCCEEDED) and segments(job_id, JobState.RUNNING))
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(WAIT_S) == 0
        assert time.monotonic() - began < _STOPPED_S
        # On a busy machine a replica does not answer Ray within a tenth of a second, and is asked again.
        lines = (service.home / "service.log").read_text().splitlines()
        printed = "\n".join(line for line in lines if "Failed to get queue length" not in line)
        assert not re.search(r"error|Traceback|died|failed", printed, re.IGNORECASE), printed
    # Nothing waits for the end of a lease.
    left = job(job_id)
    assert (left.state, left.owner, left.attempt) == (JobState.QUEUED, None, 0)
    done = segments(job_id, JobState.SUCCEEDED)
    assert done
    assert segments(job_id, JobState.RUNNING) == set()
    parts = {path.name: path.stat().st_mtime_ns for path in tmp_path.rglob(f"jobs/{job_id}/*/*.npz")}
    assert len(parts) > len(done) - 1
    with running_service(tmp_path, environment) as service, FacerecClient(service.url) as client:
        seen = dict(parts)

        def ended() -> bool:
            for path in tmp_path.rglob(f"jobs/{job_id}/*/*.npz"):
                with suppress(FileNotFoundError):
                    seen[path.name] = path.stat().st_mtime_ns
            return job(job_id).state.is_final

        wait_until(ended)
        assert client.wait(job_id).state == "succeeded"
    assert {name: seen[name] for name in parts} == parts  # what was done is not done again
    assert {segment.attempt for segment in job(job_id).segments} == {1}


def test_a_service_that_is_stopped_while_it_starts_ends_in_order(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-m", "ui.cli", "serve", "--no-ui", "--home", str(tmp_path), "--port", str(free_port())]
    with log.open("w") as messages, subprocess.Popen(command, stdout=messages, stderr=messages) as process:
        wait_until(lambda: "Started Serve" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.wait(WAIT_S) == 0
    assert time.monotonic() - began < _STOPPED_S
    assert not re.search(r"SIGTERM|Traceback|Aborted", log.read_text()), log.read_text()
    assert still_alive(started, 1.0) == []


def test_serve_ends_with_an_error_when_its_ray_has_died(service: RunningService) -> None:
    def kill() -> None:
        for node in named(processes_of(service), "raylet/raylet"):
            node.kill()

    require_ended(
        service, kill, r"facerec: Ray has died, and the service with it: raylet \(signal 9\)\. Start it again"
    )

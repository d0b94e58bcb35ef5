"""What can be seen of the running service: its lines, its numbers, and nothing of what is an ordinary answer."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.serving.service import RunningService
from tests.waiting import WAIT_S, wait_until

pytestmark = pytest.mark.timeout(480)

DEPLOYMENTS = {"Api", "FaceDetector", "FaceEmbedder", "IdentityClassifier", "VideoAnalyzer"}


def lines(service: RunningService) -> dict[str, list[str]]:
    """Return what the replicas have logged, and what they wrote to standard error, by file."""
    (session,) = (Path(tempfile.gettempdir()) / "ray").glob(f"session_*_{service.process.pid}")
    files = [*(session / "logs/serve").glob("replica_*.log"), *(session / "logs").glob("worker-*.err")]
    return {file.name: file.read_text().splitlines() for file in files}


def logged(service: RunningService, what: str) -> dict[str, list[str]]:
    """Return all that was logged, once something is in it."""
    found = lines(service)
    return found if any(what in line for part in found.values() for line in part) else {}


def ask(service: RunningService, path: str) -> httpx.Response:
    return httpx.get(service.url + path, trust_env=False, timeout=WAIT_S)


def test_ordinary_answers_leave_one_line_each_and_no_traceback(service: RunningService) -> None:
    httpx.put(f"{service.url}/v1/projects/seen", trust_env=False, timeout=WAIT_S).raise_for_status()
    answers = [ask(service, f"/v1/projects/seen/videos/v-absent-{i}/result") for i in range(5)]
    assert {answer.status_code for answer in answers} == {404}
    wanted = answers[-1].headers["x-request-id"]
    found = wait_until(lambda: logged(service, wanted))
    told = [line for part in found.values() for line in part]
    assert not [line for line in told if "Traceback" in line]
    records = [json.loads(line) for name, part in found.items() if name.endswith(".log") for line in part]
    ours = [one for one in records if one.get("request_id") == wanted]
    assert [(one["deployment"], one["levelname"]) for one in ours] == [("facerec_Api", "INFO")]
    assert not [line for line in told if str(service.home) in line]


def test_whoever_is_asked_has_the_numbers_of_all_processes(service: RunningService) -> None:
    def deployments() -> set[str]:
        families = text_string_to_metric_families(ask(service, "/metrics").text)
        return {one.labels.get("deployment", "") for family in families for one in family.samples} - {""}

    assert wait_until(lambda: deployments() >= DEPLOYMENTS)


def test_a_service_that_answers_is_ready(service: RunningService) -> None:
    assert ask(service, "/readyz").json()["embedder"] == "dlib-resnet-v1"
    assert ask(service, "/healthz").elapsed.total_seconds() < 1

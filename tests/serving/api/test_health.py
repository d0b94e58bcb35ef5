"""Whether the service lives and is ready, what it has counted, and what it calls a request."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from facerec_models.errors import StoreError
from serving.api import health
from serving.archive.handle import Archive
from serving.jobs.runner import submit
from serving.telemetry.context import bound_ids
from tests.serving.in_process import handle
from tests.serving.routes import bare_api, local_client, problem
from tests.waiting import wait_until


def ready_api(archive: Archive) -> Any:
    networks: Any = SimpleNamespace(embedder=SimpleNamespace(name="dlib-resnet-v1"))
    api = bare_api(archive, networks)
    service = api.state.service
    object.__setattr__(service, "detector", handle(engine=lambda: "cpu"))
    object.__setattr__(service, "embedder", handle(facts=lambda: "facts"))
    return api


@pytest.fixture
def client(archive: Archive) -> Iterator[TestClient]:
    with local_client(ready_api(archive)) as client:
        yield client


def metrics(client: TestClient) -> dict[tuple[str, str], float]:
    """Return all samples by name and by their labels but for those of the process."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for one in family.samples:
            labels = {name: value for name, value in one.labels.items() if name not in ("deployment", "replica")}
            found[one.name, ",".join(labels.values())] = one.value
    return found


def test_a_service_whose_networks_and_store_answer_is_ready(client: TestClient, archive: Archive) -> None:
    submit(archive.store, "p", "training", {}, max_queued=9)
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert {**answer.json(), "version": ""} == {
        "status": "ok",
        "version": "",
        "embedder": "dlib-resnet-v1",
        "queued_jobs": 1,
        "running_jobs": 0,
    }
    assert client.get("/healthz").json().keys() == {"status", "version"}


def test_a_service_without_networks_lives_and_is_not_ready(archive: Archive) -> None:
    with local_client(bare_api(archive)) as client:
        answer = client.get("/readyz")
        assert "the networks are not loaded yet" in problem(answer, 503)
        assert answer.headers["retry-after"] == "5"
        assert client.get("/healthz").status_code == 200


def test_networks_that_stopped_to_answer_are_missed(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_NETWORKS_SILENT_S", 0.2)
    api = ready_api(archive)
    with local_client(api) as client:
        assert client.get("/readyz").status_code == 200

        def die() -> str:
            raise RuntimeError("the replica died")

        object.__setattr__(api.state.service, "detector", handle(engine=die))
        assert client.get("/readyz").status_code == 200
        time.sleep(0.3)
        assert "have not answered for" in problem(client.get("/readyz"), 503)


def test_a_store_that_hangs_makes_nobody_wait(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    asked: list[float] = []

    def hang(*_: Any) -> int:
        asked.append(time.monotonic())
        release.wait(60)
        return 0

    monkeypatch.setattr(type(archive.store), "count_jobs", hang)
    monkeypatch.setattr(type(archive.store), "list_jobs", lambda *_: release.wait(60))
    with local_client(ready_api(archive)) as client:
        try:
            for _ in range(3):
                started = time.monotonic()
                assert "the store has not answered within" in problem(client.get("/readyz"), 503)
                assert time.monotonic() - started < 4
            assert metrics(client)["facerec_store_up", ""] == 0.0
            assert client.get("/healthz").status_code == 200
        finally:
            release.set()
        # However often it was asked meanwhile, one question waited: for both kinds of jobs.
        wait_until(lambda: len(asked) == 2)
        time.sleep(0.3)
        assert len(asked) == 2


def test_a_store_that_is_late_now_and_then_is_not_missed(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    with TestClient(ready_api(archive), base_url="http://127.0.0.1") as client:
        assert client.get("/readyz").status_code == 200
        monkeypatch.setattr(type(archive.store), "count_jobs", lambda *_: release.wait(60) and 0)
        try:
            assert client.get("/readyz").status_code == 200
            monkeypatch.setattr(health, "_FRESH_S", 0.1)
            assert "the store has not answered within" in problem(client.get("/readyz"), 503)
        finally:
            release.set()


def test_a_store_that_fails_is_told_without_its_address(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> int:
        raise StoreError("mongodb://ann:secret@db:27017 does not answer")

    monkeypatch.setattr(type(archive.store), "count_jobs", fail)
    with local_client(ready_api(archive)) as client:
        assert problem(client.get("/readyz"), 503) == "the store does not answer (StoreError)"


def test_requests_are_counted_by_route_and_never_by_id(client: TestClient) -> None:
    before = metrics(client)
    for job_id in ("j-1", "j-2"):
        client.get(f"/v1/jobs/{job_id}")
    client.get("/v1/nothing/of/that/kind")
    client.request("BREW", "/healthz")
    after = metrics(client)
    name = "facerec_http_request_seconds_count"
    counted = {key: value - before.get(key, 0.0) for key, value in after.items() if key[0] == name}
    assert counted[name, "GET,/v1/jobs/{job_id},404"] == 2.0
    assert counted[name, "GET,none,404"] == 1.0
    assert counted[name, "other,/healthz,405"] == 1.0
    assert not any("j-1" in labels for _, labels in after)


def test_waiting_jobs_and_the_disk_are_measured(client: TestClient, archive: Archive, tmp_path: Path) -> None:
    submit(archive.store, "p", "training:cli-1", {}, max_queued=9)
    found = metrics(client)
    assert found["facerec_jobs_waiting", "training"] == 1.0
    assert found["facerec_jobs_waiting", "video"] == 0.0
    assert 0 <= found["facerec_jobs_oldest_waiting_seconds", "training"] < 60
    assert 0 < found["facerec_home_free_bytes", ""] <= found["facerec_home_size_bytes", ""]
    assert found["facerec_store_up", ""] == 1.0


def test_a_request_without_a_usable_id_gets_one(client: TestClient) -> None:
    assert len(client.get("/healthz").headers["x-request-id"]) == 32
    forged = client.get("/healthz", headers={"X-Request-ID": 'a"} {"level": "x'}).headers["x-request-id"]
    assert len(forged) == 32


def test_ids_of_a_request_are_bound_where_its_route_works(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []

    def watch(*_: Any, **__: Any) -> list[Any]:
        seen.append(bound_ids())
        return []

    monkeypatch.setattr(type(archive.store), "list_videos", watch)
    with local_client(ready_api(archive)) as client:
        assert client.get("/v1/projects/p/videos", headers={"X-Request-ID": "r-1"}).status_code == 200
    assert seen == [{"request_id": "r-1", "project": "p", "key_id": "local"}]


def test_refused_requests_are_counted_by_reason(archive: Archive) -> None:
    with local_client(bare_api(archive, max_queued_jobs=1)) as client:
        submit(archive.store, "p", "training", {}, max_queued=9)
        before = metrics(client)["facerec_http_refused_total", "busy"]
        assert client.post("/v1/projects/p/training").status_code == 429
        assert metrics(client)["facerec_http_refused_total", "busy"] == before + 1


def test_the_service_tells_what_waits_and_how_much_room_there_is(client: TestClient, archive: Archive) -> None:
    submit(archive.store, "p", "training", {}, max_queued=9)
    submit(archive.store, "p", "training", {}, max_queued=9)
    told = client.get("/v1/service").json()
    assert (told["ready"], told["missing"], told["embedder"]) == (True, [], "dlib-resnet-v1")
    (waiting,) = told["waiting"]
    assert (waiting["kind"], waiting["count"]) == ("training", 2)
    assert 0 <= waiting["oldest_s"] < 60
    assert 0 < told["disk_free_bytes"] <= told["disk_size_bytes"]
    assert told["full"] is None

"""What is answered before a route or a body is read: foreign hosts and pages, and projects that do not exist."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from facerec_models.config import AnalysisConfig
from facerec_models.errors import ProjectNotFoundError, StoreError
from serving.api import batches, corrections, embedders, jobs, people, projects, search, videos
from serving.api.ingress.guards import HostGuard
from serving.archive.access import keys
from serving.archive.handle import Archive
from serving.archive.videos import register_video
from serving.store.contract import Store
from tests.serving.routes import bare_routes, problem

_PARTS = (projects, people, corrections, search, videos, batches, embedders, jobs)
_VALUES = {"track_id": "1", "k": "0"}


def below_projects() -> list[tuple[str, str]]:
    """Return the method and the path, in a project that is not there, of every route below a project."""
    routes = [route for part in _PARTS for route in part.router.routes if isinstance(route, APIRoute)]
    return [
        (
            method,
            re.sub(r"\{(\w+)\}", lambda name: {**_VALUES, "project": "typo"}.get(name[1], "x"), f"/v1{route.path}"),
        )
        for route in routes
        for method in sorted(route.methods)
        if route.path.startswith("/projects/{project}/")
    ]


def test_every_route_below_a_project_is_known() -> None:
    assert len(below_projects()) > 30


@pytest.mark.parametrize(("method", "path"), below_projects())
def test_a_project_that_is_not_there_is_404_on_every_route_and_is_not_made(
    client: TestClient, store: Store, method: str, path: str
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "no project 'typo'" in answer.json()["detail"]
    assert [project.name for project in store.list_projects()] == ["p"]


@pytest.mark.parametrize("path", ["videos", "batches", "faces", "people/x/pictures"])
def test_an_upload_to_a_project_that_is_not_there_is_refused_before_it_is_read(client: TestClient, path: str) -> None:
    def never() -> Message:
        raise AssertionError("the body was read")

    status, _ = ask(client.app, f"/v1/projects/typo/{path}", [(b"host", b"127.0.0.1")], never)
    assert status == 404


def test_the_default_project_is_made_when_something_is_first_written_to_it(client: TestClient, store: Store) -> None:
    assert client.get("/v1/projects/default/people").status_code == 404
    assert client.post("/v1/projects/default/training").status_code == 202
    assert {project.name for project in store.list_projects()} == {"default", "p"}


def test_who_may_only_read_makes_no_project(archive: Archive) -> None:
    _, key = keys.create_key(archive.store, "reads", {"*": "read"})
    _, writer = keys.create_key(archive.store, "writes", {"*": "curate"})
    with bare_routes(archive) as client:
        for path in ("faces", "search/faces"):
            answer = client.post(f"/v1/projects/default/{path}", headers={"Authorization": f"Bearer {key}"})
            assert "no project 'default'" in problem(answer, 404)
        assert [project.name for project in archive.store.list_projects()] == ["p"]
        headers = {"Authorization": f"Bearer {writer}"}
        assert client.post("/v1/projects/default/training", headers=headers).status_code == 202


def test_what_the_store_says_of_a_project_names_no_place(
    client: TestClient, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise StoreError(f"{archive.files.root}/store.sqlite cannot be read")

    monkeypatch.setattr(type(archive.store), "get_project", fail)
    assert problem(client.get("/v1/projects/p/people"), 503) == "<home>/store.sqlite cannot be read"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_told_under_every_name_and_to_no_foreign_page(client: TestClient, path: str) -> None:
    kubelet = {"Host": "10.1.2.3:8000"}
    assert client.get(path, headers=kubelet).status_code in (200, 503)
    assert client.head(path, headers=kubelet).status_code != 403
    assert client.get(path, headers={**kubelet, "Origin": "http://evil.example"}).status_code == 403
    assert client.post(path, headers=kubelet).status_code == 403
    assert client.get("/v1/projects", headers=kubelet).status_code == 403


def test_a_project_is_made_by_name_alone(client: TestClient, store: Store) -> None:
    assert client.put("/v1/projects/new").status_code == 201
    assert client.post("/v1/projects/new/training").status_code == 202
    assert client.delete("/v1/projects/typo").status_code == 404
    assert {project.name for project in store.list_projects()} == {"new", "p"}


def test_a_video_is_registered_in_no_project_that_is_not_there(store: Store, clip: Path) -> None:
    with pytest.raises(ProjectNotFoundError, match="'typo'"):
        register_video(store, "typo", clip, AnalysisConfig())
    assert [project.name for project in store.list_projects()] == ["p"]


def test_an_invalid_name_of_a_project_is_422(client: TestClient) -> None:
    assert client.post("/v1/projects/.typo/training").status_code == 422


@pytest.mark.parametrize(
    "headers",
    [
        [(b"host", b"evil.example")],
        [(b"host", b"127.0.0.1"), (b"host", b"evil.example")],
        [(b"host", b"127.0.0.1"), (b"origin", b"http://evil.example")],
        [(b"host", b"127.0.0.1"), (b"origin", b"http://127.0.0.1"), (b"origin", b"null")],
        [],
    ],
)
def test_a_foreign_host_or_origin_is_refused_whatever_is_asked(headers: list[tuple[bytes, bytes]]) -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("it was passed on")

    guard = HostGuard(never, frozenset({"127.0.0.1"}))
    assert ask(guard, "/anything", headers)[0] == 403
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    asyncio.run(guard({"type": "websocket", "path": "/", "headers": headers}, receive, send))
    assert [message["type"] for message in sent] == ["websocket.close"]


def test_answers_carry_headers_against_framing_and_sniffing(client: TestClient) -> None:
    for answer in (client.get("/v1/projects"), client.get("/v1/projects", headers={"Host": "evil.example"})):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert (
            answer.headers["content-security-policy"] == "default-src 'none'; media-src 'self'; frame-ancestors 'none'"
        )
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"


def ask(app: Any, path: str, headers: list[tuple[bytes, bytes]], receiving: Any = None) -> tuple[int, dict[str, str]]:
    """Send a POST straight to an application; return the status and the headers of the answer."""
    started: list[Message] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            started.append(message)

    async def receive() -> Message:
        return receiving() if receiving else {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "client": ("127.0.0.1", 50000),
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "http_version": "1.1",
        "scheme": "http",
    }
    asyncio.run(app(scope, receive, send))
    (message,) = started
    return message["status"], {name.decode(): value.decode() for name, value in message["headers"]}

"""What stands before the application: bounds on heads, bodies, slowness, and requests at a time."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
import uvicorn
import yaml
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facerec_models.config import LimitsConfig
from serving.api import batches, corrections, people, search, videos
from serving.api.ingress.admission import AdmissionGuard
from serving.api.ingress.body_guard import BodyGuard
from serving.api.ingress.connections import guarded_protocol
from serving.api.ingress.documents import DocumentedErrors
from serving.api.ingress.pacing import TakenTeller
from serving.api.ingress.proxy import middlewares
from serving.api.ingress.request_class import RequestClasses
from serving.bounds import IngressConfig
from serving.local import find_config
from tests.waiting import wait_until
from training.ray_environment import INGRESS_HOOK, INGRESS_VARIABLE
from ui.doctor import examine

BOUNDS = IngressConfig(
    max_json_bytes=1024,
    max_header_bytes=4096,
    max_headers=20,
    head_timeout_s=0.5,
    silence_s=0.5,
    least_bytes_s=100_000,
    max_connections=40,
    reading=2,
    changing=2,
    max_wait_s=0.3,
)
LARGE = 2**25
SHARES = ("reading", "sending", "following", "changing", "uploading", "recognizing")


class Behind:
    """An application that counts what reaches it, and answers when it may."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.open = threading.Event()
        self.inside = 0

    async def answer(self, request: Request) -> PlainTextResponse:
        size = 0
        async for piece in request.stream():
            size += len(piece)
        self.sizes.append(size)
        self.inside += 1
        while request.url.path != "/healthz" and not self.open.is_set():
            await anyio.sleep(0.01)
        self.inside -= 1
        return PlainTextResponse(LARGE * b"x" if request.url.path == "/large" else "done")


@contextmanager
def guarded(bounds: IngressConfig = BOUNDS) -> Iterator[tuple[int, Behind]]:
    """Run an application behind all guards until the block ends; yields its port."""
    behind = Behind()
    behind.open.set()
    app: ASGIApp = Starlette(
        routes=[Route("/{path:path}", behind.answer, methods=["GET", "POST", "DELETE"])],
    )
    classes = RequestClasses(bounds, LimitsConfig(max_picture_bytes=1, max_pictures_bytes=1, max_upload_bytes=2**30))
    app = BodyGuard(AdmissionGuard(DocumentedErrors(app), classes, bounds), classes, bounds)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        log_level="critical",
        lifespan="off",
        http=guarded_protocol(bounds),
        timeout_keep_alive=60,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield server.servers[0].sockets[0].getsockname()[1], behind
    finally:
        behind.open.set()
        server.should_exit = True
        thread.join()


def connect(port: int, *sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    for piece in sent:
        connection.sendall(piece)
    return connection


def head(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *headers, "", ""]).encode()


def answer(connection: socket.socket) -> tuple[int, dict[str, str], Any]:
    """Return status, headers and document of an answer."""
    with connection.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        lines = iter(stream.readline, b"\r\n")
        headers = dict(line.decode().strip().lower().split(": ", 1) for line in lines)
        body = stream.read(int(headers.get("content-length", "0")))
    return status, headers, json.loads(body) if "json" in headers.get("content-type", "") else body


def refusal(port: int, *sent: bytes) -> int:
    """Send a request; return the status of the problem document that answers it."""
    with closing(connect(port, *sent)) as connection:
        status, headers, document = answer(connection)
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-content-type-options"] == "nosniff"
    assert document["status"] == status
    return status


def test_a_body_is_refused_by_what_it_declares_before_it_is_read() -> None:
    with guarded() as (port, behind):
        assert refusal(port, head("POST", "/v1/x", "content-length: 2000")) == 413
        assert refusal(port, head("POST", "/v1/projects/p/faces", "content-length: 2000000")) == 413
        assert refusal(port, head("POST", "/v1/x", "content-length: 1", "content-length: 1")) == 400
        assert behind.sizes == []


def test_a_body_is_refused_while_it_comes() -> None:
    with guarded() as (port, behind):
        piece = b"400\r\n" + 1024 * b"x" + b"\r\n"
        assert refusal(port, head("POST", "/v1/x", "transfer-encoding: chunked"), piece, piece) == 413
        assert behind.sizes == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("body", ["content-length: 3", "transfer-encoding: chunked"])
def test_what_reads_or_deletes_has_no_body(method: str, body: str) -> None:
    with guarded() as (port, behind), closing(connect(port, head(method, "/v1/x", body))) as connection:
        assert connection.recv(4096).split(b"\r\n")[0] == b"HTTP/1.1 400 Bad Request"
        assert behind.sizes == []


def test_heads_are_bounded() -> None:
    with guarded() as (port, behind):
        assert refusal(port, head("GET", "/x", *(f"a{n}: b" for n in range(30)))) == 431
        assert refusal(port, head("GET", "/x", "a: " + 4500 * "b")) == 431
        assert refusal(port, head("GET", "/" + 3000 * "x")) == 414
        # A head that never ends.
        with closing(connect(port, b"GET / HTTP/1.1\r\n")) as connection:
            for _ in range(100):
                try:
                    connection.sendall(b"a: " + 1000 * b"b" + b"\r\n")
                except OSError:
                    break
                time.sleep(0.001)
            assert connection.recv(4096).split(b"\r\n")[0] == b"HTTP/1.1 431 Request Header Fields Too Large"
        assert behind.sizes == []


@pytest.mark.parametrize("begin", [b"0\r\na: ", b"1;a="])
def test_what_is_neither_head_nor_body_is_bounded(begin: bytes) -> None:
    """The parser keeps the headers after a body, and a long one before anybody is told of it."""
    sent = 0
    with (
        guarded(BOUNDS.model_copy(update={"silence_s": 30.0})) as (port, behind),
        closing(
            connect(port, head("POST", "/v1/x", "transfer-encoding: chunked"), b"3\r\nabc\r\n", begin)
        ) as connection,
    ):
        time.sleep(0.1)
        with suppress(ConnectionError):
            for _ in range(1000):
                sent += connection.send(2**16 * b"x")
        assert sent < 2**24
        assert behind.sizes == []


def test_pieces_of_a_body_may_be_as_small_as_they_like() -> None:
    bounds = BOUNDS.model_copy(update={"silence_s": 30.0, "max_json_bytes": 2**20})
    with (
        guarded(bounds) as (port, behind),
        closing(connect(port, head("POST", "/v1/x", "transfer-encoding: chunked"))) as connection,
    ):
        connection.sendall(20_000 * b"1\r\nx\r\n" + b"0\r\nchecksum: 1\r\n\r\n")
        assert answer(connection)[0] == 200
        assert behind.sizes == [20_000]


def test_what_is_no_http_is_answered_with_a_document() -> None:
    with guarded() as (port, _), closing(connect(port, b"nonsense\r\n\r\n")) as connection:
        status, headers, document = answer(connection)
        assert (status, headers["content-type"], document["status"]) == (400, "application/problem+json", 400)


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET / HTTP/1.1\r\nhost: a\r\n"])
def test_a_connection_without_a_request_is_closed(sent: bytes) -> None:
    with guarded() as (port, _), closing(connect(port, sent)) as connection:
        began = time.monotonic()
        assert connection.recv(1) == b""
        assert 0.3 < time.monotonic() - began < 5


def test_a_second_request_on_a_connection_has_no_longer() -> None:
    with guarded() as (port, _), closing(connect(port, head("GET", "/x"))) as connection:
        assert answer(connection)[0] == 200
        connection.sendall(b"GET /y HTTP/1.1\r\n")
        assert connection.recv(1) == b""


@pytest.mark.parametrize("declared", ["content-length: 900", "transfer-encoding: chunked"])
def test_a_body_that_stops_is_given_up(declared: str) -> None:
    with guarded() as (port, behind):
        assert refusal(port, head("POST", "/v1/x", declared), b"3\r\nabc\r\n") == 408
        assert behind.sizes == []


def test_a_body_that_trickles_is_given_up() -> None:
    with (
        guarded() as (port, behind),
        closing(connect(port, head("POST", "/v1/x", "content-length: 900"))) as connection,
    ):
        connection.settimeout(0.05)
        got = b""
        for _ in range(100):
            connection.sendall(b"x")
            try:
                got = connection.recv(4096)
            except TimeoutError:
                continue
            break
        assert got.split(b"\r\n")[0] == b"HTTP/1.1 408 Request Timeout"
        assert behind.sizes == []


def test_what_is_still_sent_after_a_refusal_is_taken_and_thrown_away_for_a_while() -> None:
    with (
        guarded(BOUNDS.model_copy(update={"head_timeout_s": 60.0})) as (port, behind),
        closing(connect(port, head("POST", "/v1/x", "content-length: 10000000"))) as connection,
    ):
        connection.sendall(1_000_000 * b"x")
        assert answer(connection)[0] == 413
        began = time.monotonic()
        connection.sendall(1000 * b"x")
        assert connection.recv(1) == b""
        assert 2 < time.monotonic() - began < 8
        assert behind.sizes == []


def test_a_client_that_takes_nothing_of_its_answer_is_given_up() -> None:
    bounds = BOUNDS.model_copy(update={"write_timeout_s": 0.5, "reading": 1})
    with guarded(bounds) as (port, _), closing(connect(port, head("GET", "/large"))) as connection:
        time.sleep(1.5)
        # Its place is free again.
        with closing(connect(port, head("GET", "/v1/x"))) as another:
            assert answer(another)[0] == 200
        got = 0
        with suppress(ConnectionError):
            while piece := connection.recv(2**20):
                got += len(piece)
        assert 0 < got < LARGE


def test_as_many_requests_as_there_are_places_run_and_as_many_wait() -> None:
    with guarded() as (port, behind), ExitStack() as stack:
        behind.open.clear()
        asked = [stack.enter_context(closing(connect(port, head("GET", "/v1/x")))) for _ in range(2)]
        wait_until(lambda: behind.inside == 2)
        waiting = [stack.enter_context(closing(connect(port, head("GET", "/v1/x")))) for _ in range(2)]
        time.sleep(0.05)
        status, headers, document = answer(stack.enter_context(closing(connect(port, head("GET", "/v1/x")))))
        assert (status, document["status"], int(headers["retry-after"]) >= 1) == (429, 429, True)
        assert [answer(one)[0] for one in waiting] == [429, 429]  # nobody left in time
        assert answer(stack.enter_context(closing(connect(port, head("GET", "/healthz")))))[0] == 200
        assert behind.inside == 2
        waiting = [stack.enter_context(closing(connect(port, head("GET", "/v1/x")))) for _ in range(2)]
        time.sleep(0.05)
        behind.open.set()
        assert [answer(one)[0] for one in [*asked, *waiting]] == [200] * 4
        assert answer(stack.enter_context(closing(connect(port, head("GET", "/v1/x")))))[0] == 200


def test_slow_bodies_and_silent_connections_keep_nobody_out() -> None:
    with (
        guarded(BOUNDS.model_copy(update={"silence_s": 30.0, "head_timeout_s": 30.0})) as (port, _),
        ExitStack() as stack,
    ):
        started = head("POST", "/v1/x", "content-length: 900")
        sent = [*([started] * 20), *([b"GET /"] * 100)]
        slow = [stack.enter_context(closing(connect(port, piece))) for piece in sent]
        began = time.monotonic()
        for path in ("/healthz", "/v1/x"):
            assert answer(stack.enter_context(closing(connect(port, head("GET", path)))))[0] == 200
        assert answer(stack.enter_context(closing(connect(port, head("POST", "/v1/x", "content-length: 0")))))[0] == 200
        assert time.monotonic() - began < 2
        # Beyond 40 connections, those that have brought no request for longest are closed.
        with suppress(ConnectionError):
            assert slow[20].recv(1) == b""


def test_bodies_that_never_come_keep_nobody_out_however_many_are_awaited() -> None:
    bounds = BOUNDS.model_copy(update={"silence_s": 30.0, "max_connections": 400})
    with guarded(bounds) as (port, _), ExitStack() as stack:
        silent = head("POST", "/v1/x", "content-length: 10")
        slow = [stack.enter_context(closing(connect(port, silent))) for _ in range(256)]
        assert answer(stack.enter_context(closing(connect(port, head("GET", "/v1/x")))))[0] == 200
        assert answer(stack.enter_context(closing(connect(port, head("POST", "/v1/x", "content-length: 0")))))[0] == 200
        # One that has a body takes the place of the one that has been awaited for longest.
        assert answer(stack.enter_context(closing(connect(port, silent, b"0123456789"))))[0] == 200
        status, headers, document = answer(slow[0])
        assert (status, "retry-after" in headers, "slowly" in document["detail"]) == (429, True, True)
        slow[1].sendall(b"0123456789")
        assert answer(slow[1])[0] == 200


async def _awaited_of_one_address() -> list[str]:
    """Await one body of an address, then as many as may be of another, then one of a third; return whose are given up."""
    given_up = []

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("no body has come")

    async def silent() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    guard = AdmissionGuard(inside, RequestClasses(BOUNDS, LimitsConfig()), BOUNDS)

    async def ask(address: str) -> None:
        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                given_up.append(address)

        headers = [(b"content-length", b"10")]
        scope = {"type": "http", "method": "POST", "path": "/v1/x", "headers": headers, "client": (address, 1)}
        await guard(scope, silent, send)

    asked = [asyncio.create_task(ask(address)) for address in ["198.51.100.1", *256 * ["203.0.113.1"], "198.51.100.2"]]
    await asyncio.sleep(0.2)
    for one in asked:
        one.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    return given_up


def test_the_address_with_most_awaited_bodies_gives_way() -> None:
    assert asyncio.run(_awaited_of_one_address()) == 2 * ["203.0.113.1"]


def test_headers_that_are_not_for_clients_are_left_out() -> None:
    seen: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(name for name, _ in scope["headers"])

    async def never(*_: Any) -> Any:
        raise AssertionError

    guard = BodyGuard(app, RequestClasses(BOUNDS, LimitsConfig()), BOUNDS)
    headers = [(b"host", b"a"), (b"x-request-timeout-seconds", b"1"), (b"x-request-disconnect-disabled", b"?1")]
    scope = {"type": "http", "method": "GET", "path": "/x", "query_string": b"", "headers": headers}
    anyio.run(guard, scope, never, never)
    assert seen == [b"host"]


def test_every_route_that_takes_files_has_room_for_them() -> None:
    classes = RequestClasses(IngressConfig(), LimitsConfig())
    routers = [part.router for part in (batches, corrections, people, search, videos)]
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    forms = [
        route.path
        for route in routes
        if any("File" in type(one.field_info).__name__ for one in route.dependant.body_params)
        or "multipart/form-data" in ((route.openapi_extra or {}).get("requestBody") or {}).get("content", {})
    ]
    assert len(forms) == 7
    for path in forms:
        scope = {"method": "POST", "path": f"/v1{path}".replace("{", "").replace("}", "")}
        assert classes.of(scope, "multipart/form-data").max_body_bytes > 2**24, path
        assert classes.of(scope, "application/json").max_body_bytes == 2**20, path


def test_the_ingress_has_fewer_places_than_the_service_behind_it() -> None:
    bounds = IngressConfig()
    deployments = yaml.safe_load(find_config().read_text(encoding="utf-8"))["applications"][0]["deployments"]
    (api,) = (one for one in deployments if one["name"] == "Api")
    assert sum(getattr(bounds, share) for share in SHARES) < api["max_ongoing_requests"]
    # Those whose bodies are awaited, those that wait and those that run are fewer than there are connections.
    assert 256 + 2 * sum(getattr(bounds, share) for share in SHARES) < bounds.max_connections


def test_ray_finds_the_hook(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ray.serve._private import proxy
    from uvicorn.protocols.http import auto

    monkeypatch.setattr(auto, "AutoHTTPProtocol", auto.AutoHTTPProtocol)
    monkeypatch.setattr(proxy, "MessageQueue", proxy.MessageQueue)  # type: ignore[attr-defined]
    module, _, name = INGRESS_HOOK.rpartition(".")
    assert (module, name) == (middlewares.__module__, middlewares.__name__)
    assert [one.cls for one in middlewares()] == [TakenTeller, DocumentedErrors, AdmissionGuard, BodyGuard]
    assert auto.AutoHTTPProtocol.__name__ == "GuardedProtocol"


@pytest.mark.parametrize(("value", "state"), [(INGRESS_HOOK, "ok"), ("", "bad")])
def test_the_doctor_says_whether_ray_has_the_hook(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str, state: str
) -> None:
    monkeypatch.setenv(INGRESS_VARIABLE, value)
    found = {what: found for what, found, _ in examine(tmp_path)}
    assert found["ingress"] == state

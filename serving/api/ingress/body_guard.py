"""A bound on what a request brings: its head before anything else, its body while it comes, how slowly it may come.

In what answers HTTP it stands before Ray Serve keeps anything; in the replica, of the same code, for who runs without that.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.ingress.documents import problem
from serving.api.ingress.request_class import RequestClass, RequestClasses
from serving.bounds import IngressConfig

# What Ray Serve takes from clients, and nobody here asks for: how long a request may run, whether it goes on without its client,
# which model a replica should have.
_NOT_FOR_CLIENTS = frozenset(
    {
        b"x-request-timeout-seconds",
        b"x-request-disconnect-disabled",
        b"serve_multiplexed_model_id",
        b"serve-multiplexed-model-id",
    }
)
_DISCONNECT: Message = {"type": "http.disconnect"}

Refusal = tuple[HTTPStatus, str]


class BodyGuard:
    """Refuse a request that is too large, too slow, or has a body where none belongs, before more of it is read."""

    def __init__(self, app: ASGIApp, classes: RequestClasses, bounds: IngressConfig) -> None:
        self._app = app
        self._classes = classes
        self._bounds = bounds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for a request that is beyond its bounds, and pass on any other, whose body is watched while it is read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        found = self._classes.of(scope, headers.get("content-type", ""))
        refusal = self._head_refusal(scope) or _size_refusal(scope["method"], headers, found)
        if refusal is not None:
            await answer_refusal(refusal, scope, receive, send)
            return
        kept = [(name, value) for name, value in scope["headers"] if name.lower() not in _NOT_FOR_CLIENTS]
        body = _Body(scope, receive, send, found, self._bounds)
        # In place: who measures the request from outside learns its route from what is written there.
        scope["headers"] = kept
        await self._app(scope, body.receive, body.send)

    def _head_refusal(self, scope: Scope) -> Refusal | None:
        address = len(scope.get("raw_path") or scope["path"].encode()) + len(scope["query_string"])
        if address > self._bounds.max_header_bytes // 2:
            return HTTPStatus.REQUEST_URI_TOO_LONG, f"the address has {address} characters: ask for less at once"
        size = sum(len(name) + len(value) for name, value in scope["headers"])
        if size > self._bounds.max_header_bytes or len(scope["headers"]) > self._bounds.max_headers:
            return (
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"{len(scope['headers'])} headers of {size} bytes: at most {self._bounds.max_headers} "
                f"of {self._bounds.max_header_bytes} bytes are taken",
            )
        return None


class _Body:
    """A request's body while it comes, and the answer that it gets where it breaks its bounds."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, found: RequestClass, bounds: IngressConfig) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._class, self._bounds = found, bounds
        self._size = 0
        # Only what the client lets one wait counts: a replica that reads slowly is not the client's fault.
        self._waited_s = 0.0
        self._is_whole = self._is_refused = self._is_answered = False

    async def receive(self) -> Message:
        """Return the next piece; a body that broke its bounds ends as if the client had gone."""
        if self._is_refused:
            return _DISCONNECT
        if self._is_whole:
            return await self._receive()
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._patience_s()):
                message = await self._receive()
        except TimeoutError:
            return await self._refuse(
                HTTPStatus.REQUEST_TIMEOUT,
                f"{self._size} bytes came in {self._waited_s + self._patience_s():.0f} s, then nothing: send the body faster",
            )
        self._waited_s += asyncio.get_running_loop().time() - began
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            self._is_whole = not message.get("more_body", False)
            if self._size > self._class.max_body_bytes:
                return await self._refuse(*_too_large(self._scope["method"], self._size, self._class))
            if not self._is_whole and self._is_slow():
                return await self._refuse(
                    HTTPStatus.REQUEST_TIMEOUT,
                    f"{self._size} bytes came in {self._waited_s:.0f} s: at least {self._bounds.least_bytes_s} a second are awaited",
                )
        return message

    async def send(self, message: Message) -> None:
        """Pass on an answer, unless the request has its answer already."""
        if not self._is_refused:
            self._is_answered = True
            await self._send(message)

    def _patience_s(self) -> float:
        whole_s = self._class.body_timeout_s
        left_s = float("inf") if whole_s is None else max(0.0, whole_s - self._waited_s)
        return min(self._bounds.silence_s, left_s)

    def _is_slow(self) -> bool:
        late_s = self._waited_s - self._bounds.silence_s
        return late_s > 0 and self._size < self._waited_s * self._bounds.least_bytes_s

    async def _refuse(self, status: HTTPStatus, detail: str) -> Message:
        self._is_refused = True
        if not self._is_answered:
            await answer_refusal((status, detail), self._scope, self._receive, self._send)
        return _DISCONNECT


async def answer_refusal(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a problem document. The connection stays open a little: a client that still sends would not read the answer otherwise."""
    status, detail = refusal
    await problem(status, status.phrase, detail)(scope, receive, send)


def _size_refusal(method: str, headers: Headers, found: RequestClass) -> Refusal | None:
    lengths = headers.getlist("content-length")
    if len(lengths) > 1 or not all(length.isdecimal() and len(length) < 20 for length in lengths):
        return HTTPStatus.BAD_REQUEST, "the request has no single, whole Content-Length"
    declared = int(lengths[0]) if lengths else 0
    if found.max_body_bytes == 0 and "transfer-encoding" in headers:
        return HTTPStatus.BAD_REQUEST, f"a {method} request must have no body"
    return _too_large(method, declared, found) if declared > found.max_body_bytes else None


def _too_large(method: str, size: int, found: RequestClass) -> Refusal:
    if found.max_body_bytes == 0:
        return HTTPStatus.BAD_REQUEST, f"a {method} request must have no body"
    return (
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body has {size} bytes or more, at most {found.max_body_bytes} are taken here ({found.limit})",
    )

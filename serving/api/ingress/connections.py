"""Connections that bring no request: uvicorn, which answers HTTP for Ray Serve and for the page, waits for them for ever."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.api.ingress.documents import PROBLEM_TYPE, SAFE_HEADERS
from serving.bounds import IngressConfig

# What a client still sends after its answer is thrown away for so long: it would not read the answer if the connection was closed.
_LINGERING_S = 5.0
# Beside what the head of a request may have, which is told by a document of its own.
_HEAD_SLACK_BYTES = 4096


def guarded_protocol(bounds: IngressConfig) -> type[HttpToolsProtocol]:
    """Return uvicorn's protocol with bounds on heads of requests, on reading answers, and on open connections."""
    idle: dict[HttpToolsProtocol, None] = {}

    class GuardedProtocol(HttpToolsProtocol):
        """One connection."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._timers: dict[str, asyncio.TimerHandle] = {}
            self._is_in_head = self._is_in_body = False
            self._has_piece = False
            self._bare_bytes = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            idle[self] = None
            self._set("head", bounds.head_timeout_s)
            if len(self.connections) > bounds.max_connections:
                longest = next(iter(idle))
                del idle[longest]
                longest.transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            self._clear("head", "lingering", "writing")
            idle.pop(self, None)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if "head" not in self._timers and (self.cycle is None or self.cycle.response_complete):
                self._set("head", bounds.head_timeout_s)
            self._has_piece = False
            super().data_received(data)
            if self._is_in_head or (self._is_in_body and not self._has_piece):
                self._bare_bytes += len(data)
                if self._bare_bytes > bounds.max_header_bytes + _HEAD_SLACK_BYTES:
                    self._end_bare()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._is_in_head, self._is_in_body, self._bare_bytes = True, False, 0
            if "head" not in self._timers:
                self._set("head", bounds.head_timeout_s)

        def on_headers_complete(self) -> None:
            self._is_in_head, self._is_in_body, self._bare_bytes = False, True, 0
            self._clear("head")
            idle.pop(self, None)
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            super().on_body(body)
            self._has_piece, self._bare_bytes = True, 0

        def on_message_complete(self) -> None:
            super().on_message_complete()
            self._is_in_body = False
            self._clear("lingering", "head")
            if self.cycle is None or self.cycle.response_complete:
                idle[self] = None

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.transport.is_closing() or not self.cycle.response_complete:
                return
            if self.cycle.more_body:
                self._set("lingering", _LINGERING_S)
            else:
                idle[self] = None

        def handle_websocket_upgrade(self) -> None:
            self._clear("head", "lingering", "writing")
            idle.pop(self, None)
            super().handle_websocket_upgrade()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._set("writing", bounds.write_timeout_s)

        def resume_writing(self) -> None:
            self._clear("writing")
            super().resume_writing()

        def send_400_response(self, msg: str) -> None:
            self._answer(HTTPStatus.BAD_REQUEST, msg)

        def _end_bare(self) -> None:
            """End a request whose head is too large, or what comes between and after pieces of its body: the parser keeps it."""
            if self._is_in_head:
                self._answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head of the request is too large")
            else:
                self.transport.abort()

        def _answer(self, status: HTTPStatus, detail: str) -> None:
            """Answer what never became a request, and close."""
            if self.transport.is_closing():
                return
            document = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail}
            body = json.dumps(document).encode()
            headers = {
                **SAFE_HEADERS,
                "content-type": PROBLEM_TYPE,
                "content-length": str(len(body)),
                "connection": "close",
            }
            head = [
                f"HTTP/1.1 {status.value} {status.phrase}",
                *(f"{name}: {value}" for name, value in headers.items()),
            ]
            self.transport.write("\r\n".join([*head, "", ""]).encode() + body)
            self.transport.close()

        def _set(self, name: str, after_s: float) -> None:
            self._clear(name)
            # What is not read is not to be waited for, either.
            end = self.transport.abort if name == "writing" else self.transport.close
            self._timers[name] = self.loop.call_later(after_s, end)

        def _clear(self, *names: str) -> None:
            for name in names:
                if (timer := self._timers.pop(name, None)) is not None:
                    timer.cancel()

    return GuardedProtocol

"""What every request passes first of all: its ids are bound, it is measured, and how it ends is counted."""

from __future__ import annotations

import re
import time
import uuid
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.telemetry.context import bind
from serving.telemetry.metrics import count_request
from serving.telemetry.traces import PARENT, span

REQUEST_ID = "X-Request-ID"
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_PLACES = {
    "project": re.compile(r"/projects/([A-Za-z0-9][A-Za-z0-9._-]{0,63})(?:/|$)"),
    "video_id": re.compile(r"/videos/([A-Za-z0-9][A-Za-z0-9._-]{0,63})(?:/|$)"),
    "job_id": re.compile(r"/jobs/([A-Za-z0-9][A-Za-z0-9._-]{0,63})(?:/|$)"),
}
# Of a request that no route takes: its path may be anything.
_NO_ROUTE = "none"
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
_STREAMS = frozenset({"/v1/jobs/{job_id}/events"})


class RequestObserver:
    """Measures requests from the outside: those that others refuse, too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count how it ended; its answer says under which id log lines have it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500
        start = time.perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # Serve's proxy, which gives each request an id, writes it into the answer itself.
                if request_id != given:
                    MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        try:
            with bind(request_id=request_id, **_ids_in(scope["path"])), _traced(scope) as told:
                try:
                    await self._app(scope, receive, sending)
                finally:
                    told |= {"name": f"{scope['method']} {route_of(scope)}", "http.response.status_code": status}
        finally:
            route = route_of(scope)
            # How long a client watches a job tells nothing of the service.
            if route not in _STREAMS:
                count_request(route, scope["method"], status, time.perf_counter() - start)


def _traced(scope: Scope) -> AbstractContextManager[dict[str, Any]]:
    # Who asks every few seconds whether the service lives would fill a collector with that.
    if scope["path"] in _PROBES:
        return nullcontext({})
    return span(scope["method"], parent=Headers(scope=scope).get(PARENT), role="server")


def route_of(scope: Scope) -> str:
    """Return the template of the route that took a request."""
    # A FastAPI that keeps included routers apart knows a route's prefix only there; another one writes it into the route.
    route = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    path = getattr(route, "path", None)
    return path if isinstance(path, str) else _NO_ROUTE


def _ids_in(path: str) -> dict[str, str]:
    return {name: found[1] for name, place in _PLACES.items() if (found := place.search(path))}

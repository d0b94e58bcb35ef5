"""What the page's own process takes: files and what is chosen on it, of bounded size, at bounded slowness."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api.ingress.documents import SAFE_HEADERS, problem
from serving.api.ingress.request_class import RequestClass, RequestClasses
from ui.page_addresses import ASSETS, GATEWAY, VIEWS, is_below_gateway
from ui.sign_in import SIGN_IN, SIGN_OUT

_API = "/gradio_api/"
# What a browser asks for on the page, by address and by how it begins.
_ASKED = frozenset(
    {
        *VIEWS.values(),
        *("/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt", SIGN_IN, SIGN_OUT),
        *(f"{_API}{name}" for name in ("info", "theme.css", "startup-events", "app_id")),
        *(f"{_API}{name}" for name in ("queue/join", "queue/data", "cancel", "reset")),
    }
)
_PUBLIC = ("/assets/", "/static/", "/svelte/", ASSETS)
_ASKED_BELOW = (*_PUBLIC, "/pwa_icon", f"{_API}heartbeat/")
# What a visitor sees goes back to the page with each of their clicks.
_STATE_BYTES = 16 * 2**20
_PAGE_HEADERS = {
    **SAFE_HEADERS,
    # Gradio writes scripts and styles into the page, evaluates templates, and shows videos and pictures from memory.
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
}
# Scripts and styles are nobody's.
_PUBLIC_HEADERS = {name: value for name, value in _PAGE_HEADERS.items() if name != "Cache-Control"}
# What changes has another address.
_ASSET_HEADERS = {**_PAGE_HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}


def page_headers(path: str) -> Mapping[str, str]:
    """Return the headers of every answer of the page at a path."""
    if is_below_gateway(path):
        return SAFE_HEADERS
    if path.startswith(f"{ASSETS}/"):
        return _ASSET_HEADERS
    return _PUBLIC_HEADERS if path.startswith(_PUBLIC) else _PAGE_HEADERS


class RouteGuard:
    """Answer 404 for what Gradio offers beside the page.

    It takes files that nobody asks for (``upload``), decodes videos that it is sent with a program of the machine, unbounded
    (``process_recording``), fetches addresses (``file``), tells of what it watches for ever (``dev/reload``), and shows a page's state
    by its number (``deep_link``).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what the page asks for."""
        path = str(scope.get("path", ""))
        if scope["type"] != "http" or path in _ASKED or path.startswith(_ASKED_BELOW) or is_below_gateway(path):
            await self._app(scope, receive, send)
        else:
            await problem(404, "Not found", "the page has nothing there")(scope, receive, send)


class PageRequests(RequestClasses):
    """The kinds of requests that the page gets: those of the service, below the gateway, and what Gradio asks."""

    def of(self, scope: Scope, content_type: str) -> RequestClass:
        """Return the class of a request."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if is_below_gateway(path):
            return super().of({**scope, "path": path.removeprefix(GATEWAY), "root_path": ""}, content_type)
        if scope["method"] == "POST":
            return RequestClass("changing", _STATE_BYTES, 60.0, "what the page holds")
        return super().of(scope, content_type)

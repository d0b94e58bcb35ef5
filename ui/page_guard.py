"""What the page's own process takes: files and what is chosen on it, of bounded size, at bounded slowness."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from facerec_models.config import LimitsConfig
from serving.api.ingress.documents import SAFE_HEADERS, problem
from serving.api.ingress.request_class import RequestClass, RequestClasses
from serving.bounds import IngressConfig
from ui.sign_in import SIGN_IN, SIGN_OUT

_API = "/gradio_api/"
_UPLOAD = f"{_API}upload"
# What a browser asks for on the page, by address and by how it begins.
_ASKED = frozenset(
    {
        *("/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt", SIGN_IN, SIGN_OUT),
        *(f"{_API}{name}" for name in ("info", "theme.css", "startup-events", "app_id", "upload_progress", "upload")),
        *(f"{_API}{name}" for name in ("queue/join", "queue/data", "cancel", "reset")),
    }
)
_ASKED_BELOW = ("/assets/", "/static/", "/svelte/", "/pwa_icon", f"{_API}file=", f"{_API}heartbeat/")
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


def page_headers(path: str) -> Mapping[str, str]:
    """Return the headers of every answer of the page at a path."""
    return _PUBLIC_HEADERS if path.startswith(("/assets/", "/static/", "/svelte/")) else _PAGE_HEADERS


class RouteGuard:
    """Answer 404 for what Gradio offers beside the page.

    It decodes videos that it is sent with a program of the machine, unbounded (``process_recording``), tells of what it watches for
    ever (``dev/reload``), and shows a page's state by its number (``deep_link``).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what the page asks for."""
        path = str(scope.get("path", ""))
        if scope["type"] != "http" or path in _ASKED or path.startswith(_ASKED_BELOW):
            await self._app(scope, receive, send)
        else:
            await problem(404, "Not found", "the page has nothing there")(scope, receive, send)


class PageRequests(RequestClasses):
    """The kinds of requests that the page gets."""

    def __init__(self, ingress: IngressConfig, limits: LimitsConfig) -> None:
        super().__init__(ingress, limits)
        self._limits = limits

    def of(self, scope: Scope, content_type: str) -> RequestClass:
        """Return the class of a request."""
        if scope["method"] != "POST":
            return super().of(scope, content_type)
        if scope["path"].removeprefix(scope.get("root_path", "")) == _UPLOAD:
            most = max(self._limits.max_upload_bytes, self._limits.max_pictures_bytes)
            return RequestClass("uploading", most + _STATE_BYTES, None, "analysis.limits.max_upload_bytes")
        return RequestClass("changing", _STATE_BYTES, 60.0, "what the page holds")

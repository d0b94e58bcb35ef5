"""What every request passes before a route sees it: who asks, and whether the project that its path names exists.

Both are plain ASGI: they answer before the body is read, so that a refused upload is not taken first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facerec_models.errors import FacerecError, InputError, ProjectNotFoundError
from facerec_models.names import DEFAULT_PROJECT, check_project_name
from serving.api.ingress.documents import SAFE_HEADERS, problem, title_of
from serving.api.ingress.own_threads import run_short
from serving.store.access_rows import Role
from serving.store.contract import Store

# What is below a project; the project itself is created, shown and deleted by name.
_BELOW_PROJECT = re.compile(r"/v1/projects/([^/]+)/.")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
DOCS, DOCS_FILES = "/docs", "/docs/files"
"""The interface as a page, and what it is made of."""
_DOCS_HEADERS = {
    **SAFE_HEADERS,
    "Content-Security-Policy": "default-src 'none'; "
    "script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
# What a node's supervisor asks, by the address that it has given the service: of no archive, and behind no key.
_HEALTH = frozenset({"/healthz", "/readyz"})
_DOCS = frozenset({DOCS, f"{DOCS}/oauth2-redirect"})


def api_headers(path: str) -> Mapping[str, str]:
    """Return the headers of every answer of the service at a path."""
    return _DOCS_HEADERS if path in _DOCS else SAFE_HEADERS


class HostGuard:
    """Let no web page elsewhere use what this application offers through its visitor's browser, which may need no key.

    A page of another name that resolves to this machine sends its own name as host, and a page of another site its origin. Checks of
    health are answered under every name.

    Parameters
    ----------
    allowed_hosts : frozenset of str
        Names, without ports, under which the application may be asked; see `Settings.allowed_hosts`.
    origins : frozenset of str
        Origins of pages elsewhere that may ask; see `Settings.cors_origins`.
    headers : callable
        What answers at a path carry, unless they say otherwise.
    """

    def __init__(
        self,
        app: ASGIApp,
        allowed_hosts: frozenset[str],
        origins: frozenset[str] = frozenset(),
        headers: Callable[[str], Mapping[str, str]] = api_headers,
    ) -> None:
        self._app = app
        self._allowed = allowed_hosts
        self._origins = origins
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a foreign request with 403, and pass any other on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        refusal = self._refusal(
            Headers(scope=scope), is_health=path in _HEALTH and scope.get("method") in ("GET", "HEAD")
        )
        if refusal is None:
            headers = self._headers(path)
            await self._app(scope, receive, _with_headers(send, headers) if scope["type"] == "http" else send)
        elif scope["type"] == "http":
            await problem(403, "Forbidden", refusal)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": "foreign host or origin"})

    def _refusal(self, headers: Headers, *, is_health: bool) -> str | None:
        hosts = headers.getlist("host") or [""]
        origins = [origin for origin in headers.getlist("origin") if origin not in self._origins]
        # The origin "null" is a page of unknown home: a sandboxed frame anywhere.
        asked = [*(() if is_health else (f"//{host}" for host in hosts)), *origins]
        if all(hostname(address) in self._allowed for address in asked):
            return None
        origin = f", origin {origins[0]!r}" if origins else ""
        return f"requests for host {hosts[0]!r}{origin} are refused: add it to FACEREC_ALLOWED_HOSTS"


def check_sender(request: Request) -> None:
    """Refuse a GET request that changes something, where a browser sends it for a page that may not ask.

    A page's script sends the page's origin. The request of a picture, a link or a frame has none: then the browser says whose it is, or
    where it came from. One that says nothing at all is refused; programs that are no browsers need not say anything.

    Raises
    ------
    HTTPException
        With status 403.
    """
    headers = request.headers
    origins: frozenset[str] = request.app.state.service.settings.cors_origins
    sent_by = headers.get("origin") or headers.get("referer")
    if "sec-fetch-site" in headers and "origin" not in headers:
        is_own = headers["sec-fetch-site"] in ("none", "same-origin")
    elif sent_by is not None:
        page = urlsplit(sent_by)
        is_own = page.netloc == headers.get("host") or f"{page.scheme}://{page.netloc}" in origins
    else:
        is_own = "mozilla" not in headers.get("user-agent", "").lower()
    if not is_own:
        raise HTTPException(
            403, f"{request.url.path} is refused: it is sent for a page of another site, {sent_by or 'unnamed'}"
        )


class ProjectGuard:
    """Answer 404 for what is below a project that does not exist: a mistyped name never becomes a project.

    The default project is created when something is first written to it, by who may write.

    Parameters
    ----------
    app : ASGIApp
    store : Store
    redact : callable
        Takes out of errors what is not for others.
    """

    def __init__(self, app: ASGIApp, store: Store, redact: Callable[[str], str]) -> None:
        self._app = app
        self._store = store
        self._redact = redact

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for a project that is not there, and pass any other request on."""
        for project in _project_of(scope):
            try:
                await run_short(self._require, project, is_written=_writes(scope))
            except FacerecError as error:
                await problem(error.status, title_of(error), self._redact(str(error)))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _require(self, project: str, *, is_written: bool) -> None:
        try:
            self._store.get_project(project)
        except ProjectNotFoundError:
            if project != DEFAULT_PROJECT or not is_written:
                raise
            self._store.create_project(project)


def hostname(address: str) -> str | None:
    """Return the host of an address, without user, port and brackets; None if there is none."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _project_of(scope: Scope) -> Iterator[str]:
    if scope["type"] == "http":
        # The application may be mounted below a path of its own.
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if found := _BELOW_PROJECT.match(path):
            with suppress(InputError):  # what no project may be called is refused by the route, which says why
                yield check_project_name(found[1])


def _writes(scope: Scope) -> bool:
    """Whether a route is asked that changes something: one that may be sent pictures by who may only read does not."""
    needed: Role = scope.get("state", {}).get("needed", Role.READ)
    return scope["method"] not in _READING and needed.includes(Role.CURATE)


def _with_headers(send: Send, own: Mapping[str, str]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in own.items():
                headers.setdefault(name, value)
        await send(message)

    return sending

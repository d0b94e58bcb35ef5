"""Who visits the page: a key is asked for where the service asks for one, and kept for the visit in this process's memory alone."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from html import escape
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from facerec_models.errors import FacerecError, SourceError
from serving.api.ingress.access import comes_from_here, given_token
from serving.api.ingress.documents import problem
from ui.client import FacerecClient, ServiceError
from ui.page_addresses import ASSETS, is_below_gateway

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
_COOKIE = "facerec_visit"
_VISIT_S = 12 * 3600.0
_MOST_VISITS = 10_000
_MOST_FORM_BYTES = 16_384
_OPEN_ASKED_S = 2.0
# Scripts, styles, and what a browser asks for by itself to show beside the title.
_NOBODYS = (ASSETS, "/favicon.ico")
# So long a key that was taken is not asked about again, and of so many.
_TAKEN_S = 5.0
_MOST_TAKEN = 1000
# In the state of a request: what its visitor shows to the service; None for who needs no key.
SHOWN_BY = "shown_by_visitor"
_REFUSALS = (401, 403, 429)
_FORM = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>FaceRec: sign in</title>
<meta name="viewport" content="width=device-width"><style>
body{{font:16px/1.5 system-ui,sans-serif;display:grid;place-items:center;min-height:90vh;margin:0;color:#18181b;background:#fafafa}}
form{{background:#fff;border:1px solid #d4d4d8;border-radius:8px;padding:2rem;box-sizing:border-box;width:min(28rem,90vw)}}
h1{{margin:0 0 .25rem;font-size:1.4rem}}p{{margin:.25rem 0 1rem}}label{{display:block;font-weight:600}}
input{{font:inherit;width:100%;box-sizing:border-box;padding:.5rem;margin:.25rem 0 1rem;border:1px solid #71717a;border-radius:6px}}
button{{font:inherit;font-weight:600;padding:.5rem 1.25rem;border:0;border-radius:6px;background:#0f766e;color:#fff;cursor:pointer}}
[role=alert]{{color:#b91c1c}}@media(prefers-color-scheme:dark){{body{{background:#18181b;color:#f4f4f5}}
form{{background:#27272a;border-color:#52525b}}input{{background:#18181b;color:inherit}}[role=alert]{{color:#fca5a5}}}}
</style></head><body><main><form method="post" action="{action}"><h1>FaceRec</h1><p>Your key opens the archive for you.
Without one, or when it opens nothing any more, ask whoever runs the archive for a new one.</p>{alert}
<label for="key">Key</label><input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
<button>Sign in</button></form></main></body></html>"""


class Visits:
    """The keys of those who have signed in, for twelve hours. May be shared by threads."""

    def __init__(self) -> None:
        self._keys: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, key: str) -> str:
        """Keep a key; return the name of the visit, which nobody can guess."""
        name = secrets.token_urlsafe(32)
        with self._lock:
            self._keys[name] = key, time.monotonic() + _VISIT_S
            while len(self._keys) > _MOST_VISITS:
                self._keys.popitem(last=False)
        return name

    def key_of(self, name: str) -> str | None:
        """Return the key of a visit; None if it is over, or there never was one."""
        with self._lock:
            key, until = self._keys.get(name, (None, 0.0))
            if time.monotonic() > until:
                self._keys.pop(name, None)
                return None
            return key

    def end(self, name: str) -> None:
        """Forget a visit's key."""
        with self._lock:
            self._keys.pop(name, None)


class SignInGuard:
    """Let nobody further without a key that the service takes, unless the service asks visitors of this machine for none.

    Parameters
    ----------
    client : FacerecClient
        Of the service, without a key.
    visits : Visits
    """

    def __init__(self, app: ASGIApp, client: FacerecClient, visits: Visits) -> None:
        self._app = app
        self._client = client
        self._visits = visits
        self._open_asked_at = -_OPEN_ASKED_S
        self._is_open = False
        self._taken: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the form, or pass on who may visit."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": "the page uses none"})
            else:
                await self._app(scope, receive, send)
            return
        path = str(scope["path"])
        answer: ASGIApp
        if path == SIGN_IN:
            answer = await self._sign_in(Request(scope, receive))
        elif path == SIGN_OUT and scope["method"] == "POST":
            self._visits.end(_visit_of(Headers(scope=scope)))
            answer = _without_cookie(RedirectResponse(SIGN_IN, 303))
        elif is_below_gateway(path):
            answer = self._app if self._may_ask(scope) else _unauthenticated()
        elif path.startswith(_NOBODYS) or await asyncio.to_thread(self._may_visit, scope):
            answer = self._app
        elif scope["method"] == "GET" and "text/html" in Headers(scope=scope).get("accept", ""):
            answer = RedirectResponse(SIGN_IN, 303)
        else:
            answer = _unauthenticated()
        await answer(scope, receive, send)

    def _may_ask(self, scope: Scope) -> bool:
        """Whether the service may be asked: it looks at the key itself, and answers to this machine alone without one."""
        headers = Headers(scope=scope)
        token = given_token(headers) or self._visits.key_of(_visit_of(headers))
        scope.setdefault("state", {})[SHOWN_BY] = token
        return bool(token) or comes_from_here(scope, headers)

    def _may_visit(self, scope: Scope) -> bool:
        if not self._may_ask(scope):
            return False
        if token := scope["state"][SHOWN_BY]:
            return self._is_taken(token)
        now = time.monotonic()
        if now - self._open_asked_at >= _OPEN_ASKED_S:
            self._is_open = self._answers_without_key()
            self._open_asked_at = now
        return self._is_open

    def _is_taken(self, token: str) -> bool:
        """Whether the service takes a key or token; what it has taken just now is not asked about again."""
        digest, now = hashlib.sha256(token.encode("utf-8", "replace")).digest(), time.monotonic()
        with self._lock:
            if now < self._taken.get(digest, 0.0):
                return True
        try:
            self._client.with_token(token).me()
        except SourceError:  # what is behind the page is the service's, which asks for the key again
            return True
        except (FacerecError, ValueError):  # refused, or nothing that can be sent
            return False
        with self._lock:
            self._taken[digest] = now + _TAKEN_S
            while len(self._taken) > _MOST_TAKEN:
                self._taken.popitem(last=False)
        return True

    def _answers_without_key(self) -> bool:
        try:
            self._client.me()
        except ServiceError as error:
            # A service that is about to be ready tells nothing of keys: what it told before holds.
            return False if error.status in _REFUSALS else self._is_open
        except SourceError:  # the page itself tells that no service answers
            return True
        return True

    async def _sign_in(self, request: Request) -> Response:
        if request.method != "POST":
            return HTMLResponse(_form())
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_FORM_BYTES:
                return HTMLResponse(_form("That is too long to be a key."), 413)
        key = parse_qs(body.decode("utf-8", "replace")).get("key", [""])[0].strip()
        if not key or not key.isascii() or not key.isprintable():
            return HTMLResponse(_form("That is no key: one begins with facerec_ and is given whole."), 401)
        try:
            await asyncio.to_thread(self._client.with_token(key).me)
        except ServiceError as error:
            return HTMLResponse(_form(error.detail), error.status if error.status in _REFUSALS else 401)
        except FacerecError as error:
            return HTMLResponse(_form(str(error)), 503)
        answer = RedirectResponse("/", 303)
        is_secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
        answer.set_cookie(
            _COOKIE,
            self._visits.begin(key),
            max_age=int(_VISIT_S),
            httponly=True,
            samesite="strict",
            secure=is_secure,
        )
        return answer


def _unauthenticated() -> Response:
    return problem(401, "Unauthenticated", "a key is needed: load the page again and sign in")


def _visit_of(headers: Headers) -> str:
    return cookie_parser(headers.get("cookie", "")).get(_COOKIE, "")


def _form(alert: str = "") -> str:
    return _FORM.format(action=SIGN_IN, alert=f'<p role="alert">{escape(alert)}</p>' if alert else "")


def _without_cookie(answer: Response) -> Response:
    answer.delete_cookie(_COOKIE)
    return answer

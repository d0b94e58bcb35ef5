"""Problem documents (RFC 9457): how every error is answered, by the service and by the page."""

from __future__ import annotations

import re
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# An answer is what its type says, runs nothing, is kept by nobody on the way, and is shown in no frame of another page, where a click
# can be led astray.
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; media-src 'self'; frame-ancestors 'none'",
}
PROBLEM_TYPE = "application/problem+json"
# Of anything that a request has brought.
_MOST_ECHOED = 200
_MOST_DETAIL = 2000
_LONG = re.compile(rf"'[^'\n]{{{_MOST_ECHOED},}}'|\"[^\"\n]{{{_MOST_ECHOED},}}\"|\S{{{_MOST_ECHOED},}}")


def problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return a problem document."""
    return JSONResponse(
        {"type": "about:blank", "title": shorten(title), "status": int(status), "detail": shorten(detail)},
        status_code=int(status),
        headers={**SAFE_HEADERS, **(headers or {})},
        media_type=PROBLEM_TYPE,
    )


def title_of(error: Exception) -> str:
    """Return the kind of an error as a short title."""
    return type(error).__name__.removesuffix("Error")


def shorten(text: str) -> str:
    """Return a text whose long values have lost their middle: a request is not sent back to whoever sent it.

    Examples
    --------
    >>> shorten("'" + "x" * 300_000_000 + "' is no name"[:20]).count("x") < 2000
    True
    >>> len(shorten("no name: '" + "y" * 1000 + "'")) < 220
    True
    """
    if len(text) > 2 * _MOST_DETAIL:
        text = f"{text[:_MOST_DETAIL]}…{text[-_MOST_DETAIL:]}"
    half = _MOST_ECHOED // 2 - 2
    text = _LONG.sub(lambda found: f"{found[0][:half]}…{found[0][-half:]}", text)
    return text if len(text) <= _MOST_DETAIL else f"{text[:_MOST_DETAIL]}…"


class DocumentedErrors:
    """Put a problem document in the place of an error that is told as text: by Ray Serve, or by what sends files."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and replace a plain error."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_replaced = False

        async def sending(message: Message) -> None:
            nonlocal is_replaced
            if message["type"] == "http.response.start" and _is_plain_error(message):
                is_replaced = True
                status = message["status"]
                title, detail = _TOLD.get(status) or (_phrase(status), "the request could not be answered")
                headers = {"Retry-After": "2"} if status in _RETRIED else {}
                if (place := MutableHeaders(scope=message).get("content-range")) is not None:
                    headers["Content-Range"] = place
                await problem(status, title, detail, headers)(scope, receive, send)
            elif not is_replaced:
                await send(message)

        await self._app(scope, receive, sending)


_TOLD = {
    404: ("Not found", "nothing is here: the service answers at another address, or has not started yet"),
    408: ("Request timeout", "the request took longer than requests may take"),
    416: ("Range not satisfiable", "the file has no such bytes"),
    429: ("Busy", "too many requests wait: ask again in a moment"),
    500: ("Internal error", "the request could not be answered: its id is in the header X-Request-ID, and in the log"),
    503: ("Unavailable", "the service is starting, or is being replaced: ask again in a moment"),
}
_RETRIED = frozenset({429, 503})


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _is_plain_error(start: Message) -> bool:
    kinds = [value for name, value in start.get("headers", ()) if name.lower() == b"content-type"]
    return start["status"] >= 400 and not any(b"json" in kind for kind in kinds)

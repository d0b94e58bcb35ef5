"""The service, below an address of the page: what a browser asks here is asked there, as who visits.

The page keeps the keys of its visitors, and a browser may ask no other host: so everything goes through here, as it comes, in both
directions. Nothing is kept, and nothing decided: the service says who may do what. Only of a picture that is gone the browser gets
no fault, but nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from facerec_models.proxies import is_loopback
from serving.api.ingress.documents import problem
from ui.page_addresses import GATEWAY
from ui.sign_in import SHOWN_BY

# Reading waits for as long as the service may take: an annotated video is drawn while its reader waits.
_TIMEOUT = httpx.Timeout(5.0, read=7200.0, write=600.0, pool=30.0)
_MOST_CONNECTIONS = 256
_ASKED = (
    *("accept", "content-type", "content-length", "idempotency-key", "x-request-id"),
    *("range", "if-range", "if-match", "if-none-match", "if-modified-since"),
)
_ANSWERED = (
    *("content-type", "content-length", "content-encoding", "content-disposition", "content-range", "accept-ranges"),
    *("etag", "last-modified", "cache-control", "retry-after", "x-request-id", "www-authenticate"),
)


class Gateway:
    """Asks the service for the browser, over connections that are kept.

    Parameters
    ----------
    service : str
        Its address.
    """

    def __init__(self, service: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=service,
            timeout=_TIMEOUT,
            trust_env=not is_loopback(service),
            limits=httpx.Limits(max_connections=_MOST_CONNECTIONS),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back, both while they come."""
        try:
            answer: ASGIApp = await self._ask(Request(scope, receive))
        except ClientDisconnect:
            return
        except httpx.TransportError:
            answer = problem(
                503, "Unavailable", "the service does not answer: it may be starting", {"Retry-After": "2"}
            )
        await answer(scope, receive, send)

    async def _ask(self, request: Request) -> Response:
        headers = {name: request.headers[name] for name in _ASKED if name in request.headers}
        # Nobody unpacks on the way; httpx would ask for what is packed.
        headers["accept-encoding"] = request.headers.get("accept-encoding", "identity")
        token = getattr(request.state, SHOWN_BY, None)
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        has_body = "content-length" in headers or "transfer-encoding" in request.headers
        asked = self._http.build_request(
            request.method, _address(request.scope), headers=headers, content=request.stream() if has_body else None
        )
        answer = await self._http.send(asked, stream=True)
        if answer.status_code == 404 and request.headers.get("sec-fetch-dest") == "image":
            # The page shows what stands for a picture that is gone; of a 404 browsers write a fault on their consoles.
            await answer.aclose()
            return Response(status_code=204)
        back = {name: answer.headers[name] for name in _ANSWERED if name in answer.headers}
        return StreamingResponse(
            _body_of(answer), status_code=answer.status_code, headers=back, background=BackgroundTask(answer.aclose)
        )


def _address(scope: Scope) -> str:
    """Return path and query as they came: what stands for a slash within a name still does."""
    path = str(scope["raw_path"], "ascii").partition("?")[0].removeprefix(scope.get("app_root_path", ""))
    query = str(scope["query_string"], "ascii")
    return path.removeprefix(GATEWAY) + (f"?{query}" if query else "")


async def _body_of(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in answer.aiter_raw():
            yield piece
    finally:
        await answer.aclose()

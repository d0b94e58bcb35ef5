"""So many requests at a time, by their kind: who comes beyond them waits a little, and then is told to come again."""

from __future__ import annotations

import asyncio
import math
from collections import deque

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.ingress.documents import problem
from serving.api.ingress.request_class import RequestClasses, Share
from serving.bounds import IngressConfig

# Of a body that much is taken before the request gets its place: one that comes slowly holds no place of others.
_GATHERED_BYTES = 256 * 2**10
# Bodies of which the beginning comes slowly: that much memory, times the bytes above, is theirs.
_MOST_GATHERED = 256
_RETRY_AFTER_S = 2.0


class AdmissionGuard:
    """Let requests of each kind in, as many as its places; checks of health are always let in.

    More wait for up to `IngressConfig.max_wait_s`, as many as there are places; whoever comes then is answered 429.
    """

    def __init__(self, app: ASGIApp, classes: RequestClasses, bounds: IngressConfig) -> None:
        self._app = app
        self._classes = classes
        shares: tuple[Share, ...] = ("reading", "sending", "following", "changing", "uploading", "recognizing")
        self._places = {share: _SharePlaces(getattr(bounds, share), bounds.max_wait_s) for share in shares}
        self._gathering = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on in its place, or answer that all are taken."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        share = self._classes.of(scope, Headers(scope=scope).get("content-type", "")).share
        if share == "health":
            await self._app(scope, receive, send)
            return
        places = self._places[share]
        if places.are_full or self._gathering >= _MOST_GATHERED:
            await _answer_busy(share, scope, receive, send)
            return
        self._gathering += 1
        try:
            begun = await _gather(receive)
        finally:
            self._gathering -= 1
        if begun[-1]["type"] == "http.disconnect":
            return
        if not await places.enter():
            await _answer_busy(share, scope, receive, send)
            return
        try:
            await self._app(scope, _replay(begun, receive), send)
        finally:
            places.leave()


class _SharePlaces:
    """A number of places and those who wait for one, in the order in which they came."""

    def __init__(self, count: int, max_wait_s: float) -> None:
        self._most, self._free = count, count
        self._max_wait_s = max_wait_s
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def are_full(self) -> bool:
        """Whether nobody can even wait."""
        return self._free == 0 and len(self._waiting) >= self._most

    async def enter(self) -> bool:
        """Take a place; False if none became free in time."""
        if self._free > 0:
            self._free -= 1
            return True
        if self.are_full:
            return False
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._max_wait_s):
                await turn
        except TimeoutError:
            return turn.done() and not turn.cancelled()  # the place came at this moment
        except BaseException:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)
        return True

    def leave(self) -> None:
        """Give a place to who has waited longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


async def _gather(receive: Receive) -> list[Message]:
    begun: list[Message] = []
    size = 0
    while size < _GATHERED_BYTES:
        message = await receive()
        begun.append(message)
        size += len(message.get("body", b""))
        if not message.get("more_body", False):
            break
    return begun


def _replay(begun: list[Message], receive: Receive) -> Receive:
    again = deque(begun)

    async def receiving() -> Message:
        return again.popleft() if again else await receive()

    return receiving


async def _answer_busy(share: Share, scope: Scope, receive: Receive, send: Send) -> None:
    headers = {"Retry-After": str(math.ceil(_RETRY_AFTER_S))}
    detail = f"all places for requests of this kind ({share}) are taken: ask again in a moment"
    await problem(429, "Busy", detail, headers)(scope, receive, send)

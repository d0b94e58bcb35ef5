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
# Bodies of which the beginning comes slowly: that much memory, times the bytes above, is theirs. Beyond, one of them is given up.
_MOST_GATHERED = 256
_RETRY_AFTER_S = 2.0
_ALL_TAKEN = "all places for requests of this kind ({}) are taken: ask again in a moment"
_TOO_SLOW = "too many bodies are awaited, of which this one came slowly: send it again, and faster"


class AdmissionGuard:
    """Let requests of each kind in, as many as its places; checks of health are always let in.

    More wait for up to `IngressConfig.max_wait_s`, as many as there are places; whoever comes then is answered 429. Slow bodies keep
    nobody out: what has no body is not awaited, and where too many are awaited, the oldest of the address with most of them ends.
    """

    def __init__(self, app: ASGIApp, classes: RequestClasses, bounds: IngressConfig) -> None:
        self._app = app
        self._classes = classes
        shares: tuple[Share, ...] = ("reading", "sending", "following", "changing", "uploading", "recognizing")
        self._places = {share: _SharePlaces(getattr(bounds, share), bounds.max_wait_s) for share in shares}
        self._gatherings = _Gatherings()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on in its place, or answer that all are taken."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        share = self._classes.of(scope, headers.get("content-type", "")).share
        if share == "health":
            await self._app(scope, receive, send)
            return
        places = self._places[share]
        if places.are_full:
            await _answer_busy(_ALL_TAKEN.format(share), scope, receive, send)
            return
        begun: list[Message] = []
        if _has_body(headers):
            try:
                begun = await self._gatherings.gather((scope.get("client") or ["unknown"])[0], receive)
            except _GivenUpError:
                await _answer_busy(_TOO_SLOW, scope, receive, send)
                return
            if begun[-1]["type"] == "http.disconnect":
                return
        if not await places.enter():
            await _answer_busy(_ALL_TAKEN.format(share), scope, receive, send)
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


class _GivenUpError(Exception):
    """A body is awaited no longer, because others are."""


class _Gatherings:
    """The bodies whose beginnings are awaited, of each address the oldest first."""

    def __init__(self) -> None:
        self._by_address: dict[str, deque[asyncio.Timeout]] = {}

    async def gather(self, address: str, receive: Receive) -> list[Message]:
        """Await the beginning of a body from an address.

        Raises
        ------
        _GivenUpError
            If others need its place meanwhile.
        """
        if sum(map(len, self._by_address.values())) >= _MOST_GATHERED:
            self._give_one_up()
        try:
            async with asyncio.timeout(None) as patience:
                self._by_address.setdefault(address, deque()).append(patience)
                try:
                    return await _gather(receive)
                finally:
                    self._forget(address, patience)
        except TimeoutError:
            if patience.expired():
                raise _GivenUpError from None
            raise

    def _give_one_up(self) -> None:
        address = max(self._by_address, key=lambda one: len(self._by_address[one]))
        patience = self._by_address[address][0]
        self._forget(address, patience)
        patience.reschedule(asyncio.get_running_loop().time())

    def _forget(self, address: str, patience: asyncio.Timeout) -> None:
        theirs = self._by_address.get(address, deque())
        if patience in theirs:
            theirs.remove(patience)
            if not theirs:
                del self._by_address[address]


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip("0") != ""


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


async def _answer_busy(detail: str, scope: Scope, receive: Receive, send: Send) -> None:
    headers = {"Retry-After": str(math.ceil(_RETRY_AFTER_S))}
    await problem(429, "Busy", detail, headers)(scope, receive, send)

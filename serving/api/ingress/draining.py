"""The end of a replica: what is asked is answered, what comes from now on is told to come again."""

from __future__ import annotations

import asyncio
import time

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api.ingress.documents import problem

# By then another replica, or the service that starts next, answers.
_RETRY_AFTER_S = 10
# What only says that the process lives may do so until its end.
_ALWAYS = frozenset({"/healthz"})
_CHECK_PERIOD_S = 0.05


class Door:
    """Whether requests are let in, and how many are inside. One event loop uses it."""

    def __init__(self) -> None:
        self.is_open = True
        self.inside = 0

    async def close(self, timeout_s: float) -> int:
        """Let nobody in any more, wait until all have left or the time is over; return how many are inside then."""
        self.is_open = False
        deadline = time.monotonic() + timeout_s
        while self.inside and time.monotonic() < deadline:
            await asyncio.sleep(_CHECK_PERIOD_S)
        return self.inside


class DrainGuard:
    """Answer 503 with ``Retry-After`` once the door is closed, before a body is read."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or send it away."""
        if scope["type"] != "http" or scope["path"] in _ALWAYS:
            await self._app(scope, receive, send)
            return
        if not self._door.is_open:
            answer = problem(
                503,
                "Ending",
                "the service ends and takes no more requests: ask again in some seconds",
                {"Retry-After": str(_RETRY_AFTER_S)},
            )
            await answer(scope, receive, send)
            return
        self._door.inside += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._door.inside -= 1

"""An answer is made no faster than its client takes it: Ray Serve keeps what is made and not yet taken, in memory and then on the disk.

What answers HTTP tells the replica how much of the answer was taken, among the messages of the request; the replica waits where too
much of it was not. Where nobody tells, as without `serving.api.ingress.proxy`, nobody waits.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

TAKEN = "facerec.taken"
"""The type of the messages that tell what was taken, and the extension of a request of which they tell."""

# Of an answer, what may be on its way, and how much is told of at a time.
_WINDOW_BYTES = 8 * 2**20
_STEP_BYTES = 2**20


class AnswerWindow:
    """How much of an answer is on its way. One event loop uses it."""

    def __init__(self) -> None:
        self._under_way = 0
        self._is_over = False
        self._has_changed = asyncio.Event()

    def take(self, size: int) -> None:
        """Count so many bytes as taken."""
        self._under_way -= size
        self._has_changed.set()

    def end(self) -> None:
        """Nobody tells any more what is taken, since nobody takes it: let what is made go."""
        self._is_over = True
        self._has_changed.set()

    async def make(self, size: int) -> None:
        """Wait until there is room, and count so many bytes as on their way."""
        while self._under_way >= _WINDOW_BYTES and not self._is_over:
            self._has_changed.clear()
            await self._has_changed.wait()
        self._under_way += size


class TakenTeller:
    """In what answers HTTP: tell who makes the answer how much of it was taken."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and messages of what was taken with those of its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["extensions"] = {**scope.get("extensions", {}), TAKEN: {}}
        untold = 0
        is_enough = asyncio.Event()
        coming: asyncio.Future[Message] | None = None

        async def sending(message: Message) -> None:
            nonlocal untold
            await send(message)
            untold += len(message.get("body", b""))
            if untold >= _STEP_BYTES:
                is_enough.set()

        async def receiving() -> Message:
            nonlocal untold, coming
            if coming is None:
                coming = asyncio.ensure_future(receive())
            enough = asyncio.ensure_future(is_enough.wait())
            awaited: list[asyncio.Future[Any]] = [coming, enough]
            try:
                await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            finally:
                enough.cancel()
            if coming.done():
                message, coming = coming.result(), None
                return message
            is_enough.clear()
            size, untold = untold, 0
            return {"type": TAKEN, "bytes": size}

        try:
            await self._app(scope, receiving, sending)
        finally:
            if coming is not None:
                coming.cancel()


class PacedAnswers:
    """In the replica: let an answer wait for who takes it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; its answer waits where what answers HTTP tells what is taken."""
        window = scope.get("extensions", {}).get(TAKEN)

        async def sending(message: Message) -> None:
            await window.make(len(message.get("body", b"")))
            await send(message)

        await self._app(scope, receive, sending if isinstance(window, AnswerWindow) else send)

"""A body is read no faster than it is used: Ray Serve keeps what was read, and not yet used, without a bound.

It does so twice, in what answers HTTP and in the replica, by classes of its own that have no setting. Each is replaced, in its own
process, by one that waits; the names are those of Ray 2.60: check them on upgrade.
"""

from __future__ import annotations

import asyncio
from typing import Any

from serving.api.ingress.pacing import TAKEN, AnswerWindow

# Of some 64 KiB each, and a few times more where several were read at once.
_MOST_MESSAGES = 64
_PERIOD_S = 0.01


def bound_proxy_queue() -> None:
    """Let what answers HTTP stop reading from a client while the replica has not fetched what it has read."""
    from ray.serve._private import http_util, proxy

    class BoundedMessageQueue(http_util.MessageQueue):
        async def __call__(self, message: Any) -> None:
            while len(self._message_queue) >= _MOST_MESSAGES and not self._closed:
                await asyncio.sleep(_PERIOD_S)
            await super().__call__(message)

    vars(proxy)["MessageQueue"] = BoundedMessageQueue


def bound_replica_queue() -> None:
    """Let a replica stop fetching a body while it has not used what it has fetched."""
    from ray.serve._private import http_util, replica

    class BoundedReceiveProxy(http_util.ASGIReceiveProxy):
        """Keeps what comes of a body, and what is told of the answer apart from it, see `serving.api.ingress.pacing`."""

        def __init__(self, scope: Any, request_metadata: Any, receive_asgi_messages: Any) -> None:
            async def receive_when_there_is_room(metadata: Any) -> bytes:
                while self.queue.qsize() >= _MOST_MESSAGES:
                    await asyncio.sleep(_PERIOD_S)
                found: bytes = await receive_asgi_messages(metadata)
                return found

            super().__init__(scope, request_metadata, receive_when_there_is_room)
            self._window = AnswerWindow()
            if TAKEN in scope.get("extensions", {}):
                scope["extensions"][TAKEN] = self._window

        @property
        def queue(self) -> asyncio.Queue[Any]:
            if self._queue is None:
                self._queue = _Inbox(self._window)
            return self._queue

        async def fetch_until_disconnect(self) -> None:
            try:
                await super().fetch_until_disconnect()  # type: ignore[no-untyped-call]
            finally:
                self._window.end()

    vars(replica)["ASGIReceiveProxy"] = BoundedReceiveProxy


class _Inbox(asyncio.Queue[Any]):
    def __init__(self, window: AnswerWindow) -> None:
        super().__init__()
        self._window = window

    def put_nowait(self, item: Any) -> None:
        if isinstance(item, dict) and item["type"] == TAKEN:
            self._window.take(item["bytes"])
        else:
            super().put_nowait(item)

"""A replica that ends: what is under way is answered, what comes from now on is told to come again."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from serving.api.ingress.draining import Door, DrainGuard
from tests.waiting import WAIT_S


class Slow:
    """An application whose one answer waits until it may be given."""

    def __init__(self) -> None:
        self.door = Door()
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()
        app = Starlette(routes=[Route("/slow", self._slow, methods=["GET", "POST"]), Route("/healthz", self._health)])
        app.add_middleware(DrainGuard, door=self.door)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")

    async def _slow(self, _: Request) -> PlainTextResponse:
        self.asked.set()
        await self.may_answer.wait()
        return PlainTextResponse("done")

    async def _health(self, _: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")


async def _drain_while_one_is_asked() -> None:
    slow = Slow()
    async with slow.client as client:
        first = asyncio.create_task(client.get("/slow"))
        await slow.asked.wait()
        assert await slow.door.close(0.1) == 1
        late = await client.post("/slow", content=b"x" * 10_000)
        assert (late.status_code, late.headers["content-type"]) == (503, "application/problem+json")
        assert int(late.headers["Retry-After"]) >= 1
        assert (await client.get("/healthz")).status_code == 200
        closing = asyncio.create_task(slow.door.close(WAIT_S))
        slow.may_answer.set()
        assert (await first).text == "done"
        assert await closing == 0


async def _fail_inside() -> None:
    door = Door()

    async def fails(scope: object, receive: object, send: object) -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        await DrainGuard(fails, door)({"type": "http", "path": "/"}, None, None)  # type: ignore[arg-type]
    assert await door.close(WAIT_S) == 0


def test_what_is_under_way_is_answered_and_what_comes_is_sent_away() -> None:
    asyncio.run(_drain_while_one_is_asked())


def test_a_request_that_fails_has_left() -> None:
    asyncio.run(_fail_inside())

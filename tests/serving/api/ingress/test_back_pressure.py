"""Bodies are read no faster than they are used, and answers made no faster than they are taken, by the classes that Ray Serve gets."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from ray.serve._private import proxy, replica
from starlette.types import Message, Receive, Scope, Send

from serving.api.ingress.back_pressure import bound_proxy_queue, bound_replica_queue
from serving.api.ingress.pacing import PacedAnswers, TakenTeller

PIECE = 2**16
END: Message = {"type": "http.disconnect"}


@pytest.fixture(autouse=True)
def bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound both sides until the test ends."""
    monkeypatch.setattr(proxy, "MessageQueue", vars(proxy)["MessageQueue"])
    monkeypatch.setattr(replica, "ASGIReceiveProxy", vars(replica)["ASGIReceiveProxy"])
    bound_proxy_queue()
    bound_replica_queue()


def piece(number: int, *, is_last: bool = False) -> Message:
    return {"type": "http.request", "body": b"%d" % number, "more_body": not is_last}


async def settle(state: Callable[[], object]) -> None:
    """Wait until a state has not changed for a while."""
    before, now = object(), state()
    while before != now:
        await asyncio.sleep(0.1)
        before, now = now, state()


def test_ray_makes_what_was_replaced() -> None:
    for function, name in [
        (proxy.HTTPProxy.send_request_to_replica, "MessageQueue"),
        (replica.Replica._unpack_proxy_args, "ASGIReceiveProxy"),
    ]:
        assert name in inspect.unwrap(function).__code__.co_names


def test_the_service_paces_its_answers(client: TestClient) -> None:
    app = client.app
    assert isinstance(app, FastAPI)
    assert app.user_middleware[0].cls is PacedAnswers


def test_who_reads_from_a_client_waits_for_the_replica() -> None:
    async def run() -> None:
        queue = vars(proxy)["MessageQueue"]()
        written = 0

        async def write() -> None:
            nonlocal written
            for number in range(300):
                await queue(piece(number))
                written += 1

        writing = asyncio.create_task(write())
        await settle(lambda: written)
        assert written == 64
        got = queue.get_messages_nowait()
        await settle(lambda: written)
        assert written == 128
        while len(got) < 300:
            await queue.wait_for_message()
            got += queue.get_messages_nowait()
        await writing
        assert [int(message["body"]) for message in got] == list(range(300))
        # Who waits when the request ends does not wait for ever.
        last = asyncio.gather(*(queue(piece(number)) for number in range(65)), return_exceptions=True)
        await asyncio.sleep(0.05)
        queue.close()
        async with asyncio.timeout(5):
            assert isinstance((await last)[-1], RuntimeError)

    asyncio.run(run())


def test_a_replica_fetches_no_more_of_a_body_than_it_uses() -> None:
    async def run() -> None:
        fetched = 0

        async def fetch(_: object) -> bytes:
            nonlocal fetched
            if fetched == 300:
                return pickle.dumps([END])
            fetched += 10
            return pickle.dumps([piece(number) for number in range(fetched - 10, fetched)])

        receive = vars(replica)["ASGIReceiveProxy"]({"type": "http"}, None, fetch)
        fetching = asyncio.create_task(receive.fetch_until_disconnect())
        await settle(lambda: fetched)
        assert fetched == 70
        got = [await receive() for _ in range(20)]
        await settle(lambda: fetched)
        assert fetched == 90
        got += [await receive() for _ in range(280)]
        assert [int(message["body"]) for message in got] == list(range(300))
        assert await receive() == END
        await fetching

    asyncio.run(run())


class Serve:
    """Takes requests from one application to another as Ray Serve does between two processes."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        queue = vars(proxy)["MessageQueue"]()
        answer: asyncio.Queue[Message] = asyncio.Queue()

        async def read() -> None:
            with suppress(RuntimeError):
                while (message := await receive())["type"] != "http.disconnect":
                    await queue(message)
                await queue(message)

        async def fetch(_: object) -> bytes:
            await queue.wait_for_message()
            return pickle.dumps(queue.get_messages_nowait())

        there = pickle.loads(pickle.dumps(scope))
        received = vars(replica)["ASGIReceiveProxy"](there, None, fetch)
        tasks = [asyncio.create_task(one) for one in (read(), received.fetch_until_disconnect())]
        making = asyncio.create_task(self._app(there, received, answer.put))
        try:
            is_over = False
            while not is_over:
                message = await answer.get()
                await send(message)
                is_over = message["type"] == "http.response.body" and not message.get("more_body", False)
            await making
        finally:
            for task in tasks:
                task.cancel()


def answering(count: int, made: list[int]) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while (message := await receive()).get("more_body", False):
            body += message["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(count):
            await send({"type": "http.response.body", "body": PIECE * b"x", "more_body": number < count - 1})
            made.append(number)

    return PacedAnswers(app)


@pytest.mark.parametrize("is_told", [True, False])
def test_an_answer_waits_for_who_takes_it(is_told: bool) -> None:
    made: list[int] = []
    taken = 0
    may_take = asyncio.Event()
    ends = asyncio.Event()

    async def run() -> None:
        nonlocal taken
        coming = [piece(0), piece(1, is_last=True)]

        async def receive() -> Message:
            if coming:
                return coming.pop(0)
            await ends.wait()
            return END

        async def send(message: Message) -> None:
            nonlocal taken
            await may_take.wait()
            taken += len(message.get("body", b""))

        served = Serve(answering(1000, made))
        asked: Any = TakenTeller(served) if is_told else served
        asking = asyncio.create_task(asked({"type": "http"}, receive, send))
        await settle(lambda: len(made))
        # Without who tells what is taken, all is made at once.
        assert len(made) == (128 if is_told else 1000)
        may_take.set()
        async with asyncio.timeout(30):
            await asking
        assert (len(made), taken) == (1000, 1000 * PIECE)

    asyncio.run(run())


def test_an_answer_that_nobody_takes_any_more_is_not_waited_for() -> None:
    made: list[int] = []

    async def run() -> None:
        coming = asyncio.Queue[Message]()
        coming.put_nowait(piece(0, is_last=True))

        async def send(_: Message) -> None:
            await asyncio.Event().wait()

        asking = asyncio.create_task(TakenTeller(Serve(answering(1000, made)))({"type": "http"}, coming.get, send))
        await settle(lambda: len(made))
        assert len(made) == 128
        coming.put_nowait(END)
        await settle(lambda: len(made))
        assert len(made) == 1000
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking

    asyncio.run(run())

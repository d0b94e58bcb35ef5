"""Long work and what every request waits for have threads of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.networks import Networks
from facerec_models.images import encode_crop
from facerec_models.stills import StillResult
from facerec_models.types import Detections, ImageArray
from serving.api.ingress.own_threads import LongWork, run_long, run_short
from serving.archive.handle import Archive
from serving.deployments.batching import ItemResult
from serving.telemetry.context import bind, bound_ids
from tests.contract.store_cases import make_model
from tests.serving.in_process import handle
from tests.serving.routes import bare_api
from tests.waiting import WAIT_S, wait_until

_CLIENTS = 16


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Give the event loop as few threads as Ray Serve does, and keep `count` of them busy until the block ends."""
    end = threading.Event()
    threads = ThreadPoolExecutor(5)
    asyncio.get_running_loop().set_default_executor(threads)
    for _ in range(count):
        threads.submit(end.wait, WAIT_S)
    try:
        yield
    finally:
        end.set()


def asking(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=("127.0.0.1", 50000)), base_url="http://127.0.0.1", timeout=WAIT_S
    )


def test_who_asks_waits_for_nothing_that_takes_long(archive: Archive) -> None:
    async def ask() -> list[int]:
        with busy(5):
            async with asyncio.timeout(20), asking(bare_api(archive)) as client:
                return [(await client.get(path)).status_code for path in ("/v1/me", "/v1/projects/p/people")]

    assert asyncio.run(ask()) == [200, 200]


class Meeting:
    """A detector that finds nothing, once as many pictures wait as there are other clients."""

    engine = "meeting"

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.waiting: Callable[[], int] = lambda: 0

    def detect(self, images: Sequence[ImageArray]) -> list[Detections]:
        if not self.batches:
            wait_until(lambda: self.waiting() + len(images) == _CLIENTS, timeout_s=20)
        self.batches.append(len(images))
        return [Detections.empty() for _ in images]


def test_pictures_of_many_clients_are_in_the_networks_at_once(
    archive: Archive, embedder: FaceEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(archive.store), "get_model", lambda *_: make_model("m"))
    picture = encode_crop(np.full((32, 32, 3), 128, np.uint8))
    meeting = Meeting()
    api = bare_api(archive, Networks(meeting, embedder))
    finder = api.state.service.face_finder
    meeting.waiting = lambda: finder.waiting
    naming = handle(
        name_stills=lambda _, names, *__: ItemResult([StillResult(path=n, faces=[], error=None) for n in names])
    )
    vars(api.state.service.classifier).update(vars(naming))

    async def ask() -> list[int]:
        with busy(0):
            async with asking(api) as client:
                files = {"files": ("a.jpg", picture)}
                asked = (client.post("/v1/projects/p/faces", files=files) for _ in range(_CLIENTS))
                return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert asyncio.run(ask()) == _CLIENTS * [200]
    assert sum(meeting.batches[::2]) == _CLIENTS


def test_one_kind_of_long_work_waits_for_no_other_and_knows_whose_it_is() -> None:
    end = threading.Event()

    kinds: tuple[LongWork, ...] = ("exporting", "uploading", "changing", "recognizing")

    async def work() -> list[dict[str, str]]:
        with busy(5), bind(request_id="r-1"):
            drawn = [asyncio.create_task(run_long("drawing", end.wait, WAIT_S)) for _ in range(50)]
            await asyncio.sleep(0.05)
            async with asyncio.timeout(20):
                found = [await run_short(bound_ids)]
                found += [await run_long(kind, bound_ids) for kind in kinds]
            end.set()
            await asyncio.gather(*drawn)
            return found

    assert asyncio.run(work()) == 5 * [{"request_id": "r-1"}]

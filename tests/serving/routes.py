"""The routes over a store whose jobs nobody works on, with no network behind them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from fastapi.testclient import TestClient
from httpx import Response

from facerec_models.analysis.networks import Networks
from serving.api.app import build_api
from serving.api.service import Service
from serving.archive.handle import Archive
from serving.settings import Settings


@contextmanager
def bare_routes(archive: Archive, networks: Networks | None = None, **settings: Any) -> Iterator[TestClient]:
    """Answer requests in this process until the block ends."""
    absent: Any = SimpleNamespace()
    waker: Any = SimpleNamespace(wake=SimpleNamespace(remote=lambda: None))
    service = Service(Settings(home=archive.files.root, **settings), archive, absent, absent, absent, waker)
    if networks is not None:
        vars(service)["networks"] = networks
    with TestClient(build_api(service), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def ok(answer: Response) -> Any:
    """Return the document of a good answer."""
    assert answer.status_code in (200, 201, 202), answer.text
    return answer.json()


def problem(answer: Response, status: int) -> str:
    """Return the detail of a problem document of this status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return str(document["detail"])

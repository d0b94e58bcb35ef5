"""The routes over a store whose jobs nobody works on, with no network behind them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fastapi.testclient import TestClient

from serving.api.app import build_api
from serving.api.service import Service
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.settings import Settings
from serving.store import Store, open_store


@contextmanager
def bare_routes(root: Path) -> Iterator[tuple[TestClient, Store]]:
    """Answer requests in this process until the block ends."""
    absent: Any = SimpleNamespace()
    waker: Any = SimpleNamespace(wake=SimpleNamespace(remote=lambda: None))
    with closing(open_store(root)) as store:
        service = Service(Settings(home=root), Archive(store, Files(root)), absent, absent, absent, waker)
        with TestClient(build_api(service), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
            yield client, store

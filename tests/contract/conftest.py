"""Fixtures of the contract suites."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from serving.store.contract import Store
from tests.contract.store_cases import STORES, Opener


@pytest.fixture(params=STORES)
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens one and the same store, here or in another process."""
    place = request.getfixturevalue("mongo_store_uri") if request.param == "mongodb" else tmp_path / "home"
    return partial(STORES[request.param], place)


@pytest.fixture
def store(opener: Opener) -> Iterator[Store]:
    """An open store with the empty project ``p``."""
    with closing(opener()) as store:
        store.create_project("p")
        yield store

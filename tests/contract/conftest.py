"""Fixtures of the contract suites."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from serving.store import Store
from tests.contract.store_cases import STORES, Opener


@pytest.fixture(params=STORES)
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens one and the same store, here or in another process."""
    return partial(STORES[request.param], tmp_path / "home")


@pytest.fixture
def store(opener: Opener) -> Iterator[Store]:
    """An open store with the empty project ``p``."""
    with closing(opener()) as store:
        store.create_project("p")
        yield store

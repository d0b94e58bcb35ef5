"""What the tests of naming share."""

from __future__ import annotations

import pytest

from serving.archive.files import Files
from serving.store import Store
from tests.archive import fill


@pytest.fixture
def store(store: Store, home: Files) -> Store:
    """Return the store with two named videos in it."""
    fill(store, home)
    return store

"""What the tests of naming share."""

from __future__ import annotations

import pytest

from serving.archive.handle import Archive
from tests.archive import fill
from tests.unit.serving.archive.naming.film import Film


@pytest.fixture
def archive(archive: Archive) -> Archive:
    """The archive with two named videos in it."""
    fill(archive)
    return archive


@pytest.fixture
def film(archive: Archive) -> Film:
    """A film in this archive of which nothing is analysed yet."""
    return Film(archive)

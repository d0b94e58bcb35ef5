"""What the tests of naming share."""

from __future__ import annotations

import pytest

from serving.archive.handle import Archive
from tests.archive import fill


@pytest.fixture
def archive(archive: Archive) -> Archive:
    """The archive with two named videos in it."""
    fill(archive)
    return archive

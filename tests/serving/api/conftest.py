"""What the tests of the routes share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from serving.archive.handle import Archive
from tests.serving.routes import bare_routes


@pytest.fixture
def client(archive: Archive, clip: Path, tmp_path: Path) -> Iterator[TestClient]:
    """The routes, without a network, of a service that may read the clip's folder and ``media``."""
    with bare_routes(archive, media_roots=(clip.parent, tmp_path / "media")) as client:
        yield client

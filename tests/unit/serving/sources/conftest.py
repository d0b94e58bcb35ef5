"""What the tests of sources share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.serving.sources.web import Server, serving


@pytest.fixture
def web() -> Iterator[Server]:
    """A server of the test's own, still empty."""
    with serving() as server:
        yield server

"""Several nodes refuse to start without a store and a home that they share."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec_models.errors import InputError
from serving.jobs.nodes import require_shared_places
from serving.settings import Settings

MONGODB = {"store": "mongodb://db.example:27017/facerec"}
SHARED = {"shared_home": True}


@pytest.mark.parametrize(
    ("given", "nodes", "lacking"),
    [
        ({}, 1, []),
        ({}, 2, ["2 nodes", "SQLite", "FACEREC_STORE", "FACEREC_SHARED_HOME"]),
        (MONGODB, 2, ["/the/home", "FACEREC_SHARED_HOME"]),
        (MONGODB | SHARED, 2, []),
    ],
)
def test_several_nodes_without_shared_places_are_refused(
    given: dict[str, object], nodes: int, lacking: list[str]
) -> None:
    settings = Settings(home=Path("/the/home"), **given)
    if not lacking:
        require_shared_places(settings, nodes)
        return
    with pytest.raises(InputError) as caught:
        require_shared_places(settings, nodes)
    for part in lacking:
        assert part in str(caught.value)
    for part in {"SQLite", "FACEREC_SHARED_HOME"}.difference(lacking):
        assert part not in str(caught.value)


def test_a_shared_home_needs_a_shared_store() -> None:
    with pytest.raises(ValueError, match="set FACEREC_STORE, too"):
        Settings(home=Path("/the/home"), shared_home=True)

"""Where things are on the page: its views, its scripts and styles, and the service behind it."""

from __future__ import annotations

from pathlib import Path

VIEWS = {
    "Videos": "/",
    "Video": "/video",
    "People": "/people",
    "Person": "/person",
    "Strangers": "/strangers",
    "Search": "/search",
    "Train": "/train",
    "Measure": "/measure",
    "Service": "/service",
}
"""Titles and addresses of the views; what is after the ``?`` says what is shown there."""

GATEWAY = "/fr"
"""Below it are the service's own addresses: ``/fr/v1/…`` and ``/fr/readyz``."""

ASSETS_FOLDER = Path(__file__).parent / "assets"
ASSETS = "/fr/assets"
"""Below it, and below a name that changes with them, are scripts and styles."""


def is_below_gateway(path: str) -> bool:
    """Whether the service answers at an address of the page."""
    return path == f"{GATEWAY}/readyz" or path.startswith(f"{GATEWAY}/v1/")

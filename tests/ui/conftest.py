"""What the tests of the command and of the page share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.ui.chromium import chromium_path, running_chromium
from tests.ui.command import Place
from ui.demo_material import DemoMaterial


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run Chromium."""
    if chromium_path() is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def place(trained_home: Path, material: DemoMaterial, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A home of the module's own, in which the demonstration's people are trained."""
    return Place(shutil.copytree(trained_home, tmp_path_factory.mktemp("place") / "home"), material)

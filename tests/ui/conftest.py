"""What the tests of the command and of the page share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.ui.command import Place
from ui.demo_material import DemoMaterial

# A fresh profile, and a browser that calls nobody by itself.
_ARGUMENTS = [
    *["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
    *["--disable-background-networking", "--disable-component-update", "--disable-sync"],
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def place(trained_home: Path, material: DemoMaterial, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A home of the module's own, in which the demonstration's people are trained."""
    return Place(shutil.copytree(trained_home, tmp_path_factory.mktemp("place") / "home"), material)

"""What the tests of the command share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.ui.command import Place
from ui.demo_material import DemoMaterial


@pytest.fixture(scope="module")
def place(trained_home: Path, material: DemoMaterial, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A home of the module's own, in which the demonstration's people are trained."""
    return Place(shutil.copytree(trained_home, tmp_path_factory.mktemp("place") / "home"), material)

"""The short form of the soak: what `python -m tests.benchmarks.soak` does at length."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.benchmarks.soak import soak
from ui.demo_material import DemoMaterial


@pytest.mark.timeout(1200)
def test_nothing_is_lost_when_replicas_and_the_whole_service_are_killed(material: DemoMaterial, tmp_path: Path) -> None:
    shutil.copytree(material.reel.parent, tmp_path / "material")
    # A few clips warm up less than hundreds: the bound on growth is that of the long form, loosened.
    tally = soak(tmp_path, submissions=12, kills=2, limit_s=900, seed=1, most_growth=1.4)
    assert tally.wrong == []
    assert sum(tally.killed.values()) >= 1
    assert {"good", "again"} <= set(tally.submitted)

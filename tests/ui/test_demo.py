from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from facerec_models.analysis.reading.video import Video
from facerec_models.config import LimitsConfig


def test_the_demonstration_names_both_people_and_writes_its_files(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "ui.cli", "demo", "--dir", str(tmp_path), "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    shown = json.loads(run.stdout)
    assert shown["score"]["recall"] >= 0.9
    assert shown["score"]["precision"] >= 0.97
    assert {a["identity"] for a in shown["result"]["appearances"] if a["identity"]} == {
        "Eileen Collins",
        "Carphone Man",
    }
    assert json.loads((tmp_path / "result.json").read_text()) == shown["result"]
    assert (tmp_path / "timeline.png").read_bytes()[:4] == b"\x89PNG"
    with Video(tmp_path / "annotated.mp4", LimitsConfig()) as video:
        assert video.info.codec == "h264"

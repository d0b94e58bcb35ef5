"""The page about catalogues, followed as it is printed: its own endpoint, its own web server, the real command."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ui.demo_material import DemoMaterial

PAGE = Path(__file__).parents[3] / "docs" / "archivists" / "catalogue.md"
PORTS = ("8890", "8891")


def is_free(port: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) != 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page uses curl, which is not on this machine")
def test_the_page_is_followed_as_printed(material: DemoMaterial, tmp_path: Path) -> None:
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    text = "\n".join(blocks)
    # What is installed here already is not fetched again.
    text, count = re.subn(r"^python -m pip install .*$", "", text, flags=re.MULTILINE)
    assert count == 1
    for port in PORTS:
        assert is_free(port), f"port {port} is taken: the page needs it"
    demo = tmp_path / "demo" / "material"
    demo.mkdir(parents=True)
    shutil.copytree(material.people, demo / "people")
    shutil.copyfile(material.reel, demo / "reel.mp4")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        ["bash", "-eu", "-c", f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{text}"],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "FACEREC_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "title: The evening news" in run.stdout
    assert "Opening" in run.stdout
    rows = list(csv.DictReader(io.StringIO(run.stdout[run.stdout.index("title,name,start,end") :])))
    assert {row["name"] for row in rows} == {"Eileen Collins", "Carphone Man"}
    assert {row["title"] for row in rows} == {"The evening news"}
    assert all(float(row["start"]) < float(row["end"]) for row in rows)

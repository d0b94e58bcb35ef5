"""``facerec serve`` with its page: what it prints answers, and it does not outlive its page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from tests.serving.service import free_port, stop
from tests.waiting import WAIT_S

# Eleven processes start, on cores that may be shared.
pytestmark = pytest.mark.timeout(480)


def test_serve_prints_both_addresses_and_ends_with_an_error_when_its_page_dies(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ui.cli", "serve", "--json", "--home", str(tmp_path / "home")]
    errors = tmp_path / "errors"
    with (
        errors.open("w") as file,
        subprocess.Popen(
            [*command, "--port", str(free_port()), "--ui-port", str(free_port())],
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, errors.read_text()
            shown = json.loads(line)
            assert httpx.get(f"{shown['service']}/healthz", trust_env=False, timeout=WAIT_S).json()["status"] == "ok"
            assert httpx.get(shown["page"], trust_env=False, timeout=WAIT_S).status_code == 200
            started = psutil.Process(process.pid).children(recursive=True)
            (page,) = [child for child in started if "ui.app" in child.cmdline()]
            page.kill()
            assert process.wait(WAIT_S) == 1
            told = [line for line in errors.read_text().splitlines() if line.startswith("facerec:")]
            assert told == [
                f"facerec: the page at {shown['page']} has ended by itself (signal 9): its last lines say why"
            ]
            _, left = psutil.wait_procs(started, WAIT_S)
            assert left == []
        finally:
            stop(process)

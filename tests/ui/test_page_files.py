"""What the page holds of visitors' files is for its own user, and goes with it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.serving.service import free_port, stop
from tests.waiting import wait_until
from ui.page_files import page_folder


@contextmanager
def page_in(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a page whose temporary files are in a folder; no service is there, and it asks nobody of this machine for a key."""
    port = free_port()
    command = [sys.executable, "-m", "ui.app", "--service", f"http://127.0.0.1:{free_port()}", "--port", str(port)]
    environment = {**os.environ, "TMPDIR": str(folder), "FACEREC_HOME": str(folder / "home")}

    def answers() -> bool:
        try:
            return visitor.get("/config").status_code == 200
        except httpx.TransportError:
            return False

    with (
        subprocess.Popen(command, env=environment, text=True) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as visitor,
    ):
        try:
            wait_until(answers)
            yield process
        finally:
            stop(process)


def test_files_of_visitors_go_with_the_page_and_after_it_was_killed(tmp_path: Path) -> None:
    def shown() -> Path:
        (folder,) = tmp_path.glob("facerec-page-*")
        assert folder.stat().st_mode & 0o077 == 0
        picture = folder / "face.png"
        picture.write_bytes(b"a face")
        return picture

    with page_in(tmp_path) as process:
        killed = shown()
        process.kill()
    assert killed.exists()
    with page_in(tmp_path):
        assert not killed.exists()
        own = shown()
    assert not own.exists()
    assert not list(tmp_path.glob("facerec-page-*"))


def test_a_folder_of_a_page_that_lives_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    begun, left = tmp_path / "facerec-page-begun", tmp_path / "facerec-page-left"
    for folder in (begun, left):
        folder.mkdir()
    os.utime(left, (time.time() - 3600,) * 2)
    with page_folder() as first, page_folder() as second:
        assert first.is_dir()
        assert second.is_dir()
        assert begun.is_dir()
        assert not left.exists()
    assert not first.exists()

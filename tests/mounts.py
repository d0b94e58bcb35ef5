"""Commands that see file systems of their own: read-only ones, and small ones. `tests.conftest` loads this module as a plugin."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

# Whoever is not root becomes it in a namespace of users, where that is allowed.
_APART = ["unshare", "--mount", *([] if os.getuid() == 0 else ["--map-root-user"])]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what it left in the small folder."""

    status: int
    output: str
    errors: str
    left: list[Path]


class Mounted(Protocol):
    """Runs Python with arguments where folders are mounted that only it sees."""

    def __call__(
        self, *arguments: str, read_only: Path | None = None, small: Path | None = None, room_kib: int = 8
    ) -> Ended:
        """Let a folder be read-only, or another be empty with so much room."""


@pytest.fixture(scope="session")
def mounted() -> Mounted:
    """What runs commands with mounts; a test is skipped where none are allowed."""
    if subprocess.run([*_APART, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False).returncode:
        pytest.skip("this user may mount nothing here: unshare --mount is refused")
    return _run


def _run(*arguments: str, read_only: Path | None = None, small: Path | None = None, room_kib: int = 8) -> Ended:
    steps, after = [], ""
    with tempfile.NamedTemporaryFile("r") as listing:
        if read_only is not None:
            place = shlex.quote(str(read_only))
            steps += [f"mount --bind {place} {place}", f"mount -o remount,ro,bind {place}"]
        if small is not None:
            small.mkdir(parents=True, exist_ok=True)
            place = shlex.quote(str(small))
            steps.append(f"mount -t tmpfs -o size={room_kib}k none {place}")
            after = f"; status=$?; find {place} -type f > {listing.name}; exit $status"
        script = " && ".join([*steps, shlex.join([sys.executable, *arguments])]) + after
        ended = subprocess.run([*_APART, "sh", "-c", script], capture_output=True, text=True, check=False, timeout=300)
        return Ended(ended.returncode, ended.stdout, ended.stderr, [Path(line) for line in listing.read().splitlines()])

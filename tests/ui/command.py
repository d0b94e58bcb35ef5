"""The ``facerec`` command in this process: what a user types, and what is printed."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ui.cli import main
from ui.demo_material import DemoMaterial


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what it printed."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def error(self) -> str:
        """The message on standard error, without line breaks and frame."""
        return " ".join(self.stderr.replace("│", " ").split())


def run(home: Path, *arguments: object, code: int = 0) -> Ended:
    """Run a command on a home; it must end with this code, and an error be one line."""
    out, err = io.StringIO(), io.StringIO()
    argv = ["facerec", *map(str, arguments), "--home", str(home)]
    with (
        patch.object(sys, "argv", argv),
        patch.dict("os.environ", COLUMNS="200"),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
            ended = 0
        except SystemExit as end:
            ended = end.code if isinstance(end.code, int) else int(end.code is not None)
    result = Ended(ended, out.getvalue(), err.getvalue())
    assert ended == code, (result.stdout, result.stderr)
    return result


def ask(home: Path, *arguments: object, code: int = 0) -> Any:
    """Return the document that a command prints."""
    return json.loads(run(home, *arguments, "--json", code=code).stdout)


def process(home: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command as a process of its own."""
    command = [sys.executable, "-m", "ui.cli", *map(str, arguments), "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@dataclass(frozen=True, slots=True)
class Place:
    """A home, and the demonstration's people and reel."""

    home: Path
    material: DemoMaterial

    def run(self, *arguments: object, code: int = 0) -> Ended:
        return run(self.home, *arguments, code=code)

    def json(self, *arguments: object, code: int = 0) -> Any:
        return ask(self.home, *arguments, code=code)


def ask_p(home: Path, *arguments: object) -> Any:
    """Return the document that a command prints of the project ``p``."""
    return ask(home, *arguments, "--project", "p")

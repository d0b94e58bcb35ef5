"""The ``facerec`` command in this process: what a user types, and what is printed."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ui.cli import main
from ui.demo_material import DemoMaterial

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


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


def on_terminal(home: Path, *arguments: object, columns: int, code: int = 0) -> str:
    """Run a command as a process whose output is a terminal of so many columns; return what it prints there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    command = [sys.executable, "-m", "ui.cli", *map(str, arguments), "--home", str(home)]
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    environment |= {"TERM": "xterm"}
    printed = bytearray()
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, env=environment) as run:
        os.close(theirs)
        with suppress(OSError):  # how a terminal tells that nobody writes to it any more
            while part := os.read(ours, 1 << 16):
                printed += part
        os.close(ours)
        _, errors = run.communicate()
    assert run.returncode == code, errors
    return _CONTROL.sub("", printed.decode().replace("\r\n", "\n"))


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

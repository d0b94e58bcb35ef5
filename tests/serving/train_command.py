"""``facerec train`` as a process of its own."""

from __future__ import annotations

import sys

from serving.archive.files import Files


def command(home: Files, *options: str) -> list[str]:
    return [sys.executable, "-m", "ui.cli", "train", "--json", "--project", "p", "--home", str(home.root), *options]

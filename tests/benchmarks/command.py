"""The installed `facerec` command, run as a user would, and what a measurement has to state beside its figures."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from facerec_models.identification.classifiers import DEFAULT_CLASSIFIER

_ROOT = Path(__file__).parents[2]
INSTALLED = Path(sysconfig.get_path("scripts")) / "facerec"


@dataclass(frozen=True, slots=True)
class Run:
    """One finished run.

    Parameters
    ----------
    peak_mb : float
        Largest resident memory of one process among the command and the children it waited for.
    """

    arguments: tuple[str, ...]
    exit_code: int
    output: str
    errors: str
    wall_s: float
    peak_mb: float

    @property
    def last_error_line(self) -> str:
        """What the command says to its user when it fails."""
        return next(reversed(self.errors.strip().splitlines()), "")


class Facerec:
    """The command, on one home."""

    def __init__(self, home: Path, command: Path = INSTALLED) -> None:
        if not command.is_file():
            raise SystemExit(f"{command} is missing: install the project into this Python first (pip install -e .)")
        self._home = home
        self._command = command

    def run(self, *arguments: str | Path) -> Run:
        """Run to the end, whatever the exit code."""
        line = (str(self._command), *map(str, arguments), "--home", str(self._home))
        start = time.perf_counter()
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
            # Popen.wait would drop the usage of this very child; RUSAGE_CHILDREN only keeps the largest of all.
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            wall_s = time.perf_counter() - start
            texts = []
            for file in (output, errors):
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
        unit = 2**20 if sys.platform == "darwin" else 2**10
        return Run(line, process.returncode, texts[0], texts[1], wall_s, usage.ru_maxrss / unit)

    def expect(self, *arguments: str | Path, codes: Sequence[int] = (0,)) -> Run:
        """Run, and end the measurement unless the exit code is one of `codes`."""
        run = self.run(*arguments)
        if run.exit_code not in codes:
            raise SystemExit(f"{shlex.join(run.arguments)}\nended with exit code {run.exit_code}:\n{run.errors}")
        return run

    def enrol(self, gallery: Path, classifier: str = DEFAULT_CLASSIFIER) -> float:
        """Import a folder of people and train on them; return the seconds that took."""
        # Exit code 1: some picture was refused, as some may be in any real gallery.
        imported = self.expect("people", "import", gallery, "--json", codes=(0, 1))
        return imported.wall_s + self.expect("train", "--classifier", classifier, "--json").wall_s


def say(text: str = "") -> None:
    """Write one line at once, so that a long measurement can be followed."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def circumstances(data: Path | None = None) -> str:
    """Return machine, versions, data and commit: a figure without them cannot be repeated."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    manifest = ""
    if data is not None:
        manifest = f"; data manifest {hashlib.sha256((data / 'MANIFEST.csv').read_bytes()).hexdigest()[:12]}"
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores; Python {platform.python_version()}, "
        f"torch {version('torch')}; commit {commit or 'none'}{manifest}"
    )

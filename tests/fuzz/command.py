"""What the fuzzing commands share."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.serving.service import RunningService, running_service


def parse(description: str | None, examples: int) -> argparse.Namespace:
    """Read the arguments of a command."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seed", type=int, default=0, help="equal seeds mean equal examples")
    parser.add_argument("--examples", type=int, default=examples, help="how many")
    return parser.parse_args()


@contextmanager
def own_service(**environment: str) -> Iterator[RunningService]:
    """Run the real service with a home of its own until the block ends."""
    # Ended early, as by `timeout`, it would leave the service behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with (
        tempfile.TemporaryDirectory(prefix="facerec-fuzz-") as folder,
        running_service(Path(folder), environment) as service,
    ):
        yield service

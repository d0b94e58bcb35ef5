"""The real service as a process of its own, for tests; `tests.conftest` loads this module as a plugin."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class RunningService:
    """A service that answers at `url`, the process that runs it, and its page, if it has one."""

    url: str
    home: Path
    process: subprocess.Popen[str]
    page: str = ""


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One service and its page, with a home of its own, shared by all tests: give each a project of its own."""
    with running_service(tmp_path_factory.mktemp("service-home"), with_page=True) as running:
        yield running


@pytest.fixture(scope="session")
def service_url(service: RunningService) -> str:
    """The address of the service that all tests share."""
    return service.url


@contextmanager
def running_service(
    home: Path,
    environment: Mapping[str, str] | None = None,
    *,
    with_page: bool = False,
    config: Path | None = None,
    port: int | None = None,
) -> Iterator[RunningService]:
    """Run ``facerec serve`` on free ports until the block ends; the block may also kill it."""
    command = [sys.executable, "-m", "ui.cli", "serve", "--json", "--home", str(home)]
    command += [] if config is None else ["--config", str(config)]
    command += ["--ui-port", str(free_port())] if with_page else ["--no-ui"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FACEREC_")}
    log = home / "service.log"
    home.mkdir(parents=True, exist_ok=True)
    with (
        log.open("a") as messages,
        subprocess.Popen(
            [*command, "--port", str(port or free_port())],
            stdout=subprocess.PIPE,
            stderr=messages,
            env={**inherited, **(environment or {})},
            text=True,
            start_new_session=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, f"the service did not start:\n{log.read_text()[-4000:]}"
            shown = json.loads(line)
            yield RunningService(shown["service"], home, process, shown.get("page", ""))
        finally:
            stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """End a process, by force when it does not end by itself."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""The page as a child process: it says when it answers, and it ends with whoever started it, however that ends."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from facerec_models.errors import SourceError
from serving.listening import local_url

READY = b"answers\n"
_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 10.0
_CHECK_PERIOD_S = 0.2


@dataclass(frozen=True, slots=True)
class PageProcess:
    """A page that answers, or did: see `require_alive`."""

    url: str
    process: subprocess.Popen[bytes]

    def require_alive(self) -> None:
        """Raise `SourceError` if the page has ended."""
        status = self.process.poll()
        if status is not None:
            raise SourceError(f"the page at {self.url} has ended by itself ({_ending(status)}): its last lines say why")


@contextmanager
def running_page(service: str, host: str, port: int, stop: threading.Event) -> Iterator[PageProcess | None]:
    """Run the page for a service until the block ends; yields when it answers, or None if `stop` was set before.

    Raises
    ------
    SourceError
        If it ends before it answers, or takes too long.
    """
    url = local_url(host, port)
    # The child sends a line when it answers; when this end closes, by whatever this process dies of, it ends.
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "ui.app", "--service", service, "--host", host, "--port", str(port)]
    with ours:
        with theirs:
            process = subprocess.Popen(
                [*command, "--parent", str(theirs.fileno())], stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        try:
            yield PageProcess(url, process) if _answers(process, ours, url, stop) else None
        finally:
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(process: subprocess.Popen[bytes], channel: socket.socket, url: str, stop: threading.Event) -> bool:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not stop.is_set():
        if select.select([channel], [], [], _CHECK_PERIOD_S)[0]:
            if channel.recv(len(READY)) == READY:
                return True
            status = process.wait()
            raise SourceError(f"the page did not start at {url} ({_ending(status)}): its last lines say why")
        if time.monotonic() > deadline:
            raise SourceError(f"the page at {url} did not answer within {_START_TIMEOUT_S:.0f} s: try again")
    return False


def _ending(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"

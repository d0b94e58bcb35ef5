"""The page as a child process: it says when it answers, and it ends with whoever started it, however that ends."""

from __future__ import annotations

import logging
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from facerec_models.errors import SourceError
from serving.listening import local_url

logger = logging.getLogger(__name__)

READY = b"answers\n"
_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 1.5
_CHECK_PERIOD_S = 0.2


# A page that lived for so long has not died of its start.
_STABLE_S = 300.0
_MAX_RESTARTS = 5
_FIRST_PAUSE_S = 0.5


class PageProcess:
    """A page that runs beside this process; `keep_alive` starts it again when it has ended.

    Parameters
    ----------
    url : str
        Its address.
    command : sequence of str
        What runs it.

    Attributes
    ----------
    starts : int
        How often it was started.
    """

    def __init__(self, url: str, command: Sequence[str]) -> None:
        self.url = url
        self._command = command
        self.starts = 0
        self._restarts = 0
        self._start_at: float | None = None
        self._start()

    def _start(self) -> None:
        # The child sends a line when it answers; when our end closes, by whatever this process dies of, it ends.
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [*self._command, "--parent", str(theirs.fileno())], stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        self.starts += 1
        self._started_at, self._start_at = time.monotonic(), None

    def wait_until_it_answers(self, stop: threading.Event) -> bool:
        """Wait; False if `stop` was set before.

        Raises
        ------
        SourceError
            If it ends before it answers, or takes too long.
        """
        deadline = self._started_at + _START_TIMEOUT_S
        while not stop.is_set():
            if select.select([self._channel], [], [], _CHECK_PERIOD_S)[0]:
                if self._channel.recv(len(READY)) == READY:
                    return True
                status = self._process.wait()
                raise SourceError(f"the page did not start at {self.url} ({_ending(status)}): its last lines say why")
            if time.monotonic() > deadline:
                raise SourceError(f"the page at {self.url} did not answer within {_START_TIMEOUT_S:.0f} s: try again")
        return False

    def keep_alive(self) -> None:
        """Start it again if it has ended, each time after a longer pause; to be called now and then.

        Raises
        ------
        SourceError
            If it has ended too often.
        """
        now = time.monotonic()
        if self._start_at is not None:
            if now >= self._start_at:
                self._start()
            return
        status = self._process.poll()
        if status is None:
            return
        if now > self._started_at + _STABLE_S:
            self._restarts = 0
        if self._restarts == _MAX_RESTARTS:
            raise SourceError(
                f"the page at {self.url} has ended by itself ({_ending(status)}) after {_MAX_RESTARTS} new starts: "
                "its last lines say why"
            )
        pause_s = _FIRST_PAUSE_S * 2**self._restarts
        logger.warning("the page at %s has ended (%s); it starts again in %.1f s", self.url, _ending(status), pause_s)
        self._restarts += 1
        self._channel.close()
        self._start_at = now + pause_s

    def end(self) -> None:
        """End it, by force if it takes long."""
        self._channel.close()
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def running_page(service: str, host: str, port: int, stop: threading.Event) -> Iterator[PageProcess | None]:
    """Run the page for a service until the block ends; yields when it answers, or None if `stop` was set before.

    Raises
    ------
    SourceError
        If it ends before it answers, or takes too long.
    """
    command = [sys.executable, "-m", "ui.app", "--service", service, "--host", host, "--port", str(port)]
    page = PageProcess(local_url(host, port), command)
    try:
        yield page if page.wait_until_it_answers(stop) else None
    finally:
        page.end()


def _ending(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"

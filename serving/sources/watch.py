"""Ends what a connection is waiting for, when it takes too long or is no longer wanted."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from facerec_models.errors import SourceError
from serving.sources.config import SourcesConfig
from serving.sources.source import FetchStoppedError

_TICK_S = 0.1
_ADVICE = "submit it again to go on, or raise FACEREC_SOURCES__MAX_TIME_S"


class Watch:
    """Looks at a fetch from a thread of its own: a server may hold any read for as long as it likes, a byte at a time.

    Parameters
    ----------
    shown : str
        What errors call the address.
    should_stop : callable
        What it raises is raised by `check`.
    advice : str
        What to do where the time was too short.
    """

    def __init__(
        self, shown: str, config: SourcesConfig, should_stop: Callable[[], bool], *, advice: str = _ADVICE
    ) -> None:
        self._shown = shown
        self._advice = advice
        self._config = config
        self._should_stop = should_stop
        self._verdict: Exception | None = None
        self._ended = threading.Event()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._header_until: float | None = None
        self._received = 0
        self._period_began: float | None = None
        self._until = time.monotonic() + config.max_time_s
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._thread.join()
        self.disconnect()

    def connected(self, connection: socket.socket) -> None:
        """Take charge of a socket: a header must be there before long."""
        with self._lock:
            # A duplicate of the descriptor: TLS takes the original from its object.
            self._socket = connection.dup()
            self._header_until = time.monotonic() + self._config.read_timeout_s
            if self._verdict is not None:
                self._cut()

    def header_came(self) -> None:
        """Begin to measure the rate."""
        with self._lock:
            self._header_until = None
            self._received, self._period_began = 0, time.monotonic()

    def count(self, received: int) -> None:
        """Add bytes of the body."""
        self._received += received

    def disconnect(self) -> None:
        """Let go of the socket."""
        with self._lock:
            self._header_until = self._period_began = None
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def pause(self, duration_s: float) -> None:
        """Wait; raise as `check` does, as soon as there is a reason to."""
        self._ended.wait(duration_s)
        self.check()

    def check(self) -> None:
        """Raise why the fetch must end, if it must.

        Raises
        ------
        FetchStoppedError
            If the caller asked to stop.
        SourceError
            If the time is up, or the server is too slow.
        """
        if self._verdict is not None:
            raise self._verdict

    def _run(self) -> None:
        while not self._closed.wait(_TICK_S):
            verdict = self._judge()
            with self._lock:
                if verdict is not None:
                    self._verdict = verdict
                    self._ended.set()
                    self._cut()
                    return
                if self._header_until is not None and time.monotonic() > self._header_until:
                    self._header_until = None
                    self._cut()

    def _judge(self) -> Exception | None:
        try:
            if self._should_stop():
                return FetchStoppedError(f"fetching {self._shown!r} was stopped")
        except Exception as error:  # raised again where the caller is: see `check`
            return error
        now, config = time.monotonic(), self._config
        if now > self._until:
            return SourceError(f"{self._shown!r} was not complete after {config.max_time_s:g} s: {self._advice}")
        with self._lock:
            if self._period_began is None or now < self._period_began + config.rate_period_s:
                return None
            received, self._received, self._period_began = self._received, 0, now
        if received < config.min_bytes_per_s * config.rate_period_s:
            return SourceError(
                f"{self._shown!r} sent {received} bytes in {config.rate_period_s:g} s: try again later, or lower "
                "FACEREC_SOURCES__MIN_BYTES_PER_S"
            )
        return None

    def _cut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # the other side has closed it
                self._socket.shutdown(socket.SHUT_RDWR)

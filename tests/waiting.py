"""Waiting for what other threads and processes do: for the event, with a limit that a busy machine does not reach."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import psutil

WAIT_S = 240.0

T = TypeVar("T")


def wait_until(condition: Callable[[], T], *, timeout_s: float = WAIT_S, period_s: float = 0.02) -> T:
    """Return what a condition gives as soon as that is true."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s"
        time.sleep(period_s)
    return value


def still_alive(processes: list[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Return the processes that have not ended after a time; one that only waits for its parent to notice has ended."""
    _, left = psutil.wait_procs(processes, timeout_s)
    alive = []
    for process in left:
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
    return alive

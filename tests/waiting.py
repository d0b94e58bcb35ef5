"""Waiting for what other threads and processes do: for the event, with a limit that a busy machine does not reach."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

WAIT_S = 240.0

T = TypeVar("T")


def wait_until(condition: Callable[[], T], *, timeout_s: float = WAIT_S, period_s: float = 0.02) -> T:
    """Return what a condition gives as soon as that is true."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s"
        time.sleep(period_s)
    return value

"""One thread of a replica for all its heavy work, so that the event loop stays free and memory flat."""

from __future__ import annotations

import asyncio
import ctypes
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

_TRIM_PERIOD_S = 1.0


class Worker:
    """Runs functions one after the other in a thread of its own.

    Torch keeps buffers for each thread that ever ran a network, so there is one. The C library keeps what freed tensors leave behind
    them, as much as the busiest moment ever needed, so free pages are given back every second. What torch keeps for each size of
    a batch is the networks' own matter: see `facerec_models.analysis.batching`.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="network")
        self._trim = ctypes.CDLL(None).malloc_trim if sys.platform == "linux" else None
        self._trimmed_at = time.monotonic()

    async def run(self, function: Callable[[In], Out], argument: In) -> Out:
        """Run a function in the thread and wait for it."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._run, function, argument)

    def _run(self, function: Callable[[In], Out], argument: In) -> Out:
        try:
            return function(argument)
        finally:
            if self._trim is not None and time.monotonic() - self._trimmed_at > _TRIM_PERIOD_S:
                self._trim(0)
                self._trimmed_at = time.monotonic()

"""What batched replicas share: one thread for the heavy work, and an answer for each item of a batch."""

from __future__ import annotations

import asyncio
import ctypes
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from facerec_models.errors import FacerecError

Request = TypeVar("Request")
Answer = TypeVar("Answer")

_TRIM_PERIOD_S = 1.0


class Worker:
    """Runs functions one after the other in a thread of its own.

    Torch keeps buffers for each thread that ever ran a network, so one thread calls it. The C library keeps what freed tensors leave
    behind them, as much as the busiest moment ever needed, so free pages are given back every second. What torch keeps for each size
    of a batch is the networks' own matter: see `facerec_models.analysis.batching`.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="network")
        self._trim = ctypes.CDLL(None).malloc_trim if sys.platform == "linux" else None
        self._trimmed_at = time.monotonic()

    async def run(self, function: Callable[[Request], Answer], argument: Request) -> Answer:
        """Run a function in the thread and wait for it."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._run, function, argument)

    def _run(self, function: Callable[[Request], Answer], argument: Request) -> Answer:
        try:
            return function(argument)
        finally:
            if self._trim is not None and time.monotonic() - self._trimmed_at > _TRIM_PERIOD_S:
                self._trim(0)
                self._trimmed_at = time.monotonic()


@dataclass(frozen=True, slots=True)
class ItemResult(Generic[Answer]):
    """A value or an error: of one item of a batch, where an exception would fail every caller in it, or of a call to a replica.

    What a replica raises is logged with a traceback by Serve. An error that is an answer, such as that a video is not there, is
    returned by `for_caller` and raised by whoever called.
    """

    value: Answer | None = None
    error: Exception | None = None

    def unwrap(self) -> Answer:
        """Return the value, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]

    def for_caller(self) -> ItemResult[Answer]:
        """Return it as the answer of a replica; raise the error if nobody expects it."""
        if self.error is not None and not isinstance(self.error, FacerecError):
            raise self.error
        return self


async def answer_of(function: Callable[..., Answer], *arguments: Any) -> ItemResult[Answer]:
    """Call a function in a thread; return its value, or an error that was raised on purpose, as a replica's answer."""
    try:
        return ItemResult(await asyncio.to_thread(function, *arguments))
    except FacerecError as error:
        return ItemResult(error=error)


def run_batch(
    items: Sequence[Request], together: Callable[[Sequence[Request]], Sequence[Answer]]
) -> list[ItemResult[Answer]]:
    """Do all items together; if that fails, each by itself, so that only the bad ones fail."""
    try:
        return [ItemResult(value) for value in together(items)]
    except Exception as error:
        if len(items) == 1:
            return [ItemResult(error=error)]
        return [run_batch([item], together)[0] for item in items]

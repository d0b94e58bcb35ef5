"""Threads of their own for what takes long, and for what every request waits for: the one never waits for the other.

The default ones of the event loop are few, because the deployment asks for a small part of a core: Ray Serve makes five of them.
Routes that are no coroutines run in others, of which Ray Serve makes as many as the deployment's ``max_ongoing_requests``, more than
the ingress lets requests in: each of them has its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache, partial
from typing import Literal, ParamSpec, TypeVar

LongWork = Literal["drawing", "exporting", "uploading", "changing", "recognizing"]

_SHORT_THREADS = 8
# Of those that find faces, each waits for its turn in the networks' batches: as many as requests of this kind are let in, or batches
# would not fill. To draw takes a core.
_LONG_THREADS: dict[LongWork, int] = {
    "drawing": 4,
    "exporting": 8,
    "uploading": 16,
    "changing": 8,
    "recognizing": 32,
}
P = ParamSpec("P")
R = TypeVar("R")


async def run_short(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run what asks the store a little, for every request, in a thread; the context is copied, as `asyncio.to_thread` does."""
    return await _run(_threads("short", _SHORT_THREADS), partial(function, *args, **kwargs))


async def run_long(work: LongWork, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run what may take minutes in a thread of those for its kind of work."""
    return await _run(_threads(work, _LONG_THREADS[work]), partial(function, *args, **kwargs))


async def _run(threads: ThreadPoolExecutor, function: Callable[[], R]) -> R:
    return await asyncio.get_running_loop().run_in_executor(threads, copy_context().run, function)


@cache
def _threads(name: str, count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix=name)

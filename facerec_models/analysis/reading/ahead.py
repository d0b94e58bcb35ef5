"""Work something out while what it gave before is used."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")

# How often a thread that waits looks whether it is still needed, in seconds.
_PATIENCE_S = 0.05


def ahead(source: Iterator[T], count: int) -> Generator[T]:
    """Yield what an iterator gives, which a thread of its own takes from it, up to `count` items ahead.

    What the iterator raises is raised here, after the items before it. Whoever does not go to the end closes the generator: then
    the thread has ended, and nothing more is taken.

    Examples
    --------
    >>> list(ahead(iter(range(5)), 2))
    [0, 1, 2, 3, 4]
    """
    ready: Queue[tuple[T] | BaseException | None] = Queue(count)
    stopped = Event()

    def put(item: tuple[T] | BaseException | None) -> None:
        is_taken = False
        while not is_taken and not stopped.is_set():
            with suppress(Full):
                ready.put(item, timeout=_PATIENCE_S)
                is_taken = True

    def work() -> None:
        try:
            for item in source:
                put((item,))
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]
    finally:
        stopped.set()
        thread.join()

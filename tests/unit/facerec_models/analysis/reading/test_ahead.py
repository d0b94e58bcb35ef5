from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from facerec_models.analysis.reading.ahead import ahead


def running() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ahead"]


def test_everything_comes_in_order_from_another_thread() -> None:
    def source() -> Iterator[tuple[int, int]]:
        for i in range(100):
            yield i, threading.get_ident()

    found = list(ahead(source(), 3))
    assert [i for i, _ in found] == list(range(100))
    assert threading.get_ident() not in {thread for _, thread in found}
    assert not running()


def test_no_more_is_taken_than_was_asked_for() -> None:
    taken: list[int] = []
    third = threading.Event()

    def source() -> Iterator[int]:
        for i in range(100):
            taken.append(i)
            if i == 3:
                third.set()
            yield i

    with closing(ahead(source(), 2)) as items:
        assert next(items) == 0
        # Two that wait, and one that waits for room.
        assert third.wait(5)
        assert taken == [0, 1, 2, 3]
    assert not running()
    assert len(taken) <= 5


def test_an_error_comes_after_what_came_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("broken here")

    items = ahead(source(), 8)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(ValueError, match="broken here"):
        next(items)
    assert not running()


def test_who_stops_leaves_no_thread() -> None:
    def source() -> Iterator[int]:
        yield from range(1_000_000)

    def use() -> None:
        with closing(ahead(source(), 2)) as items:
            for item in items:
                if item == 5:
                    raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        use()
    assert not running()

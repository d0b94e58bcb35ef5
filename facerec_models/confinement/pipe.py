"""Messages between a process and a child that it does not trust: JSON, then arrays of plain numbers; never a pickle."""

from __future__ import annotations

import json
import math
import select
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

# Kinds of numbers that may travel.
_DTYPES = {"|u1", "|b1", "<i8", "<f4", "<f8"}
_LENGTH = struct.Struct("<I")
# The longest is of a part of a scan, with the times of its cuts.
_MOST_HEADER_BYTES = 16 * 2**20
# A still of 80 million pixels has 240 MB.
_MOST_ARRAY_BYTES = 2 * 2**30
_MOST_ARRAYS = 10_000
_MOST_SIDES = 8
_MOST_LETTERS = 200  # of a reason
_MOST_BUFFERS = 256  # that one call sends; the system takes up to 1024


class PipeClosedError(Exception):
    """The other side has gone."""


class BadMessageError(Exception):
    """The other side sent what no child of ours sends."""


class Message(NamedTuple):
    """What one side tells the other."""

    kind: str
    facts: dict[str, Any]
    arrays: list[npt.NDArray[Any]]


class Pipe:
    """One end of a pair of connected sockets. Several threads may send; one receives.

    Examples
    --------
    >>> here, there = socket.socketpair()
    >>> Pipe(here).send("sum", {"of": 2}, [np.arange(2.0)])
    >>> Pipe(there).receive()
    Message(kind='sum', facts={'of': 2}, arrays=[array([0., 1.])])
    >>> here.close(), there.close()
    (None, None)
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._sending = Lock()

    def send(
        self,
        kind: str,
        facts: Mapping[str, Any] | None = None,
        arrays: Sequence[npt.NDArray[Any]] = (),
        *,
        timeout_s: float | None = None,
    ) -> None:
        """Send a message.

        Raises
        ------
        PipeClosedError
            If the other side has gone.
        TimeoutError
            If it did not take the message in time.
        """
        plain = [np.ascontiguousarray(array) for array in arrays]
        shapes = [[array.dtype.str, array.shape] for array in plain]
        header = json.dumps([kind, facts or {}, shapes]).encode()
        parts = [memoryview(_LENGTH.pack(len(header)) + header)]
        parts += [_bytes_of(array) for array in plain if array.size]
        until = None if timeout_s is None else time.monotonic() + timeout_s
        with self._sending:
            try:
                self._send_all(parts, until)
            except (BrokenPipeError, ConnectionResetError) as error:
                raise PipeClosedError("the other side has gone") from error

    def receive(self, timeout_s: float | None = None) -> Message:
        """Wait for a message, all of it.

        Raises
        ------
        PipeClosedError
            If the other side has gone.
        TimeoutError
            If it did not come in time.
        BadMessageError
            If it is none of ours.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size, until))
        if length > _MOST_HEADER_BYTES:
            raise BadMessageError(f"a header of {length} bytes")
        header = self._read(length, until)
        try:
            kind, facts, arrays = _of_header(header)
        except (ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
            raise BadMessageError(f"a header that cannot be used ({str(error)[:_MOST_LETTERS]})") from error
        for array in arrays:
            if array.size:
                self._read_into(_bytes_of(array), until)
        return Message(kind, facts, arrays)

    def has_input(self) -> bool:
        """Whether there is something to receive, if only the end."""
        # A process with many open files has descriptors that are too high for `select`.
        coming = select.poll()
        coming.register(self._socket, select.POLLIN)
        return bool(coming.poll(0))

    def fileno(self) -> int:
        """Return the descriptor of this end."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _send_all(self, parts: list[memoryview], until: float | None) -> None:
        while parts:
            self._set_timeout(until)
            sent = self._socket.sendmsg(parts[:_MOST_BUFFERS])
            while parts and sent >= len(parts[0]):
                sent -= len(parts.pop(0))
            if sent:
                parts[0] = parts[0][sent:]

    def _read(self, length: int, until: float | None) -> bytearray:
        data = bytearray(length)
        self._read_into(memoryview(data), until)
        return data

    def _read_into(self, target: memoryview, until: float | None) -> None:
        while target:
            self._set_timeout(until)
            try:
                got = self._socket.recv_into(target)
            except ConnectionResetError as error:
                raise PipeClosedError("the other side has gone") from error
            if not got:
                raise PipeClosedError("the other side has gone")
            target = target[got:]

    def _set_timeout(self, until: float | None) -> None:
        left = None if until is None else until - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError("the other side does not answer")
        self._socket.settimeout(left)


def _of_header(header: bytearray) -> tuple[str, dict[str, Any], list[npt.NDArray[Any]]]:
    """Return kind, facts, and arrays to be filled; raise what JSON and numpy raise, or ValueError, where it is none of ours."""
    kind, facts, described = json.loads(header)
    is_message = isinstance(kind, str) and isinstance(facts, dict) and isinstance(described, list)
    if not is_message or len(described) > _MOST_ARRAYS:
        raise ValueError("it has another form")
    left = _MOST_ARRAY_BYTES
    for dtype, shape in described:
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            raise ValueError("an array of another kind of numbers")
        is_shape = isinstance(shape, list) and len(shape) <= _MOST_SIDES
        if not is_shape or any(type(side) is not int or not 0 <= side <= _MOST_ARRAY_BYTES for side in shape):
            raise ValueError("an array of no possible shape")
        left -= math.prod(shape, start=np.dtype(dtype).itemsize)
        if left < 0:
            raise ValueError("more than 2 GiB")
    return kind, facts, [np.empty(shape, dtype) for dtype, shape in described]


def _bytes_of(array: npt.NDArray[Any]) -> memoryview:
    """Return the memory of an array without gaps."""
    return array.reshape(-1).view(np.uint8).data

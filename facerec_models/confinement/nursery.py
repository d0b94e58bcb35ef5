"""The process that children are forked from: it has their code loaded, one thread, no secrets, and opens no file of a stranger.

It is started by `facerec_models.confinement.child`, does what it is told through a socket, and ends when that is closed.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any

from facerec_models.confinement.bounds import Bounds, confine
from facerec_models.confinement.pipe import Pipe, PipeClosedError

Task = Callable[[Pipe], None]
"""What a child does; its first message has what it is to be done with."""

MOST_BYTES = 65536
# How often it is seen whether its parent is alive: others may hold the socket open.
_WATCH_S = 5.0
_PATIENCE_S = 2.0
MOST_LETTERS = 4000


def serve(control: socket.socket, parent: int) -> None:
    """Do what the parent tells until it is gone.

    Parameters
    ----------
    parent : int
        The process that started this one.
    """
    # An interrupt from the keyboard goes to all processes; the parent tells what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tasks: dict[str, Task] = {}
    # Of a parent with many open files the descriptor is too high for `select`.
    coming = select.poll()
    coming.register(control, select.POLLIN)
    while os.getppid() == parent:
        if not coming.poll(_WATCH_S * 1000):
            continue
        data, descriptors, _, _ = socket.recv_fds(control, MOST_BYTES, 1)
        if not data:
            return
        order = json.loads(data)
        pid = order.get("end")
        answer = (
            _start(order, descriptors[0], control, tasks) if pid is None else _end(pid, is_ending=order["is_ending"])
        )
        control.send(json.dumps(answer).encode())


def _start(order: dict[str, Any], descriptor: int, control: socket.socket, tasks: dict[str, Task]) -> dict[str, object]:
    name = str(order["task"])
    try:
        if name not in tasks:
            module, _, function = name.partition(":")
            tasks[name] = getattr(import_module(module), function)
            # What is loaded is shared with the children until they write to it: collecting garbage would.
            gc.collect()
            gc.freeze()
        return {"pid": _fork(tasks[name], order, descriptor, control)}
    except Exception as error:  # the parent raises it
        return {"failed": f"{type(error).__name__}: {error}"}
    finally:
        os.close(descriptor)


def _fork(task: Task, order: dict[str, Any], descriptor: int, control: socket.socket) -> int:
    here = os.getpid()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            control.close()
            _live(task, Bounds(**order["bounds"]), order["niceness"], descriptor, here)
            code = 0
        finally:
            os._exit(code)
    return pid


def _live(task: Task, bounds: Bounds, niceness: int, descriptor: int, parent: int) -> None:
    """Do a task in this child, and tell what it raised."""
    pipe = Pipe(socket.socket(fileno=descriptor))
    try:
        confine(bounds, parent, niceness)
        task(pipe)
        pipe.send("end")
    except PipeClosedError:
        return
    except MemoryError:
        pipe.send("error", {"type": "MemoryError", "message": ""})
    except Exception as error:  # the parent raises it
        trace = "".join(traceback.format_exception(error))[-MOST_LETTERS:]
        told = {"type": type(error).__name__, "message": str(error)[:MOST_LETTERS], "trace": trace}
        pipe.send("error", told)


def _end(pid: int, *, is_ending: bool) -> dict[str, object]:
    """End a child, and return how it ended: its exit code, or a signal below zero, and whether it had to be ended.

    Parameters
    ----------
    is_ending : bool
        Whether it has closed its socket, which a process that crashes does a moment before it has ended.
    """
    try:
        status = _wait(pid, _PATIENCE_S if is_ending else 0.0)
        was_alive = status is None
        if was_alive:
            os.kill(pid, signal.SIGKILL)
            # A process that waits for a disk ends when the disk answers.
            status = _wait(pid, _PATIENCE_S)
    except ChildProcessError:  # one of the nursery before this
        status, was_alive = None, False
    return {"code": -signal.SIGKILL if status is None else os.waitstatus_to_exitcode(status), "was_alive": was_alive}


def _wait(pid: int, patience_s: float) -> int | None:
    until = time.monotonic() + patience_s
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        if time.monotonic() >= until:
            return None
        time.sleep(0.001)


def main() -> None:
    """Begin: the arguments are the socket's descriptor and the parent's process."""
    serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))

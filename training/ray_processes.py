"""The processes of a Ray that this process has started: whether all of them are alive, and an end that leaves none behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import psutil

from facerec_models.errors import SourceError

# They are counted now and then: whoever loses its parent is nobody's descendant any more.
_COUNT_PERIOD_S = 5.0
# What has lost its Ray mostly ends by itself.
_OWN_END_S = 1.5
_KILLED_END_S = 1.0


class RayProcesses:
    """Watches what Ray runs for this process; made right after Ray has started."""

    def __init__(self) -> None:
        # Ray has no public way to ask for them. A Ray without this one is not watched; the service's address still is.
        from ray._private import worker

        self._node: Any = getattr(worker, "_global_node", None)
        self._seen: dict[int, psutil.Process] = {}
        self._count_again = 0.0

    def require_alive(self) -> None:
        """Raise `SourceError` if a process that Ray cannot do without has died: it does not start them again.

        Nothing waits for an answer here, so a busy machine cannot be taken for a dead one. The processes that Ray's node manager
        starts beside itself, its agents, take it with them.
        """
        if time.monotonic() >= self._count_again:
            self._count()
        dead = self._node.dead_processes() if hasattr(self._node, "dead_processes") else []
        if dead:
            self._count()
            names = ", ".join(f"{name.replace('_', ' ')} ({_ending(process.returncode)})" for name, process in dead)
            raise SourceError(f"Ray has died, and the service with it: {names}. Start it again")

    def kill(self) -> None:
        """End all of them by force, also those whose parents have died."""
        self._count()
        if hasattr(self._node, "kill_all_processes"):
            self._node.kill_all_processes(check_alive=False)
        _, left = psutil.wait_procs(self._seen.values(), _OWN_END_S)
        for process in left:
            if process.is_running():  # and is not another one with the number of one that has ended
                process.kill()
        psutil.wait_procs(left, _KILLED_END_S)

    def _count(self) -> None:
        """Note what descends from this process through Ray's."""
        self._count_again = time.monotonic() + _COUNT_PERIOD_S
        roots = {process.pid for _, process in self._node.live_processes()} if self._node is not None else set()
        for child in psutil.Process().children():
            if child.pid in roots:
                self._note(child)
        self._seen = {pid: process for pid, process in self._seen.items() if process.is_running()}

    def _note(self, process: psutil.Process) -> None:
        try:
            for found in (process, *process.children(recursive=True)):
                self._seen[found.pid] = found
        except psutil.NoSuchProcess:  # it has ended meanwhile
            return


def within(timeout_s: float, work: Callable[[], object], given_up: Callable[[], bool] = lambda: False) -> bool:
    """Work in a thread; False if it takes longer, or there is no point in waiting for it any more. Raises what the work raises."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="bounded", daemon=True)
    thread.start()
    deadline = time.monotonic() + timeout_s
    while thread.is_alive():
        thread.join(0.1)
        if thread.is_alive() and (time.monotonic() > deadline or given_up()):
            return False
    if raised:
        raise raised[0]
    return True


def _ending(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"

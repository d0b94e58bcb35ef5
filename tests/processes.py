"""Which processes and descriptors there are."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from facerec_models.confinement.bounds import Bounds
from facerec_models.confinement.child import Child
from facerec_models.confinement.pictures import read_in_child


def nursery_pid() -> int:
    """Return the process that this one's children are forked from; it is started if need be."""
    if not (found := _nurseries()):
        Child(read_in_child, Bounds(2**28)).close()
        found = _nurseries()
    return found[0]


def _nurseries() -> list[int]:
    return [pid for pid in children_of(os.getpid()) if any("nursery" in word for word in _command(pid))]


def _command(pid: int) -> list[str]:
    """Return how a process was started; nothing of one that has ended meanwhile."""
    try:
        return psutil.Process(pid).cmdline()
    except psutil.NoSuchProcess:
        return []


def children_of(pid: int) -> list[int]:
    """Return the living children of a process."""
    return [child.pid for child in psutil.Process(pid).children() if is_alive(child.pid)]


def is_alive(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def confined_children() -> list[int]:
    """Return the children of this process that are bounded."""
    return children_of(nursery_pid())


def descriptors() -> int:
    """Return how many descriptors this process and its nursery have open."""
    return sum(psutil.Process(pid).num_fds() for pid in (os.getpid(), nursery_pid()))


def shared_memory() -> set[str]:
    """Return what is in shared memory, but for the databases of other tests."""
    return {path.name for path in Path("/dev/shm").iterdir() if not path.name.startswith("facerec-mongodb")}

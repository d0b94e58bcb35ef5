"""Which processes and descriptors there are, as Linux tells."""

from __future__ import annotations

import os
from pathlib import Path

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
    return [pid for pid in children_of(os.getpid()) if b"nursery" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def children_of(pid: int) -> list[int]:
    """Return the living children of all threads of a process."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return [child for child in found if is_alive(child)]


def is_alive(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def confined_children() -> list[int]:
    """Return the children of this process that are bounded."""
    return children_of(nursery_pid())


def descriptors() -> int:
    """Return how many descriptors this process and its nursery have open."""
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in (os.getpid(), nursery_pid()))


def shared_memory() -> set[str]:
    """Return what is in shared memory."""
    return {path.name for path in Path("/dev/shm").iterdir()}

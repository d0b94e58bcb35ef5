"""What a child may use."""

from __future__ import annotations

import os
import resource
import signal
from dataclasses import dataclass
from pathlib import Path

from facerec_models.confinement.places import landlock_version, restrict_places
from facerec_models.confinement.system_calls import can_filter_calls, die_with_parent, filter_calls, give_up_rights

_MOST_FILES = 128


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a child may use at most.

    Parameters
    ----------
    memory_bytes : int
        Address space, beside what it begins with.
    readable : tuple of str
        Files that it may read, beside those of Python.
    writable : tuple of str
        Files that it may write. It can create, rename and remove none.
    written_bytes : int
        How large they may become.
    """

    memory_bytes: int
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    written_bytes: int = 0


def confine(bounds: Bounds, parent: int, niceness: int) -> None:
    """Bound this process before it opens what a stranger made.

    Parameters
    ----------
    niceness : int
        Its priority: 0 for the usual one, 19 for the lowest.
    parent : int
        Its parent's process, with which it ends.
    """
    die_with_parent(parent, signal.SIGKILL)
    give_up_rights()
    if niceness > os.getpriority(os.PRIO_PROCESS, 0):
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _MOST_FILES)
    _limit(resource.RLIMIT_FSIZE, bounds.written_bytes)
    _limit(resource.RLIMIT_AS, _mapped_bytes() + bounds.memory_bytes)
    restrict_places(bounds.readable, bounds.writable)
    filter_calls(may_write=bool(bounds.writable))


def absent_guards() -> list[str]:
    """Return what of that which bounds children this system does not have."""
    absent = [] if can_filter_calls() else ["filters of system calls (seccomp)"]
    return absent + ([] if landlock_version() else ["rules for files (Landlock)"])


def check_memory(spare_bytes: int) -> None:
    """Raise `MemoryError` if this process is bounded and was once so near its bound: decoders call what they have no room for damage.

    Parameters
    ----------
    spare_bytes : int
        What it may have asked for in vain.
    """
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    status = Path("/proc/self/status")
    if most == resource.RLIM_INFINITY or not status.is_file():
        return
    facts = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    if most - int(facts["VmPeak"].split()[0]) * 1024 < spare_bytes:
        raise MemoryError


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def _mapped_bytes() -> int:
    """Return how much address space this process has; 0 where the system does not tell."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[0]) * resource.getpagesize() if status.is_file() else 0

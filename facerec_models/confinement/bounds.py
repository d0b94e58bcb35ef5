"""What a child may use."""

from __future__ import annotations

import resource
import signal
from dataclasses import dataclass
from pathlib import Path

from facerec_models.confinement.system_calls import die_with_parent, filter_calls, hide_memory

_MOST_FILES = 128


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a child may use at most.

    Parameters
    ----------
    memory_bytes : int
        Address space, beside what it begins with.
    written_bytes : int
        Largest file that it may write; with 0 it can create, change and remove none.
    """

    memory_bytes: int
    written_bytes: int = 0


def confine(bounds: Bounds, parent: int) -> None:
    """Bound this process before it opens what a stranger made.

    Parameters
    ----------
    parent : int
        Its parent's process, with which it ends.
    """
    die_with_parent(parent, signal.SIGKILL)
    hide_memory()
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _MOST_FILES)
    _limit(resource.RLIMIT_FSIZE, bounds.written_bytes)
    _limit(resource.RLIMIT_AS, _mapped_bytes() + bounds.memory_bytes)
    filter_calls(may_write=bounds.written_bytes > 0)


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def _mapped_bytes() -> int:
    """Return how much address space this process has; 0 where the system does not tell."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[0]) * resource.getpagesize() if status.is_file() else 0

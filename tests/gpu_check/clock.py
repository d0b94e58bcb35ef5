"""Time: a bounded run, and the median time of one thing on a device that works by itself."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

_MAX_ROUNDS = 20
# A part that begins needs so many seconds more than the run has been told to leave.
_LEAST_S = 2.0


@dataclass(slots=True)
class Clock:
    """What a run has left of its time, and what it had no time for.

    Parameters
    ----------
    minutes : float
        Length of the whole run, from now.
    """

    minutes: float
    started: float = field(default_factory=time.monotonic)
    skipped: list[str] = field(default_factory=list)

    @property
    def spent_s(self) -> float:
        return time.monotonic() - self.started

    @property
    def left_s(self) -> float:
        return 60 * self.minutes - self.spent_s

    def allows(self, name: str, reserve_s: float = 0.0) -> bool:
        """Return whether there is time to begin a part and to leave `reserve_s` for others; a refused part is noted."""
        if self.left_s - reserve_s >= _LEAST_S:
            return True
        self.skip(name, "no time left")
        return False

    def skip(self, name: str, reason: str) -> None:
        """Note that a part was not measured, and why."""
        self.skipped.append(f"{name}: {reason}")


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds that one thing takes.

    Parameters
    ----------
    first_s : float
        The first time, which loads and chooses kernels.
    median_s, fastest_s, slowest_s : float
        Of the rounds after it.
    rounds : int
    peak_mb : float or None
        Most memory of the device that torch held in tensors at once; None on a CPU.
    """

    first_s: float
    median_s: float
    fastest_s: float
    slowest_s: float
    rounds: int
    peak_mb: float | None


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was told to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure(task: Callable[[], object], device: torch.device, *, budget_s: float) -> Timing:
    """Time a task: once to warm up, then at least once, and again until `budget_s` is used up."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    first_s = _once(task, device)
    rounds: list[float] = []
    while not rounds or (len(rounds) < _MAX_ROUNDS and sum(rounds) + rounds[-1] < budget_s):
        rounds.append(_once(task, device))
    peak_mb = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None
    return Timing(first_s, statistics.median(rounds), min(rounds), max(rounds), len(rounds), peak_mb)


def _once(task: Callable[[], object], device: torch.device) -> float:
    synchronize(device)
    start = time.perf_counter()
    task()
    synchronize(device)
    return time.perf_counter() - start

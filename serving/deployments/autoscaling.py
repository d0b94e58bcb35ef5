"""How many analyzers there should be: as many as the work in the store can keep busy.

Serve scales by requests, but analyzers take their work from the store. Each tells Serve how much there is
(``record_autoscaling_stats``), and the policy here, which ``autoscaling_config`` in serve_config.yaml names, makes a number of it.
Serve applies its bounds and delays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from serving.store.job_rows import Job, JobState

if TYPE_CHECKING:
    from ray.serve.config import AutoscalingContext

# What an analyzer tells Serve, by the names that the policy reads.
PARTS, APART, SLOTS = "parts", "apart", "slots"
# What is told so long ago tells nothing: analyzers tell it some seconds apart.
_STALE_S = 60.0


def count_work(jobs: Iterable[Job], kinds: Iterable[str], kinds_apart: Iterable[str]) -> dict[str, int]:
    """Return how much of the work in these jobs can be done at a time.

    Parameters
    ----------
    jobs : iterable of Job
        Those that wait and those that are under way.
    kinds : iterable of str
        Which of them take a slot of an analyzer. One that is divided counts as many parts as are not done.
    kinds_apart : iterable of str
        Which of them an analyzer does beside its slots, one at a time.
    """
    taking, beside = set(kinds), set(kinds_apart)
    parts = apart = 0
    for job in jobs:
        if job.state.is_final:
            continue
        if job.kind in taking:
            is_running = job.state is JobState.RUNNING and not job.cancel_requested
            parts += max(1, sum(not segment.state.is_final for segment in job.segments) if is_running else 0)
        apart += job.kind in beside
    return {PARTS: parts, APART: apart}


def analyzers_for(parts: float, apart: float, slots: float, present: int) -> int:
    """Return how many analyzers the work can keep busy, and at least one, which looks after the queue.

    While there is work apart, such as a training, none is ended: Serve chooses which one, and it might be the one that trains, whose
    work would begin anew. A segment that is handed back costs seconds.
    """
    needed = max(1, math.ceil(parts / max(1.0, slots)), int(apart))
    return max(needed, present) if apart else needed


def scale_by_queue(context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
    """Decide for Serve how many analyzers there should be; see `analyzers_for`.

    All of them see the same store, so that the newest number is true. Where none has told any lately, as while the store does not
    answer, nothing is changed.
    """
    newest: dict[str, Any] = {}
    for name in (PARTS, APART, SLOTS):
        told = [series[-1] for series in (context.raw_metrics or {}).get(name, {}).values() if series]
        if told:
            newest[name] = max(told, key=lambda point: point.timestamp)
    now = context.current_time or 0.0
    if len(newest) < 3 or any(now - point.timestamp > _STALE_S for point in newest.values()):
        return max(1, context.target_num_replicas), {}
    parts, apart, slots = (newest[name].value for name in (PARTS, APART, SLOTS))
    return analyzers_for(parts, apart, slots, context.target_num_replicas), {}

"""Who works on what: leases on jobs, on their segments and on their webhooks, each an atomic change of one row.

A lease holds for some seconds, and its owner renews it. An owner who dies renews nothing, and the next one who claims takes over; an
owner who was merely late finds out at the next renewal, and what it still writes is refused. The clocks of all nodes must agree to
within a small part of a lease. A lease that would hold for longer than any may was taken by a clock that was wrong, and is void.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from facerec_models.errors import ConflictError, ProjectNotFoundError
from serving.store.acting import present_actor
from serving.store.contract import Store
from serving.store.job_rows import LONGEST_LEASE_S, LONGEST_WAIT_S, Job, JobSegment, JobState, has_ended
from serving.telemetry.metrics import count_end

Work = TypeVar("Work", Job, JobSegment)

# Of so many due jobs one is free, unless very many ask at once.
_CONSIDERED = 16


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a job, on one of its segments, or on its webhook.

    Parameters
    ----------
    owner : str
        Unique to the lease.
    job : Job
        As it was when it was claimed.
    segment : int or None
        Which of its segments is claimed; None for the job itself.
    webhook : bool
        Whether it is the delivery of its webhook.
    """

    owner: str
    job: Job
    segment: int | None = None
    webhook: bool = False


def claim(
    store: Store,
    kinds: Sequence[str],
    who: str,
    lease_s: float,
    *,
    delivery_s: float = 0.0,
    max_deliveries: int | None = None,
) -> Lease | None:
    """Take the most urgent thing that is to be done: a job, a segment of one that others work on, or a webhook.

    Parameters
    ----------
    who : str
        For people who read the row; the owner is made from it.
    delivery_s : float
        How long a lease on a webhook holds, which is never renewed, if that is longer than `lease_s`.
    max_deliveries : int, optional
        A webhook that was claimed so often is given up.

    Returns
    -------
    Lease or None
        None if there is nothing to do.
    """
    for job_id in store.find_due_jobs(kinds, time.time(), _CONSIDERED):
        taken = _take(store, job_id, who, lease_s, (max(lease_s, delivery_s), max_deliveries))
        if taken is not None:
            return taken
    return None


def claim_segment(store: Store, job_id: str, who: str, lease_s: float) -> Lease | None:
    """Take a segment of this job that no other runner works on, if there is one."""
    return _take(store, job_id, who, lease_s, None)


def _take(
    store: Store, job_id: str, who: str, lease_s: float, delivery: tuple[float, int | None] | None
) -> Lease | None:
    """Take something of a job; without the lease and the limit of deliveries, segments only."""
    owner = f"{who}/{uuid.uuid4().hex[:8]}"
    _check_length(lease_s, *(delivery or ())[:1])

    def change(job: Job) -> Job | None:
        now = time.time()  # not before: waiting for other writers would eat into the lease
        if delivery is not None:
            if _is_left(job, now) and job.cancel_requested:
                return _ended(job, JobState.CANCELLED, now)
            if _is_free(job, now):
                return replace(_taken(job, owner, now, lease_s), updated_at=now)
            if job.state.is_final:
                return _with_delivery(job, owner, now, *delivery)
        return None if job.cancel_requested else _with_segment(job, owner, now, lease_s)

    job = _counted(store.update_job(job_id, change))
    if job is None:
        return None
    if job.owner == owner:
        return Lease(owner, job, webhook=job.state.is_final)
    segment = next((segment.index for segment in job.segments if segment.owner == owner), None)
    return None if segment is None else Lease(owner, job, segment)


def _is_left(work: Work, now: float) -> bool:
    return work.state is JobState.RUNNING and has_ended(work.lease_until, now)


def _is_free(work: Work, now: float) -> bool:
    return not work.state.is_final and has_ended(work.lease_until, now)


def _taken(work: Work, owner: str, now: float, lease_s: float) -> Work:
    left = f"attempt {work.attempt} ended with its process, or was given up by the store"
    return replace(
        work,
        state=JobState.RUNNING,
        owner=owner,
        lease_until=now + lease_s,
        attempt=work.attempt + 1,
        error=left if _is_left(work, now) else work.error,
    )


def _with_segment(job: Job, owner: str, now: float, lease_s: float) -> Job | None:
    for segment in job.segments:
        if _is_free(segment, now):
            return _with(job, replace(_taken(segment, owner, now, lease_s), progress=0.0), now)
    return None


def _with_delivery(job: Job, owner: str, now: float, lease_s: float, limit: int | None) -> Job | None:
    hook = job.webhook
    longest_s = LONGEST_WAIT_S if job.owner is None else LONGEST_LEASE_S
    if hook is None or hook.due_at is None or not has_ended(hook.due_at, now, longest_s):
        return None
    if limit is not None and hook.attempt >= limit:
        reason = hook.error or "each attempt ended with its process, or by the store"
        return replace(job, owner=None, webhook=replace(hook, due_at=None, error=reason))
    return replace(job, owner=owner, webhook=replace(hook, due_at=now + lease_s, attempt=hook.attempt + 1))


def renew(store: Store, lease: Lease, lease_s: float, progress: float) -> bool:
    """Extend a lease and record progress; False if it is no longer the owner's or the job was cancelled."""
    _check_length(lease_s)

    def change(job: Job) -> Job | None:
        now = time.time()
        if job.state.is_final or job.cancel_requested:
            return None
        segment = _own_segment(job, lease)
        if segment is not None:
            return _with(job, replace(segment, lease_until=now + lease_s, progress=progress), now)
        if lease.segment is not None or job.owner != lease.owner:
            return None
        return replace(
            job, lease_until=now + lease_s, updated_at=now, progress=job.progress if job.segments else progress
        )

    return store.update_job(lease.job.job_id, change) is not None


def plan(store: Store, lease: Lease, segments: Sequence[JobSegment]) -> bool:
    """Let others help with these segments; False if the job is no longer the owner's or was cancelled."""
    return _divide(store, lease, lambda _: segments)


def reopen(store: Store, lease: Lease, indexes: Collection[int]) -> bool:
    """Let these segments be done again, whose work is lost; False if the job is no longer the owner's or was cancelled."""

    def open_again(segment: JobSegment) -> JobSegment:
        if segment.index not in indexes or segment.state is not JobState.SUCCEEDED:
            return segment
        return JobSegment(segment.index, segment.start_s, segment.end_s, segment.first, segment.end)

    return _divide(store, lease, lambda job: [open_again(segment) for segment in job.segments])


def _divide(store: Store, lease: Lease, divided: Callable[[Job], Sequence[JobSegment]]) -> bool:
    def change(job: Job) -> Job | None:
        if job.owner != lease.owner or job.cancel_requested:
            return None
        segments = tuple(divided(job))
        return replace(job, segments=segments, progress=_progress(segments), updated_at=time.time())

    return store.update_job(lease.job.job_id, change) is not None


def finish_segment(store: Store, lease: Lease, state: JobState, error: str | None = None) -> bool:
    """End a segment; False, and nothing written, if it is no longer the owner's."""

    def change(job: Job) -> Job | None:
        segment = _own_segment(job, lease)
        if segment is None:
            return None
        is_done = state is JobState.SUCCEEDED
        ended = replace(
            segment,
            state=state,
            error=error,
            owner=None,
            lease_until=0.0,
            progress=1.0 if is_done else segment.progress,
        )
        # Whoever works on the job from now on begins behind this segment: its attempts are counted anew.
        return replace(_with(job, ended, time.time()), attempt=min(job.attempt, 1) if is_done else job.attempt)

    return store.update_job(lease.job.job_id, change) is not None


def finish(
    store: Store, lease: Lease, state: JobState, *, error: str | None = None, video_id: str | None = None
) -> bool:
    """End a job; False, and nothing written, if it is no longer the owner's."""

    def change(job: Job) -> Job | None:
        if job.owner != lease.owner or job.state is not JobState.RUNNING:
            return None
        return _ended(replace(job, video_id=video_id or job.video_id), state, time.time(), error)

    return _counted(store.update_job(lease.job.job_id, change)) is not None


def release(store: Store, lease: Lease, error: str | None = None, pause_s: float = 0.0) -> None:
    """Give back what was claimed: for a runner that stops, which is no attempt, or with the error of an attempt that failed.

    Parameters
    ----------
    pause_s : float
        For so long nobody takes it again.
    """
    _check_length(pause_s)

    def change(job: Job) -> Job | None:
        now = time.time()
        segment = _own_segment(job, lease)
        if segment is not None:
            return _with(job, _released(segment, error, now + pause_s), now)
        if lease.segment is not None or job.owner != lease.owner or job.state is not JobState.RUNNING:
            return None
        if job.cancel_requested:
            return _ended(job, JobState.CANCELLED, now)
        return replace(_released(job, error, now + pause_s), updated_at=now)

    _counted(store.update_job(lease.job.job_id, change))


def hand_on(store: Store, lease: Lease, kind: str, spec: dict[str, Any], video_id: str) -> bool:
    """Queue a job as one of another kind, to do this about a video; False, and nothing written, if it is no longer the owner's."""

    def change(job: Job) -> Job | None:
        if job.owner != lease.owner or job.state is not JobState.RUNNING:
            return None
        if job.cancel_requested:
            return _ended(job, JobState.CANCELLED, time.time())
        queued = replace(_released(job, None, 0.0), kind=kind, spec=spec, video_id=video_id)
        return replace(queued, attempt=0, error=None, updated_at=time.time())

    return _counted(store.update_job(lease.job.job_id, change)) is not None


def _counted(job: Job | None) -> Job | None:
    """Count a job if what was written is its end."""
    # A delivery that is given up is no end: the job had ended before.
    is_given_up = job is not None and job.webhook is not None and job.webhook.due_at is None
    if job is not None and job.state.is_final and job.owner is None and not is_given_up:
        count_end(job.kind, job.state.value, job.updated_at - job.created_at)
    return job


def _released(work: Work, error: str | None, due_at: float) -> Work:
    return replace(
        work,
        state=JobState.QUEUED,
        owner=None,
        lease_until=due_at,
        attempt=work.attempt - (error is None),
        error=error or work.error,
    )


def cancel(store: Store, job_id: str) -> Job:
    """End a queued job at once, ask the owner of a running one to stop, leave a final one; return the row.

    Raises
    ------
    JobNotFoundError
        If there is none.
    """
    is_first = True

    def change(job: Job) -> Job | None:
        nonlocal is_first
        if job.state.is_final:
            return None
        is_first = not job.cancel_requested
        now = time.time()
        if job.state is JobState.QUEUED:
            return _ended(replace(job, cancel_requested=True), JobState.CANCELLED, now)
        # The same submission from now on is one that nobody has cancelled.
        return replace(job, cancel_requested=True, key=None, updated_at=now)

    changed = _counted(store.update_job(job_id, change))
    if changed is None:
        return store.get_job(job_id)
    if is_first:
        with suppress(ProjectNotFoundError):  # it was deleted just now
            store.log_action(changed.project, "job-cancelled", job_id)
    return changed


def retry(store: Store, job_id: str) -> Job:
    """Queue a failed or cancelled job again; what it had done of its segments stays done, and without any it is planned anew.

    Raises
    ------
    JobNotFoundError
        If there is none.
    ConflictError
        If it has not ended, or has succeeded.
    """

    def change(job: Job) -> Job | None:
        if job.state not in (JobState.FAILED, JobState.CANCELLED):
            return None
        is_begun = any(segment.state is JobState.SUCCEEDED for segment in job.segments)
        segments = tuple(
            segment
            if segment.state is JobState.SUCCEEDED
            else replace(segment, state=JobState.QUEUED, lease_until=0.0, attempt=0, error=None)
            for segment in job.segments
        )
        return replace(
            job,
            state=JobState.QUEUED,
            owner=None,  # who is telling its end now
            segments=segments if is_begun else (),
            attempt=0,
            error=None,
            cancel_requested=False,
            submitted_by=present_actor().name,
            updated_at=time.time(),
            webhook=job.webhook and replace(job.webhook, due_at=None, attempt=0, error=None, delivered_at=None),
        )

    queued = store.update_job(job_id, change)
    if queued is None:
        state = store.get_job(job_id).state
        raise ConflictError(f"job {job_id} is {state}: only a failed or cancelled job can be tried again")
    with suppress(ProjectNotFoundError):  # it was deleted just now
        store.log_action(queued.project, "job-retried", job_id)
    return queued


def finish_delivery(store: Store, lease: Lease, error: str | None = None, retry_at: float | None = None) -> None:
    """Record that a webhook was delivered, or why not and when to try again (never, if None)."""

    def change(job: Job) -> Job | None:
        if job.webhook is None or job.owner != lease.owner:
            return None
        delivered_at = time.time() if error is None else None
        told = replace(job.webhook, due_at=retry_at, error=error, delivered_at=delivered_at)
        return replace(job, owner=None, webhook=told)

    store.update_job(lease.job.job_id, change)


def _own_segment(job: Job, lease: Lease) -> JobSegment | None:
    return next((segment for segment in job.segments if segment.owner == lease.owner), None)


def _with(job: Job, changed: JobSegment, now: float) -> Job:
    segments = tuple(changed if segment.index == changed.index else segment for segment in job.segments)
    return replace(job, segments=segments, progress=_progress(segments), updated_at=now)


def _progress(segments: Sequence[JobSegment]) -> float:
    lengths = [(segment.end_s or segment.start_s + 1.0) - segment.start_s for segment in segments]
    done = sum(segment.progress * length for segment, length in zip(segments, lengths, strict=True))
    return done / max(sum(lengths), 1e-9)


def _ended(job: Job, state: JobState, now: float, error: str | None = None) -> Job:
    segments = tuple(
        segment if segment.state.is_final else replace(segment, state=state, owner=None, lease_until=0.0)
        for segment in job.segments
    )
    return replace(
        job,
        state=state,
        error=error,
        segments=segments,
        owner=None,
        lease_until=0.0,
        updated_at=now,
        progress=1.0 if state is JobState.SUCCEEDED else job.progress,
        # A job that came to nothing does not stand in the way of the same submission.
        key=job.key if state is JobState.SUCCEEDED else None,
        webhook=job.webhook and replace(job.webhook, due_at=now),
    )


def _check_length(*leases_s: float) -> None:
    if max(leases_s) > LONGEST_LEASE_S:
        raise ValueError(f"a lease of {max(leases_s)} s is longer than LONGEST_LEASE_S = {LONGEST_LEASE_S}")

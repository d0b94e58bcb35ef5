"""Run jobs that are rows in the store: claim, renew the lease, finish; nothing about a job lives only in memory."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from facerec_models.errors import BusyError, FacerecError, StoreError
from serving.store.base import Store
from serving.store.rows import Job, JobState

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
_RENEWALS_PER_LEASE = 3


@dataclass(slots=True)
class JobControl:
    """What the work on a job tells its runner, and asks it."""

    progress: float = 0.0
    segments: tuple[dict[str, Any], ...] = ()
    lost: bool = False

    def report(self, progress: float) -> None:
        """Record how far the work is, in [0, 1]."""
        self.progress = progress
        self.segments = tuple({**segment, "progress": progress} for segment in self.segments)

    def should_stop(self) -> bool:
        """Whether the work must end now."""
        return self.lost


Work = Callable[[Job, JobControl], str | None]


def submit(
    store: Store, project: str, kind: str, spec: dict[str, Any], *, max_queued: int, video_id: str | None = None
) -> Job:
    """Add a job to the queue.

    Raises
    ------
    BusyError
        If `max_queued` jobs wait already.
    """
    waiting = len(store.list_jobs(states=[JobState.QUEUED]))
    if waiting >= max_queued:
        raise BusyError(f"{waiting} jobs wait already, as many as may: try again later", retry_after_s=10.0)
    now = time.time()
    job = Job(
        job_id=f"j-{uuid.uuid4().hex[:16]}",
        project=project,
        kind=kind,
        state=JobState.QUEUED,
        spec=spec,
        created_at=now,
        updated_at=now,
        segments=({"index": 0, "start_s": 0.0, "end_s": None, "state": "queued", "progress": 0.0},),
        video_id=video_id,
    )
    store.submit_job(job)
    return job


class JobRunner:
    """Works on jobs of some kinds in a few threads.

    Parameters
    ----------
    work : mapping of kind to callable
        Does a job of that kind and returns the id of its video, if it has one. It calls `JobControl.report` now and then, and
        stops when `JobControl.should_stop` says so. A `FacerecError` ends the job as failed with its message; any other exception
        gives it back to the queue until `MAX_ATTEMPTS` were made.
    slots : int
        Jobs at a time.
    lease_s : float
        A runner that does not renew for so long has lost its job to the next.
    """

    def __init__(
        self,
        store: Store,
        work: dict[str, Work],
        *,
        slots: int = 2,
        lease_s: float = 15.0,
        poll_s: float = 1.0,
    ) -> None:
        self.owner = f"runner-{uuid.uuid4().hex[:12]}"
        self._store = store
        self._work = work
        self._lease_s = lease_s
        self._poll_s = poll_s
        self._stopping = threading.Event()
        self._wake = threading.Semaphore(0)
        self._running: dict[str, JobControl] = {}
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._loop, name=f"job-{i}", daemon=True) for i in range(slots)]
        self._threads.append(threading.Thread(target=self._renew_all, name="job-leases", daemon=True))

    def start(self) -> None:
        """Begin to claim jobs."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look for a job now instead of at the next poll."""
        self._wake.release()

    def check_health(self) -> None:
        """Raise RuntimeError if a thread has died."""
        dead = [thread.name for thread in self._threads if not thread.is_alive()]
        if dead and not self._stopping.is_set():
            raise RuntimeError(f"threads have died: {', '.join(dead)}")

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop working and give unfinished jobs back to the queue."""
        self._stopping.set()
        with self._lock:
            for control in self._running.values():
                control.lost = True
        for _ in self._threads:
            self._wake.release()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                job = self._claim()
                if job is None:
                    self._wake.acquire(timeout=self._poll_s)
                else:
                    self._do(job)
            except StoreError:
                logger.exception("the store does not answer; trying again")
                self._stopping.wait(self._poll_s)

    def _claim(self) -> Job | None:
        for kind in self._work:
            job = self._store.claim_job(kind, self.owner, self._lease_s)
            if job is not None:
                return job
        return None

    def _do(self, job: Job) -> None:
        control = JobControl(segments=_with_state(job.segments, "running"))
        with self._lock:
            self._running[job.job_id] = control
            control.lost = self._stopping.is_set()
        try:
            self._finish(job, control, *self._attempt(job, control))
        finally:
            with self._lock:
                del self._running[job.job_id]

    def _attempt(self, job: Job, control: JobControl) -> tuple[JobState | None, str | None, str | None]:
        """Do the job; return its final state, error and video, or None as state when it is to be tried again."""
        if job.attempt > MAX_ATTEMPTS:
            return JobState.FAILED, f"given up after {MAX_ATTEMPTS} attempts: each ended with its process", None
        try:
            return JobState.SUCCEEDED, None, self._work[job.kind](job, control)
        except FacerecError as error:
            logger.warning("job %s failed: %s", job.job_id, error, extra={"job_id": job.job_id})
            return JobState.FAILED, str(error), None
        except Exception as error:
            if control.lost:
                return None, None, None
            logger.warning(
                "job %s: attempt %d failed", job.job_id, job.attempt, exc_info=True, extra={"job_id": job.job_id}
            )
            if job.attempt >= MAX_ATTEMPTS:
                return (
                    JobState.FAILED,
                    f"failed {job.attempt} times, at last with {type(error).__name__}: {error}",
                    None,
                )
            return None, None, None

    def _finish(
        self, job: Job, control: JobControl, state: JobState | None, error: str | None, video_id: str | None
    ) -> None:
        if state is None:  # the store ends it if it was cancelled; a job whose project was deleted is gone
            self._store.release_job(job.job_id, self.owner)
            return
        self._store.renew_job(
            job.job_id,
            self.owner,
            self._lease_s,
            progress=control.progress,
            segments=_with_state(control.segments, state.value),
        )
        self._store.finish_job(job.job_id, self.owner, state, error=error, video_id=video_id)

    def _renew_all(self) -> None:
        while not self._stopping.wait(self._lease_s / _RENEWALS_PER_LEASE / 4):
            with self._lock:
                running = dict(self._running)
            for job_id, control in running.items():
                try:
                    kept = self._store.renew_job(
                        job_id, self.owner, self._lease_s, progress=control.progress, segments=control.segments
                    )
                except StoreError:
                    logger.exception("the lease of job %s could not be renewed; trying again", job_id)
                    continue
                if not kept:
                    control.lost = True


def _with_state(segments: Sequence[dict[str, Any]], state: str) -> tuple[dict[str, Any], ...]:
    progress = {"progress": 1.0} if state == JobState.SUCCEEDED.value else {}
    return tuple({**segment, "state": state, **progress} for segment in segments)

"""Run jobs that are rows in the store: claim, renew the lease, finish; nothing about a job lives only in memory."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from facerec_models.errors import MEDIA_ERRORS, BusyError, FacerecError, PlaceError, StoreError, StoreFullError
from serving.jobs.webhooks import WebhookSender
from serving.store import leases
from serving.store.acting import SERVICE, Actor, acting, present_actor
from serving.store.contract import Store
from serving.store.job_rows import Job, JobSegment, JobState, Webhook
from serving.store.leases import Lease
from serving.telemetry.context import bind
from serving.telemetry.metrics import JOB_ATTEMPTS_FAILED, JOB_WAIT_SECONDS, count_media_failure, kind_of
from serving.telemetry.traces import PARENT, span, traceparent

logger = logging.getLogger(__name__)

# A job or a segment is given up after so many errors, or when it was claimed more often than so: its processes died.
MAX_ATTEMPTS = 3
MAX_CLAIMS = 5
# After the first error, and after the next: longer than it takes to replace the replicas by those of another release.
PAUSES_S = (5.0, 45.0)
_RENEWALS_PER_LEASE = 12
# Kinds of jobs whose rows keep who submitted them: the specs of others have room for nothing else.
TRACED = ("video", "fetch")
_IDLE_PERIOD_S = 3600.0
_LINE_END = "\n"


class JobControl:
    """What the work on a job or a segment tells its runner, and asks it."""

    def __init__(self, runner: JobRunner, claimed: Lease) -> None:
        self.runner = runner
        self.claimed = claimed
        self.progress = 0.0
        self.must_stop = False
        self.leftovers: list[Callable[[], object]] = []
        self.next_work: tuple[str, dict[str, Any]] | None = None

    def report(self, progress: float) -> None:
        """Record how far the work is, in [0, 1]; it never goes back."""
        self.progress = max(self.progress, progress)

    def should_stop(self) -> bool:
        """Whether the work must end now."""
        return self.must_stop

    def when_done(self, tidy_up: Callable[[], object]) -> None:
        """Have something removed once the success is written; whoever does the work again after a crash before that still needs it."""
        self.leftovers.append(tidy_up)

    def hand_on(self, kind: str, spec: dict[str, Any]) -> None:
        """Have the job go on as one of another kind, with other work to do, about the video whose id the work returns."""
        self.next_work = kind, spec

    def plan(self, segments: Sequence[JobSegment]) -> bool:
        """Divide the job that is led, so that others can help; False if the work must end now."""
        return leases.plan(self.runner.store, self.claimed, segments)

    def reopen(self, indexes: Collection[int]) -> bool:
        """Let segments be done again whose work is lost; False if the work must end now."""
        return leases.reopen(self.runner.store, self.claimed, indexes)

    def work_on_segments(self) -> tuple[JobSegment, ...] | None:
        """Work on the segments beside others, until all have succeeded or one has failed.

        Returns
        -------
        tuple of JobSegment or None
            None if the work must end now.
        """
        runner, job_id = self.runner, self.claimed.job.job_id
        while not self.must_stop:
            mine = leases.claim_segment(runner.store, job_id, runner.name, runner.lease_s)
            if mine is not None:
                runner.do(mine)
                continue
            segments = runner.store.get_job(job_id).segments
            states = {segment.state for segment in segments}
            if states <= {JobState.SUCCEEDED} or JobState.FAILED in states:
                return segments
            time.sleep(runner.poll_s / 4)
        return None


Work = Callable[[Job, JobControl], str | None]
SegmentWork = Callable[[Job, JobSegment, JobControl], None]


def submit(
    store: Store,
    project: str,
    kind: str,
    spec: dict[str, Any],
    *,
    max_queued: int,
    video_id: str | None = None,
    priority: int = 0,
    key: str | None = None,
    webhook_url: str | None = None,
    job_id: str | None = None,
) -> Job:
    """Add a job to the queue, or return the one that has the same key and has neither failed nor been cancelled.

    Parameters
    ----------
    job_id : str, optional
        A job with this id is returned however it ended; by default the id is new.

    Raises
    ------
    BusyError
        If `max_queued` jobs wait already, and none has the same key.
    """
    waiting = store.count_jobs([JobState.QUEUED])
    if waiting >= max_queued:
        there = None if key is None else store.find_job(key)
        if there is not None:
            return there
        raise BusyError(
            f"{waiting} jobs wait, as many as FACEREC_MAX_QUEUED_JOBS allows: try again later", retry_after_s=10.0
        )
    now = time.time()
    with span("submit", role="producer", kind=kind):
        parent = traceparent() if kind in TRACED else None
        return store.submit_job(
            Job(
                job_id=job_id or f"j-{uuid.uuid4().hex[:16]}",
                project=project,
                kind=kind,
                state=JobState.QUEUED,
                spec=spec if parent is None else {**spec, PARENT: parent},
                created_at=now,
                updated_at=now,
                video_id=video_id,
                priority=priority,
                key=key,
                webhook=None if webhook_url is None else Webhook(webhook_url),
                submitted_by=present_actor().name,
            )
        )


class JobRunner:
    """Works on jobs of some kinds in a few threads.

    Parameters
    ----------
    work : mapping of kind to callable
        Does a job of that kind and returns the id of its video, if it has one. It calls `JobControl.report` now and then, and
        stops when `JobControl.should_stop` says so. A `FacerecError` ends the job as failed with its message; any other exception
        gives it back to the queue until `MAX_ATTEMPTS` were made.
    segment_work : mapping of kind to callable
        Does a segment of such a job, for this runner or another one.
    slots : int
        Jobs or segments at a time.
    lease_s : float
        A runner that does not renew for so long has lost its job to the next.
    pauses_s : sequence of float
        After each attempt that failed but the last.
    webhooks : WebhookSender, optional
        Tells who wants to know when a job has ended.
    has_room : callable
        Whether the disk lets another job begin.
    when_idle : callable, optional
        Called now and then when there is nothing to do.
    """

    def __init__(
        self,
        store: Store,
        work: Mapping[str, Work],
        *,
        segment_work: Mapping[str, SegmentWork] | None = None,
        slots: int = 2,
        lease_s: float = 15.0,
        pauses_s: Sequence[float] = PAUSES_S,
        poll_s: float = 1.0,
        webhooks: WebhookSender | None = None,
        when_idle: Callable[[], object] | None = None,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        self.name = f"runner-{uuid.uuid4().hex[:12]}"
        self.store = store
        self._work = work
        self._segment_work = segment_work or {}
        self.lease_s = lease_s
        self._pauses_s = pauses_s
        self.poll_s = poll_s
        self._webhooks = webhooks or WebhookSender()
        self._when_idle = when_idle
        self._idle_again = 0.0
        self._has_room = has_room
        self._stopping = threading.Event()
        self._wake = threading.Semaphore(0)
        self._running: dict[str, tuple[Lease, JobControl]] = {}
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._loop, name=f"job-{i}", daemon=True) for i in range(slots)]
        self._threads.append(threading.Thread(target=self._renew_all, name="job-leases", daemon=True))

    def start(self) -> None:
        """Begin to claim jobs."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Try to claim a job now instead of at the next poll."""
        self._wake.release()

    def check_health(self) -> None:
        """Raise RuntimeError if a thread has died."""
        dead = [thread.name for thread in self._threads if not thread.is_alive()]
        if dead and not self._stopping.is_set():
            raise RuntimeError(f"threads have died: {', '.join(dead)}")

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop working and give back what is not finished; see `stop_all`."""
        stop_all([self], timeout_s)

    def begin_to_stop(self) -> None:
        """Claim nothing any more, and tell the work that is under way to end."""
        self._stopping.set()
        with self._lock:
            for _, control in self._running.values():
                control.must_stop = True
        for _ in self._threads:
            self._wake.release()

    def give_back(self, deadline: float) -> None:
        """Wait for the work to end, at the latest until `time.monotonic` is at the deadline; give back what goes on then.

        Whoever takes it does it again. What the threads here still write of it is refused: they do not own it any more.
        """
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            left = [claimed for claimed, _ in self._running.values()]
        for claimed in left:
            logger.warning("job %s is given back while it is worked on", claimed.job.job_id)
            leases.release(self.store, claimed)

    def do(self, claimed: Lease) -> None:
        """Work on what was claimed, and write how it ended."""
        job = claimed.job
        number = claimed.segment
        name = "webhook" if claimed.webhook else "job" if number is None else "segment"
        with (
            bind(job_id=job.job_id, video_id=job.video_id, project=job.project),
            # A segment that the leader does itself is below the leader's span already, and is shown beside those of others.
            span(name, parent=job.spec.get(PARENT), role="consumer", kind=job.kind, segment=number),
        ):
            self._do(claimed)

    def _do(self, claimed: Lease) -> None:
        if claimed.webhook:
            self._webhooks.deliver(self.store, claimed)
            return
        control = JobControl(self, claimed)
        with self._lock:
            self._running[claimed.owner] = claimed, control
            control.must_stop = self._stopping.is_set()
        try:
            self._attempt(claimed, control)
        finally:
            with self._lock:
                del self._running[claimed.owner]

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                if not self._has_room():
                    self._stopping.wait(self.poll_s)
                    continue
                claimed = leases.claim(
                    self.store,
                    list(self._work),
                    self.name,
                    self.lease_s,
                    delivery_s=self._webhooks.lease_s,
                    max_deliveries=self._webhooks.max_attempts,
                )
                if claimed is None:
                    self._be_idle()
                    self._wake.acquire(timeout=self.poll_s)
                else:
                    self.do(claimed)
            except StoreError:
                logger.exception("the store does not answer; trying again")
                self._stopping.wait(self.poll_s)

    def _be_idle(self) -> None:
        with self._lock:
            is_time = self._when_idle is not None and time.monotonic() >= self._idle_again
            if is_time:
                self._idle_again = time.monotonic() + _IDLE_PERIOD_S
        if is_time and self._when_idle is not None:
            try:
                with acting(SERVICE):
                    self._when_idle()
            except StoreError:
                raise
            except Exception:  # tidying up ends no work
                logger.exception("what is done between jobs has failed; it is tried again later")

    def _attempt(self, claimed: Lease, control: JobControl) -> None:
        job, number = claimed.job, claimed.segment
        what = f"job {job.job_id}" + ("" if number is None else f", segment {number}")
        attempt = job.attempt if number is None else job.segments[number].attempt
        if number is None and attempt == 1:
            JOB_WAIT_SECONDS.labels(kind_of(job.kind)).observe(max(0.0, time.time() - job.created_at))
        if attempt > MAX_CLAIMS:
            self._end(
                claimed,
                JobState.FAILED,
                f"given up after {MAX_CLAIMS} attempts: each time its process died, or the store failed",
            )
            return
        try:
            logger.info("%s begins, attempt %d", what, attempt)
            with acting(Actor(job.submitted_by or SERVICE.name, job.job_id)):
                if number is None:
                    video_id = self._work[job.kind](job, control)
                else:
                    video_id = None
                    self._segment_work[job.kind](job, job.segments[number], control)
        except (StoreFullError, PlaceError) as error:
            # Room may be made: it is tried again after a while, and says meanwhile what it waits for.
            logger.warning("%s: attempt %d: %s", what, attempt, error, extra={"job_id": job.job_id})
            if attempt >= MAX_ATTEMPTS:
                self._end(claimed, JobState.FAILED, f"failed {attempt} times, at last with: {error}")
            else:
                leases.release(self.store, claimed, str(error), self._pauses_s[attempt - 1])
        except StoreError:
            # Nothing is given back: until the lease ends nobody takes it again, and the store has time to recover.
            logger.warning(
                "%s: the store failed at attempt %d", what, attempt, exc_info=True, extra={"job_id": job.job_id}
            )
        except FacerecError as error:
            logger.warning("%s failed: %s", what, error, extra={"job_id": job.job_id})
            if isinstance(error, MEDIA_ERRORS):
                count_media_failure(error)
            self._end(claimed, JobState.FAILED, str(error))
        except Exception as error:
            if control.must_stop:  # the store ends it if it was cancelled; a job whose project was deleted is gone
                leases.release(self.store, claimed)
                return
            logger.warning("%s: attempt %d failed", what, attempt, exc_info=True, extra={"job_id": job.job_id})
            JOB_ATTEMPTS_FAILED.labels(kind_of(job.kind)).inc()
            # The log has all of it; who submitted the job is told no trace.
            reason = f"{type(error).__name__}: {str(error).strip().partition(_LINE_END)[0]}"
            if attempt >= MAX_ATTEMPTS:
                self._end(claimed, JobState.FAILED, f"failed {attempt} times, at last with {reason}")
            else:
                leases.release(self.store, claimed, reason, self._pauses_s[attempt - 1])
        else:
            if control.next_work is not None and video_id is not None:
                leases.hand_on(self.store, claimed, *control.next_work, video_id)
            elif self._end(claimed, JobState.SUCCEEDED, video_id=video_id):
                _tidy_up(control, what)
            logger.info("%s is done", what)

    def _end(self, claimed: Lease, state: JobState, error: str | None = None, video_id: str | None = None) -> bool:
        if claimed.segment is None:
            return leases.finish(self.store, claimed, state, error=error, video_id=video_id)
        return leases.finish_segment(self.store, claimed, state, error)

    def _renew_all(self) -> None:
        while not self._stopping.wait(self.lease_s / _RENEWALS_PER_LEASE):
            with self._lock:
                running = list(self._running.values())
            for claimed, control in running:
                try:
                    kept = leases.renew(self.store, claimed, self.lease_s, control.progress)
                except StoreError:
                    logger.exception("the lease of job %s could not be renewed; trying again", claimed.job.job_id)
                    continue
                if not kept:
                    control.must_stop = True


def _tidy_up(control: JobControl, what: str) -> None:
    for tidy_up in control.leftovers:
        try:
            tidy_up()
        except Exception:  # the sweep does it
            logger.exception("%s has succeeded, but something is left of it", what)


def stop_all(runners: Sequence[JobRunner], timeout_s: float) -> None:
    """Stop runners together, within one time; what they work on is given back, for others to take at once."""
    deadline = time.monotonic() + timeout_s
    for runner in runners:
        runner.begin_to_stop()
    for runner in runners:
        runner.give_back(deadline)

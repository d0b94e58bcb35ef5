"""Runners that work in this process, and jobs for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from serving.jobs.runner import JobControl, JobRunner, Work, submit
from serving.store.contract import Store
from serving.store.job_rows import Job
from tests.waiting import wait_until


@contextmanager
def running(store: Store, work: Work, *, slots: int = 1, lease_s: float = 6.0, **options: Any) -> Iterator[JobRunner]:
    """Work on the jobs of videos until the block ends; a lease is renewed twelve times before it is lost."""
    options = {"slots": slots, "lease_s": lease_s, "poll_s": 0.02, "pauses_s": (0.0, 0.0), **options}
    runner = JobRunner(store, {"video": work}, **options)
    runner.start()
    try:
        yield runner
    finally:
        runner.stop()


def until_stopped(begun: Callable[[], object]) -> Work:
    """Return work that begins, and goes on until it must end."""

    def work(job: Job, control: JobControl) -> None:
        begun()
        wait_until(control.should_stop)
        raise RuntimeError("stopped")

    return work


def give(store: Store) -> str:
    return submit(store, "p", "video", {}, max_queued=100).job_id


def final(store: Store, job_id: str) -> Job:
    """Return a job when it has ended."""

    def ended() -> Job | None:
        job = store.get_job(job_id)
        return job if job.state.is_final else None

    job = wait_until(ended)
    assert job is not None
    return job

"""A runner works on jobs: their ends, tries, leases and cancelling."""

from __future__ import annotations

import threading
import time

import pytest

from facerec_models.errors import BusyError, InputError, StoreError
from serving.jobs.runner import MAX_CLAIMS, JobControl, JobRunner, submit
from serving.store import leases
from serving.store.contract import Store
from serving.store.job_rows import Job, JobSegment, JobState
from serving.store.leases import Lease
from tests.serving.jobs.runners import final, give, running, until_stopped
from tests.waiting import WAIT_S, wait_until


@pytest.mark.expects_errors
def test_a_failing_sweep_stops_no_work(store: Store) -> None:
    tried = threading.Event()

    def tidy_up() -> None:
        tried.set()
        raise PermissionError("not yours")

    with running(store, lambda job, control: None, when_idle=tidy_up) as runner:
        assert tried.wait(WAIT_S)
        assert final(store, give(store)).state is JobState.SUCCEEDED
        runner.check_health()


def test_a_job_tells_its_progress_and_its_end(store: Store) -> None:
    job_id, shown = give(store), threading.Event()

    def work(job: Job, control: JobControl) -> str:
        control.report(0.5)
        assert shown.wait(WAIT_S)
        return "v-1"

    with running(store, work) as runner:
        runner.check_health()
        wait_until(lambda: store.get_job(job_id).progress >= 0.5)
        assert store.get_job(job_id).state is JobState.RUNNING
        shown.set()
        job = final(store, job_id)
    assert (job.state, job.progress, job.attempt, job.video_id) == (JobState.SUCCEEDED, 1.0, 1, "v-1")


def test_an_error_of_ours_ends_a_job_with_its_message(store: Store) -> None:
    def work(job: Job, control: JobControl) -> None:
        raise InputError("the video is bad")

    job_id = give(store)
    with running(store, work):
        job = final(store, job_id)
    assert (job.state, job.error, job.attempt) == (JobState.FAILED, "the video is bad", 1)


def test_a_store_that_fails_for_a_while_fails_no_job(store: Store) -> None:
    job_id = give(store)
    begun: list[float] = []

    def work(job: Job, control: JobControl) -> str:
        begun.append(time.monotonic())
        if len(begun) < 4:  # more often than other errors are tried again
            raise StoreError("the primary is gone")
        return "v"

    with running(store, work, lease_s=0.5):
        job = final(store, job_id)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 4)
    assert begun[1] - begun[0] > 0.4


def test_other_errors_are_tried_again_and_then_given_up_with_the_reason(store: Store) -> None:
    def work(job: Job, control: JobControl) -> None:
        raise OSError("flaky disk")

    job_id = give(store)
    with running(store, work):
        job = final(store, job_id)
    assert (job.state, job.attempt) == (JobState.FAILED, 3)
    assert "flaky disk" in (job.error or "")


def test_an_attempt_waits_after_one_that_failed(store: Store) -> None:
    begun: list[float] = []

    def work(job: Job, control: JobControl) -> str:
        begun.append(time.monotonic())
        if len(begun) < 3:
            raise OSError("replicas of another release")
        return "v"

    job_id = give(store)
    with running(store, work, pauses_s=(0.3, 0.6)):
        assert final(store, job_id).state is JobState.SUCCEEDED
    assert begun[1] - begun[0] >= 0.3
    assert begun[2] - begun[1] >= 0.6


def test_a_job_that_takes_its_process_with_it_is_given_up(store: Store) -> None:
    job_id = give(store)
    for _ in range(MAX_CLAIMS):
        assert leases.claim(store, ["video"], "runner", 0.0) is not None
    with running(store, lambda job, control: "never"):
        job = final(store, job_id)
    assert (job.state, job.attempt) == (JobState.FAILED, MAX_CLAIMS + 1)
    assert "given up" in (job.error or "")


def test_the_next_attempt_records_why_the_last_one_ended(store: Store) -> None:
    job_id = give(store)
    leader = leases.claim(store, ["video"], "runner", 0.0)
    assert leader is not None
    taken = leases.claim(store, ["video"], "another", 60.0)
    assert taken is not None
    assert (taken.job.attempt, taken.job.error) == (2, "attempt 1 ended with its process, or was given up by the store")
    leases.plan(store, taken, [JobSegment(0, 0.0, None)])
    assert leases.claim_segment(store, job_id, "runner", 0.0) is not None
    assert leases.claim_segment(store, job_id, "another", 60.0) is not None
    (segment,) = store.get_job(job_id).segments
    assert (segment.attempt, segment.error) == (2, "attempt 1 ended with its process, or was given up by the store")


def test_a_job_is_cancelled_while_it_waits_and_while_it_runs(store: Store) -> None:
    waiting = give(store)
    assert leases.cancel(store, waiting).state is JobState.CANCELLED
    job_id, began = give(store), threading.Event()
    with running(store, until_stopped(began.set)):
        assert began.wait(WAIT_S)
        leases.cancel(store, job_id)
        assert final(store, job_id).state is JobState.CANCELLED
    assert store.get_job(waiting).attempt == 0


def test_a_runner_that_stops_gives_its_job_back(store: Store) -> None:
    job_id, began = give(store), threading.Event()
    with running(store, until_stopped(began.set)):
        assert began.wait(WAIT_S)
    assert store.get_job(job_id).state is JobState.QUEUED
    with running(store, lambda job, control: "v"):
        assert final(store, job_id).attempt == 1


def test_a_lost_lease_stops_the_work_and_writes_nothing(store: Store) -> None:
    job_id, lost = give(store), threading.Event()

    def work(job: Job, control: JobControl) -> str:
        wait_until(control.should_stop)
        lost.set()
        return "v-mine"

    with running(store, work):
        wait_until(lambda: store.get_job(job_id).owner)
        leases.release(store, Lease(store.get_job(job_id).owner or "", store.get_job(job_id)))
        thief = leases.claim(store, ["video"], "thief", 60)
        assert thief is not None
        assert lost.wait(WAIT_S)
    assert store.get_job(job_id).owner == thief.owner
    assert store.get_job(job_id).video_id is None


def test_two_runners_never_do_one_job_twice(store: Store) -> None:
    done: list[str] = []
    jobs = [give(store) for _ in range(40)]

    def work(job: Job, control: JobControl) -> None:
        done.append(job.job_id)

    with running(store, work, slots=3), running(store, work, slots=3):
        for job_id in jobs:
            assert final(store, job_id).state is JobState.SUCCEEDED
    assert sorted(done) == sorted(jobs)


def test_waking_beats_polling_and_a_dead_thread_is_noticed(store: Store) -> None:
    runner = JobRunner(store, {"video": lambda job, control: None}, slots=1, poll_s=10 * WAIT_S)
    with pytest.raises(RuntimeError, match="job-0"):
        runner.check_health()
    runner.start()
    job_id = give(store)
    runner.wake()
    assert final(store, job_id).state is JobState.SUCCEEDED
    runner.stop()


def test_a_full_queue_refuses(store: Store) -> None:
    submit(store, "p", "video", {}, max_queued=1)
    with pytest.raises(BusyError, match="1 jobs wait"):
        submit(store, "p", "video", {}, max_queued=1)


def test_a_full_queue_knows_the_submissions_that_are_in_it(store: Store) -> None:
    job = submit(store, "p", "video", {}, max_queued=1, key="k")
    assert submit(store, "p", "video", {}, max_queued=1, key="k") == job
    with pytest.raises(BusyError, match="1 jobs wait"):
        submit(store, "p", "video", {}, max_queued=1, key="another")


def test_a_job_submitted_while_its_equal_is_being_cancelled_is_done(store: Store) -> None:
    began, let_go = threading.Event(), threading.Event()

    def work(job: Job, control: JobControl) -> str:
        began.set()
        wait_until(control.should_stop)
        let_go.wait(WAIT_S)
        raise RuntimeError("stopped")

    first = submit(store, "p", "video", {}, max_queued=9, key="k")
    with running(store, work):
        assert began.wait(WAIT_S)
        leases.cancel(store, first.job_id)
        second = submit(store, "p", "video", {}, max_queued=9, key="k")
        let_go.set()
        assert final(store, first.job_id).state is JobState.CANCELLED
    assert second.job_id != first.job_id
    with running(store, lambda job, control: "v"):
        assert final(store, second.job_id).state is JobState.SUCCEEDED


def test_deleting_a_project_stops_its_job_and_no_other(store: Store) -> None:
    began, ended = threading.Event(), threading.Event()

    def work(job: Job, control: JobControl) -> str:
        if job.project == "p":
            return "v"
        began.set()
        wait_until(control.should_stop)
        ended.set()
        raise RuntimeError("stopped")

    store.create_project("gone")
    submit(store, "gone", "video", {}, max_queued=9)
    with running(store, work) as runner:
        assert began.wait(WAIT_S)
        store.delete_project("gone")
        assert ended.wait(WAIT_S)
        assert final(store, give(store)).state is JobState.SUCCEEDED
        runner.check_health()

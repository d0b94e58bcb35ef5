from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from facerec_models.errors import BusyError, InputError
from serving.jobs import JobControl, JobRunner, submit
from serving.store import Store, open_store
from serving.store.rows import Job, JobState


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path)
    store.create_project("p")
    yield store
    store.close()


@contextmanager
def running(store: Store, work: Callable[[Job, JobControl], str | None], *, slots: int = 1, lease_s: float = 0.6):  # type: ignore[no-untyped-def]
    runner = JobRunner(store, {"video": work}, slots=slots, lease_s=lease_s, poll_s=0.02)
    runner.start()
    try:
        yield runner
    finally:
        runner.stop()


def give(store: Store) -> str:
    return submit(store, "p", "video", {}, max_queued=100).job_id


def final(store: Store, job_id: str, timeout_s: float = 10.0) -> Job:
    deadline = time.monotonic() + timeout_s
    while not (job := store.get_job(job_id)).state.is_final:
        assert time.monotonic() < deadline, job
        time.sleep(0.01)
    return job


def test_a_job_is_done_and_says_so(store: Store) -> None:
    job_id = give(store)

    def work(job: Job, control: JobControl) -> str:
        control.report(0.5)
        time.sleep(0.3)
        return "v-1"

    with running(store, work) as runner:
        runner.check_health()
        while store.get_job(job_id).progress < 0.5:
            time.sleep(0.01)
        assert store.get_job(job_id).segments[0]["state"] == "running"
        job = final(store, job_id)
    assert (job.state, job.progress, job.attempt, job.video_id) == (JobState.SUCCEEDED, 1.0, 1, "v-1")
    assert job.segments[0]["state"] == "succeeded"


def test_an_error_of_ours_ends_a_job_with_its_message(store: Store) -> None:
    def work(job: Job, control: JobControl) -> None:
        raise InputError("the video is bad")

    job_id = give(store)
    with running(store, work):
        job = final(store, job_id)
    assert (job.state, job.error, job.attempt) == (JobState.FAILED, "the video is bad", 1)


def test_other_errors_are_tried_again_and_then_given_up_with_the_reason(store: Store) -> None:
    def work(job: Job, control: JobControl) -> None:
        raise OSError("flaky disk")

    job_id = give(store)
    with running(store, work):
        job = final(store, job_id)
    assert (job.state, job.attempt) == (JobState.FAILED, 3)
    assert "flaky disk" in (job.error or "")


def test_a_job_that_takes_its_process_with_it_is_given_up(store: Store) -> None:
    job_id = give(store)
    for _ in range(3):
        assert store.claim_job("video", "somebody", 0.0) is not None
    with running(store, lambda job, control: "never"):
        job = final(store, job_id)
    assert (job.state, job.attempt) == (JobState.FAILED, 4)
    assert "given up" in (job.error or "")


def test_a_job_is_cancelled_while_it_waits_and_while_it_runs(store: Store) -> None:
    waiting = give(store)
    assert store.cancel_job(waiting).state is JobState.CANCELLED
    job_id, began = give(store), threading.Event()

    def work(job: Job, control: JobControl) -> None:
        began.set()
        while not control.should_stop():
            time.sleep(0.01)
        raise RuntimeError("stopped")

    with running(store, work):
        assert began.wait(5)
        store.cancel_job(job_id)
        assert final(store, job_id).state is JobState.CANCELLED
    assert store.get_job(waiting).attempt == 0
    for ended in (waiting, job_id):
        assert [segment["state"] for segment in store.get_job(ended).segments] == ["cancelled"]


def test_a_runner_that_stops_gives_its_job_back(store: Store) -> None:
    job_id, began = give(store), threading.Event()

    def work(job: Job, control: JobControl) -> None:
        began.set()
        while not control.should_stop():
            time.sleep(0.01)
        raise RuntimeError("stopped")

    with running(store, work):
        assert began.wait(5)
    assert store.get_job(job_id).state is JobState.QUEUED
    with running(store, lambda job, control: "v"):
        assert final(store, job_id).attempt == 2


def test_a_lost_lease_stops_the_work_and_writes_nothing(store: Store) -> None:
    job_id, lost = give(store), threading.Event()

    def work(job: Job, control: JobControl) -> str:
        while not control.should_stop():
            time.sleep(0.01)
        lost.set()
        return "v-mine"

    with running(store, work, lease_s=0.4):
        while store.get_job(job_id).owner is None:
            time.sleep(0.01)
        store.release_job(job_id, store.get_job(job_id).owner or "")
        assert store.claim_job("video", "thief", 60) is not None
        assert lost.wait(5)
        time.sleep(0.1)
        assert store.get_job(job_id).owner == "thief"
        assert store.get_job(job_id).video_id is None


def test_two_runners_never_do_one_job_twice(store: Store) -> None:
    done: list[str] = []
    jobs = [give(store) for _ in range(40)]

    def work(job: Job, control: JobControl) -> None:
        done.append(job.job_id)

    with running(store, work, slots=3, lease_s=30), running(store, work, slots=3, lease_s=30):
        for job_id in jobs:
            assert final(store, job_id).state is JobState.SUCCEEDED
    assert sorted(done) == sorted(jobs)


def test_waking_beats_polling_and_a_dead_thread_is_noticed(store: Store) -> None:
    runner = JobRunner(store, {"video": lambda job, control: None}, slots=1, poll_s=60)
    with pytest.raises(RuntimeError, match="job-0"):
        runner.check_health()
    runner.start()
    time.sleep(0.1)
    job_id = give(store)
    runner.wake()
    assert final(store, job_id, 2.0).state is JobState.SUCCEEDED
    runner.stop()


def test_a_full_queue_refuses(store: Store) -> None:
    submit(store, "p", "video", {}, max_queued=1)
    with pytest.raises(BusyError, match="1 jobs wait"):
        submit(store, "p", "video", {}, max_queued=1)


def test_a_job_whose_project_is_deleted_harms_no_other(store: Store) -> None:
    began, ended = threading.Event(), threading.Event()

    def work(job: Job, control: JobControl) -> str:
        if job.project == "p":
            return "v"
        began.set()
        while not control.should_stop():
            time.sleep(0.01)
        ended.set()
        raise RuntimeError("stopped")

    store.create_project("gone")
    submit(store, "gone", "video", {}, max_queued=9)
    with running(store, work) as runner:
        assert began.wait(5)
        store.delete_project("gone")
        assert ended.wait(5)
        assert final(store, give(store)).state is JobState.SUCCEEDED
        runner.check_health()

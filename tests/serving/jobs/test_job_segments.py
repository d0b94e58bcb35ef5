"""Runners share the segments of a job."""

from __future__ import annotations

import threading

from facerec_models.errors import InputError
from serving.jobs.runner import JobControl, JobRunner, submit
from serving.store.contract import Store
from serving.store.job_rows import Job, JobSegment, JobState
from tests.serving.jobs.runners import final, give, running
from tests.waiting import WAIT_S, wait_until


def test_runners_share_the_segments_of_a_job(store: Store) -> None:
    done: list[int] = []
    both_work = threading.Barrier(2)

    def lead(job: Job, control: JobControl) -> str:
        assert control.plan([JobSegment(i, float(i), float(i + 1)) for i in range(8)])
        segments = control.work_on_segments()
        assert segments is not None
        assert {segment.state for segment in segments} == {JobState.SUCCEEDED}
        return "v"

    def do(job: Job, segment: JobSegment, control: JobControl) -> None:
        if segment.index < 2:  # the first waits until another thread does the second
            both_work.wait(WAIT_S)
        done.append(segment.index)

    with (
        running(store, lead, segment_work={"video": do}, slots=2),
        running(store, lead, segment_work={"video": do}, slots=1),
    ):
        job = final(store, give(store))
    assert job.state is JobState.SUCCEEDED
    assert sorted(done) == list(range(8))


def test_a_segment_that_fails_ends_its_job_and_a_flaky_one_does_not(store: Store) -> None:
    tries = {0: 0, 1: 0}

    def lead(job: Job, control: JobControl) -> str:
        assert control.plan([JobSegment(i, float(i), float(i + 1)) for i in range(2)])
        segments = control.work_on_segments()
        assert segments is not None
        bad = [segment.error for segment in segments if segment.state is JobState.FAILED]
        if bad:
            raise InputError(f"a part failed: {bad[0]}")
        return "v"

    def do(job: Job, segment: JobSegment, control: JobControl) -> None:
        tries[segment.index] += 1
        if segment.index == 1 and tries[1] <= job.spec["failures"]:
            raise OSError("flaky disk")

    def run(failures: int) -> Job:
        tries.update({0: 0, 1: 0})
        with running(store, lead, segment_work={"video": do}):
            return final(store, submit(store, "p", "video", {"failures": failures}, max_queued=9).job_id)

    assert run(2).state is JobState.SUCCEEDED
    assert tries == {0: 1, 1: 3}
    job = run(9)
    assert (job.state, tries[0], tries[1]) == (JobState.FAILED, 1, 3)
    assert job.error == "a part failed: failed 3 times, at last with OSError: flaky disk"


def test_a_leader_that_stops_leaves_its_finished_segments_to_the_next(store: Store) -> None:
    done: list[int] = []
    half = threading.Event()

    def lead(job: Job, control: JobControl) -> str:
        if not job.segments:
            control.plan([JobSegment(i, float(i), float(i + 1)) for i in range(4)])
        if control.work_on_segments() is None:
            raise RuntimeError("stopped")
        return "v"

    def do(job: Job, segment: JobSegment, control: JobControl) -> None:
        if segment.index == 2 and not half.is_set():
            half.set()
            wait_until(control.should_stop)
            raise RuntimeError("stopped")
        done.append(segment.index)

    job_id = give(store)
    with running(store, lead, segment_work={"video": do}):
        assert half.wait(WAIT_S)
    with running(store, lead, segment_work={"video": do}):
        assert final(store, job_id).state is JobState.SUCCEEDED
    assert done == [0, 1, 2, 3]


def test_work_that_does_not_end_in_time_is_given_back_all_the_same(store: Store) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def stubborn(job: Job, control: JobControl) -> str:
        begun.set()
        assert may_end.wait(WAIT_S)
        return "v"

    runner = JobRunner(store, {"video": stubborn}, slots=1, lease_s=60.0, poll_s=0.02)
    runner.start()
    job_id = give(store)
    assert begun.wait(WAIT_S)
    runner.stop(timeout_s=0.1)
    left = store.get_job(job_id)
    assert (left.state, left.owner, left.attempt) == (JobState.QUEUED, None, 0)
    # What it still says is refused, and whoever takes it now does it.
    may_end.set()
    with running(store, lambda job, control: "w"):
        job = final(store, job_id)
    assert (job.state, job.video_id, job.attempt) == (JobState.SUCCEEDED, "w", 1)

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from pydantic import SecretStr, ValidationError

from facerec_models.errors import BusyError, InputError, StoreError
from serving.jobs.runner import MAX_CLAIMS, JobControl, JobRunner, submit
from serving.jobs.segments import JobSegments
from serving.jobs.webhooks import SIGNATURE_HEADER, WebhookSender, sign
from serving.settings import WebhookConfig
from serving.store import Store, leases
from serving.store.job_rows import Job, JobSegment, JobState
from serving.store.leases import Lease
from tests.serving.service import free_port


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


@pytest.mark.expects_errors
def test_tidying_up_that_fails_ends_no_work(store: Store) -> None:
    tried = threading.Event()

    def tidy_up() -> None:
        tried.set()
        raise PermissionError("not yours")

    runner = JobRunner(store, {"video": lambda job, control: None}, slots=1, poll_s=0.02, when_idle=tidy_up)
    runner.start()
    try:
        assert tried.wait(10)
        assert final(store, give(store)).state is JobState.SUCCEEDED
        runner.check_health()
    finally:
        runner.stop()


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
        assert store.get_job(job_id).state is JobState.RUNNING
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

    with running(store, work, lease_s=0.3):
        job = final(store, job_id)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 4)
    assert begun[1] - begun[0] > 0.25


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
    for _ in range(MAX_CLAIMS):
        assert leases.claim(store, ["video"], "somebody", 0.0) is not None
    with running(store, lambda job, control: "never"):
        job = final(store, job_id)
    assert (job.state, job.attempt) == (JobState.FAILED, MAX_CLAIMS + 1)
    assert "given up" in (job.error or "")


def test_whoever_takes_over_says_why_the_last_attempt_ended(store: Store) -> None:
    job_id = give(store)
    leader = leases.claim(store, ["video"], "somebody", 0.0)
    assert leader is not None
    taken = leases.claim(store, ["video"], "another", 60.0)
    assert taken is not None
    assert (taken.job.attempt, taken.job.error) == (2, "attempt 1 ended with its process, or was given up by the store")
    leases.plan(store, taken, [JobSegment(0, 0.0, None)])
    assert leases.claim_segment(store, job_id, "somebody", 0.0) is not None
    assert leases.claim_segment(store, job_id, "another", 60.0) is not None
    (segment,) = store.get_job(job_id).segments
    assert (segment.attempt, segment.error) == (2, "attempt 1 ended with its process, or was given up by the store")


def test_a_job_is_cancelled_while_it_waits_and_while_it_runs(store: Store) -> None:
    waiting = give(store)
    assert leases.cancel(store, waiting).state is JobState.CANCELLED
    job_id, began = give(store), threading.Event()

    def work(job: Job, control: JobControl) -> None:
        began.set()
        while not control.should_stop():
            time.sleep(0.01)
        raise RuntimeError("stopped")

    with running(store, work):
        assert began.wait(5)
        leases.cancel(store, job_id)
        assert final(store, job_id).state is JobState.CANCELLED
    assert store.get_job(waiting).attempt == 0


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
        assert final(store, job_id).attempt == 1


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
        leases.release(store, Lease(store.get_job(job_id).owner or "", store.get_job(job_id)))
        thief = leases.claim(store, ["video"], "thief", 60)
        assert thief is not None
        assert lost.wait(5)
        time.sleep(0.1)
        assert store.get_job(job_id).owner == thief.owner
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


def test_a_full_queue_knows_the_submissions_that_are_in_it(store: Store) -> None:
    job = submit(store, "p", "video", {}, max_queued=1, key="k")
    assert submit(store, "p", "video", {}, max_queued=1, key="k") == job
    with pytest.raises(BusyError, match="1 jobs wait"):
        submit(store, "p", "video", {}, max_queued=1, key="another")


def test_what_is_submitted_while_the_same_is_being_cancelled_is_done(store: Store) -> None:
    began, let_go = threading.Event(), threading.Event()

    def work(job: Job, control: JobControl) -> str:
        began.set()
        while not control.should_stop():
            time.sleep(0.01)
        let_go.wait(5)
        raise RuntimeError("stopped")

    first = submit(store, "p", "video", {}, max_queued=9, key="k")
    with running(store, work):
        assert began.wait(5)
        leases.cancel(store, first.job_id)
        second = submit(store, "p", "video", {}, max_queued=9, key="k")
        let_go.set()
        assert final(store, first.job_id).state is JobState.CANCELLED
    assert second.job_id != first.job_id
    with running(store, lambda job, control: "v"):
        assert final(store, second.job_id).state is JobState.SUCCEEDED


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


# Segments


def test_runners_share_the_segments_of_a_job(store: Store) -> None:
    done: list[tuple[str, int]] = []

    def lead(job: Job, control: JobControl) -> str:
        assert JobSegments(control).plan([JobSegment(i, float(i), float(i + 1)) for i in range(8)])
        segments = JobSegments(control).work()
        assert segments is not None
        assert {segment.state for segment in segments} == {JobState.SUCCEEDED}
        return "v"

    def do(job: Job, segment: JobSegment, control: JobControl) -> None:
        time.sleep(0.1)
        done.append((threading.current_thread().name, segment.index))

    with dividing(store, lead, do, slots=2), dividing(store, lead, do, slots=1):
        job = final(store, give(store))
    assert job.state is JobState.SUCCEEDED
    assert sorted(index for _, index in done) == list(range(8))
    assert len({name for name, _ in done}) > 1


@contextmanager
def dividing(store: Store, lead, do, *, slots: int = 1):  # type: ignore[no-untyped-def]
    runner = JobRunner(store, {"video": lead}, segment_work={"video": do}, slots=slots, lease_s=0.6, poll_s=0.02)
    runner.start()
    try:
        yield runner
    finally:
        runner.stop()


def test_a_segment_that_fails_ends_its_job_and_a_flaky_one_does_not(store: Store) -> None:
    tries = {0: 0, 1: 0}

    def lead(job: Job, control: JobControl) -> str:
        assert JobSegments(control).plan([JobSegment(i, float(i), float(i + 1)) for i in range(2)])
        segments = JobSegments(control).work()
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
        with dividing(store, lead, do):
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
            JobSegments(control).plan([JobSegment(i, float(i), float(i + 1)) for i in range(4)])
        if JobSegments(control).work() is None:
            raise RuntimeError("stopped")
        return "v"

    def do(job: Job, segment: JobSegment, control: JobControl) -> None:
        if segment.index == 2 and not half.is_set():
            half.set()
            while not control.should_stop():
                time.sleep(0.01)
            raise RuntimeError("stopped")
        done.append(segment.index)

    job_id = give(store)
    with dividing(store, lead, do):
        assert half.wait(5)
    with dividing(store, lead, do):
        assert final(store, job_id).state is JobState.SUCCEEDED
    assert done == [0, 1, 2, 3]


# Webhooks


class Receiver(BaseHTTPRequestHandler):
    """Takes a message after refusing the first ones."""

    refusals = 0
    got: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).got.append((self.headers[SIGNATURE_HEADER], body))
        self.send_response(503 if len(self.got) <= self.refusals else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_the_end_of_a_job_is_posted_signed_until_it_is_taken(store: Store) -> None:
    handler = type("Handler", (Receiver,), {"refusals": 1, "got": []})
    config = WebhookConfig(hosts=frozenset({"127.0.0.1"}), secret=SecretStr("quite secret"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/ended"
        runner = JobRunner(
            store, {"video": lambda job, control: "v-1"}, slots=1, poll_s=0.02, webhooks=WebhookSender(config)
        )
        runner.start()
        job_id = submit(store, "p", "video", {}, max_queued=9, webhook_url=url).job_id
        deadline = time.monotonic() + 10
        while (hook := store.get_job(job_id).webhook) is None or hook.delivered_at is None:
            assert time.monotonic() < deadline, hook
            time.sleep(0.02)
        runner.stop()
        server.shutdown()
    assert hook.attempt == 2
    assert len(handler.got) == 2
    for signature, body in handler.got:
        timestamp = int(signature.split(",")[0].removeprefix("t="))
        assert abs(timestamp - time.time()) < 10
        assert signature == sign("quite secret", timestamp, body)
        assert signature != sign("another", timestamp, body)
        message = json.loads(body)
        assert (message["job_id"], message["state"], message["video_id"]) == (job_id, "succeeded", "v-1")


def test_a_slow_receiver_is_told_once(store: Store) -> None:
    class Slow(Receiver):
        got: ClassVar[list[tuple[str, bytes]]] = []

        def do_POST(self) -> None:
            time.sleep(0.8)
            super().do_POST()

    config = WebhookConfig(hosts=frozenset({"127.0.0.1"}), secret=SecretStr("s"), timeout_s=5.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/ended"
        work = {"video": lambda job, control: None}
        runner = JobRunner(store, work, slots=2, lease_s=0.2, poll_s=0.02, webhooks=WebhookSender(config))
        runner.start()
        job_id = submit(store, "p", "video", {}, max_queued=9, webhook_url=url).job_id
        deadline = time.monotonic() + 10
        while (hook := store.get_job(job_id).webhook) is None or hook.delivered_at is None:
            assert time.monotonic() < deadline, hook
            time.sleep(0.02)
        runner.stop()
        server.shutdown()
    assert (hook.attempt, len(Slow.got)) == (1, 1)


def test_how_long_a_receiver_may_take_has_a_limit() -> None:
    for setting in ({"timeout_s": 61}, {"max_attempts": 101}):
        with pytest.raises(ValidationError, match="less than or equal"):
            WebhookConfig(**setting)  # type: ignore[arg-type]


def test_a_receiver_that_is_not_there_is_given_up_with_the_reason(store: Store) -> None:
    config = WebhookConfig(hosts=frozenset({"127.0.0.1"}), secret=SecretStr("s"), max_attempts=1)
    url = f"http://127.0.0.1:{free_port()}/"
    runner = JobRunner(store, {"video": lambda job, control: None}, poll_s=0.02, webhooks=WebhookSender(config))
    runner.start()
    job_id = submit(store, "p", "video", {}, max_queued=9, webhook_url=url).job_id
    deadline = time.monotonic() + 10
    while (hook := store.get_job(job_id).webhook) is None or hook.error is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    runner.stop()
    assert (hook.due_at, hook.delivered_at) == (None, None)
    assert "ConnectError" in hook.error

"""What every store promises of jobs, and what leases make of it."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from facerec_models.errors import ConflictError, JobNotFoundError
from serving.store import leases
from serving.store.contract import Store
from serving.store.job_rows import Job, JobSegment, JobState, Webhook
from serving.store.leases import Lease
from tests.contract.store_cases import claim, claim_all, claimed, clock_ahead, make_job, make_video

# Rows


def test_jobs_come_back_as_they_were_oldest_first(store: Store) -> None:
    store.create_project("q")
    parts = (JobSegment(0, 0.0, 2.5, 0, 60, JobState.SUCCEEDED, 1.0), JobSegment(1, 2.5, None, error="é", attempt=2))
    jobs = [
        replace(make_job("j3", 1.0), segments=parts, key="k", webhook=Webhook("http://a/b", error="it answered 500")),
        make_job("j1", 2.0, project="q"),
        make_job("j2", 3.0, kind="training"),
    ]
    for job in reversed(jobs):
        assert store.submit_job(job) == job
    assert store.submit_job(replace(jobs[0], spec={})) == jobs[0]
    assert store.list_jobs() == jobs
    assert store.list_jobs("q") == [jobs[1]]
    assert store.get_job("j3") == jobs[0]
    leases.cancel(store, "j2")
    claim(store)
    assert [job.job_id for job in store.list_jobs(states=[JobState.QUEUED])] == ["j1"]
    assert [job.job_id for job in store.list_jobs(states=[JobState.RUNNING, JobState.CANCELLED])] == ["j3", "j2"]
    assert [job.job_id for job in store.list_jobs("p", [JobState.RUNNING])] == ["j3"]
    assert store.count_jobs([JobState.RUNNING, JobState.CANCELLED]) == 2
    assert store.count_jobs([JobState.FAILED]) == 0


def test_jobs_are_listed_part_by_part(store: Store) -> None:
    # Two at the same moment: the id decides.
    jobs = [make_job("j2", 1.0), make_job("j1", 2.0), make_job("j3", 2.0), make_job("j0", 3.0)]
    for job in jobs:
        store.submit_job(job)
    assert store.list_jobs(limit=2) == jobs[:2]
    assert store.list_jobs(after=jobs[1], limit=1) == [jobs[2]]
    assert store.list_jobs("p", [JobState.QUEUED], after=jobs[1]) == jobs[2:]
    assert store.list_jobs(after=jobs[3]) == store.list_jobs(limit=0) == []
    newest = jobs[::-1]
    assert store.list_jobs(newest_first=True) == newest
    assert store.list_jobs(newest_first=True, limit=2) == newest[:2]
    assert store.list_jobs("p", after=newest[1], newest_first=True, limit=1) == newest[2:3]
    assert store.list_jobs(after=newest[3], newest_first=True) == []


def test_a_job_is_submitted_as_queued(store: Store) -> None:
    with pytest.raises(ValueError, match="running"):
        store.submit_job(replace(make_job("j"), state=JobState.RUNNING))
    assert store.list_jobs() == []


def test_a_job_is_changed_whole_or_not_at_all(store: Store) -> None:
    job = store.submit_job(make_job("j"))

    def fail(job: Job) -> Job:
        raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        store.update_job("j", fail)
    assert store.update_job("j", lambda job: None) is None
    assert store.update_job("absent", lambda job: job) is None
    assert store.get_job("j") == job
    changed = store.update_job("j", lambda job: replace(job, progress=0.5, error="so far"))
    assert changed == store.get_job("j") == replace(job, progress=0.5, error="so far")


def test_no_two_jobs_have_one_key(store: Store) -> None:
    store.submit_job(replace(make_job("j1"), key="k"))
    other = store.submit_job(make_job("j2"))
    with pytest.raises(ConflictError, match="j2"):
        store.update_job("j2", lambda job: replace(job, key="k", progress=0.5))
    assert store.get_job("j2") == other


def test_a_delivery_of_a_retried_job_writes_nothing(store: Store) -> None:
    store.submit_job(replace(make_job("j"), webhook=Webhook("http://a/b")))
    leases.cancel(store, "j")
    telling = claimed(store)
    again = leases.retry(store, "j")
    leases.finish_delivery(store, telling)
    assert store.get_job("j") == again


def test_due_jobs_are_found_by_priority_and_age(store: Store) -> None:
    for job_id, created_at, priority in (("a", 1.0, 0), ("b", 2.0, 5), ("c", 3.0, 5), ("d", 4.0, -1)):
        store.submit_job(replace(make_job(job_id, created_at), priority=priority))
    store.submit_job(make_job("t", 0.0, "training"))
    now = time.time()
    assert store.find_due_jobs(["video"], now, 10) == ["b", "c", "a", "d"]
    assert store.find_due_jobs(["video", "training"], now, 3) == ["b", "c", "t"]
    claimed(store)
    assert store.find_due_jobs(["video"], now, 10) == ["c", "a", "d"]
    assert store.find_due_jobs(["video"], now + 61, 10) == ["b", "c", "a", "d"]
    leases.cancel(store, "c")
    assert store.find_due_jobs(["video"], now, 10) == ["a", "d"]


def test_the_same_submission_is_the_same_job_until_it_fails(store: Store) -> None:
    first = store.submit_job(replace(make_job("j1"), key="k"))
    assert store.submit_job(replace(make_job("j2"), key="k")) == first
    other = store.submit_job(replace(make_job("j3"), key=None))
    assert other.job_id == "j3"
    mine = claimed(store)
    assert store.submit_job(replace(make_job("j4"), key="k")).state is JobState.RUNNING
    leases.finish(store, mine, JobState.SUCCEEDED)
    assert store.submit_job(replace(make_job("j5"), key="k")).job_id == "j1"
    again = store.submit_job(replace(make_job("j6"), key="k2"))
    leases.cancel(store, again.job_id)
    assert store.submit_job(replace(make_job("j7"), key="k2")).job_id == "j7"
    store.put_video(make_video("v"))
    assert store.submit_job(replace(make_job("j8"), key="k3", video_id="v")).job_id == "j8"
    store.delete_video("p", "v")
    assert store.submit_job(replace(make_job("j9"), key="k3", video_id="v")).job_id == "j9"


def test_a_job_asked_to_stop_frees_its_key(store: Store) -> None:
    store.submit_job(replace(make_job("j1"), key="k"))
    stopping = claimed(store)
    leases.cancel(store, "j1")
    assert store.submit_job(replace(make_job("j2"), key="k")).job_id == "j2"
    leases.release(store, stopping)
    assert store.submit_job(replace(make_job("j3"), key="k")).job_id == "j2"


def test_a_job_is_found_by_its_key(store: Store) -> None:
    job = store.submit_job(replace(make_job("j"), key="k"))
    store.submit_job(make_job("keyless"))
    assert store.find_job("k") == job
    assert store.find_job("k2") is None
    leases.cancel(store, "j")
    assert store.find_job("k") is None


# Jobs


def test_the_oldest_job_of_the_kind_is_claimed_first(store: Store) -> None:
    for job_id, created_at, kind in (("a", 3.0, "video"), ("b", 2.0, "video"), ("c", 1.0, "training")):
        store.submit_job(make_job(job_id, created_at, kind))
    before = time.time()
    mine = claimed(store)
    job = mine.job
    assert job == store.get_job("b")
    assert (job.state, job.owner, job.attempt) == (JobState.RUNNING, mine.owner, 1)
    assert mine.owner.startswith("o1/")
    assert before + 60 <= job.lease_until <= time.time() + 60
    assert before <= job.updated_at <= time.time()
    assert claimed(store).job.job_id == "a"
    assert claim(store) is None


def test_a_job_whose_lease_expired_is_taken_over(store: Store) -> None:
    store.submit_job(make_job("j"))
    late = claimed(store)
    assert leases.renew(store, late, 60, 0.5)
    assert claim(store, "o2") is None
    with clock_ahead(61):
        mine = claimed(store, "o2")
    assert (mine.job.owner, mine.job.attempt, mine.job.progress) == (mine.owner, 2, 0.5)

    assert not leases.renew(store, late, 60, 0.9)
    assert not leases.finish(store, late, JobState.FAILED, error="late", video_id="v")
    leases.release(store, late)
    assert store.get_job("j") == mine.job


def test_jobs_to_take_over_and_new_ones_share_one_queue(store: Store) -> None:
    for job_id, created_at in (("a", 2.0), ("b", 1.0)):
        store.submit_job(make_job(job_id, created_at))
    assert [claimed(store, lease_s=0).job.job_id for _ in range(2)] == ["b", "b"]
    store.submit_job(make_job("c", 0.5))
    store.submit_job(make_job("d", 3.0))
    assert claim_all(store, "o2") == ["c", "b", "a", "d"]


def test_a_late_owner_that_was_not_replaced_keeps_its_job(store: Store) -> None:
    store.submit_job(make_job("j"))
    mine = claimed(store, lease_s=0)
    assert leases.renew(store, mine, 60, 0.25)
    assert claim(store, "o2") is None
    job = store.get_job("j")
    assert job.progress == 0.25
    assert job.lease_until > time.time() + 50


def test_a_job_is_finished_by_its_owner_once(store: Store) -> None:
    store.submit_job(make_job("j"))
    assert not leases.finish(store, Lease("o1", store.get_job("j")), JobState.SUCCEEDED)
    mine = claimed(store)
    assert leases.finish(store, mine, JobState.SUCCEEDED, video_id="v")
    job = store.get_job("j")
    assert (job.state, job.video_id, job.error, job.progress) == (JobState.SUCCEEDED, "v", None, 1.0)
    assert (job.owner, job.lease_until) == (None, 0.0)
    assert not leases.finish(store, mine, JobState.FAILED, error="twice")
    assert not leases.renew(store, mine, 60, 0.0)
    leases.release(store, mine)
    assert store.get_job("j") == job
    assert claim(store, "o2") is None


def test_a_failed_job_keeps_its_progress_and_video_and_can_be_retried(store: Store) -> None:
    store.submit_job(replace(make_job("j"), video_id="v"))
    mine = claimed(store)
    leases.renew(store, mine, 60, 0.5)
    with pytest.raises(ConflictError, match="is running"):
        leases.retry(store, "j")
    assert leases.finish(store, mine, JobState.FAILED, error="no picture can be read")
    job = store.get_job("j")
    assert (job.state, job.error, job.progress, job.video_id) == (JobState.FAILED, "no picture can be read", 0.5, "v")
    again = leases.retry(store, "j")
    assert (again.state, again.error, again.attempt) == (JobState.QUEUED, None, 0)
    leases.finish(store, claimed(store), JobState.SUCCEEDED)
    with pytest.raises(ConflictError, match="is succeeded"):
        leases.retry(store, "j")
    with pytest.raises(JobNotFoundError):
        leases.retry(store, "absent")


def test_a_released_job_keeps_its_error_and_is_claimed_at_once(store: Store) -> None:
    store.submit_job(make_job("j"))
    leases.release(store, claimed(store))
    job = store.get_job("j")
    assert (job.state, job.owner, job.attempt) == (JobState.QUEUED, None, 0)
    mine = claimed(store, "o2")
    assert (mine.job.owner, mine.job.attempt) == (mine.owner, 1)
    leases.release(store, mine, "OSError: flaky disk")
    assert store.get_job("j").error == "OSError: flaky disk"
    assert claimed(store).job.attempt == 2


@pytest.mark.parametrize("part", ["job", "segment"])
def test_what_waits_for_its_next_attempt_is_claimed_by_nobody_until_then(
    store: Store, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    store.submit_job(make_job("j"))
    mine = claimed(store, lease_s=60)
    if part == "segment":
        leases.plan(store, mine, [JobSegment(0, 0.0, None)])
        segment = leases.claim_segment(store, "j", "helper", 60)
        assert segment is not None
        mine = segment
    leases.release(store, mine, "OSError: flaky disk", pause_s=50)
    assert claim(store) is None
    assert leases.claim_segment(store, "j", "helper", 60) is None
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 51)
    again = claimed(store)
    work = again.job if part == "job" else again.job.segments[0]
    assert (work.attempt, work.error) == (2, "OSError: flaky disk")
    leases.release(store, again, "OSError: flaky disk", pause_s=50)
    # Of a clock that was wrong.
    monkeypatch.setattr(time, "time", lambda: now - 3600)
    assert claim(store) is not None


def test_a_job_that_waits_for_its_next_attempt_is_cancelled_at_once(store: Store) -> None:
    store.submit_job(make_job("j"))
    leases.release(store, claimed(store), "OSError: flaky disk", pause_s=50)
    assert leases.cancel(store, "j").state is JobState.CANCELLED


def test_a_queued_job_is_cancelled_at_once(store: Store) -> None:
    store.submit_job(make_job("j"))
    job = leases.cancel(store, "j")
    assert job.state is JobState.CANCELLED
    assert store.get_job("j") == job
    assert claim(store) is None
    assert leases.cancel(store, "j") == job
    assert leases.retry(store, "j").state is JobState.QUEUED
    assert not leases.cancel(store, "j").owner
    with pytest.raises(JobNotFoundError):
        leases.cancel(store, "absent")


def test_the_owner_of_a_running_job_is_asked_to_stop(store: Store) -> None:
    store.submit_job(make_job("j"))
    mine = claimed(store)
    job = leases.cancel(store, "j")
    assert (job.state, job.cancel_requested, job.owner) == (JobState.RUNNING, True, mine.owner)
    assert not leases.renew(store, mine, 60, 0.5)
    assert leases.finish(store, mine, JobState.CANCELLED)
    assert store.get_job("j").state is JobState.CANCELLED


def test_a_final_job_is_not_cancelled(store: Store) -> None:
    store.submit_job(make_job("j"))
    leases.finish(store, claimed(store), JobState.SUCCEEDED)
    job = store.get_job("j")
    assert leases.cancel(store, "j") == job
    assert not job.cancel_requested


@pytest.mark.parametrize("end", ["lease expires", "released"])
def test_a_cancelled_job_that_lost_its_owner_is_not_done_again(store: Store, end: str) -> None:
    store.submit_job(make_job("j"))
    mine = claimed(store, lease_s=60 if end == "released" else 0)
    leases.cancel(store, "j")
    if end == "released":
        leases.release(store, mine)
    assert claim(store, "o2") is None
    assert store.get_job("j").state is JobState.CANCELLED
    assert store.get_job("j").attempt == 1


def test_a_lease_on_a_deleted_job_is_void(store: Store) -> None:
    gone = Lease("o/1", make_job("absent"))
    assert not leases.renew(store, gone, 60, 0.0)
    assert not leases.finish(store, gone, JobState.SUCCEEDED)
    leases.release(store, gone)
    assert store.list_jobs() == []


# Webhooks


def test_a_webhook_is_retried_until_it_is_delivered(store: Store) -> None:
    store.submit_job(replace(make_job("j"), webhook=Webhook("http://a/b")))
    job = claimed(store)
    assert not job.webhook
    leases.finish(store, job, JobState.SUCCEEDED)
    first = claimed(store, lease_s=60)
    assert first.webhook
    assert claim(store) is None
    leases.finish_delivery(store, first, "it answered 500", retry_at=0.0)
    second = claimed(store, "o2")
    assert second.job.webhook is not None
    assert (second.webhook, second.job.webhook.attempt, second.job.webhook.error) == (True, 2, "it answered 500")
    leases.finish_delivery(store, first, "late", retry_at=None)
    leases.finish_delivery(store, second)
    hook = store.get_job("j").webhook
    assert hook is not None
    assert (hook.due_at, hook.error, hook.attempt) == (None, None, 2)
    assert hook.delivered_at is not None
    assert claim(store) is None
    assert store.get_job("j").owner is None


def test_a_delivery_is_leased_for_as_long_as_it_may_take(store: Store) -> None:
    store.submit_job(replace(make_job("j"), webhook=Webhook("http://a/b")))
    leases.cancel(store, "j")
    mine = leases.claim(store, ["video"], "o1", 0.0, delivery_s=60.0)
    assert mine is not None
    assert mine.webhook
    assert leases.claim(store, ["video"], "o2", 0.0, delivery_s=60.0) is None


def test_a_delivery_is_given_up_after_the_last_attempt(store: Store) -> None:
    store.submit_job(replace(make_job("j"), webhook=Webhook("http://a/b")))
    leases.cancel(store, "j")
    taken = [leases.claim(store, ["video"], "o", 0.0, max_deliveries=3) for _ in range(5)]
    assert [mine is not None for mine in taken] == [True, True, True, False, False]
    hook = store.get_job("j").webhook
    assert hook is not None
    assert (hook.due_at, hook.attempt, hook.delivered_at) == (None, 3, None)
    assert "ended with its process" in (hook.error or "")


def test_a_cancelled_job_is_delivered_too(store: Store) -> None:
    store.submit_job(replace(make_job("j"), webhook=Webhook("http://a/b")))
    leases.cancel(store, "j")
    assert claimed(store).webhook

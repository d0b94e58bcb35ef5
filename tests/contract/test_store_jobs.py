"""What every store promises of jobs."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from serving.store import Store
from serving.store.rows import (
    JobState,
)
from tests.contract.store_cases import claim_all, make_job


def test_jobs_come_back_as_they_were_oldest_first(store: Store) -> None:
    store.create_project("q")
    jobs = [make_job("j3", 1.0), make_job("j1", 2.0, project="q"), make_job("j2", 3.0, kind="training")]
    for job in reversed(jobs):
        store.submit_job(job)
    store.submit_job(replace(jobs[0], spec={}))
    assert store.list_jobs() == jobs
    assert store.list_jobs("q") == [jobs[1]]
    assert store.get_job("j3") == jobs[0]
    store.cancel_job("j2")
    store.claim_job("video", "o", 60)
    assert [job.job_id for job in store.list_jobs(states=[JobState.QUEUED])] == ["j1"]
    assert [job.job_id for job in store.list_jobs(states=[JobState.RUNNING, JobState.CANCELLED])] == ["j3", "j2"]
    assert [job.job_id for job in store.list_jobs("p", [JobState.RUNNING])] == ["j3"]


def test_a_job_is_submitted_as_queued(store: Store) -> None:
    with pytest.raises(ValueError, match="running"):
        store.submit_job(replace(make_job("j"), state=JobState.RUNNING))
    assert store.list_jobs() == []


def test_the_oldest_job_of_the_kind_is_claimed_first(store: Store) -> None:
    for job_id, created_at, kind in (("a", 3.0, "video"), ("b", 2.0, "video"), ("c", 1.0, "training")):
        store.submit_job(make_job(job_id, created_at, kind))
    before = time.time()
    job = store.claim_job("video", "o1", 60)
    assert job is not None
    assert job == store.get_job("b")
    assert (job.job_id, job.state, job.owner, job.attempt) == ("b", JobState.RUNNING, "o1", 1)
    assert before + 60 <= job.lease_until <= time.time() + 60
    assert before <= job.updated_at <= time.time()
    following = store.claim_job("video", "o1", 60)
    assert following is not None
    assert following.job_id == "a"
    assert store.claim_job("video", "o1", 60) is None


def test_a_job_whose_lease_expired_is_taken_over(store: Store) -> None:
    store.submit_job(make_job("j"))
    assert store.claim_job("video", "o1", 0.2) is not None
    assert store.renew_job("j", "o1", 0.2, progress=0.5, segments=[{"index": 0, "state": "succeeded"}])
    assert store.claim_job("video", "o2", 60) is None
    time.sleep(0.25)
    job = store.claim_job("video", "o2", 60)
    assert job is not None
    assert (job.owner, job.attempt, job.progress) == ("o2", 2, 0.5)
    assert job.segments == ({"index": 0, "state": "succeeded"},)

    assert not store.renew_job("j", "o1", 60, progress=0.9, segments=[])
    assert not store.finish_job("j", "o1", JobState.FAILED, error="late", video_id="v")
    store.release_job("j", "o1")
    assert store.get_job("j") == job


def test_jobs_to_take_over_and_new_ones_share_one_queue(store: Store) -> None:
    for job_id, created_at in (("a", 2.0), ("b", 1.0)):
        store.submit_job(make_job(job_id, created_at))
    assert [store.claim_job("video", "o1", 0).job_id for _ in range(2)] == ["b", "b"]
    store.submit_job(make_job("c", 0.5))
    store.submit_job(make_job("d", 3.0))
    assert claim_all(store, "o2") == ["c", "b", "a", "d"]


def test_an_owner_who_was_late_but_not_replaced_goes_on(store: Store) -> None:
    store.submit_job(make_job("j"))
    store.claim_job("video", "o1", 0)
    assert store.renew_job("j", "o1", 60, progress=0.25, segments=[])
    assert store.claim_job("video", "o2", 60) is None
    job = store.get_job("j")
    assert job.progress == 0.25
    assert job.lease_until > time.time() + 50


def test_a_job_is_finished_by_its_owner_once(store: Store) -> None:
    store.submit_job(make_job("j"))
    assert not store.finish_job("j", "o1", JobState.SUCCEEDED)
    store.claim_job("video", "o1", 60)
    with pytest.raises(ValueError, match="running"):
        store.finish_job("j", "o1", JobState.RUNNING)
    assert store.finish_job("j", "o1", JobState.SUCCEEDED, video_id="v")
    job = store.get_job("j")
    assert (job.state, job.video_id, job.error, job.progress) == (JobState.SUCCEEDED, "v", None, 1.0)
    assert (job.owner, job.lease_until) == (None, 0.0)
    assert not store.finish_job("j", "o1", JobState.FAILED, error="twice")
    assert not store.renew_job("j", "o1", 60, progress=0.0, segments=[])
    store.release_job("j", "o1")
    assert store.get_job("j") == job
    assert store.claim_job("video", "o2", 60) is None


def test_a_failed_job_keeps_its_progress_and_video(store: Store) -> None:
    store.submit_job(replace(make_job("j"), video_id="v"))
    store.claim_job("video", "o1", 60)
    store.renew_job("j", "o1", 60, progress=0.5, segments=[])
    assert store.finish_job("j", "o1", JobState.FAILED, error="no picture can be read")
    job = store.get_job("j")
    assert (job.state, job.error, job.progress, job.video_id) == (JobState.FAILED, "no picture can be read", 0.5, "v")


def test_a_released_job_is_claimed_at_once(store: Store) -> None:
    store.submit_job(make_job("j"))
    store.claim_job("video", "o1", 60)
    store.release_job("j", "o1")
    assert store.get_job("j").state is JobState.QUEUED
    assert store.get_job("j").owner is None
    job = store.claim_job("video", "o2", 60)
    assert job is not None
    assert (job.owner, job.attempt) == ("o2", 2)


def test_a_queued_job_is_cancelled_at_once(store: Store) -> None:
    store.submit_job(make_job("j"))
    job = store.cancel_job("j")
    assert job.state is JobState.CANCELLED
    assert store.get_job("j") == job
    assert store.claim_job("video", "o", 60) is None
    assert store.cancel_job("j") == job


def test_the_owner_of_a_running_job_is_asked_to_stop(store: Store) -> None:
    store.submit_job(make_job("j"))
    store.claim_job("video", "o1", 60)
    job = store.cancel_job("j")
    assert (job.state, job.cancel_requested, job.owner) == (JobState.RUNNING, True, "o1")
    assert not store.renew_job("j", "o1", 60, progress=0.5, segments=[])
    assert store.finish_job("j", "o1", JobState.CANCELLED)
    assert store.get_job("j").state is JobState.CANCELLED


def test_a_final_job_is_not_cancelled(store: Store) -> None:
    store.submit_job(make_job("j"))
    store.claim_job("video", "o1", 60)
    store.finish_job("j", "o1", JobState.SUCCEEDED)
    job = store.get_job("j")
    assert store.cancel_job("j") == job
    assert not job.cancel_requested


@pytest.mark.parametrize("end", ["lease expires", "released"])
def test_a_cancelled_job_that_lost_its_owner_is_not_done_again(store: Store, end: str) -> None:
    store.submit_job(make_job("j"))
    store.claim_job("video", "o1", 60 if end == "released" else 0)
    store.cancel_job("j")
    if end == "released":
        store.release_job("j", "o1")
    assert store.claim_job("video", "o2", 60) is None
    assert store.get_job("j").state is JobState.CANCELLED
    assert store.get_job("j").attempt == 1


HALF_DONE = [
    {"index": 0, "state": "succeeded", "progress": 1.0},
    {"index": 1, "state": "running", "start_s": 2.5, "end_s": None},
    {"index": 2, "state": "queued"},
]


def states_of_segments(store: Store, job_id: str) -> list[str]:
    segments = store.get_job(job_id).segments
    assert [{**segment, "state": ""} for segment in segments] == [{**segment, "state": ""} for segment in HALF_DONE]
    return [segment["state"] for segment in segments]


def test_segments_that_have_not_ended_end_with_their_job(store: Store) -> None:
    def begin(job_id: str, lease_s: float = 60) -> None:
        store.submit_job(make_job(job_id))
        store.claim_job("video", "o", lease_s)
        assert store.renew_job(job_id, "o", lease_s, progress=0.5, segments=HALF_DONE)

    store.submit_job(replace(make_job("waits"), segments=tuple(HALF_DONE)))
    assert [segment["state"] for segment in store.cancel_job("waits").segments] == ["succeeded", *["cancelled"] * 2]

    begin("failed")
    store.finish_job("failed", "o", JobState.FAILED, error="no picture can be read")
    assert states_of_segments(store, "failed") == ["succeeded", "failed", "failed"]

    begin("stopped")
    store.cancel_job("stopped")
    assert states_of_segments(store, "stopped") == ["succeeded", "running", "queued"]
    store.release_job("stopped", "o")
    assert states_of_segments(store, "stopped") == ["succeeded", "cancelled", "cancelled"]

    begin("abandoned", 0)
    store.cancel_job("abandoned")
    assert store.claim_job("video", "o2", 60) is None
    assert states_of_segments(store, "abandoned") == ["succeeded", "cancelled", "cancelled"]

    begin("released")
    store.release_job("released", "o")
    assert states_of_segments(store, "released") == ["succeeded", "queued", "queued"]


def test_jobs_that_are_gone_are_nobodys(store: Store) -> None:
    assert not store.renew_job("absent", "o", 60, progress=0.0, segments=[])
    assert not store.finish_job("absent", "o", JobState.SUCCEEDED)
    store.release_job("absent", "o")
    assert store.list_jobs() == []

"""What every store promises of the parts of a job, which several runners do."""

from __future__ import annotations

import pytest

from serving.store import leases
from serving.store.contract import Store
from serving.store.job_rows import JobSegment, JobState
from tests.contract.store_cases import claim, claimed, clock_ahead, divide


def states(store: Store) -> list[str]:
    return [segment.state.value for segment in store.get_job("j").segments]


def test_helpers_claim_segments_while_the_leader_works(store: Store) -> None:
    leader = divide(store)
    mine = leases.claim_segment(store, "j", "leader", 60)
    helper = claimed(store, "helper")
    assert mine is not None
    assert (mine.segment, helper.segment, helper.job.segments[1].attempt) == (0, 1, 1)
    assert leases.renew(store, helper, 60, 0.5)
    assert store.get_job("j").progress == pytest.approx(0.5 / 3)
    assert leases.renew(store, leader, 60, 0.9)
    assert store.get_job("j").progress == pytest.approx(0.5 / 3)
    assert leases.finish_segment(store, mine, JobState.SUCCEEDED)
    assert not leases.finish_segment(store, mine, JobState.SUCCEEDED)
    assert states(store) == ["succeeded", "running", "queued"]
    assert store.get_job("j").progress == pytest.approx(1.5 / 3)
    assert claimed(store).segment == 2
    assert claim(store) is None
    assert leases.claim_segment(store, "j", "leader", 60) is None


def test_a_segment_of_a_dead_helper_is_taken_over(store: Store) -> None:
    divide(store, 1)
    late = claimed(store, lease_s=0)
    mine = claimed(store, "o2")
    assert (mine.segment, mine.job.segments[0].attempt) == (0, 2)
    assert not leases.renew(store, late, 60, 0.9)
    assert not leases.finish_segment(store, late, JobState.FAILED, "late")
    leases.release(store, late)
    assert states(store) == ["running"]
    leases.release(store, mine, "OSError: flaky disk")
    assert (states(store), store.get_job("j").segments[0].error) == (["queued"], "OSError: flaky disk")


def test_a_new_leader_keeps_finished_segments(store: Store) -> None:
    late = divide(store, 2)
    helper = leases.claim_segment(store, "j", "helper", 60)
    assert helper is not None
    with clock_ahead(61):
        leader = claimed(store, "o2")
    assert (leader.segment, leader.job.attempt) == (None, 2)
    assert not leases.plan(store, late, [])
    assert leases.renew(store, helper, 60, 0.1)
    assert leases.finish_segment(store, helper, JobState.SUCCEEDED)
    assert states(store) == ["succeeded", "queued"]
    assert store.get_job("j").attempt == 1


def test_open_segments_end_with_their_job(store: Store) -> None:
    leader = divide(store)
    done, busy = claimed(store), claimed(store)
    leases.finish_segment(store, done, JobState.SUCCEEDED)
    leases.finish(store, leader, JobState.FAILED, error="no picture can be read")
    assert states(store) == ["succeeded", "failed", "failed"]
    assert not leases.renew(store, busy, 60, 0.5)
    leases.retry(store, "j")
    assert states(store) == ["succeeded", "queued", "queued"]
    assert leases.cancel(store, "j").state is JobState.CANCELLED
    assert states(store) == ["succeeded", "cancelled", "cancelled"]


def test_a_retried_job_without_a_finished_segment_has_no_plan(store: Store) -> None:
    leader = divide(store)
    leases.finish(store, leader, JobState.FAILED, error="no picture can be read")
    assert leases.retry(store, "j").segments == ()
    assert claimed(store).segment is None
    assert claim(store) is None


def test_reopened_segments_are_done_again(store: Store) -> None:
    leader = divide(store)
    for _ in range(2):
        leases.finish_segment(store, claimed(store), JobState.SUCCEEDED)
    busy = claimed(store)
    assert leases.reopen(store, leader, [0, 2])
    assert states(store) == ["queued", "succeeded", "running"]
    job = store.get_job("j")
    assert (job.segments[0], job.progress) == (JobSegment(0, 0.0, 60.0, 0, 9), pytest.approx(1 / 3))
    assert leases.finish_segment(store, busy, JobState.SUCCEEDED)
    leases.cancel(store, "j")
    assert not leases.reopen(store, leader, [1])
    leases.release(store, leader)
    assert not leases.reopen(store, leader, [1])


def test_helpers_of_a_cancelled_job_stop(store: Store) -> None:
    leader = divide(store)
    helper = claimed(store)
    leases.cancel(store, "j")
    assert not leases.renew(store, helper, 60, 0.5)
    assert claim(store) is None
    leases.release(store, helper)
    leases.release(store, leader)
    assert states(store) == ["cancelled"] * 3

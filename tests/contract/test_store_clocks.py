"""What clocks that were wrong leave behind in a store: claims that nobody holds, and moments that mean nothing."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from serving.store import leases
from serving.store.contract import Store
from serving.store.job_rows import LONGEST_LEASE_S, JobState, Webhook
from tests.contract.store_cases import YEAR_S, claim, claimed, clock_ahead, divide, make_job


@pytest.mark.parametrize("ahead_s", [LONGEST_LEASE_S + 60, YEAR_S])
def test_a_lease_that_was_taken_while_the_clock_was_ahead_is_void(store: Store, ahead_s: float) -> None:
    store.submit_job(make_job("j"))
    with clock_ahead(ahead_s):
        late = claimed(store)
        assert leases.renew(store, late, 60, 0.5)
    assert store.find_due_jobs(["video"], time.time(), 10) == ["j"]
    mine = claimed(store, "o2")
    assert (mine.job.job_id, mine.job.attempt) == ("j", 2)
    assert claim(store, "o3") is None
    assert not leases.renew(store, late, 60, 0.9)
    assert not leases.finish(store, late, JobState.FAILED)


def test_an_owner_keeps_its_job_after_the_clock_was_set_back(store: Store) -> None:
    store.submit_job(make_job("j"))
    with clock_ahead():
        mine = claimed(store)
    assert leases.renew(store, mine, 60, 0.5)
    assert claim(store, "o2") is None
    assert leases.finish(store, mine, JobState.SUCCEEDED)


def test_a_segment_that_was_taken_while_the_clock_was_ahead_is_done_by_the_next(store: Store) -> None:
    leader = divide(store, 1)
    with clock_ahead():
        late = leases.claim_segment(store, "j", "helper", 60)
    assert late is not None
    mine = leases.claim_segment(store, "j", "leader", 60)
    assert mine is not None
    assert leases.claim_segment(store, "j", "other", 60) is None
    assert not leases.finish_segment(store, late, JobState.SUCCEEDED)
    assert leases.finish_segment(store, mine, JobState.SUCCEEDED)
    assert leases.finish(store, leader, JobState.SUCCEEDED)


@pytest.mark.parametrize("is_claimed", [False, True])
def test_a_webhook_delayed_by_a_wrong_clock_is_delivered_now(store: Store, is_claimed: bool) -> None:
    store.submit_job(replace(make_job("j"), webhook=Webhook("http://a/b")))
    with clock_ahead():
        leases.cancel(store, "j")
        if is_claimed:
            claimed(store)
    assert store.find_due_jobs(["video"], time.time(), 10) == ["j"]
    assert claimed(store, "o2").webhook
    assert claim(store, "o3") is None


def test_a_webhook_waits_until_it_is_due(store: Store) -> None:
    store.submit_job(replace(make_job("j"), webhook=Webhook("http://a/b")))
    leases.cancel(store, "j")
    leases.finish_delivery(store, claimed(store), "no answer", retry_at=time.time() + 3600)
    assert store.find_due_jobs(["video"], time.time(), 10) == []
    assert claim(store) is None


def test_a_lease_longer_than_the_longest_is_refused(store: Store) -> None:
    store.submit_job(make_job("j"))
    mine = claimed(store)
    with pytest.raises(ValueError, match="LONGEST_LEASE_S"):
        leases.renew(store, mine, LONGEST_LEASE_S + 1, 0.5)
    with pytest.raises(ValueError, match="LONGEST_LEASE_S"):
        leases.claim_segment(store, "j", "o", LONGEST_LEASE_S + 1)

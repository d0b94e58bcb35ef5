"""What every store promises when many use it at once, and when one of them is killed."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier

from facerec_models.errors import GalleryMismatchError
from serving.store import leases
from serving.store.contract import Store
from tests.contract.store_cases import (
    Opener,
    assert_same_track,
    claim_all,
    make_analysis,
    make_job,
    make_track,
    make_video,
)
from tests.waiting import WAIT_S

SPAWN = multiprocessing.get_context("spawn")
KINDS = [f"kind-{number}" for number in range(20)]


def claim_all_in_process(opener: Opener, owner: str, barrier: Barrier, results: Connection) -> None:
    with closing(opener()) as store:
        barrier.wait(WAIT_S)
        results.send(claim_all(store, owner, KINDS))


def submit_many(store: Store, count: int, kinds: Sequence[str] = ("video",)) -> None:
    """Submit jobs of each kind, those of the first kind first."""
    for number in range(count):
        store.submit_job(make_job(f"j{number:03}", float(number), kinds[number * len(kinds) // count]))


def assert_claimed_once(store: Store, claimed: dict[str, list[str]], count: int) -> None:
    assert sorted(job_id for job_ids in claimed.values() for job_id in job_ids) == [f"j{i:03}" for i in range(count)]
    owners = {job_id: owner for owner, job_ids in claimed.items() for job_id in job_ids}
    for job in store.list_jobs():
        assert (job.owner or "").startswith(f"{owners[job.job_id]}/")
        assert job.attempt == 1
    for job_ids in claimed.values():
        assert job_ids == sorted(job_ids)


def test_threads_claim_every_job_once(store: Store) -> None:
    submit_many(store, 100)
    owners = [f"o{number}" for number in range(8)]
    with ThreadPoolExecutor(len(owners)) as pool:
        claimed = dict(zip(owners, pool.map(partial(claim_all, store), owners), strict=True))
    assert_claimed_once(store, claimed, 100)


def test_processes_claim_every_job_once(opener: Opener, store: Store) -> None:
    submit_many(store, 300, KINDS)
    barrier = SPAWN.Barrier(3)
    processes, pipes = [], {}
    for owner in ("o1", "o2", "o3"):
        pipes[owner], results = SPAWN.Pipe(duplex=False)
        processes.append(SPAWN.Process(target=claim_all_in_process, args=(opener, owner, barrier, results)))
        processes[-1].start()
        results.close()
    claimed = {owner: pipe.recv() for owner, pipe in pipes.items()}
    for process in processes:
        process.join()
        process.close()
    assert_claimed_once(store, claimed, 300)


def test_threads_read_while_others_write(store: Store) -> None:
    store.put_video(make_video("v"))

    def write(number: int) -> None:
        store.put_analysis(make_analysis("a"), [make_track(i, seed=number) for i in range(1, 21)])

    def read(_number: int) -> None:
        found = store.get_tracks("p", ["a"])["a"]
        state = states.index(found[0].quality.tobytes())
        for track, number in zip(found, range(1, 21), strict=True):
            assert_same_track(track, make_track(number, seed=state))

    states = [make_track(1, seed=number).quality.tobytes() for number in range(20)]
    write(0)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(read if number % 3 else write, number // 3) for number in range(60)]
        for call in calls:
            call.result()


def test_threads_fix_one_embedder(store: Store) -> None:
    def fix(embedder: str) -> bool:
        try:
            return store.fix_embedder("p", embedder).embedder == embedder
        except GalleryMismatchError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(fix, [f"e{number}" for number in range(8)])) == 1


def write_until_killed(opener: Opener, done: Connection) -> None:
    store = opener()
    number = 0
    while True:
        store.submit_job(make_job(f"j{number}"))
        done.send(("job", f"j{number}"))
        store.put_analysis(make_analysis(f"a{number}"), [make_track(i) for i in range(1, 21)])
        done.send(("analysis", f"a{number}"))
        number += 1


def test_a_killed_process_loses_nothing_that_was_written(opener: Opener, store: Store) -> None:
    store.put_video(make_video("v"))
    reports, done = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=write_until_killed, args=(opener, done))
    process.start()
    done.close()
    durable = [reports.recv() for _ in range(60)]
    process.kill()
    process.join()
    assert process.exitcode == -9
    process.close()
    try:
        while True:
            durable.append(reports.recv())
    except EOFError:
        pass

    with closing(opener()) as after:
        jobs = {job.job_id for job in after.list_jobs()}
        analyses = {row.analysis_id for row in after.list_analyses("p")}
        assert {name for kind, name in durable if kind == "job"} <= jobs
        assert {name for kind, name in durable if kind == "analysis"} <= analyses
        assert len(jobs | analyses) - len(durable) <= 1
        for found in after.get_tracks("p", sorted(analyses)).values():
            assert [track.track_id for track in found] == list(range(1, 21))
        assert math.isclose(after.get_analysis("p", "a0").created_at, 1.0)
        assert leases.claim(after, ["video"], "o", 60) is not None

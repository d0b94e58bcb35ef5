"""The routes over a store whose jobs nobody works on, with no network behind them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response

from facerec_models.analysis.networks import Networks
from serving.api.app import build_api
from serving.api.service import Service
from serving.archive.handle import Archive
from serving.archive.naming.whole_archive import NamingWork
from serving.jobs.name_again import KIND, name_again_as_job
from serving.jobs.rendition import RENDITION, make_rendition
from serving.jobs.runner import JobControl, JobRunner, Work
from serving.settings import Settings
from serving.store import leases
from serving.store.job_rows import Job


@contextmanager
def bare_routes(archive: Archive, networks: Networks | None = None, **settings: Any) -> Iterator[TestClient]:
    """Answer requests in this process until the block ends."""
    api = bare_api(archive, networks, **settings)
    with local_client(api) as client:
        yield client


def local_client(api: FastAPI, peer: str = "127.0.0.1") -> TestClient:
    """Return a client of an application; it asks from this machine."""
    return TestClient(api, base_url="http://127.0.0.1", client=(peer, 50000), raise_server_exceptions=False)


def bare_api(archive: Archive, networks: Networks | None = None, **settings: Any) -> FastAPI:
    """Return the application that answers them."""
    absent: Any = SimpleNamespace()
    waker: Any = SimpleNamespace(wake=SimpleNamespace(remote=lambda: None))
    service = Service(Settings(home=archive.files.root, **settings), archive, absent, absent, absent, waker)
    if networks is not None:
        vars(service)["networks"] = networks
    return build_api(service)


@contextmanager
def making_renditions(archive: Archive) -> Iterator[None]:
    """Work on jobs that make renditions until the block ends."""
    settings = Settings(home=archive.files.root)
    work: dict[str, Work] = {RENDITION: partial(make_rendition, archive, settings)}
    runner = JobRunner(archive.store, work, slots=1, poll_s=0.05)
    runner.start()
    try:
        yield
    finally:
        runner.stop()


def identified(client: TestClient, archive: Archive, project: str = "p", **query: Any) -> Any:
    """Return what naming the archive again has changed, once its job is done as a service does it."""
    answer = client.post(f"/v1/projects/{project}/identify", params=query)
    assert answer.status_code == 202, answer.text
    work_on(archive, answer.json()["job_id"])
    return ok(client.get(f"/v1/jobs/{answer.json()['job_id']}/result"))


def work_on(archive: Archive, job_id: str) -> None:
    """Do a job that names the archive again, the next one that is queued."""

    def work(job: Job, control: JobControl) -> None:
        name_again_as_job(archive, job, NamingWork(control))

    runner = JobRunner(archive.store, {KIND: work})
    claimed = leases.claim(archive.store, [KIND], runner.name, runner.lease_s)
    assert claimed is not None
    assert claimed.job.job_id == job_id
    runner.do(claimed)


def ok(answer: Response) -> Any:
    """Return the document of a good answer."""
    assert answer.status_code in (200, 201, 202), answer.text
    return answer.json()


def problem(answer: Response, status: int) -> str:
    """Return the detail of a problem document of this status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return str(document["detail"])

"""Whether the service lives, whether it is ready, and what it has counted: for whoever keeps it running, and for Prometheus."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import version
from typing import Annotated, Generic, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import Metric
from pydantic import BaseModel, Field
from ray.serve.exceptions import BackPressureError

from facerec_models.errors import FacerecError
from serving.api.ingress.access import needs
from serving.api.ingress.documents import problem
from serving.api.schemas import Alive, Health
from serving.api.service import Service, ServiceDep
from serving.archive.room import why_jobs_wait
from serving.store.access_rows import Role
from serving.store.job_rows import Job, JobState
from serving.telemetry.metrics import KINDS, kind_of
from serving.telemetry.publishing import exposition

router = APIRouter(tags=["service"])

Found = TypeVar("Found")

_VERSION = version("facerec")
# Less than whoever asks is patient for: a kubelet waits for one second unless told otherwise.
_PATIENCE_S = 0.8
# Networks whose queues are full answer late; those that load again after a crash answer within this.
_NETWORKS_SILENT_S = 30.0
_FRESH_S = 10.0
_RETRY_AFTER_S = "5"
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_JOBS_WAITING = "facerec_jobs_waiting"
_OLDEST = "facerec_jobs_oldest_waiting_seconds"


class WaitingJobs(BaseModel):
    """Jobs of one kind that wait."""

    kind: str
    count: int
    oldest_s: float = Field(description="For how long the one has waited that waits longest.")


class ServiceView(BaseModel):
    """How the service is, for whoever keeps it running."""

    ready: bool
    missing: list[str] = Field(description="Why it is not ready.")
    version: str
    embedder: str | None
    running_jobs: int | None
    waiting: list[WaitingJobs] | None = Field(description="null: the store does not answer.")
    disk_free_bytes: int
    disk_size_bytes: int
    full: str | None = Field(description="Why no job begins, where the disk is full.")


class Asked(Generic[Found]):
    """A question whose answer may never come: one thread asks, however many wait for it, and none for longer than they wish."""

    def __init__(self, ask: Callable[[], Found]) -> None:
        self._ask = ask
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._asking: Future[Found] | None = None
        self._last: tuple[float, Found] | None = None

    async def answer(self, timeout_s: float) -> Found:
        """Ask, or wait for who asks already.

        Raises
        ------
        TimeoutError
            If there is no answer in time, and was none lately: on cores that others use, each may be a little late.
        """
        if self._asking is None or self._asking.done():
            self._asking = self._threads.submit(self._ask_and_keep)
        asked = asyncio.wrap_future(self._asking)
        # What fails after nobody waits any more was asked in vain: the next one asks again.
        asked.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            return await asyncio.wait_for(asyncio.shield(asked), timeout_s)
        except TimeoutError:
            if self._last is None or time.monotonic() - self._last[0] > _FRESH_S:
                raise
            return self._last[1]

    def _ask_and_keep(self) -> Found:
        found = self._ask()
        self._last = time.monotonic(), found
        return found


class Readiness:
    """What must answer before the service can do its work: the networks and the store."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._store = Asked(self._count_jobs)
        self._embedder = Asked(lambda: service.networks.embedder.name)
        self._waiting = Asked(lambda: service.archive.store.list_jobs(None, [JobState.QUEUED]))
        self._heard_at: float | None = None

    async def check(self) -> tuple[Health | None, list[str]]:
        """Return what the service runs on, and what is missing: None if anything is."""
        jobs, networks = await asyncio.gather(self._ask_store(), self._ask_networks())
        missing = [found for found in (jobs, networks) if isinstance(found, str)]
        if missing or isinstance(jobs, str) or networks is None:
            return None, missing
        queued, running = jobs
        embedder = self._service.networks.embedder.name
        health = Health(status="ok", version=_VERSION, embedder=embedder, queued_jobs=queued, running_jobs=running)
        return health, []

    async def waiting_jobs(self) -> Sequence[Job] | None:
        """Return the jobs that wait; None if the store does not answer."""
        try:
            return await self._waiting.answer(_PATIENCE_S)
        except (TimeoutError, FacerecError):
            return None

    def _count_jobs(self) -> tuple[int, int]:
        store = self._service.archive.store
        return store.count_jobs([JobState.QUEUED]), store.count_jobs([JobState.RUNNING])

    async def _ask_store(self) -> tuple[int, int] | str:
        try:
            return await self._store.answer(_PATIENCE_S)
        except TimeoutError:
            return f"the store has not answered within {_PATIENCE_S:g} s"
        except FacerecError as error:
            return f"the store does not answer ({type(error).__name__})"

    async def _ask_networks(self) -> str | bool:
        try:
            await self._embedder.answer(_PATIENCE_S)
        except Exception as error:  # whatever a replica raises that could not load its network
            reason = "" if isinstance(error, TimeoutError) else f" ({type(error).__name__})"
            return f"the networks are not loaded yet{reason}"
        self._heard_at = self._heard_at or time.monotonic()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._service.detector.engine.remote()
                await self._service.embedder.facts.remote()
        except BackPressureError:
            pass  # that is an answer: there is much to do
        except Exception as error:  # a replica that has died, in any of Ray's ways, or one that is silent
            silent_s = time.monotonic() - self._heard_at
            if silent_s > _NETWORKS_SILENT_S:
                return f"the networks have not answered for {silent_s:.0f} s ({type(error).__name__})"
            return True
        self._heard_at = time.monotonic()
        return True


def _readiness(request: Request) -> Readiness:
    readiness: Readiness = request.app.state.readiness
    return readiness


ReadinessDep = Annotated[Readiness, Depends(_readiness)]


@router.get("/healthz")
async def healthz() -> Alive:
    """Say that the service lives; asks nobody else."""
    return Alive(status="ok", version=_VERSION)


@router.get("/readyz", response_model=Health)
async def readyz(readiness: ReadinessDep) -> Response:
    """Say what the service runs on, once networks and store answer; otherwise 503, and what is missing."""
    health, missing = await readiness.check()
    if health is None:
        return problem(503, "NotReady", "; ".join(missing), {"Retry-After": _RETRY_AFTER_S})
    return Response(health.model_dump_json(), media_type="application/json")


@router.get("/v1/service", openapi_extra=needs(Role.READ, everywhere=True))
async def describe_service(service: ServiceDep, readiness: ReadinessDep) -> ServiceView:
    """Say how the service is: what it runs on, what waits and for how long, and how much room is left."""
    (health, missing), jobs = await asyncio.gather(readiness.check(), readiness.waiting_jobs())
    usage = await asyncio.to_thread(shutil.disk_usage, service.archive.files.root)
    return ServiceView(
        ready=health is not None,
        missing=missing,
        version=_VERSION,
        embedder=None if health is None else health.embedder,
        running_jobs=None if health is None else health.running_jobs,
        waiting=None if jobs is None else _waiting(jobs, time.time()),
        disk_free_bytes=usage.free,
        disk_size_bytes=usage.total,
        full=why_jobs_wait(service.settings),
    )


@router.get("/metrics", response_class=Response, openapi_extra=needs(Role.READ, everywhere=True))
async def metrics(service: ServiceDep, readiness: ReadinessDep) -> Response:
    """Return what all processes of the service have counted, in Prometheus' text format."""
    jobs = await readiness.waiting_jobs()
    own = [*_places(service), *_queue(jobs, time.time())]
    text = await asyncio.to_thread(exposition, service.publisher, own)
    return Response(text, media_type=_CONTENT_TYPE)


def _places(service: Service) -> Iterator[Metric]:
    usage = shutil.disk_usage(service.archive.files.root)
    for name, what, value in (
        ("facerec_home_free_bytes", "Free on the disk of the home.", usage.free),
        ("facerec_home_size_bytes", "Size of the disk of the home.", usage.total),
    ):
        yield _gauge(name, what, [({}, float(value))])


def _queue(jobs: Sequence[Job] | None, now: float) -> Iterator[Metric]:
    yield _gauge("facerec_store_up", "Whether the store answers.", [({}, float(jobs is not None))])
    if jobs is None:
        return
    waiting = {one.kind: one for one in _waiting(jobs, now)}
    none = WaitingJobs(kind="", count=0, oldest_s=0.0)
    kinds = sorted({*KINDS, *waiting})
    counts = [({"kind": kind}, float(waiting.get(kind, none).count)) for kind in kinds]
    yield _gauge(_JOBS_WAITING, "Jobs that wait.", counts)
    ages = [({"kind": kind}, waiting.get(kind, none).oldest_s) for kind in kinds]
    yield _gauge(_OLDEST, "For how long the job has waited that waits longest.", ages)


def _waiting(jobs: Sequence[Job], now: float) -> list[WaitingJobs]:
    ages: dict[str, list[float]] = {}
    for job in jobs:
        ages.setdefault(kind_of(job.kind), []).append(now - job.updated_at)
    return [WaitingJobs(kind=kind, count=len(of), oldest_s=max(of)) for kind, of in sorted(ages.items())]


def _gauge(name: str, what: str, samples: Sequence[tuple[dict[str, str], float]]) -> Metric:
    family = Metric(name, what, "gauge")
    for labels, value in samples:
        family.add_sample(name, labels, value)
    return family

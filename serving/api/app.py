"""The HTTP application and the ingress deployment around it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from ray import serve
from ray.serve.handle import DeploymentHandle

from serving.api import (
    batches,
    corrections,
    embedders,
    exports,
    jobs,
    legacy,
    people,
    playback,
    projects,
    search,
    videos,
)
from serving.api.ingress.draining import DrainGuard
from serving.api.ingress.guards import HostGuard, ProjectGuard
from serving.api.ingress.problems import add_problem_handlers
from serving.api.path_ids import complete_path_ids
from serving.api.schemas import Health
from serving.api.service import Service, ServiceDep
from serving.jobs.nodes import open_shared_archive
from serving.settings import Settings
from serving.store.job_rows import JobState


def build_api(service: Service) -> FastAPI:
    """Make the application over a service."""
    app = FastAPI(
        title="FaceRec",
        version=version("facerec"),
        description="Finds who appears in a video, when, and on what evidence.",
    )
    app.state.service = service
    add_problem_handlers(app)
    for part in (projects, people, corrections, search, videos, playback, exports, batches, embedders, jobs):
        app.include_router(part.router, prefix="/v1", dependencies=[Depends(complete_path_ids)])

    if service.settings.legacy_api:
        app.include_router(legacy.router)

    app.add_middleware(ProjectGuard, store=service.archive.store)
    if origins := service.settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(origins),
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=["Content-Disposition", "Content-Range"],
        )
    app.add_middleware(DrainGuard, door=service.door)
    app.add_middleware(HostGuard, allowed_hosts=service.settings.allowed_hosts, origins=service.settings.cors_origins)

    @app.get("/healthz", tags=["service"])
    def healthz(service: ServiceDep) -> Health:
        """Say that the service answers, and what it runs on."""
        return Health(
            status="ok",
            version=app.version,
            embedder=service.networks.embedder.name,
            queued_jobs=service.archive.store.count_jobs([JobState.QUEUED]),
            running_jobs=service.archive.store.count_jobs([JobState.RUNNING]),
        )

    return app


@serve.ingress()
class ApiReplica:
    """The routes, with the handles of the graph behind them."""

    def __init__(
        self,
        settings: Settings,
        detector: DeploymentHandle[Any],
        embedder: DeploymentHandle[Any],
        classifier: DeploymentHandle[Any],
        analyzer: DeploymentHandle[Any],
    ) -> None:
        self._service = Service(settings, open_shared_archive(settings), detector, embedder, classifier, analyzer)

    async def drain(self, timeout_s: float) -> int:
        """Take no more requests, and wait for those that are under way; return how many are left when the time is over."""
        return await self._service.door.close(timeout_s)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Build the application in the replica."""
        return build_api(self._service)

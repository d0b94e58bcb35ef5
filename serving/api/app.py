"""The HTTP application and the ingress deployment around it."""

from __future__ import annotations

import os
from importlib.metadata import version
from logging import getLogger
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi_offline import FastAPIOffline
from ray import serve
from ray.serve.handle import DeploymentHandle

from serving.api import (
    access,
    batches,
    corrections,
    embedders,
    exports,
    health,
    jobs,
    people,
    playback,
    privacy,
    projects,
    search,
    videos,
)
from serving.api.ingress.access import AccessGuard
from serving.api.ingress.back_pressure import bound_replica_queue
from serving.api.ingress.body_guard import BodyGuard
from serving.api.ingress.declared import complete_openapi
from serving.api.ingress.documents import DocumentedErrors
from serving.api.ingress.draining import DrainGuard
from serving.api.ingress.guards import DOCS, DOCS_FILES, HostGuard, ProjectGuard
from serving.api.ingress.observing import RequestObserver
from serving.api.ingress.pacing import PacedAnswers
from serving.api.ingress.problems import add_problem_handlers
from serving.api.ingress.request_class import RequestClasses
from serving.api.learning import measuring
from serving.api.legacy import routes as legacy
from serving.api.path_ids import check_address, complete_path_ids
from serving.api.service import Service
from serving.deployments.reporting import begin_reporting
from serving.jobs.nodes import open_shared_archive
from serving.settings import Settings
from training.ray_environment import INGRESS_HOOK, INGRESS_VARIABLE

_log = getLogger(__name__)
_PARTS = (
    *(access, projects, privacy, people, corrections, search, videos, playback, exports, batches),
    *(embedders, measuring, jobs),
)


def build_api(service: Service) -> FastAPI:
    """Make the application over a service."""
    # The page of the interface has its scripts here: where there is no internet it shows all the same.
    app = FastAPIOffline(
        docs_url=DOCS,
        redoc_url=None,
        static_url=DOCS_FILES,
        title="FaceRec",
        version=version("facerec"),
        description="Finds who appears in a video, when, and on what evidence.",
    )
    app.state.service = service
    app.state.readiness = health.Readiness(service)
    settings = service.settings
    add_problem_handlers(app, service.redaction.redact)
    for part in _PARTS:
        app.include_router(part.router, prefix="/v1", dependencies=[Depends(check_address), Depends(complete_path_ids)])

    app.include_router(health.router)
    if service.settings.legacy_api:
        app.include_router(legacy.router, dependencies=[Depends(check_address)])

    app.add_middleware(ProjectGuard, store=service.archive.store, redact=service.redaction.redact)
    app.add_middleware(
        AccessGuard,
        api=app,
        store=service.archive.store,
        config=service.settings.access,
        redact=service.redaction.redact,
    )
    if origins := service.settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(origins),
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=["Content-Disposition", "Content-Range"],
        )
    app.add_middleware(DocumentedErrors)
    # Once more behind the bounds of what answers HTTP: who starts Ray without them has these.
    classes = RequestClasses(settings.ingress, settings.analysis.limits)
    app.add_middleware(BodyGuard, classes=classes, bounds=settings.ingress)
    app.add_middleware(DrainGuard, door=service.door)
    app.add_middleware(HostGuard, allowed_hosts=service.settings.allowed_hosts, origins=service.settings.cors_origins)
    app.add_middleware(RequestObserver)
    # The last one is the first that a request passes.
    app.add_middleware(PacedAnswers)
    complete_openapi(app)
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
        bound_replica_queue()
        if os.environ.get(INGRESS_VARIABLE) != INGRESS_HOOK:
            _log.warning(
                "%s is not %s: bodies and connections have no bound before they reach this",
                INGRESS_VARIABLE,
                INGRESS_HOOK,
            )
        publisher = begin_reporting(settings)
        archive = open_shared_archive(settings)
        self._service = Service(settings, archive, detector, embedder, classifier, analyzer, publisher)

    async def drain(self, timeout_s: float) -> int:
        """Take no more requests, and wait for those that are under way; return how many are left when the time is over."""
        return await self._service.door.close(timeout_s)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Build the application in the replica."""
        return build_api(self._service)

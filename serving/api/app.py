"""The HTTP application and the ingress deployment around it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from ray import serve
from ray.serve.handle import DeploymentHandle

from serving.api import batches, corrections, embedders, jobs, people, projects, search, videos
from serving.api.problems import add_problem_handlers, problem
from serving.api.schemas import Health
from serving.api.service import Service, ServiceDep
from serving.nodes import open_places
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
    for part in (projects, people, corrections, search, videos, batches, embedders, jobs):
        app.include_router(part.router, prefix="/v1")

    @app.middleware("http")
    async def refuse_foreign_pages(request: Request, call_next: Any) -> Any:
        """Let no web page elsewhere use the service through its visitor's browser: it has no keys."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        allowed = service.settings.allowed_hosts
        # The origin "null" is a page of unknown home: a sandboxed frame anywhere.
        if _hostname(f"//{host}") not in allowed or (origin is not None and _hostname(origin) not in allowed):
            return problem(
                403, "Forbidden", f"host {host!r}, origin {origin!r}: FACEREC_ALLOWED_HOSTS names who may ask"
            )
        return await call_next(request)

    @app.get("/healthz", tags=["service"])
    def healthz(service: ServiceDep) -> Health:
        """Say that the service answers, and what it runs on."""
        return Health(
            status="ok",
            version=app.version,
            embedder=service.networks.embedder.name,
            queued_jobs=service.store.count_jobs([JobState.QUEUED]),
            running_jobs=service.store.count_jobs([JobState.RUNNING]),
        )

    return app


def _hostname(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


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
        self._service = Service(settings, *open_places(settings), detector, embedder, classifier, analyzer)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Build the application in the replica."""
        return build_api(self._service)

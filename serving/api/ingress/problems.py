"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

import math
from collections.abc import Callable
from logging import getLogger

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from facerec_models.errors import MEDIA_ERRORS, BusyError, FacerecError, LimitExceededError, PlaceError
from facerec_models.files import place_error
from serving.api.ingress.documents import problem, title_of
from serving.telemetry.metrics import count_media_failure, count_refusal

_log = getLogger(__name__)

_RETRY_AFTER_S = 5.0
# From here on it is the service that could not, not the client who asked for what is not.
_OURS = 500

Redact = Callable[[str], str]


def add_problem_handlers(app: FastAPI, redact: Redact) -> None:
    """Let an application answer errors with problem documents; `redact` takes out of them what is not for others."""

    def told(error: FacerecError) -> JSONResponse:
        _count(error)
        if error.status >= _OURS:
            # What it is about is bound: see serving.telemetry.context. A traceback would tell no more.
            _log.warning("answered with %d: %s: %s", error.status, type(error).__name__, error)
        retry_s = error.retry_after_s if isinstance(error, BusyError) else None
        headers = {"Retry-After": str(math.ceil(retry_s))} if retry_s is not None else None
        return problem(error.status, title_of(error), redact(str(error)), headers)

    def unexpected(request: Request) -> JSONResponse:
        # What nobody has foreseen is answered outside of all that binds ids.
        asked = getattr(request.state, "request_id", None)
        which = "" if asked is None else f" (request {asked})"
        return problem(500, "Internal error", f"something went wrong{which}: the log of the service has the cause")

    @app.exception_handler(FacerecError)
    async def known(_: Request, error: FacerecError) -> JSONResponse:
        return told(error)

    @app.exception_handler(RayTaskError)
    async def from_replica(request: Request, error: RayTaskError) -> JSONResponse:
        if isinstance(error.cause, FacerecError):
            return told(error.cause)
        _log.error("a replica failed", exc_info=error)
        return unexpected(request)

    @app.exception_handler(BackPressureError)
    async def busy(_: Request, error: BackPressureError) -> JSONResponse:
        count_refusal("busy")
        headers = {"Retry-After": str(math.ceil(_RETRY_AFTER_S))}
        return problem(429, "Busy", "all queues are full: ask again in a moment", headers)

    @app.exception_handler(RayError)
    @app.exception_handler(DeploymentUnavailableError)
    async def away(_: Request, error: Exception) -> JSONResponse:
        _log.warning("a replica is away: %s", error)
        headers = {"Retry-After": str(math.ceil(_RETRY_AFTER_S))}
        return problem(503, "Unavailable", "a part of the service is being started again: ask again", headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return problem(422, "Invalid request", redact(f"{where}: {first['msg']}"))

    @app.exception_handler(OSError)
    async def of_the_system(request: Request, error: OSError) -> JSONResponse:
        found = _place_error(error)
        if found is not None:
            return told(found)
        _log.error("the system failed", exc_info=error)
        return unexpected(request)

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, error: ClientDisconnect) -> JSONResponse:
        return problem(400, "Bad request", "the connection ended before the body did")

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        # A form that cannot be kept while it is read is answered like one that is none.
        cause = error.__cause__
        if isinstance(cause, FacerecError):  # a form that is beyond its bounds
            return told(cause)
        if isinstance(cause, OSError) and (found := _place_error(cause)) is not None:
            return told(found)
        return problem(error.status_code, "Error", redact(str(error.detail)), dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        return unexpected(request)


def _count(error: FacerecError) -> None:
    if isinstance(error, BusyError):
        count_refusal("busy")
    elif isinstance(error, LimitExceededError):
        count_refusal("too_large")
    elif isinstance(error, PlaceError):
        count_refusal("full")
    if isinstance(error, MEDIA_ERRORS):
        count_media_failure(error)


def _place_error(error: OSError) -> PlaceError | None:
    # What the system does not name is a temporary file: it has no name.
    return place_error(error, error.filename or "the folder of temporary files")

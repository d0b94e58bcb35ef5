"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

import logging
import math
import tempfile

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from ray.exceptions import RayTaskError
from ray.serve.exceptions import BackPressureError
from starlette.exceptions import HTTPException

from facerec_models.errors import MEDIA_ERRORS, BusyError, FacerecError, LimitExceededError, PlaceError
from facerec_models.files import place_error
from serving.api.ingress.documents import problem, title_of
from serving.telemetry.metrics import count_media_failure, count_refusal

logger = logging.getLogger(__name__)

_RETRY_AFTER_S = 5.0
# From here on it is the service that could not, not the client who asked for what is not.
_OURS = 500


def add_problem_handlers(app: FastAPI) -> None:
    """Let an application answer errors with problem documents."""

    @app.exception_handler(FacerecError)
    async def known(_: Request, error: FacerecError) -> JSONResponse:
        _count(error)
        if error.status >= _OURS:
            # What it is about is bound: see serving.telemetry.context. A traceback would tell no more.
            logger.warning("answered with %d: %s: %s", error.status, type(error).__name__, error)
        retry_s = error.retry_after_s if isinstance(error, BusyError) else None
        headers = {"Retry-After": str(math.ceil(retry_s))} if retry_s is not None else None
        return problem(error.status, title_of(error), str(error), headers)

    @app.exception_handler(RayTaskError)
    async def from_replica(request: Request, error: RayTaskError) -> JSONResponse:
        cause = error.cause
        if isinstance(cause, FacerecError):
            return await known(request, cause)
        return problem(500, "Internal error", f"a replica failed: {type(cause).__name__}")

    @app.exception_handler(BackPressureError)
    async def busy(_: Request, error: BackPressureError) -> JSONResponse:
        count_refusal("busy")
        headers = {"Retry-After": str(math.ceil(_RETRY_AFTER_S))}
        return problem(429, "Busy", f"all queues are full: {error.message}", headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return problem(422, "Invalid request", f"{where}: {first['msg']}")

    @app.exception_handler(OSError)
    async def of_the_system(request: Request, error: OSError) -> JSONResponse:
        told = _place_error(error)
        return problem(500, "Internal error", type(error).__name__) if told is None else await known(request, told)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        # A form that cannot be kept while it is read is answered like one that is none.
        cause = error.__cause__
        if isinstance(cause, OSError) and (told := _place_error(cause)) is not None:
            return await known(request, told)
        return problem(error.status_code, "Error", str(error.detail), dict(error.headers or {}))


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
    return place_error(error, error.filename or tempfile.gettempdir())

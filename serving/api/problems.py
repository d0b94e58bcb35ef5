"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

import math

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from ray.exceptions import RayTaskError
from ray.serve.exceptions import BackPressureError
from starlette.exceptions import HTTPException

from facerec_models.errors import BusyError, FacerecError
from serving.api.documents import problem, title_of

_RETRY_AFTER_S = 5.0


def add_problem_handlers(app: FastAPI) -> None:
    """Let an application answer errors with problem documents."""

    @app.exception_handler(FacerecError)
    async def known(_: Request, error: FacerecError) -> JSONResponse:
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
        headers = {"Retry-After": str(math.ceil(_RETRY_AFTER_S))}
        return problem(429, "Busy", f"all queues are full: {error.message}", headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return problem(422, "Invalid request", f"{where}: {first['msg']}")

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, "Error", str(error.detail), dict(error.headers or {}))

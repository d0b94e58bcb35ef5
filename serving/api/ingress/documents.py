"""Problem documents (RFC 9457): how every error is answered, by the service and by the page."""

from __future__ import annotations

from starlette.responses import JSONResponse


def problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return a problem document."""
    return JSONResponse(
        {"type": "about:blank", "title": title, "status": status, "detail": detail},
        status_code=status,
        headers=headers,
        media_type="application/problem+json",
    )


def title_of(error: Exception) -> str:
    """Return the kind of an error as a short title."""
    return type(error).__name__.removesuffix("Error")

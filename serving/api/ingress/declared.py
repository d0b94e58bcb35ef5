"""What every route has in the published interface: a key, or none, and the errors, each a problem document."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from serving.api.ingress.documents import PROBLEM_TYPE

_ALWAYS = {
    400: "The request is none that HTTP allows.",
    401: "There is no key, or none that is valid.",
    403: "The key, the host or the page that asks may not do this.",
    404: "What is named is not there.",
    405: "The path has no such method.",
    408: "The request came too slowly.",
    409: "The present state does not allow it.",
    414: "The address is too long.",
    422: "What is given cannot be used; the detail says which part, and why.",
    429: "Busy: come again after the seconds of `Retry-After`.",
    431: "The headers are too large.",
    503: "A part of the service does not answer; come again.",
}
_OF_BODIES = {
    413: "The body, or a file in it, is larger than the settings allow.",
    502: "An address that the request names cannot be reached.",
    507: "There is no room on the disk.",
}
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


def complete_openapi(app: FastAPI) -> None:
    """Let the application's OpenAPI document name them."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        document = describe()
        parts = document.setdefault("components", {})
        schemas = parts.setdefault("schemas", {})
        # What FastAPI declares for requests that cannot be used, and nobody answers with here.
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        schemas["Problem"] = _SCHEMA
        parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": "facerec_..."}}
        # Where there is no key, requests of the service's own machine need none.
        document["security"] = [{"key": []}, {}]
        answers = parts.setdefault("responses", {})
        for status, meaning in {**_ALWAYS, **_OF_BODIES}.items():
            content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
            answers[f"Problem{status}"] = {"description": meaning, "content": content}
        for path in document["paths"].values():
            for method in _METHODS:
                if method in path:
                    own = path[method]["responses"]
                    own.pop("422", None)
                    may = _ALWAYS if method in ("get", "head") else {**_ALWAYS, **_OF_BODIES}
                    own.update({str(s): {"$ref": f"#/components/responses/Problem{s}"} for s in may})
        return document

    vars(app)["openapi"] = openapi

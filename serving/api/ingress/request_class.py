"""Which kind of request this is: how large its body may be, how long it may take, and with which others it shares its places."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from starlette.types import Scope

from facerec_models.config import LimitsConfig
from serving.bounds import IngressConfig

Share = Literal["health", "reading", "sending", "following", "changing", "uploading", "recognizing"]

_HEALTH = re.compile(r"/healthz|/readyz|/-/\w+")
_EVENTS = re.compile(r"/v1/jobs/[^/]+/events")
_SENT = re.compile(r"/v1/projects/[^/]+/(?:export|videos/[^/]+/(?:file|export|annotated\.mp4|playable\.mp4))")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
# What stands around the files of a form, and its other fields.
_FORM_BYTES = 2**20
# A body that is no video is here within this.
_BODY_TIMEOUT_S = 300.0
_SMALL_BODY_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class RequestClass:
    """What is allowed to requests of a kind.

    Parameters
    ----------
    share : str
        With which others it shares places; see `serving.bounds.IngressConfig`.
    max_body_bytes : int
        0 where there must be no body.
    body_timeout_s : float, optional
        How long a body may take as a whole.
    limit : str
        The setting that bounds the body.
    """

    share: Share
    max_body_bytes: int
    body_timeout_s: float | None
    limit: str


class RequestClasses:
    """The kinds of requests, by method, path and type of content."""

    def __init__(self, ingress: IngressConfig, limits: LimitsConfig) -> None:
        self._small = RequestClass("changing", ingress.max_json_bytes, _SMALL_BODY_TIMEOUT_S, "ingress.max_json_bytes")
        below = r"/v1/projects/[^/]+"

        def form(share: Share, size: int, limit: str, timeout_s: float | None = _BODY_TIMEOUT_S) -> RequestClass:
            return RequestClass(share, size + _FORM_BYTES, timeout_s, limit)

        pictures = (limits.max_pictures_bytes, "analysis.limits.max_pictures_bytes")
        table = form("uploading", ingress.max_table_bytes, "ingress.max_table_bytes")
        self._forms = {
            rf"{below}/videos": form(
                "uploading", limits.max_upload_bytes, "analysis.limits.max_upload_bytes", timeout_s=None
            ),
            rf"{below}/people/[^/]+/pictures": form("uploading", *pictures),
            rf"(?:{below}|/v1)/faces": form("recognizing", *pictures),
            rf"{below}/search/faces": form(
                "recognizing", limits.max_picture_bytes, "analysis.limits.max_picture_bytes"
            ),
            rf"{below}/batches": table,
            rf"{below}/corrections": table,
            # The predecessor's list of pictures, which is JSON.
            r"/disabled/[^/]+": table,
        }

    def of(self, scope: Scope, content_type: str) -> RequestClass:
        """Return the class of a request."""
        # The application may be mounted below a path of its own.
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        method = scope["method"]
        if method in _READING:
            kinds: dict[Share, re.Pattern[str]] = {"health": _HEALTH, "following": _EVENTS, "sending": _SENT}
            share: Share = next((name for name, pattern in kinds.items() if pattern.fullmatch(path)), "reading")
            return RequestClass(share, 0, _SMALL_BODY_TIMEOUT_S, "")
        if method == "DELETE":
            return RequestClass("changing", 0, _SMALL_BODY_TIMEOUT_S, "")
        if method == "POST" and not (content_type.startswith("application/json") and path.startswith("/v1/")):
            for pattern, found in self._forms.items():
                if re.fullmatch(pattern, path):
                    return found
        return self._small

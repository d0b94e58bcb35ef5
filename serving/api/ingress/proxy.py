"""The ingress' own bounds: what Ray Serve's process that answers HTTP does with a request before it keeps anything of it.

Ray imports `middlewares` there because the environment of its node says so, see `training.ray_environment.INGRESS_VARIABLE`:
``facerec serve`` sets it, and who starts Ray by hand sets it for ``ray start``.
"""

from __future__ import annotations

from starlette.middleware import Middleware
from uvicorn.protocols.http import auto

from serving.api.ingress.admission import AdmissionGuard
from serving.api.ingress.back_pressure import bound_proxy_queue
from serving.api.ingress.body_guard import BodyGuard
from serving.api.ingress.connections import guarded_protocol
from serving.api.ingress.documents import DocumentedErrors
from serving.api.ingress.pacing import TakenTeller
from serving.api.ingress.request_class import RequestClasses
from serving.settings import read_settings


def middlewares() -> list[Middleware]:
    """Bound connections and queues of this process; return what goes around its application, the outermost last."""
    settings = read_settings()
    bounds = settings.ingress
    auto.AutoHTTPProtocol = guarded_protocol(bounds)
    bound_proxy_queue()
    classes = RequestClasses(bounds, settings.analysis.limits)
    return [
        Middleware(TakenTeller),
        Middleware(DocumentedErrors),
        Middleware(AdmissionGuard, classes=classes, bounds=bounds),
        Middleware(BodyGuard, classes=classes, bounds=bounds),
    ]

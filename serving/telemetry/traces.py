"""Where the time of a request went, over all processes that worked for it: OpenTelemetry traces, where an operator wants them.

Without an endpoint nothing of OpenTelemetry is loaded, and a span costs what an empty block does. The span that submitted a job is kept
in the job's row, as W3C's ``traceparent``: whoever works on the job, or on a segment of it, continues that trace.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, SecretStr

from facerec_models.config import Config
from facerec_models.errors import InputError
from facerec_models.proxies import is_loopback
from serving.telemetry.context import bound_ids

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

Role = Literal["internal", "server", "producer", "consumer"]
Value = str | int | float | bool

PARENT = "traceparent"
"""Where a job's spec has the span that submitted it."""

_EXPORT_TIMEOUT_S = 5.0
_DELAY_MS = 1000
_NS = 1_000_000_000


class TracesConfig(Config):
    """Where traces go; see `docs/operators/monitoring.md`."""

    endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s]+$",
        description="Address of an OpenTelemetry collector that takes OTLP over HTTP, as http://127.0.0.1:4318; without one: none.",
    )
    share: float = Field(default=1.0, gt=0, le=1, description="Of the requests, the share that is traced.")
    token: SecretStr | None = Field(default=None, description="Sent to the collector as a bearer token.")


class Tracing:
    """Makes spans and sends them to a collector, in the background.

    Raises
    ------
    InputError
        If OpenTelemetry is not installed.
    """

    def __init__(self, config: TracesConfig, process: Mapping[str, str]) -> None:
        try:
            import requests
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
        except ImportError as error:
            raise InputError(
                f"FACEREC_TRACES__ENDPOINT is set, but {error.name} is not installed: pip install 'facerec[traces]'"
            ) from error
        endpoint = str(config.endpoint).rstrip("/")
        session = requests.Session()
        session.trust_env = not is_loopback(endpoint)
        token = None if config.token is None else {"Authorization": f"Bearer {config.token.get_secret_value()}"}
        exporter = OTLPSpanExporter(
            endpoint=f"{endpoint}/v1/traces", headers=token, timeout=_EXPORT_TIMEOUT_S, session=session
        )
        about = {"service.name": "facerec", "service.version": version("facerec"), **process}
        self._provider: TracerProvider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(config.share)),
            resource=Resource.create(about),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=_DELAY_MS))
        self._tracer = self._provider.get_tracer("facerec")

    @contextmanager
    def span(self, name: str, parent: str | None, role: Role, attributes: Mapping[str, Value]) -> Iterator[Span]:
        """Make a span of a block; what it raises is noted by its kind, for messages may name anybody."""
        from opentelemetry.trace import SpanKind, Status, StatusCode

        with self._tracer.start_as_current_span(
            name,
            context=None if parent is None else _context_of(parent),
            kind=SpanKind[role.upper()],
            attributes={**_ids(), **attributes},
            record_exception=False,
            set_status_on_exception=False,
        ) as made:
            try:
                yield made
            except BaseException as error:
                made.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise

    def add_past(self, name: str, start_ns: int, seconds: float, attributes: Mapping[str, Value]) -> None:
        """Add a span below the present one that has ended already."""
        made = self._tracer.start_span(name, start_time=start_ns, attributes={**_ids(), **attributes})
        made.end(start_ns + int(seconds * _NS))

    def flush(self) -> None:
        """Send what has not been sent."""
        self._provider.force_flush(int(_EXPORT_TIMEOUT_S * 1000))

    def close(self) -> None:
        """Send what has not been sent, and end."""
        self._provider.shutdown()


# One for the process, set by what starts it: threads that work on jobs were begun by nobody's request.
_process: list[Tracing] = []


def start_tracing(config: TracesConfig, process: Mapping[str, str]) -> None:
    """Trace what this process does from now on, if the settings say so."""
    stop_tracing()
    if config.endpoint is not None:
        _process.append(Tracing(config, process))


def stop_tracing() -> None:
    """Send what there is, and trace no more."""
    while _process:
        _process.pop().close()


@contextmanager
def span(
    name: str, *, parent: str | None = None, role: Role = "internal", **attributes: Value | None
) -> Iterator[dict[str, Any]]:
    """Trace a block, if this process is traced.

    Parameters
    ----------
    parent : str, optional
        A ``traceparent``; by default what is traced already in this thread.
    attributes
        Values of the span; those that are None are left out.

    Yields
    ------
    dict
        What is put into it is added to the span; ``name`` becomes its name.
    """
    later: dict[str, Any] = {}
    if not _process:
        yield later
        return
    given = {key: value for key, value in attributes.items() if value is not None}
    with _process[0].span(name, parent, role, given) as made:
        try:
            yield later
        finally:
            made.update_name(later.pop("name", name))
            made.set_attributes(later)


def add_stages(start_ns: int, seconds: Mapping[str, float]) -> None:
    """Add how long each stage of what was just done took: stages go on side by side, and in many small parts."""
    if _process:
        for stage, lasted_s in seconds.items():
            _process[0].add_past(stage, start_ns, lasted_s, {"facerec.is_sum": True})


def traceparent() -> str | None:
    """Return the present span as W3C's ``traceparent``; None where nothing is traced."""
    if not _process:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(PARENT)


def now_ns() -> int:
    """Return the time as spans have it."""
    return time.time_ns()


def _context_of(parent: str) -> Any:
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({PARENT: parent}, context=Context())


def _ids() -> dict[str, str]:
    return {f"facerec.{name}": value for name, value in bound_ids().items()}

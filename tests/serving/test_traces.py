"""Traces: what a request caused in all that worked for it is one trace, at a collector that takes OTLP over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from serving.archive.handle import Archive
from serving.jobs.runner import submit
from serving.jobs.submit import retry, submit_video
from serving.settings import Settings
from serving.store import leases
from serving.telemetry.context import bind
from serving.telemetry.traces import PARENT, TracesConfig, span, start_tracing, stop_tracing, traceparent
from tests.contract.store_cases import make_video
from tests.local_servers import running
from tests.serving.in_process import in_process, wait
from tests.waiting import wait_until


class Collector:
    """What a collector was sent."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self.tokens: set[str] = set()
        self._lock = threading.Lock()

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/v1/traces", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        sent = ExportTraceServiceRequest.FromString(await request.body())
        self.tokens.add(request.headers.get("authorization", ""))
        found = [one for part in sent.resource_spans for scope in part.scope_spans for one in scope.spans]
        with self._lock:
            self._spans += found
        return Response(ExportTraceServiceResponse().SerializeToString(), media_type="application/x-protobuf")

    def spans(self) -> dict[str, Span]:
        """Return the last span of each name."""
        with self._lock:
            return {one.name: one for one in self._spans}


@contextmanager
def traced(**more: object) -> Iterator[Collector]:
    """Trace this process until the block ends."""
    collector = Collector()
    with running(collector.app) as url:
        start_tracing(TracesConfig(endpoint=url, **more), {"facerec.deployment": "test"})  # type: ignore[arg-type]
        try:
            yield collector
        finally:
            stop_tracing()


def attribute(one: Span, name: str) -> str | int:
    value = next(each.value for each in one.attributes if each.key == name)
    return value.string_value or value.int_value


def test_one_trace_leads_from_the_upload_to_the_appearances(
    tmp_path: Path, detector: MtcnnDetector, embedder: FaceEmbedder, clip: Path
) -> None:
    settings = Settings(home=tmp_path, segment_s=3.0)
    with traced() as collector, in_process(settings, detector, embedder) as (client, _):
        client.put("/v1/projects/p")
        sent = client.post(
            "/v1/projects/p/videos", files={"file": ("a.mp4", clip.read_bytes())}, headers={"X-Request-ID": "r-1"}
        )
        job_id = sent.json()["job_id"]
        assert wait(client, job_id)["state"] == "succeeded"
        spans = wait_until(lambda: "job" in (found := collector.spans()) and found)
    upload = spans["POST /v1/projects/{project}/videos"]
    below = {
        "submit": upload.name,
        "job": "submit",
        "segment": "submit",
        "decode": "segment",
        "detect": "segment",
        "embed": "segment",
        "naming": "job",
        "identify": "naming",
        "appearances": "naming",
    }
    parents = {one.span_id: one.name for one in spans.values()}
    assert {spans[name].trace_id for name in below} == {upload.trace_id}
    # Of several segments the last one that was sent is known here: a stage may be another one's.
    assert {name: parents.get(spans[name].parent_span_id, "segment") for name in below} == below
    assert attribute(upload, "facerec.request_id") == "r-1"
    assert attribute(upload, "http.response.status_code") == 202
    assert attribute(spans["appearances"], "facerec.job_id") == job_id
    assert attribute(spans["appearances"], "added") > 0


def test_a_trace_that_the_client_began_is_continued_and_its_errors_have_no_messages() -> None:
    with traced(token=SecretStr("collector-token")) as collector:
        given = f"00-{'a' * 32}-{'b' * 16}-01"
        with pytest.raises(ValueError, match="Ann"), bind(project="p"), span("work", parent=given):
            int("Ann Lee")
        with span("more", parent=given):
            assert str(traceparent()).split("-")[1] == "a" * 32
        found = wait_until(lambda: collector.spans().get("work"))
    assert (found.trace_id.hex(), found.parent_span_id.hex()) == ("a" * 32, "b" * 16)
    assert attribute(found, "facerec.project") == "p"
    assert "Ann" not in str(found)
    assert collector.tokens == {"Bearer collector-token"}


def test_without_a_collector_nothing_is_traced() -> None:
    start_tracing(TracesConfig(), {})
    with span("work", parent=f"00-{'a' * 32}-{'b' * 16}-01"):
        assert traceparent() is None


def test_who_submits_a_job_makes_no_other_job_of_it(archive: Archive) -> None:
    settings = Settings(home=archive.files.root)
    video = make_video("v-1")
    archive.store.put_video(video)
    first = submit_video(archive.store, settings, video, settings.analysis.sampling)
    with traced(), span("another request"):
        again = submit_video(archive.store, settings, video, settings.analysis.sampling)
        assert again.job_id == first.job_id
        leases.cancel(archive.store, first.job_id)
        traced_one = submit_video(archive.store, settings, video, settings.analysis.sampling)
        assert PARENT in traced_one.spec
        assert PARENT not in submit(archive.store, "p", "training", {}, max_queued=9).spec
    leases.cancel(archive.store, traced_one.job_id)
    assert retry(archive.store, traced_one.job_id).key == first.key

"""What is counted and measured, by its Prometheus name: how much is done, how full batches are, what waits, what fails and why.

Counting adds to numbers of this process, and knows of no service: it costs about a microsecond wherever it stands. How the numbers of
all processes come to be read together is told in `serving.telemetry.publishing`. Labels have few values, and never name anybody.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from facerec_models.errors import MEDIA_ERRORS, ImageError

disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()
"""What this process has counted."""

Stage = Literal["decode", "detect", "embed", "identify"]
STAGES: tuple[Stage, ...] = ("decode", "detect", "embed", "identify")
Refusal = Literal["busy", "too_large", "slow", "key", "rate", "host", "full"]
REFUSALS: tuple[Refusal, ...] = ("busy", "too_large", "slow", "key", "rate", "host", "full")
DECISIONS = ("named", "unknown", "undecidable")
KINDS = ("fetch", "video", "training", "second_set", "identify", "crawl", "rendition")
EDIT_CAUSES = (
    "carry",
    "correction",
    "embedder",
    "faces",
    "forget",
    "hide",
    "identify",
    "merge",
    "promotion",
    "rename",
    "rollback",
    "stranger",
    "strangers",
    "training",
    "undo",
    "unmerge",
)
_ENDS = ("succeeded", "failed", "cancelled")
_OTHER = "other"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_JOB_S = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
_ITEMS_TOGETHER = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


_COUNTERS: dict[str, Counter] = {}
Counts = list[tuple[str, dict[str, str], float]]


def _counter(name: str, description: str, *labels: str) -> Counter:
    _COUNTERS[name] = Counter(name, description, labels, registry=REGISTRY)
    return _COUNTERS[name]


FRAMES_DECODED = _counter("facerec_frames_decoded_total", "Frames of videos that were decoded.")
FRAMES_SEARCHED = _counter("facerec_frames_searched_total", "Pictures in which faces were sought.")
FACES_EMBEDDED = _counter("facerec_faces_embedded_total", "Faces that were embedded.")
STAGE_SECONDS = _counter("facerec_stage_seconds_total", "Seconds of work at each stage.", "stage")
BATCH_ITEMS = Histogram(
    "facerec_batch_items",
    "Pictures, or faces, that went through a stage together.",
    ["stage"],
    buckets=_ITEMS_TOGETHER,
    registry=REGISTRY,
)
TRACKS_DECIDED = _counter("facerec_tracks_decided_total", "Tracks by what naming decided, each time.", "decision")
MEDIA_FAILURES = _counter("facerec_media_failures_total", "Videos and pictures that could not be read.", "cause")
JOBS_ENDED = _counter("facerec_jobs_ended_total", "Jobs that have ended.", "kind", "state")
JOB_ATTEMPTS_FAILED = _counter("facerec_job_attempts_failed_total", "Attempts that failed and are repeated.", "kind")
JOB_SECONDS = Histogram(
    "facerec_job_seconds",
    "From the submission of a job to its end.",
    ["kind"],
    buckets=_JOB_S,
    registry=REGISTRY,
)
JOB_WAIT_SECONDS = Histogram(
    "facerec_job_wait_seconds",
    "From the submission of a job to its first attempt.",
    ["kind"],
    buckets=_JOB_S,
    registry=REGISTRY,
)
EDITS = _counter("facerec_edits_total", "Edits that were applied, by what they were made for.", "cause")
REQUEST_SECONDS = Histogram(
    "facerec_http_request_seconds",
    "How long requests took, until their answers were sent.",
    ["route", "method", "status"],
    buckets=_REQUEST_S,
    registry=REGISTRY,
)
REFUSED = _counter("facerec_http_refused_total", "Requests that were refused before any work.", "reason")
GPU_MEMORY = Gauge("facerec_gpu_memory_bytes", "Memory of a CUDA device.", ["device", "kind"], registry=REGISTRY)


def _begin() -> None:
    """Let series begin with 0: of one that begins with 1, Prometheus sees no increase."""
    for counter, values in (
        (STAGE_SECONDS, STAGES),
        (TRACKS_DECIDED, DECISIONS),
        (REFUSED, REFUSALS),
        (EDITS, EDIT_CAUSES),
        (MEDIA_FAILURES, tuple(error.__name__ for error in MEDIA_ERRORS)),
    ):
        for value in values:
            counter.labels(value)


_begin()


def expect_jobs() -> None:
    """Let the series of jobs begin with 0, in a process that works on jobs."""
    for kind in KINDS:
        JOB_SECONDS.labels(kind)
        JOB_WAIT_SECONDS.labels(kind)
        JOB_ATTEMPTS_FAILED.labels(kind)
        for state in _ENDS:
            JOBS_ENDED.labels(kind, state)


def expect_batches(stage: Stage) -> None:
    """Let the series of batches begin with 0, in a process that makes them."""
    BATCH_ITEMS.labels(stage)


def counts() -> Counts:
    """Return what the counters of this process have counted: name, labels and number."""
    samples = [sample for family in REGISTRY.collect() for sample in family.samples]
    return [(one.name, one.labels, one.value) for one in samples if one.name in _COUNTERS and one.value]


def absorb(found: Counts) -> None:
    """Count what another process has counted and will not be asked for."""
    for name, labels, number in found:
        counter = _COUNTERS[name]
        (counter.labels(**labels) if labels else counter).inc(number)


def kind_of(job_kind: str) -> str:
    """Return the kind of a job as a label; that of a command that runs by itself has its id behind a colon."""
    kind = job_kind.partition(":")[0]
    return kind if kind in KINDS else _OTHER


@contextmanager
def measured(stage: Stage) -> Iterator[None]:
    """Count the time of a block as a stage's."""
    start = time.perf_counter()
    try:
        yield
    finally:
        STAGE_SECONDS.labels(stage).inc(time.perf_counter() - start)


def count_decoded(timing: Mapping[str, float]) -> None:
    """Count what was decoded, from a `facerec_models.analysis.frame_faces.Timing` as a mapping."""
    FRAMES_DECODED.inc(timing["frames_decoded"])
    STAGE_SECONDS.labels("decode").inc(timing["decode_s"])


def count_decisions(decisions: Mapping[str, int]) -> None:
    """Count how many tracks were named, are unknown, are undecidable."""
    for decision, count in decisions.items():
        TRACKS_DECIDED.labels(decision).inc(count)


def count_media_failure(error: BaseException) -> None:
    """Count a video or picture that could not be read, by the class of the error."""
    MEDIA_FAILURES.labels(type(error).__name__).inc()


def count_unreadable_pictures(count: int) -> None:
    """Count pictures of requests that were answered all the same."""
    MEDIA_FAILURES.labels(ImageError.__name__).inc(count)


def count_refusal(reason: Refusal) -> None:
    """Count a request that was refused."""
    REFUSED.labels(reason).inc()


def count_end(job_kind: str, state: str, since_submission_s: float) -> None:
    """Count a job that has ended."""
    kind = kind_of(job_kind)
    JOBS_ENDED.labels(kind, state).inc()
    JOB_SECONDS.labels(kind).observe(max(0.0, since_submission_s))


def count_request(route: str, method: str, status: int, seconds: float) -> None:
    """Count a request that was answered.

    Parameters
    ----------
    route : str
        Its template, such as ``/v1/jobs/{job_id}``: never the path, which has ids.
    """
    known = method if method in _METHODS else _OTHER
    REQUEST_SECONDS.labels(route, known, str(status)).observe(seconds)

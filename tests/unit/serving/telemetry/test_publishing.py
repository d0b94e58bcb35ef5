from __future__ import annotations

import time

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.parser import text_string_to_metric_families

from serving.telemetry.metrics import JOBS_ENDED, absorb, counts, kind_of
from serving.telemetry.publishing import SILENT_S, LocalBoard, ProcessName, Publisher, dump, exposition


def process(board: LocalBoard, deployment: str, frames: float) -> tuple[Publisher, Counter]:
    registry = CollectorRegistry()
    counter = Counter("facerec_frames_total", "Frames.", registry=registry)
    Histogram("facerec_fill", "Fill.", ["stage"], buckets=(1, 2), registry=registry).labels("embed").observe(2)
    counter.inc(frames)
    publisher = Publisher(ProcessName(deployment, "r1"), board, registry)
    publisher.publish()
    return publisher, counter


def gone_since(silent_s: float, board: LocalBoard) -> str:
    """Let a process be on the board that has not written for so long; return its key."""
    registry = CollectorRegistry()
    Counter("facerec_frames_total", "Frames.", registry=registry)
    name = ProcessName("FaceDetector", "old")
    board.put(name.key, dump(name, registry, time.time() - silent_s))
    return name.key


def samples(text: bytes, name: str) -> dict[str, float]:
    families = text_string_to_metric_families(text.decode())
    return {one.labels["deployment"]: one.value for family in families for one in family.samples if one.name == name}


def test_who_is_asked_answers_for_all_processes() -> None:
    board = LocalBoard()
    asked, counter = process(board, "Api", 1)
    process(board, "FaceDetector", 20)
    counter.inc()  # since it last wrote
    text = exposition(asked)
    assert samples(text, "facerec_frames_total") == {"Api": 2.0, "FaceDetector": 20.0}
    assert samples(text, "facerec_fill_count") == {"Api": 1.0, "FaceDetector": 1.0}
    # Each family is in one place.
    assert text.count(b"# TYPE facerec_frames_total counter") == 1


def test_what_one_who_was_asked_has_answered_is_known_to_the_next() -> None:
    board = LocalBoard()
    first, counter = process(board, "Api", 1)
    second, _ = process(board, "Other", 1)
    counter.inc(5)
    assert samples(exposition(first), "facerec_frames_total")["Api"] == 6.0
    assert samples(exposition(second), "facerec_frames_total")["Api"] == 6.0


@pytest.mark.parametrize(("silent_s", "is_kept"), [(SILENT_S + 1, True), (7200.0, False)])
def test_a_process_that_is_silent_is_no_longer_shown(silent_s: float, is_kept: bool) -> None:
    board = LocalBoard()
    asked, _ = process(board, "Api", 1)
    key = gone_since(silent_s, board)
    assert samples(exposition(asked), "facerec_frames_total") == {"Api": 1.0}
    assert (key in board.read()) is is_kept


def test_counters_of_a_process_that_ends_are_counted_by_another() -> None:
    before = JOBS_ENDED.labels("crawl", "failed")._value.get()
    absorb([("facerec_jobs_ended_total", {"kind": "crawl", "state": "failed"}, 2.0)])
    assert JOBS_ENDED.labels("crawl", "failed")._value.get() == before + 2
    assert ("facerec_jobs_ended_total", {"kind": "crawl", "state": "failed"}, before + 2) in counts()


def test_ids_in_kinds_of_jobs_become_no_labels() -> None:
    assert [kind_of(kind) for kind in ("video", "training:j-123", "something")] == ["video", "training", "other"]

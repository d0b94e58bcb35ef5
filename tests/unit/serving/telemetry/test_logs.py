from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from logging.handlers import MemoryHandler
from pathlib import Path

import pytest
from ray.serve._private.logging_utils import JSONFormatter as ServeJsonFormatter
from ray.serve._private.logging_utils import ServeComponentFilter, ServeLogAttributeRemovalFilter

from serving.telemetry.context import bind, bound_ids
from serving.telemetry.logs import OUR_LOGGERS, SERVE_LOGGER, log_in_replica, log_to_file
from serving.telemetry.redaction import Redaction

REDACTION = Redaction(frozenset({"hunter2"}), places=(("/srv/faces", "<home>"),))


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    kept = [
        (one, one.handlers[:], one.filters[:], one.level, one.propagate)
        for one in map(logging.getLogger, (*OUR_LOGGERS, SERVE_LOGGER))
    ]
    yield
    for logger, handlers, filters, level, propagate in kept:
        for new in {*logger.handlers} - {*handlers}:
            getattr(new, "target", new).close()
            new.close()
        logger.handlers[:], logger.filters[:], logger.propagate = handlers, filters, propagate
        logger.setLevel(level)


def serve_lines(file: Path) -> logging.Handler:
    """Write lines as Serve does in a replica whose configuration says JSON."""
    target = logging.FileHandler(file)
    target.setFormatter(ServeJsonFormatter())
    handler = MemoryHandler(1, target=target)
    handler.addFilter(ServeComponentFilter("FaceDetector", "abc"))
    handler.addFilter(ServeLogAttributeRemovalFilter())
    return handler


def read(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_lines_of_a_replica_are_among_serves_with_ids_and_without_secrets(tmp_path: Path) -> None:
    logging.getLogger(SERVE_LOGGER).handlers[:] = [serve_lines(tmp_path / "replica.log")]
    log_in_replica(REDACTION)
    with bind(request_id="r-1", job_id="j-1", video_id="v-1", project="p", key_id="k-1"):
        try:
            int("hunter2 in /srv/faces/store.sqlite")
        except ValueError:
            logging.getLogger("serving.jobs.runner").warning("of %s", "hunter2", exc_info=True)
    logging.getLogger("serving.jobs.runner").info("alone", extra={"job_id": "j-2"})
    logging.getLogger(SERVE_LOGGER).info("Serve knows %s, too", "hunter2")
    # As its access log does.
    logging.getLogger(SERVE_LOGGER).info("GET / 200", extra={"request_id": "r-2", "route": "/", "job_id": "01000000"})
    first, second, third, fourth = read(tmp_path / "replica.log")
    assert first["message"] == "of <secret>"
    assert first["logger"] == "serving.jobs.runner"
    assert first["levelname"] == "WARNING"
    ids = {"request_id": "r-1", "job_id": "j-1", "video_id": "v-1", "project": "p", "key_id": "k-1"}
    assert first.items() >= ids.items()
    assert first["exc_text"].endswith("<secret> in <home>/store.sqlite'")
    assert (second["job_id"], second["logger"]) == ("j-2", "serving.jobs.runner")
    assert (third["message"], third["logger"]) == ("Serve knows <secret>, too", SERVE_LOGGER)
    assert fourth.items() >= {"request_id": "r-2", "route": "/"}.items()
    assert "job_id" not in fourth


def test_a_process_beside_the_replicas_writes_the_same_form(tmp_path: Path) -> None:
    log_to_file(REDACTION, tmp_path / "serve" / "apart.log")
    with bind(job_id="j-1"):
        logging.getLogger("training.train").info("with %d\nlines of hunter2", 2)
    (line,) = read(tmp_path / "serve" / "apart.log")
    assert (line["message"], line["job_id"], line["logger"]) == ("with 2\nlines of <secret>", "j-1", "training.train")


def test_ids_go_into_threads_and_end_with_their_block() -> None:
    async def in_thread() -> dict[str, str]:
        with bind(project="p"):
            return await asyncio.to_thread(bound_ids)

    assert asyncio.run(in_thread()) == {"project": "p"}
    assert bound_ids() == {}

"""Log files of training jobs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from facerec_models.files import writing_to
from serving.archive.files import Files

# Of what takes part in a training.
_LOGGERS = ("training", "serving.archive", "serving.jobs.training")
_FORMAT = "%(asctime)s %(levelname)s %(message)s"


@contextmanager
def logged_to(handler: logging.Handler) -> Iterator[None]:
    """Let a handler have what training logs, in this process, until the block ends."""
    parents = [logging.getLogger(name) for name in _LOGGERS]
    levels = [parent.level for parent in parents]
    handler.setFormatter(logging.Formatter(_FORMAT))
    for parent in parents:
        parent.addHandler(handler)
        parent.setLevel(logging.INFO)
    try:
        yield
    finally:
        for parent, level in zip(parents, levels, strict=True):
            parent.setLevel(level)
            parent.removeHandler(handler)
        handler.close()


def job_log(files: Files, project: str, job_id: str) -> logging.Handler:
    """Return what appends to a job's log."""
    path = files.job_log(project, job_id)
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return logging.FileHandler(path, encoding="utf-8")


def note(files: Files, project: str, job_id: str, message: str) -> None:
    """Append one line to a job's log: for what the training's own process can no longer say."""
    handler = job_log(files, project, job_id)
    handler.setFormatter(logging.Formatter(_FORMAT))
    handler.emit(logging.LogRecord(__name__, logging.INFO, __file__, 0, message, None, None))
    handler.close()

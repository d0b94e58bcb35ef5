"""Log lines of every process of the service: one JSON document a record, with the ids of what is being done, without secrets.

In a replica they go where Ray Serve's own lines go (``logs/serve`` in the folder of the Ray session), and Serve writes them: what it
knows of a request and a replica is in them, too. Elsewhere they are written to a file there, or to standard error, in the same form.
"""

from __future__ import annotations

import json
import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

from serving.telemetry.context import NAMES, bound_ids
from serving.telemetry.redaction import Redaction

OUR_LOGGERS = ("facerec_models", "serving", "training", "ui")
SERVE_LOGGER = "ray.serve"
# What Serve's formatter lays out as values of their own; under their names its filters would remove some.
_EXTRA = "ray_serve_extra_fields"
_FILE_BYTES, _FILES_KEPT = 10 * 2**20, 3


class RecordGuard(logging.Filter):
    """Adds ids to a record and takes secrets out of it; lets every record pass."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redact = redaction.redact

    def filter(self, record: logging.LogRecord) -> bool:
        """Change a record, once: several handlers may share it."""
        if hasattr(record, _EXTRA):
            return True
        given = {name: value for name in NAMES if (value := record.__dict__.get(name)) is not None}
        if record.name == SERVE_LOGGER:  # a job of Ray's
            given.pop("job_id", None)
        # What a record has itself, Serve's formatter writes itself, and refuses to write twice; but a job_id its filter removes.
        ids = {**bound_ids(), **given}
        shown = {name: value for name, value in ids.items() if name not in given or name == "job_id"}
        setattr(record, _EXTRA, {"logger": record.name, **shown})
        record.msg, record.args = self._redact(record.getMessage()), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = self._redact(record.exc_text)
        if record.stack_info:
            record.stack_info = self._redact(record.stack_info)
        return True


class LineFormatter(logging.Formatter):
    """Writes a record as Ray Serve does: one JSON document in one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "asctime": self.formatTime(record),
            "levelname": record.levelname,
            "message": record.getMessage(),
            "filename": record.filename if hasattr(record, "filename") else "",
            "lineno": record.lineno,
            "process": record.process,
            **({"exc_text": record.exc_text} if record.exc_text else {}),
            **{name: value for name in NAMES if (value := record.__dict__.get(name)) is not None},
            **getattr(record, _EXTRA, {"logger": record.name}),
        }
        return json.dumps(line)


class _ToServe(logging.Handler):
    """Hands records on to Serve's logger, which knows where its lines go, also after its configuration has changed."""

    def handle(self, record: logging.LogRecord) -> bool:
        logging.getLogger(SERVE_LOGGER).handle(record)
        return True


def log_in_replica(redaction: Redaction) -> None:
    """Let what this replica logs go where Serve's lines go; what Serve itself logs here is guarded, too."""
    serve = logging.getLogger(SERVE_LOGGER)
    _replace_guard(serve, redaction)
    _set_up(_ToServe())


def log_to_stderr(redaction: Redaction) -> None:
    """Let what this process logs go to standard error, whoever logs it."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    handler.addFilter(RecordGuard(redaction))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    for name in OUR_LOGGERS:
        logging.getLogger(name).setLevel(logging.INFO)


def log_to_file(redaction: Redaction, file: Path) -> None:
    """Let what this process, which is no replica, logs go to a file beside those of Serve."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(file, maxBytes=_FILE_BYTES, backupCount=_FILES_KEPT, delay=True, encoding="utf-8")
    handler.setFormatter(LineFormatter())
    handler.addFilter(RecordGuard(redaction))
    _set_up(handler)


def _replace_guard(logger: logging.Logger, redaction: Redaction) -> None:
    logger.filters[:] = [one for one in logger.filters if not isinstance(one, RecordGuard)]
    logger.addFilter(RecordGuard(redaction))


def _set_up(handler: logging.Handler) -> None:
    handler.set_name("facerec")
    for name in OUR_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers[:] = [one for one in logger.handlers if one.name != handler.name] + [handler]
        logger.setLevel(logging.INFO)
        # Or a root without handlers would write warnings a second time.
        logger.propagate = False

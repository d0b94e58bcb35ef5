"""``python -m training.train``: a training as a process of its own, also under ``ray job submit``; see `training.train`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from pydantic import ValidationError

from facerec_models.classifiers import CLASSIFIERS
from facerec_models.config import TrainingConfig
from facerec_models.errors import ConflictError, FacerecError, JobNotFoundError
from serving import leases
from serving.home import Home
from serving.jobs import JobControl, JobRunner
from serving.settings import Settings, read_settings
from serving.store import open_store
from serving.store.base import Store
from serving.store.job_rows import Job, JobState
from serving.store.rows import ModelVersion
from training.logs import job_log, logged_to
from training.train import train
from training.workers import TrainingStoppedError, Workers

logger = logging.getLogger(__name__)

FAILED, REFUSED, STOPPED = 1, 3, 130
_POLL_S = 0.2


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Train as the arguments say, write the version as one line of JSON, and exit."""
    given = _parser().parse_args(arguments)
    config = TrainingConfig(
        classifier=given.classifier,
        seed=given.seed,
        max_false_names=given.max_false_names,
        use_seen_strangers=given.use_seen_strangers,
        promote=given.promote,
    )
    signal.signal(signal.SIGTERM, _interrupt)
    store = None
    try:
        settings = read_settings(given.home)
        home = Home.at(settings.home, settings.files)
        store = open_store(home.root, settings.store)
        store.get_project(given.project)
        with logged_to(logging.StreamHandler()):
            workers = Workers(home.root, given.address)
            if given.job_id is None:
                row = train(
                    store,
                    home,
                    given.project,
                    settings.identification,
                    config,
                    workers=workers,
                    embedding=settings.analysis.embedding,
                )
            else:
                row = train_recorded(store, home, given.project, given.job_id, settings, config, workers)
    except (FacerecError, ValidationError) as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(FAILED)
    except (KeyboardInterrupt, TrainingStoppedError):
        sys.stderr.write("stopped\n")
        sys.exit(STOPPED)
    finally:
        if store is not None:
            store.close()
    gate = row.metrics["gate"]
    sys.stdout.write(json.dumps({"version": row.version, "gate": gate}) + "\n")
    sys.exit(0 if gate.get("passed", True) else REFUSED)


def train_recorded(
    store: Store,
    home: Home,
    project: str,
    job_id: str,
    settings: Settings,
    config: TrainingConfig,
    workers: Workers,
) -> ModelVersion:
    """Train as a job in the store, which others can look at and cancel; its log is a file under the home.

    A job of this id that was left behind by a process that died is taken up again.

    Raises
    ------
    ConflictError
        If there is another job of this id, or one that has ended.
    TrainingStoppedError
        If it was cancelled.
    """
    # A kind of its own: the runners of a service must not take it.
    kind = f"training:{job_id}"
    _submit(store, project, job_id, kind, config)
    made: list[ModelVersion] = []
    failed: list[Exception] = []

    def work(job: Job, control: JobControl) -> None:
        try:
            with logged_to(job_log(home, project, job_id)):
                made.append(
                    train(
                        store,
                        home,
                        project,
                        settings.identification,
                        config,
                        workers=workers,
                        progress=control,
                        embedding=settings.analysis.embedding,
                    )
                )
        except FacerecError as error:
            failed.append(error)
            raise

    runner = JobRunner(store, {kind: work}, slots=1, poll_s=_POLL_S)
    runner.start()
    try:
        while not (job := store.get_job(job_id)).state.is_final:
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        leases.cancel(store, job_id)
        raise
    finally:
        runner.stop()
    if failed:
        raise failed[0]
    if job.state is JobState.CANCELLED:
        raise TrainingStoppedError(f"job {job_id} was cancelled")
    if not made:
        raise FacerecError(f"job {job_id} {job.state}: {job.error}")
    return made[0]


def _submit(store: Store, project: str, job_id: str, kind: str, config: TrainingConfig) -> None:
    try:
        there = store.get_job(job_id)
    except JobNotFoundError:
        now = time.time()
        store.submit_job(Job(job_id, project, kind, JobState.QUEUED, config.model_dump(), now, now))
        return
    if there.kind != kind or there.project != project or there.state.is_final:
        raise ConflictError(
            f"there is a job {job_id!r} already, of kind {there.kind!r} in project {there.project!r}, {there.state}: "
            f"choose another id, as in --job-id train-{uuid.uuid4().hex[:8]}"
        )


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt  # how 'ray job stop' ends a job


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.train", description="Learn the enrolled people of a project."
    )
    parser.add_argument("--project", required=True)
    parser.add_argument("--home", type=Path, help="by default FACEREC_HOME, or the user's data folder")
    parser.add_argument("--classifier", choices=CLASSIFIERS, default=CLASSIFIERS[0])
    parser.add_argument("--seed", type=_natural, default=0)
    parser.add_argument("--max-false-names", type=_fraction, help="accepted error that versions are compared at")
    parser.add_argument(
        "--use-seen-strangers", action="store_true", help="calibrate with the nameless strangers of the videos too"
    )
    promotion = parser.add_mutually_exclusive_group()
    promotion.add_argument("--promote", choices=("auto", "yes", "no"), default="auto", help="auto asks the gate")
    promotion.add_argument("--no-promote", dest="promote", action="store_const", const="no")
    parser.add_argument("--job-id", help="record progress and log as this job")
    parser.add_argument(
        "--address",
        default=os.environ.get("RAY_ADDRESS"),
        help="of a Ray cluster; by default RAY_ADDRESS, or a Ray of its own where that is worth it",
    )
    return parser


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return number


def _fraction(text: str) -> float:
    number = float(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return number

"""Training and preparing a second set as jobs: in a process of their own on Ray, with progress, a log, and an end at any time."""

from __future__ import annotations

import logging
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayTaskError

from facerec_models.config import TrainingConfig
from serving.home import Home
from serving.jobs import JobControl
from serving.nodes import open_places
from serving.settings import Settings
from serving.store.base import Store
from serving.store.job_rows import Job
from training.logs import job_log, logged_to, note
from training.second_set import prepare_second_set
from training.train import train
from training.workers import TrainingStoppedError

logger = logging.getLogger(__name__)

_POLL_S = 0.5
_ANSWER_S = 5.0


class _Progress:
    def __init__(self) -> None:
        self.done = 0.0

    def report(self, progress: float) -> None:
        self.done = progress

    def should_stop(self) -> bool:
        return False  # whoever stops it kills the process


class Trainer:
    """Learns in its own process, and tells how far it is meanwhile."""

    def __init__(self) -> None:
        self._progress = _Progress()

    def run(self, settings: Settings, job: Job) -> str:
        """Train, or prepare a second set; return the version that came of it."""
        home, store = open_places(settings)
        try:
            with logged_to(job_log(home, job.project, job.job_id)):
                try:
                    return self._learn(settings, home, store, job)
                except Exception as error:
                    logger.warning("failed: %s", error)
                    raise
        finally:
            store.close()

    def _learn(self, settings: Settings, home: Home, store: Store, job: Job) -> str:
        rules, embedding = settings.identification, settings.analysis.embedding
        if job.kind == "second_set":
            name = job.spec["embedder"]
            return prepare_second_set(store, home, job.project, name, rules, embedding, progress=self._progress).version
        config = TrainingConfig(**job.spec)
        return train(store, home, job.project, rules, config, progress=self._progress, embedding=embedding).version

    def progress(self) -> float:
        """Return the fraction that is done."""
        return self._progress.done


def run_apart(settings: Settings, job: Job, control: JobControl) -> None:
    """Do a job of kind ``training``, whose spec is a `TrainingConfig`, or ``second_set``, whose spec names an embedder.

    Raises
    ------
    FacerecError
        What training or preparing raises.
    TrainingStoppedError
        If the job was cancelled or lost. Its process is killed; a version is there whole or not at all.
    """
    home = Home.at(settings.home, settings.files)
    # It asks for no CPU: beside a service that has reserved them all it would wait for ever.
    actor: Any = ray.remote(num_cpus=0, max_restarts=0)(Trainer)
    trainer = actor.options(max_concurrency=2).remote()
    try:
        version = trainer.run.remote(settings, job)
        while not ray.wait([version], timeout=_POLL_S)[0]:
            if control.should_stop():
                note(home, job.project, job.job_id, "stopped")
                raise TrainingStoppedError(f"the job {job.job_id} was stopped")
            try:
                control.report(ray.get(trainer.progress.remote(), timeout=_ANSWER_S))
            except GetTimeoutError:
                continue  # it is busy in one long step
        ray.get(version)
    except RayTaskError as error:  # its text is a traceback
        raise error.cause from error
    finally:
        ray.kill(trainer)
    control.report(1.0)

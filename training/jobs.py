"""Training as a job: in a process of its own on Ray, with progress, a log, and an end at any time."""

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
from serving.store.rows import Job
from training.logs import job_log, logged_to, note
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
    """Trains a project's model in its own process, and tells how far it is meanwhile."""

    def __init__(self) -> None:
        self._progress = _Progress()

    def train(
        self,
        settings: Settings,
        project: str,
        job_id: str,
        config: TrainingConfig,
    ) -> str:
        """Train, and promote if the gate allows it; return the version."""
        home, store = open_places(settings)
        rules, embedding = settings.identification, settings.analysis.embedding
        try:
            with logged_to(job_log(home, project, job_id)):
                try:
                    row = train(store, home, project, rules, config, progress=self._progress, embedding=embedding)
                except Exception as error:
                    logger.warning("failed: %s", error)
                    raise
                return row.version
        finally:
            store.close()

    def progress(self) -> float:
        """Return the fraction that is done."""
        return self._progress.done


def run_training(settings: Settings, job: Job, control: JobControl) -> None:
    """Do a job of kind ``training``, whose spec is a `TrainingConfig`.

    Raises
    ------
    FacerecError
        What training raises.
    TrainingStoppedError
        If the job was cancelled or lost. Its process is killed; a version is there whole or not at all.
    """
    config = TrainingConfig(**job.spec)
    home = Home.at(settings.home, settings.files)
    # It asks for no CPU: beside a service that has reserved them all it would wait for ever.
    actor: Any = ray.remote(num_cpus=0, max_restarts=0)(Trainer)
    trainer = actor.options(max_concurrency=2).remote()
    try:
        version = trainer.train.remote(settings, job.project, job.job_id, config)
        while not ray.wait([version], timeout=_POLL_S)[0]:
            if control.should_stop():
                note(home, job.project, job.job_id, "stopped")
                raise TrainingStoppedError(f"the training {job.job_id} was stopped")
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

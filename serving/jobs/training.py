"""What computes for long as jobs: in a process of its own on Ray, with progress, a log, and an end at any time."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray.exceptions import GetTimeoutError, RayTaskError

from facerec_models.config import TrainingConfig
from facerec_models.errors import ConflictError, FacerecError, JobNotFoundError
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import train
from serving.archive.naming.whole_archive import NamingWork
from serving.archive.second_embedder.prepare import prepare_second_set
from serving.jobs import name_again
from serving.jobs.log import job_log, logged_to, note
from serving.jobs.nodes import open_shared_archive
from serving.jobs.runner import JobControl, JobRunner
from serving.settings import Settings
from serving.store import leases
from serving.store.acting import SERVICE, Actor, acting, present_actor
from serving.store.contract import Store
from serving.store.job_rows import Job, JobState
from serving.store.rows import ModelVersion
from serving.telemetry.context import bind
from serving.telemetry.logs import log_to_file
from serving.telemetry.metrics import Counts, absorb, counts, kind_of
from serving.telemetry.redaction import Redaction
from training.progress import NoProgress
from training.ray_tasks import TrainingStoppedError, Workers

Made = TypeVar("Made")

logger = logging.getLogger(__name__)

_POLL_S = 0.5
_ANSWER_S = 2.0
_RECORDED_POLL_S = 0.2


class _Progress(NoProgress):  # whoever stops it kills the process
    done = 0.0

    def report(self, progress: float) -> None:
        self.done = progress


class Trainer:
    """Learns, or names the archive again, in its own process, and tells how far it is meanwhile."""

    def __init__(self) -> None:
        self._progress = _Progress()

    def run(self, settings: Settings, job: Job) -> Counts:
        """Do a job; return what was counted: this process does not live long enough to be asked."""
        _log_beside_serve(settings, job)
        archive = open_shared_archive(settings)
        try:
            with (
                bind(job_id=job.job_id, project=job.project),
                logged_to(job_log(archive.files, job.project, job.job_id)),
            ):
                try:
                    self._do(settings, archive, job)
                except Exception as error:
                    logger.warning("failed: %s", error)
                    raise
        finally:
            archive.store.close()
        return counts()

    def _do(self, settings: Settings, archive: Archive, job: Job) -> None:
        embedding = settings.analysis.embedding
        with acting(Actor(job.submitted_by or SERVICE.name, job.job_id)):
            if job.kind == name_again.KIND:
                name_again.name_again_as_job(archive, job, NamingWork(self._progress))
            elif job.kind == "second_set":
                prepare_second_set(archive, job.project, job.spec["embedder"], embedding, progress=self._progress)
            else:
                train(archive, job.project, TrainingConfig(**job.spec), progress=self._progress, embedding=embedding)

    def progress(self) -> float:
        """Return the fraction that is done."""
        return self._progress.done


def _log_beside_serve(settings: Settings, job: Job) -> None:
    node: Any = getattr(ray._private.worker, "_global_node", None)
    if node is not None:
        folder = Path(node.get_logs_dir_path()) / "serve"
        log_to_file(Redaction.of(settings), folder / f"apart_{kind_of(job.kind)}_{os.getpid()}.log")


def run_apart(settings: Settings, job: Job, control: JobControl) -> None:
    """Do a job of kind ``training``, whose spec is a `TrainingConfig`, ``second_set``, whose spec names an embedder, or ``identify``.

    Raises
    ------
    FacerecError
        What the work raises.
    TrainingStoppedError
        If the job was cancelled or lost. Its process is killed; a version, or an edit, is there whole or not at all.
    """
    files = Files.at(settings.home, settings.files)
    # It asks for no CPU: beside a service that has reserved them all it would wait for ever.
    actor: Any = ray.remote(num_cpus=0, max_restarts=0)(Trainer)
    trainer = actor.options(max_concurrency=2).remote()
    try:
        done = trainer.run.remote(settings, job)
        while not ray.wait([done], timeout=_POLL_S)[0]:
            if control.should_stop():
                note(files, job.project, job.job_id, "stopped")
                raise TrainingStoppedError(f"the job {job.job_id} was stopped")
            try:
                control.report(ray.get(trainer.progress.remote(), timeout=_ANSWER_S))
            except GetTimeoutError:
                continue  # it is busy in one long step
        absorb(ray.get(done))
    except RayTaskError as error:  # its text is a traceback
        raise error.cause from error
    finally:
        ray.kill(trainer)
    control.report(1.0)


def train_recorded(
    archive: Archive,
    project: str,
    job_id: str,
    settings: Settings,
    config: TrainingConfig,
    workers: Workers,
) -> ModelVersion:
    """Train as a job in the store; see `record`."""
    embedding = settings.analysis.embedding

    def work(_job: Job, control: JobControl) -> ModelVersion:
        return train(archive, project, config, workers=workers, progress=control, embedding=embedding)

    return record(archive, project, job_id, "training", config.model_dump(), work)


def record(
    archive: Archive,
    project: str,
    job_id: str,
    kind: str,
    spec: dict[str, Any],
    work: Callable[[Job, JobControl], Made],
) -> Made:
    """Work, in this process, as a job in the store, which others can watch and cancel; its log is a file under the home.

    A job of this id that was left behind by a process that died is taken up again.

    Raises
    ------
    ConflictError
        If there is another job of this id, or one that has ended.
    TrainingStoppedError
        If it was cancelled.
    """
    # A kind of its own: the runners of a service must not take it.
    kind = f"{kind}:{job_id}"
    _submit(archive.store, project, job_id, kind, spec)
    made: list[Made] = []
    failed: list[Exception] = []

    def logged(job: Job, control: JobControl) -> None:
        try:
            with logged_to(job_log(archive.files, project, job_id)):
                made.append(work(job, control))
        except FacerecError as error:
            failed.append(error)
            raise

    runner = JobRunner(archive.store, {kind: logged}, slots=1, poll_s=_RECORDED_POLL_S)
    runner.start()
    try:
        while not (job := archive.store.get_job(job_id)).state.is_final:
            time.sleep(_RECORDED_POLL_S)
    except KeyboardInterrupt:
        leases.cancel(archive.store, job_id)
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


def _submit(store: Store, project: str, job_id: str, kind: str, spec: dict[str, Any]) -> None:
    try:
        there = store.get_job(job_id)
    except JobNotFoundError:
        now = time.time()
        submitter = present_actor().name
        store.submit_job(Job(job_id, project, kind, JobState.QUEUED, spec, now, now, submitted_by=submitter))
        return
    if there.kind != kind or there.project != project or there.state.is_final:
        raise ConflictError(
            f"there is a job {job_id!r} already, of kind {there.kind!r} in project {there.project!r}, {there.state}: "
            f"choose another id, as in --job-id {kind.partition(':')[0]}-{uuid.uuid4().hex[:8]}"
        )

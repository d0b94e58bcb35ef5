"""Naming the archive again as a job: what a request may ask for, the work, and what it has changed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from facerec_models.errors import ConflictError
from facerec_models.files import write_atomically
from serving.archive.handle import Archive
from serving.archive.naming.identify import identify_archive
from serving.archive.naming.preview import IdentificationChange
from serving.archive.naming.whole_archive import NamingWork
from serving.jobs import runner as jobs
from serving.settings import Settings
from serving.store.conflicts import require_version
from serving.store.contract import Store
from serving.store.job_rows import Job, JobState

KIND = "identify"


@dataclass(frozen=True, slots=True)
class NamingRequest:
    """What naming the archive again is asked for; see `serving.archive.naming.identify.identify_archive`."""

    max_false_names: float | None = None
    model_version: str | None = None
    preview: bool = False
    expected: int | None = None


def submit_naming(archive: Archive, settings: Settings, project: str, asked: NamingRequest) -> Job:
    """Queue naming the archive again.

    Raises
    ------
    ModelNotFoundError
        If there is no such version.
    ConflictError
        If the project is not at the expected version.
    BusyError
        If too many jobs wait already.
    """
    if asked.expected is not None:
        require_version(project, asked.expected, archive.store.get_project(project).version)
    if asked.model_version is not None:
        archive.store.get_model(project, asked.model_version)
    return jobs.submit(archive.store, project, KIND, asdict(asked), max_queued=settings.max_queued_jobs)


def name_again_as_job(archive: Archive, job: Job, work: NamingWork) -> IdentificationChange | None:
    """Do a job of kind ``identify``, whose spec is a `NamingRequest`.

    Where a process dies, another one begins again; what was applied is not applied a second time.

    Returns
    -------
    IdentificationChange or None
        None where it was applied already.

    Raises
    ------
    ModelNotFoundError, ConflictError, TrainingStoppedError
        As `identify_archive` does.
    """
    if _edit_of(archive.store, job) is not None:
        return None

    def tell(change: IdentificationChange) -> None:
        # Before it is applied: what is applied can be told.
        write_atomically(archive.files.job_change(job.project, job.job_id), json.dumps(change.to_dict()).encode())

    asked = NamingRequest(**job.spec)
    return identify_archive(archive, job.project, **asdict(asked), work=work, note=_note(job), on_worked_out=tell)


def is_naming(job: Job) -> bool:
    """Whether a job names the archive again: in a service, or as a recorded command."""
    return job.kind.partition(":")[0] == KIND


def change_of(archive: Archive, job: Job) -> dict[str, Any]:
    """Return what a job of kind ``identify`` has changed, or would change.

    Raises
    ------
    ConflictError
        If it has not succeeded, or a person was forgotten since: they may be named in it.
    """
    if job.state is not JobState.SUCCEEDED:
        raise ConflictError(f"job {job.job_id} is an {KIND} job that is {job.state.value}: it has no result")
    number = _edit_of(archive.store, job)
    try:
        change: dict[str, Any] = json.loads(archive.files.job_change(job.project, job.job_id).read_bytes())
    except FileNotFoundError as error:
        raise ConflictError(
            f"what job {job.job_id} has changed is not told any more, because a person was forgotten since: "
            "'facerec history list' shows all edits"
        ) from error
    return {**change, "applied": number is not None, "edit": number}


def _edit_of(store: Store, job: Job) -> int | None:
    """Return the number of the edit that a job has applied."""
    return next((row.number for row in store.list_edits(job.project) if row.note == _note(job)), None)


def _note(job: Job) -> str:
    return f"job {job.job_id}"

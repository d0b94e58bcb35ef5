"""Durable jobs in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import fields
from sqlite3 import Connection

from facerec_models.errors import ConflictError, JobNotFoundError
from serving.store.codecs import encode
from serving.store.job_rows import LONGEST_LEASE_S, LONGEST_WAIT_S, Job, JobState
from serving.store.sqlite.database import Database, require_project, select, select_one

_FIELDS = [field.name for field in fields(Job)]
_COLUMNS = ", ".join(_FIELDS)
_VALUES = ", ".join(f":{name}" for name in [*_FIELDS, "due_at"])


class SqliteJobs:
    """The part of a `Store` that is about jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit_job(self, job: Job) -> Job:
        """Add a job in state ``queued``, or return the one that has this id or key already."""
        if job.state is not JobState.QUEUED:
            raise ValueError(f"job {job.job_id} must be submitted as queued, not as {job.state}")
        with self._database.writing() as db:
            require_project(db, job.project)
            db.execute(
                f"INSERT INTO jobs ({_COLUMNS}, due_at) VALUES ({_VALUES}) ON CONFLICT DO NOTHING",  # noqa: S608
                _record(job),
            )
            there = select(
                db,
                Job,
                f"SELECT {_COLUMNS} FROM jobs WHERE job_id = ? OR key = ? ORDER BY job_id != ?",  # noqa: S608
                (job.job_id, job.key, job.job_id),
            )
            return there[0]

    def find_job(self, key: str) -> Job | None:
        """Return the job that has this key, if there is one."""
        with self._database.reading() as db:
            found = select(db, Job, f"SELECT {_COLUMNS} FROM jobs WHERE key = ?", (key,))  # noqa: S608
            return found[0] if found else None

    def get_job(self, job_id: str) -> Job:
        """Return a job; raise `JobNotFoundError` if there is none."""
        with self._database.reading() as db:
            missing = JobNotFoundError(f"no job {job_id!r}")
            return select_one(db, Job, f"SELECT {_COLUMNS} FROM jobs WHERE job_id = ?", (job_id,), missing)  # noqa: S608

    def list_jobs(
        self,
        project: str | None = None,
        states: Sequence[JobState] = (),
        *,
        after: Job | None = None,
        limit: int | None = None,
    ) -> list[Job]:
        """Return jobs, oldest first; at most `limit` of those that come after one of them."""
        with self._database.reading() as db:
            if project is not None:
                require_project(db, project)
            return select(
                db,
                Job,
                f"""SELECT {_COLUMNS} FROM jobs WHERE (:project IS NULL OR project = :project)
                AND (:states = '[]' OR state IN (SELECT value FROM json_each(:states)))
                AND (:after IS NULL OR (created_at, job_id) > (:since, :after))
                ORDER BY created_at, job_id LIMIT :limit""",  # noqa: S608
                {
                    "project": project,
                    "states": json.dumps(states),
                    "since": after.created_at if after else 0.0,
                    "after": after.job_id if after else None,
                    "limit": -1 if limit is None else limit,
                },
            )

    def count_jobs(self, states: Sequence[JobState]) -> int:
        """Return how many jobs are in one of these states."""
        query = "SELECT count(*) FROM jobs WHERE state IN (SELECT value FROM json_each(?))"
        with self._database.reading() as db:
            (count,) = db.execute(query, (json.dumps(states),)).fetchone()
            return int(count)

    def find_due_jobs(self, kinds: Sequence[str], now: float, limit: int) -> list[str]:
        """Return ids of jobs of which somebody may claim something: those of high priority first, then the oldest."""
        with self._database.reading() as db:
            found = db.execute(
                """SELECT job_id FROM jobs WHERE kind IN (SELECT value FROM json_each(:kinds)) AND (
                    due_at <= :now OR due_at > :last_lease AND (owner IS NOT NULL OR due_at > :last_wait)
                ) ORDER BY priority DESC, created_at, job_id LIMIT :limit""",
                {
                    "kinds": json.dumps(kinds),
                    "now": now,
                    "last_lease": now + LONGEST_LEASE_S,
                    "last_wait": now + LONGEST_WAIT_S,
                    "limit": limit,
                },
            )
            return [job_id for (job_id,) in found]

    def update_job(self, job_id: str, change: Callable[[Job], Job | None]) -> Job | None:
        """Replace a job by what `change` makes of it, and return that; None if there is no job, or nothing to change."""
        try:
            with self._database.writing() as db:
                return _update(db, job_id, change)
        except sqlite3.IntegrityError as error:
            raise ConflictError(f"another job has the key of job {job_id}") from error


def _update(db: Connection, job_id: str, change: Callable[[Job], Job | None]) -> Job | None:
    found = select(db, Job, f"SELECT {_COLUMNS} FROM jobs WHERE job_id = ?", (job_id,))  # noqa: S608
    changed = change(found[0]) if found else None
    if changed is not None:
        db.execute(
            f"UPDATE jobs SET ({_COLUMNS}, due_at) = ({_VALUES}) WHERE job_id = :job_id",  # noqa: S608
            _record(changed),
        )
    return changed


def _record(job: Job) -> dict[str, object]:
    return {**{name: encode(name, getattr(job, name)) for name in _FIELDS}, "due_at": job.due_at}

"""Durable jobs in SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence

from facerec_models.errors import ConflictError
from serving.store.codecs import columns_of, encode_row
from serving.store.job_rows import LONGEST_LEASE_S, LONGEST_WAIT_S, Job, JobState
from serving.store.shared_access import log
from serving.store.sqlite.database import SqliteDatabase, SqliteTransaction

_COLUMNS = ", ".join(columns_of(Job))
_VALUES = ", ".join(f":{name}" for name in [*columns_of(Job), "due_at"])


class SqliteJobs:
    """The part of a `Store` that is about jobs."""

    _database: SqliteDatabase

    def submit_job(self, job: Job) -> Job:
        """Add a job in state ``queued``, or return the one that has this id or key already."""
        if job.state is not JobState.QUEUED:
            raise ValueError(f"job {job.job_id} must be submitted as queued, not as {job.state}")
        with self._database.writing(job.project) as tx:
            added = tx.execute(
                f"INSERT INTO jobs ({_COLUMNS}, due_at) VALUES ({_VALUES}) ON CONFLICT DO NOTHING",  # noqa: S608
                _record(job),
            ).rowcount
            if added:
                log(tx, job.project, "job-queued", job.job_id, kind=job.kind, video_id=job.video_id)
            there = tx.read(
                Job,
                f"SELECT {_COLUMNS} FROM jobs WHERE job_id = ? OR key = ? ORDER BY job_id != ?",  # noqa: S608
                (job.job_id, job.key, job.job_id),
            )
            return there[0]

    def find_due_jobs(self, kinds: Sequence[str], now: float, limit: int) -> list[str]:
        """Return ids of jobs of which a runner may claim something: those of high priority first, then the oldest."""
        with self._database.reading() as tx:
            found = tx.execute(
                """SELECT job_id FROM jobs WHERE kind IN (SELECT value FROM json_each(:kinds)) AND (
                    due_at <= :now OR due_at > :last_lease AND (owner IS NOT NULL OR state = 'queued' OR due_at > :last_wait)
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
            with self._database.writing() as tx:
                return _update(tx, job_id, change)
        except sqlite3.IntegrityError as error:
            raise ConflictError(f"another job has the key of job {job_id}") from error


def _update(tx: SqliteTransaction, job_id: str, change: Callable[[Job], Job | None]) -> Job | None:
    found = tx.select(Job, {"job_id": job_id})
    changed = change(found[0]) if found else None
    if changed is not None:
        tx.execute(
            f"UPDATE jobs SET ({_COLUMNS}, due_at) = ({_VALUES}) WHERE job_id = :job_id",  # noqa: S608
            _record(changed),
        )
    return changed


def _record(job: Job) -> dict[str, object]:
    return {**encode_row(job), "due_at": job.due_at}

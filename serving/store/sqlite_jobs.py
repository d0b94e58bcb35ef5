"""Durable jobs in SQLite: a queue with leases."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

from facerec_models.errors import JobNotFoundError
from serving.store.database import Database, insert, require_project, select, select_one
from serving.store.rows import Job, JobState


def _segments(state: str) -> str:
    """Return the SQL of a job's segments where those that have not ended take a state, itself given as SQL."""
    return f"""(SELECT json_group_array(iif(json_extract(value, '$.state') IN ('queued', 'running'),
        json_set(value, '$.state', {state}), json(value))) FROM json_each(segments))"""  # noqa: S608


class SqliteJobs:
    """The part of a `Store` that is about jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit_job(self, job: Job) -> None:
        """Add a job in state ``queued``. The same id again changes nothing."""
        if job.state is not JobState.QUEUED:
            raise ValueError(f"job {job.job_id} is submitted as {job.state}, not as queued")
        with self._database.writing() as db:
            require_project(db, job.project)
            insert(db, [job], Job, replace=False)

    def get_job(self, job_id: str) -> Job:
        """Return a job; raise `JobNotFoundError` if there is none."""
        with self._database.reading() as db:
            return _job(db, job_id)

    def list_jobs(self, project: str | None = None, states: Sequence[JobState] = ()) -> list[Job]:
        """Return jobs, oldest first."""
        with self._database.reading() as db:
            if project is not None:
                require_project(db, project)
            return select(
                db,
                Job,
                """SELECT * FROM jobs WHERE (:project IS NULL OR project = :project)
                AND (:states = '[]' OR state IN (SELECT value FROM json_each(:states))) ORDER BY created_at, job_id""",
                {"project": project, "states": json.dumps(states)},
            )

    def claim_job(self, kind: str, owner: str, lease_s: float) -> Job | None:
        """Take the oldest job that is queued, or running with an expired lease; None if there is none.

        Atomic: of several callers at once exactly one gets a job. `attempt` grows by one. A job whose owner died after
        it was asked to stop is ended, not taken.
        """
        with self._database.writing() as db:
            now = time.time()  # not before: waiting for other writers would eat into the lease
            db.execute(
                f"""UPDATE jobs SET state = 'cancelled', segments = {_segments("'cancelled'")},
                owner = NULL, lease_until = 0, updated_at = :now
                WHERE kind = :kind AND state = 'running' AND lease_until <= :now AND cancel_requested""",  # noqa: S608
                {"now": now, "kind": kind},
            )
            claimed = select(
                db,
                Job,
                """UPDATE jobs SET state = 'running', owner = :owner, lease_until = :until, updated_at = :now,
                attempt = attempt + 1 WHERE job_id = (
                    SELECT job_id FROM jobs
                    WHERE kind = :kind AND (state = 'queued' OR state = 'running' AND lease_until <= :now)
                    ORDER BY created_at, job_id LIMIT 1
                ) RETURNING *""",
                {"now": now, "kind": kind, "owner": owner, "until": now + lease_s},
            )
        return claimed[0] if claimed else None

    def renew_job(
        self, job_id: str, owner: str, lease_s: float, *, progress: float, segments: Sequence[dict[str, Any]]
    ) -> bool:
        """Extend the lease and record progress; False if the job is no longer the owner's or was cancelled."""
        with self._database.writing() as db:
            now = time.time()
            renewed = db.execute(
                """UPDATE jobs SET lease_until = ?, updated_at = ?, progress = ?, segments = ?
                WHERE job_id = ? AND owner = ? AND state = 'running' AND NOT cancel_requested""",
                (now + lease_s, now, progress, json.dumps(segments), job_id, owner),
            )
            return renewed.rowcount == 1

    def finish_job(
        self, job_id: str, owner: str, state: JobState, *, error: str | None = None, video_id: str | None = None
    ) -> bool:
        """End a job; False, and nothing written, if it is no longer the owner's."""
        if not state.is_final:
            raise ValueError(f"job {job_id} cannot end as {state}")
        ending = {"job": job_id, "owner": owner, "state": state, "error": error, "video": video_id, "now": time.time()}
        with self._database.writing() as db:
            finished = db.execute(
                f"""UPDATE jobs SET state = :state, error = :error, video_id = coalesce(:video, video_id),
                segments = {_segments(":state")},
                progress = iif(:state = 'succeeded', 1, progress), owner = NULL, lease_until = 0, updated_at = :now
                WHERE job_id = :job AND owner = :owner AND state = 'running'""",  # noqa: S608
                ending,
            )
            return finished.rowcount == 1

    def release_job(self, job_id: str, owner: str) -> None:
        """Give a job back to the queue, if it is the owner's: for a replica that shuts down."""
        state = "iif(cancel_requested, 'cancelled', 'queued')"
        with self._database.writing() as db:
            db.execute(
                f"""UPDATE jobs SET state = {state}, segments = {_segments(state)}, owner = NULL,
                lease_until = 0, updated_at = ? WHERE job_id = ? AND owner = ? AND state = 'running'""",  # noqa: S608
                (time.time(), job_id, owner),
            )

    def cancel_job(self, job_id: str) -> Job:
        """End a queued job at once, ask the owner of a running one to stop, leave a final one; return the row."""
        with self._database.writing() as db:
            db.execute(
                f"""UPDATE jobs SET state = iif(state = 'queued', 'cancelled', state), cancel_requested = 1,
                segments = iif(state = 'queued', {_segments("'cancelled'")}, segments), updated_at = ?
                WHERE job_id = ? AND state IN ('queued', 'running')""",  # noqa: S608
                (time.time(), job_id),
            )
            return _job(db, job_id)


def _job(db: Connection, job_id: str) -> Job:
    missing = JobNotFoundError(f"no job {job_id!r}")
    return select_one(db, Job, "SELECT * FROM jobs WHERE job_id = ?", (job_id,), missing)

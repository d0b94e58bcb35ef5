"""Durable jobs in MongoDB: a queue with leases.

Each change of a job replaces one document, on the condition that nobody has changed it since it was read: of several who
want the same job at once exactly one gets it, without a transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from facerec_models.errors import JobNotFoundError
from serving.store.database import decode_row, encode_row
from serving.store.mongo_database import Document, MongoDatabase, require_project
from serving.store.rows import Job, JobState

# Whoever finds the first of the queue taken goes on with the next instead of asking again.
_CANDIDATES = 16


class MongoJobs:
    """The part of a `Store` that is about jobs."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    def submit_job(self, job: Job) -> None:
        """Add a job in state ``queued``. The same id again changes nothing."""
        if job.state is not JobState.QUEUED:
            raise ValueError(f"job {job.job_id} is submitted as {job.state}, not as queued")
        with self._database.writing(job.project) as tx:
            tx.put_new(job)

    def get_job(self, job_id: str) -> Job:
        """Return a job; raise `JobNotFoundError` if there is none."""
        with self._database.reading() as tx:
            return tx.select_one(Job, {"job_id": job_id}, JobNotFoundError(f"no job {job_id!r}"))

    def list_jobs(self, project: str | None = None, states: Sequence[JobState] = ()) -> list[Job]:
        """Return jobs, oldest first."""
        where: Document = {} if project is None else {"project": project}
        if states:
            where["state"] = {"$in": [str(state) for state in states]}
        with self._database.reading() as tx:
            if project is not None:
                require_project(tx, project)
            return tx.select(Job, where, ("created_at", "job_id"))

    def claim_job(self, kind: str, owner: str, lease_s: float) -> Job | None:
        """Take the oldest job that is queued, or running with an expired lease; None if there is none.

        Atomic: of several callers at once exactly one gets a job. `attempt` grows by one. A job whose owner died after
        it was asked to stop is ended, not taken.
        """
        expired = {"kind": kind, "state": "running", "lease_until": {"$lte": time.time()}}
        for document in self._find({**expired, "cancel_requested": True}):
            self._change({"_id": document["_id"], **expired}, _cancelled)
        claimable = {"kind": kind, "$or": [{"state": "queued"}, expired]}
        while candidates := self._find(claimable, limit=_CANDIDATES):
            for document in candidates:
                claimed = self._write(document, lambda job: _claimed(job, owner, lease_s))
                if claimed is not None:
                    return claimed
        return None

    def renew_job(
        self, job_id: str, owner: str, lease_s: float, *, progress: float, segments: Sequence[dict[str, Any]]
    ) -> bool:
        """Extend the lease and record progress; False if the job is no longer the owner's or was cancelled."""

        def renewed(job: Job) -> Job:
            return replace(job, lease_until=time.time() + lease_s, progress=progress, segments=tuple(segments))

        return self._change({**_owned(job_id, owner), "cancel_requested": False}, renewed) is not None

    def finish_job(
        self, job_id: str, owner: str, state: JobState, *, error: str | None = None, video_id: str | None = None
    ) -> bool:
        """End a job; False, and nothing written, if it is no longer the owner's."""
        if not state.is_final:
            raise ValueError(f"job {job_id} cannot end as {state}")

        def finished(job: Job) -> Job:
            progress = 1.0 if state is JobState.SUCCEEDED else job.progress
            return _left(replace(job, error=error, video_id=video_id or job.video_id, progress=progress), state)

        return self._change(_owned(job_id, owner), finished) is not None

    def release_job(self, job_id: str, owner: str) -> None:
        """Give a job back to the queue, if it is the owner's: for a replica that shuts down."""

        def released(job: Job) -> Job:
            return _left(job, JobState.CANCELLED if job.cancel_requested else JobState.QUEUED)

        self._change(_owned(job_id, owner), released)

    def cancel_job(self, job_id: str) -> Job:
        """End a queued job at once, ask the owner of a running one to stop, leave a final one; return the row."""

        def stopped(job: Job) -> Job:
            asked = replace(job, cancel_requested=True)
            return _cancelled(asked) if job.state is JobState.QUEUED else asked

        changed = self._change({"job_id": job_id, "state": {"$in": ["queued", "running"]}}, stopped)
        return self.get_job(job_id) if changed is None else changed

    def _find(self, where: Mapping[str, Any], *, limit: int = 0) -> list[Document]:
        with self._database.single("jobs") as jobs:
            return list(jobs.find(where, sort=[("created_at", 1), ("job_id", 1)], limit=limit))

    def _change(self, where: Mapping[str, Any], change: Callable[[Job], Job]) -> Job | None:
        """Change the job that is found, whoever else changes it meanwhile; None if there is none."""
        while found := self._find(where, limit=1):
            written = self._write(found[0], change)
            if written is not None:
                return written
        return None

    def _write(self, document: Document, change: Callable[[Job], Job]) -> Job | None:
        """Change a job as it was read; None if somebody else has changed it since."""
        job = replace(change(decode_row(Job, document)), updated_at=time.time())
        writes = document.get("writes")
        with self._database.single("jobs") as jobs:
            done = jobs.update_one(
                {"_id": document["_id"], "writes": writes}, {"$set": encode_row(job), "$inc": {"writes": 1}}
            )
        return job if done.matched_count else None


def _owned(job_id: str, owner: str) -> Document:
    return {"job_id": job_id, "owner": owner, "state": "running"}


def _claimed(job: Job, owner: str, lease_s: float) -> Job:
    until = time.time() + lease_s
    return replace(job, state=JobState.RUNNING, owner=owner, lease_until=until, attempt=job.attempt + 1)


def _cancelled(job: Job) -> Job:
    return _left(job, JobState.CANCELLED)


def _left(job: Job, state: JobState) -> Job:
    """Return a job that nobody works on; what had not ended of its segments takes its state."""
    open_states = (JobState.QUEUED, JobState.RUNNING)
    segments = tuple(
        {**segment, "state": str(state)} if segment.get("state") in open_states else segment for segment in job.segments
    )
    return replace(job, state=state, segments=segments, owner=None, lease_until=0.0)

"""Durable jobs in MongoDB."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pymongo.errors import DuplicateKeyError

from facerec_models.errors import ConflictError
from serving.store.codecs import decode_row, encode_row
from serving.store.job_rows import LONGEST_LEASE_S, LONGEST_WAIT_S, Job, JobState
from serving.store.mongo.database import MongoDatabase, MongoDocument, MongoTransaction
from serving.store.shared_access import log


class MongoJobs:
    """The part of a `Store` that is about jobs.

    A change replaces one document on the condition that nobody has changed it since it was read: of several who want the
    same job at once exactly one gets it, without a transaction.
    """

    _database: MongoDatabase

    def submit_job(self, job: Job) -> Job:
        """Add a job in state ``queued``, or return the one that has this id or key already."""
        if job.state is not JobState.QUEUED:
            raise ValueError(f"job {job.job_id} must be submitted as queued, not as {job.state}")
        same = [{"job_id": job.job_id}, *([] if job.key is None else [{"key": job.key}])]
        while True:
            try:
                with self._database.writing(job.project) as tx:
                    for where in same:
                        for there in tx.select(Job, where):
                            return there
                    tx.insert_one("jobs", _document(job))
                    log(tx, job.project, "job-queued", job.job_id, kind=job.kind, video_id=job.video_id)
                    return job
            except DuplicateKeyError:  # the same key in another project, at the same moment
                continue

    def find_due_jobs(self, kinds: Sequence[str], now: float, limit: int) -> list[str]:
        """Return ids of jobs of which a runner may claim something: those of high priority first, then the oldest."""
        due: list[MongoDocument] = [
            {"due_at": {"$lte": now}},
            {
                "due_at": {"$gt": now + LONGEST_LEASE_S},
                "$or": [{"owner": {"$ne": None}}, {"state": JobState.QUEUED.value}],
            },
            {"due_at": {"$gt": now + LONGEST_WAIT_S}, "owner": None},
        ]
        where: MongoDocument = {"kind": {"$in": list(kinds)}, "$or": due}
        order = [("priority", -1), ("created_at", 1), ("job_id", 1)]
        with self._database.single("jobs") as jobs:
            return [row["job_id"] for row in jobs.find(where, ["job_id"], sort=order, limit=limit)]

    def update_job(self, job_id: str, change: Callable[[Job], Job | None]) -> Job | None:
        """Replace a job by what `change` makes of it, and return that; None if there is no job, or nothing to change."""
        with self._database.single("jobs") as jobs:
            while (found := jobs.find_one({"job_id": job_id})) is not None:
                changed = change(decode_row(Job, found))
                if changed is None:
                    return None
                as_read = {"_id": found["_id"], "writes": found["writes"]}
                written = {**_document(changed), "writes": found["writes"] + 1}
                try:
                    if jobs.update_one(as_read, {"$set": written}).matched_count:
                        return changed
                except DuplicateKeyError as error:
                    raise ConflictError(f"another job has the key of job {job_id}") from error
        return None


def forget_submissions(tx: MongoTransaction, project: str, video_id: str) -> None:
    """Let the same submission of a video be a new job."""
    for found in list(tx.find("jobs", {"project": project, "video_id": video_id}, columns=["_id", "writes"])):
        tx.update("jobs", {"_id": found["_id"]}, {"key": None, "writes": found["writes"] + 1})


def _document(job: Job) -> MongoDocument:
    return {**encode_row(job), "due_at": job.due_at, "writes": 0}

"""What the store keeps of long work: jobs, their segments, and whom to tell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

# No lease is longer, and no webhook waits longer: what ends later was written by a clock that was wrong.
LONGEST_LEASE_S = 300.0
LONGEST_WAIT_S = 3900.0


class JobState(StrEnum):
    """Where a job is; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing will happen to the job any more."""
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class JobSegment:
    """A part of a job, which one of several runners does.

    Parameters
    ----------
    start_s, end_s : float
        Which part of the video; an end of None is that of the video.
    first, end : int or None
        Its first frame, and the one after its last; None where the video is analysed in one piece.
    owner, lease_until, attempt, error
        As in `Job`.
    """

    index: int
    start_s: float
    end_s: float | None
    first: int | None = None
    end: int | None = None
    state: JobState = JobState.QUEUED
    progress: float = 0.0
    owner: str | None = None
    lease_until: float = 0.0
    attempt: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """The address that is told when a job ends.

    Parameters
    ----------
    due_at : float or None
        When to try, in seconds since the epoch; None before the job has ended, and after the last try.
    error : str or None
        Why the last try failed.
    delivered_at : float or None
        When it was delivered.
    """

    url: str
    due_at: float | None = None
    attempt: int = 0
    error: str | None = None
    delivered_at: float | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """Long work as a row: who does it, until when their lease holds, and how far it is.

    Parameters
    ----------
    kind : str
        ``fetch``, which becomes ``video``, ``video``, ``training``, ``second_set``, ``identify``, ``crawl`` or ``rendition``.
    spec : dict
        What to do, as JSON values.
    segments : tuple of JobSegment
        Parts of the job, once they are planned.
    error : str or None
        Why the job failed; while it is not final, why the last attempt did.
    owner : str or None
        Who holds the lease, until `lease_until` (seconds since the epoch). Without an owner nobody takes it before then.
    attempt : int
        How often the job was claimed since a segment of it was last done.
    priority : int
        Higher ones are done first.
    key : str or None
        What makes another submission the same one; no two jobs have the same.
    submitted_by : str or None
        An `Actor.name`: what the job changes is that one's doing.
    """

    job_id: str
    project: str
    kind: str
    state: JobState
    spec: dict[str, Any]
    created_at: float
    updated_at: float
    progress: float = 0.0
    segments: tuple[JobSegment, ...] = ()
    error: str | None = None
    video_id: str | None = None
    owner: str | None = None
    lease_until: float = 0.0
    attempt: int = 0
    cancel_requested: bool = False
    priority: int = 0
    key: str | None = None
    webhook: Webhook | None = None
    submitted_by: str | None = None

    @property
    def due_at(self) -> float | None:
        """From when on a runner may claim something of the job, in seconds since the epoch; None if nothing is left.

        That is the job itself, one of its segments, or the delivery of its webhook.
        """
        if self.state is JobState.QUEUED:
            return self.lease_until
        if self.state.is_final:
            return self.webhook.due_at if self.webhook else None
        open_segments = () if self.cancel_requested else self.segments
        left = [segment.lease_until for segment in open_segments if not segment.state.is_final]
        return min([self.lease_until, *left])


def has_ended(until: float, now: float, longest_s: float = LONGEST_LEASE_S) -> bool:
    """Whether a lease, or a wait, is over: its end has come, or is so far away that it means nothing."""
    return not now < until <= now + longest_s


def read_segment(values: dict[str, Any]) -> JobSegment:
    """Return a segment of a job from its JSON values."""
    return JobSegment(**{**values, "state": JobState(values["state"])})

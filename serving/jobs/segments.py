"""The segments of a divided job: planned by its leader, done by whoever is free."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from serving.jobs.runner import JobControl
from serving.store import leases
from serving.store.job_rows import JobSegment, JobState


class JobSegments:
    """The segments of the job whose leader holds `control`."""

    def __init__(self, control: JobControl) -> None:
        self._control = control
        self._runner = control.runner

    def plan(self, segments: Sequence[JobSegment]) -> bool:
        """Divide the job, so that others can help; False if the work must end now."""
        return leases.plan(self._runner.store, self._control.claimed, segments)

    def reopen(self, indexes: Collection[int]) -> bool:
        """Let segments be done again whose work is lost; False if the work must end now."""
        return leases.reopen(self._runner.store, self._control.claimed, indexes)

    def work(self) -> tuple[JobSegment, ...] | None:
        """Work on the segments beside others, until all have succeeded or one has failed.

        Returns
        -------
        tuple of JobSegment or None
            None if the work must end now.
        """
        runner, job_id = self._runner, self._control.claimed.job.job_id
        while not self._control.should_stop():
            mine = leases.claim_segment(runner.store, job_id, runner.name, runner.lease_s)
            if mine is not None:
                runner.do(mine)
                continue
            segments = runner.store.get_job(job_id).segments
            states = {segment.state for segment in segments}
            if states <= {JobState.SUCCEEDED} or JobState.FAILED in states:
                return segments
            time.sleep(runner.poll_s / 4)
        return None

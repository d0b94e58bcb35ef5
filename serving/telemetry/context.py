"""What is being done right now, as ids: bound for a block, seen by log lines and by whoever asks, carried into threads.

`asyncio.to_thread` and the threads of sync routes copy the context in which they were started. A thread that was started before, as
those of `serving.jobs.runner.JobRunner`, binds what it works on itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

NAMES = ("request_id", "job_id", "video_id", "project", "key_id")
"""All ids there are."""

_bound: ContextVar[Mapping[str, str]] = ContextVar("facerec_ids", default=MappingProxyType({}))


@contextmanager
def bind(
    *,
    request_id: str | None = None,
    job_id: str | None = None,
    video_id: str | None = None,
    project: str | None = None,
    key_id: str | None = None,
) -> Iterator[None]:
    """Add ids to what is bound, until the block ends; None leaves what is bound.

    Examples
    --------
    >>> with bind(project="p"), bind(job_id="j-1", project=None):
    ...     bound_ids()
    {'project': 'p', 'job_id': 'j-1'}
    >>> bound_ids()
    {}
    """
    given = {"request_id": request_id, "job_id": job_id, "video_id": video_id, "project": project, "key_id": key_id}
    token = _bound.set({**_bound.get(), **{name: value for name, value in given.items() if value is not None}})
    try:
        yield
    finally:
        _bound.reset(token)


def bound_ids() -> dict[str, str]:
    """Return the ids that are bound here."""
    return dict(_bound.get())

"""Room on the disk of the home, watched before it is full: a store that cannot grow can tell nobody why."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from facerec_models.errors import ConflictError, PlaceError
from serving.settings import Settings

# Of what stays free, so much is for jobs that run, and for the store, which says how they ended.
_SHARE_OF_JOBS = 0.75


def free_bytes(settings: Settings) -> int:
    """Return how much the disk of the home has free; where there is none yet, that of the folder above it."""
    there = next(folder for folder in (settings.home, *settings.home.resolve().parents) if folder.exists())
    return shutil.disk_usage(there).free


def require_room(settings: Settings, more: int = 0) -> None:
    """Raise `PlaceError` if too little would stay free beside `more` bytes."""
    free, least = free_bytes(settings), settings.keeping.min_free_bytes
    if free - more < least:
        raise PlaceError(
            f"the disk of the archive has {free >> 20} MiB free{f', {more >> 20} MiB are to come' if more else ''}, and "
            f"{least >> 20} MiB stay free (FACEREC_KEEPING__MIN_FREE_BYTES): make room"
        )


def require_more(what: str, there: int, most: int, more: int = 1) -> None:
    """Raise `ConflictError` if an archive may not hold more of something."""
    if there + more > most:
        raise ConflictError(f"there are {there} {what}, and {most} are the most that FACEREC_KEEPING allows")


def has_room_for_jobs(settings: Settings) -> Callable[[], bool]:
    """Return what says whether another job may begin."""
    least = settings.keeping.min_free_bytes * (1 - _SHARE_OF_JOBS)
    return lambda: free_bytes(settings) >= least


def why_jobs_wait(settings: Settings) -> str | None:
    """Return what to say of jobs that have not ended while there is no room; None while there is."""
    if has_room_for_jobs(settings)():
        return None
    return f"the disk of the archive is full, {free_bytes(settings) >> 20} MiB are free: no job begins before there is room"

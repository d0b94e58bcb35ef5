"""Folders whose new videos are submitted by themselves, each to a project."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from facerec_models.errors import (
    BusyError,
    FacerecError,
    InputError,
    JobNotFoundError,
    PlaceError,
    ProjectNotFoundError,
    StoreError,
)
from facerec_models.names import short_id
from serving.archive.handle import Archive
from serving.archive.room import require_room
from serving.archive.videos import register_video
from serving.jobs.submit import submit_video
from serving.settings import Settings
from serving.store.contract import Store
from serving.store.job_rows import JobState

logger = logging.getLogger(__name__)

_PERIOD_S = 10.0
# What programs call a file that they are still writing.
_UNFINISHED = (".part", ".tmp", ".crdownload", ".filepart", ".!ut")


@dataclass(frozen=True, slots=True)
class _SettledFile:
    """A complete file of a watched folder, as it is now; its job has an id that only this file of this size and time has.

    The row of a job stays when the job fails or its video is deleted: it tells that the file was submitted, also after a restart.
    """

    path: Path
    size: int
    changed_at_ns: int

    def job_id(self, project: str) -> str:
        return short_id("j", "watched", project, self.path.as_uri(), str(self.size), str(self.changed_at_ns))


class FolderWatcher:
    """Looks into the folders of `Settings.watched` now and then, in a thread of its own.

    A file counts once it has not changed for `Settings.watched_settle_s`, and again when its size or its time of change is another. It
    stays where it is. One that is no video is told of in the log, and left until it changes. Of several processes on a machine one
    looks.
    """

    def __init__(self, archive: Archive, settings: Settings) -> None:
        self._archive = archive
        self._settings = settings
        # Jobs of files with which nothing is left to do.
        self._done: set[str] = set()
        self._created: set[str] = set()
        self._deleted: set[str] = set()
        self._troubles: set[str] = set()
        self._known_troubles: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watched-folders", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End looking."""
        self._stopping.set()

    def check_health(self) -> None:
        """Raise RuntimeError if the thread has died."""
        if not self._stopping.is_set() and not self._thread.is_alive():
            raise RuntimeError("nobody looks into the watched folders any more")

    def look(self) -> int:
        """Submit what is new and complete; return how many files that is.

        Each project is created at the first look, and not again: one that is deleted then is no longer watched for.

        Raises
        ------
        StoreError
            If the store does not answer.
        """
        count = 0
        self._known_troubles, self._troubles = self._troubles, set()
        for project, folder in self._settings.watched.items():
            if project in self._deleted:
                continue
            try:
                count += self._look_into(project, folder)
            except ProjectNotFoundError:
                self._deleted.add(project)
                logger.warning(
                    "project %r was deleted: %s is not watched any more, until the service starts again",
                    project,
                    folder,
                )
        return count

    def _look_into(self, project: str, folder: Path) -> int:
        store = self._archive.store
        if project in self._created:
            store.get_project(project)
        else:
            store.create_project(project)
            self._created.add(project)
        count = 0
        for file in self._settled(folder):
            try:
                count += self._submit(project, file)
            except (BusyError, PlaceError) as error:
                self._tell(f"files of {str(folder)!r} are submitted later: {error}")
                break
            except (StoreError, ProjectNotFoundError):
                raise
            except (FacerecError, OSError) as error:
                self._tell(f"{str(file.path)!r} of a watched folder is submitted later: {error}")
        return count

    def _watch(self) -> None:
        with _alone(self._archive.files.root / "watched.lock", self._stopping) as is_alone:
            while is_alone and not self._stopping.is_set():
                try:
                    self.look()
                except Exception:  # the next look may find the store again
                    logger.exception("the watched folders could not be looked into")
                self._stopping.wait(_PERIOD_S)

    def _submit(self, project: str, file: _SettledFile) -> bool:
        """Submit a file unless that was done; whether it was."""
        store, settings, job_id = self._archive.store, self._settings, file.job_id(project)
        if job_id in self._done:
            return False
        is_new = not _has_job(store, job_id)
        if is_new:
            waiting = store.count_jobs([JobState.QUEUED])
            if waiting >= settings.max_queued_jobs:  # to register a video is to read all of its file
                raise BusyError(f"{waiting} jobs wait, as many as FACEREC_MAX_QUEUED_JOBS allows")
            require_room(settings)
            try:
                video = register_video(store, project, file.path, settings.analysis)
                # With a key of its own: the job of another submission of the same would not have this id.
                submit_video(store, settings, video, settings.analysis.sampling, key=job_id, job_id=job_id)
            except (InputError, UnicodeError) as error:
                is_new = False
                logger.warning("%r of a watched folder is not submitted: %s", str(file.path), error)
        self._done.add(job_id)
        return is_new

    def _settled(self, folder: Path) -> Iterator[_SettledFile]:
        """Yield the files below a folder that are complete; what cannot be read is told of and left out."""
        now, top = time.time(), folder.resolve()
        for place, folders, names in os.walk(top, onerror=lambda error: self._tell(f"a watched folder: {error}")):
            folders.sort()
            for path in (Path(place, name) for name in sorted(names)):
                if path.name.startswith(".") or path.suffix.lower() in _UNFINISHED:
                    continue
                try:
                    status = path.stat()
                    is_inside = path.resolve().is_relative_to(top)
                except OSError as error:
                    self._tell(f"a file of a watched folder: {error}")
                    continue
                if not is_inside:
                    self._tell(f"{str(path)!r} leads out of its watched folder: it is not submitted")
                elif (
                    S_ISREG(status.st_mode)
                    and status.st_size
                    and now - status.st_mtime >= self._settings.watched_settle_s
                ):
                    yield _SettledFile(path, status.st_size, status.st_mtime_ns)

    def _tell(self, trouble: str) -> None:
        """Write a warning, unless the last look has met the same."""
        if trouble not in self._known_troubles | self._troubles:
            logger.warning("%s", trouble)
        self._troubles.add(trouble)


def _has_job(store: Store, job_id: str) -> bool:
    try:
        store.get_job(job_id)
    except JobNotFoundError:
        return False
    return True


@contextmanager
def _alone(lock: Path, stopping: threading.Event) -> Iterator[bool]:
    """Wait until no other process of this machine holds a lock, and hold it; False where it is to stop before."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        while not stopping.is_set():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stopping.wait(_PERIOD_S)
            else:
                break
        yield not stopping.is_set()

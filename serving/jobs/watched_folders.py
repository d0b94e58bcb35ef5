"""Folders whose new videos are submitted by themselves, each to a project."""

from __future__ import annotations

import fcntl
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facerec_models.errors import FacerecError, InputError
from serving.archive.handle import Archive
from serving.archive.videos import register_video
from serving.jobs.submit import submit_video
from serving.settings import Settings

logger = logging.getLogger(__name__)

_PERIOD_S = 10.0
# What programs call a file that they are still writing.
_UNFINISHED = (".part", ".tmp", ".crdownload", ".filepart", ".!ut")

Stamp = tuple[int, int]


class FolderWatcher:
    """Looks into the folders of `Settings.watched` now and then, in a thread of its own.

    A file counts once it has not changed for `Settings.watched_settle_s`. It stays where it is. One that is no video is told of in the
    log, and left until it changes. Of several processes on a machine one looks.
    """

    def __init__(self, archive: Archive, settings: Settings) -> None:
        self._archive = archive
        self._settings = settings
        self._seen: dict[Path, Stamp] = {}
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

        Raises
        ------
        StoreError
            If the store does not answer.
        """
        count = 0
        for project, folder in self._settings.watched.items():
            self._archive.store.create_project(project)
            count += sum(
                self._submit(project, file, stamp) for file, stamp in _settled(folder, self._settings.watched_settle_s)
            )
        return count

    def _watch(self) -> None:
        with _alone(self._archive.files.root / "watched.lock", self._stopping) as is_alone:
            while is_alone and not self._stopping.is_set():
                try:
                    self.look()
                except Exception:  # the next look may find the store, or the folder, again
                    logger.exception("the watched folders could not be looked into")
                self._stopping.wait(_PERIOD_S)

    def _submit(self, project: str, file: Path, stamp: Stamp) -> bool:
        """Submit a file unless that was done since it changed; whether it was."""
        if self._seen.get(file) == stamp:
            return False
        store = self._archive.store
        known = store.find_videos(project, uri=file.as_uri())
        if not any(video.created_at * 1e9 > stamp[1] for video in known):
            try:
                video = register_video(store, project, file, self._settings.analysis)
                submit_video(store, self._settings, video, self._settings.analysis.sampling)
            except InputError as error:
                logger.warning("%s of a watched folder is not submitted: %s", file, error)
            except FacerecError as error:
                logger.warning("%s of a watched folder is submitted later: %s", file, error)
                return False
        self._seen[file] = stamp
        return not known


def _settled(folder: Path, settle_s: float) -> Iterator[tuple[Path, Stamp]]:
    """Yield the files below a folder that are complete, with their sizes and times of change in nanoseconds."""
    now = time.time()
    for path in sorted(folder.resolve().rglob("*")):
        if path.name.startswith(".") or path.suffix.lower() in _UNFINISHED or not path.is_file():
            continue
        status = path.stat()
        if status.st_size and now - status.st_mtime >= settle_s:
            yield path, (status.st_size, status.st_mtime_ns)


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

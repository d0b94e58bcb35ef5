"""Renditions: videos as browsers play them, kept once for all projects that have the content, up to a limit."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from facerec_models.errors import ProjectNotFoundError, VideoNotFoundError
from facerec_models.files import UNFINISHED, writing_to
from serving.archive.files import Files
from serving.store.contract import Store
from serving.store.rows import VideoRow

# What was played within this time is not removed to make room.
_IN_USE_S = 3600.0
# A player asks for many ranges: the time is written down this often.
_PLAYED_STEP_S = 60.0
_LOCK_PERIOD_S = 0.2


@dataclass(frozen=True, slots=True)
class Renditions:
    """The folder of renditions, which several processes use at once.

    A file's time of access is that of the last play. The time of change stays, for players tell by it that the file is the same.

    Parameters
    ----------
    files : Files
    max_kept_bytes : int
    """

    files: Files
    max_kept_bytes: int

    def find(self, sha256: str, stream: int) -> Path | None:
        """Return the rendition of a content's picture track, if it is there."""
        file = self.files.rendition(sha256, stream)
        return file if file.is_file() else None

    def play(self, sha256: str, stream: int) -> Path | None:
        """Return the rendition as `find` does; it counts as played now."""
        file = self.files.rendition(sha256, stream)
        with suppress(FileNotFoundError):  # it was removed just now, or was never there
            _note_play(file)
            return file
        return None

    def make(self, sha256: str, stream: int, write: Callable[[Path], object], pause: Callable[[float], object]) -> Path:
        """Return the rendition, which is written first if it is not there; others who want the same wait meanwhile.

        Parameters
        ----------
        write : callable
            Writes it to a path, whole or not at all.
        pause : callable
            Waits some seconds, and raises when that must end.

        Raises
        ------
        PlaceError
            If the folder cannot be written.
        """
        file = self.files.rendition(sha256, stream)
        with writing_to(file.parent):
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(file.with_name(f".{file.name}.lock{UNFINISHED}"), pause):
            if not file.is_file():
                write(file)
                _note_play(file)
        self.make_room()
        return file

    def make_room(self) -> int:
        """Remove what was not played for longest while more is kept than may be; return how many files.

        What was played or made within the last hour stays, even if that is more.
        """
        kept = sorted((status.st_atime, file, status.st_size) for file, status in self._kept())
        surplus = sum(size for _, _, size in kept) - self.max_kept_bytes
        removed = 0
        for played_at, file, size in kept:
            if surplus <= 0 or played_at > time.time() - _IN_USE_S:
                break
            file.unlink(missing_ok=True)
            surplus -= size
            removed += 1
        return removed

    def _kept(self) -> Iterator[tuple[Path, os.stat_result]]:
        for file in self.files.renditions.glob("[!.]*.mp4"):
            with suppress(FileNotFoundError):  # others remove, too
                yield file, file.stat()


def stream_of_result(store: Store, video: VideoRow) -> int | None:
    """Return the picture track that the result of a video is about; None where there is none yet: then it is the main one."""
    try:
        stream: int = store.latest_analysis(video.project, video.video_id).summary["info"]["stream"]
    except VideoNotFoundError:
        return None
    return stream


def remove_renditions(store: Store, files: Files, sha256: str, *, besides: Callable[[str, str], bool]) -> int:
    """Remove the renditions and stills of a content, finished or not, unless another video has it; return how many finished videos.

    Parameters
    ----------
    besides : callable
        Whether the video of a project, by name and id, does not count.
    """
    for project in store.list_projects():
        with suppress(ProjectNotFoundError):  # it was deleted just now
            if any(not besides(row.project, row.video_id) for row in store.find_videos(project.name, sha256=sha256)):
                return 0
    finished = [*files.renditions.glob(f"{sha256}-*.mp4")]
    stills = [*files.renditions.glob(f"{sha256}-*.jpg")]
    # The hidden names of unfinished files have the beginning of the content's digest in them.
    begun = [file for file in files.renditions.glob(f".*{UNFINISHED}") if file.name[1:].startswith(sha256[:32])]
    for file in (*finished, *stills, *begun):
        file.unlink(missing_ok=True)
    return len(finished)


def _note_play(file: Path) -> None:
    status = file.stat()
    now = time.time()
    if not 0 <= now - status.st_atime < _PLAYED_STEP_S:
        os.utime(file, ns=(int(now * 1e9), status.st_mtime_ns))


@contextmanager
def _alone(lock: Path, pause: Callable[[float], object]) -> Iterator[None]:
    """Hold a lock that ends with its process; the file of one that was killed is swept up like what it was writing."""
    while (held := _try_to_lock(lock)) is None:
        pause(_LOCK_PERIOD_S)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(held)


def _try_to_lock(lock: Path) -> int | None:
    with writing_to(lock.parent):
        held = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
    with suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(held), lock.stat()):  # otherwise whoever had it before has removed it
            return held
    os.close(held)
    return None

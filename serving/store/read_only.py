"""An SQLite file in a place that cannot be written: a read-only disk, a backup, the home of another user."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

from facerec_models.errors import StoreError

_Seen = tuple[tuple[int, int], bool]


@dataclass(frozen=True, slots=True)
class ReadOnlyFile:
    """How such a file is opened.

    With its write-ahead log and the log's index beside it, SQLite reads both. Without a log it would have to make one: the file
    is then opened as one that does not change, and reading it raises an error if it did.

    Parameters
    ----------
    path : Path
        The file.
    reason : str
        Why it is not written.
    seen : tuple or None
        The file's time and size, and whether it had a log, where it is taken for unchanging.
    """

    path: Path
    reason: str
    seen: _Seen | None

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """Return how to open a file that can only be read; None if it can be written, or made.

        Raises
        ------
        StoreError
            If it cannot even be read, or has a log that cannot be.
        """
        folder = path.absolute().parent
        if not path.is_file() or (os.access(path, os.W_OK) and os.access(folder, os.W_OK | os.X_OK)):
            return None
        if not os.access(path, os.R_OK):
            raise StoreError(f"the store {path} may not be read: let this user read it, or name another home")
        file = path if not os.access(path, os.W_OK) else folder
        is_mounted_so = bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
        reason = "its file system is read-only" if is_mounted_so else f"{file} may not be written"
        log, index = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
        if not log.exists() or (log.stat().st_size == 0 and not index.exists()):
            return cls(path, reason, _facts(path))
        for part in (log, index):
            if not (part.exists() and os.access(part, os.R_OK)):
                raise StoreError(
                    f"the store {path} can only be read ({reason}), and its last changes need {part}, which cannot be: copy "
                    "the home to where it can be written"
                )
        return cls(path, reason, None)

    @property
    def uri(self) -> str:
        """The address for SQLite."""
        mode = "mode=ro" if self.seen is None else "mode=ro&immutable=1"
        return f"file:{quote(str(self.path.absolute()))}?{mode}"

    def require_unchanged(self) -> None:
        """Raise `StoreError` if a file that was taken for unchanging was written to: it may have been read wrongly."""
        if self.seen is not None and _facts(self.path) != self.seen:
            raise StoreError(f"the store {self.path} was changed while it was read: try again")


def _facts(path: Path) -> _Seen:
    found = path.stat()
    try:
        is_logged = path.with_name(f"{path.name}-wal").stat().st_size > 0
    except FileNotFoundError:
        is_logged = False
    return (found.st_mtime_ns, found.st_size), is_logged

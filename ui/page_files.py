"""Where the page keeps what it shows and is sent: a folder for this process's user alone, which goes when the page ends."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR

_PREFIX = "facerec-page-"
_LOCK = ".in-use"
# So long a page may take between making its folder and locking it.
_BEGINNING_S = 60.0


@contextmanager
def page_folder() -> Iterator[Path]:
    """Make a folder that nobody else can read until the block ends; those that killed pages of this user left are removed."""
    _remove_left()
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with (folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder


def _remove_left() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(FileNotFoundError):  # another page has ended, or removes it, too
            found = folder.lstat()
            if S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not _is_used(folder, found.st_mtime):
                shutil.rmtree(folder, ignore_errors=True)


def _is_used(folder: Path, changed_at: float) -> bool:
    """Whether a page that lives has a folder: the lock of one that was killed is free."""
    try:
        with (folder / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return time.time() - changed_at < _BEGINNING_S
    except BlockingIOError:
        return True
    return False

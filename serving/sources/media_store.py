"""What was fetched: kept under the name of its content, in a folder that several processes use at once.

::

    media/<sha256><ending>        whole files; the time of change is that of the last use
    media/addresses/<key>.json    what is known of an address: see `FetchNote`
    media/addresses/<key>.part    what was fetched of it so far
    media/addresses/<key>.lock    held by who fetches it now

No file or note holds an address: its key is a digest.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from facerec_models.config import Config
from facerec_models.errors import LimitExceededError, PlaceError
from facerec_models.files import write_atomically, writing_to
from facerec_models.names import short_id

IN_USE_S = 3600.0
"""What was used within this time is not removed to make room."""
RECORDED = ".recording"
"""The ending of what can never be fetched again: it is removed last."""

_BLOCK_BYTES = 1 << 20
# So far ahead of what arrives room is made, and never further than has arrived: what a server announces costs it nothing.
_AHEAD_BYTES = 64 << 20
_LOCK_PERIOD_S = 0.2
_SHORT_S = 0.005


class FetchNote(Config):
    """What is known of an address whose content is here, in part or whole.

    Parameters
    ----------
    total : int or None
        Bytes of the whole; None where the server does not say.
    etag, last_modified : str or None
        What tells one content from the next, as the server writes it.
    name, ending : str
    sha256 : str or None
        Of the whole content, once it is here.
    """

    total: int | None
    etag: str | None
    last_modified: str | None
    name: str
    ending: str
    sha256: str | None = None

    @property
    def can_continue(self) -> bool:
        """Whether a part can be told from a part of something newer."""
        return self.etag is not None or self.last_modified is not None


class FetchSlot:
    """An address that this process alone fetches now: what is here of it.

    Parameters
    ----------
    part : Path
        What is here so far; a file that may not be there.
    check : callable
        Called while long work is done; raises when that must end.
    """

    def __init__(self, store: MediaStore, part: Path, check: Callable[[], object]) -> None:
        self._store = store
        self.part = part
        self._note_file = part.with_suffix(".json")
        self._check = check
        self.note = read_note(self._note_file)

    @property
    def size(self) -> int:
        """Bytes that are here in part."""
        return _size(self.part)

    def kept(self) -> Path | None:
        """Return the whole file, if it was fetched before and is still here; this counts as a use."""
        if self.note is None or self.note.sha256 is None:
            return None
        return self._store.find(self.note.sha256)

    def can_continue(self) -> bool:
        """Whether there is a part to go on with."""
        return self.note is not None and self.note.sha256 is None and self.note.can_continue and self.size > 0

    def forget(self) -> None:
        """Remove what is here: the next try begins anew."""
        self.note = None
        self.part.unlink(missing_ok=True)
        self._note_file.unlink(missing_ok=True)

    def begin(self, note: FetchNote) -> None:
        """Begin with nothing."""
        self.forget()
        self._write_note(note)

    def require_room(self) -> None:
        """Refuse what is announced if it cannot be kept; removes nothing.

        Raises
        ------
        LimitExceededError, PlaceError
            If there can be no room, or is none now.
        """
        if self.note is not None and self.note.total is not None:
            self._store.require_room(self.note.total, self.part)

    @contextmanager
    def appending(self) -> Iterator[Callable[[bytes], object]]:
        """Give what adds bytes to the part, and makes room as they come; they are all there when the block ends, however it does.

        What it gives raises as `require_room` does.
        """
        size = roomy = self.size
        total = None if self.note is None else self.note.total

        def append(chunk: bytes) -> None:
            nonlocal size, roomy
            size += len(chunk)
            if size > roomy:
                ahead = min(size, _AHEAD_BYTES) if total is None else min(size, _AHEAD_BYTES, max(0, total - size))
                roomy = size + self._store.make_room(size, self.part, ahead)
            file.write(chunk)

        with (
            writing_to(self.part.parent),
            open(self.part, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as file,
        ):
            yield append

    def finish(self) -> Path:
        """Keep the part, which is whole now, under the name of its content; return the kept file."""
        if self.note is None:
            raise ValueError("nothing was begun")
        digest = hashlib.sha256()
        with self.part.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                self._check()
        kept = self._store.keep(self.part, digest.hexdigest(), self.note.ending)
        self._write_note(self.note.model_copy(update={"sha256": digest.hexdigest()}))
        return kept

    def _write_note(self, note: FetchNote) -> None:
        self.note = note
        write_atomically(self._note_file, note.model_dump_json().encode())


class MediaStore:
    """The folder of fetched media; may be made anew at any time, by any process.

    Parameters
    ----------
    folder : Path
        Made when something is fetched.
    max_kept_bytes : int
        Of whole files and of what is being fetched, together.
    """

    def __init__(self, folder: Path, max_kept_bytes: int) -> None:
        self._folder = folder
        self._addresses = folder / "addresses"
        self._max_kept_bytes = max_kept_bytes

    @contextmanager
    def slot(self, address: str, pause: Callable[[float], object]) -> Iterator[FetchSlot]:
        """Give an address to one fetcher at a time.

        Parameters
        ----------
        address : str
        pause : callable
            Waits some seconds while another one fetches the same, and raises when that must end.
        """
        part = self._addresses / f"{short_id('m', address)}.part"
        with writing_to(self._addresses):
            self._addresses.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(part.with_suffix(".lock"), pause):
            yield FetchSlot(self, part, lambda: pause(0.0))

    def find(self, sha256: str) -> Path | None:
        """Return the kept file of a content; this counts as a use."""
        with self._changing():
            return self._find(sha256)

    def touch(self, file: Path) -> bool:
        """Say that a file is in use, so that it stays for the next hour; return whether it is here. Files of others are not changed."""
        if file.parent.resolve() != self._folder.resolve():
            return file.is_file()
        with self._changing():
            return self._find(file.stem) == file

    def keep(self, part: Path, sha256: str, ending: str) -> Path:
        """Move a whole file to the name of its content; the same content is kept once."""
        self.make_room(_size(part), part)
        with self._changing():
            file = self._find(sha256)
            if file is None:
                file = self._folder / f"{sha256}{ending}"
                os.utime(part)
                part.replace(file)
            else:
                part.unlink()
        return file

    def require_room(self, wanted: int, part: Path) -> None:
        """Refuse so many bytes, those that `part` has included, if they cannot be kept; removes nothing.

        Raises
        ------
        LimitExceededError
            If they never can.
        PlaceError
            If they cannot now, because of what is in use and what others are fetching.
        """
        if wanted > self._max_kept_bytes:
            raise LimitExceededError(
                f"{wanted} bytes are more than all that may be kept of fetched files, {self._max_kept_bytes}: raise "
                "FACEREC_SOURCES__MAX_KEPT_BYTES"
            )
        with self._changing():
            _, then = self._sizes(part)
            then -= sum(size for _, size in self._removable())
        if then + wanted > self._max_kept_bytes:
            raise PlaceError(
                f"{self._folder} has no room for {wanted} bytes within FACEREC_SOURCES__MAX_KEPT_BYTES, {self._max_kept_bytes}, and "
                "what is there is in use: try again later, or raise it"
            )

    def make_room(self, wanted: int, part: Path, ahead: int = 0) -> int:
        """Remove what was not used for longest until `wanted` bytes fit, those that `part` has included.

        Raises as `require_room` does, and removes nothing then.

        Parameters
        ----------
        ahead : int
            For so many more bytes room is made, too, as far as there is some.

        Returns
        -------
        int
            For how many more there is room.
        """
        self.require_room(wanted, part)
        with self._changing():
            surplus = self._sizes(part)[0] + wanted + ahead - self._max_kept_bytes
            for file, size in self._removable():
                if surplus <= 0:
                    break
                file.unlink(missing_ok=True)
                surplus -= size
        return max(0, ahead - max(0, surplus))

    def sweep(self, max_age_s: float) -> int:
        """Remove what was fetched in part and not gone on with for so long, and notes of files that are gone; return how many files."""
        then = time.time() - max_age_s
        removed = 0
        for lock in self._addresses.glob("*.lock"):
            try:
                with _locked(lock, _refuse):
                    files = [lock.with_suffix(suffix) for suffix in (".part", ".json")]
                    times = [file.stat().st_mtime for file in (*files, lock) if file.exists()]
                    if max(times) <= then and not self._is_kept(read_note(files[1])):
                        removed += sum(file.exists() for file in files)
                        for file in (*files, lock):
                            file.unlink(missing_ok=True)
            except BlockingIOError:  # somebody fetches it now
                continue
        return removed

    def _find(self, sha256: str) -> Path | None:
        for file in self._folder.glob(f"{sha256}.*"):
            os.utime(file)
            return file
        return None

    def _is_kept(self, note: FetchNote | None) -> bool:
        return note is not None and note.sha256 is not None and any(self._folder.glob(f"{note.sha256}.*"))

    def _removable(self) -> list[tuple[Path, int]]:
        """Return whole files that are not in use, with their sizes, in the order in which they go."""
        found = [
            (file.suffix == RECORDED, status.st_mtime, file, status.st_size)
            for file, status in _files_in(self._folder)
            if status.st_mtime <= time.time() - IN_USE_S
        ]
        return [(file, size) for _, _, file, size in sorted(found)]

    def _sizes(self, besides: Path) -> tuple[int, int]:
        """Return the bytes of whole files and other parts, now and once what is being fetched is here as it was announced."""
        now = then = sum(status.st_size for _, status in _files_in(self._folder))
        for part, status in _files_in(self._addresses):
            if part.suffix != ".part" or part == besides:
                continue
            # Of a part that nobody goes on with, an announcement means nothing.
            note = read_note(part.with_suffix(".json")) if _is_locked(part.with_suffix(".lock")) else None
            now += status.st_size
            then += max(status.st_size, (note and note.total) or 0)
        return now, then

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Let nobody else find, keep or remove whole files meanwhile."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(self._folder / ".lock", lambda _: time.sleep(_SHORT_S)):
            yield


def read_note(file: Path) -> FetchNote | None:
    """Return a note; None if there is none, or one of another version."""
    try:
        return FetchNote.model_validate_json(file.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


@contextmanager
def _locked(file: Path, pause: Callable[[float], object]) -> Iterator[None]:
    """Hold a lock that ends with its process, too."""
    while (lock := _try_to_lock(file)) is None:
        pause(_LOCK_PERIOD_S)
    try:
        yield
    finally:
        os.close(lock)


def _try_to_lock(file: Path) -> int | None:
    with writing_to(file.parent):
        lock = os.open(file, os.O_CREAT | os.O_RDWR, 0o600)
    is_mine = False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_mine = _is_same(lock, file)
    except BlockingIOError:  # somebody else holds it
        return None
    finally:
        if not is_mine:
            os.close(lock)
    return lock if is_mine else None


def _is_locked(file: Path) -> bool:
    try:
        lock = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _is_same(lock: int, file: Path) -> bool:
    """Whether a lock still has its name: it may have been swept up before it was held."""
    try:
        return os.path.samestat(os.fstat(lock), file.stat())
    except FileNotFoundError:
        return False


def _refuse(_: float) -> None:
    raise BlockingIOError


def _files_in(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield files that do not hide, and what the system knows of them; others may remove some meanwhile."""
    for file in folder.glob("[!.]*"):
        try:
            status = file.stat()
        except FileNotFoundError:
            continue
        if file.is_file():
            yield file, status


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0

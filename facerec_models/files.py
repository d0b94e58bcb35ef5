"""Files below a folder, or in a bucket through fsspec: what of pathlib is needed here, and failures that are told.

Not pathlib over fsspec as universal_pathlib has it: fsspec's ``isfile`` says no when a bucket does not answer, and a face that
cannot be reached would count as removed.
"""

from __future__ import annotations

import errno
import io
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from facerec_models.errors import InputError, PlaceError, StoreError

UNFINISHED = ".unfinished"
# Of the name that it is to have: a file system takes names of 255 bytes.
_SHOWN = 40
# Which package speaks the protocol, as an extra of this one.
_PROTOCOLS = {"s3": "s3fs", "gs": "gcsfs"}
# fsspec would take the first three for patterns; the others begin credentials and parameters, which addresses must not carry.
_SPECIAL = frozenset("*?[]#@")
_CHUNK_BYTES = 1 << 20
# So often a folder is removed that others still write into.
_REMOVALS = 3
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass(frozen=True, slots=True)
class RemoteFacts:
    """What a bucket knows of a file: size in bytes, seconds since the epoch, and a tag that changes with its content."""

    size: int
    modified_at: float
    etag: str | None


@dataclass(frozen=True, slots=True)
class RemotePath:
    """A file in a bucket, or all files whose names begin with its name and a slash: a folder.

    Every method that asks the bucket raises `StoreError` when it does not answer or refuses. A file appears whole, with its last
    byte. Nothing is remembered of listings: other processes write too.

    Parameters
    ----------
    protocol : str
        ``s3`` or ``gs``. Who asks, and where, is in the environment, as in AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL.
    key : str
        The bucket's name and the file's, with slashes between and none at the end.
    """

    protocol: str
    key: str

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(self.protocol, f"{self.key}/{name}".rstrip("/"))

    def __str__(self) -> str:
        return self.as_uri()

    def as_uri(self) -> str:
        """Return the address."""
        return f"{self.protocol}://{self.key}"

    @property
    def name(self) -> str:
        """What comes after the last slash."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> RemotePath:
        """The folder around it."""
        return RemotePath(self.protocol, self.key.rpartition("/")[0])

    def is_file(self) -> bool:
        """Whether there is such a file."""
        return self._kind() == "file"

    def is_dir(self) -> bool:
        """Whether there is a file below."""
        return self._kind() == "directory"

    def read_bytes(self) -> bytes:
        """Return the content; raise FileNotFoundError if there is none."""
        with self._as_store_error("read"):
            content: bytes = self._system.cat_file(self.key)
        return content

    def open(self, mode: Literal["rb"]) -> io.BytesIO:
        """Return the content as a file to read from."""
        return io.BytesIO(self.read_bytes())

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to `end`, which is exclusive, a MiB at a time."""
        for at in range(start, end, _CHUNK_BYTES):
            with self._as_store_error("read"):
                chunk: bytes = self._system.cat_file(self.key, start=at, end=min(at + _CHUNK_BYTES, end))
            yield chunk

    def facts(self) -> RemoteFacts:
        """Return what the bucket knows of the file; raise FileNotFoundError if there is none."""
        with self._as_store_error("looked up"):
            return _facts(self._system.info(self.key))

    def write_bytes(self, data: bytes) -> None:
        """Write or replace the file."""
        with self._as_store_error("written", absent_is_failure=True):
            self._system.pipe_file(self.key, data)

    def upload(self, file: Path) -> None:
        """Write or replace the file with the content of a local one."""
        with self._as_store_error("written", absent_is_failure=True):
            self._system.put_file(str(file), self.key)

    def iterdir(self) -> Iterator[RemotePath]:
        """Yield what is directly below; nothing if there is no such folder."""
        try:
            with self._as_store_error("listed"):
                found: list[str] = self._system.ls(self.key, detail=False)
        except FileNotFoundError:
            return
        for key in sorted(found):
            if key.rstrip("/") != self.key:
                yield RemotePath(self.protocol, key.rstrip("/"))

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """Yield what is directly below and has such a name."""
        return (path for path in self.iterdir() if fnmatchcase(path.name, pattern))

    def files(self) -> dict[RemotePath, RemoteFacts]:
        """Return all files below, however deep."""
        try:
            with self._as_store_error("listed"):
                found: dict[str, dict[str, Any]] = self._system.find(self.key, detail=True)
        except FileNotFoundError:
            return {}
        return {RemotePath(self.protocol, key): _facts(info) for key, info in found.items()}

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file."""
        try:
            with self._as_store_error("removed"):
                self._system.rm_file(self.key)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def remove_all(self) -> None:
        """Remove all files below."""
        try:
            with self._as_store_error("removed"):
                self._system.rm(self.key, recursive=True)
        except FileNotFoundError:
            return

    @property
    def _system(self) -> Any:
        return _system(self.protocol)

    def _kind(self) -> str | None:
        try:
            with self._as_store_error("looked up"):
                return str(self._system.info(self.key)["type"])
        except FileNotFoundError:
            return None

    @contextmanager
    def _as_store_error(self, done: str, *, absent_is_failure: bool = False) -> Iterator[None]:
        try:
            yield
        except InputError:
            raise
        except Exception as error:  # each protocol's own: they share no root
            if isinstance(error, FileNotFoundError) and not absent_is_failure:
                raise
            reason = _CREDENTIALS.sub("", f"{type(error).__name__}: {error}")
            raise StoreError(f"{self} cannot be {done}: {reason}; 'facerec doctor' tries it out") from error


AnyPath: TypeAlias = Path | RemotePath

# What is wrong with a place, and not with what is written there.
_REMEDIES = {
    errno.ENOSPC: "make room on its disk, or name a place on another one",
    errno.EDQUOT: "free what your quota there counts, or name another place",
    errno.EFBIG: "its file system, or a limit of this process, takes no larger file: name another place",
    errno.EROFS: "its file system is read-only: mount it for writing, or name another place",
    errno.EACCES: "let this user write there, or name another place",
    errno.EPERM: "let this user write there, or name another place",
    errno.EIO: "its disk fails: the system's log says how",
    errno.ENOTDIR: "a part of the path is a file: name another place",
}


# Of these, what nobody meets who only reads.
_OF_WRITING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})


def place_error(error: OSError, place: object, *, is_writing: bool = False) -> PlaceError | None:
    """Return what to raise where a place cannot be written, naming it; None if the error is about something else.

    Parameters
    ----------
    is_writing : bool
        Whether something was written there; otherwise only what cannot come from reading is taken for it.
    """
    if error.errno is None or error.errno not in (_REMEDIES if is_writing else _OF_WRITING):
        return None
    return PlaceError(f"{place} cannot be written ({os.strerror(error.errno)}): {_REMEDIES[error.errno]}")


@contextmanager
def writing_to(place: object) -> Iterator[None]:
    """Raise `PlaceError`, which names the place and what to do, where the system refuses what the block writes there."""
    try:
        yield
    except OSError as error:
        told = place_error(error, place, is_writing=True)
        if told is None:
            raise
        raise told from error


def open_files(address: str) -> AnyPath:
    """Return the folder that an address names; a bucket is not asked yet.

    Parameters
    ----------
    address : str
        ``s3://bucket/prefix``, ``gs://bucket/prefix`` or ``file:///folder``.

    Raises
    ------
    InputError
        If the address is of another kind, or nothing that speaks its protocol is installed.
    StoreError
        If a local folder is not there: made anew below a mount point, it would hide that nothing is mounted.
    """
    protocol, _, rest = address.partition("://")
    if protocol == "file":
        folder = Path(unquote(urlsplit(address).path))
        if urlsplit(address).netloc or not folder.is_absolute():
            raise InputError(f"{address!r} names no folder of this machine: write it as in file:///mnt/shared/facerec")
        if not folder.is_dir():
            raise StoreError(f"there is no folder {str(folder)!r} for files: mount or make it")
        return folder
    key = rest.strip("/")
    if protocol not in _PROTOCOLS or not key or _SPECIAL & set(key):
        # The value stays out of the message: it may hold a key.
        raise InputError(
            "FACEREC_FILES must be s3://bucket/prefix, gs://bucket/prefix or file:///folder, without "
            f"{' '.join(sorted(_SPECIAL))}; credentials belong into the environment, as AWS_ACCESS_KEY_ID does"
        )
    _system(protocol)
    return RemotePath(protocol, key)


def write_atomically(path: AnyPath, data: bytes | Iterable[bytes], *, is_private: bool = True) -> None:
    """Write a file so that it is there whole or not at all.

    Parameters
    ----------
    data : bytes, or iterable of bytes
        Of pieces one is in memory at a time, except for a bucket.
    is_private : bool
        Whether its owner alone may read it, as what is below the home; what a user asks for by name is of the mode that the umask
        gives. A bucket has rules of its own.

    Raises
    ------
    PlaceError
        If it cannot be written there.
    """
    if isinstance(path, RemotePath):
        path.write_bytes(data if isinstance(data, bytes) else b"".join(data))
        return
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = create_unfinished(path, is_private=is_private)
        try:
            with unfinished.open("wb") as file:
                file.writelines([data] if isinstance(data, bytes) else data)
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise


def create_unfinished(path: Path, *, is_private: bool) -> Path:
    """Make an empty file with a hidden name beside `path`, which is to become that one; see `write_atomically`."""
    file = path.with_name(f".{path.name[:_SHOWN]}.{secrets.token_hex(8)}{UNFINISHED}")
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600 if is_private else 0o666))
    return file


@contextmanager
def local_target(path: AnyPath, scratch: Path) -> Iterator[Path]:
    """Give a local file to be written; it is at `path` when the block has ended without an error.

    Parameters
    ----------
    scratch : Path
        A local folder for what goes into a bucket, where it lies until then.
    """
    if isinstance(path, Path):
        with writing_to(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield path
        return
    with writing_to(scratch), tempfile.TemporaryDirectory(dir=scratch, suffix=UNFINISHED) as folder:
        file = Path(folder) / path.name
        yield file
        path.upload(file)


def remove_tree(path: AnyPath) -> None:
    """Remove a folder with everything in it, if it is there."""
    if isinstance(path, RemotePath):
        path.remove_all()
    else:
        for _ in range(_REMOVALS):
            if not path.exists():
                return
            # Others may write into it, or remove it too: what is left is seen at the next try.
            shutil.rmtree(path, ignore_errors=True)
        if path.exists():
            shutil.rmtree(path)


@lru_cache
def _system(protocol: str) -> Any:
    import fsspec

    try:
        return fsspec.filesystem(protocol, use_listings_cache=False)
    except ImportError as error:
        extra = _PROTOCOLS[protocol]
        raise InputError(f"{protocol}:// needs {extra}: pip install 'facerec[{protocol}]'") from error


def _facts(info: dict[str, Any]) -> RemoteFacts:
    # S3's name of it, then Google's.
    changed = info.get("LastModified") or info.get("mtime")
    return RemoteFacts(
        size=info["size"] or 0,
        modified_at=changed.timestamp() if isinstance(changed, datetime) else float(changed or 0.0),
        etag=info.get("ETag") or info.get("etag"),
    )

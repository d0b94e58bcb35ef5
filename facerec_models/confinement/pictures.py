"""Read stills of strangers in processes of their own, which wait for the next picture: one costs no start of a process."""

from __future__ import annotations

import atexit
import os
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import numpy as np

from facerec_models.config import LimitsConfig
from facerec_models.confinement.bounds import Bounds, check_memory
from facerec_models.confinement.child import Child, ChildLostError, ChildSilentError, ChildTooLargeError, shared_nursery
from facerec_models.confinement.pipe import Message, Pipe
from facerec_models.errors import ImageError, LimitExceededError
from facerec_models.images import SUFFIXES, may_be_picture, picture_content, picture_format, read_image
from facerec_models.types import ImageArray

# After so many pictures a reader makes room for a fresh one: what a library has leaked, or a file has spoilt, ends with it.
_MOST_PICTURES = 200
_MOST_READERS = 4
_SPARE_BYTES = 2**25
_REFUSALS = {kind.__name__: kind for kind in (ImageError, LimitExceededError)}


def read_image_apart(source: Path | bytes, limits: LimitsConfig, *, name: str | None = None) -> ImageArray:
    """Read a picture as `facerec_models.images.read_image` does, in a process of its own.

    Raises
    ------
    ImageError
        If the picture is missing, of another kind, damaged or cut off, or its decoder crashes, hangs or needs too much.
    LimitExceededError
        If it is larger than ``limits.max_image_pixels``.

    Examples
    --------
    >>> from facerec_models.images import encode_crop
    >>> read_image_apart(encode_crop(np.full((2, 3, 3), 128, np.uint8)), LimitsConfig()).shape
    (2, 3, 3)
    """
    answer = _ask("read", source, limits, name)
    if len(answer.arrays) == 1 and answer.arrays[0].dtype == np.uint8 and answer.arrays[0].shape[2:] == (3,):
        return answer.arrays[0]
    raise _refusal(source, name, "sent what cannot be a picture", "copy it again")


def is_picture_apart(path: Path) -> bool:
    """Whether a file begins as a picture of an allowed kind does, or is called like one; it may still be damaged."""
    if path.suffix.lower() in SUFFIXES or not may_be_picture(path):
        return path.suffix.lower() in SUFFIXES
    try:
        return bool(picture_format_apart(path, LimitsConfig()))
    except (ImageError, LimitExceededError) as error:
        return isinstance(error, LimitExceededError)


def picture_format_apart(source: Path | bytes, limits: LimitsConfig) -> str:
    """Return the kind of a picture, as `facerec_models.images.picture_format` does."""
    return str(_ask("format", source, limits, None).facts.get("answer"))[:20]


def read_in_child(pipe: Pipe) -> None:
    """Read pictures until the parent has gone; runs in a child."""
    while True:
        kind, facts, arrays = pipe.receive()
        source = arrays[0].tobytes()
        try:
            if kind == "read":
                pipe.send(
                    "answer", {}, [read_image(source, LimitsConfig.model_validate(facts["limits"]), name=facts["name"])]
                )
            elif kind == "format":
                pipe.send("answer", {"answer": picture_format(source)})
        except (ImageError, LimitExceededError) as error:
            check_memory(_SPARE_BYTES)
            pipe.send("refused", {"type": type(error).__name__, "message": str(error)})


class _Readers:
    """The readers of a process; threads wait until one is free."""

    def __init__(self, bounds: Bounds) -> None:
        self._owner = os.getpid()
        self._bounds = bounds
        self._places = BoundedSemaphore(min(_MOST_READERS, os.cpu_count() or 1))
        self._idle: list[tuple[Child, int]] = []

    def ask(self, kind: str, facts: dict[str, Any], data: bytes, timeout_s: float) -> Message:
        """Have one picture read.

        Raises
        ------
        ChildLostError
            If the reader is lost; the next picture gets another.
        """
        with self._places:
            reader, read = self._take()
            try:
                return self._read(reader, read, kind, facts, data, timeout_s)
            except (ChildSilentError, ChildTooLargeError):
                raise
            except ChildLostError:
                # A picture before this one may be to blame.
                if read == 0:
                    raise
            return self._read(Child(read_in_child, self._bounds), 0, kind, facts, data, timeout_s)

    def _read(
        self, reader: Child, read: int, kind: str, facts: dict[str, Any], data: bytes, timeout_s: float
    ) -> Message:
        is_well = False
        try:
            reader.send(kind, facts, [np.frombuffer(data, np.uint8)], timeout_s=timeout_s)
            answer = reader.receive(timeout_s)
            is_well = read + 1 < _MOST_PICTURES
        finally:
            if is_well:
                self._idle.append((reader, read + 1))
            else:
                reader.close()
        return answer

    def _take(self) -> tuple[Child, int]:
        """Return a reader, and how many pictures it has read."""
        while self._idle:
            reader, read = self._idle.pop()
            if not reader.has_ended():
                return reader, read
            reader.close()
        return Child(read_in_child, self._bounds), 0

    def close(self) -> None:
        """End those that wait."""
        # A process that was forked from the owner has a copy of this.
        while self._idle and os.getpid() == self._owner:
            self._idle.pop()[0].close()


_READERS: dict[tuple[int, Bounds], _Readers] = {}


def _readers_of(bounds: Bounds) -> _Readers:
    """Return the readers of this process: one that was forked must not talk with its parent's."""
    made = _Readers(bounds)
    readers = _READERS.setdefault((os.getpid(), bounds), made)
    if readers is made:
        shared_nursery()  # it ends after them
        atexit.register(made.close)
    return readers


def _ask(kind: str, source: Path | bytes, limits: LimitsConfig, name: str | None) -> Message:
    if isinstance(source, Path):
        # A child that may open no file cannot give away what is in others.
        name = str(source) if name is None else name
        source = picture_content(source, name=name)
    facts = {"limits": limits.model_dump(mode="json"), "name": name}
    readers = _readers_of(Bounds(limits.decoder_memory_bytes))
    try:
        answer = readers.ask(kind, facts, source, limits.picture_timeout_s)
    except ChildLostError as error:
        remedy = "copy it again or convert it to JPEG"
        if isinstance(error, ChildTooLargeError):
            remedy = "reduce it or raise limits.decoder_memory_bytes"
        elif isinstance(error, ChildSilentError):
            remedy += ", or raise limits.picture_timeout_s"
        raise _refusal(source, name, str(error), remedy) from error
    if answer.kind == "refused":
        raise _REFUSALS.get(str(answer.facts.get("type")), ImageError)(str(answer.facts.get("message"))[:2000])
    return answer


def _refusal(source: Path | bytes, name: str | None, why: str, remedy: str) -> ImageError:
    label = name if name is not None else str(source) if isinstance(source, Path) else "picture"
    return ImageError(f"{label!r} cannot be decoded: its decoder {why}; {remedy}")

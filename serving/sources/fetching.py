"""Fetch an address: alone, with several tries, on from where the last one ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from facerec_models.errors import LimitExceededError, SourceError
from serving.sources.media_store import FetchNote, FetchSlot, MediaStore
from serving.sources.source import SourceContext
from serving.sources.watch import Watch
from serving.sources.web_client import PassingError

T = TypeVar("T")

_LONGEST_PAUSE_S = 60.0
# Progress is told in steps of this fraction.
_STEP = 0.005


def media_store(context: SourceContext) -> MediaStore:
    """Return the folder of what was fetched."""
    return MediaStore(context.media, context.settings.sources.max_kept_bytes)


def with_retries(key: str, shown: str, context: SourceContext, attempt: Callable[[FetchSlot, Watch], T]) -> T:
    """Try until an attempt succeeds or fails for good; tries that bring nothing new are counted.

    Parameters
    ----------
    key : str
        The address; whoever else fetches it waits meanwhile.
    shown : str
        What errors call it.
    attempt : callable
        Raises `PassingError` where another try may help; what it has written until then stays.
    """
    config = context.settings.sources
    with Watch(shown, config, context.should_stop) as watch, media_store(context).slot(key, watch.pause) as slot:
        most, tries = slot.size, 0
        while True:
            try:
                return attempt(slot, watch)
            except PassingError:
                if slot.size > most:
                    most, tries = slot.size, 0
                tries += 1
                if tries >= config.max_attempts:
                    raise
                watch.pause(min(config.retry_pause_s * 2.0 ** (tries - 1), _LONGEST_PAUSE_S))


def begin(slot: FetchSlot, note: FetchNote, shown: str, max_bytes: int) -> None:
    """Begin anew, unless it is announced to be too large or there is no room."""
    if note.total is not None and note.total > max_bytes:
        raise _too_large(shown, note.total, max_bytes)
    if note.total == 0:
        raise SourceError(f"{shown!r} is empty: check the address")
    slot.begin(note)


def receive(slot: FetchSlot, chunks: Iterable[bytes], shown: str, context: SourceContext) -> None:
    """Add to the part what comes, within the bounds, and tell how far it is.

    Raises
    ------
    LimitExceededError
        If it is too large: nothing is left of it.
    PassingError
        If the part is not whole then.
    """
    total = None if slot.note is None else slot.note.total
    max_bytes, done, told = context.settings.sources.max_bytes, slot.size, -1.0
    slot.require_room()
    try:
        with slot.appending() as append:
            for chunk in chunks:
                done += len(chunk)
                if done > max_bytes:
                    break
                append(chunk)
                if total and (done / total >= told + _STEP or done == total):
                    told = min(done / total, 1.0)
                    context.on_progress(told)
    except LimitExceededError:  # larger than all that may be kept
        slot.forget()
        raise
    if done > max_bytes:
        slot.forget()
        raise _too_large(shown, done, max_bytes)
    if done == 0:
        raise SourceError(f"{shown!r} is empty: check the address")
    if total is not None and done != total:
        raise PassingError(f"{shown!r} ended after {done} of {total} bytes: try again later")


def _too_large(shown: str, size: int, max_bytes: int) -> LimitExceededError:
    return LimitExceededError(
        f"{shown!r} has {size} bytes or more, and {max_bytes} are allowed: raise FACEREC_SOURCES__MAX_BYTES, or give a smaller file"
    )

"""Where a page of what was found ends, as a text that leads to the next one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from facerec_models.errors import InputError

MAX_LIMIT = 1000


def check_limit(limit: int) -> None:
    """Raise `InputError` if a page cannot have so many."""
    if not 1 <= limit <= MAX_LIMIT:
        raise InputError(f"limit {limit} must be between 1 and {MAX_LIMIT}")


def write_cursor(search: object, key: Sequence[str | float]) -> str:
    """Return the cursor of what comes after this key; only the same search, told by its `repr`, goes on there."""
    return base64.urlsafe_b64encode(json.dumps([_mark(search), *key]).encode()).decode().rstrip("=")


def read_cursor(search: object, cursor: str, *kinds: type[str | float | int]) -> tuple[Any, ...]:
    """Return the key that a cursor of this search was made of, with values of these kinds.

    Raises
    ------
    InputError
        If it was made of none.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        mark, *values = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
        key = tuple(kind(value) for kind, value in zip(kinds, values, strict=True))
    except (ValueError, TypeError, OverflowError, binascii.Error) as error:
        raise InputError(f"cursor {cursor!r} is none that a search has answered: begin again without it") from error
    if mark != _mark(search):
        raise InputError(f"cursor {cursor!r} is of another search: begin again without it")
    # What a store can compare with; Infinity and huge numbers are none of ours.
    return tuple(max(-(2**31), min(value, 2**31)) if isinstance(value, int) else value for value in key)


def _mark(search: object) -> str:
    return hashlib.sha256(repr(search).encode()).hexdigest()[:8]

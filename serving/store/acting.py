"""Who does what is being done: each change writes it into the audit log."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something.

    Parameters
    ----------
    name : str
        ``key:ID``, ``user:NAME`` of an identity provider or a proxy, ``local:NAME`` of this machine's user, or ``service``.
    request_id : str or None
        Of the request, or of the job, by which it is done.
    """

    name: str
    request_id: str | None = None


SERVICE = Actor("service")
_ACTOR: ContextVar[Actor | None] = ContextVar("actor", default=None)


def present_actor() -> Actor:
    """Return who acts in this context; where nobody was named it is the user of this machine."""
    return _ACTOR.get() or Actor(f"local:{_user()}")


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Let what the block changes be this one's doing. Threads that are started in it must be told again."""
    token = _ACTOR.set(actor)
    try:
        yield
    finally:
        _ACTOR.reset(token)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container runs as a number that has no name
        return "unnamed"

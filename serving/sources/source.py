"""What a source is: it makes a local file of an address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from facerec_models.catalogue import Catalogue
from serving.settings import Settings


class FetchStoppedError(Exception):
    """The caller asked to stop; the next time, fetching goes on where it was."""


def _ignore(_: float) -> None:
    return


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What resolving an address needs beside it.

    Parameters
    ----------
    media : Path
        Folder of what is fetched, on this machine; `serving.sources.media_store` says what is in it.
    settings : Settings
        Of these `media_roots` and `sources` count.
    is_trusted : bool
        Whether who asks may name any file of this machine and any bucket, as the user of a command may. A request may name those
        that the settings open. Web addresses and streams are checked either way.
    on_progress : callable
        Gets the fetched fraction, in [0, 1], where the size is known.
    should_stop : callable
        Asked ten times a second, from another thread.
    """

    media: Path
    settings: Settings
    is_trusted: bool = False
    on_progress: Callable[[float], object] = _ignore
    should_stop: Callable[[], bool] = _never


@dataclass(frozen=True, slots=True)
class Resolved:
    """A local file, and what is known about it.

    Parameters
    ----------
    file : Path
        Seekable, and within the bounds of the settings if it was fetched.
    uri : str
        Where it comes from, for everybody to see: without names, passwords and signatures.
    name : str
        What people call it.
    catalogue : Catalogue or None
        None where the source knows nothing more.
    """

    file: Path
    uri: str
    name: str
    catalogue: Catalogue | None = None


class VideoSource(Protocol):
    """Makes a local file of each address that is its own; one without arguments is made for each process."""

    kinds: tuple[str, ...]
    """How its addresses begin, as errors list them."""

    def claim(self, address: str, settings: Settings) -> str | None:
        """Return the beginning of an address by which it belongs to this source, or None.

        Of several sources the one with the longest is asked: one that knows some addresses of a scheme goes before the one that
        fetches all others.
        """
        ...

    def check(self, address: str, settings: Settings) -> None:
        """Refuse what `resolve` would refuse a request for whatever is at the address; asks nobody.

        Raises
        ------
        InputError
            As `resolve`.
        """
        ...

    def resolve(self, address: str, context: SourceContext) -> Resolved:
        """Return the local file of an address.

        Raises
        ------
        InputError
            If the address cannot be used, or is not allowed. No message names a password or signature.
        LimitExceededError
            If what is there is too large.
        SourceError
            If it cannot be reached, or what is sent cannot be trusted to be whole.
        PlaceError
            If there is no room for it.
        FetchStoppedError
            If `context.should_stop` said so.
        """
        ...

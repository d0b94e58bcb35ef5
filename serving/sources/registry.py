"""Which source an address belongs to."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from facerec_models.errors import InputError
from serving.settings import Settings
from serving.sources.addresses import shown
from serving.sources.source import Resolved, SourceContext, VideoSource

SOURCES = ("local_file:LocalFile", "media_url:MediaUrl", "bucket:BucketFile", "stream:StreamWindow", "graph:GraphUri")
"""``module:class`` in this folder; one more is one name here, and a module. A module may resolve what it finds with `resolve`."""


def resolve(address: str, context: SourceContext) -> Resolved:
    """Make a local file of a path or an address; see `VideoSource.resolve` for what it raises.

    A file that was fetched may be removed when it has not been used for an hour and others need its room: say that it is in use with
    `serving.sources.media_store.MediaStore.touch`.
    """
    return find_source(address, context.settings).resolve(address, context)


def check(address: str, settings: Settings) -> None:
    """Refuse a request's address that can never be resolved, without asking anybody; see `VideoSource.check` for what it raises."""
    find_source(address, settings).check(address, settings)


def find_source(address: str, settings: Settings) -> VideoSource:
    """Return the source that an address belongs to: the one that claims the longest beginning of it.

    Raises
    ------
    InputError
        If it belongs to none: names the kinds of addresses that are known.
    """
    sources = _load()
    claims = [(source.claim(address, settings), source) for source in sources]
    claimed = [(len(beginning), source) for beginning, source in claims if beginning is not None]
    if not claimed:
        known = ", ".join(kind for source in sources for kind in source.kinds)
        raise InputError(f"{shown(address)!r} is no address that can be resolved: give one that begins with {known}")
    return max(claimed, key=lambda pair: pair[0])[1]


@cache
def _load() -> tuple[VideoSource, ...]:
    def load(name: str) -> VideoSource:
        module, kind = name.split(":")
        source: VideoSource = getattr(import_module(f"serving.sources.{module}"), kind)()
        return source

    return tuple(load(name) for name in SOURCES)

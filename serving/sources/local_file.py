"""Files of this machine."""

from __future__ import annotations

from pathlib import Path

from facerec_models.errors import InputError
from facerec_models.names import local_path
from serving.settings import Settings
from serving.sources.addresses import scheme_of
from serving.sources.source import Resolved, SourceContext


class LocalFile:
    """Paths, and ``file://`` addresses: used where they are, and not bounded, since nothing is copied."""

    kinds = ("file://",)

    def claim(self, address: str, settings: Settings) -> str | None:
        """Return ``file:``, or nothing of a path."""
        scheme = scheme_of(address)
        return "" if scheme is None else address[: len("file:")] if scheme == "file" else None

    def check(self, address: str, settings: Settings) -> None:
        """Refuse what is below none of the folders that are open; not what is no longer there."""
        settings.require_open(_path(address), address)

    def resolve(self, address: str, context: SourceContext) -> Resolved:
        """Return the file; of a request only one below the folders that are open, whatever links lead there."""
        file = _path(address)
        if not context.is_trusted:
            file = context.settings.require_open(file, address)
        return Resolved(file, file.absolute().as_uri() if scheme_of(address) is None else address, file.name)


def _path(address: str) -> Path:
    if "\0" in address:
        raise InputError(f"{address!r} can be no file's name: leave out the zero character")
    return Path(address) if scheme_of(address) is None else local_path(address)

"""Answer with many files as a ZIP, written while it is sent."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator


def stream_zip(files: Iterable[tuple[str, Iterator[bytes]]]) -> Iterator[bytes]:
    """Yield a ZIP of files, given as a name and its pieces; one piece is in memory at a time."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, pieces in files:
            # Sizes come after the content: they are not known before. A file of more than 2 GiB needs that to be said first.
            with archive.open(name, "w", force_zip64=True) as target:
                for piece in pieces:
                    target.write(piece)
                    yield sink.take()
            yield sink.take()
    yield sink.take()


class _Sink(io.RawIOBase):
    """Takes what a ZIP writes, which cannot go back in it."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._written += data
        return len(data)

    def take(self) -> bytes:
        """Return what has been written since the last time."""
        taken = bytes(self._written)
        self._written.clear()
        return taken

"""Answer with files: those of this machine, those of a bucket, which pass through, and many as a ZIP, written while it is sent."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from email.utils import formatdate

from fastapi import Request, Response
from fastapi.responses import FileResponse, StreamingResponse

from facerec_models.files import AnyPath, RemoteFacts, RemotePath

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def answer_file(
    path: AnyPath, request: Request, media_type: str, headers: Mapping[str, str] | None = None
) -> Response | None:
    """Return the answer that gives out a file, or the bytes of it that were asked for; None if there is no such file.

    Nothing of a bucket is kept on this machine: who is forgotten there would live on here.

    Raises
    ------
    StoreError
        If the bucket does not answer.
    """
    if isinstance(path, RemotePath):
        try:
            return _pass_on(path, path.facts(), request, {**(headers or {}), "content-type": media_type})
        except FileNotFoundError:
            return None
    return FileResponse(path, media_type=media_type, headers=headers) if path.is_file() else None


def _pass_on(path: RemotePath, facts: RemoteFacts, request: Request, headers: dict[str, str]) -> Response:
    headers |= {"accept-ranges": "bytes", "last-modified": formatdate(facts.modified_at, usegmt=True)}
    if facts.etag is not None:
        headers["etag"] = facts.etag
    start, end, status = 0, facts.size, 200
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    unchanged = request.headers.get("if-range") in (None, facts.etag, headers["last-modified"])
    if asked is not None and unchanged and any(asked.groups()):
        start, end = _span(asked[1], asked[2], facts.size)
        if start >= end:
            return Response(status_code=416, headers={"content-range": f"bytes */{facts.size}"})
        headers["content-range"] = f"bytes {start}-{end - 1}/{facts.size}"
        status = 206
    headers["content-length"] = str(end - start)
    return StreamingResponse(path.chunks(start, end), status, headers)


def _span(first: str, last: str, size: int) -> tuple[int, int]:
    """Return the bytes that are meant by ``first-last``, ``first-`` or ``-count``, the end exclusive."""
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(int(last) + 1, size) if last else size


def stream_zip(files: Iterable[tuple[str, Iterator[bytes]]]) -> Iterator[bytes]:
    """Yield a ZIP of files, given as a name and its pieces; one piece is in memory at a time."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, pieces in files:
            # Sizes come after the content: they are not known before. A file of more than 2 GiB must be announced as such first.
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

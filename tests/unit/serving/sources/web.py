"""A web server on this machine that answers byte by byte what a test says, good and bad; and contexts to resolve in."""

from __future__ import annotations

import hashlib
import random
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving.settings import Settings
from serving.sources.source import SourceContext

FILM = random.Random(1).randbytes(400_000)
FILM_NAME = hashlib.sha256(FILM).hexdigest()
QUICK: dict[str, Any] = {
    "private_hosts": "127.0.0.1",
    "retry_pause_s": 0.01,
    "connect_timeout_s": 1.0,
    "read_timeout_s": 20.0,
    "max_attempts": 3,
}


def context(
    folder: Path, *, trusted: bool = False, media_roots: tuple[Path, ...] = (), **sources: Any
) -> SourceContext:
    """Return what resolving needs, with little patience; this machine may be asked under its number alone."""
    settings = Settings(home=folder, media_roots=media_roots, sources={**QUICK, **sources})  # type: ignore[arg-type]
    return SourceContext(folder / "media", settings, is_trusted=trusted)


def kept_files(folder: Path) -> list[str]:
    """Return the names of whole files."""
    return sorted(file.name for file in (folder / "media").glob("[!.]*") if file.is_file())


def parts_of(folder: Path) -> list[Path]:
    """Return what is there in part."""
    return list((folder / "media/addresses").glob("*.part"))


@dataclass(frozen=True)
class Request:
    """What was asked."""

    path: str
    headers: dict[str, str]


Send = Callable[[bytes], None]
Handler = Callable[[Request, Send], None]


@dataclass
class Server:
    """The running server."""

    url: str
    handlers: dict[str, Handler] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def put(self, path: str, handler: Handler) -> str:
        """Let a path be answered so; return its address."""
        self.handlers[path] = handler
        return self.url + path

    def asked(self, path: str) -> list[Request]:
        """Return the requests for a path, in order."""
        return [request for request in self.requests if request.path == path]


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve on a free port until the block ends."""
    scheme = "http" if tls is None else "https"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}")
        connections: list[socket.socket] = []

        def answer(connection: socket.socket) -> None:
            with suppress(OSError), connection:  # the client had enough: some tests are about that
                wire = connection if tls is None else tls.wrap_socket(connection, server_side=True)
                connections.append(wire)
                with wire:
                    request = _read_request(wire)
                    if request is not None:
                        server.requests.append(request)
                        server.handlers.get(request.path, missing)(request, wire.sendall)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:  # closed: the block has ended
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def full_socket() -> Iterator[int]:
    """Listen on a port where no connection comes about any more until the block ends; yields its number."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # nobody accepts them, and the queue is full
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def _read_request(wire: socket.socket) -> Request | None:
    data = b""
    while b"\r\n\r\n" not in data:
        received = wire.recv(1 << 16)
        if not received:
            return None
        data += received
    first, *lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Request(first.split(" ")[1], {name.lower(): value for name, value in headers.items()})


def head(status: str = "200 OK", **headers: object) -> bytes:
    """Return the header of an answer; underscores are dashes."""
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


def missing(_: Request, send: Send) -> None:
    """Answer that there is nothing."""
    send(head("404 Not Found", Content_Length=0))


def sends(*pieces: bytes, pause_s: float = 0.0) -> Handler:
    """Answer with these bytes, header and all."""

    def handle(_: Request, send: Send) -> None:
        for piece in pieces:
            send(piece)
            time.sleep(pause_s)

    return handle


def brings(body: bytes, **headers: object) -> Handler:
    """Answer with a body and its length."""
    return sends(head(Content_Length=len(body), **headers) + body)


def redirects(location: str, status: str = "302 Found") -> Handler:
    """Answer that it is elsewhere."""
    return sends(head(status, Location=location, Content_Length=0))


def in_turn(*handlers: Handler) -> Handler:
    """Answer the first request as the first says, and so on; the last one answers all others."""
    left = list(handlers)

    def handle(request: Request, send: Send) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(request, send)

    return handle


@dataclass
class ByteRanges:
    """A good server of one file: it knows ranges, and what the client has already.

    Parameters
    ----------
    cuts : list of int
        After so many bytes of its body each of the first answers breaks off.
    """

    body: bytes
    etag: str | None = '"one"'
    last_modified: str | None = None
    cuts: list[int] = field(default_factory=list)
    pause_s: float = 0.0

    def __call__(self, request: Request, send: Send) -> None:
        """Answer a request."""
        validators = {
            name: value for name, value in {"ETag": self.etag, "Last-Modified": self.last_modified}.items() if value
        }
        known = {self.etag, self.last_modified} - {None}
        if {request.headers.get("if-none-match"), request.headers.get("if-modified-since")} & known:
            send(head("304 Not Modified", **validators))
            return
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
        start = int(asked[1]) if asked and request.headers.get("if-range") in known else 0
        rest, status = self.body[start:], "200 OK"
        if start:
            status = "206 Partial Content"
            validators["Content-Range"] = f"bytes {start}-{len(self.body) - 1}/{len(self.body)}"
        send(head(status, Content_Length=len(rest), Content_Type="video/mp4", **validators))
        until = self.cuts.pop(0) if self.cuts else len(rest)
        for at in range(0, until, 1 << 14):
            send(rest[at : min(at + (1 << 14), until)])
            time.sleep(self.pause_s)

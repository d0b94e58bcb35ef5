"""A web site with pictures, good and bad, on this machine; also a proxy, behind which it plays every host of plain HTTP.

`tests.conftest` loads this module as a plugin.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest


@dataclass
class Answer:
    """What the site answers at a path."""

    body: bytes = b""
    kind: str = "image/jpeg"
    status: int = 200
    location: str | None = None
    encoding: str | None = None
    pause_s: float = 0.0
    """Between the thousandths of the body."""
    cut: bool = False
    """Announce more than is sent."""


@dataclass
class PictureSite:
    """The running site: change `answers` at will, and read in `asked` who was asked for what, and when."""

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, float]] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    on_request: Callable[[str], None] = lambda _: None

    def put(self, path: str, body: bytes | str, **answer: Any) -> str:
        """Put something at a path; return its address."""
        if isinstance(body, str):
            body, answer = body.encode(), {"kind": "text/html; charset=utf-8", **answer}
        self.answers[path] = Answer(body, **answer)
        return self.url + path

    def paths(self) -> list[str]:
        """Return the paths that were asked for, in order."""
        return [path for path, _ in self.asked]


@contextmanager
def picture_site() -> Iterator[PictureSite]:
    """Serve on a free port of this machine until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)  # a whole address when the client takes the site for a proxy
            path = parts.path if parts.path in site.answers else f"{parts.hostname or ''}{parts.path}"
            site.asked.append((path, time.monotonic()))
            site.agents.add(self.headers["User-Agent"])
            site.on_request(path)
            answer = site.answers.get(path, Answer(b"nothing here", "text/plain", 404))
            self.send_response(answer.status)
            if answer.location is not None:
                self.send_header("Location", answer.location)
            if answer.encoding is not None:
                self.send_header("Content-Encoding", answer.encoding)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body) * (2 if answer.cut else 1)))
            self.end_headers()
            step = max(1, len(answer.body) // 1000) if answer.pause_s else max(1, len(answer.body))
            try:
                for start in range(0, len(answer.body), step):
                    self.wfile.write(answer.body[start : start + step])
                    if answer.pause_s:
                        time.sleep(answer.pause_s)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client had enough: some tests are about that

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site = PictureSite(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def site() -> Iterator[PictureSite]:
    """A site of the test's own, still empty."""
    with picture_site() as site:
        yield site


def baidu_page(addresses: list[str]) -> str:
    """Return what Baidu's image search answers, with its way to write addresses."""
    table = str.maketrans("abcdefghijklmnopqrstuvw1234567890", "wkv1ju2it3hs4g5rq6fp7eo8dn9cm0bla")
    written = [address.translate(table) for address in addresses]
    for sign, code in ((":", "_z2C$q"), (".", "_z&e3B"), ("/", "AzdH3F")):
        written = [address.replace(sign, code) for address in written]
    return json.dumps({"data": [*({"objURL": address} for address in written), {}]})

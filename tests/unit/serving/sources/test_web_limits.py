"""No server holds a fetch for longer, or fills more, than the settings allow; and none passes half a file off as a whole."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from facerec_models.errors import InputError, LimitExceededError, SourceError
from serving.sources.registry import resolve
from tests.unit.serving.sources.web import (
    FILM,
    FILM_NAME,
    QUICK,
    Handler,
    Request,
    Send,
    Server,
    brings,
    context,
    full_socket,
    head,
    kept_files,
    parts_of,
    sends,
)


def fails(web: Server, folder: Path, handler: Handler, message: str, **sources: Any) -> None:
    """Check that fetching fails so, and that nothing is taken for a whole file."""
    with pytest.raises((SourceError, InputError), match=message):
        resolve(web.put("/a.mp4", handler), context(folder, **sources))
    assert kept_files(folder) == []


def endless(piece: bytes, pause_s: float) -> Handler:
    """Send a piece again and again, until the client has enough."""

    def handle(_: Request, send: Send) -> None:
        while True:
            send(piece)
            time.sleep(pause_s)

    return handle


def after(first: bytes, then: Handler) -> Handler:
    def handle(request: Request, send: Send) -> None:
        send(first)
        then(request, send)

    return handle


def test_what_is_announced_too_large_is_not_read(web: Server, tmp_path: Path) -> None:
    sent: list[int] = []

    def handle(_: Request, send: Send) -> None:
        send(head(Content_Length=10**12))
        while True:
            send(bytes(1 << 16))
            sent.append(1 << 16)

    fails(web, tmp_path, handle, "FACEREC_SOURCES__MAX_BYTES", max_bytes=10**6)
    assert sum(sent) < 10**8
    assert parts_of(tmp_path) == []


def test_what_becomes_too_large_is_given_up(web: Server, tmp_path: Path) -> None:
    handler = after(head(), endless(bytes(1 << 16), 0.0))
    fails(web, tmp_path, handler, "FACEREC_SOURCES__MAX_BYTES", max_bytes=10**6)
    assert parts_of(tmp_path) == []
    with pytest.raises(LimitExceededError):
        resolve(f"{web.url}/a.mp4", context(tmp_path, max_bytes=10**6))


def test_a_file_of_the_largest_size_is_taken(web: Server, tmp_path: Path) -> None:
    assert resolve(web.put("/a.mp4", brings(FILM)), context(tmp_path, max_bytes=len(FILM))).file.read_bytes() == FILM


def test_a_server_that_sends_a_byte_at_a_time_is_given_up(web: Server, tmp_path: Path) -> None:
    handler = after(head(Content_Length=len(FILM)), endless(b"x", 0.05))
    fails(web, tmp_path, handler, "FACEREC_SOURCES__MIN_BYTES_PER_S", rate_period_s=0.5)
    assert len(web.requests) == 1


def test_a_fetch_that_takes_too_long_is_given_up(web: Server, tmp_path: Path) -> None:
    handler = after(head(Content_Length=10**9), endless(bytes(1 << 14), 0.05))
    fails(web, tmp_path, handler, "FACEREC_SOURCES__MAX_TIME_S", max_time_s=0.6)


def test_a_silent_server_is_given_up(web: Server, tmp_path: Path) -> None:
    silent = threading.Event()

    def handle(_: Request, send: Send) -> None:
        send(head(Content_Length=len(FILM)) + FILM[:1000])
        silent.wait(60)

    fails(web, tmp_path, handle, "broke off", read_timeout_s=0.3, max_attempts=1)
    silent.set()


def test_a_connection_that_never_comes_about_is_given_up(tmp_path: Path) -> None:
    with full_socket() as port, pytest.raises(SourceError, match="cannot be reached"):
        resolve(f"http://127.0.0.1:{port}/a.mp4", context(tmp_path, connect_timeout_s=0.3, max_attempts=1))


@pytest.mark.parametrize("dripped", [b"x", b"HTTP/1.1 100 Continue\r\n\r\n"], ids=["status line", "continue"])
def test_a_header_that_never_ends_is_given_up(web: Server, tmp_path: Path, dripped: bytes) -> None:
    began = time.monotonic()
    fails(web, tmp_path, endless(dripped, 0.05), "no answer", read_timeout_s=0.5, max_attempts=1, max_time_s=20)
    assert time.monotonic() - began < 10


def test_a_handshake_that_never_ends_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    connection.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KiB, which then comes byte by byte
                    while True:
                        connection.sendall(b"\x02")
                        time.sleep(0.05)
                except OSError:
                    return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        address = f"https://127.0.0.1:{listener.getsockname()[1]}/a.mp4"
        with pytest.raises(SourceError, match="cannot be reached"):
            resolve(address, context(tmp_path, read_timeout_s=0.5, max_attempts=1, max_time_s=20))
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    "header",
    [
        head(Content_Length=len(FILM), X_Large="x" * 60_000),
        head(Content_Length=len(FILM), **{f"X-{i}": "x" * 1000 for i in range(60)}),
    ],
    ids=["one line", "many lines"],
)
def test_a_large_header_is_refused(web: Server, tmp_path: Path, header: bytes) -> None:
    fails(web, tmp_path, sends(header + FILM), "FACEREC_SOURCES__MAX_HEADER_BYTES", max_header_bytes=32_000)


def test_an_endless_header_is_refused(web: Server, tmp_path: Path) -> None:
    handler = after(b"HTTP/1.1 200 OK\r\n", endless(b"X-Line: 1\r\n", 0.0))
    fails(web, tmp_path, handler, "no answer", max_attempts=1)


def test_less_than_announced_is_no_file(web: Server, tmp_path: Path) -> None:
    fails(web, tmp_path, sends(head(Content_Length=len(FILM) + 7) + FILM), "7 bytes early")


@pytest.mark.parametrize("pause_s", [0.0, 0.1], ids=["at once", "a little later"])
def test_more_than_announced_is_no_file(web: Server, tmp_path: Path, pause_s: float) -> None:
    lie = sends(head(Content_Length=len(FILM) - 7) + FILM[:-7], FILM[-7:], pause_s=pause_s)
    fails(web, tmp_path, lie, "more than the 399993 bytes")
    assert len(web.requests) == 1


def test_a_server_that_does_not_close_the_connection_is_no_liar(web: Server, tmp_path: Path) -> None:
    stays_open = threading.Event()

    def handle(_: Request, send: Send) -> None:
        send(head(Content_Length=len(FILM)) + FILM)
        stays_open.wait(60)

    began = time.monotonic()
    assert resolve(web.put("/a.mp4", handle), context(tmp_path)).file.read_bytes() == FILM
    assert time.monotonic() - began < QUICK["read_timeout_s"] / 2
    stays_open.set()


@pytest.mark.parametrize("lengths", ["10\r\nContent-Length: 400000", "-1", "4e5", "400000, 400000"])
def test_an_unclear_length_is_refused(web: Server, tmp_path: Path, lengths: str) -> None:
    fails(web, tmp_path, sends(head(Content_Length=lengths) + FILM), "how long it is")


def test_nothing_is_no_file(web: Server, tmp_path: Path) -> None:
    fails(web, tmp_path, brings(b""), "is empty")
    fails(web, tmp_path, sends(head()), "is empty")


def test_without_a_length_the_end_of_the_connection_is_the_end(web: Server, tmp_path: Path) -> None:
    assert resolve(web.put("/a.mp4", sends(head() + FILM)), context(tmp_path)).file.read_bytes() == FILM


def chunked(body: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    pieces = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + end


def test_chunks_are_put_together(web: Server, tmp_path: Path) -> None:
    answer = sends(head(Transfer_Encoding="chunked") + chunked(FILM))
    assert resolve(web.put("/a.mp4", answer), context(tmp_path)).file.name == f"{FILM_NAME}.mp4"


@pytest.mark.parametrize("end", [b"", b"ffff\r\nabc", b"nonsense\r\n"], ids=["none", "in a chunk", "no chunk"])
def test_chunks_without_their_end_are_no_file(web: Server, tmp_path: Path, end: bytes) -> None:
    fails(web, tmp_path, sends(head(Transfer_Encoding="chunked") + chunked(FILM, end)), "broke off")


@pytest.mark.parametrize(
    "header", [{"Content_Encoding": "gzip"}, {"Transfer_Encoding": "gzip"}, {"Transfer_Encoding": "gzip, chunked"}]
)
def test_compressed_answers_are_refused(web: Server, tmp_path: Path, header: dict[str, str]) -> None:
    fails(web, tmp_path, brings(gzip.compress(FILM), **header), "compressed")


def test_answers_without_the_file_may_be_compressed(web: Server, tmp_path: Path) -> None:
    page = gzip.compress(b"elsewhere")
    moved = head("302 Found", Location="/gone.mp4", Content_Encoding="gzip", Content_Length=len(page)) + page
    web.put("/gone.mp4", sends(head("404 Not Found", Content_Encoding="gzip", Content_Length=len(page)) + page))
    fails(web, tmp_path, sends(moved), "404 Not Found")


def test_a_document_is_read_up_to_its_limit(web: Server, tmp_path: Path) -> None:
    handler = after(head(Content_Type="application/json") + b'{"a": "', endless(b"x" * 1000, 0.0))
    fails(web, tmp_path, handler, "FACEREC_SOURCES__MAX_MANIFEST_BYTES", max_manifest_bytes=10_000)

"""An RTSP server on this machine: one stream, an MPEG transport stream in RTP over the connection itself (RFC 2326, 10.12)."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

_PACKET = 7 * 188  # transport packets of a datagram
_SDP = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:track1\r\n"


def write_transport_stream(file: Path, duration_s: float) -> bytes:
    """Write a film of moving pictures, 25 a second; return its bytes."""
    with av.open(str(file), "w", format="mpegts") as target:
        stream = target.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.time_base = Fraction(1, 25)
        stream.codec_context.gop_size = 5
        for i in range(round(duration_s * 25)):
            picture = np.full((120, 160, 3), (i * 5) % 256, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")):
                target.mux(packet)
        for packet in stream.encode(None):
            target.mux(packet)
    return file.read_bytes()


@contextmanager
def streaming(content: bytes, duration_s: float, *, pace: float = 1.0) -> Iterator[tuple[str, list[str]]]:
    """Serve a transport stream again and again, `pace` times as fast as it lasts; yield its address and the methods asked for."""
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection: socket.socket) -> None:
            with suppress(OSError), connection, connection.makefile("rb") as lines:
                while method := _answer(connection, lines):
                    asked.append(method)
                    if method == "PLAY":
                        _play(connection, content, duration_s / pace)
                        return

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:  # closed: the block has ended
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"rtsp://127.0.0.1:{listener.getsockname()[1]}/camera", asked
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _answer(connection: socket.socket, lines: object) -> str | None:
    request: list[str] = []
    for line in lines:  # type: ignore[attr-defined]
        if not line.strip():
            break
        request.append(line.decode().strip())
    if not request:
        return None
    method = request[0].split(" ")[0]
    number = next(line for line in request if line.lower().startswith("cseq:"))
    extra = {
        "OPTIONS": "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n",
        "DESCRIBE": f"Content-Type: application/sdp\r\nContent-Length: {len(_SDP)}\r\n",
        "SETUP": "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n",
    }.get(method, "Session: 1\r\n")
    connection.sendall(f"RTSP/1.0 200 OK\r\n{number}\r\n{extra}\r\n".encode() + (_SDP if method == "DESCRIBE" else b""))
    return method


def _play(connection: socket.socket, content: bytes, duration_s: float) -> None:
    pieces = [content[at : at + _PACKET] for at in range(0, len(content), _PACKET)]
    began = time.monotonic()
    for number, piece in enumerate(pieces):
        time.sleep(max(0.0, began + duration_s * number / len(pieces) - time.monotonic()))
        clock = int(90_000 * (time.monotonic() - began))
        rtp = struct.pack(">BBHII", 0x80, 33, number & 0xFFFF, clock & 0xFFFFFFFF, 7) + piece
        connection.sendall(struct.pack(">cBH", b"$", 0, len(rtp)) + rtp)

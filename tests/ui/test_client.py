from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from facerec_models.errors import SourceError
from tests.serving.service import free_port
from ui.client import FacerecClient, ServiceError


@dataclass
class Reply:
    """What the server answers to one request; `missing` bytes are promised and never sent."""

    content: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    missing: int = 0


class Scripted(ThreadingHTTPServer):
    """Answers requests with replies in order, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: list[Reply] = []
        self.asked: list[tuple[str, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Scripted

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        self.server.asked.append((f"{self.command} {self.path}", body))
        reply = self.server.replies.pop(0)
        self.send_response(reply.status)
        self.send_header("Content-Length", str(len(reply.content) + reply.missing))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.content)

    do_GET = do_POST = do_PUT = answer  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(server: Scripted) -> Iterator[FacerecClient]:
    with FacerecClient(server.url) as client:
        yield client


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits of a client that does not really wait."""
    taken: list[float] = []
    monkeypatch.setattr("ui.client.time.sleep", taken.append)
    return taken


def job(state: str, progress: float = 0.0, error: str | None = None) -> bytes:
    return json.dumps(
        {
            **{"job_id": "j-1", "kind": "video", "project": "p", "video_id": "v-1", "state": state},
            **{"progress": progress, "segments": [], "attempt": 1, "priority": 0, "error": error, "webhook": None},
            **{"created_at": 1.0, "updated_at": 2.0, "cancel_requested": False},
        }
    ).encode()


def events(*jobs: bytes, is_whole: bool = True) -> Reply:
    text = b"".join(b"event: job\ndata: " + view + b"\n\n" for view in jobs)
    return Reply(text + (b"event: end\ndata: " + jobs[-1] + b"\n\n" if is_whole else b""))


BUSY = Reply(
    b'{"title": "Busy", "detail": "all queues are full"}',
    status=429,
    headers={"Retry-After": "7", "Content-Type": "application/problem+json"},
)


def test_a_busy_service_is_asked_again_with_the_whole_file(
    server: Scripted, client: FacerecClient, waits: list[float], tmp_path: Path
) -> None:
    file = tmp_path / "clip.mp4"
    file.write_bytes(b"frames")
    server.replies = [BUSY, BUSY, Reply(b'{"job_id": "j-1", "video_id": "v-1"}', status=202)]
    assert client.submit_video("p", file, max_false_names=0.01, fragment=(1, 2)) == ("j-1", "v-1")
    assert waits == [7, 7]
    for line, body in server.asked:
        assert line == "POST /v1/projects/p/videos"
        assert b"frames" in body
        assert b'filename="clip.mp4"' in body
        assert b'"max_false_names":0.01' in body
        assert b'"fragment":[1.0,2.0]' in body


def test_a_service_that_stays_busy_is_given_up(server: Scripted, client: FacerecClient, waits: list[float]) -> None:
    server.replies = [BUSY] * 9
    with pytest.raises(ServiceError, match="all queues are full") as caught:
        client.start_training("p")
    assert caught.value.status == 429
    assert len(waits) == len(server.asked) - 1 == 4


@pytest.mark.parametrize(("header", "wait_s"), [("86400", 30), ("Wed, 21 Oct 2026 07:28:00 GMT", 5)])
def test_the_wait_is_bounded(
    server: Scripted, client: FacerecClient, waits: list[float], header: str, wait_s: float
) -> None:
    server.replies = [Reply(b"", status=429, headers={"Retry-After": header}), Reply(job("queued"))]
    client.job("j-1")
    assert waits == [wait_s]


def test_a_problem_document_becomes_an_error(server: Scripted, client: FacerecClient) -> None:
    server.replies = [Reply(b'{"title": "PersonNotFound", "detail": "no person \'X\'", "status": 404}', status=404)]
    with pytest.raises(ServiceError, match="no person 'X'") as caught:
        client.people("p")
    assert (caught.value.title, caught.value.detail, caught.value.status) == ("PersonNotFound", "no person 'X'", 404)


def test_an_answer_that_is_no_problem_document_is_quoted(server: Scripted, client: FacerecClient) -> None:
    server.replies = [Reply(b"<h1>Bad gateway</h1>", status=502)]
    with pytest.raises(ServiceError, match=r"/v1/jobs/j-1 answered 502 '<h1>Bad gateway") as caught:
        client.job("j-1")
    assert caught.value.status == 502


def test_an_address_without_a_listener_is_an_error() -> None:
    with (
        FacerecClient(f"http://127.0.0.1:{free_port()}") as client,
        pytest.raises(SourceError, match="start it with 'facerec serve'"),
    ):
        client.projects()


def test_an_address_of_another_service_is_an_error(server: Scripted, client: FacerecClient) -> None:
    server.replies = [Reply(b"<h1>It works!</h1>")]
    with pytest.raises(SourceError, match="no FaceRec service"):
        client.health()


def test_waiting_for_a_service_that_does_not_come_ends() -> None:
    with FacerecClient(f"http://127.0.0.1:{free_port()}") as client, pytest.raises(SourceError, match="within 0 s"):
        client.wait_until_ready(0.3)


def test_names_are_kept_apart_from_the_path(server: Scripted, client: FacerecClient, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"pixels")
    server.replies = [Reply(b"[]")]
    client.add_pictures("p", "AC/DC? 100 % Å", [file])
    assert server.asked[0][0] == "POST /v1/projects/p/people/AC%2FDC%3F%20100%20%25%20%C3%85/pictures"


def test_a_job_is_followed_to_its_end(server: Scripted, client: FacerecClient) -> None:
    # The first stream ends because it lasted long enough, not because the job has.
    server.replies = [
        events(job("queued"), job("running", 0.25)),
        events(job("running", 0.5), job("succeeded", 1.0)),
    ]
    shares: list[float] = []
    assert client.wait("j-1", shares.append).state == "succeeded"
    assert shares == [0, 0.25, 0.5, 1]


def test_a_stream_without_its_end_was_cut_off(server: Scripted, client: FacerecClient) -> None:
    server.replies = [events(job("running", 0.25), is_whole=False)]
    followed = client.follow("j-1")
    assert next(followed).progress == 0.25
    with pytest.raises(SourceError, match="before its end"):
        next(followed)


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (job("failed", error="no picture can be read"), "video failed: no picture can be read"),
        (job("cancelled"), "j-1 was cancelled"),
    ],
)
def test_a_job_without_success_is_an_error(server: Scripted, client: FacerecClient, view: bytes, message: str) -> None:
    server.replies = [events(view)]
    with pytest.raises(ServiceError, match=message):
        client.wait("j-1")


def test_videos_come_newest_first(server: Scripted, client: FacerecClient) -> None:
    stored = [{"video_id": f"v-{i}", "name": "a.mp4", "sha256": "0", "created_at": i} for i in (1, 3, 2)]
    server.replies = [Reply(json.dumps(stored).encode())]
    assert [video.video_id for video in client.videos("p")] == ["v-3", "v-2", "v-1"]


def test_a_file_is_downloaded_whole_or_not_at_all(server: Scripted, client: FacerecClient, tmp_path: Path) -> None:
    target = tmp_path / "new" / "annotated.mp4"
    server.replies = [Reply(b"half", missing=4), Reply(b"all of it")]
    with pytest.raises(SourceError, match="stopped sending"):
        client.download("/v1/file", target)
    assert list(target.parent.iterdir()) == []
    client.download("/v1/file", target)
    assert target.read_bytes() == b"all of it"

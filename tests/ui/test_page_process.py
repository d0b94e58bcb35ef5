"""``facerec ui``: an address is printed when it answers, the page ends with its parent, and it refuses who is foreign."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from facerec_models.errors import SourceError
from tests.serving.service import free_port, stop
from tests.ui.command import run
from tests.waiting import WAIT_S, wait_until
from ui import page_process
from ui.cli.operation import service as command
from ui.page_process import PageProcess, running_page

_ENDING_S = WAIT_S
# Nothing listens there, and nothing here speaks SOCKS: who asks through them gets no answer.
_PROXIES = {
    **dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9"),
    "ALL_PROXY": "socks5://127.0.0.1:9",
}
_COMMAND = [sys.executable, "-m", "ui.cli"]


@contextmanager
def running_ui(home: Path, environment: Mapping[str, str] | None = None) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run ``facerec ui`` for a service that is not there until the block ends."""
    service, port = f"http://127.0.0.1:{free_port()}", free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
    with subprocess.Popen(
        [*_COMMAND, "ui", "--json", "--home", str(home), "--service", service, "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**inherited, **(environment or {})},
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.stderr and process.stderr.read()
            yield json.loads(line)["page"], process
        finally:
            stop(process)


@contextmanager
def closing_page(page: PageProcess) -> Iterator[None]:
    try:
        yield
    finally:
        page.end()


def only_child(process: subprocess.Popen[str]) -> psutil.Process:
    (child,) = psutil.Process(process.pid).children()
    return child


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The page of a command whose environment names proxies, asked directly."""
    with (
        running_ui(tmp_path_factory.mktemp("home"), _PROXIES) as (url, _),
        httpx.Client(base_url=url, trust_env=False, timeout=WAIT_S) as client,
    ):
        yield client


def test_the_printed_address_answers_whatever_proxies_are_set(page: httpx.Client) -> None:
    answer = page.get("/")
    assert answer.status_code == 200
    assert "FaceRec" in answer.text
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil:7860"}]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/config"),
        ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/queue/data?session_hash=x"),
        ("POST", "/gradio_api/queue/join"),
        ("POST", "/gradio_api/upload"),
        ("GET", "/gradio_api/heartbeat/x"),
        ("OPTIONS", "/gradio_api/upload"),
    ],
)
def test_the_page_refuses_a_foreign_host_and_origin_on_every_path(
    page: httpx.Client, method: str, path: str, headers: dict[str, str]
) -> None:
    content: Any = {"files": {"files": ("a.mp4", b"x")}} if path.endswith("upload") and method == "POST" else {}
    answer = page.request(method, path, headers=headers, **content)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert "FACEREC_ALLOWED_HOSTS" in answer.json()["detail"]


def test_the_page_keeps_no_files_of_visitors(page: httpx.Client) -> None:
    own = {"Origin": str(page.base_url).rstrip("/")}
    assert page.post("/gradio_api/upload", headers=own, files={"files": ("a.mp4", b"x")}).status_code == 404


def test_the_page_takes_no_more_than_it_is_allowed(page: httpx.Client) -> None:
    refused = page.post("/gradio_api/queue/join", content=17 * 2**20 * b"x")
    assert (refused.status_code, refused.headers["content-type"]) == (413, "application/problem+json")
    assert page.request("GET", "/", content=b"x").status_code == 400
    policy = page.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy


def test_the_page_bounds_uploads_and_silent_connections(tmp_path: Path) -> None:
    bounds = {
        "FACEREC_ANALYSIS__LIMITS__MAX_UPLOAD_BYTES": "1000",
        "FACEREC_ANALYSIS__LIMITS__MAX_PICTURES_BYTES": "1000",
    }
    bounds |= {"FACEREC_ANALYSIS__LIMITS__MAX_PICTURE_BYTES": "1000", "FACEREC_INGRESS__HEAD_TIMEOUT_S": "1"}
    with (
        running_ui(tmp_path, bounds) as (url, _),
        httpx.Client(base_url=url, trust_env=False, timeout=WAIT_S) as client,
    ):
        for path, kind in (("videos", "file"), ("faces", "files")):
            files = {kind: ("a", 17 * 2**20 * b"x")}
            assert client.post(f"/fr/v1/projects/default/{path}", files=files).status_code == 413
        address = client.base_url
        with socket.create_connection((address.host, address.port or 0), timeout=10) as silent:
            silent.sendall(b"GET / HT")
            assert silent.recv(1) == b""


def test_the_page_answers_to_allowed_hosts(tmp_path: Path) -> None:
    with running_ui(tmp_path, {"FACEREC_ALLOWED_HOSTS": "127.0.0.1,faces.example"}) as (url, _):
        # Who asks under another name than this machine's own is asked for a key.
        for host, status in (("faces.example", 303), ("localhost", 403)):
            headers = {"Host": host, "Accept": "text/html"}
            assert httpx.get(url, headers=headers, trust_env=False, timeout=WAIT_S).status_code == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_the_page_ends_with_the_command_however_that_ends(tmp_path: Path, number: signal.Signals) -> None:
    with running_ui(tmp_path) as (_, process):
        child = only_child(process)
        process.send_signal(number)
        assert process.wait(_ENDING_S) == (-number if number == signal.SIGKILL else 0)
        gone, _ = psutil.wait_procs([child], _ENDING_S)
        assert gone == [child]


def test_the_command_starts_its_page_again_at_the_same_address(tmp_path: Path) -> None:
    with running_ui(tmp_path) as (url, process):
        first = only_child(process)
        first.kill()

        def answers() -> bool:
            with suppress(httpx.TransportError):
                return httpx.get(url, trust_env=False, timeout=WAIT_S).status_code == 200
            return False

        wait_until(answers)
        assert only_child(process).pid != first.pid
        assert process.poll() is None


def test_a_page_that_ends_again_and_again_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(page_process, "_FIRST_PAUSE_S", 0.05)
    starts = tmp_path / "starts"
    note = f"open({str(starts)!r}, 'a').write('x'); raise SystemExit(3)"
    page = PageProcess("http://127.0.0.1:1", [sys.executable, "-c", note])
    began = time.monotonic()

    def watch() -> None:
        while time.monotonic() < began + WAIT_S:
            page.keep_alive()
            time.sleep(0.01)

    with closing_page(page), pytest.raises(SourceError, match=r"ended by itself \(exit status 3\) after 5 new starts"):
        watch()
    assert starts.read_text() == "x" * 6
    # Each pause is twice the one before.
    assert time.monotonic() - began >= 0.05 * (1 + 2 + 4 + 8 + 16)


def test_a_page_that_lived_for_long_may_end_as_often_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_process, "_FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(page_process, "_STABLE_S", 0.0)
    page = PageProcess("http://127.0.0.1:1", [sys.executable, "-c", "raise SystemExit(3)"])
    began = time.monotonic()
    with closing_page(page):
        while page.starts < 9:
            assert time.monotonic() < began + WAIT_S
            page.keep_alive()
            time.sleep(0.01)


def test_a_page_that_dies_at_its_start_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(SourceError, match=rf"did not start at http://127\.0\.0\.1:{port} \(exit status 1\)"),
            running_page("http://127.0.0.1:1", "127.0.0.1", port, threading.Event()),
        ):
            raise AssertionError("it is shown")
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"facerec: 127.0.0.1:{port} cannot be listened at (Address already in use)")


@pytest.mark.parametrize(
    "arguments",
    [
        ["ui", "--port", "{port}"],
        ["serve", "--port", "{port}", "--ui-port", "{free}"],
        ["serve", "--port", "{free}", "--ui-port", "{port}"],
        ["serve", "--no-ui", "--port", "{port}"],
    ],
)
def test_a_busy_port_is_one_line_before_anything_starts(tmp_path: Path, arguments: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [part.format(port=port, free=free_port()) for part in arguments]
        ended = run(tmp_path / "home", *command, code=1)
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    option = arguments[arguments.index("{port}") - 1]
    assert line.startswith(f"facerec: 127.0.0.1:{port} cannot be listened at")
    assert f"choose another {option}" in line


@pytest.mark.parametrize("command", ["ui", "serve"])
@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--port", "70000"], 2, "--port"),
        (["--port", "0"], 2, "--port"),
        (["--host", "no.such.host.invalid"], 1, "'no.such.host.invalid' has no address"),
        (["--host", "203.0.113.7"], 1, "cannot be listened at"),
        (["--host", "127.0.0.9"], 1, "FACEREC_ALLOWED_HOSTS must name '127.0.0.9'"),
    ],
)
def test_an_unusable_address_is_refused_before_anything_starts(
    tmp_path: Path, command: str, arguments: list[str], status: int, text: str
) -> None:
    port = [] if "--port" in arguments else ["--port", str(free_port())]
    page = ["--ui-port", str(free_port())] if command == "serve" else []
    ended = run(tmp_path, command, *arguments, *port, *page, code=status)
    assert ended.stdout == ""
    assert text in ended.error
    assert "Ray" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_service_that_is_silent_for_long_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_SILENCE_S", 0.5)
    monkeypatch.setattr(command, "_PROBE_PERIOD_S", 0.1)
    with pytest.raises(SourceError, match=r"the service has not answered for \d+ s"):
        command._watch(f"http://127.0.0.1:{free_port()}", [], threading.Event())


def test_a_service_that_is_busy_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_SILENCE_S", 0.1)
    monkeypatch.setattr(command, "_PROBE_PERIOD_S", 0.1)
    monkeypatch.setattr("ui.client._PROBE_TIMEOUT_S", 0.1)
    ended = threading.Event()
    # Connections are made, and nobody answers.
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        watching = threading.Thread(
            target=command._watch, args=[f"http://127.0.0.1:{busy.getsockname()[1]}", [], ended]
        )
        watching.start()
        asked = [busy.accept()[0] for _ in range(3)]
        assert watching.is_alive()
        ended.set()
        watching.join(WAIT_S)
        assert not watching.is_alive()
        for connection in asked:
            connection.close()

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import requests
from pydantic import SecretStr

from facerec_models.proxies import is_loopback, keep_loopback_direct, without_proxies
from serving.jobs.webhooks import WebhookSender
from serving.settings import WebhookConfig
from tests.contract.store_cases import make_job
from ui.client import FacerecClient, SourceError


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"status": "ok", "version": "1", "embedder": "e", "queued_jobs": 0, "running_jobs": 0}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that names proxies at which nothing listens."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://localhost:8000", True),
        ("http://LOCALHOST.", True),
        ("http://faces.localhost", True),
        ("http://127.1.2.3/x", True),
        ("http://[::1]:1", True),
        ("http://[::ffff:127.0.0.1]", True),
        ("http://user@127.0.0.1", True),
        ("http://10.0.0.1", False),
        ("http://localhost.example.org", False),
        ("http://127.0.0.1@example.org", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_addresses_of_this_machine_are_recognised(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected


@pytest.mark.usefixtures("proxies")
def test_a_service_of_this_machine_is_asked_directly(url: str) -> None:
    with FacerecClient(url) as client:
        assert client.health().status == "ok"


@pytest.mark.usefixtures("proxies")
def test_a_service_elsewhere_is_asked_through_the_proxy(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", url)
    monkeypatch.setenv("http_proxy", url)
    with FacerecClient("http://faces.invalid:8000") as client:
        assert client.health().status == "ok"


@pytest.mark.usefixtures("proxies")
def test_a_webhook_on_this_machine_is_sent_without_a_proxy(url: str) -> None:
    config = WebhookConfig(hosts=frozenset({"127.0.0.1"}), secret=SecretStr("s"))
    assert WebhookSender(config)._post(f"{url}/hook", make_job("j")) is None


@pytest.mark.usefixtures("proxies")
def test_an_unusable_proxy_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:9")
    with pytest.raises(SourceError, match=r"http://faces\.invalid cannot be asked .*NO_PROXY"):
        FacerecClient("http://faces.invalid")


@pytest.mark.usefixtures("proxies")
@pytest.mark.parametrize("named", ["", "example.org", "*", "127.0.0.1, example.org"])
def test_every_library_asks_this_machine_directly(url: str, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("no_proxy", named)
    monkeypatch.setenv("NO_PROXY", "")
    keep_loopback_direct()
    assert httpx.get(f"{url}/x").status_code == 200
    assert requests.get(f"{url}/x", timeout=10).status_code == 200
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"]
    assert set(filter(None, named.replace(" ", "").split(","))) <= set(os.environ["NO_PROXY"].split(","))


@pytest.mark.usefixtures("proxies")
def test_a_block_without_proxies_sees_none_and_leaves_them() -> None:
    before = dict(os.environ)
    with without_proxies():
        assert not [name for name in os.environ if name.lower().endswith("_proxy")]
    assert dict(os.environ) == before

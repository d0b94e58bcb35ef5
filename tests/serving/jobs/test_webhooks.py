"""The end of a job is posted to the address that it names."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr, ValidationError

from facerec_models.errors import VideoDecodeError
from serving.jobs.runner import JobControl, submit
from serving.jobs.webhooks import SIGNATURE_HEADER, WebhookSender, sign
from serving.settings import WebhookConfig
from serving.store.contract import Store
from serving.store.job_rows import Job, Webhook
from serving.telemetry.redaction import Redaction
from tests.serving.jobs.runners import running
from tests.serving.service import free_port
from tests.waiting import WAIT_S, wait_until


class Receiver(BaseHTTPRequestHandler):
    """Takes a message after refusing the first ones."""

    refusals = 0
    got: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).got.append((self.headers[SIGNATURE_HEADER], body))
        self.send_response(503 if len(self.got) <= self.refusals else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def receiving(handler: type[Receiver]) -> Iterator[str]:
    """Receive at the address that this yields until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/ended"
        finally:
            server.shutdown()


def told(store: Store, url: str, config: WebhookConfig, **options: Any) -> tuple[str, Webhook]:
    """Do a job whose end is to be told at `url`; return its id and how the telling ended."""

    def ended() -> Webhook | None:
        hook = store.get_job(job_id).webhook
        return hook if hook is not None and (hook.delivered_at or (hook.error and hook.due_at is None)) else None

    with running(store, lambda job, control: "v-1", webhooks=WebhookSender(config), **options):
        job_id = submit(store, "p", "video", {}, max_queued=9, webhook_url=url).job_id
        hook = wait_until(ended)
    assert hook is not None
    return job_id, hook


def test_the_end_of_a_job_is_posted_signed_until_it_is_taken(store: Store) -> None:
    handler = type("Handler", (Receiver,), {"refusals": 1, "got": []})
    config = WebhookConfig(hosts=frozenset({"127.0.0.1"}), secret=SecretStr("quite secret"))
    with receiving(handler) as url:
        job_id, hook = told(store, url, config)
    assert hook.attempt == 2
    assert len(handler.got) == 2
    for signature, body in handler.got:
        timestamp = int(signature.split(",")[0].removeprefix("t="))
        assert abs(timestamp - time.time()) < WAIT_S
        assert signature == sign("quite secret", timestamp, body)
        assert signature != sign("another", timestamp, body)
        message = json.loads(body)
        assert (message["job_id"], message["state"], message["video_id"]) == (job_id, "succeeded", "v-1")


def test_a_slow_receiver_gets_one_message(store: Store) -> None:
    class Slow(Receiver):
        got: ClassVar[list[tuple[str, bytes]]] = []

        def do_POST(self) -> None:
            time.sleep(0.8)  # longer than the lease of a job
            super().do_POST()

    config = WebhookConfig(hosts=frozenset({"127.0.0.1"}), secret=SecretStr("s"), timeout_s=60.0)
    with receiving(Slow) as url:
        _, hook = told(store, url, config, slots=2, lease_s=0.2)
    assert (hook.attempt, len(Slow.got)) == (1, 1)


def test_how_long_a_receiver_may_take_has_a_limit() -> None:
    for setting in ({"timeout_s": 61}, {"max_attempts": 101}):
        with pytest.raises(ValidationError, match="less than or equal"):
            WebhookConfig(**setting)  # type: ignore[arg-type]


def test_a_receiver_that_is_not_there_is_given_up_with_the_reason(store: Store) -> None:
    config = WebhookConfig(hosts=frozenset({"127.0.0.1"}), secret=SecretStr("s"), max_attempts=1)
    _, hook = told(store, f"http://127.0.0.1:{free_port()}/", config)
    assert (hook.due_at, hook.delivered_at) == (None, None)
    assert "ConnectError" in (hook.error or "")


def test_a_message_tells_no_secret_and_no_place(store: Store) -> None:
    handler = type("Handler", (Receiver,), {"refusals": 0, "got": []})
    config = WebhookConfig(hosts=frozenset({"127.0.0.1"}), secret=SecretStr("quite secret"))

    def fail(job: Job, control: JobControl) -> str:
        raise VideoDecodeError("/srv/home/uploads/a.mp4 cannot be decoded")

    sender = WebhookSender(config, Redaction(places=(("/srv/home", "<home>"),)).redact)
    with receiving(handler) as url, running(store, fail, webhooks=sender):
        submit(store, "p", "video", {}, max_queued=9, webhook_url=url)
        wait_until(lambda: handler.got)
    assert json.loads(handler.got[0][1])["error"] == "<home>/uploads/a.mp4 cannot be decoded"

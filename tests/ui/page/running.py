"""The page's process, and what a visitor's browser must never do."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from playwright.sync_api import ConsoleMessage, Page

from tests.serving.service import free_port, stop
from tests.waiting import WAIT_S

# On cores that others use everything takes its time, what is expected too.
TIMEOUT_MS = 90_000


@contextmanager
def running_page(service_url: str) -> Iterator[str]:
    """Run the page for a service until the block ends."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "ui.app", "--service", service_url, "--port", url.rpartition(":")[2]]
    with subprocess.Popen(command, text=True) as process:
        try:
            deadline = time.monotonic() + WAIT_S
            while True:
                try:
                    httpx.get(url, trust_env=False)
                    break
                except httpx.TransportError:
                    assert process.poll() is None, "the page did not start"
                    assert time.monotonic() < deadline, "the page does not answer"
                    time.sleep(0.2)
            yield url
        finally:
            stop(process)


class Watched:
    """What a browser asked for and complained of while it showed the page."""

    def __init__(self, page: Page) -> None:
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} ({message.location.get('url', '')})")

    def foreign(self, url: str) -> list[str]:
        """Return what was asked of other hosts than the page's."""
        return [address for address in self.asked if not address.startswith((url, "data:", "blob:"))]

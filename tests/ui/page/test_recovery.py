"""A service that goes away while the page is open, and comes back."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.serving.service import free_port, running_service
from tests.ui.page.running import TIMEOUT_MS, running_page
from tests.waiting import WAIT_S

pytestmark = pytest.mark.browser


def test_a_service_that_is_gone_is_told_of_and_comes_back(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    expect.set_options(timeout=TIMEOUT_MS)
    away = page.get_by_text("The service does not answer. What you see")
    port = free_port()
    with running_page(f"http://127.0.0.1:{port}") as url:
        page.goto(url)
        expect(page.get_by_role("heading", name="The service does not answer")).to_be_visible()
        expect(away).to_be_visible()
        with running_service(tmp_path / "home", port=port) as service:
            expect(page.get_by_role("heading", name="No videos yet")).to_be_visible()
            expect(away).to_be_hidden()
            service.process.send_signal(signal.SIGTERM)
            service.process.wait(WAIT_S)
            gone = time.monotonic()
            expect(away).to_be_visible()
            assert time.monotonic() - gone < 5.0
        with running_service(tmp_path / "home", port=port):
            expect(away).to_be_hidden()
    page.close()

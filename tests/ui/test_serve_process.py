"""``facerec serve`` with its page, which all tests share until it dies: what it prints answers, and it does not outlive its page."""

from __future__ import annotations

import httpx
import psutil
import pytest

from tests.serving.service import RunningService
from tests.waiting import WAIT_S

# Twelve processes start where no other test has started them, on cores that may be shared.
pytestmark = pytest.mark.timeout(480)


def test_serve_prints_both_addresses_and_ends_with_an_error_when_its_page_dies(service: RunningService) -> None:
    assert httpx.get(f"{service.url}/healthz", trust_env=False, timeout=WAIT_S).json()["status"] == "ok"
    assert httpx.get(service.page, trust_env=False, timeout=WAIT_S).status_code == 200
    started = psutil.Process(service.process.pid).children(recursive=True)
    (page,) = [child for child in started if "ui.app" in child.cmdline()]
    page.kill()
    assert service.process.wait(WAIT_S) == 1
    printed = (service.home / "service.log").read_text().splitlines()
    assert [line for line in printed if line.startswith("facerec:")] == [
        f"facerec: the page at {service.page} has ended by itself (signal 9): its last lines say why"
    ]
    _, left = psutil.wait_procs(started, WAIT_S)
    assert left == []

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.serving.service import RunningService, free_port, stop
from tests.waiting import WAIT_S
from ui.client import FacerecClient
from ui.demo_material import DemoMaterial

pytestmark = pytest.mark.browser

_PROJECT = "page"
# On cores that others use everything takes its time, what is expected too.
_TIMEOUT_MS = 1000 * WAIT_S


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


@pytest.fixture(scope="module")
def page_url(service: RunningService) -> str:
    return service.page


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(_TIMEOUT_MS)
    expect.set_options(timeout=_TIMEOUT_MS)
    yield page
    page.close()


@pytest.fixture(scope="module")
def reel(service_url: str, material: DemoMaterial) -> Path:
    """The sample reel, whose people the service knows."""
    with FacerecClient(service_url) as client:
        client.create_project(_PROJECT)
        for folder in sorted(path for path in material.people.iterdir() if path.is_dir()):
            client.add_pictures(_PROJECT, folder.name, sorted(folder.iterdir()))
        client.wait(client.start_training(_PROJECT))
    return material.reel


def choose(page: Page, project: str) -> None:
    field = page.locator("#project input")
    expect(field).not_to_have_value("")
    field.click()
    page.get_by_role("option", name=project, exact=True).click()


def test_an_uploaded_video_is_named_and_shown_with_its_evidence(
    page: Page, page_url: str, reel: Path, tmp_path: Path
) -> None:
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto(page_url)
    choose(page, _PROJECT)
    expect(page.locator("#analyse")).to_be_enabled()
    page.locator("#file input[type=file]").set_input_files(reel)
    expect(page.get_by_role("row", name=re.compile(r"reel\s*\.mp4"))).to_be_visible()
    page.locator("#analyse").click()
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile(r"^\d+$"))
    page.locator("#cancel").click()
    # The frames in work are finished first.
    expect(page.get_by_text("Cancelled.")).to_be_visible()
    expect(page.locator("#progress")).to_be_hidden()
    page.locator("#analyse").click()

    rows = page.locator("#appearances tbody tr")
    expect(rows.filter(has_text="Eileen Collins").first).to_be_visible()
    expect(rows.filter(has_text="Carphone Man").first).to_be_visible()
    assert page.locator("#timeline img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 1600
    video = page.locator("#video video")
    expect(video).to_have_js_property("videoWidth", 640)
    expect(page.locator("#progress")).to_be_hidden()

    rows.filter(has_text="Carphone Man").last.click()
    evidence = page.locator("#evidence")
    expect(evidence.get_by_role("heading", name="Carphone Man")).to_be_visible()
    for picture in evidence.locator("img").all():
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    expect(evidence.get_by_text("Nearest enrolled")).to_be_visible()
    page.wait_for_function("document.querySelector('#video video').currentTime > 20")
    assert video.evaluate("video => video.play().then(() => true)")

    page.locator("#faces figure", has_text="Eileen Collins").click()
    expect(evidence.get_by_role("heading", name="Eileen Collins")).to_be_visible()
    page.screenshot(path=tmp_path / "page.png", full_page=True)

    page.reload()
    choose(page, _PROJECT)
    page.get_by_role("tab", name="Analysed before").click()
    page.locator("#stored input").click()
    page.get_by_role("option", name="reel.mp4").click()
    expect(rows.filter(has_text="Eileen Collins").first).to_be_visible()
    foreign = [address for address in addresses if not address.startswith((page_url, "data:", "blob:"))]
    assert foreign == []


@pytest.mark.usefixtures("reel")
def test_the_page_explains_what_it_cannot_do(page: Page, page_url: str, service_url: str, tmp_path: Path) -> None:
    file = tmp_path / "notes.mp4"
    file.write_text("no video")
    with FacerecClient(service_url) as client:
        client.create_project("empty")
    page.goto(page_url)
    choose(page, _PROJECT)
    page.locator("#analyse").click()
    expect(page.get_by_text("Upload a video first")).to_be_visible()
    page.locator("#file input[type=file]").set_input_files(file)
    expect(page.get_by_role("cell", name="notes.mp4")).to_be_visible()
    page.locator("#analyse").click()
    expect(page.get_by_text("not a video")).to_be_visible()
    expect(page.locator("#analyse")).to_be_enabled()
    choose(page, "empty")
    expect(page.get_by_role("alert").filter(has_text="facerec people import")).to_be_visible()
    expect(page.locator("#analyse")).to_be_disabled()


def test_a_missing_service_is_named_with_the_command_that_starts_it(page: Page) -> None:
    service_url = f"http://127.0.0.1:{free_port()}"
    with running_page(service_url) as url:
        page.goto(url)
        notice = page.get_by_role("alert")
        expect(notice).to_contain_text(service_url)
        expect(notice).to_contain_text("facerec serve")
        expect(page.locator("#analyse")).to_be_disabled()

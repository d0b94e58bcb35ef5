"""A remote service with keys: a key that may only read changes nothing by any control, is told why, and meets no refusal."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, expect

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.names import DEFAULT_PROJECT
from serving.archive.access import keys
from serving.archive.search.strangers import rank_strangers
from serving.settings import AccessConfig, Settings
from serving.store.access_rows import Role
from tests.local_servers import running
from tests.serving.in_process import in_process
from tests.ui.page.conftest import Served
from tests.ui.page.every_view import Place, open_place, places, settle
from tests.ui.page.running import TIMEOUT_MS, Watched, running_page
from ui.client import FacerecClient
from ui.demo_material import DemoMaterial

pytestmark = pytest.mark.browser

# What leads elsewhere, opens a file of the visitor's own, or looks for people, and so changes nothing.
_LEADS_AWAY = re.compile(r"^(Choose a picture|Copy link)$")
_CHANGES = ("POST", "PUT", "PATCH", "DELETE")
# Asking, in the form of a POST: what an edit would change, and whom a picture shows.
_ASKS = re.compile(r"preview=true|/search\b|/similar\b")


@pytest.fixture(scope="module")
def served(
    trained_home: Path, tmp_path_factory: pytest.TempPathFactory, detector: MtcnnDetector, embedder: FaceEmbedder
) -> Iterator[Served]:
    """A service that asks for keys, and a page that was given no key of its own."""
    home = shutil.copytree(trained_home, tmp_path_factory.mktemp("reader") / "home")
    settings = Settings(home=home, access=AccessConfig(keys=True))
    with (
        in_process(settings, detector, embedder) as (client, service),
        running(client.app) as service_url,
        running_page(service_url) as page_url,
    ):
        yield Served(service.archive, service_url, page_url)


def make_key(served: Served, role: Role) -> str:
    return keys.create_key(served.archive.store, f"to {role.value}", {DEFAULT_PROJECT: role})[1]


@pytest.fixture(scope="module")
def everywhere(served: Served, material: DemoMaterial) -> list[Place]:
    """All places of a project in which the reel was analysed."""
    with FacerecClient(served.service_url, token=make_key(served, Role.CURATE)) as client:
        job_id, video_id = client.submit_video(DEFAULT_PROJECT, material.reel)
        client.wait(job_id)
    (stranger, *_) = rank_strangers(served.archive, DEFAULT_PROJECT).strangers
    return places(DEFAULT_PROJECT, video_id, stranger.stranger_id, DEFAULT_PROJECT)


def sign_in(browser: Browser, served: Served, role: Role) -> tuple[Page, Watched]:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(TIMEOUT_MS)
    expect.set_options(timeout=TIMEOUT_MS)
    page.goto(served.page_url)
    page.get_by_label("Key").fill(make_key(served, role))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("navigation", name="Views")).to_be_visible()
    return page, Watched(page)


def has_reason(control: Locator) -> bool:
    """Whether a control that is disabled says why, in its title or beside it."""
    is_told: bool = control.evaluate(
        """one => {
            const form = one.closest('form, .card, section, .drop') ?? one.parentElement;
            return Boolean(one.title) || /key|role/.test(form.textContent);
        }"""
    )
    return is_told


def test_a_reader_may_try_everything_and_is_refused_nothing(
    browser: Browser, served: Served, everywhere: list[Place]
) -> None:
    page, watched = sign_in(browser, served, Role.READ)
    sent: list[str] = []

    def hear(request: Request) -> None:
        if request.method in _CHANGES and not _ASKS.search(request.url):
            sent.append(f"{request.method} {request.url}")

    page.on("request", hear)
    wrong: dict[str, Any] = {}
    for place in everywhere:
        if place.open.__name__ != "<lambda>" or place.name in ("people, adding", "same person?", "measure, labelling"):
            continue
        open_place(page, served.page_url, place)
        controls = page.locator(".main button, .main input[type=checkbox]:not([aria-label])")
        silent = [
            one.inner_text() or one.get_attribute("aria-label")
            for one in page.locator(".main :is(button, input, select):disabled").all()
            if not has_reason(one)
        ]
        for i in range(controls.count()):
            control = controls.nth(i)
            if not control.is_visible() or not control.is_enabled() or _LEADS_AWAY.match(control.inner_text()):
                continue
            control.click(force=True, no_wait_after=True)
            settle(page)
            if page.url != served.page_url + place.address:
                open_place(page, served.page_url, place)
        for key in "hxynemoard123":
            page.keyboard.press(key)
        page.keyboard.press("Enter")
        settle(page)
        if silent or sent or watched.complaints:
            wrong[place.name] = (silent, [*sent], [*watched.complaints])
        sent.clear()
        watched.complaints.clear()
    page.context.close()
    assert wrong == {}


def test_a_curator_names_through_the_page(browser: Browser, served: Served, everywhere: list[Place]) -> None:
    page, watched = sign_in(browser, served, Role.CURATE)
    page.goto(f"{served.page_url}/strangers?project={DEFAULT_PROJECT}")
    expect(page.get_by_label("Name of this person")).to_be_focused()
    page.keyboard.type("Ada Lovelace")
    page.keyboard.press("Enter")
    expect(page.get_by_text("is Ada Lovelace")).to_be_visible()
    page.keyboard.press("Control+z")
    expect(page.get_by_text("Undone:")).to_be_visible()
    page.goto(f"{served.page_url}/service?project={DEFAULT_PROJECT}&show=keys")
    expect(page.get_by_role("heading", name="Your key may not see this")).to_be_visible()
    page.context.close()
    assert watched.complaints == []

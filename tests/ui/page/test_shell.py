"""What lies around all views: addresses, keys, what is told above them, and what a page must never do."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.ui.page.conftest import Analysed
from tests.ui.page.running import TIMEOUT_MS, Watched
from tests.waiting import WAIT_S

pytestmark = pytest.mark.browser

_VIEWS = {"/": "Videos", "/people": "People", "/strangers": "Who is this?", "/search": "Search"}


def test_every_view_has_an_address_that_a_reload_returns_to(page: Page, page_url: str, analysed: Analysed) -> None:
    watched = Watched(page)
    page.goto(f"{page_url}{analysed.at('/')}")
    for path, title in _VIEWS.items():
        page.get_by_role("navigation").get_by_role("link", name=title, exact=True).click()
        expect(page).to_have_url(re.compile(rf"{re.escape(page_url)}{path}\?project={analysed.project}"))
        page.reload()
        expect(page.get_by_role("navigation").get_by_role("link", name=title, exact=True)).to_have_attribute(
            "aria-current", "page"
        )
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("link", name="Who is this?", exact=True)).to_have_attribute("aria-current", "page")
    assert watched.foreign(page_url) == []


def test_other_names_of_the_page_and_other_origins_are_refused(page_url: str) -> None:
    """A page elsewhere that resolves to this machine gets no further, and neither does one that sends here."""
    with httpx.Client(base_url=page_url, trust_env=False, timeout=WAIT_S) as visitor:
        for path in ("/", "/fr/v1/me", "/fr/v1/projects"):
            assert visitor.get(path, headers={"host": "rebound.example"}).status_code == 403, path
        sent = visitor.post(
            "/fr/v1/projects/default/videos", files={"file": b"x"}, headers={"origin": "https://a.example"}
        )
        assert sent.status_code == 403
        assert visitor.get("/fr/healthz").status_code == 404
        assert visitor.post("/gradio_api/upload", files={"files": b"x"}).status_code == 404
        assert visitor.get("/gradio_api/file=https://a.example/x").status_code == 404


def test_the_gateway_passes_on_what_the_service_answers(page_url: str, service_url: str, analysed: Analysed) -> None:
    file = f"/v1/projects/{analysed.project}/videos/{analysed.video_id}/file"
    with (
        httpx.Client(base_url=page_url, trust_env=False, timeout=WAIT_S) as page,
        httpx.Client(base_url=service_url, trust_env=False, timeout=WAIT_S) as service,
    ):
        part = page.get(f"/fr{file}", headers={"range": "bytes=100-199"})
        assert (part.status_code, part.content) == (206, service.get(file).content[100:200])
        assert part.headers["content-range"].startswith("bytes 100-199/")
        unchanged = page.get(f"/fr{file}", headers={"if-none-match": service.get(file).headers["etag"]})
        assert unchanged.status_code in (200, 304)
        missing = page.get("/fr/v1/projects/none/videos")
        assert (missing.status_code, missing.json()["status"]) == (404, 404)
        # A picture that is gone is nothing, where a picture is asked for; browsers write other answers on their consoles as faults.
        gone = f"/fr/v1/projects/{analysed.project}/people/Nobody/face.jpg"
        assert page.get(gone).status_code == 404
        assert page.get(gone, headers={"sec-fetch-dest": "image"}).status_code == 204
        assert (
            page.get("/fr/v1/projects/a%2Fb/videos").status_code == service.get("/v1/projects/a%2Fb/videos").status_code
        )


def test_nine_tabs_load(browser: Browser, page_url: str, analysed: Analysed) -> None:
    context = browser.new_context()
    tabs = [context.new_page() for _ in range(9)]
    for tab in tabs:
        tab.set_default_timeout(TIMEOUT_MS)
        tab.goto(f"{page_url}{analysed.at()}")
    for tab in tabs:
        expect(tab.locator(".list-row").first).to_be_visible()
    tabs[8].locator(".list-row").nth(1).click()
    expect(tabs[8].get_by_role("region", name="Evidence")).to_be_visible()
    context.close()


def test_keys_are_listed_and_lead_to_views(page: Page, page_url: str, analysed: Analysed) -> None:
    page.goto(f"{page_url}{analysed.at('/')}")
    expect(page.get_by_role("heading", name="Videos")).to_be_visible()
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys")
    expect(sheet.get_by_text("Undo the last change of names")).to_be_visible()
    # Nothing below a dialog takes keys.
    page.keyboard.press("Shift+P")
    expect(sheet).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    page.keyboard.press("Shift+P")
    expect(page).to_have_url(re.compile("/people"))
    page.goto(f"{page_url}{analysed.at('/')}")
    page.get_by_label("Search titles").press_sequentially("P?p")
    expect(page).to_have_url(re.compile(r"/\?project=default.*q=P%3Fp"))

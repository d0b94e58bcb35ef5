"""The list of videos: adding them, watching them being analysed, and what cannot be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.ui.page.conftest import Analysed

pytestmark = pytest.mark.browser


def test_a_video_is_uploaded_analysed_and_watched(
    page: Page, page_url: str, analysed: Analysed, tmp_path: Path
) -> None:
    """A newcomer's way; what a file is called is shown as a text, whatever it looks like."""
    file = tmp_path / "<img src=x onerror=alert(1)> ${alert(2)}.mp4"
    # Another content, of which players take no notice: an empty box at the end.
    file.write_bytes(analysed.file.read_bytes() + b"\0\0\0\x08free")
    page.on("dialog", lambda dialog: pytest.fail(f"a name ran: {dialog.message}"))
    page.goto(f"{page_url}{analysed.at('/')}")
    page.locator("input[type=file]").set_input_files(file)
    cards = page.get_by_role("list").locator(".card")
    expect(cards).to_have_count(2)
    expect(page.get_by_role("progressbar")).to_have_count(0)
    link = page.get_by_role("link", name=re.compile(r"alert\(2\)"))
    link.click()
    expect(page.locator(".list-row").filter(has_text="Eileen Collins").first).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_contain_text("${alert(2)}")
    assert page.locator("img[src=x]").count() == 0


def test_a_reload_comes_back_to_a_video_that_is_analysed(page: Page, page_url: str, analysed: Analysed) -> None:
    page.goto(f"{page_url}{analysed.at()}")
    page.reload()
    expect(page.locator(".list-row").first).to_be_visible()
    expect(page.get_by_role("link", name="Videos", exact=True).first).to_have_attribute("aria-current", "page")


@pytest.mark.complaints
def test_what_is_no_video_is_told_with_its_reason(
    page: Page, page_url: str, analysed: Analysed, tmp_path: Path
) -> None:
    file = tmp_path / "notes.mp4"
    file.write_text("no video")
    page.goto(f"{page_url}{analysed.at('/')}")
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text(re.compile("notes.mp4.*not a video|not a video.*notes.mp4"))).to_be_visible()
    page.get_by_label("Addresses of videos, one a line").fill("ftp://nowhere.example/a.mp4")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="ftp://nowhere.example")).to_be_visible()


def test_titles_are_searched_and_states_chosen(page: Page, page_url: str, analysed: Analysed) -> None:
    page.goto(f"{page_url}{analysed.at('/', q='nothing like it')}")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    page.get_by_label("Search titles").fill("REEL")
    expect(page.get_by_role("link", name="reel.mp4")).to_be_visible()
    page.get_by_label("State").select_option("failed")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    expect(page).to_have_url(re.compile("q=REEL.*state=failed"))


@pytest.mark.complaints
def test_what_is_not_there_is_told(page: Page, page_url: str, analysed: Analysed) -> None:
    page.goto(f"{page_url}/video?project={analysed.project}&video=v-aaaaaaaaaaaaaaaa")
    expect(page.get_by_role("heading", name="This is not there")).to_be_visible()
    page.goto(f"{page_url}/?project=absent")
    expect(page.get_by_role("heading", name="This is not there")).to_be_visible()
    page.goto(f"{page_url}/video")
    expect(page.get_by_role("heading", name="No video is chosen")).to_be_visible()

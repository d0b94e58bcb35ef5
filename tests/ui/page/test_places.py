"""The place that a visitor is at: another project by the bar, and a tab that a browser restores."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.contract.store_cases import make_video
from tests.ui.page.conftest import Analysed, Served

pytestmark = pytest.mark.browser

_PLAYER = "document.querySelector('fr-app').shadowRoot.querySelector('fr-player')"


@pytest.fixture(scope="module")
def attic(served: Served) -> str:
    """A second project, with one video that was not analysed."""
    served.archive.store.create_project("attic")
    served.archive.store.put_video(make_video("v-attic", project="attic"))
    return "attic"


def test_the_bar_leads_to_another_project_which_is_remembered(
    page: Page, page_url: str, analysed: Analysed, attic: str
) -> None:
    projects = page.get_by_label("Project", exact=True)
    cards = page.locator(".video-card")
    page.goto(f"{page_url}{analysed.at('/', video='')}")
    expect(cards.filter(has_text="reel.mp4")).to_be_visible()
    expect(projects).to_have_value(analysed.project)
    projects.select_option(attic)
    expect(page).to_have_url(re.compile(f"/\\?project={attic}$"))
    expect(cards).to_have_count(1)
    expect(cards).to_contain_text("v-attic.mp4")
    # Views that are gone to from here are of this project.
    page.get_by_role("navigation", name="Views").get_by_role("link", name="People").click()
    expect(page).to_have_url(re.compile(f"/people\\?project={attic}$"))
    expect(page.get_by_text("Nobody is enrolled yet")).to_be_visible()
    # Whoever comes without a project in the address is where they were.
    page.goto(page_url)
    expect(cards).to_contain_text("v-attic.mp4")
    expect(projects).to_have_value(attic)
    page.go_back()
    projects.select_option(analysed.project)
    expect(page).to_have_url(re.compile(f"/people\\?project={analysed.project}$"))
    expect(page.get_by_role("link", name=re.compile("Eileen Collins"))).to_be_visible()


def test_a_video_of_one_project_is_left_with_the_project(
    page: Page, page_url: str, analysed: Analysed, attic: str
) -> None:
    page.goto(f"{page_url}{analysed.at()}")
    expect(page.locator(".list-row").first).to_be_visible()
    page.get_by_label("Project", exact=True).select_option(attic)
    expect(page.locator(".video-card")).to_contain_text("v-attic.mp4")
    page.go_back()
    expect(page.locator(".list-row").first).to_be_visible()
    expect(page.get_by_label("Project", exact=True)).to_have_value(analysed.project)


def test_a_restored_tab_has_project_video_time_and_person(
    page: Page, page_url: str, analysed: Analysed, attic: str
) -> None:
    page.goto(f"{page_url}{analysed.at()}")
    page.locator(".list-row").filter(has_text="Carphone Man").first.click()
    page.wait_for_function(f"{_PLAYER}.video.readyState >= 2 && !{_PLAYER}.video.seeking")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"!{_PLAYER}.video.seeking && {_PLAYER}.isDrawnAt === {_PLAYER}.video.currentTime")
    time_s = page.evaluate(f"{_PLAYER}.time")
    expect(page).to_have_url(re.compile(f"[?&]t={time_s:.2f}(&|$)"))
    row = page.locator(".list-row[aria-selected=true]").text_content() or ""
    address = page.url
    # Meanwhile another tab is at another project, which must not matter.
    other = page.context.new_page()
    other.goto(f"{page_url}/?project={attic}")
    expect(other.locator(".video-card")).to_contain_text("v-attic.mp4")
    restored = page.context.new_page()
    for tab, come in ((page, page.reload), (restored, lambda: restored.goto(address))):
        come()
        expect(tab.get_by_label("Project", exact=True)).to_have_value(analysed.project)
        expect(tab.get_by_role("heading", level=1)).to_have_text("reel.mp4")
        expect(tab.locator(".list-row[aria-selected=true]")).to_have_text(row)
        evidence = tab.get_by_role("region", name="Evidence").get_by_role("heading", level=2)
        expect(evidence).to_have_text("Carphone Man")
        tab.wait_for_function(f"() => Math.abs({_PLAYER}.video.currentTime - {_PLAYER}.offset - {time_s}) < 0.05")
        expect(tab.locator(".box.chosen")).to_have_attribute("aria-label", "Carphone Man")
    restored.close()
    other.close()

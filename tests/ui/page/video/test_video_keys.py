"""What keys and lanes do beside a video: go to moments, choose who is seen, play, copy a link, and hide a stranger."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from facerec_models.result import AppearanceView, Result
from tests.ui.page.conftest import Analysed
from tests.waiting import wait_until
from ui.client import FacerecClient

pytestmark = pytest.mark.browser

_PLAYER = "document.querySelector('fr-app').shadowRoot.querySelector('fr-player')"
_LANE_PX = 28
_MAN, _MAN_ID = "Carphone Man", "Carphone_Man"


@pytest.fixture
def result(service_url: str, analysed: Analysed) -> Result:
    with FacerecClient(service_url) as client:
        return client.result(analysed.project, analysed.video_id)


@pytest.fixture
def shown(page: Page, page_url: str, analysed: Analysed) -> Page:
    """The video, whose file is there to be sought in."""
    page.goto(f"{page_url}{analysed.at()}")
    expect(page.locator(".list-row").first).to_be_visible()
    page.wait_for_function(f"{_PLAYER}.video.readyState >= 2 && !{_PLAYER}.video.seeking")
    return page


def of(result: Result, person: str) -> list[AppearanceView]:
    """Return the appearances of a person, the first one first."""
    return sorted((one for one in result.appearances if one.person_id == person), key=lambda one: one.start_s)


def picture_time(page: Page) -> float:
    """Return the time of the picture that is shown, by the file's own player."""
    return float(page.evaluate(f"{_PLAYER}.video.currentTime - {_PLAYER}.offset"))


def expect_time(page: Page, time_s: float, within_s: float = 0.05) -> None:
    wait_until(lambda: abs(picture_time(page) - time_s) < within_s)


def expect_chosen(page: Page, one: AppearanceView) -> None:
    """Wait until an appearance is chosen in the address, in the list, and beside it."""
    expect(page).to_have_url(re.compile(rf"[?&]track={one.track_ids[0]}(&|$)"))
    expect(page.locator(".list-row[aria-selected=true]")).to_contain_text(one.label)
    heading = page.get_by_role("region", name="Evidence").get_by_role("heading", level=2)
    expect(heading).to_have_text(one.label)


def legend(page: Page) -> list[str]:
    """Return who has a lane, from the top."""
    return page.get_by_role("list", name="Who is shown").locator("bdi").all_inner_texts()


def click_lanes(page: Page, part: float, row: int) -> None:
    """Click into the lanes, at a part of their width."""
    box = page.get_by_role("img", name="Who is in view when").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + part * box["width"], box["y"] + (row + 1.5) * _LANE_PX)


def test_a_click_in_a_lane_goes_there_and_chooses_who_is_seen(shown: Page, result: Result) -> None:
    one = of(result, _MAN_ID)[-1]
    middle_s = (one.start_s + one.end_s) / 2
    click_lanes(shown, middle_s / result.video.duration_s, legend(shown).index(_MAN))
    expect_chosen(shown, one)
    expect_time(shown, middle_s, within_s=0.2)
    expect(shown.locator(".box.chosen")).to_have_attribute("aria-label", _MAN)
    # Where nobody is seen, it only goes there.
    click_lanes(shown, 0.02, legend(shown).index(_MAN))
    expect_time(shown, 0.02 * result.video.duration_s, within_s=0.2)
    expect_chosen(shown, one)


def test_lanes_zoom_to_fewer_seconds_and_back(shown: Page, result: Result) -> None:
    lowest = len(legend(shown)) - 1

    def seconds_shown() -> float:
        times = []
        for part in (0.25, 0.75):
            click_lanes(shown, part, lowest)
            shown.wait_for_function(f"!{_PLAYER}.video.seeking")
            times.append(picture_time(shown))
        return 2 * (times[1] - times[0])

    whole = result.video.duration_s
    assert seconds_shown() == pytest.approx(whole, rel=0.05)
    for _ in range(2):
        shown.get_by_role("button", name="Zoom in").click()
    assert seconds_shown() == pytest.approx(whole / 4, rel=0.05)
    shown.get_by_role("button", name="Zoom out").click()
    assert seconds_shown() == pytest.approx(whole / 2, rel=0.05)
    shown.get_by_role("button", name="Show the whole video").click()
    assert seconds_shown() == pytest.approx(whole, rel=0.05)


def test_alt_click_in_the_legend_shows_one_alone_and_all_again(shown: Page) -> None:
    switches = shown.get_by_role("list", name="Who is shown").get_by_role("button")
    rows = shown.locator(".list-row")
    before = rows.count()
    own = rows.filter(has_text=_MAN).count()
    assert 0 < own < before
    man = switches.filter(has_text=_MAN)
    man.click(modifiers=["Alt"])
    expect(rows).to_have_count(own)
    expect(rows.filter(has_text=_MAN)).to_have_count(own)
    pressed = [one.get_attribute("aria-pressed") for one in switches.all()]
    assert pressed.count("true") == 1
    expect(man).to_have_attribute("aria-pressed", "true")
    man.click(modifiers=["Alt"])
    expect(rows).to_have_count(before)
    assert {one.get_attribute("aria-pressed") for one in switches.all()} == {"true"}


def test_j_and_k_go_through_the_appearances_of_one_person(shown: Page, result: Result) -> None:
    first, second, *_ = of(result, _MAN_ID)
    shown.locator(".list-row").filter(has_text=_MAN).first.click()
    for key, one in (("", first), ("j", second), ("k", first), ("k", first)):
        if key:
            shown.keyboard.press(key)
        expect_chosen(shown, one)
        expect_time(shown, one.start_s)


def test_space_plays_and_stops_and_arrows_go_a_second(shown: Page, result: Result) -> None:
    start_s = of(result, _MAN_ID)[0].start_s
    shown.locator(".list-row").filter(has_text=_MAN).first.click()
    expect_time(shown, start_s)
    for key, time_s in (("ArrowRight", start_s + 1), ("ArrowRight", start_s + 2), ("ArrowLeft", start_s + 1)):
        shown.keyboard.press(key)
        expect_time(shown, time_s)
    shown.keyboard.press("Space")
    shown.wait_for_function(f"!{_PLAYER}.video.paused && {_PLAYER}.time > {start_s + 1.3}")
    shown.keyboard.press("Space")
    shown.wait_for_function(f"{_PLAYER}.video.paused")
    stopped_s = picture_time(shown)
    shown.wait_for_timeout(500)
    assert picture_time(shown) == stopped_s


def test_c_copies_a_link_that_leads_to_this_moment(shown: Page, page_url: str, result: Result) -> None:
    shown.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=page_url)
    one = of(result, _MAN_ID)[-1]
    shown.locator(".list-row").filter(has_text=_MAN).last.click()
    expect_time(shown, one.start_s)
    shown.keyboard.press("ArrowRight")
    expect_time(shown, one.start_s + 1)
    shown.keyboard.press("c")
    expect(shown.get_by_role("status").filter(has_text="Copied the link to")).to_be_visible()
    copied = shown.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("reel.mp4, ")
    link = copied.rpartition(" ")[2]
    assert link.startswith(f"{page_url}/video?")
    assert float(parse_qs(urlsplit(link).query)["t"][0]) == pytest.approx(one.start_s + 1, abs=0.05)
    # A colleague's browser, which knows nothing of this one.
    other = shown.context.new_page()
    other.goto(link)
    expect_chosen(other, one)
    other.wait_for_function(f"{_PLAYER}.video.readyState >= 2")
    expect_time(other, one.start_s + 1)
    other.close()


def test_h_hides_a_stranger_and_undo_brings_them_back(
    shown: Page, page_url: str, service_url: str, analysed: Analysed
) -> None:
    row = shown.locator(".list-row").filter(has_text=re.compile(r"Unknown \d+")).first
    label = row.locator("bdi").inner_text()
    row.click()
    heading = shown.get_by_role("region", name="Evidence").get_by_role("heading", level=2)
    expect(heading).to_have_text(label)
    listed = _lists(page_url, analysed, shown)
    assert label in listed()
    with FacerecClient(service_url) as client:
        before = {one.stranger for one in client.strangers(analysed.project)}
        shown.keyboard.press("h")
        expect(shown.get_by_role("status").filter(has_text=f"{label} is left out of lists")).to_be_visible()
        (hidden,) = before - {one.stranger for one in client.strangers(analysed.project)}
        assert label not in listed()
        shown.keyboard.press("Control+z")
        expect(shown.get_by_role("status").filter(has_text="Undone")).to_be_visible()
        assert hidden in {one.stranger for one in client.strangers(analysed.project)}
        assert label in listed()


def _lists(page_url: str, analysed: Analysed, beside: Page) -> Callable[[], list[str]]:
    """Return what tells who is in the list of strangers, in a tab of its own."""

    def listed() -> list[str]:
        tab = beside.context.new_page()
        tab.goto(f"{page_url}{analysed.at('/strangers', video='')}")
        expect(tab.locator("aside [role=status]")).to_have_text(re.compile(r"\d+ strangers?"))
        found = tab.locator(".stranger-rows .clip").all_inner_texts()
        tab.close()
        return found

    return listed

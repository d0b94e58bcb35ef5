"""The page is usable by keyboard alone: everything is reached, the focus is always seen, and never lost."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.ui.page.conftest import Analysed, Served
from tests.ui.page.every_view import PERSON, open_place, places
from ui.demo_material import DemoMaterial

pytestmark = pytest.mark.browser

_WATCH = """() => {
    const root = document.querySelector('fr-app').shadowRoot;
    const able = 'a[href], button, input, select, textarea, summary, video, [tabindex]';
    const isAble = one => one.tabIndex >= 0 && !one.disabled && one.checkVisibility({visibilityProperty: true});
    const named = one => `${one.localName} ${one.getAttribute('aria-label') ?? one.textContent.slice(0, 40)}`;
    const seen = new Set(), unseen = new Set();
    root.addEventListener('focusin', ({target}) => {
        seen.add(target);
        const {outlineStyle, outlineWidth} = getComputedStyle(target);
        const {top, bottom} = target.getBoundingClientRect();
        if (outlineStyle === 'none' || parseFloat(outlineWidth) < 1) unseen.add(named(target));
        if (bottom < 0 || top > innerHeight) unseen.add(`${named(target)}, out of the window`);
    });
    // Of a list that the arrow keys walk, one stop is enough.
    const near = one => [...one.closest('ul')?.querySelectorAll('[tabindex]') ?? []];
    const isReached = one => seen.has(one) || near(one).some(other => seen.has(other));
    window.stops = () => [...root.querySelectorAll(able)].filter(isAble).length;
    window.walked = () => [[...root.querySelectorAll(able)].filter(one => isAble(one) && !isReached(one)).map(named), [...unseen]];
}"""
_WALKED = (
    *("videos", "video, a face chosen", "people, adding", "person", "strangers", "search, found", "train"),
    *("measure, labelling", "service, projects"),
)
_FOCUSED = """() => {
    const {activeElement: one} = document.querySelector('fr-app').shadowRoot;
    return one && `${one.localName} ${one.getAttribute('aria-label') ?? one.textContent.slice(0, 60)}`;
}"""


def expect_a_focus(page: Page) -> None:
    """Wait until something has the focus, as what is drawn anew."""
    page.wait_for_function(_FOCUSED)


def press_on(page: Page, role: Any, name: str | re.Pattern[str], key: str = "Enter") -> None:
    """Go to a control with Tab, as who has no mouse does, and press a key there."""
    wanted = page.get_by_role(role, name=name).first
    expect(wanted).to_be_visible()
    for _ in range(120):
        page.keyboard.press("Tab")
        if wanted.evaluate("one => one === one.getRootNode().activeElement"):
            break
    expect(wanted).to_be_focused()
    if key:
        page.keyboard.press(key)


def test_tab_reaches_everything_and_the_focus_is_seen(page: Page, served: Served, analysed: Analysed) -> None:
    wrong = {}
    for place in places(analysed.project, analysed.video_id, "1", analysed.project):
        if place.name not in _WALKED:
            continue
        open_place(page, served.page_url, place)
        page.evaluate(_WATCH)
        for _ in range(page.evaluate("stops()") + 20):
            page.keyboard.press("Tab")
        unreached, unseen = page.evaluate("walked()")
        if unreached or unseen:
            wrong[place.name] = (unreached, unseen)
    assert wrong == {}


def test_the_first_stop_skips_to_the_content(page: Page, served: Served, analysed: Analysed) -> None:
    page.goto(f"{served.page_url}{analysed.at('/people')}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Search names")).to_be_focused()


def test_from_an_empty_project_to_a_named_person(page: Page, served: Served, material: DemoMaterial) -> None:
    page.goto(f"{served.page_url}/service?show=projects")
    press_on(page, "textbox", "Name of a new project", "")
    page.keyboard.type("by-keys")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("project=by-keys"))
    expect(page.get_by_text("Project by-keys is there")).to_be_visible()
    expect_a_focus(page)
    press_on(page, "link", "Videos")
    with page.expect_file_chooser() as chooser:
        press_on(page, "button", "Choose videos")
    chooser.value.set_files(material.reel)
    press_on(page, "link", re.compile(re.escape(material.reel.name)))
    expect(page.locator(".list-row").first).to_be_visible()
    # Rows are there while the job runs, and strangers at its end.
    expect(page.get_by_text("None of this is final")).to_have_count(0)
    expect_a_focus(page)
    press_on(page, "link", "Who is this?")
    expect(page.get_by_label("Name of this person")).to_be_focused()
    page.keyboard.type("Grace Hopper")
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile(r"Unknown \d+ is Grace Hopper"))).to_be_visible()
    press_on(page, "link", "People")
    press_on(page, "link", re.compile("^Grace Hopper"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Grace Hopper")
    expect(page.get_by_role("list", name="Appearances").get_by_role("link").first).to_be_visible()


def test_what_opens_closes_with_escape_and_gives_the_focus_back(page: Page, served: Served, analysed: Analysed) -> None:
    page.goto(f"{served.page_url}{analysed.at('/person', person=PERSON)}")
    for opener, inside in (
        ("Keys", page.get_by_role("dialog", name="Keys")),
        ("Rename", page.get_by_label("New name")),
        ("Merge with…", page.get_by_role("combobox", name="Who they are: the name that stays")),
        ("Add pictures", page.get_by_role("button", name="Choose pictures")),
    ):
        press_on(page, "button", opener)
        expect(inside).to_be_visible()
        page.keyboard.press("Escape")
        expect(inside).to_be_hidden()
        expect(page.get_by_role("button", name=opener, exact=True)).to_be_focused()
    page.goto(f"{served.page_url}{analysed.at('/train')}")
    page.get_by_role("slider").focus()
    page.keyboard.press("End")
    press_on(page, "button", "Show what that changes")
    expect(page.locator(".preview")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".preview")).to_be_hidden()
    expect_a_focus(page)
    page.goto(f"{served.page_url}{analysed.at()}")
    expect(page.locator(".list-row").first).to_be_visible()
    page.locator("details.menu summary").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Table (CSV)")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Table (CSV)")).to_be_hidden()
    expect(page.locator("details.menu summary")).to_be_focused()


def test_the_focus_is_somewhere_after_each_change(page: Page, served: Served, analysed: Analysed) -> None:
    page.goto(f"{served.page_url}{analysed.at()}")
    rows = page.locator("fr-rows")
    expect(page.locator(".list-row").first).to_be_visible()
    rows.focus()
    page.keyboard.press("ArrowDown")
    deny = page.get_by_role("button", name=re.compile("^Not "))
    while not deny.count():
        page.keyboard.press("ArrowDown")
    press_on(page, "button", re.compile("^Not (?!sure)"))
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    expect_a_focus(page)
    press_on(page, "button", "Undo")
    expect(page.get_by_text(re.compile("^Undone"))).to_be_visible()
    expect_a_focus(page)
    page.goto(f"{served.page_url}{analysed.at('/person', person=PERSON)}")
    press_on(page, "button", re.compile("^Not Eileen Collins"))
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    expect_a_focus(page)
    page.keyboard.press("Control+z")
    expect(page.get_by_text(re.compile("^Undone"))).to_be_visible()
    expect_a_focus(page)
    page.goto(f"{served.page_url}{analysed.at('/strangers')}")
    expect(page.locator("button.candidate").first).to_be_visible()
    press_on(page, "button", "Hide")
    expect(page.get_by_text(re.compile("is hidden"))).to_be_visible()
    expect_a_focus(page)
    page.keyboard.press("Control+z")
    expect(page.get_by_text(re.compile("^Undone"))).to_be_visible()
    expect_a_focus(page)

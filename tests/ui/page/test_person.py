"""One person's page: appearances are confirmed and given to others, and people who were merged are taken apart."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.serving.routes import ok
from tests.ui.page.conftest import Analysed, Served
from tests.waiting import WAIT_S, wait_until

pytestmark = pytest.mark.browser

COLLINS, MAN = "Eileen_Collins", "Carphone_Man"


def read(served: Served, address: str, **query: Any) -> Any:
    """Return what the service answers."""
    return ok(
        httpx.get(f"{served.service_url}/v1/projects/default/{address}", params=query, trust_env=False, timeout=WAIT_S)
    )


def appearances(served: Served, person_id: str) -> dict[float, bool]:
    """Return when a person is in view, and whether that was confirmed."""
    items = read(served, "appearances", person_id=person_id)["items"]
    return {item["start_s"]: item["confirmed"] for item in items}


def open_person(page: Page, served: Served, person_id: str) -> None:
    page.goto(f"{served.page_url}/person?person={person_id}")
    expect(page.get_by_role("heading", level=1)).to_have_text(person_id.replace("_", " "))
    expect(moments(page).first).to_be_visible()


def pictures(page: Page) -> Locator:
    return page.get_by_role("list", name="Pictures").get_by_role("button")


def moments(page: Page) -> Locator:
    return page.get_by_role("list", name="Appearances").get_by_role("link")


def confirmed(page: Page) -> Locator:
    return moments(page).filter(has_text="✓ confirmed")


def undo(page: Page, served: Served, person_id: str, before: dict[float, bool]) -> None:
    """Take the last edit back, and wait until the service and the page show what was before it."""
    expect(page.get_by_role("button", name="Undo").last).to_be_visible()
    page.keyboard.press("Control+z")
    wait_until(lambda: appearances(served, person_id) == before)
    expect(moments(page)).to_have_count(len(before))
    expect(confirmed(page)).to_have_count(sum(before.values()))


def test_appearances_are_confirmed(page: Page, served: Served, analysed: Analysed) -> None:
    before = appearances(served, COLLINS)
    assert len(before) > 1
    assert not any(before.values())
    open_person(page, served, COLLINS)
    expect(confirmed(page)).to_have_count(0)
    moments(page).first.focus()
    page.keyboard.press("y")
    expect(confirmed(page)).to_have_count(1)
    expect(moments(page).first).to_have_text(re.compile("✓ confirmed"))
    assert list(appearances(served, COLLINS).values()) == [True] + [False] * (len(before) - 1)
    undo(page, served, COLLINS, before)
    edits = len(read(served, "history"))
    moments(page).first.focus()
    for key in ("x", "j", "x"):
        page.keyboard.press(key)
    expect(page.get_by_text("2 appearances selected")).to_be_visible()
    page.get_by_role("button", name="Yes, Eileen Collins").click()
    expect(confirmed(page)).to_have_count(2)
    expect(page.get_by_text("2 appearances selected")).to_be_hidden()
    assert sum(appearances(served, COLLINS).values()) == 2
    assert len(read(served, "history")) == edits + 1
    undo(page, served, COLLINS, before)


def test_appearances_are_given_to_whom_they_show(page: Page, served: Served, analysed: Analysed) -> None:
    before, of_man = appearances(served, COLLINS), appearances(served, MAN)
    open_person(page, served, COLLINS)
    moments(page).first.focus()
    page.keyboard.press("i")
    field = page.get_by_label("Who they are", exact=True)
    expect(field).to_be_focused()
    page.keyboard.type("carph")
    expect(page.get_by_role("option", name="Carphone Man")).to_be_visible()
    page.keyboard.press("Enter")
    wait_until(lambda: len(appearances(served, MAN)) > len(of_man))
    first = min(before)
    assert appearances(served, MAN)[first]
    assert first not in appearances(served, COLLINS)
    expect(moments(page)).to_have_count(len(appearances(served, COLLINS)))
    undo(page, served, COLLINS, before)
    assert appearances(served, MAN) == of_man


def test_a_name_that_is_typed_survives_what_is_read_anew(page: Page, served: Served, analysed: Analysed) -> None:
    before = appearances(served, COLLINS)
    open_person(page, served, COLLINS)
    moments(page).first.focus()
    page.keyboard.press("i")
    page.keyboard.type("Kalpana")
    # A click elsewhere changes names, and the tiles are made anew.
    pictures(page).first.click()
    expect(pictures(page).and_(page.locator("[aria-pressed=false]"))).to_have_count(1)
    field = page.get_by_label("Who they are", exact=True)
    expect(field).to_have_value("Kalpana")
    field.focus()
    page.keyboard.press("End")
    page.keyboard.type(" Chawla")
    page.keyboard.press("Enter")
    wait_until(lambda: appearances(served, "Kalpana_Chawla") == {min(before): True})
    expect(page.get_by_text("1 appearance selected")).to_be_hidden()
    page.keyboard.press("Control+z")
    wait_until(lambda: "Kalpana_Chawla" not in {one["person_id"] for one in read(served, "people")})
    page.keyboard.press("Control+z")
    wait_until(lambda: appearances(served, COLLINS) == before)
    expect(pictures(page).and_(page.locator("[aria-pressed=false]"))).to_have_count(0)


@pytest.mark.complaints
def test_what_is_refused_stays_selected(page: Page, served: Served, analysed: Analysed) -> None:
    before = appearances(served, COLLINS)
    open_person(page, served, COLLINS)
    moments(page).first.focus()
    page.keyboard.press("i")
    page.keyboard.type("CARPHONE_MAN_")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").get_by_text("Carphone_Man")).to_be_visible()
    expect(page.get_by_text("1 appearance selected")).to_be_visible()
    expect(page.get_by_label("Who they are", exact=True)).to_have_value("CARPHONE_MAN_")
    expect(page.locator(".moments .pale")).to_have_count(0)
    assert appearances(served, COLLINS) == before


def test_shift_and_a_click_select_from_the_tile_with_the_focus(page: Page, served: Served, analysed: Analysed) -> None:
    open_person(page, served, COLLINS)
    count = pictures(page).count()
    assert count > 3
    pictures(page).nth(1).focus()
    pictures(page).nth(count - 1).click(modifiers=["Shift"])
    expect(page.get_by_text(f"{count - 1} pictures selected")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("pictures selected")).to_be_hidden()
    pictures(page).nth(0).click()
    expect(pictures(page).and_(page.locator("[aria-pressed=false]"))).to_have_count(1)
    pictures(page).nth(2).focus()
    pictures(page).nth(0).click(modifiers=["Shift"])
    expect(page.get_by_text("3 pictures selected")).to_be_visible()
    page.keyboard.press("Control+z")
    expect(pictures(page).and_(page.locator("[aria-pressed=false]"))).to_have_count(0)


def test_people_who_were_merged_are_taken_apart(page: Page, served: Served, analysed: Analysed) -> None:
    before = {one["person_id"]: one["taken"] for one in read(served, "people")}
    alone = appearances(served, COLLINS)
    ok(
        httpx.post(
            f"{served.service_url}/v1/projects/default/people/{MAN}/merge",
            json={"person_id": COLLINS},
            trust_env=False,
            timeout=WAIT_S,
        )
    )
    together = appearances(served, COLLINS)
    open_person(page, served, COLLINS)
    merged = page.get_by_role("region", name="Merged with this person")
    expect(merged).to_contain_text(f"{before[MAN]} pictures")
    merged.get_by_role("button", name="Take Carphone Man apart").click()
    expect(page.get_by_text("Carphone Man and Eileen Collins are two people again")).to_be_visible()
    expect(merged).to_be_hidden()
    expect(pictures(page)).to_have_count(before[COLLINS])
    expect(moments(page)).to_have_count(len(alone))
    assert {one["person_id"]: one["taken"] for one in read(served, "people")} == before
    undo(page, served, COLLINS, together)
    expect(merged).to_be_visible()
    page.reload()
    merged.get_by_role("button", name="Take Carphone Man apart").click()
    expect(merged).to_be_hidden()
    assert appearances(served, COLLINS) == alone


def test_keys_of_a_person_are_listed(page: Page, served: Served, analysed: Analysed) -> None:
    open_person(page, served, COLLINS)
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys")
    for text in ("Yes, this person", "It is…", "Not this person"):
        expect(sheet.get_by_text(text)).to_be_visible()


def test_who_may_only_read_cannot_confirm_or_name(page: Page, served: Served, analysed: Analysed) -> None:
    mine = '{"name": "reader", "grants": {"default": "read"}}'
    page.route("**/fr/v1/me", lambda route: route.fulfill(status=200, content_type="application/json", body=mine))
    before = appearances(served, COLLINS)
    open_person(page, served, COLLINS)
    moments(page).first.focus()
    for key in ("y", "i", "x"):
        page.keyboard.press(key)
    for name in ("Yes, Eileen Collins", "It is…"):
        expect(page.get_by_role("button", name=name)).to_be_disabled()
        expect(page.get_by_role("button", name=name)).to_have_attribute("title", re.compile("curate"))
    assert appearances(served, COLLINS) == before

"""Who is this?: strangers are named with one key each, in groups, together, or joined."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from facerec_models.errors import ProjectNotFoundError
from serving.archive.naming.correct import TrackCorrection, correct
from serving.archive.naming.one_video import assign_current
from serving.archive.search.strangers import rank_strangers
from serving.store.naming_rows import CorrectionKind
from tests.archive import fill, put_tracks
from tests.builders import face_of, make_track, near
from tests.ui.page.conftest import Served
from tests.waiting import wait_until

pytestmark = pytest.mark.browser


@pytest.fixture
def queue(served: Served, page: Page) -> str:
    """The address of a project with two people who are enrolled and two strangers, each in two videos."""
    with suppress(ProjectNotFoundError):
        served.archive.store.delete_project("p")
    fill(served.archive)
    return f"{served.page_url}/strangers?project=p"


def heading(page: Page) -> Locator:
    return page.locator("fr-stranger-stage h2")


def people_of(served: Served) -> set[str]:
    return {one.person_id for one in served.archive.store.list_people("p")}


def begin(page: Page, address: str) -> str:
    """Open the queue, and return who is shown first once they can be answered."""
    page.goto(address)
    expect(page.locator("button.candidate")).to_have_count(2)
    expect(page.get_by_label("Name of this person")).to_be_focused()
    return heading(page).inner_text()


def test_a_digit_names_and_the_next_one_comes(page: Page, queue: str, served: Served) -> None:
    first = begin(page, queue)
    name = page.locator("button.candidate bdi").first.inner_text()
    page.keyboard.press("1")
    expect(heading(page)).not_to_have_text(first)
    expect(page.get_by_text(f"{first} is {name}")).to_be_visible()
    expect(page.get_by_text("1 stranger", exact=True)).to_be_visible()
    expect(page.get_by_label("Name of this person")).to_be_focused()
    page.keyboard.press("Control+z")
    expect(page.get_by_text(f"Undone: {first} is {name}")).to_be_visible()
    expect(heading(page)).to_have_text(first)
    assert len(rank_strangers(served.archive, "p").strangers) == 2


def test_typed_names_are_enrolled_until_nobody_is_left(page: Page, queue: str, served: Served) -> None:
    first = begin(page, queue)
    # Keys that answer elsewhere are letters here.
    page.keyboard.type("Sheila Hix 1")
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"{first} is Sheila Hix 1")).to_be_visible()
    page.on("dialog", lambda dialog: pytest.fail(f"a name ran: {dialog.message}"))
    page.keyboard.type("${alert(1)}")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Nobody is left to name")).to_be_visible()
    expect(page.get_by_text("is ${alert(1)}")).to_be_visible()
    assert people_of(served) == {"Ann_Lee", "Bob", "Sheila_Hix_1", "${alert(1)}"}


@pytest.mark.complaints
def test_a_name_that_is_refused_leads_back_to_whom_it_was_for(page: Page, queue: str) -> None:
    first = begin(page, queue)
    page.keyboard.type("<img src=x>")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="must not be empty or contain")).to_be_visible()
    expect(heading(page)).to_have_text(first)
    expect(page.get_by_text("2 strangers", exact=True)).to_be_visible()


def test_enter_takes_only_what_is_suggested(page: Page, queue: str, served: Served) -> None:
    first = begin(page, queue)
    page.keyboard.press("Enter")
    expect(page.locator("button.candidate.sure")).to_have_count(0)

    def be_sure(route: Route) -> None:
        found: list[dict[str, Any]] = route.fetch().json()
        found[0]["is_sure"] = True
        route.fulfill(body=json.dumps(found), content_type="application/json")

    page.route(re.compile("/candidates"), be_sure)
    assert heading(page).inner_text() == first
    begin(page, queue)
    expect(page.locator("button.candidate.sure")).to_have_count(1)
    name = page.locator("button.candidate.sure bdi").inner_text()
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"{first} is {name}")).to_be_visible()
    assert len(rank_strangers(served.archive, "p").strangers) == 1
    page.unroute_all(behavior="wait")


def test_passers_by_are_hidden_and_shown(page: Page, queue: str) -> None:
    first = begin(page, queue)
    page.keyboard.press("ArrowRight")
    expect(heading(page)).not_to_have_text(first)
    page.keyboard.press("ArrowLeft")
    expect(heading(page)).to_have_text(first)
    page.keyboard.press("Delete")
    expect(page.get_by_text(f"{first} is hidden")).to_be_visible()
    expect(page.get_by_text("1 stranger", exact=True)).to_be_visible()
    page.get_by_label("Show hidden ones, too").check()
    expect(page.get_by_text("2 strangers", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_label("Show hidden ones, too")).to_be_checked()
    expect(page.locator(".list-row").filter(has_text=first)).to_contain_text("hidden")
    page.get_by_label("Least time in view").select_option("60")
    expect(page.get_by_role("heading", name="Nobody is left to name")).to_be_visible()
    expect(page).to_have_url(re.compile("least=60"))
    page.get_by_role("button", name="Show all strangers").click()
    expect(page.get_by_text("2 strangers", exact=True)).to_be_visible()


def test_a_preview_is_applied_as_it_was_shown(page: Page, queue: str, served: Served) -> None:
    first = begin(page, queue)
    page.keyboard.type("Cem")
    page.keyboard.press("Shift+Enter")
    expect(page.get_by_text("+2 in 2 videos")).to_be_visible()
    assert people_of(served) == {"Ann_Lee", "Bob"}
    page.keyboard.press("Escape")
    expect(page.get_by_text("+2 in 2 videos")).to_be_hidden()
    page.keyboard.type("Cem")
    page.keyboard.press("Shift+Enter")
    expect(page.get_by_role("button", name="Apply")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"{first} is Cem (+2 in 2 videos)")).to_be_visible()
    assert "Cem" in people_of(served)


def test_several_are_named_once(page: Page, queue: str, served: Served) -> None:
    begin(page, queue)
    page.locator(".mark").first.click()
    page.locator(".list-row").nth(1).click(modifiers=["Shift"])
    page.get_by_label("Name of all 2").fill("Cem")
    page.get_by_label("Name of all 2").press("Enter")
    expect(page.get_by_text("2 strangers named Cem")).to_be_visible()
    expect(page.get_by_role("heading", name="Nobody is left to name")).to_be_visible()
    assert rank_strangers(served.archive, "p").strangers == []


def test_an_answer_that_is_on_its_way_is_not_lost_with_the_page(page: Page, queue: str, served: Served) -> None:
    first = begin(page, queue)
    held: list[Route] = []
    page.route("**/strangers/*/name", lambda route: held.append(route))
    page.keyboard.press("1")
    page.keyboard.press("Control+z")
    expect(page.get_by_text("keeping 2 changes…")).to_be_visible()
    wait_until(lambda: page.evaluate("1") and held)
    asked: list[str] = []
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.evaluate("setTimeout(() => location.reload())")
    expect(page.get_by_text("keeping 2 changes…")).to_be_visible()
    wait_until(lambda: page.evaluate("1") and asked)
    assert asked == ["beforeunload"]
    held.pop().continue_()
    # The undo was for the answer before it, not for an older one.
    expect(page.get_by_text(re.compile(f"^Undone: {first} is "))).to_be_visible()
    expect(page.get_by_text("2 strangers", exact=True)).to_be_visible()


def test_a_wrong_name_is_put_right_by_one_key(page: Page, queue: str, served: Served) -> None:
    tracks = [TrackCorrection(video, 1, CorrectionKind.IS, "Bob") for video in ("v-1", "v-2")]
    correct(served.archive, "p", tracks)
    page.goto(f"{queue}&show=doubtful")
    expect(page.get_by_role("heading", name="Named Bob. Is this Ann Lee?")).to_be_visible()
    page.keyboard.press("y")
    expect(page.get_by_text("Named Ann Lee (+1")).to_be_visible()
    expect(page.get_by_role("heading", name="Named Bob. Is this Ann Lee?")).to_be_visible()
    page.keyboard.press("n")
    expect(page.get_by_role("heading", name="No name is in doubt")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="No name is in doubt")).to_be_visible()


def test_a_group_is_named_without_the_odd_ones(page: Page, queue: str, served: Served) -> None:
    (one, _) = rank_strangers(served.archive, "p").strangers
    page.goto(f"{queue}&stranger={one.stranger_id}")
    tiles = page.locator("button.group-tile")
    expect(tiles).to_have_count(2)
    odd = tiles.nth(1)
    odd.focus()
    page.keyboard.press("x")
    expect(odd).to_have_attribute("aria-pressed", "false")
    page.get_by_label("Who is this?").fill("Cem")
    page.get_by_label("Who is this?").press("Enter")
    expect(page.get_by_text(f"Unknown {one.number} is Cem, without 1 scene")).to_be_visible()
    expect(tiles).to_have_count(1)
    assert {row.kind.value for row in served.archive.store.list_corrections("p", person_id="Cem")} == {"is", "is_not"}
    tiles.first.focus()
    page.keyboard.press("Control+z")
    expect(tiles).to_have_count(2)


def test_a_pair_that_is_no_pair_is_never_asked_again(page: Page, queue: str, served: Served) -> None:
    mean = np.sum([face_of(7, 30 + at) for at in (0, 1, 10, 11)], axis=0)
    face = near(mean / np.linalg.norm(mean), 0.947)
    track = make_track(1, [1.0, 2.0], embeddings=np.stack([face, face]))
    track = replace(track, scores=np.ones(2, np.float32))
    assign_current(served.archive, put_tracks(served.archive, "v-3", 3, [track]))
    page.goto(f"{queue}&show=same")
    question = page.get_by_role("heading", name="Are these the same person?")
    expect(question).to_be_visible()
    page.keyboard.press("n")
    expect(page.get_by_role("heading", name="Nobody else is alike")).to_be_visible()
    expect(page.get_by_text(re.compile(r"Unknown \d is not Unknown \d"))).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Nobody else is alike")).to_be_visible()
    (denial,) = served.archive.store.list_edits("p")[-1:]
    assert "is not" in denial.note
    assert len(rank_strangers(served.archive, "p").strangers) == 3


def test_who_may_only_read_sees_and_changes_nothing(page: Page, queue: str) -> None:
    page.route(re.compile("/v1/me$"), lambda route: route.fulfill(json={"name": "reader", "grants": {"*": "read"}}))
    page.goto(queue)
    expect(page.locator("button.candidate")).to_have_count(2)
    expect(page.locator("button.candidate").first).to_be_disabled()
    expect(page.locator("fr-stranger-stage fr-name-field")).to_have_count(0)
    expect(page.get_by_role("button", name="Hide")).to_be_disabled()
    page.locator("fr-stranger-stage h2").focus()
    page.keyboard.press("1")
    page.keyboard.press("h")
    expect(page.get_by_text("2 strangers", exact=True)).to_be_visible()

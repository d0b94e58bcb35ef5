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
from serving.archive.naming.edit_strangers import merge_strangers
from serving.archive.naming.one_video import assign_current
from serving.archive.search.strangers import rank_strangers
from serving.store.naming_rows import CorrectionKind
from tests.archive import fill, put_tracks, put_video
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


def choose_both(page: Page, queue: str) -> Locator:
    """Choose both strangers; return the field for their name."""
    begin(page, queue)
    page.locator(".mark").first.click()
    page.locator(".list-row").nth(1).click(modifiers=["Shift"])
    return page.get_by_label("Name of all 2")


def test_a_name_for_several_is_shown_first(page: Page, queue: str, served: Served) -> None:
    field = choose_both(page, queue)
    field.fill("Cem")
    field.press("Shift+Enter")
    expect(page.get_by_text("+4 in 2 videos")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("+4 in 2 videos")).to_be_hidden()
    expect(field).to_be_focused()
    assert people_of(served) == {"Ann_Lee", "Bob"}
    field.press("Shift+Enter")
    expect(page.get_by_role("button", name="Apply")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 strangers named Cem (+4 in 2 videos)")).to_be_visible()
    expect(page.get_by_text("2 chosen")).to_be_hidden()
    assert people_of(served) == {"Ann_Lee", "Bob", "Cem"}


@pytest.mark.complaints
def test_those_whose_name_is_refused_stay_chosen(page: Page, queue: str) -> None:
    field = choose_both(page, queue)
    field.fill("<img src=x>")
    field.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="must not be empty or contain")).to_be_visible()
    expect(page.get_by_text("2 chosen")).to_be_visible()
    field.fill("Cem")
    field.press("Enter")
    expect(page.get_by_text("2 strangers named Cem")).to_be_visible()
    expect(page.get_by_text("2 chosen")).to_be_hidden()


def test_all_passers_by_of_a_video_are_hidden_by_one_edit(page: Page, queue: str, served: Served) -> None:
    assign_current(served.archive, put_video(served.archive, "v-3", 3, (9,)))
    page.goto(queue)
    expect(page.get_by_text("3 strangers", exact=True)).to_be_visible()
    page.get_by_label("Video").select_option("v-3")
    expect(page.get_by_text("1 stranger", exact=True)).to_be_visible()
    page.get_by_label("Hide who is in view for less than").select_option("10")
    button = page.get_by_role("button", name="Hide all under 10 s")
    preview = page.get_by_role("region", name="Hide all under 10 s")
    button.click()
    expect(preview.get_by_role("status")).to_have_text("1 stranger in view for less than 10 s, over all videos")
    page.keyboard.press("Escape")
    expect(preview).to_be_hidden()
    button.click()
    expect(page.get_by_role("button", name="Hide 1 stranger")).to_be_focused()
    assert len(rank_strangers(served.archive, "p").strangers) == 3
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 stranger under 10 s hidden")).to_be_visible()
    expect(page.get_by_role("heading", name="Nobody is left to name")).to_be_visible()
    page.get_by_label("Video").select_option("")
    expect(page.get_by_text("2 strangers", exact=True)).to_be_visible()
    button.click()
    page.get_by_role("button", name="Hide 2 strangers").click()
    expect(page.get_by_text("2 strangers under 10 s hidden")).to_be_visible()
    assert rank_strangers(served.archive, "p").strangers == []
    page.keyboard.press("Control+z")
    expect(page.get_by_text("2 strangers", exact=True)).to_be_visible()
    page.keyboard.press("Control+z")
    expect(page.get_by_text("3 strangers", exact=True)).to_be_visible()


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
    expect(page.get_by_text("Bob is right, and not Ann Lee")).to_be_visible()
    expect(page.get_by_role("heading", name="No name is in doubt")).to_be_visible()
    page.keyboard.press("Control+z")
    expect(page.get_by_role("heading", name="Named Bob. Is this Ann Lee?")).to_be_visible()
    page.keyboard.press("n")
    expect(page.get_by_role("heading", name="No name is in doubt")).to_be_visible()
    expect(page.locator(".keeping")).to_be_hidden()
    page.reload()
    expect(page.get_by_role("heading", name="No name is in doubt")).to_be_visible()
    (denial,) = [row for row in served.archive.store.list_corrections("p") if row.kind is CorrectionKind.IS_NOT]
    assert denial.person_id == "Ann_Lee"


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


def test_a_group_is_named_by_keys(page: Page, queue: str, served: Served) -> None:
    first = begin(page, queue)
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    field = page.get_by_label("Who is this?")
    expect(field).to_be_focused()
    expect(page.get_by_role("heading", name=first, level=1)).to_be_visible()
    page.keyboard.press("Escape")
    expect(heading(page)).to_have_text(first)
    page.get_by_role("link", name="All 2 scenes").click()
    expect(field).to_be_focused()
    # Nobody is suggested.
    page.keyboard.press("Enter")
    page.keyboard.type("Cem")
    page.keyboard.press("Shift+Enter")
    expect(page.get_by_text("+2 in 2 videos")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("+2 in 2 videos")).to_be_hidden()
    expect(field).to_be_focused()
    page.keyboard.press("Shift+Enter")
    expect(page.get_by_role("button", name="Apply")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"{first} is Cem (+2 in 2 videos)")).to_be_visible()
    expect(heading(page)).not_to_have_text(first)
    second = heading(page).inner_text()
    page.get_by_role("link", name="All 2 scenes").click()
    expect(field).to_be_focused()
    name = page.locator(".group-answer button bdi").nth(1).inner_text()
    page.keyboard.press("2")
    expect(page.get_by_text(f"{second} is {name}")).to_be_visible()
    expect(page.get_by_role("heading", name="Nobody is left to name")).to_be_visible()
    assert rank_strangers(served.archive, "p").strangers == []


def test_enter_gives_a_group_the_suggested_name(page: Page, queue: str, served: Served) -> None:
    (one, _) = rank_strangers(served.archive, "p").strangers

    def be_sure(route: Route) -> None:
        found: list[dict[str, Any]] = route.fetch().json()
        # Once they are named nobody is found.
        for person in found[1:2]:
            person["is_sure"] = True
        route.fulfill(body=json.dumps(found), content_type="application/json")

    page.route(re.compile("/candidates"), be_sure)
    page.goto(f"{queue}&stranger={one.stranger_id}")
    expect(page.get_by_label("Who is this?")).to_be_focused()
    name = page.locator(".group-answer button.primary bdi").inner_text()
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Unknown {one.number} is {name}")).to_be_visible()
    expect(page.get_by_text("1 stranger", exact=True)).to_be_visible()
    page.unroute_all(behavior="wait")


def test_who_was_merged_is_taken_apart(page: Page, queue: str, served: Served) -> None:
    merge_strangers(served.archive, "p", "2", "1")
    page.goto(f"{queue}&stranger=1")
    tiles = page.locator("button.group-tile")
    expect(tiles).to_have_count(4)
    merged = page.get_by_role("region", name="Merged into this stranger")
    expect(merged.get_by_role("listitem")).to_contain_text("Unknown 2 2 scenes")
    merged.get_by_role("button", name="Take Unknown 2 apart").click()
    expect(page.get_by_text("Unknown 2 is not Unknown 1")).to_be_visible()
    expect(tiles).to_have_count(2)
    expect(merged).to_be_hidden()
    assert [one.number for one in rank_strangers(served.archive, "p").strangers] == [1, 2]
    page.keyboard.press("Control+z")
    expect(tiles).to_have_count(4)
    expect(merged).to_be_visible()


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
    for name in ("Hide", "Hide all under 3 s"):
        expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()
    page.locator("fr-stranger-stage h2").focus()
    page.keyboard.press("1")
    page.keyboard.press("h")
    expect(page.get_by_text("2 strangers", exact=True)).to_be_visible()

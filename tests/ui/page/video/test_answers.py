"""Answers that are given where a video is watched: for one face or several at once, in the list and in the picture; each is undone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.ui.page.conftest import Analysed
from tests.waiting import wait_until
from ui.client import FacerecClient

pytestmark = pytest.mark.browser


@pytest.fixture
def api(service_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{service_url}/v1/projects/default", trust_env=False, timeout=60.0) as client:
        yield client


@pytest.fixture
def video(page: Page, page_url: str, analysed: Analysed) -> Page:
    """The view of the reel, with its list there."""
    page.goto(f"{page_url}{analysed.at()}")
    expect(page.locator(".list-row").first).to_be_visible()
    return page


def appearances(api: httpx.Client, analysed: Analysed) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        api.get(f"/videos/{analysed.video_id}/result").raise_for_status().json()["appearances"]
    )
    return found


def edits(api: httpx.Client) -> int:
    """Return how many edits the history has."""
    return len(api.get("/history").raise_for_status().json())


def rows(page: Page, name: str) -> Locator:
    return page.locator(".list-row").filter(has_text=name)


def undo(page: Page) -> None:
    page.keyboard.press("Control+z")
    expect(page.get_by_role("status").filter(has_text="Undone").last).to_be_visible()


def evidence(page: Page) -> Locator:
    return page.get_by_role("region", name="Evidence")


def test_several_faces_get_one_name_by_one_edit(video: Page, api: httpx.Client, analysed: Analysed) -> None:
    before, known = edits(api), appearances(api, analysed)
    all_rows = video.locator(".list-row")
    all_rows.nth(0).click()
    all_rows.nth(2).click(modifiers=["Shift"])
    expect(evidence(video).get_by_role("heading", name="3 faces marked")).to_be_visible()
    video.keyboard.press("Enter")
    expect(video.get_by_label("Who are they?")).to_be_focused()
    video.keyboard.type("Grace Hopper")
    video.keyboard.press("Enter")
    expect(video.get_by_role("status").filter(has_text="3 faces are Grace Hopper")).to_be_visible()
    expect(rows(video, "Grace Hopper").first).to_be_visible()
    expect(video.locator(".mark.on")).to_have_count(0)
    named = [one["track_ids"] for one in appearances(api, analysed) if one["person_id"] == "Grace_Hopper"]
    assert {track for one in known[:3] for track in one["track_ids"]} <= {track for one in named for track in one}
    assert edits(api) == before + 1
    undo(video)
    expect(rows(video, "Grace Hopper")).to_have_count(0)
    wait_until(lambda: appearances(api, analysed) == known)


def test_marked_names_are_confirmed_or_denied_at_once(video: Page, api: httpx.Client, analysed: Analysed) -> None:
    before, known = edits(api), appearances(api, analysed)
    two = [rows(video, name).first for name in ("Carphone Man", "Eileen Collins")]
    for row in two:
        row.click()
        video.keyboard.press("x")
    expect(evidence(video).get_by_role("heading", name="2 faces marked")).to_be_visible()
    video.keyboard.press("y")
    expect(video.get_by_role("status").filter(has_text="Confirmed 2 faces")).to_be_visible()
    for row in two:
        expect(row).to_contain_text("confirmed")
    undo(video)
    for row in two:
        expect(row).not_to_contain_text("confirmed")
    for row in two:
        row.locator(".mark").click()
    video.keyboard.press("n")
    expect(video.get_by_role("status").filter(has_text="2 faces not who they were taken for")).to_be_visible()
    assert edits(api) == before + 2
    undo(video)
    expect(rows(video, "Eileen Collins").first).to_be_visible()
    wait_until(lambda: appearances(api, analysed) == known)


def test_a_face_is_named_in_the_picture(video: Page, api: httpx.Client, analysed: Analysed) -> None:
    known = appearances(api, analysed)
    rows(video, "Carphone Man").first.click()
    box = video.locator(".box.chosen")
    expect(box).to_be_visible()
    box.dblclick()
    field = video.get_by_label("Name of Carphone Man in the picture")
    expect(field).to_be_focused()
    video.keyboard.press("Escape")
    expect(field).to_have_count(0)
    video.keyboard.press("r")
    expect(field).to_be_focused()
    video.keyboard.type("Ada Lovelace")
    video.keyboard.press("Enter")
    expect(video.locator(".box[aria-label='Ada Lovelace']")).to_be_visible()
    undo(video)
    expect(video.locator(".box[aria-label='Carphone Man']")).to_be_visible()
    wait_until(lambda: appearances(api, analysed) == known)


def test_a_name_is_previewed_before_it_is_given(video: Page, api: httpx.Client, analysed: Analysed) -> None:
    before, known = edits(api), appearances(api, analysed)
    rows(video, "Carphone Man").first.click()
    video.keyboard.press("Enter")
    video.keyboard.type("Ada Lovelace")
    video.keyboard.press("Shift+Enter")
    preview = video.get_by_role("region", name="The face is Ada Lovelace, not Carphone Man")
    expect(preview.get_by_role("status")).to_contain_text("in 1 video")
    assert edits(api) == before
    video.keyboard.press("Enter")
    expect(rows(video, "Ada Lovelace").first).to_be_visible()
    assert edits(api) == before + 1
    undo(video)
    expect(rows(video, "Ada Lovelace")).to_have_count(0)
    wait_until(lambda: appearances(api, analysed) == known)


def test_a_name_that_is_being_typed_outlives_an_answer(video: Page) -> None:
    """The panel is drawn anew when an earlier answer arrives; what is typed meanwhile stays, and no letter of it acts as a key."""
    held: list[Route] = []
    video.route("**/tracks/corrections*", lambda route: held.append(route))
    rows(video, "Eileen Collins").first.click()
    video.keyboard.press("y")
    video.keyboard.press("Enter")
    field = video.get_by_label("Who is this?")
    expect(field).to_be_focused()
    video.keyboard.type("Ny")
    (answer,) = held
    answer.continue_()
    expect(video.get_by_role("status").filter(has_text="Confirmed Eileen Collins")).to_be_visible()
    expect(rows(video, "Eileen Collins").filter(has_text="confirmed").first).to_be_visible()
    expect(field).to_have_value("Ny")
    expect(field).to_be_focused()
    video.keyboard.type("x")
    expect(field).to_have_value("Nyx")
    video.keyboard.press("Control+z")
    expect(field).not_to_have_value("Nyx")
    # The field's own undo is not the page's.
    expect(rows(video, "Eileen Collins").filter(has_text="confirmed").first).to_be_visible()
    field.fill("")
    video.keyboard.press("Escape")
    undo(video)


def test_a_hidden_stranger_leaves_the_list(video: Page, api: httpx.Client) -> None:
    stranger = rows(video, "Unknown").first
    name = stranger.locator("bdi").inner_text()
    count = rows(video, name).count()
    stranger.click()
    video.keyboard.press("h")
    expect(video.get_by_role("status").filter(has_text=f"{name} is left out of lists")).to_be_visible()
    expect(rows(video, name)).to_have_count(0)
    assert name not in {one["label"] for one in api.get("/strangers").raise_for_status().json()["items"]}
    video.get_by_role("button", name=re.compile(r"^Hidden \d")).click()
    expect(rows(video, name)).to_have_count(count)
    expect(video).to_have_url(re.compile("show=hidden"))
    undo(video)
    video.reload()
    expect(rows(video, name)).to_have_count(count)
    expect(video.get_by_role("button", name=re.compile(r"^Hidden"))).to_have_count(0)


def test_an_enrolled_picture_is_set_aside_where_it_misleads(video: Page, api: httpx.Client) -> None:
    rows(video, "Carphone Man").first.click()
    before = {one["face_id"]: one["status"] for one in api.get("/people/Carphone_Man").raise_for_status().json()}
    evidence(video).get_by_role("button", name="Set the picture of Carphone Man aside").first.click()
    expect(video.get_by_role("status").filter(has_text="A picture of Carphone Man is set aside")).to_be_visible()
    after = {one["face_id"]: one["status"] for one in api.get("/people/Carphone_Man").raise_for_status().json()}
    assert [after[one] for one in before if after[one] != before[one]] == ["disabled"]
    undo(video)
    wait_until(lambda: before == {one["face_id"]: one["status"] for one in api.get("/people/Carphone_Man").json()})


def test_evidence_shows_where_the_pointer_rests(video: Page) -> None:
    glance = video.locator(".glance")
    expect(glance).to_be_hidden()
    rows(video, "Carphone Man").first.hover()
    expect(glance).to_be_visible()
    expect(glance).to_contain_text("Carphone Man")
    expect(glance.locator("img")).to_have_count(2)
    video.keyboard.press("Shift")
    expect(glance).to_be_hidden()
    rows(video, "Carphone Man").first.click()
    box = video.locator(".box.chosen").bounding_box()
    assert box is not None
    video.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(glance).to_be_visible()


def test_filters_show_a_part_and_stand_in_the_address(video: Page, service_url: str, analysed: Analysed) -> None:
    with FacerecClient(service_url) as client:
        views = client.result(analysed.project, analysed.video_id).appearances
    lengths = sorted(one.end_s - one.start_s for one in views)
    assert lengths[0] < 3 <= lengths[-1], "the reel has short and long appearances"
    video.get_by_label("Least length").select_option("3")
    expect(video.locator(".list-row")).to_have_count(sum(one >= 3 for one in lengths))
    expect(video).to_have_url(re.compile("least=3"))
    video.reload()
    expect(video.get_by_label("Least length")).to_have_value("3")
    expect(video.locator(".list-row")).to_have_count(sum(one >= 3 for one in lengths))
    video.get_by_label("Least length").select_option("")
    video.get_by_label("Certainty").select_option("high")
    sure = [one for one in views if one.person_id and (one.confirmed or one.probability >= 0.95)]
    expect(video.locator(".list-row")).to_have_count(len(sure))
    video.get_by_label("Certainty").select_option("low")
    unsure = [one for one in views if one.person_id and not one.confirmed and one.probability < 0.95]
    expect(video.locator(".list-row")).to_have_count(len(unsure))


def test_an_address_with_a_person_opens_on_their_scene(
    page: Page, page_url: str, api: httpx.Client, analysed: Analysed
) -> None:
    own = [one for one in appearances(api, analysed) if one["person_id"] == "Carphone_Man"]
    page.goto(f"{page_url}{analysed.at(person='Carphone_Man')}")
    expect(evidence(page).get_by_role("heading", name="Carphone Man", exact=True)).to_be_visible()
    expect(page.locator(".box.chosen")).to_have_attribute("aria-label", "Carphone Man")
    last = own[-1]
    page.goto(f"{page_url}{analysed.at(person='Carphone_Man', t=last['end_s'] + 0.2)}")
    expect(evidence(page).get_by_role("heading", name="Carphone Man", exact=True)).to_be_visible()
    assert last["start_s"] != own[0]["start_s"]
    minutes, seconds = divmod(int(10 * last["start_s"] + 1e-6) / 10, 60)
    expect(page.locator(".list-row[aria-selected=true]")).to_contain_text(f"{minutes:.0f}:{seconds:04.1f}")

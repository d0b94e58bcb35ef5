"""Search on the page: by text, by people who are seen together, and by picture."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.ui.page.conftest import Analysed
from ui.demo_material import DemoMaterial

pytestmark = pytest.mark.browser


def test_texts_are_looked_for_in_names_and_titles(page: Page, page_url: str, analysed: Analysed) -> None:
    page.goto(f"{page_url}/search?project={analysed.project}")
    field = page.get_by_label("Names of people, titles of videos")
    field.fill("collins")
    expect(page.get_by_role("link", name="Eileen Collins")).to_be_visible()
    page.reload()
    expect(field).to_have_value("collins")
    expect(page.get_by_role("link", name="Eileen Collins")).to_be_visible()
    field.fill("reel")
    expect(page.get_by_role("link", name="reel.mp4")).to_be_visible()
    field.fill("nobody at all")
    expect(page.get_by_role("heading", name="Nothing is called so")).to_be_visible()


def test_people_are_found_together(page: Page, page_url: str, analysed: Analysed) -> None:
    page.goto(f"{page_url}/search?project={analysed.project}")
    field = page.get_by_label("Who is seen")
    field.fill("coll")
    field.press("Enter")
    expect(page.get_by_role("heading", name="Where they are seen")).to_be_visible()
    hit = page.locator("a.found").first
    expect(hit).to_contain_text("Eileen Collins")
    expect(page).to_have_url(re.compile("who=Eileen_Collins"))
    page.reload()
    expect(hit).to_contain_text("reel.mp4")
    hit.click()
    expect(page).to_have_url(re.compile(f"/video.*video={analysed.video_id}.*t="))
    page.go_back()
    expect(page.get_by_role("button", name="Without Eileen Collins")).to_be_visible()
    page.get_by_role("button", name="Without Eileen Collins").click()
    expect(page.get_by_role("heading", name="Who are you searching for?")).to_be_visible()


def test_a_face_of_a_picture_leads_to_its_scenes(
    page: Page, page_url: str, analysed: Analysed, material: DemoMaterial
) -> None:
    picture = sorted((material.people / "Eileen_Collins").iterdir())[0]
    page.goto(f"{page_url}/search?project={analysed.project}")
    page.locator("fr-search-view input[type=file]").set_input_files(picture)
    expect(page.locator("button.picture-box[aria-pressed=true]")).to_have_count(1)
    expect(page.locator(".likely a").first).to_contain_text("Eileen Collins")
    expect(page.locator("a.found").first).to_contain_text("Eileen Collins")
    page.locator("a.found").first.click()
    expect(page).to_have_url(re.compile(f"/video.*video={analysed.video_id}"))


@pytest.mark.complaints
def test_what_is_no_picture_is_told(page: Page, page_url: str, analysed: Analysed) -> None:
    page.goto(f"{page_url}/search?project={analysed.project}")
    field = page.locator("fr-search-view input[type=file]")
    field.set_input_files({"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"})
    expect(page.get_by_role("heading", name="This picture cannot be searched for")).to_be_visible()
    page.goto(f"{page_url}/search?project={analysed.project}&who=Nobody_At_All")
    expect(page.get_by_role("heading", name="This is not there")).to_be_visible()

"""Training and measuring on the page, over the real service: a job in a process of its own, and what it changes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.serving.service import RunningService
from tests.ui.page.running import Watched
from tests.waiting import WAIT_S
from ui.client import FacerecClient
from ui.demo_material import DemoMaterial

pytestmark = pytest.mark.browser

PROJECT = "training-page"


@pytest.fixture(scope="module")
def video_id(service: RunningService, material: DemoMaterial) -> str:
    """The reel, analysed in a project whose people are enrolled, and in which nothing was trained."""
    with FacerecClient(service.url) as client:
        client.create_project(PROJECT)
        for folder in sorted(path for path in material.people.iterdir() if path.is_dir()):
            client.add_pictures(PROJECT, folder.name, sorted(folder.iterdir()))
        job_id, video_id = client.submit_video(PROJECT, material.reel)
        client.wait(job_id)
    return video_id


@pytest.fixture
def page(browser: Browser, video_id: str) -> Iterator[Page]:
    """A tab that must have nothing to complain of."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(1000 * WAIT_S)
    expect.set_options(timeout=1000 * WAIT_S)
    watched = Watched(page)
    yield page
    context.close()
    assert watched.complaints == []


def names(service: RunningService, video_id: str) -> int:
    """Return how many appearances have a name."""
    with FacerecClient(service.url) as client:
        return sum(one.identity is not None for one in client.result(PROJECT, video_id).appearances)


def test_a_training_is_come_back_to_and_names(page: Page, service: RunningService, video_id: str) -> None:
    page.goto(f"{service.page}/train?project={PROJECT}")
    expect(page.get_by_text("Nothing was trained yet")).to_be_visible()
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_role("progressbar", name="Training")).to_be_visible()
    expect(page).to_have_url(re.compile("job=j-"))
    page.reload()
    expect(page.get_by_text("names now")).to_be_visible()
    assert names(service, video_id) > 0
    expect(page.get_by_text("At most 1 stranger in 200 gets a name.")).to_be_visible()


def test_the_limit_is_previewed_applied_and_undone(page: Page, service: RunningService, video_id: str) -> None:
    page.goto(f"{service.page}/train?project={PROJECT}")
    before = names(service, video_id)
    slider = page.get_by_role("slider")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    expect(page.get_by_text("At most 1 stranger in 1,000 gets a name.")).to_be_visible()
    expect(page.get_by_text("This claim is estimated")).to_be_visible()
    page.keyboard.press("End")
    expect(page.get_by_text("At most 30 strangers in 100 get a name.")).to_be_visible()
    expect(page.get_by_text("This claim is estimated")).to_be_hidden()
    page.get_by_role("button", name="Show what that changes").click()
    preview = page.get_by_role("region", name="At most 30 strangers in 100 get a name.")
    expect(preview.get_by_role("status")).to_contain_text(re.compile(r"in \d+ video|Nothing changes"))
    assert names(service, video_id) == before, "a preview changes nothing"
    page.keyboard.press("Enter")
    expect(page.get_by_text("Now at most 30 strangers in 100 get a name")).to_be_visible()
    expect(page.get_by_text("At most 30 strangers in 100 get a name.")).to_be_visible()
    after = names(service, video_id)
    page.goto(f"{service.page}/service?project={PROJECT}&show=history")
    rows = page.get_by_role("listitem").filter(has_text="The archive was named again")
    expect(rows.first).to_contain_text("as set up → 30 %")
    training = page.get_by_role("listitem").filter(has_text="A trained version names")
    undo = training.get_by_role("button", name="Undo", exact=True)
    expect(undo).to_be_disabled()
    expect(undo).to_have_attribute("title", re.compile("^Undo change \\d+ first"))
    rows.first.get_by_role("button", name="Undo", exact=True).click()
    expect(rows.first.get_by_text("undone", exact=True)).to_be_visible()
    assert names(service, video_id) == before
    assert after >= before


def test_clips_are_labelled_by_keys_and_versions_measured(page: Page, service: RunningService, video_id: str) -> None:
    page.goto(f"{service.page}/measure?project={PROJECT}")
    expect(page.get_by_text("None yet.")).to_be_visible()
    page.get_by_role("region", name="Clips to label").get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(f"video={video_id}"))
    card = page.get_by_role("region", name="Who is this?")
    expect(card.get_by_role("heading", name="Who is this?")).to_be_visible()
    page.keyboard.press("n")
    page.get_by_role("combobox", name="Name").fill("Eileen Collins")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 of 11 faces answered")).to_be_visible()
    page.get_by_role("heading", level=1).click()
    for key, number in (("k", 1), ("j", 2), ("j", 3), ("k", 2)):
        page.keyboard.press(key)
        expect(card.get_by_text(f"{number} of 11", exact=True)).to_be_visible()
    faces = page.get_by_role("list", name="All faces of the clip").get_by_role("button")
    count = faces.count()
    for i in range(1, count):
        page.keyboard.press("s" if i % 2 else "1")
    expect(page.get_by_text(re.compile(f"All {count} faces? answered, kept"))).to_be_visible()
    page.reload()
    expect(page.get_by_text(re.compile(f"All {count} faces? answered, kept"))).to_be_visible()
    missed = page.get_by_role("region", name="Seen, but not found")
    missed.get_by_label("Who is seen").fill("eil")
    expect(missed.get_by_role("option", name="Eileen Collins")).to_be_visible()
    page.keyboard.press("Enter")
    expect(missed.get_by_label("Who is seen")).to_have_value("Eileen Collins")
    expect(missed.get_by_label("Seen from")).to_be_focused()
    page.keyboard.type("0:00.1")
    missed.get_by_label("Seen until").fill("0:00.3")
    missed.get_by_role("button", name="Add").click()
    expect(missed.get_by_role("listitem")).to_contain_text("Eileen Collins")
    missed.get_by_role("button", name="Remove Eileen_Collins").click()
    expect(missed.get_by_role("listitem")).to_have_count(0)
    expect(page.get_by_text(re.compile(f"All {count} faces? answered, kept"))).to_be_visible()
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_role("heading", name="How good the names are")).to_be_visible()
    expect(page.get_by_text("Of the time people are seen, named rightly")).to_be_visible()
    expect(page.get_by_role("rowheader", name="Eileen Collins")).to_be_visible()
    page.goto(f"{service.page}/train?project={PROJECT}")
    expect(page.get_by_role("img", name=re.compile("^Strangers who got a name"))).to_be_visible()


def test_versions_are_compared_promoted_and_gone_back_from(page: Page, service: RunningService) -> None:
    page.goto(f"{service.page}/train?project={PROJECT}")
    page.get_by_label("How it learns").select_option("knn")
    page.get_by_label("Let it name only when I promote it").check()
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_role("button", name=re.compile("^Promote m-")).first).to_be_visible()
    page.get_by_role("button", name=re.compile("^Compare with m-")).first.click()
    expect(page.get_by_role("heading", name="Two versions compared")).to_be_visible()
    expect(page).to_have_url(re.compile("against=m-"))
    page.get_by_role("button", name=re.compile("^Promote m-")).first.click()
    expect(page.get_by_role("region", name=re.compile("^Letting m-.* name"))).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile("^Promoted m-"))).to_be_visible()
    page.get_by_role("button", name="Go back to the version before").click()
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("Went back to the version before")).to_be_visible()

"""People on the page: the wall of faces, adding, and one person's pictures, appearances, name and consent."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from serving.settings import Settings
from tests.archive import put_people
from tests.local_servers import running
from tests.serving.in_process import in_process
from tests.serving.routes import ok
from tests.ui.page.conftest import Served
from tests.ui.page.running import running_page
from tests.waiting import WAIT_S, wait_until
from ui.client import FacerecClient
from ui.demo_material import CAT, HOPPER, DemoMaterial, find_file

pytestmark = pytest.mark.browser

COLLINS, MAN = "Eileen_Collins", "Carphone_Man"


@pytest.fixture(scope="module")
def served(
    trained_home: Path,
    material: DemoMaterial,
    tmp_path_factory: pytest.TempPathFactory,
    detector: MtcnnDetector,
    embedder: FaceEmbedder,
) -> Iterator[Served]:
    """A place of the module's own, whose project ``default`` knows the reel's people."""
    home = shutil.copytree(trained_home, tmp_path_factory.mktemp("people") / "home")
    settings = Settings(home=home, media_roots=(material.people,))
    with (
        in_process(settings, detector, embedder) as (client, service),
        running(client.app) as service_url,
        running_page(service_url) as page_url,
    ):
        yield Served(service.archive, service_url, page_url)


@pytest.fixture(scope="module")
def video_id(served: Served, material: DemoMaterial) -> str:
    """The reel, analysed there."""
    with FacerecClient(served.service_url) as client:
        job_id, video_id = client.submit_video("default", material.reel)
        client.wait(job_id)
    return video_id


def read(served: Served, address: str, **query: Any) -> Any:
    """Return what the service answers."""
    return ok(
        httpx.get(f"{served.service_url}/v1/projects/default/{address}", params=query, trust_env=False, timeout=WAIT_S)
    )


def statuses(served: Served, person_id: str) -> list[str]:
    return [one["status"] for one in read(served, f"people/{person_id}")]


def appearances(served: Served, person_id: str) -> list[tuple[str, float]]:
    items = read(served, "appearances", person_id=person_id)["items"]
    return [(item["video_id"], item["start_s"]) for item in items]


def open_person(page: Page, served: Served, person_id: str) -> None:
    page.goto(f"{served.page_url}/person?person={person_id}")
    expect(page.get_by_role("heading", level=1)).to_have_text(person_id.replace("_", " "))


def cards(page: Page) -> Locator:
    return page.get_by_role("list", name="People").get_by_role("listitem")


def pictures(page: Page) -> Locator:
    return page.get_by_role("list", name="Pictures").get_by_role("button")


def moments(page: Page) -> Locator:
    return page.get_by_role("list", name="Appearances").get_by_role("link")


def test_the_wall_is_in_the_order_of_screen_time(page: Page, served: Served, video_id: str) -> None:
    times = read(served, "screen-times")
    longest = max(times, key=lambda one: one["screen_time_s"])["person_id"]
    page.goto(f"{served.page_url}/people")
    expect(cards(page).first).to_contain_text(longest.replace("_", " "))
    expect(cards(page).first).to_contain_text(re.compile(r"\d s in 1 video"))
    face = cards(page).first.locator("img")
    expect(face).to_have_js_property("complete", True)
    assert face.evaluate("image => image.naturalWidth") > 0
    page.get_by_label("Order").select_option("name")
    expect(cards(page).first).to_contain_text("Carphone Man")
    page.get_by_label("Search names").fill("cóLL")
    expect(cards(page)).to_have_count(1)
    page.reload()
    expect(cards(page)).to_have_count(1)
    expect(page.get_by_label("Order")).to_have_value("name")
    page.get_by_label("Search names").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Eileen Collins")
    assert f"person={COLLINS}" in page.url


def test_of_thousands_of_people_only_those_in_view_are_made(page: Page, served: Served) -> None:
    if not any(one.name == "many" for one in served.archive.store.list_projects()):
        put_people(served.archive.store, "many", 5000, faces_each=1)
    page.route("**/face.jpg", lambda route: route.fulfill(status=200, content_type="image/gif", body=b"GIF89a"))
    page.goto(f"{served.page_url}/people?project=many&sort=name")
    expect(page.get_by_text("5,000 people", exact=True)).to_be_visible()
    expect(cards(page).first).to_be_visible()
    assert cards(page).count() < 200
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.get_by_role("link", name=re.compile(r"^Person 999\b"))).to_be_visible()
    assert cards(page).count() < 200
    page.get_by_label("Search names").fill("person 4321")
    expect(cards(page)).to_have_count(1)


@pytest.mark.parametrize("name", ["Ada ${alert(1)}", "עדה לאבלייס"])
def test_a_person_is_added_and_forgotten(page: Page, served: Served, name: str) -> None:
    page.on("dialog", lambda dialog: pytest.fail(f"a name was run as code: {dialog.message}"))
    page.goto(f"{served.page_url}/people")
    expect(cards(page).first).to_be_visible()
    page.keyboard.press("a")
    page.get_by_role("textbox", name="Name", exact=True).fill(name)
    files = [find_file(*HOPPER), find_file(*CAT)]
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose pictures").click()
    chooser.value.set_files(files)
    expect(page.get_by_text(f"{name}: 1 picture learned from, 1 picture refused")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text=files[1].name)).to_contain_text("no face was found")
    expect(page.get_by_text("Pictures were added since the last training")).to_be_visible()
    page.get_by_role("link", name=f"Open {name}").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.get_by_text("Pictures: 1 learned from, 1 refused")).to_be_visible()
    forget = page.get_by_role("button", name="Forget for good")
    page.get_by_label("Type the name").fill(name[:-1])
    expect(forget).to_be_disabled()
    page.get_by_label("Type the name").fill(name)
    forget.click()
    expect(page.get_by_role("heading", name=f"{name} is forgotten")).to_be_visible()
    expect(page.get_by_text("2 pictures")).to_be_visible()
    assert {one["person_id"] for one in read(served, "people")} == {COLLINS, MAN}


def test_a_name_that_cannot_be_is_refused_before_anything_is_sent(page: Page, served: Served) -> None:
    page.goto(f"{served.page_url}/people")
    page.get_by_role("button", name="Add a person").click()
    page.get_by_role("button", name="Choose pictures").click()
    expect(page.get_by_role("alert").get_by_text("Give a name first.")).to_be_visible()
    page.get_by_role("textbox", name="Name", exact=True).fill("<img src=x onerror=alert(1)>")
    page.get_by_role("button", name="Choose pictures").click()
    expect(page.get_by_role("alert").get_by_text("A name cannot contain")).to_be_visible()


def test_pictures_that_a_folder_has_are_added_as_a_job(page: Page, served: Served, material: DemoMaterial) -> None:
    page.goto(f"{served.page_url}/people")
    expect(cards(page).first).to_be_visible()
    page.keyboard.press("a")
    page.get_by_role("textbox", name="Name", exact=True).fill("Second Man")
    page.get_by_label("Find them with").select_option("folder")
    page.get_by_label("Folder", exact=True).fill(str(material.people / MAN))
    page.get_by_role("button", name="Find pictures").click()
    expect(page.get_by_text("Pictures of Second Man were found")).to_be_visible()
    page.get_by_role("link", name="Open Second Man").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Second Man")
    expect(pictures(page)).to_have_count(len(read(served, "people/Second_Man")))
    page.get_by_label("Type the name").fill("Second Man")
    page.get_by_role("button", name="Forget for good").click()
    expect(page.get_by_role("heading", name="Second Man is forgotten")).to_be_visible()


def test_pictures_are_set_aside_and_learned_from_again(page: Page, served: Served) -> None:
    before = statuses(served, MAN)
    open_person(page, served, MAN)
    pictures(page).first.click()
    expect(pictures(page).and_(page.locator("[aria-pressed=false]"))).to_have_count(1)
    assert sorted(statuses(served, MAN)) == sorted([*before[1:], "disabled"])
    page.keyboard.press("Control+z")
    expect(pictures(page).and_(page.locator("[aria-pressed=false]"))).to_have_count(0)
    assert statuses(served, MAN) == before
    pictures(page).nth(1).focus()
    for key in ("x", "j", "x"):
        page.keyboard.press(key)
    expect(page.get_by_text("2 pictures selected")).to_be_visible()
    page.keyboard.press("e")
    expect(pictures(page).and_(page.locator("[aria-pressed=false]"))).to_have_count(2)
    page.keyboard.press("Control+z")
    wait_until(lambda: statuses(served, MAN) == before)
    expect(pictures(page).and_(page.locator("[aria-pressed=false]"))).to_have_count(0)


def test_pictures_that_show_another_person_come_first(page: Page, served: Served) -> None:
    store = served.archive.store
    strayed = store.list_faces("default", person_id=MAN)[1]
    assert strayed.embedding is not None
    store.put_faces("default", [replace(strayed, embedding=-strayed.embedding)])
    try:
        (proposed,) = read(served, f"people/{MAN}/outliers")
        open_person(page, served, MAN)
        expect(pictures(page).first).to_contain_text("not them?")
        expect(page.get_by_text("unlike the other pictures")).to_be_visible()
        expect(page.get_by_text("The first picture seems to show another person.")).to_be_visible()
        page.keyboard.press("o")
        expect(page.get_by_text("seems to show another person")).to_have_count(0)
        (face,) = [one for one in read(served, f"people/{MAN}") if one["face_id"] == proposed["face_id"]]
        assert face["status"] == "disabled"
        page.keyboard.press("Control+z")
        expect(page.get_by_text("The first picture seems to show another person.")).to_be_visible()
    finally:
        store.put_faces("default", [strayed])


def test_an_appearance_is_not_of_this_person(page: Page, served: Served, video_id: str) -> None:
    before = appearances(served, COLLINS)
    open_person(page, served, COLLINS)
    expect(moments(page)).to_have_count(len(before))
    assert f"video={video_id}&t=" in (moments(page).first.get_attribute("href") or "")
    moments(page).first.focus()
    page.keyboard.press("n")
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    assert before[0] not in appearances(served, COLLINS)
    page.keyboard.press("Control+z")
    # The page may not have shown yet that one was gone.
    wait_until(lambda: appearances(served, COLLINS) == before)
    expect(moments(page)).to_have_count(len(before))
    moments(page).first.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/video\?.*video={video_id}&t=[\d.]+&person={COLLINS}"))


def test_a_person_is_renamed_in_place(page: Page, served: Served, video_id: str) -> None:
    open_person(page, served, COLLINS)
    page.keyboard.press("r")
    page.get_by_label("New name").fill("Carphone Man")
    page.get_by_label("New name").press("Enter")
    expect(page.get_by_role("alert").get_by_text("Carphone Man is another person already.")).to_be_visible()
    page.get_by_label("New name").fill("Eileen Ann Collins")
    page.get_by_label("New name").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Eileen Ann Collins")
    expect(page).to_have_url(re.compile("person=Eileen_Ann_Collins"))
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Eileen Ann Collins")
    page.keyboard.press("r")
    page.get_by_label("New name").fill("Eileen Collins")
    page.get_by_label("New name").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Eileen Collins")
    page.keyboard.press("Control+z")
    expect(page.get_by_role("heading", level=1)).to_have_text("Eileen Ann Collins")
    expect(page).to_have_url(re.compile("person=Eileen_Ann_Collins"))
    page.keyboard.press("r")
    page.get_by_label("New name").fill("Eileen Collins")
    page.get_by_label("New name").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Eileen Collins")


def test_a_merge_is_previewed_before_it_is_applied(page: Page, served: Served, video_id: str) -> None:
    before = {one["person_id"]: one["taken"] for one in read(served, "people")}
    open_person(page, served, MAN)
    page.keyboard.press("m")
    page.keyboard.type("coll")
    expect(page.get_by_role("option", name="Eileen Collins")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile("[+\u2212]\\d.* in 1 video"))).to_be_visible()
    assert {one["person_id"] for one in read(served, "people")} == {COLLINS, MAN}
    expect(page.get_by_role("button", name="Make them one")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Eileen Collins")
    expect(pictures(page)).to_have_count(sum(before.values()))
    page.keyboard.press("Control+z")
    expect(pictures(page)).to_have_count(before[COLLINS])
    assert {one["person_id"]: one["taken"] for one in read(served, "people")} == before


def test_what_was_agreed_is_noted(page: Page, served: Served) -> None:
    open_person(page, served, COLLINS)
    consent = page.get_by_role("region", name="Consent")
    consent.get_by_role("button", name="Note it").click()
    consent.get_by_label("What was agreed").fill("Form 12, drawer B")
    consent.get_by_label("The last day").fill("2027-12-31")
    consent.get_by_role("button", name="Save").click()
    expect(consent).to_contain_text("Until 31 December 2027")
    page.reload()
    expect(consent).to_contain_text("Form 12, drawer B")
    consent.get_by_role("button", name="Remove the note").click()
    expect(consent).to_contain_text("Nothing is noted")
    page.get_by_role("button", name="Undo").click()
    expect(consent).to_contain_text("Form 12, drawer B")
    assert read(served, f"people/{COLLINS}/consent")["until"] == "2027-12-31"


def test_who_may_only_read_is_told_so(page: Page, served: Served) -> None:
    mine = '{"name": "reader", "grants": {"default": "read"}}'
    page.route("**/fr/v1/me", lambda route: route.fulfill(status=200, content_type="application/json", body=mine))
    page.goto(f"{served.page_url}/people")
    expect(page.get_by_role("button", name="Add a person")).to_be_disabled()
    open_person(page, served, MAN)
    for name in ("Merge with…", "Add pictures", "Rename"):
        expect(page.get_by_role("button", name=name)).to_be_disabled()
    before = statuses(served, MAN)
    pictures(page).first.click(force=True)
    page.keyboard.press("e")
    expect(page.get_by_text("it needs the role “curate”").first).to_be_visible()
    expect(page.get_by_role("button", name="Forget for good")).to_have_count(0)
    assert statuses(served, MAN) == before

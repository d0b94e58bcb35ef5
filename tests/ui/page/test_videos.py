"""The list of videos: adding them, watching them being analysed, and what cannot be."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from serving.jobs import found_so_far
from serving.jobs.found_so_far import FoundSoFar
from tests.contract.store_cases import make_video
from tests.ui.page.conftest import Analysed, Served

pytestmark = pytest.mark.browser


def test_a_video_is_uploaded_analysed_and_watched(
    page: Page, page_url: str, analysed: Analysed, tmp_path: Path
) -> None:
    """A newcomer's way; what a file is called is shown as a text, whatever it looks like."""
    file = tmp_path / "<img src=x onerror=alert(1)> ${alert(2)}.mp4"
    # Another content, of which players take no notice: an empty box at the end.
    file.write_bytes(analysed.file.read_bytes() + b"\0\0\0\x08free")
    page.on("dialog", lambda dialog: pytest.fail(f"a name ran: {dialog.message}"))
    page.goto(f"{page_url}{analysed.at('/')}")
    page.locator("input[type=file]").first.set_input_files(file)
    cards = page.get_by_role("list").locator(".card")
    expect(cards).to_have_count(2)
    expect(page.get_by_role("progressbar")).to_have_count(0)
    link = page.get_by_role("link", name=re.compile(r"alert\(2\)"))
    link.click()
    expect(page.locator(".list-row").filter(has_text="Eileen Collins").first).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_contain_text("${alert(2)}")
    assert page.locator("img[src=x]").count() == 0


def test_a_reload_comes_back_to_a_video_that_is_analysed(page: Page, page_url: str, analysed: Analysed) -> None:
    page.goto(f"{page_url}{analysed.at()}")
    page.reload()
    expect(page.locator(".list-row").first).to_be_visible()
    expect(page.get_by_role("link", name="Videos", exact=True).first).to_have_attribute("aria-current", "page")


@pytest.mark.complaints
def test_what_is_no_video_is_told_with_its_reason(
    page: Page, page_url: str, analysed: Analysed, tmp_path: Path
) -> None:
    file = tmp_path / "notes.mp4"
    file.write_text("no video")
    page.goto(f"{page_url}{analysed.at('/')}")
    page.locator("input[type=file]").first.set_input_files(file)
    expect(page.get_by_text(re.compile("notes.mp4.*not a video|not a video.*notes.mp4"))).to_be_visible()
    lines = page.get_by_label("Addresses of videos, one a line")
    lines.fill("ftp://nowhere.example/a.mp4\nfile:///closed/b.mp4\n")
    page.get_by_role("button", name="Add", exact=True).click()
    told = page.get_by_role("alert").get_by_role("listitem")
    expect(told).to_have_count(2)
    expect(told.filter(has_text="ftp://nowhere.example")).to_be_visible()
    # What could not be added stays, to be mended.
    expect(lines).to_have_value("ftp://nowhere.example/a.mp4\nfile:///closed/b.mp4")


def other_content(analysed: Analysed, file: Path, number: int) -> Path:
    """Write the reel once more, with empty boxes at the end, of which players take no notice."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(analysed.file.read_bytes() + b"\0\0\0\x08free" * number)
    return file


def test_a_card_shows_the_video_and_who_is_in_it(page: Page, page_url: str, analysed: Analysed) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{page_url}{analysed.at('/')}")
    card = page.locator(".video-card").filter(has_text="reel.mp4")
    expect(card.locator(".who").filter(has_text="Eileen Collins")).to_be_visible()
    assert 1 < card.locator(".who").count() <= 4
    page.wait_for_function("image => image.naturalWidth > 0", arg=card.locator(".video-still img").element_handle())
    # However many cards are seen, they ask at once.
    assert len([url for url in asked if "/glances?" in url]) == 1


def test_filters_come_back_after_a_reload(page: Page, page_url: str, analysed: Analysed) -> None:
    page.goto(f"{page_url}{analysed.at('/')}")
    reel = page.get_by_role("link", name="reel.mp4")
    page.get_by_label("Length").select_option("long")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    page.get_by_label("Length").select_option("short")
    expect(reel).to_be_visible()
    # Nothing is titled so: it is the name of a person who is seen.
    page.get_by_label("Search titles and names").fill("éileen col")
    expect(reel).to_be_visible()
    expect(page.get_by_text("also those with Eileen Collins")).to_be_visible()
    page.reload()
    expect(reel).to_be_visible()
    page.get_by_label("Search titles and names").fill("nobody of that name")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()


def test_videos_of_a_folder_are_added_and_deleted_again(
    page: Page, page_url: str, analysed: Analysed, tmp_path: Path
) -> None:
    other_content(analysed, tmp_path / "tape" / "one.mp4", 2)
    other_content(analysed, tmp_path / "tape" / "side b" / "two.mp4", 3)
    (tmp_path / "tape" / "label.txt").write_text("what is on the tape")
    page.goto(f"{page_url}{analysed.at('/')}")
    cards = page.locator(".video-card")
    expect(cards.filter(has_text="reel.mp4")).to_be_visible()
    before = cards.count()
    page.locator("input[webkitdirectory]").set_input_files(tmp_path / "tape")
    expect(page.get_by_text("tape: 2 videos of 3 files are taken.")).to_be_visible()
    expect(cards).to_have_count(before + 2)
    # One at once: the first press only asks.
    page.get_by_role("button", name="Delete one.mp4").click()
    expect(page.get_by_role("button", name="Delete one.mp4")).to_have_text("Delete for good?")
    expect(cards).to_have_count(before + 2)
    page.get_by_role("button", name="Delete one.mp4").click()
    expect(page.get_by_text("Deleted one.mp4, with")).to_be_visible()
    expect(cards).to_have_count(before + 1)
    # And several, that are chosen with a key.
    page.get_by_role("link", name="two.mp4").focus()
    page.keyboard.press("x")
    chosen = page.get_by_role("region", name="What is chosen")
    expect(chosen).to_contain_text("1 video chosen")
    page.keyboard.press("Escape")
    expect(chosen).to_be_hidden()
    page.get_by_label("Choose two.mp4").check()
    chosen.get_by_role("button", name="Delete 1 video").click()
    chosen.get_by_role("button", name="Delete 1 video").click()
    expect(cards).to_have_count(before)
    expect(chosen).to_be_hidden()


def test_all_between_two_are_chosen_with_shift(page: Page, page_url: str, analysed: Analysed, served: Served) -> None:
    # In a project of their own, as rows alone: nothing is analysed.
    store = served.archive.store
    store.create_project("shelf")
    for number in range(5):
        store.put_video(make_video(f"v-shelf{number}", project="shelf", created_at=float(number)))
    page.goto(f"{page_url}/?project=shelf")
    marks = page.get_by_role("checkbox")
    expect(marks).to_have_count(5)
    marks.nth(1).check()
    marks.nth(3).click(modifiers=["Shift"])
    expect(page.get_by_role("region", name="What is chosen")).to_contain_text("3 videos chosen")
    expect(marks.nth(2)).to_be_checked()
    expect(marks.nth(4)).not_to_be_checked()


def test_what_is_found_is_shown_while_the_job_runs(
    page: Page, page_url: str, analysed: Analysed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = FoundSoFar.write

    def write_slowly(so_far: FoundSoFar, until_s: float) -> None:
        write(so_far, until_s)
        time.sleep(1.5)

    monkeypatch.setattr(FoundSoFar, "write", write_slowly)
    monkeypatch.setattr(found_so_far, "_PERIOD_S", 0.5)
    page.goto(f"{page_url}{analysed.at('/')}")
    page.locator("input[type=file]").first.set_input_files(other_content(analysed, tmp_path / "long.mp4", 4))
    card = page.locator(".video-card").filter(has_text="long.mp4")
    expect(card.get_by_role("progressbar")).to_be_visible()
    card.get_by_role("link").click()
    rows = page.locator(".list-row")
    expect(page.get_by_text(re.compile(r"Found so far, up to 0:\d\d: "))).to_be_visible()
    expect(page.get_by_text("None of this is final")).to_be_visible()
    expect(rows.first).to_contain_text("not final")
    # A reload comes back to it, and nothing of what is not final can be corrected.
    page.reload()
    expect(rows.first).to_contain_text("not final")
    rows.first.click()
    expect(page.get_by_role("region", name="Evidence")).to_be_hidden()
    expect(page.locator("button.box").first).to_be_visible()
    # The end puts what is certain in its place.
    expect(page.get_by_text("None of this is final")).to_be_hidden()
    expect(rows.filter(has_text="Eileen Collins").first).not_to_contain_text("not final")
    expect(page.get_by_role("progressbar")).to_have_count(0)


def test_titles_are_searched_and_states_chosen(page: Page, page_url: str, analysed: Analysed) -> None:
    page.goto(f"{page_url}{analysed.at('/', q='nothing like it')}")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    page.get_by_label("Search titles").fill("REEL")
    expect(page.get_by_role("link", name="reel.mp4")).to_be_visible()
    page.get_by_label("State").select_option("failed")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    expect(page).to_have_url(re.compile("q=REEL.*state=failed"))


@pytest.mark.complaints
def test_what_is_not_there_is_told(page: Page, page_url: str, analysed: Analysed) -> None:
    page.goto(f"{page_url}/video?project={analysed.project}&video=v-aaaaaaaaaaaaaaaa")
    expect(page.get_by_role("heading", name="This is not there")).to_be_visible()
    page.goto(f"{page_url}/?project=absent")
    expect(page.get_by_role("heading", name="This is not there")).to_be_visible()
    page.goto(f"{page_url}/video")
    expect(page.get_by_role("heading", name="No video is chosen")).to_be_visible()

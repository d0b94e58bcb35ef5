"""What every view shows when there is nothing, when the service is away, when a thing is gone, and when names are hostile or long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.archive import enrol, fill
from tests.ui.page.conftest import Analysed, Served
from tests.ui.page.every_view import cut_off, settle, violations
from tests.ui.page.running import TIMEOUT_MS, Watched

pytestmark = pytest.mark.browser

_VIEWS = ("/", "/people", "/strangers", "/strangers?show=same", "/search", "/train", "/measure", "/service?show=jobs")
# A person's name has none of the characters that files cannot have; a video's may.
_IMAGE, _CODE, _RIGHT_TO_LEFT, _LONG = "<img src=x onerror=alert(1)>", "${alert(1)}", "עדה_לאבלייס", "Maximiliane" * 10


def address(path: str, project: str, **query: str) -> str:
    return path + ("&" if "?" in path else "?") + "&".join(f"{k}={v}" for k, v in {"project": project, **query}.items())


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    expect.set_options(timeout=TIMEOUT_MS)
    yield page
    context.close()


def test_an_empty_project_says_what_to_do_first(phone: Page, served: Served) -> None:
    served.archive.store.create_project("empty")
    watched = Watched(phone)
    wrong = {}
    for path in _VIEWS:
        phone.goto(served.page_url + address(path, "empty"))
        expect(phone.get_by_role("heading", level=1)).to_be_visible()
        settle(phone)
        found = [*violations(phone), *cut_off(phone), *watched.complaints]
        if found:
            wrong[path] = found
        watched.complaints.clear()
    assert wrong == {}


@pytest.mark.complaints
def test_every_view_comes_back_with_the_service(page: Page, served: Served, analysed: Analysed) -> None:
    for path in (*_VIEWS, f"/video?video={analysed.video_id}", "/person?person=Eileen_Collins"):

        def refuse(route: Route) -> None:
            route.abort()

        page.route("**/fr/v1/**", refuse)
        page.route("**/fr/readyz", refuse)
        page.goto(served.page_url + address(path, analysed.project))
        expect(page.get_by_text("The service does not answer. What you see")).to_be_visible()
        page.unroute("**/fr/v1/**")
        page.unroute("**/fr/readyz")
        expect(page.get_by_text("The service does not answer. What you see")).to_be_hidden()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator(".state.failed")).to_have_count(0)


@pytest.mark.complaints
@pytest.mark.parametrize("gone", ["/video?video=v-gone", "/strangers?stranger=stranger-gone"])
def test_what_is_gone_is_told_in_plain_words(page: Page, served: Served, analysed: Analysed, gone: str) -> None:
    page.goto(served.page_url + address(gone, analysed.project))
    expect(page.get_by_role("heading", name="This is not there")).to_be_visible()
    assert violations(page) == []


def test_a_project_that_is_not_there_says_so(page: Page, served: Served, analysed: Analysed) -> None:
    page.goto(served.page_url + address("/person", analysed.project, person="Nobody"))
    expect(page.get_by_role("heading", name="Nobody is called Nobody")).to_be_visible()


def test_names_are_shown_as_text_on_every_view(phone: Page, served: Served, analysed: Analysed) -> None:
    archive = served.archive
    fill(archive)
    for who, person_id in ((1, _CODE), (2, _RIGHT_TO_LEFT), (3, _LONG)):
        enrol(archive, who + 20, person_id)
    for video, name in zip(archive.store.list_videos("p"), (f"{_IMAGE}.mp4", f"{_CODE} {_LONG}.mp4"), strict=True):
        archive.store.put_video(replace(video, name=name, file=str(analysed.file)))
    phone.on("dialog", lambda dialog: pytest.fail(f"a name ran: {dialog.message}"))
    watched = Watched(phone)
    video_id = archive.store.list_videos("p")[0].video_id
    wrong = {}
    for path, texts in {
        "/": (_IMAGE, _CODE),
        f"/video?video={video_id}": (_IMAGE,),
        "/people": (_CODE, _RIGHT_TO_LEFT.replace("_", " "), _LONG),
        f"/person?person={_LONG}": (_LONG,),
        f"/person?person={_RIGHT_TO_LEFT}": (_RIGHT_TO_LEFT.replace("_", " "),),
        "/strangers": (_IMAGE,),
        "/search?q=a": (_CODE, _LONG, _IMAGE),
        "/measure": (_IMAGE,),
        "/train": (),
        "/service?show=audit": (),
    }.items():
        phone.goto(served.page_url + address(path, "p"))
        expect(phone.get_by_role("heading", level=1)).to_be_visible()
        settle(phone)
        for text in texts:
            expect(phone.get_by_text(text).first).to_be_attached()
        found = [*violations(phone), *cut_off(phone), *watched.complaints]
        if found:
            wrong[path] = found
        watched.complaints.clear()
    assert wrong == {}

"""Adding videos: several files at once, addresses, and analyses that are ended and begun again."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from serving.jobs import found_so_far
from serving.jobs.found_so_far import FoundSoFar
from serving.sources.config import SourcesConfig
from tests.local_servers import folder, running
from tests.ui.page.conftest import Analysed
from ui.client import FacerecClient

pytestmark = pytest.mark.browser

# An empty box, of which players take no notice: another content of the same video.
_BOX = b"\0\0\0\x08free"
_WATCH = """() => {
    const root = document.querySelector('fr-app').shadowRoot;
    window.told = [];
    new MutationObserver(() => {
        const rows = [...root.querySelectorAll('[aria-live] > .row')].map(row => row.innerText.replace(/\\s+/g, ' '));
        if (rows.length) window.told.push(rows);
    }).observe(root, {childList: true, characterData: true, subtree: true});
}"""


@pytest.fixture(scope="module")
def sources() -> SourcesConfig:
    """This machine is asked for videos, too."""
    return SourcesConfig(private_hosts=frozenset({"127.0.0.1"}))


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Analyses that take their time."""
    write = FoundSoFar.write

    def write_slowly(so_far: FoundSoFar, until_s: float) -> None:
        write(so_far, until_s)
        time.sleep(1.5)

    with monkeypatch.context() as patched:
        patched.setattr(FoundSoFar, "write", write_slowly)
        patched.setattr(found_so_far, "_PERIOD_S", 0.5)
        yield


def copies(video: Path, where: Path, *names: str, first: int) -> list[Path]:
    """Write a video under several names, each time with another content."""
    where.mkdir(exist_ok=True)
    files = [where / name for name in names]
    for number, file in enumerate(files, first):
        file.write_bytes(video.read_bytes() + number * _BOX)
    return files


def test_several_files_are_sent_one_after_the_other_with_their_progress(
    page: Page, page_url: str, service_url: str, analysed: Analysed, clip: Path, tmp_path: Path
) -> None:
    names = ["one.mp4", "two.mp4", "three.mp4"]
    files = copies(clip, tmp_path, *names, first=1)
    page.goto(f"{page_url}{analysed.at('/', video='')}")
    cards = page.locator(".video-card")
    expect(cards.filter(has_text="reel.mp4")).to_be_visible()
    before = cards.count()
    page.evaluate(_WATCH)
    page.locator("input[type=file]").first.set_input_files(files)
    expect(cards).to_have_count(before + len(names))
    told = page.evaluate("window.told")
    # All are named from the beginning; they are sent in their order, and each tells how far it is.
    assert [row.split(" ")[0] for row in told[0]] == names
    assert all(row.endswith("waiting") for row in told[0][1:])
    for name in names:
        states = [row for rows in told for row in rows if row.startswith(name)]
        assert any(re.search(r"\d+ %$|being checked$", row) for row in states), name
    assert told[-1][0].startswith(names[-1])
    for name in names:
        card = cards.filter(has_text=name)
        expect(card.locator(".who").filter(has_text="Eileen Collins")).to_be_visible()
        expect(card.get_by_role("progressbar")).to_have_count(0)
    with FacerecClient(service_url) as client:
        assert {one.name for one in client.videos(analysed.project)} >= set(names)


def test_a_video_is_fetched_by_its_address(
    page: Page, page_url: str, analysed: Analysed, clip: Path, tmp_path: Path
) -> None:
    copies(clip, tmp_path, "far away.mp4", first=10)
    with running(folder(tmp_path)) as site:
        page.goto(f"{page_url}{analysed.at('/', video='')}")
        field = page.get_by_label("Addresses of videos, one a line")
        field.fill(f"{site}/far%20away.mp4")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_role("status").filter(has_text="Added 1 video")).to_be_visible()
        expect(field).to_have_value("")
        card = page.locator(".video-card").filter(has_text=re.compile("far(%20| )away"))
        expect(card.locator(".who").filter(has_text="Eileen Collins")).to_be_visible()


def test_an_address_where_nothing_is_fails_with_its_reason(
    page: Page, page_url: str, analysed: Analysed, tmp_path: Path
) -> None:
    with running(folder(tmp_path)) as site:
        page.goto(f"{page_url}{analysed.at('/', video='')}")
        page.get_by_label("Addresses of videos, one a line").fill(f"{site}/absent.mp4")
        page.get_by_role("button", name="Add", exact=True).click()
        card = page.locator(".video-card").filter(has_text="absent.mp4")
        expect(card.get_by_text("failed", exact=True)).to_be_visible()
        expect(card.locator(".why")).to_contain_text("404")
        expect(card.get_by_role("button", name=re.compile("^Retry: "))).to_be_enabled()


@pytest.mark.usefixtures("slow")
def test_an_analysis_is_cancelled_on_its_card_and_begun_again(
    page: Page, page_url: str, service_url: str, analysed: Analysed, tmp_path: Path
) -> None:
    (file,) = copies(analysed.file, tmp_path, "ended.mp4", first=20)
    page.goto(f"{page_url}{analysed.at('/', video='')}")
    page.locator("input[type=file]").first.set_input_files(file)
    card = page.locator(".video-card").filter(has_text="ended.mp4")
    expect(card.get_by_role("progressbar")).to_be_visible()
    # It has begun: what waits is ended at once, and would show less.
    expect(card.get_by_text(re.compile("^analysing"))).to_be_visible()
    card.get_by_role("button", name="Cancel: ended.mp4").click()
    expect(card.get_by_text("cancelled", exact=True)).to_be_visible()
    expect(card.get_by_role("progressbar")).to_have_count(0)
    jobs = httpx.get(
        f"{service_url}/v1/jobs", params={"project": analysed.project}, trust_env=False, timeout=60.0
    ).json()
    assert [one["state"] for one in jobs if one["about"] == "ended.mp4"] == ["cancelled"]
    card.get_by_role("button", name="Retry: ended.mp4").click()
    expect(card.get_by_role("progressbar")).to_be_visible()
    expect(card.locator(".who").filter(has_text="Eileen Collins")).to_be_visible()
    expect(card.get_by_text("cancelled", exact=True)).to_have_count(0)

"""Search for people who are seen together: only scenes that show all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from facerec_models.result import Result
from tests.ui.page.conftest import Analysed
from ui.client import FacerecClient

pytestmark = pytest.mark.browser

_HOPPER, _MAN, _COLLINS = "Grace Hopper", "Carphone Man", "Eileen Collins"


@pytest.fixture
def with_hopper(service_url: str, analysed: Analysed) -> Iterator[Result]:
    """The reel's result once Grace Hopper, who is seen alone and beside the man in the car, has her name."""
    with FacerecClient(service_url) as client, httpx.Client(base_url=service_url, trust_env=False, timeout=60) as http:
        base = f"/v1/projects/{analysed.project}"
        before = client.result(analysed.project, analysed.video_id)
        spans = [(one.start_s, one.end_s) for one in before.appearances if one.identity == _MAN]
        (hopper,) = {
            one.stranger
            for one in before.appearances
            if one.stranger and any(one.start_s < end and start < one.end_s for start, end in spans)
        }
        given = {"person_id": _HOPPER.replace(" ", "_")}
        edit = http.post(f"{base}/strangers/{hopper}/name", json=given).raise_for_status().json()["edit"]
        yield client.result(analysed.project, analysed.video_id)
        http.post(f"{base}/history/{edit}/undo").raise_for_status()


def add(page: Page, name: str) -> None:
    """Add a person to those who are searched for."""
    field = page.get_by_label("Who is seen")
    field.fill(name)
    expect(page.get_by_role("option").filter(has_text=name)).to_be_visible()
    field.press("Enter")
    expect(page.get_by_role("button", name=f"Without {name}")).to_be_visible()


def start_of(hit: Locator) -> float:
    """Return the time to which a scene leads."""
    return float(parse_qs(urlsplit(hit.get_attribute("href") or "").query)["t"][0])


def test_two_people_are_found_where_both_are_in_one_scene(
    page: Page, page_url: str, analysed: Analysed, with_hopper: Result
) -> None:
    spans = {
        name: [(one.start_s, one.end_s) for one in with_hopper.appearances if one.identity == name]
        for name in (_HOPPER, _MAN)
    }
    (both,) = [
        (max(a[0], b[0]), min(a[1], b[1])) for a in spans[_HOPPER] for b in spans[_MAN] if a[0] < b[1] and b[0] < a[1]
    ]
    page.goto(f"{page_url}/search?project={analysed.project}")
    hits = page.locator("a.found")
    add(page, _HOPPER)
    expect(hits).to_have_count(len(spans[_HOPPER]))
    assert len(spans[_HOPPER]) > 1
    add(page, _MAN)
    expect(page.get_by_role("heading", name="Where they are seen together")).to_be_visible()
    expect(hits).to_have_count(1)
    assert both[0] - 0.5 <= start_of(hits.first) <= both[1]
    # What is searched for is in the address.
    page.reload()
    expect(hits).to_have_count(1)
    hits.first.click()
    expect(page).to_have_url(re.compile(f"/video.*video={analysed.video_id}"))
    expect(page.locator(f".box[aria-label='{_HOPPER}']")).to_be_visible()
    expect(page.locator(f".box[aria-label='{_MAN}']")).to_be_visible()
    page.go_back()
    add(page, _COLLINS)
    expect(page.get_by_role("heading", name="Nowhere")).to_be_visible()
    expect(page.get_by_text("There is no shot in which all of them are seen.")).to_be_visible()
    expect(hits).to_have_count(0)

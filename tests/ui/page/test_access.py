"""Every view, and what opens on it, can be used by everybody: by contrast and labels, on a phone, and without asking elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from serving.archive.naming.one_video import assign_current
from serving.archive.search.strangers import rank_strangers
from tests.archive import fill, put_tracks
from tests.builders import face_of, make_track, near
from tests.ui.page.conftest import Analysed, Served
from tests.ui.page.every_view import Place, cut_off, open_place, places, violations
from tests.ui.page.running import TIMEOUT_MS, Watched
from ui.sign_in import SIGN_IN

pytestmark = pytest.mark.browser

ALIKE = "p"


@pytest.fixture(scope="module")
def everywhere(served: Served, analysed: Analysed) -> list[Place]:
    """All places, of a project with the reel, and of one in which two strangers are alike."""
    fill(served.archive)
    mean = np.sum([face_of(7, 30 + at) for at in (0, 1, 10, 11)], axis=0)
    face = near(mean / np.linalg.norm(mean), 0.947)
    track = replace(make_track(1, [1.0, 2.0], embeddings=np.stack([face, face])), scores=np.ones(2, np.float32))
    assign_current(served.archive, put_tracks(served.archive, "v-3", 3, [track]))
    (stranger, *_) = rank_strangers(served.archive, analysed.project).strangers
    return places(analysed.project, analysed.video_id, stranger.stranger_id, ALIKE)


@pytest.mark.parametrize(("width", "height", "scheme"), [(1440, 900, "light"), (390, 844, "dark")])
def test_nothing_is_wrong_anywhere(
    browser: Browser, page_url: str, everywhere: list[Place], width: int, height: int, scheme: str
) -> None:
    found: dict[str, list[str]] = {}
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    expect.set_options(timeout=TIMEOUT_MS)
    watched = Watched(page)
    for place in everywhere:
        open_place(page, page_url, place)
        found[place.name] = [*violations(page), *cut_off(page), *watched.complaints, *watched.foreign(page_url)]
        watched.complaints.clear()
        watched.asked.clear()
    page.goto(page_url + SIGN_IN)
    found["sign-in"] = [*violations(page), *cut_off(page), *watched.complaints, *watched.foreign(page_url)]
    context.close()
    assert {name: wrong for name, wrong in found.items() if wrong} == {}

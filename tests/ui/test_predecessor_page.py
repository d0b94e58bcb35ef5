"""A page that sends what the predecessor's web client sends, from another origin, in a real browser and against real networks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from serving.archive.learning.model_versions import train
from serving.settings import Settings
from tests.local_servers import folder, running
from tests.serving.in_process import enrol_all, in_process
from tests.serving.service import free_port
from ui.demo_material import DemoMaterial

pytestmark = pytest.mark.browser

_CLIENT = """
const get = async path => {
    const answer = await fetch(BASE + path);
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer;
};
const json = async path => (await get(path)).json();
const pause = seconds => new Promise(resolve => setTimeout(resolve, 1000 * seconds));
const track = async (video, more = '') => {
    for (;;) {
        const query = new URLSearchParams({video, project: PROJECT, speedup: 25});
        const found = await json(`track?${query}${more}`);
        if (found.status !== 'RUNNING') return found;
        more = '';
        await pause(0.5);
    }
};
const loaded = (element, name) => new Promise((resolve, reject) => {
    element.addEventListener(name, resolve, {once: true});
    element.addEventListener('error', () => reject(new Error(`${name} of ${element.src}`)), {once: true});
});
"""
_TRAINING_SET = """async () => {
    const people = await json(`training-set?project=${PROJECT}`);
    const image = new Image();
    const there = loaded(image, 'load');
    image.src = BASE + people[0].path[0];
    await there;
    const one = BASE + people[0].path[0];
    const post = list => fetch(`${BASE}disabled/${PROJECT}`, {
        method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify(list),
    });
    const first = await json(`disabled/${PROJECT}`);
    const posted = (await post([...first, one])).status;
    const now = (await json(`disabled/${PROJECT}`)).map(path => path.replace('data/', BASE));
    await post([]);
    return {projects: await json('projects'), people, size: image.naturalWidth, first, posted, now, one};
}"""
_VIDEO = """async video => {
    const [address, found] = await Promise.all([get(`get_locator?${new URLSearchParams({video})}`), track(video)]);
    const player = document.createElement('video');
    document.body.append(player);
    player.muted = true;
    player.src = await address.text();
    await loaded(player, 'loadeddata');
    const box = found.tracks[0];
    const sought = loaded(player, 'seeked');
    player.currentTime = box.start_npt;
    await sought;
    const again = await json(`track?${new URLSearchParams({video, project: PROJECT, speedup: 25})}&no_cache=true`);
    const recomputed = await track(video);
    const person = await json(`appearance/${box.name}?project=${PROJECT}`);
    const linked = await track(new URL(person[0].locator).href);
    const metadata = await json(`get_metadata?${new URLSearchParams({video})}`);
    return {
        found, again, recomputed, linked, metadata, time: player.currentTime, size: [player.videoWidth, player.videoHeight],
    };
}"""


@pytest.fixture(scope="module")
def page(
    detector: MtcnnDetector,
    embedder: FaceEmbedder,
    material: DemoMaterial,
    browser: Browser,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Page]:
    root = tmp_path_factory.mktemp("page")
    (root / "page").mkdir()
    port = free_port()
    settings = Settings(
        home=root / "home",
        legacy_api=True,
        cors_origins=frozenset({f"http://localhost:{port}"}),
        media_roots=(material.reel.parent,),
    )
    with in_process(settings, detector, embedder) as (client, service):
        enrol_all(client, "shown", material)
        train(service.archive, "shown")
        with running(client.app) as api, running(folder(root / "page"), port):
            (root / "page" / "index.html").write_text(
                f"<!doctype html><meta charset=utf-8><title>page</title>"
                f"<script>const BASE = '{api}/', PROJECT = 'shown';{_CLIENT}</script>"
            )
            opened = browser.new_page()
            opened.set_default_timeout(120_000)
            opened.goto(f"http://localhost:{port}/index.html")
            yield opened
            opened.close()


def test_pictures_are_shown_and_disabled(page: Page) -> None:
    seen: dict[str, Any] = page.evaluate(_TRAINING_SET)
    assert seen["projects"][0] == "shown"
    assert {person["class"] for person in seen["people"]} == {"Eileen Collins", "Carphone Man"}
    assert seen["size"] > 0
    assert (seen["first"], seen["posted"], seen["now"]) == ([], 200, [seen["one"]])


def test_a_video_is_analysed_played_recomputed_and_found_by_its_people(page: Page, material: DemoMaterial) -> None:
    seen: dict[str, Any] = page.evaluate(_VIDEO, Path(material.reel).name)
    found = seen["found"]
    assert {track["name"] for track in found["tracks"]} == {"Eileen Collins", "Carphone Man"}
    assert seen["size"] == found["tracks"][0]["frame_size"]
    assert seen["time"] == pytest.approx(found["tracks"][0]["start_npt"], abs=0.05)
    assert seen["again"]["status"] == "RUNNING"
    assert seen["recomputed"]["tracks"] == seen["linked"]["tracks"] == found["tracks"]
    assert (seen["metadata"]["title"], seen["metadata"]["segments"]) == ([], [])

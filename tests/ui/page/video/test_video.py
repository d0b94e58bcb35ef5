"""A video as it is watched: boxes stand where the faces are, in every frame that is shown, and names can be put right."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import av
import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from facerec_models.result import Result
from tests.ui.page.conftest import Analysed
from tests.waiting import wait_until
from ui.client import FacerecClient

pytestmark = pytest.mark.browser

_BOXES = """() => {
    const root = document.querySelector('fr-app').shadowRoot, player = root.querySelector('fr-player');
    const {left, top, width, height} = player.video.getBoundingClientRect();
    const boxes = [...root.querySelectorAll('.box')].map(box => {
        const at = box.getBoundingClientRect();
        return [(at.left - left) / width, (at.top - top) / height, (at.right - left) / width, (at.bottom - top) / height];
    });
    const isDrawn = player.isDrawnAt === player.video.currentTime && !player.video.seeking;
    return {time: isDrawn ? player.time : NaN, boxes};
}"""
# What is drawn with each picture, while it plays.
_PLAYED = f"""async ms => {{
    const player = document.querySelector('fr-app').shadowRoot.querySelector('fr-player'), drawn = [];
    const take = ({{detail}}) => player.video.paused || drawn.push({{...({_BOXES})(), time: detail}});
    player.addEventListener('time', take);
    player.video.muted = true;
    await player.video.play();
    await new Promise(resolve => setTimeout(resolve, ms));
    player.video.pause();
    player.removeEventListener('time', take);
    return drawn;
}}"""
_SIZE, _SIDE, _FRAMES, _RATE = (320, 180), 40, 90, 30


def overlap(one: list[float], other: list[float]) -> float:
    """Return the intersection of two boxes over their union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / (areas - width * height)


def expected_boxes(result: Result, time_s: float) -> list[list[float]]:
    """Return, as parts of the picture, the boxes of the faces that were sampled at a time."""
    size = [result.video.width, result.video.height] * 2
    return [
        [edge / whole for edge, whole in zip(sample.box_xyxy, size, strict=True)]
        for track in result.tracks
        for sample in track.samples
        if abs(sample.time_s - time_s) < 1e-3
    ]


def shown(page: Page) -> Any:
    return page.evaluate(_BOXES)


def test_boxes_stand_where_the_faces_were_found(
    page: Page, page_url: str, service_url: str, analysed: Analysed
) -> None:
    with FacerecClient(service_url) as client:
        result = client.result(analysed.project, analysed.video_id)
    times = sorted({sample.time_s for track in result.tracks for sample in track.samples})
    moments = [times[i * (len(times) - 1) // 4] for i in range(5)]
    page.goto(f"{page_url}{analysed.at(t=moments[0])}")
    expect(page.locator(".box").first).to_be_visible()
    for time_s in moments:
        page.evaluate("t => document.querySelector('fr-app').shadowRoot.querySelector('fr-player').seek(t)", time_s)
        page.wait_for_function(f"() => Math.abs(({_BOXES})().time - {time_s}) < 0.02")
        found = shown(page)
        for wanted in expected_boxes(result, time_s):
            assert max((overlap(wanted, box) for box in found["boxes"]), default=0.0) >= 0.5, time_s


def test_boxes_follow_faces_in_playback(page: Page, page_url: str, service_url: str, analysed: Analysed) -> None:
    """At each picture that is shown, the boxes are those of the time that the picture tells."""
    with FacerecClient(service_url) as client:
        result = client.result(analysed.project, analysed.video_id)
    times = sorted({sample.time_s for track in result.tracks for sample in track.samples})
    page.goto(f"{page_url}{analysed.at(t=times[0])}")
    expect(page.locator(".box").first).to_be_visible()
    drawn = page.evaluate(_PLAYED, 6000)
    frame_s = 1 / result.video.fps
    compared = 0
    for picture in drawn:
        near = [time for time in times if abs(time - picture["time"]) < frame_s / 2]
        for wanted in [box for time in near for box in expected_boxes(result, time)]:
            assert max((overlap(wanted, box) for box in picture["boxes"]), default=0.0) >= 0.5, picture["time"]
            compared += 1
    assert compared >= 3


def write_square(file: Path) -> list[tuple[int, int]]:
    """Write a clip in which a white square moves over black; return its left upper corner in each frame."""
    places = [(4 * i % (_SIZE[0] - _SIDE), 2 * i % (_SIZE[1] - _SIDE)) for i in range(_FRAMES)]
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=_RATE, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = *_SIZE, "yuv420p"
        for i, (x, y) in enumerate(places):
            picture = np.zeros((_SIZE[1], _SIZE[0], 3), np.uint8)
            picture[y : y + _SIDE, x : x + _SIDE] = 255
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, _RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return places


def test_a_box_follows_a_moving_square(page: Page, page_url: str, analysed: Analysed, tmp_path: Path) -> None:
    """In playback and after a seek, the box is where the square is in the picture that is shown at that moment."""
    file = tmp_path / "square.mp4"
    places = write_square(file)

    def answer(route: Route) -> None:
        route.fulfill(body=file.read_bytes(), content_type="video/mp4", headers={"accept-ranges": "none"})

    page.route("**/square.mp4", answer)
    page.goto(f"{page_url}{analysed.at()}")
    expect(page.locator(".list-row").first).to_be_visible()
    boxes = [[x, y, x + _SIDE, y + _SIDE] for x, y in places]
    errors = page.evaluate(
        """async ({times_s, boxes_xyxy, size}) => {
            const {Tracks} = await import(document.querySelector('script[src$="main.js"]').src.replace('main.js', 'core/tracks.js'));
            const player = document.createElement('fr-player');
            document.querySelector('fr-app').shadowRoot.querySelector('#main').replaceChildren(player);
            player.style.width = size[0] + 'px';
            const end = times_s.at(-1) + 1;
            player.tracks = new Tracks([{track_id: 1, times_s, boxes_xyxy}], [{track_id: 1, start_s: 0, end_s: end}]);
            player.describe = () => ({label: 'square', colour: 'red', isShown: true});
            player.load('/square.mp4', {width: size[0], height: size[1], sample_aspect_ratio: 1}, {offset: 0, at: 0});
            player.video.muted = true;
            await new Promise(resolve => player.video.addEventListener('canplaythrough', resolve, {once: true}));
            const canvas = new OffscreenCanvas(...size), drawn = canvas.getContext('2d', {willReadFrequently: true});
            const measure = () => {
                drawn.drawImage(player.video, 0, 0, ...size);
                const {data} = drawn.getImageData(0, 0, ...size);
                let left = size[0], top = size[1];
                for (let i = 0; i < data.length; i += 4) if (data[i] > 128) {
                    left = Math.min(left, (i / 4) % size[0]); top = Math.min(top, Math.floor(i / 4 / size[0]));
                }
                const box = player.querySelector('.box').getBoundingClientRect(), video = player.video.getBoundingClientRect();
                const scale = size[0] / video.width;
                return Math.max(Math.abs((box.left - video.left) * scale - left), Math.abs((box.top - video.top) * scale - top));
            };
            const playing = [], sought = [];
            await new Promise(resolve => {
                // Registered after the player's own: what it has drawn for this frame is there.
                const call = () => { playing.push(measure()); player.video.requestVideoFrameCallback(call); };
                player.video.requestVideoFrameCallback(call);
                player.video.addEventListener('ended', resolve, {once: true});
                player.video.play();
            });
            for (const i of [7, 60, 31, 12, 80]) {
                player.seek(times_s[i]);
                await new Promise(resolve => player.video.addEventListener('seeked', resolve, {once: true}));
                await new Promise(resolve => setTimeout(resolve, 300));
                sought.push(measure());
            }
            return {playing, sought};
        }""",
        {"times_s": [i / _RATE for i in range(_FRAMES)], "boxes_xyxy": boxes, "size": list(_SIZE)},
    )
    assert len(errors["playing"]) >= 20
    assert median(errors["playing"]) <= 2.0
    assert max(errors["sought"]) <= 2.0


def test_list_lanes_and_player_show_the_same_moment(page: Page, page_url: str, analysed: Analysed) -> None:
    page.goto(f"{page_url}{analysed.at()}")
    row = page.locator(".list-row").filter(has_text="Carphone Man").last
    row.click()
    expect(row).to_have_attribute("aria-selected", "true")
    evidence = page.get_by_role("region", name="Evidence")
    expect(evidence.get_by_role("heading", name="Carphone Man", exact=True)).to_be_visible()
    for picture in evidence.locator("img").all():
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    expect(page).to_have_url(re.compile(r"person=Carphone_Man.*t=\d+\.\d+|t=\d+\.\d+.*person=Carphone_Man"))
    expect(page.locator(".box.chosen")).to_have_attribute("aria-label", "Carphone Man")
    at = wait_until(lambda: (time := shown(page)["time"]) == time and time)
    page.reload()
    expect(evidence.get_by_role("heading", name="Carphone Man", exact=True)).to_be_visible()
    page.wait_for_function(f"() => Math.abs(({_BOXES})().time - {at}) < 0.05")
    # A lane that is switched off takes its boxes and rows with it.
    page.get_by_role("list", name="Who is shown").get_by_role("button", name="Carphone Man").click()
    expect(page.locator(".list-row").filter(has_text="Carphone Man")).to_have_count(0)
    expect(page.locator(".box[aria-label='Carphone Man']")).to_have_count(0)


def test_a_wrong_name_is_taken_away_and_brought_back(page: Page, page_url: str, analysed: Analysed) -> None:
    page.goto(f"{page_url}{analysed.at()}")
    rows = page.locator(".list-row").filter(has_text="Eileen Collins")
    expect(rows.first).to_be_visible()
    before = rows.count()
    rows.first.click()
    page.keyboard.press("n")
    expect(page.get_by_role("status").filter(has_text="Not Eileen Collins")).to_be_visible()
    # What one face is not, those like it are not, either.
    expect(rows).not_to_have_count(before)
    page.keyboard.press("Control+z")
    expect(page.get_by_role("status").filter(has_text="Undone")).to_be_visible()
    expect(rows).to_have_count(before)


def test_the_accepted_error_decides_again_at_once(page: Page, page_url: str, analysed: Analysed) -> None:
    asked: list[str] = []
    page.goto(f"{page_url}{analysed.at()}")
    expect(page.locator(".list-row").first).to_be_visible()
    page.on("request", lambda request: asked.append(request.method))
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "0.1 %")
    page.get_by_role("button", name="Back").click()
    expect(slider).to_have_attribute("aria-valuetext", "0.5 %")
    # Nothing was changed in the archive.
    assert set(asked) <= {"GET"}


def test_names_are_shown_as_text(page: Page, page_url: str, service_url: str, analysed: Analysed) -> None:
    """What a name looks like never matters: neither a template, nor another direction of writing; HTML is no name at all."""
    names = ["${alert(1)}", "{{constructor}}", "\u05d0\u05d1\u05d2 (RTL)"]
    with httpx.Client(base_url=service_url, trust_env=False, timeout=60.0) as client:
        base = f"/v1/projects/{analysed.project}"
        result = client.get(f"{base}/videos/{analysed.video_id}/result").json()
        tracks = [view["track_ids"][0] for view in result["appearances"]]
        edits = []
        for name, track in zip(names, tracks, strict=False):
            given = {
                "kind": "is",
                "person_id": name.replace(" ", "_"),
                "tracks": [{"video_id": analysed.video_id, "track_id": track}],
            }
            edits.append(client.post(f"{base}/tracks/corrections", json=given).raise_for_status().json()["edit"])
        try:
            page.on("dialog", lambda dialog: pytest.fail(f"a name ran: {dialog.message}"))
            page.goto(f"{page_url}{analysed.at()}")
            for name in names[: len(tracks)]:
                expect(page.locator(".list-row").filter(has_text=name).first).to_be_visible()
        finally:
            for number in reversed(edits):
                client.post(f"{base}/history/{number}/undo").raise_for_status()

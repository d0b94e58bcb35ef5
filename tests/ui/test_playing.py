"""A browser plays the rendition of a video that it does not play itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from playwright.sync_api import Browser

from serving.archive.handle import Archive
from serving.store.job_rows import JobState
from tests.serving.jobs.runners import final
from tests.serving.routes import bare_api, making_renditions, ok
from tests.serving.service import free_port
from tests.unit.facerec_models.analysis.reading.written_video import read_number
from tests.unit.serving.exports.played_videos import write_media
from tests.waiting import WAIT_S, wait_until

pytestmark = pytest.mark.browser

_PLAYER = """async ({url, times}) => {
    const video = document.createElement('video');
    document.body.append(video);
    video.muted = true;
    video.src = url;
    const happened = name => new Promise((resolve, reject) => {
        video.addEventListener(name, resolve, {once: true});
        video.addEventListener('error', () => reject(video.error.message), {once: true});
    });
    await happened('loadeddata');
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const drawn = canvas.getContext('2d', {willReadFrequently: true});
    const pictures = [];
    for (const time of times) {
        const sought = happened('seeked');
        // A busy machine may say so before the picture is there; a picture that was there already is not presented again.
        const presented = new Promise(resolve => video.requestVideoFrameCallback(resolve));
        video.currentTime = time;
        await sought;
        await Promise.race([presented, new Promise(resolve => setTimeout(resolve, 2000))]);
        drawn.drawImage(video, 0, 0);
        pictures.push(Array.from(drawn.getImageData(0, 0, canvas.width, canvas.height).data));
    }
    return {ready: video.readyState, duration: video.duration, size: [canvas.width, canvas.height], pictures};
}"""


@contextmanager
def served(archive: Archive) -> Iterator[str]:
    """Answer requests on a port of this machine until the block ends."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(bare_api(archive), host="127.0.0.1", port=port, log_level="warning"))
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(WAIT_S)


@pytest.mark.parametrize(
    ("name", "how", "size"),
    [
        (
            "film.ts",
            {"codec": "mpeg2video", "sound": "mp2", "ratio": Fraction(16, 15), "options": {"flags": "+ildct+ilme"}},
            (192, 144),
        ),
        ("late.mkv", {"sound": "aac", "times_ms": range(3000, 6000, 40), "rotation": None}, (180, 144)),
        ("turned.mov", {"sound": "aac", "rotation": (180, False)}, (180, 144)),
        ("plain.mp4", {"sound": "aac"}, (180, 144)),
        ("plain.webm", {"codec": "libvpx", "sound": "libopus"}, (180, 144)),
    ],
)
def test_a_browser_shows_at_each_time_the_frame_of_that_time(
    archive: Archive, browser: Browser, tmp_path: Path, name: str, how: dict[str, Any], size: tuple[int, int]
) -> None:
    file = write_media(tmp_path / name, **how)
    numbers = [0, 1, 13, 30, 49, 2]
    with served(archive) as service, httpx.Client(base_url=service, trust_env=False) as client:
        sent = ok(client.post("/v1/projects/p/videos", files={"file": (name, file.read_bytes())}))
        address = f"/v1/projects/p/videos/{sent['video_id']}"
        if ok(client.get(f"{address}/playback"))["state"] == "needed":
            with making_renditions(archive):
                job = final(archive.store, ok(client.post(f"{address}/rendition"))["job_id"])
            assert job.state is JobState.SUCCEEDED
        page = browser.new_page()
        page.set_default_timeout(1000 * WAIT_S)
        page.goto(f"{service}/openapi.json")
        url = ok(client.get(f"{address}/playback"))["url"]
        began = time.monotonic()
        played = page.evaluate(_PLAYER, {"url": url, "times": [number / 25 + 0.02 for number in numbers]})
        assert time.monotonic() - began < WAIT_S
        page.close()
    assert played["ready"] >= 2
    assert tuple(played["size"]) == size
    frames = len(how.get("times_ms", range(50)))
    assert played["duration"] == pytest.approx(frames / 25, abs=0.07)
    pictures = [np.array(one, np.uint8).reshape(size[1], size[0], 4)[..., :3] for one in played["pictures"]]
    if name == "turned.mov":
        pictures = [np.ascontiguousarray(picture[::-1, ::-1]) for picture in pictures]
    assert [read_number(picture) for picture in pictures] == numbers
    red, blue = pictures[0][-20, 22], pictures[0][-20, size[0] * 5 // 8]
    assert red.tolist() == pytest.approx([200, 60, 30], abs=14)
    assert blue.tolist() == pytest.approx([40, 60, 210], abs=14)

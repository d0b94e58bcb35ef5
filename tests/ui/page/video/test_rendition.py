"""A video that browsers do not play is made playable, and boxes stand where its faces are."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
import pytest
from playwright.sync_api import Page, expect

from tests.ui.page.conftest import Analysed
from tests.ui.page.video.test_video import _BOXES, expected_boxes, overlap, shown
from ui.client import FacerecClient

pytestmark = pytest.mark.browser

_PLAYER = "document.querySelector('fr-app').shadowRoot.querySelector('fr-player')"
_MOMENTS = 4


def write_again(clip: Path, file: Path, codec: str, pixels: str, **options: str) -> None:
    """Write the pictures of a clip with another codec, in the container that the file's name calls for."""
    with av.open(str(clip)) as source, av.open(str(file), "w") as container:
        pictures = source.streams.video[0]
        assert pictures.average_rate is not None
        stream = container.add_stream(codec, rate=pictures.average_rate, options=options)
        stream.width, stream.height, stream.pix_fmt = pictures.width, pictures.height, pixels
        for i, frame in enumerate(source.decode(pictures)):
            again = frame.reformat(format=pixels)
            again.pts, again.time_base = i, 1 / Fraction(pictures.average_rate)
            container.mux(stream.encode(again))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [("master.mkv", "ffv1", {"slices": "4"}), ("tape.mpg", "mpeg2video", {"qscale": "3", "flags": "qscale"})],
)
def test_a_file_that_browsers_do_not_play_is_made_playable(
    page: Page, page_url: str, service_url: str, analysed: Analysed, clip: Path, tmp_path: Path,
    name: str, codec: str, options: dict[str, str],
) -> None:  # fmt: skip
    write_again(clip, tmp_path / name, codec, "yuv420p", **options)
    with FacerecClient(service_url) as client:
        job_id, video_id = client.submit_video(analysed.project, tmp_path / name)
        client.wait(job_id)
        result = client.result(analysed.project, video_id)
    times = sorted({sample.time_s for track in result.tracks for sample in track.samples})
    assert len(times) >= _MOMENTS
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url.partition('?')[0]}"))
    page.goto(f"{page_url}/video?project={analysed.project}&video={video_id}")
    expect(page.get_by_text("Browsers do not play this file as it is")).to_be_visible()
    expect(page.get_by_text("Browsers do not play this file as it is")).to_be_hidden()
    assert any(re.fullmatch(r"POST .*/rendition", one) for one in asked)
    page.wait_for_function(f"{_PLAYER}.video.readyState >= 2")
    assert page.evaluate(f"{_PLAYER}.video.duration") == pytest.approx(result.video.duration_s, abs=0.2)
    compared = 0
    for i in range(_MOMENTS):
        time_s = times[i * (len(times) - 1) // (_MOMENTS - 1)]
        page.evaluate(f"{_PLAYER}.seek({time_s})")
        page.wait_for_function(f"() => Math.abs(({_BOXES})().time - {time_s}) < 0.02")
        found = shown(page)
        for wanted in expected_boxes(result, time_s):
            assert max((overlap(wanted, box) for box in found["boxes"]), default=0.0) >= 0.5, time_s
            compared += 1
    assert compared >= _MOMENTS
    # The same visitor, and everybody else, has it at once from then on.
    asked.clear()
    page.reload()
    expect(page.locator(".list-row").filter(has_text="Eileen Collins").first).to_be_visible()
    page.wait_for_function(f"{_PLAYER}.video.readyState >= 2")
    assert not any(one.startswith("POST") for one in asked)

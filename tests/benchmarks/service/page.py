"""How quick the page is with 2,000 tracks in one video: ``python -m tests.benchmarks.service.page [--tracks 2000]``.

A service and its page run as users start them, in a real Chromium. A view is loaded twice; the second time counts, as for whoever has
been there before. An interaction lasts from its event to the frame that shows what it has done.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np

from facerec_models.types import Track
from serving.archive.handle import open_archive
from serving.archive.learning.model_versions import train
from serving.archive.naming.one_video import assign_current
from serving.settings import Settings
from tests.archive import enrol, put_tracks
from tests.benchmarks.command import say
from tests.builders import EMBEDDER, face_of, make_track
from tests.serving.service import running_service
from tests.ui.chromium import running_chromium

_PEOPLE, _STRANGERS = 30, 10
_LENGTH_S, _SAMPLES = 600.0, 29
_REPEATS = 7
_INTERACTIONS = {
    "choose a row": "rows.children[0].children[Math.min(5, rows.children[0].children.length - 1)].click()",
    "scroll the list": "rows.scrollTop += 40000",
    "hide a kind": "[...root.querySelectorAll('.filters button')][2].click()",
    "switch a lane": "root.querySelector('.legend button').click()",
    "zoom the lanes": "root.querySelector('[aria-label=\"Zoom in\"]').click()",
    "another accepted error": "slider.value = String((Number(slider.value) + 1) % 6); slider.dispatchEvent(new Event('input'))",
    "seek": "player.seek(player.time + 7)",
}
_TIMED = """async action => {
    const root = document.querySelector('fr-app').shadowRoot;
    const [rows, player, slider] = ['fr-rows', 'fr-player', 'input[type=range]'].map(name => root.querySelector(name));
    const start = performance.now();
    new Function('root', 'rows', 'player', 'slider', action)(root, rows, player, slider);
    await new Promise(resolve => setTimeout(() => requestAnimationFrame(() => setTimeout(resolve))));
    return performance.now() - start;
}"""


def main() -> None:
    """Fill a home, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=2000, help="in the one video")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        fill(home, args.tracks)
        with running_service(home, with_page=True) as service, running_chromium() as browser:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            url = f"{service.page}/video?project=p&video=v-1"
            for turn in ("first load", "second load"):
                page.goto(url, wait_until="commit")
                page.locator(".list-row").first.wait_for()
                say(f"{turn}: the list is there after {page.evaluate('performance.now()') / 1000:.2f} s")
            for what, action in _INTERACTIONS.items():
                taken = [page.evaluate(_TIMED, action) for _ in range(_REPEATS)]
                say(f"{what}: median {statistics.median(taken):.0f} ms, longest {max(taken):.0f} ms")


def fill(home: Path, tracks: int) -> None:
    """Make a project whose one video has so many tracks, of people and strangers."""
    rng = np.random.default_rng(0)
    with open_archive(Settings(home=home)) as archive:
        archive.store.create_project("p")
        archive.store.fix_embedder("p", EMBEDDER)
        for who in range(_PEOPLE):
            enrol(archive, who, f"Person_{who}")
        train(archive, "p")
        seen = [_track(i, int(rng.integers(_PEOPLE + _STRANGERS)), rng) for i in range(1, tracks + 1)]
        assign_current(archive, put_tracks(archive, "v-1", 0, seen, length_s=_LENGTH_S))


def _track(number: int, who: int, rng: np.random.Generator) -> Track:
    start = float(rng.uniform(0, _LENGTH_S - 8))
    times = np.round(start + np.arange(_SAMPLES) * 0.2, 3).tolist()
    return make_track(
        number, times, embeddings=np.stack([face_of(who, number + k) for k in range(2)]), x=(number * 37) % 560
    )


if __name__ == "__main__":
    main()

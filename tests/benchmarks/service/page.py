"""How quick the page is: ``python -m tests.benchmarks.service.page [--tracks 2000] [--people 5000] [--strangers 20000]``.

A video with 2,000 tracks, a project of 5,000 people and 20,000 strangers, both in a temporary home; a service and its page run as users
start them, in a real Chromium. Each view is loaded once for its caches, and then counted, as for whoever has been there before. An
interaction lasts from its event until what it asks for is shown: where the service must be asked, until its answer is drawn. Between
two of them is a rest, shorter than a person's, in which the page prepares what comes next.

Exit code 1 says that a bound is broken. Medians are compared with the bounds, because on cores that others use too single turns take
many times as long; the longest turn is shown beside them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page

from tests.benchmarks.command import circumstances, say
from tests.benchmarks.service.page_archive import LENGTH_S, PROJECT, TRACKS_VIDEO, VIDEO_PROJECT, fill
from tests.serving.service import RunningService, running_service
from tests.ui.chromium import running_chromium

_LOADS, _TURNS = 5, 9
_REST_MS = 700
_PAINT_MS, _NEAR_MS, _FAR_MS = 1500.0, 100.0, 200.0
_TIMEOUT_MS = 120_000

# What an action may use, and the condition that says when what it asks for is shown.
_PARTS = """
    const root = document.querySelector('fr-app').shadowRoot;
    const part = name => root.querySelector(name), all = name => [...root.querySelectorAll(name)];
    const [rows, player, slider, lanes] = ['fr-rows', 'fr-player', 'input[type=range]', 'fr-lanes'].map(part);
    const [wall, stage, view, video] = ['fr-wall', 'fr-stranger-stage', '#main > *', 'video'].map(part);
    const put = (field, value, type) => { field.value = String(value); field.dispatchEvent(new Event(type)); };
    const isFilled = () => {
        const end = rows.getBoundingClientRect().bottom - 1;
        return all('.list-row').some(one => one.getBoundingClientRect().bottom >= end || one.ariaPosInSet === one.ariaSetSize);
    };
    const isSeen = one => one.getBoundingClientRect().bottom > 0 && one.getBoundingClientRect().top < innerHeight;
    const cards = () => all('.person').filter(isSeen).length;
    const isDrawn = () => player.isDrawnAt === video.currentTime && !video.seeking;
    const zoom = turn => part(`[aria-label='${turn % 2 ? 'Show the whole video' : 'Zoom in'}']`).click();
"""
_TIMED = """async ({parts, action, done, turn}) => {
    const make = text => new Function('turn', 'was', parts + text);
    const was = make(`return {
        rows: rows?.items, top: rows?.scrollTop, span: lanes?.shownS, people: wall?.items,
        name: stage?.stranger?.stranger, sum: view.sum?.textContent, all: view.all,
    }`)(turn);
    const [act, isDone] = [make(action), make('return ' + done)];
    const start = performance.now();
    act(turn, was);
    do {
        await new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)));
        if (performance.now() - start > 30_000) throw new Error(`never shown: ${action}`);
    } while (!isDone(turn, was));
    return performance.now() - start;
}"""
_FIRST_SHOWN = """ready => new Promise(resolve => {
    const ask = () => document.querySelector('fr-app')?.shadowRoot?.querySelector(ready)
        ? requestAnimationFrame(() => setTimeout(() => resolve(performance.now()))) : requestAnimationFrame(ask);
    ask();
})"""


@dataclass(frozen=True, slots=True)
class Interaction:
    """What is done, in the page's own terms, and when it is shown."""

    what: str
    action: str
    done: str


@dataclass(frozen=True, slots=True)
class Place:
    """A view, what of it must be there, and what is done in it.

    Parameters
    ----------
    ready : str
        Selects what is drawn when the view is of use.
    bound_ms : float
        Of the median of each interaction.
    """

    title: str
    address: str
    ready: str
    bound_ms: float
    interactions: Sequence[Interaction]


@dataclass(frozen=True, slots=True)
class Timing:
    """How long something took, turn by turn, and how long its median may take."""

    what: str
    taken_ms: Sequence[float]
    bound_ms: float

    @property
    def median_ms(self) -> float:
        """What is compared with the bound."""
        return statistics.median(self.taken_ms)

    @property
    def is_within(self) -> bool:
        """Whether it is quick enough."""
        return self.median_ms <= self.bound_ms


_PLACES = (
    Place("video", f"/video?project={VIDEO_PROJECT}&video={TRACKS_VIDEO}", ".list-row", _NEAR_MS, (
        Interaction("scroll the list", "rows.scrollTop = (4000 * (turn + 1)) % rows.scrollHeight", "isFilled()"),
        Interaction("choose a row", "rows.querySelectorAll('.list-row')[2 + turn % 6].click()", "!part('.detail').hidden"),
        Interaction("seek", f"player.seek((37.3 * (turn + 1)) % {LENGTH_S})", "isDrawn()"),
        Interaction("switch a lane", "all('.legend button')[turn >> 1].click()", "rows.items !== was.rows"),
        Interaction("hide or show a kind", "all('.filters button')[1].click()", "rows.items !== was.rows"),
        Interaction("zoom the lanes", "zoom(turn)", "lanes.shownS !== was.span"),
        Interaction("another accepted error", "put(slider, (Number(slider.value) + 3) % 8, 'input')", "view.all !== was.all"),
    )),
    Place("people", f"/people?project={PROJECT}", ".person img", _FAR_MS, (
        Interaction("scroll the wall", "scrollTo(0, 6007 * (turn + 1))", "cards() >= wall.columns"),
        Interaction("search as typed", "put(view.search, 'Person 12345'.slice(0, 7 + turn % 5), 'input')", "wall.items !== was.people"),
        Interaction("another order", "put(view.order, ['name', 'time'][turn % 2], 'change')", "wall.items !== was.people"),
    )),
    Place("strangers", f"/strangers?project={PROJECT}", "fr-stranger-stage .candidate", _FAR_MS, (
        Interaction("scroll the list", "rows.scrollTop = turn % 2 ? 0 : 1200", "rows.scrollTop !== was.top && isFilled()"),
        Interaction("read more at its end", "rows.scrollTop = rows.scrollHeight", "rows.items.length > was.rows.length"),
        Interaction("the next one", "view.step(1)", "stage.stranger.stranger !== was.name && stage.candidates.length"),
        Interaction("filter by time", "put(view.filters.least, ['3', '0'][turn % 2], 'change')", "view.sum.textContent !== was.sum"),
    )),
)  # fmt: skip


def main() -> None:
    """Fill a home, and measure."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.service.page",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--tracks", type=int, default=2000, help="in the one video")
    parser.add_argument("--people", type=int, default=5000)
    parser.add_argument("--strangers", type=int, default=20_000)
    args = parser.parse_args()
    say(circumstances())
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        say(fill(home, args.tracks, args.people, args.strangers))
        with running_service(home, with_page=True) as service:
            timings = [timing for place in _PLACES for timing in measure(service, place)]
    tell(timings)
    sys.exit(not all(one.is_within for one in timings))


def measure(service: RunningService, place: Place) -> list[Timing]:
    """Load a view again and again, and then do what there is to do in it, in a browser of its own."""
    with running_chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(_TIMEOUT_MS)
        shown_ms = []
        for _ in range(1 + _LOADS):
            page.goto(f"{service.page}{place.address}", wait_until="commit")
            shown_ms.append(page.evaluate(_FIRST_SHOWN, place.ready))
        timings = [Timing(f"{place.title}: first paint", shown_ms[1:], _PAINT_MS)]
        if place.address.startswith("/video"):
            check_it_plays(page)
        for one in place.interactions:
            taken_ms = []
            for turn in range(_TURNS):
                page.wait_for_timeout(_REST_MS)
                asked = {"parts": _PARTS, "action": one.action, "done": one.done, "turn": turn}
                taken_ms.append(page.evaluate(_TIMED, asked))
            timings.append(Timing(f"{place.title}: {one.what}", taken_ms, place.bound_ms))
        return timings


def check_it_plays(page: Page) -> None:
    """Play some of the video, so that a seek is one in a real file; end the measurement where it stands still."""
    page.wait_for_function("document.querySelector('fr-app').shadowRoot.querySelector('video').readyState >= 2")
    shown = page.evaluate(
        """async () => {
            const {video} = document.querySelector('fr-app').shadowRoot.querySelector('fr-player');
            const before = video.currentTime;
            await video.play();
            await new Promise(resolve => setTimeout(resolve, 2000));
            video.pause();
            return video.currentTime - before;
        }"""
    )
    if shown < 0.5:
        raise SystemExit(f"the video does not play: {shown:.2f} s were shown within 2 s")


def tell(timings: Sequence[Timing]) -> None:
    """Print what was measured beside its bounds."""
    say(f"{'':<36}{'median':>9}{'longest':>9}{'bound':>9}")
    for one in timings:
        broken = "" if one.is_within else "  too slow"
        say(f"{one.what:<36}{one.median_ms:>6.0f} ms{max(one.taken_ms):>6.0f} ms{one.bound_ms:>6.0f} ms{broken}")


if __name__ == "__main__":
    main()

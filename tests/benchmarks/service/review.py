"""What a review costs, in keys and seconds: ``python -m tests.benchmarks.service.review --data DIR [--task names|cleaning]``.

A scripted reviewer who knows every face works on the page, in a real Chromium, over the real service with real networks: first names
everybody of ``friends_scene_A`` from an empty gallery, then cleans an archive of twelve clips, made of probe pictures, in which wrong
and missing names were planted. Every key and every click is counted from the list of videos on, those that lead from view to view
included. The seconds are the machine's; beside them stands what people take by the keystroke-level model of Card, Moran and Newell
(1980): .28 s a key, 1.1 s a click with the way there, 1.35 s to think before each answer.

The command line does the same work as a comparison: the keys of its commands, where a pasted id counts as one.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Locator, Page

from facerec_models.config import LimitsConfig
from facerec_models.images import read_image
from facerec_models.names import identity_of
from facerec_models.types import ImageArray
from facerec_models.vectors import track_embedding
from facerec_models.video_writer import VideoWriter
from serving.archive.handle import open_archive
from serving.settings import Settings
from tests.benchmarks.command import circumstances, say
from tests.benchmarks.pictures import Pictures
from tests.serving.service import RunningService, running_service
from tests.ui.chromium import running_chromium
from ui.client import FacerecClient

_PROJECT = "review"
_COMMANDS = "commands"
_KEY_S, _CLICK_S, _THINK_S = 0.28, 1.1, 1.35
_WRONG, _MISSING = 20, 40
_CLIPS, _SHOTS_OF_CLIP, _SHOT_S, _FPS = 12, 8, 2, 10
_WIDTH, _HEIGHT = 640, 360
_TIMEOUT_MS = 120_000

TrackKey = tuple[str, int]
"""Video and track."""


@dataclass(slots=True)
class Cost:
    """What a review took."""

    keys: int = 0
    clicks: int = 0
    answers: Counter[str] = field(default_factory=Counter)

    def say(self, what: str, seconds: float) -> None:
        """Tell it."""
        human = _KEY_S * self.keys + _CLICK_S * self.clicks + _THINK_S * self.answers.total()
        say(f"{what}: {self.keys} keys, {self.clicks} clicks, {self.answers.total()} answers ({dict(self.answers)})")
        say(f"  {seconds:.1f} s by the machine alone; about {human:.0f} s of a person's time")


class Reviewer:
    """Works on the page as a person would who knows every face."""

    def __init__(self, page: Page, client: FacerecClient, who: dict[TrackKey, str | None]) -> None:
        self.page = page
        self.client = client
        self.who = who
        self.cost = Cost()

    def press(self, key: str) -> None:
        """Press one key."""
        self.cost.keys += 1
        self.page.keyboard.press(key)

    def click(self, target: Locator) -> None:
        """Click once."""
        self.cost.clicks += 1
        target.click()

    def type_name(self, name: str) -> None:
        """Type as much of a name as it takes until Enter gives it."""
        for letter in name:
            self.press(letter)
            self.page.wait_for_timeout(30)
            if self._first_offered() == name:
                break
        self.press("Enter")

    def _first_offered(self) -> str | None:
        options = self.page.get_by_role("option").filter(visible=True)
        first = options.locator("bdi").first
        return first.inner_text() if first.count() else None

    def open_queue(self) -> None:
        """Go to the strangers, by the bar that all views have."""
        self.click(self.page.get_by_role("navigation", name="Views").get_by_role("link", name="Who is this?"))

    def check_names(self) -> None:
        """Put right the names that are in doubt."""
        self.click(self.page.get_by_role("link", name="Check names"))
        before = ""
        while (shown := self._doubt(before)) is not None:
            before = shown["key"]
            person = self.who.get((shown["video"], int(shown["track"])))
            names = {shown["given"]: "n", shown["other"]: "y"}
            key = names.get("" if person is None else identity_of(person), "b")
            self.cost.answers[f"doubt {key}"] += 1
            self.press(key)

    def _doubt(self, before: str) -> dict[str, str] | None:
        """Return what the next card asks; None at the end."""
        shown = self.page.wait_for_function(
            """before => {
                const root = document.querySelector('fr-app')?.shadowRoot;
                if (root?.textContent.includes('No name is in doubt')) return {};
                const card = root?.querySelector('.same');
                if (!card) return null;
                const { searchParams: place } = new URL(card.querySelector('h3 a').href);
                const [given, other] = [...card.querySelectorAll('h2 bdi')].map(one => one.textContent);
                const key = [place.get('video'), place.get('track'), given, other].join();
                return key === before ? null : { key, given, other, video: place.get('video'), track: place.get('track') };
            }""",
            arg=before,
            polling=20,
        ).json_value()
        return shown or None

    def name_all(self) -> None:
        """Settle every stranger of the queue."""
        seen: set[str] = set()
        while (one := self._current(seen)) is not None:
            seen.add(one)
            self._settle(one)
        # What is answered is on its way still.
        self.page.locator(".keeping").wait_for(state="hidden")

    def _current(self, seen: set[str]) -> str | None:
        """Return the next stranger, once who they may be is shown; None at the end."""
        shown = self.page.wait_for_function(
            """seen => {
                const root = document.querySelector('fr-app')?.shadowRoot;
                const stage = root?.querySelector('fr-stranger-stage');
                if (root?.textContent.includes('Nobody is left to name')) return 'end';
                const view = root?.querySelector('fr-strangers-view');
                if (view?.items?.length && !view.cursor && view.items.every(one => seen.includes(one.stranger))) return 'end';
                if (!stage?.stranger || stage.hidden || stage.textContent.includes('Comparing')) return null;
                const id = stage.stranger.stranger;
                return seen.includes(id) ? null : id;
            }""",
            arg=sorted(seen),
            polling=20,
        ).json_value()
        return None if shown == "end" else str(shown)

    def _settle(self, stranger: str) -> None:
        tracks = [
            (str(one["video_id"]), int(one["track_id"])) for one in self.client.stranger(_PROJECT, stranger).tracks
        ]
        people = Counter(self.who.get(key) for key in tracks)
        (person, _), *others = people.most_common()
        if person is None:
            self.cost.answers["skip"] += 1
            self.press("ArrowRight")
        elif others:
            self._settle_group(stranger, tracks, person)
        else:
            self._answer(person)

    def _answer(self, person: str) -> None:
        offered = self.page.evaluate(
            """() => {
                const { candidates } = document.querySelector('fr-app').shadowRoot.querySelector('fr-stranger-stage');
                return candidates.map(one => [one.person_id, one.is_sure]);
            }"""
        )
        names = [name for name, _ in offered]
        if [person, True] in offered:
            self.cost.answers["suggestion"] += 1
            self.press("Enter")
        elif person in names:
            self.cost.answers["candidate"] += 1
            self.press(str(names.index(person) + 1))
        else:
            self.cost.answers["typed"] += 1
            self.type_name(identity_of(person))

    def _settle_group(self, stranger: str, tracks: Sequence[TrackKey], person: str) -> None:
        """Name a whole group but for the odd ones."""
        self.cost.answers["group without odd ones"] += 1
        self.click(self.page.get_by_role("link", name=f"All {len(tracks)} scenes"))
        tiles = self.page.locator("button.group-tile")
        tiles.first.wait_for()
        for i, key in enumerate(tracks):
            if self.who.get(key) != person:
                self.click(tiles.nth(i))
        # After a click on a picture the field has not the focus any more.
        self.press("n")
        self.type_name(identity_of(person))
        self.page.get_by_text(f"is {identity_of(person)}").first.wait_for()
        self.open_queue()


def main() -> None:
    """Measure both tasks."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.service.review", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with gallery/ and videos/")
    parser.add_argument("--task", choices=["names", "cleaning"], nargs="+", default=["names", "cleaning"])
    args = parser.parse_args()
    say(circumstances(args.data))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        if "names" in args.task:
            name_everybody(args.data, home / "names")
        if "cleaning" in args.task:
            clean(args.data, home / "cleaning")


@contextmanager
def reviewing(service: RunningService) -> Iterator[tuple[FacerecClient, Page]]:
    """Open a client and a browser for a service."""
    with FacerecClient(service.url) as client, running_chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(_TIMEOUT_MS)
        yield client, page


def name_everybody(data: Path, home: Path) -> None:
    """Name everybody of one scene, of whom nobody is enrolled: on the page, and by commands."""
    clip = data / "videos" / "friends_scene_A.mp4"
    truth = json.loads(clip.with_suffix(".json").read_bytes())
    with running_service(home, with_page=True) as service, reviewing(service) as (client, page):
        ids = {}
        for project in (_PROJECT, _COMMANDS):
            client.create_project(project)
            job_id, ids[project] = client.submit_video(project, clip)
            client.wait(job_id)
        who = people_of_tracks(data, truth, home, ids[_PROJECT])
        reviewer = Reviewer(page, client, who)
        say(f"{len(who)} faces, {len(client.strangers(_PROJECT))} strangers to name")
        page.goto(f"{service.page}/?project={_PROJECT}")

        def review() -> None:
            reviewer.open_queue()
            reviewer.name_all()

        seconds = timed(review)
        reviewer.cost.say("naming everybody of friends_scene_A", seconds)
        tell_state(client, _PROJECT, who)
        same = {(ids[_COMMANDS], track): person for (_, track), person in who.items()}
        say_commands("naming everybody", name_by_commands(client, same))
        tell_state(client, _COMMANDS, same)


def name_by_commands(client: FacerecClient, who: Mapping[TrackKey, str | None]) -> list[str]:
    """Name every stranger as the command line does; return its commands."""
    commands = ["facerec unknowns list"]
    seen: set[str] = set()
    while left := [one for one in client.strangers(_COMMANDS) if one.stranger not in seen]:
        one = left[0]
        seen.add(one.stranger)
        people = Counter(who.get((str(track["video_id"]), int(track["track_id"]))) for track in one.tracks)
        ((person, _),) = people.most_common(1)
        commands.append("facerec unknowns show ID")
        if person is not None:
            client.name_stranger(_COMMANDS, one.stranger, person)
            commands += [f"facerec unknowns name ID {person}", "facerec unknowns list"]
    return commands


def clean(data: Path, home: Path) -> None:
    """Clean an archive in which wrong and missing names were planted."""
    enrolled = sorted(path for path in (data / "gallery").iterdir() if path.is_dir())
    with running_service(home, with_page=True) as service, reviewing(service) as (client, page):
        client.create_project(_PROJECT)
        for person in enrolled:
            client.add_pictures(_PROJECT, person.name, sorted(person.iterdir()))
        client.wait(client.start_training(_PROJECT))
        videos = []
        with tempfile.TemporaryDirectory() as folder:
            for clip in make_clips(data / "probes", Path(folder)):
                job_id, video_id = client.submit_video(_PROJECT, clip)
                client.wait(job_id)
                videos.append(video_id)
        who = names_of(client, _PROJECT, videos)
        planted = plant(client, who, sorted(path.name for path in enrolled))
        say(
            f"{len(videos)} clips, {len(who)} faces, {sum(map(bool, who.values()))} of them named; {len(planted)} spoilt"
        )
        tell_state(client, _PROJECT, {key: who[key] for key in planted})
        reviewer = Reviewer(page, client, who)
        page.goto(f"{service.page}/?project={_PROJECT}")

        def review() -> None:
            reviewer.open_queue()
            reviewer.check_names()
            reviewer.click(page.get_by_role("link", name="One at a time"))
            reviewer.name_all()

        seconds = timed(review)
        reviewer.cost.say("cleaning", seconds)
        tell_state(client, _PROJECT, {key: who[key] for key in planted})
        tell_state(client, _PROJECT, who)
        say_commands("cleaning", [f"facerec correct ID {track} --is {who[video, track]}" for video, track in planted])


def make_clips(probes: Path, folder: Path) -> Iterator[Path]:
    """Make clips of probe pictures, one a shot, of those who have the most of them."""
    of_person = {path: sorted(path.iterdir()) for path in probes.iterdir()}
    richest = sorted(of_person, key=lambda path: (-len(of_person[path]), path.name))[: 2 * _CLIPS]
    turns = [of_person[path][turn] for turn in range(_CLIPS * _SHOTS_OF_CLIP // len(richest)) for path in richest]
    for number in range(_CLIPS):
        path = folder / f"clip_{number + 1:02}.mp4"
        with VideoWriter(path, _FPS, _WIDTH, _HEIGHT) as writer:
            for picture in turns[number * _SHOTS_OF_CLIP : (number + 1) * _SHOTS_OF_CLIP]:
                image = read_image(picture, LimitsConfig())
                scale = min(_WIDTH / image.shape[1], _HEIGHT / image.shape[0])
                for i in range(_SHOT_S * _FPS):
                    # A slow way in, for no film stands still.
                    writer.write(_window(image, scale * (1 + 0.1 * i / (_SHOT_S * _FPS))))
        yield path


def _window(image: ImageArray, scale: float) -> ImageArray:
    """Return the middle of a picture at a scale, on black."""
    height, width = image.shape[:2]
    place = np.array([[scale, 0, _WIDTH / 2 - scale * width / 2], [0, scale, _HEIGHT / 2 - scale * height / 2]])
    return cv2.warpAffine(image, place, (_WIDTH, _HEIGHT), flags=cv2.INTER_AREA)


def names_of(client: FacerecClient, project: str, videos: Sequence[str]) -> dict[TrackKey, str | None]:
    """Return who each face is named."""
    return {
        (video_id, track): one.person_id
        for video_id in videos
        for one in client.result(project, video_id).appearances
        for track in one.track_ids
    }


def plant(client: FacerecClient, who: Mapping[TrackKey, str | None], enrolled: Sequence[str]) -> list[TrackKey]:
    """Give wrong names to some faces, and take their names from others; return which."""
    rng = np.random.default_rng(0)
    named = [key for key, person in who.items() if person is not None]
    if len(named) < _WRONG + _MISSING:
        raise SystemExit(f"only {len(named)} faces have names: {_WRONG + _MISSING} are needed to be spoilt")
    chosen = [named[i] for i in rng.permutation(len(named))[: _WRONG + _MISSING].tolist()]
    for i, (video_id, track) in enumerate(chosen):
        own = str(who[video_id, track])
        if i < _WRONG:
            others = [person for person in enrolled if person != own]
            client.correct(_PROJECT, video_id, track, "is", others[int(rng.integers(len(others)))])
        else:
            client.correct(_PROJECT, video_id, track, "is_not", own)
    return chosen


def people_of_tracks(data: Path, truth: dict, home: Path, video_id: str) -> dict[TrackKey, str | None]:
    """Return who each track truly is: of the people in view then, who is most like it by pictures that the service never sees."""
    wanted = [person["name"] for person in truth["people"]]
    with tempfile.TemporaryDirectory() as folder:
        for name in wanted:
            (Path(folder) / name).symlink_to(data / "gallery" / name)
        pictures = Pictures().people(Path(folder))
    known = {name: np.stack([one.embedding for one in faces]) for name, faces in pictures.items()}
    in_view = {
        person["name"]: [(one["start"] - 0.5, one["end"] + 0.5) for one in person["intervals"]]
        for person in truth["people"]
    }
    found: dict[TrackKey, str | None] = {}
    with open_archive(Settings(home=home)) as archive:
        scale = archive.pair_scale(str(archive.store.get_project(_PROJECT).embedder))
        row = archive.store.latest_analysis(_PROJECT, video_id)
        for track in archive.store.get_tracks(_PROJECT, [row.analysis_id])[row.analysis_id]:
            there = [
                name
                for name, spans in in_view.items()
                if any(start <= track.end_s and track.start_s <= end for start, end in spans)
            ]
            likeness = {name: float((known[name] @ track_embedding(track)).max()) for name in there}
            best = max(likeness, key=lambda name: likeness[name], default=None)
            is_one = best is not None and scale.probability(np.array([likeness[best]]))[0] >= 0.5
            found[video_id, track.track_id] = best if is_one else None
    return found


def tell_state(client: FacerecClient, project: str, who: Mapping[TrackKey, str | None]) -> None:
    """Say how many faces have their name now."""
    shown = names_of(client, project, sorted({video for video, _ in who}))
    people = [key for key, person in who.items() if person is not None]
    right = sum(shown.get(key) == who[key] for key in people)
    wrong = sum(shown.get(key) not in {None, who[key]} for key in who)
    say(f"  {right} of {len(people)} faces of people have their name, {wrong} another one")


def say_commands(what: str, commands: Sequence[str]) -> None:
    """Tell what the same takes in commands: every character is a key but for ids, which are pasted."""
    keys = sum(len(command.replace("ID", " ")) + 1 for command in commands)
    human = _KEY_S * keys + _THINK_S * len(commands)
    say(f"{what} by commands: {len(commands)} commands, {keys} keys, about {human:.0f} s of a person's time")


def timed(work: Callable[[], None]) -> float:
    """Return the seconds that work took."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()

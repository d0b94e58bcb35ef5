"""A film with people who look alike and whom nobody enrolled, beside clips of others: what one name and one correction change.

By the command and over HTTP, with the real networks: six colleagues of one series in the film, other people in other clips.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from fastapi.testclient import TestClient

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.analysis.reading.video import Video
from facerec_models.config import LimitsConfig
from facerec_models.video_writer import VideoWriter
from serving.settings import Settings
from tests.serving.in_process import in_process, wait
from tests.serving.routes import ok
from tests.ui.command import ask, run

# Parts of the scene in which colleagues are seen from near; and what is analysed of other clips, where these people are enrolled.
_SCENES = ((1.3, 4.7), (7.1, 12.4), (17.9, 21.0), (34.2, 37.5), (51.2, 53.5), (59.8, 63.0))
_PART = (4.0, 7.0)
_CLIPS = {"obama_4s.mp4": "0,2.5", "hamilton_9s.mp4": "2.8,6.5", "herapheri_14s.mp4": "3.5,7.4"}
_ENROLLED = ("Barack_Obama", "Lin-Manuel_Miranda", "Akshay_Kumar", "Sunil_Shetty", "Babu_Bhaiya", "Elon_Musk")
_NEW = "Rachel_Green"


class Door(Protocol):
    """How a user reaches the archive: every answer is the document that is given."""

    def result(self, video_id: str) -> Any: ...

    def table(self, video_id: str) -> str: ...

    def strangers(self) -> Any: ...

    def appearances(self, person: str) -> Any: ...

    def name(self, stranger: str, person: str, *, preview: bool = False) -> Any: ...

    def deny(self, video_id: str, track_id: int, person: str, *, preview: bool = False) -> Any: ...

    def undo(self, number: int, *, preview: bool = False) -> Any: ...

    def analyse_part(self, film: Path, start_s: float, end_s: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Command:
    """The command."""

    home: Path

    def result(self, video_id: str) -> Any:
        return ask(self.home, "export", video_id, "--format", "json")

    def table(self, video_id: str) -> str:
        return run(self.home, "export", video_id, "--format", "csv").stdout

    def strangers(self) -> Any:
        return ask(self.home, "unknowns", "list", "--hidden")

    def appearances(self, person: str) -> Any:
        return ask(self.home, "search", "person", person)

    def name(self, stranger: str, person: str, *, preview: bool = False) -> Any:
        return ask(self.home, "unknowns", "name", stranger, person, *["--preview"] * preview)

    def deny(self, video_id: str, track_id: int, person: str, *, preview: bool = False) -> Any:
        return ask(self.home, "correct", video_id, track_id, "--is-not", person, *["--preview"] * preview)

    def undo(self, number: int, *, preview: bool = False) -> Any:
        return ask(self.home, "history", "undo", number, *["--preview"] * preview)

    def analyse_part(self, film: Path, start_s: float, end_s: float) -> None:
        run(self.home, "recognize", film, "--fragment", f"{start_s},{end_s}")


@dataclass(frozen=True, slots=True)
class Routes:
    """The service, over HTTP."""

    client: TestClient
    base: str = "/v1/projects/default"

    def result(self, video_id: str) -> Any:
        return ok(self.client.get(f"{self.base}/videos/{video_id}/result"))

    def table(self, video_id: str) -> str:
        return self.client.get(f"{self.base}/videos/{video_id}/result.csv").text

    def strangers(self) -> Any:
        return ok(self.client.get(f"{self.base}/strangers", params={"hidden": True}))["items"]

    def appearances(self, person: str) -> Any:
        return ok(self.client.get(f"{self.base}/appearances", params={"person_id": person}))

    def name(self, stranger: str, person: str, *, preview: bool = False) -> Any:
        return self._post(f"strangers/{stranger}/name", preview, json={"person_id": person})

    def deny(self, video_id: str, track_id: int, person: str, *, preview: bool = False) -> Any:
        path = f"videos/{video_id}/tracks/{track_id}/corrections"
        return self._post(path, preview, json={"kind": "is_not", "person_id": person})

    def undo(self, number: int, *, preview: bool = False) -> Any:
        return self._post(f"history/{number}/undo", preview)

    def analyse_part(self, film: Path, start_s: float, end_s: float) -> None:
        sent = ok(self.client.post(f"{self.base}/videos", json={"uri": film.as_uri(), "fragment": [start_s, end_s]}))
        assert wait(self.client, sent["job_id"])["state"] == "succeeded"

    def _post(self, path: str, preview: bool, **content: Any) -> Any:
        return ok(self.client.post(f"{self.base}/{path}", params={"preview": preview}, **content))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A home in which the others are enrolled and all is analysed, the film, and the ids of all videos, the film's first."""

    home: Path
    film: Path
    videos: tuple[str, ...]


def write_film(scene: Path, film: Path) -> None:
    with (
        Video(scene, LimitsConfig()) as video,
        VideoWriter(film, video.info.fps, video.info.width, video.info.height) as writer,
    ):
        for frame in video.frames():
            if any(start_s <= frame.time_s < end_s for start_s, end_s in _SCENES):
                writer.write(frame.to_frame().image)


@pytest.fixture(scope="module")
def prepared(eval_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    root = tmp_path_factory.mktemp("look-alikes")
    home, film, people = root / "home", root / "film.mp4", root / "people"
    for person in _ENROLLED:
        shutil.copytree(eval_data / "gallery" / person, people / person)
    write_film(eval_data / "videos" / "friends_scene_A.mp4", film)
    run(home, "people", "import", people)
    run(home, "train")
    found = [ask(home, "recognize", film)]
    found += [ask(home, "recognize", eval_data / "videos" / name, "--fragment", part) for name, part in _CLIPS.items()]
    return Prepared(home, film, tuple(one["video"]["id"] for one in found))


@contextmanager
def by_command(home: Path, film: Path, detector: MtcnnDetector, embedder: FaceEmbedder) -> Iterator[Door]:
    yield Command(home)


@contextmanager
def over_http(home: Path, film: Path, detector: MtcnnDetector, embedder: FaceEmbedder) -> Iterator[Door]:
    with in_process(Settings(home=home, media_roots=(film.parent,)), detector, embedder) as (client, _):
        yield Routes(client)


@pytest.fixture(params=[by_command, over_http])
def door(
    request: pytest.FixtureRequest, prepared: Prepared, tmp_path: Path, detector: MtcnnDetector, embedder: FaceEmbedder
) -> Iterator[Door]:
    """A door to an archive of the test's own."""
    home = shutil.copytree(prepared.home, tmp_path / "home")
    with request.param(home, prepared.film, detector, embedder) as door:
        yield door


def shown(door: Door, prepared: Prepared) -> dict[str, Any]:
    """Return all that a user sees: results, tables, strangers, and where everybody appears."""
    results = [door.result(video_id) for video_id in prepared.videos]
    for result in results:
        del result["timing"]
    return {
        "results": results,
        "tables": [door.table(video_id) for video_id in prepared.videos],
        "strangers": door.strangers(),
        "search": [door.appearances(person) for person in _ENROLLED],
    }


def owners(door: Door, video_id: str) -> dict[int, str]:
    """Return who each track of a video shows."""
    return {track: one["label"] for one in door.result(video_id)["appearances"] for track in one["track_ids"]}


def counts(change: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in change.items() if name not in {"applied", "edit"}}


def names_of_others(door: Door, prepared: Prepared) -> list[dict[int, str]]:
    return [owners(door, video_id) for video_id in prepared.videos[1:]]


def test_naming_a_stranger_names_none_of_those_who_look_alike(door: Door, prepared: Prepared) -> None:
    film = prepared.videos[0]
    before, was, others = shown(door, prepared), owners(door, film), names_of_others(door, prepared)
    assert {label for found in others for label in found.values()} >= {
        "Barack Obama", "Lin-Manuel Miranda", "Akshay Kumar", "Sunil Shetty", "Babu Bhaiya",
    }  # fmt: skip
    strangers = {one["label"]: one for one in before["strangers"]}
    offered = {label: door.name(one["stranger"], _NEW, preview=True) for label, one in strangers.items()}
    # Of those who are seen in the film alone, one who resembles another one there.
    label = next(
        label
        for label, change in offered.items()
        if label in was.values() and any(one["label"] in was.values() for one in change["perhaps"])
    )
    assert shown(door, prepared) == before
    change = door.name(strangers[label]["stranger"], _NEW)
    assert counts(change) == counts(offered[label])
    perhaps = {one["label"] for one in change["perhaps"]}
    assert label not in perhaps
    now = owners(door, film)
    named = {track for track, who in now.items() if who == "Rachel Green"}
    assert named >= {track for track, who in was.items() if who == label}
    assert {was[track] for track in named if was[track].startswith("Unknown")} == {label}
    assert {track: who for track, who in now.items() if who in strangers} == {
        track: who for track, who in was.items() if who in strangers and who != label
    }
    for clip, then in zip(others, names_of_others(door, prepared), strict=True):
        right = {track: who for track, who in clip.items() if who != "Undecidable"}
        assert {track: then[track] for track in right} == right
    undone = door.undo(change["edit"], preview=True)
    assert counts(door.undo(change["edit"])) == counts(undone)
    assert shown(door, prepared) == before


def test_that_one_track_is_not_a_person_takes_the_name_from_no_other_video(door: Door, prepared: Prepared) -> None:
    film = prepared.videos[0]
    before, was, others = shown(door, prepared), owners(door, film), names_of_others(door, prepared)
    strange = [track for track, who in was.items() if who != "Undecidable"]
    for person in ("Akshay_Kumar", "Barack_Obama"):
        label = person.replace("_", " ")
        track = next((track for track in strange if was[track] == label), strange[0])
        preview = door.deny(film, track, person, preview=True)
        change = door.deny(film, track, person)
        assert counts(change) == counts(preview)
        assert owners(door, film)[track] != label
        assert names_of_others(door, prepared) == others
        door.undo(change["edit"])
        assert shown(door, prepared) == before


def test_a_part_of_the_film_that_is_analysed_later_changes_no_answer(door: Door, prepared: Prepared) -> None:
    before = shown(door, prepared)
    door.analyse_part(prepared.film, *_PART)
    assert shown(door, prepared) == before

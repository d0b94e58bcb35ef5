"""The predecessor's API: what its web client asks for, in its order, and what it reads of the answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import train
from serving.settings import Settings
from serving.sources.config import SourcesConfig
from serving.store.job_rows import JobState
from tests.local_servers import MEMAD, endpoint, folder, running
from tests.serving.in_process import enrol_all, in_process
from tests.serving.routes import bare_routes, problem
from tests.unit.serving.exports.played_videos import write_media
from tests.waiting import wait_until
from ui.demo_material import DemoMaterial

PAGE = "http://localhost:8080"
BASE = "http://127.0.0.1/"
OTHERS = {"Origin": "http://evil.example"}


@pytest.fixture(scope="module")
def served(
    detector: MtcnnDetector, embedder: FaceEmbedder, material: DemoMaterial, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TestClient, Any]]:
    settings = Settings(
        home=tmp_path_factory.mktemp("legacy"),
        legacy_api=True,
        cors_origins=frozenset({PAGE}),
        media_roots=(material.reel.parent,),
    )
    with in_process(settings, detector, embedder) as (client, service):
        enrol_all(client, "shown", material)
        train(service.archive, "shown")
        client.headers["Origin"] = PAGE
        yield client, service


@pytest.fixture
def client(served: tuple[TestClient, Any]) -> TestClient:
    return served[0]


def ask(client: TestClient, path: str, **params: Any) -> Any:
    """Ask as the page does, from another origin, and return the JSON that it may read."""
    answer = client.get(f"/{path}", params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["access-control-allow-origin"] == PAGE
    return answer.json()


def complete(client: TestClient, video: str, **params: Any) -> dict[str, Any]:
    """Poll until a video is complete."""
    found: dict[str, Any] = {}

    def is_over() -> bool:
        nonlocal found
        found = ask(client, "track", video=video, project="shown", speedup=25, **params)
        assert found["status"] in ("RUNNING", "COMPLETE"), found
        return bool(found["status"] == "COMPLETE")

    wait_until(is_over)
    return found


def test_the_first_project_has_people(client: TestClient) -> None:
    client.put("/v1/projects/empty")
    assert ask(client, "projects") == ["shown", "empty"]


def test_pictures_are_shown_disabled_and_enabled(client: TestClient) -> None:
    people = ask(client, "training-set", project="shown")
    assert {person["class"] for person in people} == {"Eileen Collins", "Carphone Man"}
    paths = [path for person in people for path in person["path"]]
    assert all(client.get(BASE + path).headers["content-type"] == "image/jpeg" for path in paths)
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    assert client.options("/disabled/shown", headers=preflight).status_code == 200
    assert ask(client, "disabled/shown") == []
    person = next(one for one in people if len(one["path"]) > 1)
    wanted = [BASE + person["path"][0]]
    assert client.post("/disabled/shown", json=wanted).status_code == 200
    # The page replaces the first "data/" by its base, and compares with the addresses of the pictures that it shows.
    assert [one.replace("data/", BASE, 1) for one in ask(client, "disabled/shown")] == wanted
    assert {one["class"] for one in ask(client, "training-set", project="shown")} == {one["class"] for one in people}
    assert client.post("/disabled/shown", json=["", *wanted]).status_code == 200
    assert client.post("/disabled/shown", json=[""]).status_code == 200
    assert ask(client, "disabled/shown") == []
    assert client.post("/disabled/shown", json=[f"{BASE}training_img_aligned/shown/x/f-none.jpg"]).status_code == 404
    assert client.post("/disabled/shown", json=["elsewhere.jpg"]).status_code == 422
    assert client.post("/disabled/shown", content=b"{").status_code == 422


@pytest.mark.parametrize("body", [200_000 * b"[", b'[{"a": 1}]', b"[1]", b"[null]", b'{"a": 1}', b'"a"', b"\xff", b""])
def test_a_list_of_pictures_that_is_none_is_refused(archive: Archive, body: bytes) -> None:
    with bare_routes(archive, legacy_api=True) as bare:
        assert "JSON list" in problem(bare.post("/disabled/p", content=body), 422)


def test_a_video_is_polled_until_it_is_complete(client: TestClient, material: DemoMaterial) -> None:
    video = material.reel.as_uri()
    assert ask(client, "track", video=video, project="shown", speedup=25)["status"] == "RUNNING"
    found = complete(client, video)
    assert {track["name"] for track in found["tracks"]} == {"Eileen Collins", "Carphone Man"}
    width, height = found["tracks"][0]["frame_size"]
    keys = set()
    for track in found["tracks"] + found["feat_clusters"]:
        box = track["bounding"]
        assert 0 <= track["start_npt"] < track["end_npt"]
        assert min(box["x"], box["y"]) >= 0
        assert box["x"] + box["w"] <= width
        assert box["y"] + box["h"] <= height
        assert track["rect"] == [box["x"], box["y"], box["x"] + box["w"], box["y"] + box["h"]]
        keys.add(f"{track['start_npt']}{track['name']}{track['track_id']}")
    assert len(keys) == len(found["tracks"]) + len(found["feat_clusters"])
    assert all(0 < track["confidence"] <= 1 for track in found["tracks"])
    assert all(one["unknown"] and "confidence" not in one for one in found["feat_clusters"])
    assert all(re.fullmatch(r"Unknown \d+", one["name"]) for one in found["feat_clusters"])
    # By its name, by the address that appearances give, and computed anew.
    assert ask(client, "track", video=material.reel.name, project="shown", speedup=25) == found
    (locator,) = {one["locator"] for one in ask(client, "appearance/Eileen Collins", project="shown")}
    assert urlsplit(locator).scheme
    assert ask(client, "track", video=locator, project="shown", speedup=25) == found
    assert ask(client, "track", video=locator, project="shown", speedup=25, no_cache="true")["status"] == "RUNNING"
    assert complete(client, locator)["tracks"] == found["tracks"]
    triples = client.get("/track", params={"video": locator, "project": "shown", "format": "ttl"})
    assert triples.headers["content-type"].startswith("text/turtle")
    assert "Eileen Collins" in triples.text


def test_a_video_plays_by_its_locator(client: TestClient, material: DemoMaterial) -> None:
    complete(client, material.reel.as_uri())
    address = client.get("/get_locator", params={"video": material.reel.as_uri()}).text
    part = client.get(address, headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, material.reel.read_bytes()[5:10])
    assert client.get("/get_locator", params={"video": "https://example.org/a.mp4"}).text == "https://example.org/a.mp4"
    assert client.get("/get_locator", params={"video": "nowhere"}).status_code == 404
    described = ask(client, "get_metadata", video=material.reel.as_uri())
    assert (described["title"], described["channel"], described["segments"]) == ([], [], [])


def test_what_browsers_do_not_play_is_made_playable(client: TestClient, material: DemoMaterial) -> None:
    film = material.reel.parent / "film.ts"
    write_media(film, "mpeg2video", sound="mp2")
    complete(client, film.name)
    address = client.get("/get_locator", params={"video": film.name}).text
    played = client.get(address, headers={"Range": "bytes=0-11"})
    assert (played.status_code, played.headers["content-type"], played.content[4:8]) == (206, "video/mp4", b"ftyp")
    assert complete(client, address)["locator"] == address


def test_a_video_that_cannot_be_analysed_is_an_error_until_it_is_tried_again(
    client: TestClient, material: DemoMaterial
) -> None:
    address = "http://127.0.0.1:1/gone.mp4"
    assert ask(client, "track", video=address, project="shown")["status"] == "RUNNING"
    answers: list[dict[str, Any]] = []
    wait_until(
        lambda: answers.append(ask(client, "track", video=address, project="shown")) or answers[-1]["status"] == "ERROR"
    )  # type: ignore[func-returns-value]
    assert "127.0.0.1" in answers[-1]["error"]
    assert ask(client, "track", video=address, project="shown", no_cache="true")["status"] == "RUNNING"
    assert client.get("/track", params={"video": "no-such-file.mp4", "project": "shown"}).status_code == 404
    assert client.get("/track", params={"video": "file:///etc/passwd", "project": "shown"}).status_code == 422


def test_people_are_crawled_and_learned_as_jobs(served: tuple[TestClient, Any]) -> None:
    client, service = served
    crawled = client.get("/crawler?q=Ada+Lovelace;Grace+Hopper&project=shown").json()
    assert {"task", "time", "execution_time", "status"} <= crawled.keys()
    jobs = [service.archive.store.get_job(one) for one in crawled["jobs"]]
    assert [job.spec["person_id"] for job in jobs] == ["Ada_Lovelace", "Grace_Hopper"]
    for job in jobs:
        client.post(f"/v1/jobs/{job.job_id}/cancel")
    (trained,) = ask(client, "train/shown")["jobs"]
    assert service.archive.store.get_job(trained).kind == "training"
    client.post(f"/v1/jobs/{trained}/cancel")
    assert client.get("/crawler", params={"q": " ; ", "project": "shown"}).status_code == 422


@pytest.mark.parametrize("path", ["/train/shown", "/crawler?q=Ada", "/track?video=a.mp4&project=shown"])
def test_a_foreign_page_changes_nothing(served: tuple[TestClient, Any], path: str) -> None:
    client, service = served
    before = len(service.archive.store.list_jobs())
    del client.headers["Origin"]
    try:
        for headers in (
            OTHERS,
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Referer": "http://evil.example/page"},
            {"Origin": "http://127.0.0.1:9999"},  # another port is another page
            {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/140"},
            {"Host": "evil.example"},
        ):
            assert client.get(path, headers=headers).status_code == 403, headers
    finally:
        client.headers["Origin"] = PAGE
    assert len(service.archive.store.list_jobs()) == before
    assert all(job.state is not JobState.RUNNING for job in service.archive.store.list_jobs("empty"))


def test_a_catalogue_describes_its_videos_before_and_after_they_are_analysed(
    detector: MtcnnDetector,
    embedder: FaceEmbedder,
    material: DemoMaterial,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uri = "http://data.memad.eu/programme"
    sources = SourcesConfig(graphs=("memad",), private_hosts=frozenset({"127.0.0.1"}))
    settings = Settings(home=tmp_path, legacy_api=True, sources=sources)
    web = running(folder(material.reel.parent))
    with web as files, running(endpoint(MEMAD.replace("{file}", f"{files}/{material.reel.name}"))) as address:
        monkeypatch.setenv("FACEREC_MEMAD_ENDPOINT", address)
        with in_process(settings, detector, embedder) as (client, _):
            client.put("/v1/projects/shown")
            before = client.get("/get_metadata", params={"video": uri}).json()
            assert client.get("/get_locator", params={"video": uri}).text == f"{files}/{material.reel.name}"
            answers: list[dict[str, Any]] = []

            def is_over() -> bool:
                answers.append(client.get("/track", params={"video": uri, "project": "shown"}).json())
                return bool(answers[-1]["status"] != "RUNNING")

            wait_until(is_over)
            monkeypatch.setenv("FACEREC_MEMAD_ENDPOINT", "http://127.0.0.1:1")
            after = client.get("/get_metadata", params={"video": uri}).json()
            played = client.get("/get_locator", params={"video": uri}).text
            assert client.get(played, headers={"Range": "bytes=0-9"}).content == material.reel.read_bytes()[:10]
    assert (answers[-1]["status"], answers[-1]["locator"]) == ("COMPLETE", uri)
    assert before == after
    assert sorted(before["title"]) == ["Le journal", "The news"]
    channel = {"id": "http://data.memad.eu/france2", "name": "France 2"}
    assert (before["channel"], before["genre"], before["theme"]) == ([channel], "News", "Élections")
    assert before["publication"] == [{"date": "2014-05-26T20:00:00", "channel": channel}]
    assert {"label": "Weather", "start": "00:01:00", "end": "00:01:30"} in before["segments"]


def test_nothing_of_it_is_answered_unless_that_is_set(
    detector: MtcnnDetector, embedder: FaceEmbedder, tmp_path: Path
) -> None:
    with in_process(Settings(home=tmp_path), detector, embedder) as (client, _):
        for path in (
            "/projects",
            "/training-set",
            "/train/default",
            "/track?video=a",
            "/crawler?q=a",
            "/disabled/default",
        ):
            assert client.get(path).status_code == 404

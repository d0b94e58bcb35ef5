"""What a line of a batch may call its video, and which error lines have that cannot be queued."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from facerec_models.errors import StoreError
from serving.archive.files import Files
from serving.store.contract import Store
from tests.contract.store_cases import make_video
from tests.serving.routes import ok, problem


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """A folder that the operator opened."""
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


def send(client: TestClient, *media: str) -> list[dict[str, str | None]]:
    lines = [f'"{one}",1,2' for one in media]
    table = "\n".join(["media,start,end", *lines]).encode()
    answer: list[dict[str, str | None]] = ok(
        client.post("/v1/projects/p/batches", files={"file": ("many.csv", table)}, data={"settings": json.dumps({})})
    )
    return answer


def test_a_line_takes_id_name_path_or_address(client: TestClient, clip: Path, media: Path) -> None:
    file = media / "My film é 100%.mp4"
    file.write_bytes(clip.read_bytes())
    by_path, by_address, by_name = send(client, str(file), file.as_uri(), file.name)
    assert by_path["error"] is None
    assert by_path["job_id"] == by_address["job_id"] == by_name["job_id"]
    (by_id,) = send(client, str(by_path["video_id"]))
    assert by_id["job_id"] == by_path["job_id"]


def test_an_upload_is_found_by_the_name_that_it_came_with(client: TestClient, clip: Path) -> None:
    sent = ok(client.post("/v1/projects/p/videos", files={"file": ("holiday.mp4", clip.read_bytes())}))
    (item,) = send(client, "holiday.mp4")
    assert (item["video_id"], item["error"]) == (sent["video_id"], None)


def test_a_name_of_several_videos_is_refused_with_their_ids(client: TestClient, store: Store) -> None:
    for video_id in ("v-a", "v-b"):
        store.put_video(replace(make_video(video_id), name="x.mp4"))
    ambiguous, exact = send(client, "x.mp4", "v-b")
    assert "'x.mp4' is the name of 2 videos of project 'p': give the id of one, v-a, v-b" in str(ambiguous["error"])
    assert (ambiguous["video_id"], ambiguous["job_id"]) == (None, None)
    assert exact["video_id"] == "v-b"


def test_a_path_is_accepted_where_its_address_is(client: TestClient, store: Store, clip: Path, media: Path) -> None:
    outside = media.parent / "outside.mp4"
    outside.write_bytes(clip.read_bytes())
    (media / "link.mp4").symlink_to(outside)
    for path in (str(outside), f"{media}/../outside.mp4", str(media / "link.mp4"), f"{media}x/a.mp4", "/etc/passwd"):
        (item,) = send(client, path)
        assert "FACEREC_MEDIA_ROOTS" in str(item["error"])
        problem(client.post("/v1/projects/p/videos", json={"uri": f"file://{path}"}), 422)
    assert store.list_videos("p") == []


@pytest.mark.parametrize(
    "media",
    ["film.mp4", "a/film.mp4", "./film.mp4", "/nowhere/film.mp4", "file:///nowhere/film.mp4"],
)
def test_a_refused_line_says_what_is_accepted(client: TestClient, media: str) -> None:
    (item,) = send(client, media)
    error = str(item["error"])
    assert repr(media) in error
    assert "give the id or the name of a video of the project, or the path or file:// address" in error
    assert "FACEREC_MEDIA_ROOTS" in error


def test_a_file_that_is_no_video_is_refused_for_what_it_is(client: TestClient, media: Path) -> None:
    (media / "text.mp4").write_text("no video")
    text, missing = send(client, str(media / "text.mp4"), str(media / "none.mp4"))
    assert "text.mp4" in str(text["error"])
    assert "none.mp4" in str(missing["error"])
    assert "FACEREC_MEDIA_ROOTS" not in str(text["error"])


def test_the_error_of_a_line_tells_no_place_of_this_machine(
    client: TestClient, store: Store, home: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put_video(make_video("v-a"))

    def fail(*_: object, **__: object) -> None:
        raise StoreError(f"the store {home.root}/facerec.sqlite3 is in use")

    monkeypatch.setattr(store, "submit_job", fail)
    (item,) = send(client, "v-a")
    assert item["error"] == "many.csv, line 2: the store <home>/facerec.sqlite3 is in use"

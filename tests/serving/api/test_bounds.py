"""What comes in is bounded: forms while they are read, names, numbers and lists, room on the disk; errors tell no places."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections import namedtuple
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from facerec_models.errors import InputError, PlaceError
from facerec_models.names import check_project_name, file_name_of, person_id_of
from facerec_models.video_writer import VideoWriter
from serving.api.ingress.documents import shorten
from serving.archive.handle import Archive
from serving.jobs.runner import JobControl, JobRunner
from serving.settings import Settings
from serving.store import leases
from serving.store.contract import Store
from serving.store.job_rows import Job, JobState
from serving.telemetry.redaction import Redaction
from tests.serving.routes import bare_routes, problem
from tests.waiting import wait_until

VIDEOS, FACES = "/v1/projects/p/videos", "/v1/projects/p/people/Ada/pictures"
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def small(archive: Archive) -> Any:
    limits = {"max_picture_bytes": 1000, "max_pictures_per_request": 2, "max_upload_bytes": 2000}
    with bare_routes(archive, analysis={"limits": limits}) as client:
        yield client


def test_pictures_are_bounded_in_size_and_number(small: TestClient) -> None:
    picture = ("files", ("a.jpg", 1001 * b"x"))
    assert "limits.max_picture_bytes = 1000" in problem(small.post(FACES, files=[picture]), 413)
    search = small.post("/v1/projects/p/search/faces", files={"file": ("a.jpg", 1001 * b"x")})
    assert "limits.max_picture_bytes = 1000" in problem(search, 413)
    tiny = ("files", ("a.jpg", b"x"))
    assert "Too many files" in problem(small.post(FACES, files=[tiny] * 3), 400)
    assert "Too many fields" in problem(small.post(FACES, files=[tiny], data={f"f{n}": "x" for n in range(30)}), 400)


@pytest.mark.parametrize(
    "path", [FACES, "/v1/faces", *(f"/v1/projects/p/{one}" for one in ("search/faces", "batches", "corrections"))]
)
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", ""])
def test_a_form_of_another_kind_is_refused_unread(client: TestClient, path: str, kind: str) -> None:
    answer = client.post(path, content=100_000 * b"&", headers={"Content-Type": kind})
    assert "multipart/form-data" in problem(answer, 422)


def test_an_upload_is_written_once_and_no_further_than_its_bound(
    small: TestClient, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: Any, **__: Any) -> Any:
        raise AssertionError("a second file was made")

    written: list[int] = []
    fsync = tempfile.TemporaryDirectory.cleanup

    def cleanup(folder: Any) -> None:
        written.extend(file.stat().st_size for file in Path(folder.name).iterdir())
        fsync(folder)

    monkeypatch.setattr(tempfile.TemporaryDirectory, "cleanup", cleanup)
    monkeypatch.setattr(shutil, "copyfileobj", none)
    answer = small.post(VIDEOS, files={"file": ("a.mp4", 300_000 * b"x")})
    assert "limits.max_upload_bytes = 2000" in problem(answer, 413)
    assert max(written) <= 2000
    assert list(archive.files.uploads.iterdir()) == []


def test_nothing_is_taken_when_the_disk_is_nearly_full(
    client: TestClient, store: Store, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 0, 2**30 - 1))
    detail = problem(client.post(VIDEOS, files={"file": ("a.mp4", clip.read_bytes())}), 507)
    assert "FACEREC_KEEPING__MIN_FREE_BYTES" in detail
    for path, content in (
        (VIDEOS, {"json": {"uri": clip.as_uri()}}),
        ("/v1/projects/p/training", {}),
        ("/v1/projects/p/identify", {}),
        ("/v1/projects/p/people/Ada/crawl", {"json": {}}),
        ("/v1/projects/p/batches", {"files": {"file": ("a.csv", b"media\n")}}),
        (FACES, {"files": {"files": ("a.jpg", b"x")}}),
    ):
        problem(client.post(path, **content), 507)  # type: ignore[arg-type]
    assert store.list_jobs() == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 0, 2**31))
    assert client.post("/v1/projects/p/training").status_code == 202


def test_jobs_wait_for_room_and_say_so(client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = client.post("/v1/projects/p/training").json()["job_id"]
    assert client.get(f"/v1/jobs/{job_id}").json()["error"] is None
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 0, 2**20))
    assert "the disk of the archive is full" in client.get(f"/v1/jobs/{job_id}").json()["error"]
    assert "the disk of the archive is full" in client.get("/v1/jobs").json()[0]["error"]
    room: list[int] = []
    done: list[str] = []

    def work(job: Job, _: JobControl) -> None:
        done.append(job.job_id)

    runner = JobRunner(store, {"training": work}, slots=1, poll_s=0.02, has_room=lambda: bool(room))
    runner.start()
    try:
        time.sleep(0.5)  # many polls
        assert store.get_job(job_id).state is JobState.QUEUED
        room.append(1)
        wait_until(lambda: store.get_job(job_id).state is JobState.SUCCEEDED)
    finally:
        runner.stop()
    assert done == [job_id]


def test_a_job_that_meets_a_full_disk_says_so_and_fails_in_the_end(client: TestClient, store: Store) -> None:
    job_id = client.post("/v1/projects/p/training").json()["job_id"]

    def work(job: Job, _: JobControl) -> None:
        raise PlaceError("the folder cannot be written (No space left on device): make room")

    runner = JobRunner(store, {"training": work}, pauses_s=(0.0, 0.0))
    seen = []
    while (claimed := leases.claim(store, ["training"], runner.name, 15.0)) is not None:
        runner.do(claimed)
        seen.append((store.get_job(job_id).state, store.get_job(job_id).error))
    assert [state for state, _ in seen] == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED]
    assert all("No space left" in str(error) for _, error in seen)


@pytest.mark.parametrize(
    ("method", "path", "reason"),
    [
        ("GET", "/v1/projects/p/videos/v/crops/a/" + "7" * 400 + "/0.jpg", "400 digits"),
        ("GET", "/v1/projects/p/videos/v/crops/a/1/" + "7" * 400 + ".jpg", "400 digits"),
        ("POST", "/v1/projects/p/history/" + "7" * 30 + "/undo", "30 digits"),
        ("GET", "/v1/projects/p/videos/v/playback?stream=" + "7" * 30, "30 digits"),
        ("GET", "/v1/projects/p/appearances?" + "person_id=x&" * 30, "30 times"),
        ("GET", "/v1/projects/p/export?format=csv&" + "video=x&" * 600, "600 times"),
        ("GET", "/v1/projects/p/appearances?person_id=a%00b", "control"),
        ("GET", "/v1/projects/p/strangers/a%E2%80%AEb", "control"),
        ("GET", "/v1/jobs?after=" + "x" * 3000, "3000 characters"),
    ],
)
def test_addresses_have_bounded_values(client: TestClient, method: str, path: str, reason: str) -> None:
    assert reason in problem(client.request(method, path), 422)


@pytest.mark.parametrize("name", ["a\u202eb", "a\u200fb", "a\u2028b", "a\u00adb", "x" * 300, "é" * 150])
def test_people_have_visible_names_of_bounded_length(client: TestClient, name: str) -> None:
    with pytest.raises(InputError):
        person_id_of(name)
    given = {"person_id": name}
    problem(client.post("/v1/projects/p/strangers/1/name", json=given), 422)
    problem(client.post("/v1/projects/p/people/Ada/rename", json=given), 422)


def test_names_of_some_scripts_need_what_does_not_show() -> None:
    assert person_id_of("می\u200cرود") == "می\u200cرود"
    assert file_name_of("e\u0301\u202eb\n.mp4", "video") == "éb.mp4"


@pytest.mark.parametrize("name", ["con", "NUL", "com1.x", "a."])
def test_projects_are_folders_on_every_system(client: TestClient, name: str) -> None:
    with pytest.raises(InputError):
        check_project_name(name)
    problem(client.put(f"/v1/projects/{name}"), 422)


def test_projects_differ_by_more_than_case(client: TestClient) -> None:
    assert "there is a project 'p'" in problem(client.put("/v1/projects/P"), 409)
    assert client.put("/v1/projects/p").status_code == 201


def test_an_archive_holds_so_many(archive: Archive) -> None:
    with bare_routes(archive, keeping={"max_projects": 1, "max_pictures": 1}) as client:
        assert "1 projects" in problem(client.put("/v1/projects/q"), 409)
        files = [("files", ("a.jpg", b"x")), ("files", ("b.jpg", b"y"))]
        assert "pictures of this person" in problem(client.post(FACES, files=files), 409)


def test_what_is_echoed_is_short(client: TestClient) -> None:
    for body in ({"uri": "x" * 100_000}, {"k" * 100_000: 1}, {"uri": "file:///" + "a b " * 5000}):
        answer = client.post(VIDEOS, json=body)
        problem(answer, 422)
        assert len(answer.content) < 600
    assert len(shorten("x" * 10**7)) < 250
    assert len(shorten(" ".join(["word"] * 10**6))) < 2100


def test_errors_name_no_place_and_no_address(client: TestClient, archive: Archive) -> None:
    settings = Settings(home=archive.files.root, store=SecretStr("mongodb://me:secret@db.internal:27017/faces"))
    redact = Redaction.of(settings).redact
    text = f"{archive.files.root}/weights/a.pt and mongodb://me:secret@db.internal:27017/faces, db.internal:27017, {json.__file__}"
    assert str(archive.files.root) not in redact(text)
    assert "me:secret" not in redact(text)
    assert "db.internal" not in redact(text)
    detail = problem(client.post("/v1/projects/p/embedder/prepare", json={"embedder": "facenet-vggface2"}), 422)
    assert str(archive.files.root) not in detail


@pytest.mark.expects_errors
def test_what_is_unexpected_is_answered_with_a_fixed_sentence(
    client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise ZeroDivisionError("secret /root/place")

    monkeypatch.setattr(type(store), "list_projects", fail)
    answer = client.get("/v1/projects", headers={"X-Request-ID": "r-1"})
    detail = problem(answer, 500)
    assert "r-1" in detail
    assert "secret" not in answer.text
    assert "Zero" not in answer.text


def test_every_error_is_declared(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            declared = set(route["responses"])
            assert {"400", "401", "403", "404", "409", "422", "429", "503"} <= declared, (method, path)
            assert method == "get" or {"413", "507"} <= declared, (method, path)
    assert document["components"]["responses"]["Problem413"]["content"].keys() == {"application/problem+json"}
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_what_has_no_route_is_a_document_too(client: TestClient) -> None:
    problem(client.get("/nothing"), 404)
    problem(client.delete("/v1/projects/p/people"), 405)


def test_a_file_has_no_more_tracks_than_are_allowed(archive: Archive, clip: Path) -> None:
    with av.open(str(clip)) as opened:
        count = len(opened.streams)
    with bare_routes(archive, analysis={"limits": {"max_streams": count}}) as client:
        assert client.post(VIDEOS, files={"file": ("a.mp4", clip.read_bytes())}).status_code == 202
    many = archive.files.root / "many.mkv"
    with av.open(str(many), "w") as target:
        streams = [target.add_stream("libx264", rate=10) for _ in range(count + 1)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for stream in streams:
            target.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
            target.mux(stream.encode(None))
    with bare_routes(archive, analysis={"limits": {"max_streams": count}}) as client:
        answer = client.post(VIDEOS, files={"file": ("a.mkv", many.read_bytes())})
    assert "limits.max_streams" in problem(answer, 413)


def test_a_gap_that_a_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    with VideoWriter(tmp_path / "a.mp4", 10, 64, 48) as writer:
        writer.write(picture, 0.0)
        with pytest.raises(InputError, match="80000 s pass"):
            writer.write(picture, 80_000.0)

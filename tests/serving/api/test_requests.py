"""What clients may send by mistake or malice: the answer is a problem document, never a traceback, and nothing is left behind."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from facerec_models.files import write_atomically
from serving.archive.handle import Archive
from serving.store import leases
from serving.store.contract import Store
from serving.store.job_rows import JobState
from serving.store.rows import Face, FaceStatus
from tests.serving.routes import identified, problem

VIDEOS = "/v1/projects/p/videos"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[1]", b"{}", b'{"uri": 7}', b'{"uri": "file:///a", "more": 1}', b"[" * 100_000]
)
def test_a_body_that_is_no_request_is_refused(client: TestClient, body: bytes) -> None:
    problem(client.post(VIDEOS, content=body, headers={"Content-Type": "application/json"}), 422)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/projects/p/faces/..%2F..%2Ffacerec.sqlite3.jpg", 404),
        ("/v1/projects/p/faces/a%00b.jpg", 422),
        ("/v1/projects/p/faces/..jpg", 422),
        ("/v1/projects/p/faces/" + "a" * 5000 + ".jpg", 422),
        ("/v1/projects/..%2Fx/people", 404),
        ("/v1/projects/.../people", 422),
        ("/v1/projects/p%0A/people", 422),
        ("/v1/projects/" + "a" * 65 + "/people", 422),
        ("/v1/projects/p/people/%00", 422),
        ("/v1/projects/p/videos/%2e%2e/file", 404),
        ("/v1/projects/p/videos/v/crops/..%2F..%2Fx/1/0.jpg", 404),
        ("/v1/projects/p/videos/v/crops/a/x/0.jpg", 422),
        ("/v1/jobs/..%2F..", 404),
        ("/v1/jobs/none/events", 404),
        ("/v1/jobs?state=odd", 422),
        ("/v1/jobs?project=nobody", 404),
        ("/nothing", 404),
    ],
)
def test_paths_lead_nowhere_else(client: TestClient, path: str, status: int) -> None:
    problem(client.get(path), status)


def test_a_person_is_found_however_the_name_is_written(client: TestClient, store: Store) -> None:
    face = Face(
        face_id="f-1",
        project="p",
        person_id="Zoë_Kravitz",
        path="Zoë_Kravitz/1.jpg",
        sha256="0" * 64,
        status=FaceStatus.REFUSED,
        reason="no face",
        quality=0.0,
        embedder="e",
        embedding=None,
        crop=None,
        created_at=1.0,
    )
    store.put_faces("p", [face])
    for name in ("Zoë_Kravitz", "Zoë Kravitz", unicodedata.normalize("NFD", "Zoë_Kravitz")):
        (picture,) = client.get(f"/v1/projects/p/people/{quote(name)}").json()
        assert picture["person_id"] == "Zoë_Kravitz"
    assert "'Zoe_Kravitz'" in problem(client.get("/v1/projects/p/people/Zoe Kravitz"), 404)


def test_deleting_a_project_keeps_files_of_its_new_namesake(
    client: TestClient, archive: Archive, store: Store, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crop = archive.files.face_crop("p", "f")
    original = store.delete_project

    def create_again(name: str) -> None:
        original(name)
        store.create_project(name)
        write_atomically(crop, b"new")

    monkeypatch.setattr(store, "delete_project", create_again)
    write_atomically(crop, b"old")
    assert client.delete("/v1/projects/p").status_code == 204
    assert crop.read_bytes() == b"new"


def test_a_person_is_no_path(client: TestClient) -> None:
    for person in ("%2e%2e", "a:b", "%00", "%20"):
        problem(client.post(f"/v1/projects/p/people/{person}/pictures", files={"files": ("a.jpg", b"x")}), 422)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "[::1"},
        {"Host": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://[::1"},
        {"Origin": "file://"},
    ],
)
def test_other_hosts_and_pages_are_refused(client: TestClient, store: Store, headers: dict[str, str]) -> None:
    problem(client.put("/v1/projects/theirs", headers=headers), 403)
    assert [project.name for project in store.list_projects()] == ["p"]


@pytest.mark.parametrize(
    "headers", [{}, {"Host": "localhost:8000"}, {"Host": "[::1]:8000"}, {"Origin": "http://localhost:7860"}]
)
def test_requests_of_this_machine_are_answered(client: TestClient, headers: dict[str, str]) -> None:
    assert client.get("/v1/projects", headers=headers).status_code == 200


def test_without_a_model_nothing_is_named(client: TestClient, archive: Archive) -> None:
    assert "train" in problem(client.post("/v1/projects/p/faces", files={"files": ("a.jpg", b"x")}), 404)
    change = identified(client, archive)
    assert (change["people"], change["tracks"]) == ({}, 0)
    problem(client.post("/v1/projects/p/models/m-none/promote"), 404)
    assert client.get("/v1/projects/p/models").json() == []


def test_forms_that_are_none_are_refused(client: TestClient) -> None:
    problem(client.post(VIDEOS, data={"settings": "{}"}), 422)
    problem(client.post(VIDEOS, content=b"x"), 422)
    problem(client.post(VIDEOS, content=b"x", headers={"Content-Type": "multipart/form-data"}), 400)
    problem(client.delete(VIDEOS), 405)
    problem(client.patch("/v1/projects/p/faces", json={"face_ids": "all", "enabled": True}), 422)
    problem(client.patch("/v1/projects/p/faces", json={"face_ids": [], "enabled": True}), 422)
    problem(client.patch("/v1/projects/p/faces", json={"face_ids": ["../x"], "enabled": True}), 404)


def test_events_show_every_change_and_end(client: TestClient, store: Store, clip: Path) -> None:
    job_id = client.post(VIDEOS, files={"file": ("a.mp4", clip.read_bytes())}).json()["job_id"]
    assert client.get(f"/v1/jobs/{job_id}").json()["state"] == "queued"
    assert [job["job_id"] for job in client.get("/v1/jobs?state=queued").json()] == [job_id]
    mine = leases.claim(store, ["video"], "runner", 60)
    assert mine is not None
    leases.renew(store, mine, 60, 0.4)
    leases.finish(store, mine, JobState.FAILED, error="the disk is full")
    blocks = [block.split("\n") for block in client.get(f"/v1/jobs/{job_id}/events").text.strip().split("\n\n")]
    assert [lines[0] for lines in blocks] == ["event: job", "event: end"]
    views = [json.loads(lines[1].removeprefix("data: ")) for lines in blocks]
    assert views[0] == views[1] == client.get(f"/v1/jobs/{job_id}").json()
    assert (views[0]["state"], views[0]["progress"], views[0]["error"]) == ("failed", 0.4, "the disk is full")
    assert client.post(f"/v1/jobs/{job_id}/cancel").json()["state"] == "failed"


def test_the_interface_describes_itself(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    bodies = document["paths"]["/v1/projects/{project}/videos"]["post"]["requestBody"]["content"]
    assert set(bodies) == {"multipart/form-data", "application/json"}
    assert document["paths"]["/v1/projects/{project}/videos/{video_id}/result"]["get"]["responses"]["200"]["content"]
    operations = [o for path in document["paths"].values() for o in path.values()]
    assert all(operation.get("summary") for operation in operations)

"""Deleting a video over HTTP."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient

from serving.archive.handle import Archive
from serving.store.contract import Store
from tests.archive import fill
from tests.serving.routes import ok, problem


def test_a_deleted_video_is_gone_with_its_upload(
    client: TestClient, archive: Archive, store: Store, clip: Path
) -> None:
    content = clip.read_bytes()
    sent = ok(client.post("/v1/projects/p/videos", files={"file": ("a.mp4", content)}))
    address = f"/v1/projects/p/videos/{sent['video_id']}"
    receipt = ok(client.delete(address))
    assert (receipt["name"], receipt["jobs_cancelled"], receipt["upload_removed"]) == ("a.mp4", 1, True)
    assert list(archive.files.uploads.iterdir()) == []
    assert store.list_videos("p") == []
    problem(client.get(address), 404)
    assert "no video" in problem(client.delete(address), 404)
    problem(client.delete("/v1/projects/none/videos/v-1"), 404)
    again = ok(client.post("/v1/projects/p/videos", files={"file": ("a.mp4", content)}))
    assert again["job_id"] != sent["job_id"]


def test_a_job_whose_video_was_deleted_is_not_tried_again(client: TestClient, clip: Path) -> None:
    sent = ok(client.post("/v1/projects/p/videos", files={"file": ("a.mp4", clip.read_bytes())}))
    ok(client.delete(f"/v1/projects/p/videos/{sent['video_id']}"))
    assert ok(client.get(f"/v1/jobs/{sent['job_id']}"))["state"] == "cancelled"
    assert "its video was deleted" in problem(client.post(f"/v1/jobs/{sent['job_id']}/retry"), 409)


def test_a_search_finds_nothing_of_a_deleted_video(client: TestClient, archive: Archive) -> None:
    fill(archive)
    receipt = ok(client.delete("/v1/projects/p/videos/v-1"))
    assert (receipt["analyses"], receipt["crops"], receipt["upload_removed"]) == (1, 8, False)
    found = ok(client.get("/v1/projects/p/appearances", params={"person_id": "Bob"}))["items"]
    assert [item["video_id"] for item in found] == ["v-2"]
    problem(client.get("/v1/projects/p/videos/v-1/crops/a-v-1/1/0.jpg"), 404)

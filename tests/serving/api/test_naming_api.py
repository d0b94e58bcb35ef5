"""Edits of people and strangers over HTTP: the routes over a small archive, without Ray."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from serving.archive.handle import Archive
from tests.archive import fill
from tests.serving.routes import ok, problem

BASE = "/v1/projects/p"


@pytest.fixture
def archive(archive: Archive) -> Archive:
    """The archive with two named videos in it."""
    fill(archive)
    return archive


def as_previewed(client: TestClient, method: str, address: str, body: dict[str, Any] | None = None) -> Any:
    """Preview an edit, apply exactly that, and see that the same is refused afterwards."""
    preview = ok(client.request(method, f"{BASE}/{address}", json=body, params={"preview": True}))
    assert (preview["applied"], preview["edit"]) == (False, None)
    expected = {"expect": preview["version"]}
    applied = ok(client.request(method, f"{BASE}/{address}", json=body, params=expected))
    assert applied == {**preview, "applied": True, "edit": applied["edit"]}
    assert "preview again" in problem(client.request(method, f"{BASE}/{address}", json=body, params=expected), 409)
    return applied


def labels(client: TestClient, **query: Any) -> list[str]:
    return [item["label"] for item in ok(client.get(f"{BASE}/appearances", params=query))["items"]]


def test_a_person_is_renamed(client: TestClient) -> None:
    change = as_previewed(client, "POST", "people/Ann Lee/rename", {"person_id": "Ada Lee"})
    assert change["people"]["Ada_Lee"]["tracks_added"] == 2
    assert change["changed_videos"] == 2
    assert labels(client, person_id="Ada_Lee") == ["Ada Lee", "Ada Lee"]
    ok(client.post(f"{BASE}/history/{change['edit']}/undo"))
    assert labels(client, person_id="Ann_Lee") == ["Ann Lee", "Ann Lee"]
    assert "merge" in problem(client.post(f"{BASE}/people/Bob/rename", json={"person_id": "Ann_Lee"}), 409)
    problem(client.post(f"{BASE}/people/Nobody/rename", json={"person_id": "Ada"}), 404)
    problem(client.post(f"{BASE}/people/Bob/rename", json={"person_id": "a/b"}), 422)


def test_people_are_merged(client: TestClient) -> None:
    as_previewed(client, "POST", "people/Ann_Lee/merge", {"person_id": "Bob"})
    assert [one["person_id"] for one in ok(client.get(f"{BASE}/people"))] == ["Bob"]
    problem(client.post(f"{BASE}/people/Bob/merge", json={"person_id": "Ann_Lee"}), 404)


def test_faces_are_disabled(client: TestClient) -> None:
    faces = [one["face_id"] for one in ok(client.get(f"{BASE}/people/Ann_Lee"))]
    change = as_previewed(client, "PATCH", "faces", {"face_ids": faces, "enabled": False})
    assert change["changed_videos"] == 2
    assert change["people"]["Ann_Lee"]["removed"] == 2
    assert labels(client, person_id="Ann_Lee") == []


def test_screen_times_are_those_of_all_videos(client: TestClient) -> None:
    times = {one["person_id"]: one for one in ok(client.get(f"{BASE}/screen-times"))}
    for person_id, one in times.items():
        found = ok(client.get(f"{BASE}/appearances", params={"person_id": person_id}))["items"]
        assert one["screen_time_s"] == pytest.approx(sum(item["end_s"] - item["start_s"] for item in found))
        assert one["videos"] == len({item["video_id"] for item in found}) == 2
        assert ok(client.get(f"{BASE}/screen-times", params={"person_id": person_id})) == [one]
    assert "Ann_Lee" in times
    problem(client.get("/v1/projects/absent/screen-times"), 404)


def test_the_best_face_of_a_person_is_shown(client: TestClient, archive: Archive) -> None:
    one, other = archive.store.list_faces("p", person_id="Ann_Lee")[:2]
    crops = archive.files.face_crop("p", one.face_id), archive.files.face_crop("p", other.face_id)
    for path, data in zip(crops, (b"one", b"other"), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    archive.store.put_faces(
        "p", [replace(one, quality=0.8, crop="one.jpg"), replace(other, quality=0.9, crop="other.jpg")]
    )
    assert client.get(f"{BASE}/people/Ann Lee/face.jpg").content == b"other"
    ok(client.patch(f"{BASE}/faces", json={"face_ids": [other.face_id], "enabled": False}))
    assert client.get(f"{BASE}/people/Ann Lee/face.jpg").content == b"one"
    problem(client.get(f"{BASE}/people/Nobody/face.jpg"), 404)


def test_outliers_are_proposed_until_a_user_decides(client: TestClient, archive: Archive) -> None:
    assert ok(client.get(f"{BASE}/people/Ann_Lee/outliers")) == []
    faces = archive.store.list_faces("p", person_id="Ann_Lee")
    stray = archive.store.list_faces("p", person_id="Bob")[0].embedding
    archive.store.put_faces("p", [replace(faces[0], embedding=stray)])
    (proposed,) = ok(client.get(f"{BASE}/people/Ann_Lee/outliers"))
    assert (proposed["face_id"], proposed["enabled"]) == (faces[0].face_id, False)
    assert proposed["reason"]
    assert archive.store.list_faces("p", person_id="Ann_Lee")[0].status == "taken"
    ok(client.patch(f"{BASE}/faces", json={"face_ids": [faces[0].face_id], "enabled": False}))
    assert ok(client.get(f"{BASE}/people/Ann_Lee/outliers")) == []
    problem(client.get(f"{BASE}/people/Nobody/outliers"), 404)


def test_strangers_are_merged_and_taken_apart(client: TestClient) -> None:
    as_previewed(client, "POST", "strangers/Unknown 2/merge", {"stranger": "Unknown 1"})
    (item,) = ok(client.get(f"{BASE}/strangers"))["items"]
    assert (item["label"], item["track_count"]) == ("Unknown 1", 4)
    assert ok(client.get(f"{BASE}/strangers/2"))["stranger"] == item["stranger"]
    assert labels(client, person_id="Unknown 2") == ["Unknown 1"] * 4
    problem(client.post(f"{BASE}/strangers/2/merge", json={"stranger": "1"}), 409)
    problem(client.post(f"{BASE}/strangers/2/merge", json={"stranger": "9"}), 404)
    as_previewed(client, "POST", "strangers/2/unmerge")
    assert labels(client, person_id="Unknown 2") == ["Unknown 2", "Unknown 2"]
    problem(client.post(f"{BASE}/strangers/2/unmerge"), 409)

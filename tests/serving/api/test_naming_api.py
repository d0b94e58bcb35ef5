"""Edits of people and strangers over HTTP: the routes over a small archive, without Ray."""

from __future__ import annotations

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
    assert change["people"]["Ann_Lee"]["removed"] == 2
    assert labels(client, person_id="Ann_Lee") == []


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

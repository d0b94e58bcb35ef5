"""What a reviewer of strangers asks and answers over HTTP: the routes over a small archive, without Ray."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from serving.archive.handle import Archive
from serving.archive.naming.one_video import assign_current
from tests.archive import fill, put_tracks
from tests.builders import face_of, make_track, near
from tests.serving.routes import ok, problem

BASE = "/v1/projects/p"


@pytest.fixture
def archive(archive: Archive) -> Archive:
    """The archive with two named videos in it."""
    fill(archive)
    return archive


def strangers(client: TestClient, **query: Any) -> list[Any]:
    items: list[Any] = ok(client.get(f"{BASE}/strangers", params=query))["items"]
    return items


def put_face(archive: Archive, number: int, face: Any, *, start_s: float = 1.0) -> None:
    """Store a video in which one face is seen, and name it."""
    track = make_track(1, [start_s, start_s + 1], embeddings=np.stack([face, face]))
    track = replace(track, scores=np.ones(2, np.float32))
    assign_current(archive, put_tracks(archive, f"v-{number}", number, [track]))


def test_strangers_are_listed_from_a_screen_time_on(client: TestClient) -> None:
    page = ok(client.get(f"{BASE}/strangers", params={"limit": 1}))
    assert (len(page["items"]), page["total"]) == (1, 2)
    (first,) = page["items"]
    assert {one["pictures"] for one in first["tracks"]} == {2}
    assert len(strangers(client, min_screen_time_s=first["screen_time_s"])) == 2
    assert strangers(client, min_screen_time_s=first["screen_time_s"] + 0.1) == []
    rest = ok(client.get(f"{BASE}/strangers", params={"limit": 1, "cursor": page["next_cursor"]}))
    assert (len(rest["items"]), rest["next_cursor"], rest["total"]) == (1, None, 2)
    problem(client.get(f"{BASE}/strangers", params={"min_screen_time_s": 1, "cursor": page["next_cursor"]}), 422)
    assert [len(one["tracks"]) for one in strangers(client, shown=1)] == [1, 1]


def test_the_nearest_people_of_a_stranger_come_first(client: TestClient, archive: Archive) -> None:
    put_face(archive, 3, near(face_of(1), 0.85))
    (found,) = strangers(client, video_id="v-3")
    people = ok(client.get(f"{BASE}/strangers/{found['stranger']}/candidates"))
    assert [one["person_id"] for one in people] == ["Ann_Lee", "Bob"]
    assert people[0]["probability"] > people[1]["probability"]
    assert people[0]["picture"].startswith(f"{BASE}/faces/f-1")
    ok(client.post(f"{BASE}/strangers/{found['stranger']}/different", json={"other": "Ann Lee"}))
    assert [one["person_id"] for one in ok(client.get(f"{BASE}/strangers/{found['stranger']}/candidates"))] == ["Bob"]
    problem(client.get(f"{BASE}/strangers/9/candidates"), 404)


def test_a_stranger_is_named_without_the_odd_ones(client: TestClient) -> None:
    first, second = strangers(client)
    odd = {"video_id": first["tracks"][0]["video_id"], "track_id": first["tracks"][0]["track_id"]}
    name = f"{BASE}/strangers/{first['stranger']}/name"
    everyone = [{"video_id": one["video_id"], "track_id": one["track_id"]} for one in first["tracks"]]
    problem(client.post(name, json={"person_id": "Cem", "without": everyone}), 422)
    foreign = {"video_id": "v-1", "track_id": second["tracks"][0]["track_id"]}
    problem(client.post(name, json={"person_id": "Cem", "without": [foreign]}), 422)
    change = ok(client.post(name, json={"person_id": "Cem", "without": [odd]}))
    assert change["people"]["Cem"]["tracks_added"] == 1
    left = ok(client.get(f"{BASE}/strangers/{first['stranger']}"))
    assert [(one["video_id"], one["track_id"]) for one in left["tracks"]] == [tuple(odd.values())]
    ok(client.post(f"{BASE}/history/{change['edit']}/undo"))
    assert ok(client.get(f"{BASE}/strangers/{first['stranger']}"))["track_count"] == 2


def test_several_strangers_are_named_and_hidden_at_once(client: TestClient) -> None:
    both = [one["stranger"] for one in strangers(client)]
    hidden = ok(client.post(f"{BASE}/strangers/hide", json={"strangers": both}))
    assert strangers(client) == []
    problem(client.post(f"{BASE}/strangers/hide", json={"strangers": both}), 409)
    ok(client.post(f"{BASE}/strangers/hide", params={"no_longer": True}, json={"strangers": both[:1]}))
    assert len(strangers(client)) == 1
    assert ok(client.post(f"{BASE}/history/{hidden['edit'] + 1}/undo"))
    assert ok(client.post(f"{BASE}/history/{hidden['edit']}/undo"))
    change = ok(client.post(f"{BASE}/strangers/name", json={"strangers": both, "person_id": "Cem"}))
    assert change["people"]["Cem"]["tracks_added"] == 4
    assert strangers(client) == []
    ok(client.post(f"{BASE}/history/{change['edit']}/undo"))
    assert [one["stranger"] for one in strangers(client)] == both


def pairs(client: TestClient) -> list[tuple[str, str]]:
    page = ok(client.get(f"{BASE}/same-person"))
    assert page["next_cursor"] is None
    return [
        (one["stranger"]["label"], one["other"]["label"] if one["other"] else one["person"]["person_id"])
        for one in page["items"]
    ]


def test_those_who_are_alike_are_asked_about_until_they_are_told_apart(client: TestClient, archive: Archive) -> None:
    assert pairs(client) == []
    # Alike, and not enough for the grouping to make them one.
    mean = np.sum([face_of(7, 30 + at) for at in (0, 1, 10, 11)], axis=0)
    put_face(archive, 3, near(mean / np.linalg.norm(mean), 0.947))
    ((one, other),) = pairs(client)
    assert {one, other} == {"Unknown 1", "Unknown 3"}
    change = ok(client.post(f"{BASE}/strangers/{one}/different", json={"other": other}))
    assert pairs(client) == []
    assert len(strangers(client)) == 3
    ok(client.post(f"{BASE}/history/{change['edit']}/undo"))
    assert pairs(client) == [(one, other)]
    ok(client.post(f"{BASE}/strangers/{other}/different", json={"other": one}))
    assert pairs(client) == []


def test_those_who_are_in_view_together_are_two(client: TestClient, archive: Archive) -> None:
    faces = [face_of(30), near(face_of(30), 0.945)]
    tracks = [
        make_track(i, [1.0, 2.0], embeddings=np.stack([face, face]), x=200.0 * i) for i, face in enumerate(faces, 1)
    ]
    tracks = [replace(track, scores=np.ones(2, np.float32)) for track in tracks]
    assign_current(archive, put_tracks(archive, "v-3", 3, tracks))
    assert len(strangers(client, video_id="v-3")) == 2
    assert pairs(client) == []

"""Edits of people and strangers over HTTP: the routes over a small archive, without Ray."""

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


def test_people_who_were_merged_are_taken_apart(client: TestClient) -> None:
    assert ok(client.get(f"{BASE}/people/Bob/merges")) == []
    merge = as_previewed(client, "POST", "people/Ann_Lee/merge", {"person_id": "Bob"})
    ok(client.post(f"{BASE}/people/Bob/rename", json={"person_id": "Rob"}))
    (one,) = ok(client.get(f"{BASE}/people/Rob/merges"))
    when = next(row["created_at"] for row in ok(client.get(f"{BASE}/history")) if row["number"] == merge["edit"])
    assert one == {"person_id": "Ann_Lee", "identity": "Ann Lee", "merged_at": when, "faces": 3}
    problem(client.post(f"{BASE}/people/Ann_Lee/unmerge", params={"from_person": "Bob"}), 409)
    change = as_previewed(client, "POST", "people/Ann_Lee/unmerge?from_person=Rob")
    assert change["people"]["Ann_Lee"]["tracks_added"] == 2
    assert labels(client, person_id="Ann_Lee") == ["Ann Lee", "Ann Lee"]
    assert ok(client.get(f"{BASE}/people/Rob/merges")) == []
    assert "apart again" in problem(client.post(f"{BASE}/people/Ann_Lee/unmerge"), 409)
    assert "not merged" in problem(client.post(f"{BASE}/people/Rob/unmerge"), 409)
    ok(client.post(f"{BASE}/history/{change['edit']}/undo"))
    assert labels(client, person_id="Rob") == ["Rob"] * 4
    problem(client.post(f"{BASE}/people/Nobody/unmerge"), 404)
    problem(client.get(f"{BASE}/people/Nobody/merges"), 404)
    problem(client.post(f"{BASE}/people/a%3Bb/unmerge"), 422)


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
    (merged,) = ok(client.get(f"{BASE}/strangers/2/merged"))
    assert (merged["label"], merged["track_count"]) == ("Unknown 2", 2)
    assert client.get(merged["crop"]).status_code == 200
    as_previewed(client, "POST", f"strangers/{merged['stranger']}/unmerge")
    assert ok(client.get(f"{BASE}/strangers/1/merged")) == []
    problem(client.get(f"{BASE}/strangers/9/merged"), 404)
    assert labels(client, person_id="Unknown 2") == ["Unknown 2", "Unknown 2"]
    problem(client.post(f"{BASE}/strangers/2/unmerge"), 409)


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


def test_a_list_follows_every_change(client: TestClient, archive: Archive) -> None:
    assert [one["track_count"] for one in strangers(client)] == [2, 2]
    put_face(archive, 3, face_of(7, 50))
    assert sorted(one["track_count"] for one in strangers(client)) == [2, 3]
    change = ok(client.post(f"{BASE}/strangers/1/hide"))
    assert len(strangers(client)) == 1
    assert len(strangers(client, hidden=True)) == 2
    ok(client.post(f"{BASE}/history/{change['edit']}/undo"))
    assert len(strangers(client)) == 2
    archive.store.delete_video("p", "v-3")
    assert [one["track_count"] for one in strangers(client)] == [2, 2]
    archive.store.delete_video("p", "v-2")
    assert [one["track_count"] for one in strangers(client)] == [1, 1]


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


def test_passers_by_are_hidden_as_one_edit(client: TestClient) -> None:
    route = "strangers/hide-passers-by"
    most = max(one["screen_time_s"] for one in strangers(client))
    problem(client.post(f"{BASE}/{route}", json={"max_screen_time_s": 0.1}), 409)
    for wrong in ({}, {"max_screen_time_s": 0}, {"max_screen_time_s": -1}, {"max_screen_time_s": 1, "video": "v-1"}):
        problem(client.post(f"{BASE}/{route}", json=wrong), 422)
    problem(client.post(f"{BASE}/{route}", json={"max_screen_time_s": 9, "video_id": "v-9"}), 404)
    hidden = as_previewed(client, "POST", route, {"max_screen_time_s": most + 1, "video_id": "v-1.mp4"})
    assert (hidden["strangers"], hidden["people"]) == (2, {})
    assert strangers(client) == []
    ok(client.post(f"{BASE}/history/{hidden['edit']}/undo"))
    assert len(strangers(client)) == 2


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


def doubted(client: TestClient) -> list[tuple[str, str, str]]:
    page = ok(client.get(f"{BASE}/doubtful-names"))
    assert page["next_cursor"] is None
    return [(one["video_id"], one["person_id"], one["other"]["person_id"]) for one in page["items"]]


def test_a_name_that_the_faces_speak_against_is_asked_about_until_it_is_right(client: TestClient) -> None:
    assert doubted(client) == []
    # Track 1 shows Ann, track 3 a stranger.
    ok(client.post(f"{BASE}/videos/v-1/tracks/1/corrections", json={"kind": "is", "person_id": "Bob"}))
    ok(client.post(f"{BASE}/videos/v-1/tracks/3/corrections", json={"kind": "is", "person_id": "Bob"}))
    ok(client.post(f"{BASE}/videos/v-2/tracks/1/corrections", json={"kind": "is", "person_id": "Ann_Lee"}))
    assert doubted(client) == [("v-1", "Bob", "Ann_Lee")]
    (one,) = ok(client.get(f"{BASE}/doubtful-names"))["items"]
    assert one["crop"].startswith(f"{BASE}/videos/v-1/crops/")
    assert one["crop"].endswith("/1/0.jpg")
    assert one["similarity"] < one["other"]["similarity"]
    assert client.get(one["picture"]).status_code == 200
    right = {"kind": "is_not", "person_id": "Ann_Lee"}
    change = ok(client.post(f"{BASE}/videos/v-1/tracks/1/corrections", json=right))
    assert doubted(client) == []
    assert labels(client, person_id="Bob", video_id="v-1") == ["Bob"] * 3
    ok(client.post(f"{BASE}/history/{change['edit']}/undo"))
    assert doubted(client) == [("v-1", "Bob", "Ann_Lee")]
    ok(client.post(f"{BASE}/videos/v-1/tracks/1/corrections", json={"kind": "is", "person_id": "Ann_Lee"}))
    assert doubted(client) == []


def test_those_who_are_in_view_together_are_two(client: TestClient, archive: Archive) -> None:
    faces = [face_of(30), near(face_of(30), 0.945)]
    tracks = [
        make_track(i, [1.0, 2.0], embeddings=np.stack([face, face]), x=200.0 * i) for i, face in enumerate(faces, 1)
    ]
    tracks = [replace(track, scores=np.ones(2, np.float32)) for track in tracks]
    assign_current(archive, put_tracks(archive, "v-3", 3, tracks))
    assert len(strangers(client, video_id="v-3")) == 2
    assert pairs(client) == []


def test_tracks_of_several_people_are_corrected_at_once(client: TestClient) -> None:
    """Strangers and tracks of others become one person by one edit, and each track may be, or not be, a person of its own."""
    first, *_ = strangers(client)
    other = {"video_id": "v-1", "track_id": 1}
    before = ok(client.get(f"{BASE}/strangers"))
    change = ok(
        client.post(
            f"{BASE}/strangers/name", json={"strangers": [first["stranger"]], "person_id": "Cem", "tracks": [other]}
        )
    )
    assert change["people"]["Cem"]["tracks_added"] >= first["track_count"] + 1
    seen = ok(client.get(f"{BASE}/appearances", params={"person_id": "Cem"}))["items"]
    assert ("v-1", 1) in {(one["video_id"], track) for one in seen for track in one["track_ids"]}
    ok(client.post(f"{BASE}/history/{change['edit']}/undo"))
    assert ok(client.get(f"{BASE}/strangers")) == before
    tracks = [other | {"person_id": "Dora"}, {"video_id": "v-1", "track_id": 3, "person_id": "Eve"}]
    change = ok(client.post(f"{BASE}/tracks/corrections", json={"kind": "is", "tracks": tracks}))
    assert {"Dora", "Eve"} <= set(change["people"])
    ok(client.post(f"{BASE}/history/{change['edit']}/undo"))
    assert ok(client.get(f"{BASE}/strangers")) == before
    told = problem(client.post(f"{BASE}/tracks/corrections", json={"kind": "is", "tracks": [other]}), 422)
    assert "track 1 has no person_id" in str(told)

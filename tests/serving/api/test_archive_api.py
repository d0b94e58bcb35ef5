"""Naming again and search over HTTP: the routes over a small archive, without Ray."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from facerec_models.analysis.networks import Networks
from serving.archive.handle import Archive
from serving.archive.naming.current import read_current
from serving.archive.naming.figures import ScoreFigures
from serving.archive.naming.one_video import assign_current
from serving.store.contract import Store
from tests.archive import fill, put_mirror, put_video
from tests.contract.store_cases import name
from tests.serving.routes import bare_routes, identified, ok, problem, work_on
from ui.demo_material import DemoMaterial

BASE = "/v1/projects/p"


@pytest.fixture
def archive(archive: Archive) -> Archive:
    """The archive with two named videos in it."""
    fill(archive)
    return archive


def labels(client: TestClient, **query: Any) -> list[str]:
    return [item["label"] for item in ok(client.get(f"{BASE}/appearances", params=query))["items"]]


def test_a_name_is_previewed_applied_listed_and_undone(client: TestClient) -> None:
    before = ok(client.get(f"{BASE}/appearances"))
    address, body = f"{BASE}/strangers/{quote('Unknown 2')}/name", {"person_id": "Dee"}
    preview = ok(client.post(address, json=body, params={"preview": True}))
    assert (preview["applied"], preview["edit"]) == (False, None)
    dee = preview["people"]["Dee"]
    assert (dee["added"], dee["removed"], dee["tracks_added"]) == (2, 0, 2)
    assert {example["after"] for example in dee["examples"]} == {"Dee"}
    assert ok(client.get(f"{BASE}/appearances")) == before
    applied = ok(client.post(address, json=body, params={"expect": preview["version"]}))
    assert applied == {**preview, "applied": True, "edit": 2}
    assert labels(client, person_id="Dee") == ["Dee", "Dee"]
    assert "preview again" in problem(client.post(address, json=body, params={"expect": preview["version"]}), 409)
    assert "has no tracks left" in problem(client.post(address, json=body), 409)
    first, second = ok(client.get(f"{BASE}/history"))
    assert (first["number"], first["cause"]) == (1, "training")
    assert (second["number"], second["cause"], second["note"]) == (2, "stranger", "Unknown 2 is Dee")
    assert second["version"] == ok(client.post(f"{BASE}/identify", params={"preview": True}))["version"]
    assert (second["can_undo"], second["undone_at"]) == (True, None)
    assert "undo" in problem(client.post(f"{BASE}/history/1/undo"), 409)
    would = ok(client.post(f"{BASE}/history/2/undo", params={"preview": True}))
    assert (would["applied"], would["people"]["Dee"]["removed"]) == (False, 2)
    problem(client.post(f"{BASE}/history/2/undo", params={"expect": would["version"] - 1}), 409)
    undone = ok(client.post(f"{BASE}/history/2/undo", params={"expect": would["version"]}))
    assert undone == {**would, "applied": True}
    assert undone["videos"] == 2
    assert ok(client.get(f"{BASE}/appearances")) == before
    assert [row["can_undo"] for row in ok(client.get(f"{BASE}/history"))] == [True, False]
    assert "undone already" in problem(client.post(f"{BASE}/history/2/undo"), 409)
    problem(client.post(f"{BASE}/history/9/undo"), 404)


def test_another_accepted_error_and_another_model(client: TestClient, archive: Archive) -> None:
    preview = ok(client.post(f"{BASE}/identify", params={"preview": True, "max_false_names": 1e-9}))
    assert (preview["people"]["Bob"]["removed"], preview["tracks"], preview["videos"]) == (2, 8, 2)
    applied = identified(client, archive, max_false_names=1e-9, expect=preview["version"])
    assert applied == {**preview, "applied": True, "edit": 2, "note": applied["note"]}
    assert labels(client, person_id="Bob") == []
    assert "'m-none'" in problem(client.post(f"{BASE}/identify", params={"model": "m-none"}), 404)
    problem(client.post(f"{BASE}/identify", params={"max_false_names": 1}), 422)
    assert "preview again" in problem(client.post(f"{BASE}/identify", params={"expect": preview["version"]}), 409)


def test_a_large_archive_is_previewed_as_a_job(
    client: TestClient, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ok(client.post(f"{BASE}/identify", params={"preview": True, "max_false_names": 1e-9}))
    monkeypatch.setattr("serving.api.projects._MOST_AT_ONCE", 1)
    large = identified(client, archive, preview=True, max_false_names=1e-9)
    assert large == {**small, "note": large["note"]}
    assert [row["cause"] for row in ok(client.get(f"{BASE}/history"))] == ["training"]


def test_naming_again_has_no_result_before_it_has_succeeded(client: TestClient, archive: Archive) -> None:
    job = ok(client.post(f"{BASE}/identify"))["job_id"]
    assert "an identify job that is queued" in problem(client.get(f"/v1/jobs/{job}/result"), 409)
    ok(client.post(f"{BASE}/strangers/2/name", json={"person_id": "Dee"}))
    work_on(archive, job)
    assert ok(client.get(f"/v1/jobs/{job}/result"))["edit"] == 3
    ok(client.delete(f"{BASE}/people/Dee"))
    assert "a person was forgotten since" in problem(client.get(f"/v1/jobs/{job}/result"), 409)


def test_a_correction_is_previewed(client: TestClient, store: Store) -> None:
    address = f"{BASE}/videos/v-1/tracks/1/corrections"
    denial = {"kind": "is_not", "person_id": "Ann_Lee"}
    preview = ok(client.post(address, json=denial, params={"preview": True}))
    assert preview["people"]["Ann_Lee"]["removed"] >= 1
    assert store.list_corrections("p") == []
    assert ok(client.post(address, json=denial))["people"] == preview["people"]


def test_a_mirror_image_has_a_reason_and_can_be_confirmed(client: TestClient, archive: Archive) -> None:
    put_mirror(archive, "v-3", 2, 1)
    items = {
        item["decision"]: item for item in ok(client.get(f"{BASE}/appearances", params={"video_id": "v-3"}))["items"]
    }
    image = items.pop("undecidable")
    assert (image["label"], image["person_id"], image["stranger"]) == ("Undecidable", None, None)
    assert "Ann Lee, who is named beside it in the same frame" in image["reason"]
    assert [item["reason"] for item in items.values()] == [None, None]
    for track_id in (*image["track_ids"], *items["named"]["track_ids"]):
        address = f"{BASE}/videos/v-3/tracks/{track_id}/corrections"
        ok(client.post(address, json={"kind": "is", "person_id": "Ann_Lee"}))
    assert labels(client, video_id="v-3") == ["Ann Lee", "Unknown 3"]


def test_appearances_are_paged_and_filtered(client: TestClient, archive: Archive, store: Store) -> None:
    (item, _) = ok(client.get(f"{BASE}/appearances", params={"person_id": "Ann Lee"}))["items"]
    assert (item["video"], item["person_id"], item["stranger"]) == ("v-1.mp4", "Ann_Lee", None)
    assert (item["start_s"], item["end_s"], item["shots"], item["decision"]) == (2.5, 4.5, [0], "named")
    assert ok_picture(client, item["crop"])
    pages, cursor = [], None
    for _ in range(4):
        page = ok(client.get(f"{BASE}/appearances", params={"limit": 2, **({"cursor": cursor} if cursor else {})}))
        pages += page["items"]
        cursor = page["next_cursor"]
    assert cursor is None
    assert pages == ok(client.get(f"{BASE}/appearances"))["items"]
    assert labels(client, video_id="v-1", start_s=8) == ["Unknown 1", "Unknown 2"]
    assert labels(client, video_id="v-1", end_s=5) == ["Ann Lee"]
    assert len(labels(client, person_id="Bob", **{"from": "1970-01-01T00:00:01"})) == 1
    assert len(labels(client, person_id="Bob", **{"to": "1970-01-01T00:00:01Z"})) == 1
    # Names whose scores mean more, and less, than .55; how sure the unknown ones are is computed anew.
    rows = store.list_appearances("p", ["a-v-1"])
    least = ScoreFigures(read_current(archive, "p").model).least_score(0.55)
    rescored = [replace(row, score=least + by) for row, by in zip(rows[:2], (0.01, -0.01), strict=True)]
    name(store, *rescored, *rows[2:], named=store.list_named("p", ["a-v-1"]))
    assert labels(client, video_id="v-1", min_probability=0.55) == ["Ann Lee", "Unknown 1", "Unknown 2"]


def test_appearances_are_filtered_by_the_probability_that_they_show(client: TestClient) -> None:
    everyone = ok(client.get(f"{BASE}/appearances"))["items"]
    assert {item["decision"] for item in everyone} == {"named", "unknown"}
    for least in sorted({item["probability"] for item in everyone}):
        sure = ok(client.get(f"{BASE}/appearances", params={"min_probability": least}))["items"]
        assert sure == [item for item in everyone if item["probability"] >= least]


def ok_picture(client: TestClient, address: str) -> bool:
    return client.get(address).content[:2] == b"\xff\xd8"


def test_strangers_are_paged_and_filtered(client: TestClient) -> None:
    whole = ok(client.get(f"{BASE}/strangers"))
    assert [(one["label"], one["screen_time_s"], one["videos"]) for one in whole["items"]] == [
        ("Unknown 1", 4.0, 2),
        ("Unknown 2", 4.0, 2),
    ]
    track = whole["items"][0]["tracks"][0]
    assert ok_picture(client, track["crop"])
    first = ok(client.get(f"{BASE}/strangers", params={"limit": 1}))
    second = ok(client.get(f"{BASE}/strangers", params={"limit": 1, "cursor": first["next_cursor"]}))
    assert first["items"] + second["items"] == whole["items"]
    assert (second["next_cursor"], whole["next_cursor"]) == (None, None)
    (one, _) = ok(client.get(f"{BASE}/strangers", params={"video_id": "v-2"}))["items"]
    assert (one["screen_time_s"], [track["video"] for track in one["tracks"]]) == (2.0, ["v-2.mp4"])
    assert ok(client.get(f"{BASE}/strangers", params={"from": "2020-01-01"}))["items"] == []
    assert ok(client.get(f"{BASE}/strangers/Unknown 2")) == whole["items"][1]
    assert "begin again" in problem(client.get(f"{BASE}/strangers", params={"cursor": "x"}), 422)
    problem(client.get(f"{BASE}/strangers/Unknown 3"), 404)


def test_people_are_found_together(client: TestClient, store: Store) -> None:
    (first, _) = ok(client.get(f"{BASE}/appearances", params={"person_id": ["Ann_Lee", "Bob"]}))["items"]
    assert [one["label"] for one in first["company"]] == ["Bob"]
    assert labels(client, person_id=["Ann_Lee", "Unknown 1"]) == []
    assert labels(client, person_id=["Unknown 2", "Unknown 1"]) == ["Unknown 2", "Unknown 2"]


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        ({"person_id": "Nobody"}, 404, "no person 'Nobody'"),
        ({"person_id": "stranger-none"}, 404, "no stranger"),
        ({"person_id": "a/b"}, 422, "must not"),
        ({"cursor": "x"}, 422, "begin again"),
        ({"limit": 0}, 422, "limit"),
        ({"min_probability": 2}, 422, "min_probability"),
        ({"from": "yesterday"}, 422, "from"),
    ],
)
def test_an_invalid_query_is_refused(client: TestClient, query: dict[str, Any], status: int, detail: str) -> None:
    assert detail in problem(client.get(f"{BASE}/appearances", params=query), status)


def test_search_of_an_absent_project(client: TestClient) -> None:
    problem(client.get("/v1/projects/none/appearances"), 404)
    problem(client.post("/v1/projects/none/search/faces", files={"file": ("a.jpg", b"x")}), 404)
    problem(client.get("/v1/projects/none/history"), 404)


def test_a_face_is_searched_in_a_project_that_has_nothing_yet(
    archive: Archive, networks: Networks, material: DemoMaterial
) -> None:
    archive.store.create_project("new")
    picture = next((material.people / "Eileen_Collins").iterdir())
    with bare_routes(archive, networks) as client:
        (face,) = ok(client.post("/v1/projects/new/search/faces", files={"file": ("a.jpg", picture.read_bytes())}))
    assert face["hits"] == []


def test_a_new_video_is_found_at_once(client: TestClient, archive: Archive) -> None:
    row = put_video(archive, "v-3", 3)
    assert len(labels(client, person_id="Bob")) == 2
    assign_current(archive, row)
    assert len(labels(client, person_id="Bob")) == 3


def test_the_history_is_read_from_its_end_and_says_who(client: TestClient) -> None:
    for name_of_stranger, person in (("Unknown 2", "Dee"), ("Unknown 1", "Eve")):
        ok(client.post(f"{BASE}/strangers/{quote(name_of_stranger)}/name", json={"person_id": person}))
    whole = ok(client.get(f"{BASE}/history"))
    assert [row["number"] for row in whole] == [1, 2, 3]
    (last,) = ok(client.get(f"{BASE}/history", params={"newest_first": True, "limit": 1}))
    assert last == whole[2]
    rest = ok(client.get(f"{BASE}/history", params={"newest_first": True, "after": last["number"]}))
    assert rest == whole[1::-1]
    assert [row["can_undo"] for row in rest] == [False, False], "the last one that stands is on another page"
    assert (last["actor"], last["can_undo"], last["is_sealed"]) == ("local", True, False)
    assert whole[0]["former_model"] is None
    assert whole[1]["former_model"] == whole[0]["model_version"]


def test_a_glance_tells_who_is_seen_longest(client: TestClient, archive: Archive) -> None:
    (one,) = ok(client.get(f"{BASE}/glances", params={"video": ["v-2", "v-none"], "most": 3}))
    assert (one["video_id"], one["analysed"], one["total"], len(one["people"])) == ("v-2", True, 4, 3)
    rows = archive.store.list_appearances("p", [archive.store.latest_analysis("p", "v-2").analysis_id])
    longest = sorted({row.owner: row.end_s - row.start_s for row in rows}.values(), reverse=True)
    assert [person["seconds"] for person in one["people"]] == longest[:3]
    everybody = ok(client.get(f"{BASE}/glances", params={"video": "v-2"}))[0]["people"]
    assert {person["label"] for person in everybody} == {"Ann Lee", "Bob", "Unknown 1", "Unknown 2"}
    assert all(person["crop"].startswith(f"{BASE}/videos/v-2/crops/") for person in everybody)
    ok(client.post(f"{BASE}/strangers/Unknown 1/hide"))
    (one,) = ok(client.get(f"{BASE}/glances", params={"video": "v-2"}))
    assert one["total"] == 3
    assert "Unknown 1" not in [person["label"] for person in one["people"]]


def test_videos_are_found_by_the_names_of_who_is_in_them(client: TestClient, archive: Archive) -> None:
    found = ok(client.get(f"{BASE}/videos-with", params={"name": "ÁNN l"}))
    assert found == {"video_ids": ["v-1", "v-2"], "people": ["Ann_Lee"], "is_all": True}
    assert ok(client.get(f"{BASE}/videos-with", params={"name": "Cy"}))["video_ids"] == []
    problem(client.get(f"{BASE}/videos-with", params={"name": ""}), 422)

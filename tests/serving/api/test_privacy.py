"""What is kept, consent, and the export of a person, over HTTP."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from serving.archive.handle import Archive
from serving.settings import Settings
from serving.store.contract import Store
from tests.archive import fill
from tests.serving.in_process import in_process
from tests.serving.routes import bare_api, ok, problem
from ui.demo_material import DemoMaterial

BASE = "/v1/projects/p"
FOR_EVER = {
    "keep_unmatched": True,
    "videos_days": None,
    "crops_days": None,
    "vectors_days": None,
    "strangers_days": None,
    "forget_expired": False,
}


@pytest.fixture
def archive(archive: Archive) -> Archive:
    """The archive with two named videos in it."""
    fill(archive)
    return archive


def test_a_policy_is_set_and_applied(client: TestClient, store: Store) -> None:
    assert ok(client.get(f"{BASE}/policy")) == FOR_EVER
    policy = {**FOR_EVER, "keep_unmatched": False, "strangers_days": 30.0}
    assert ok(client.put(f"{BASE}/policy", json={"keep_unmatched": False, "strangers_days": 30})) == policy
    assert ok(client.get(f"{BASE}/policy")) == policy
    for wrong in ({"videos_days": 0}, {"videos_days": -1}, {"sometimes": 1}, {"crops_days": "long"}):
        problem(client.put(f"{BASE}/policy", json=wrong), 422)
    problem(client.get("/v1/projects/none/policy"), 404)
    would = ok(client.post(f"{BASE}/policy/sweep", params={"preview": True}))
    assert (would["preview"], would["tracks"], would["crops"]) == (True, 4, 8)
    done = ok(client.post(f"{BASE}/policy/sweep"))
    assert (done["tracks"], done["crops"], len(done["strangers"])) == (4, 8, 2)
    assert store.list_audit("p")[-1].action == "privacy-sweep"


def test_who_asks_for_strangers_is_told(client: TestClient) -> None:
    ok(client.put(f"{BASE}/policy", json={"keep_unmatched": False}))
    page = ok(client.get(f"{BASE}/strangers"))
    assert (page["items"], "keeps nothing" in page["note"]) == ([], True)
    assert "keeps nothing" in problem(client.get(f"{BASE}/strangers/Unknown 1"), 404)
    ok(client.put(f"{BASE}/policy", json={}))
    assert ok(client.get(f"{BASE}/strangers"))["note"] is None


def test_no_answer_has_an_address_of_a_picture_that_is_gone(client: TestClient) -> None:
    ok(client.put(f"{BASE}/policy", json={"crops_days": 1}))
    before = ok(client.get(f"{BASE}/appearances"))["items"]
    assert all(client.get(item["crop"]).status_code == 200 for item in before)
    ok(client.post(f"{BASE}/policy/sweep"))
    assert client.get(before[0]["crop"]).status_code == 404
    after = ok(client.get(f"{BASE}/appearances"))["items"]
    assert [item["crop"] for item in after] == [None] * 8
    assert [{**item, "crop": None} for item in before] == after
    strangers = ok(client.get(f"{BASE}/strangers"))["items"]
    assert {track["crop"] for stranger in strangers for track in stranger["tracks"]} == {None}


def test_consent_is_noted_and_removed(client: TestClient) -> None:
    address = f"{BASE}/people/Bob/consent"
    problem(client.get(address), 404)
    assert ok(client.get(address, params={"or_null": True})) is None
    problem(client.get(f"{BASE}/people/Eve/consent", params={"or_null": True}), 404)
    noted = ok(client.put(address, json={"note": "form 7", "until": "2030-01-31"}))
    assert (noted["person_id"], noted["note"], noted["until"], noted["is_over"]) == (
        "Bob",
        "form 7",
        "2030-01-31",
        False,
    )
    assert ok(client.get(address)) == ok(client.get(address, params={"or_null": True})) == noted
    problem(client.put(address, json={"note": ""}), 422)
    problem(client.put(address, json={"note": "x", "until": "soon"}), 422)
    problem(client.put(address, json={"note": "x", "until": "9999-12-31"}), 422)
    problem(client.put(f"{BASE}/people/Eve/consent", json={"note": "x"}), 404)
    assert client.delete(address).status_code == 204
    problem(client.delete(address), 404)


def test_a_person_is_exported(client: TestClient, store: Store) -> None:
    answer = client.get(f"{BASE}/people/Bob/export")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert 'filename="Bob.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as found:
        assert found.testzip() is None
        assert json.loads(found.read("person.json"))["person_id"] == "Bob"
    assert store.list_audit("p")[-1].action == "person-exported"
    problem(client.get(f"{BASE}/people/Eve/export"), 404)


def test_faces_in_pictures_are_named_and_not_kept(
    own_trained_home: Path, material: DemoMaterial, detector: MtcnnDetector, embedder: FaceEmbedder
) -> None:
    picture = next(path for path in sorted(material.people.rglob("*")) if path.suffix in (".jpg", ".png"))
    pictures = {path: path.read_bytes() for path in own_trained_home.rglob("*.jpg")}
    with in_process(Settings(home=own_trained_home), detector, embedder) as (client, service):
        rows = service.archive.store.describe()
        files = {"files": ("one.jpg", picture.read_bytes())}
        (named,) = ok(client.post("/v1/projects/default/faces", files=files))
        assert named["faces"]
        assert service.archive.store.describe() == rows
    assert {path: path.read_bytes() for path in own_trained_home.rglob("*.jpg")} == pictures


def test_each_of_these_routes_states_its_role(archive: Archive) -> None:
    paths = bare_api(archive).openapi()["paths"]
    base = "/v1/projects/{project}"
    stated = {
        (method, path.removeprefix(base)): operation.get("x-facerec-role")
        for path, methods in paths.items()
        for method, operation in methods.items()
        if "privacy" in operation.get("tags", ())
    }
    assert stated == {
        ("get", "/policy"): None,
        ("put", "/policy"): "admin",
        ("post", "/policy/sweep"): "admin",
        ("get", "/people/{person_id}/consent"): "curate",
        ("put", "/people/{person_id}/consent"): None,
        ("delete", "/people/{person_id}/consent"): None,
        ("get", "/people/{person_id}/export"): "admin",
    }


def test_a_policy_is_tried_before_it_is_set(client: TestClient, store: Store) -> None:
    tried = ok(client.post(f"{BASE}/policy/sweep", params={"preview": True}, json={"videos_days": 0.0001}))
    assert sorted(tried["videos"]) == ["v-1", "v-2"]
    assert ok(client.get(f"{BASE}/policy")) == FOR_EVER
    assert ok(client.post(f"{BASE}/policy/sweep", params={"preview": True}))["videos"] == []
    assert "set it first" in problem(client.post(f"{BASE}/policy/sweep", json={"videos_days": 0.0001}), 422)
    assert len(store.list_videos("p")) == 2

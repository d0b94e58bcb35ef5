"""The main job with all rows in MongoDB and all files in a bucket, through the real service; then with another network."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from facerec_models.analysis.weights import DLIB, FACENET_VGGFACE2
from facerec_models.identification.cohort import Cohort, save_cohort
from serving.archive.files import Files
from serving.store import open_store
from tests.bucket import files_at
from tests.serving.service import running_service
from tests.waiting import WAIT_S
from ui.client import FacerecClient
from ui.demo_material import DemoMaterial

P = "/v1/projects/shown"


@pytest.mark.timeout(480)
def test_the_service_keeps_everything_where_others_reach_it(
    material: DemoMaterial,
    clip: Path,
    tmp_path: Path,
    mongo_store_uri: str,
    bucket: str,
    facenet_weights: Path,
    facenet_strangers: Cohort,
) -> None:
    home = Files.at(tmp_path / "home", bucket)
    home.root.mkdir()
    home.weights.symlink_to(facenet_weights)
    environment = {
        "FACEREC_STORE": mongo_store_uri,
        "FACEREC_FILES": bucket,
        "FACEREC_SEGMENT_S": "3",
        "FACEREC_ANALYSIS__EMBEDDING__EMBEDDER": "dlib",
    }
    with (
        running_service(home.root, environment) as service,
        FacerecClient(service.url) as client,
        httpx.Client(base_url=service.url, timeout=WAIT_S) as http,
    ):
        client.create_project("shown")
        for folder in sorted(material.people.iterdir()):
            client.add_pictures("shown", folder.name, sorted(folder.iterdir()))
        client.wait(client.start_training("shown"))
        job_id, video_id = client.submit_video("shown", clip)
        client.wait(job_id)
        assert client.submit_video("shown", clip)[0] == job_id
        result = client.result("shown", video_id)
        named = next(one for one in result.appearances if one.person_id == "Eileen_Collins")
        assert client.picture(named.evidence.crops[0].url)[:2] == b"\xff\xd8"
        found = http.get(f"{P}/appearances", params={"person_id": "Eileen_Collins"}).json()
        assert found["items"]
        change_network_and_back(client, http, home, facenet_strangers)
        track = next(track for track in result.tracks if track.person_id == "Eileen_Collins")
        client.correct("shown", video_id, track.track_id, "is_not", "Eileen_Collins")
        after = {track.track_id: track.person_id for track in client.result("shown", video_id).tracks}
        assert after[track.track_id] != "Eileen_Collins"
    with closing(open_store(home.root, SecretStr(mongo_store_uri))) as store:
        assert [video.video_id for video in store.list_videos("shown")] == [video_id]
        assert store.get_job(job_id).video_id == video_id
        assert [row.cause for row in store.list_edits("shown")] == ["training", "embedder", "correction"]
    kinds = {name.split("/")[2] for name in files_at(bucket)}
    assert {"faces", "models", "analyses"} <= kinds
    assert "jobs" not in kinds
    assert list(home.root.glob("*.sqlite3*")) == []
    left = [path for path in (home.root / "projects").rglob("*") if path.is_file()]
    assert {path.suffix for path in left} == {".log"}


def change_network_and_back(client: FacerecClient, http: httpx.Client, home: Files, strangers: Cohort) -> None:
    """Prepare a second set as a job, compare, switch, and undo: in the end everything is as before."""

    def shown() -> list[Any]:
        return [http.get(f"{P}/{what}").json() for what in ("models", "appearances", "strangers", "videos")]

    def embedder() -> str:
        return next(str(row["embedder"]) for row in http.get("/v1/projects").json() if row["name"] == "shown")

    refused = http.post(f"{P}/embedder/prepare", json={"embedder": "nonsense"})
    assert (refused.status_code, "dlib-resnet-v1" in refused.json()["detail"]) == (422, True), refused.text
    assert http.get(f"{P}/embedder/comparison").status_code == 409
    save_cohort(strangers, home.cohort("shown", FACENET_VGGFACE2.name))
    job_id = http.post(f"{P}/embedder/prepare", json={"embedder": FACENET_VGGFACE2.name}).json()["job_id"]
    assert client.wait(job_id).state == "succeeded"
    assert "beside the project's own" in http.get(f"/v1/jobs/{job_id}/log").text
    before = shown()
    compared = http.get(f"{P}/embedder/comparison").json()
    assert (compared["present"]["embedder"], compared["prepared"]["embedder"]) == (DLIB.name, FACENET_VGGFACE2.name)
    assert compared["agreement"]["tracks"] == compared["change"]["tracks"] > 0
    assert (shown(), embedder()) == (before, DLIB.name)
    version = {"expect": compared["change"]["version"]}
    switched = http.post(f"{P}/embedder/switch", params=version).json()
    assert (switched["applied"], embedder()) == (True, FACENET_VGGFACE2.name)
    # The random network does not say what the trained one says.
    assert shown() != before
    http.post(f"{P}/history/{switched['edit']}/undo").raise_for_status()
    assert (shown(), embedder()) == (before, DLIB.name)

"""The main job with all rows in MongoDB: enrol, train, recognise, correct, through the real service."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from serving.store import open_store
from tests.serving.service import running_service
from ui.client import FacerecClient
from ui.demo_material import DemoMaterial


@pytest.mark.timeout(480)
def test_the_service_keeps_everything_in_mongodb(
    material: DemoMaterial, clip: Path, tmp_path: Path, mongo_store_uri: str
) -> None:
    home = tmp_path / "home"
    with (
        running_service(home, {"FACEREC_STORE": mongo_store_uri}) as service,
        FacerecClient(service.url) as client,
        httpx.Client(base_url=service.url, timeout=60) as http,
    ):
        client.create_project("shown")
        for folder in sorted(material.people.iterdir()):
            client.add_pictures("shown", folder.name, sorted(folder.iterdir()))
        client.wait(client.start_training("shown"))
        job_id, video_id = client.submit_video("shown", clip)
        client.wait(job_id)
        assert client.submit_video("shown", clip)[0] == job_id
        result = client.result("shown", video_id)
        assert "Eileen_Collins" in {appearance.person_id for appearance in result.appearances}
        track = next(track for track in result.tracks if track.person_id == "Eileen_Collins")
        found = http.get("/v1/projects/shown/appearances", params={"person_id": "Eileen_Collins"}).json()
        assert found["items"]
        client.correct("shown", video_id, track.track_id, "is_not", "Eileen_Collins")
        named = {track.track_id: track.person_id for track in client.result("shown", video_id).tracks}
        assert named[track.track_id] != "Eileen_Collins"
    with closing(open_store(home, SecretStr(mongo_store_uri))) as store:
        assert [video.video_id for video in store.list_videos("shown")] == [video_id]
        assert store.get_job(job_id).video_id == video_id
        assert len(store.list_applications("shown")) == 1
    assert list(home.glob("*.sqlite3*")) == []

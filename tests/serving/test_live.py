"""The real graph on real Ray, against the chain in this process."""

from __future__ import annotations

import os
import re
from contextlib import closing
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.analysis.networks import Networks
from facerec_models.config import AnalysisConfig
from facerec_models.errors import FacerecError
from facerec_models.result import Result
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.learning.enrol import enrol
from serving.archive.learning.model_versions import train
from serving.archive.naming.one_video import name_analysis
from serving.archive.videos import analyze_video, register_video
from serving.settings import Settings
from serving.store.job_rows import JobState
from serving.store.opening import open_store
from tests.archive import fill
from tests.picture_site import PictureSite
from tests.serving.jobs.runners import final
from tests.serving.service import RunningService
from tests.unit.serving.archive.edits import add_named_video
from tests.waiting import WAIT_S, wait_until
from training.pictures import find_pictures
from ui.client import FacerecClient, ServiceError
from ui.demo_material import DemoMaterial


@pytest.fixture(scope="module")
def in_process(
    material: DemoMaterial,
    clip: Path,
    detector: MtcnnDetector,
    embedder: FaceEmbedder,
    tmp_path_factory: pytest.TempPathFactory,
) -> Result:
    root = tmp_path_factory.mktemp("in-process")
    settings, home, store = Settings(home=root), Files(root), open_store(root)
    networks, config = Networks(detector, embedder), AnalysisConfig()
    list(
        enrol(Archive(store, home, settings.identification), "shown", find_pictures(material.people), networks, config)
    )
    archive = Archive(store, home, settings.identification)
    model = train(archive, "shown")
    video = register_video(store, "shown", clip, config)
    analysis = analyze_video(Archive(store, home), video, config, networks)
    return name_analysis(archive, analysis, model.version, settings.identification.max_false_names_tracks)


def test_the_service_and_the_process_find_the_same(client: FacerecClient, clip: Path, in_process: Result) -> None:
    job_id, video_id = client.submit_video("shown", clip)
    states = [view.state for view in client.follow(job_id)]
    assert states[-1] == "succeeded"
    served = client.result("shown", video_id)
    assert [track.track_id for track in served.tracks] == [track.track_id for track in in_process.tracks]
    for ours, theirs in zip(served.tracks, in_process.tracks, strict=True):
        assert (ours.decision, ours.person_id, ours.shot) == (theirs.decision, theirs.person_id, theirs.shot)
        assert ours.probability == pytest.approx(theirs.probability, abs=0.005)
        assert [s.frame_index for s in ours.samples] == [s.frame_index for s in theirs.samples]
        boxes = np.array([s.box_xyxy for s in ours.samples]) - np.array([s.box_xyxy for s in theirs.samples])
        assert np.abs(boxes).max() < 1
    assert {a.identity for a in served.appearances if a.identity} == {"Eileen Collins", "Carphone Man"}
    crop = served.appearances[0].evidence.crops[0].url
    assert client.picture(crop)[:2] == b"\xff\xd8"


def test_a_known_video_is_not_analysed_again(client: FacerecClient, clip: Path) -> None:
    first = client.submit_video("shown", clip)
    client.wait(first[0])
    before = client.result("shown", first[1]).timing
    again = client.submit_video("shown", clip)
    client.wait(again[0])
    assert again[1] == first[1]
    assert client.result("shown", again[1]).timing.wall_s == before.wall_s


def test_two_videos_at_once(client: FacerecClient, clip: Path, in_process: Result) -> None:
    jobs = [client.submit_video("shown", clip, fragment=(start, 9.0), no_cache=True) for start in (0.0, 2.0)]
    for job_id, _ in jobs:
        client.wait(job_id)
    found = client.result("shown", jobs[0][1])
    assert {a.identity for a in found.appearances if a.identity} == {
        a.identity for a in in_process.appearances if a.identity
    }


def test_pictures_are_named_and_a_bad_one_fails_alone(
    client: FacerecClient, material: DemoMaterial, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    good = next((material.people / "Eileen_Collins").iterdir())
    first, second = client.faces("shown", [good, broken])
    assert [face.identity for face in first.faces] == ["Eileen Collins"]
    assert first.error is None
    assert second.error is not None


def test_the_documents_of_a_video(client: FacerecClient, clip: Path, service_url: str, tmp_path: Path) -> None:
    job_id, video_id = client.submit_video("shown", clip)
    client.wait(job_id)
    base = f"/v1/projects/shown/videos/{video_id}"
    client.download(f"{base}/annotated.mp4", tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").stat().st_size > 10_000
    with httpx.Client(base_url=service_url) as http:
        assert "Eileen Collins" in http.get(f"{base}/result.csv").text
        part = http.get(f"{base}/file", headers={"Range": "bytes=0-9"})
        assert (part.status_code, len(part.content)) == (206, 10)
        assert http.get(base).json()["name"] == clip.name
        assert [video["video_id"] for video in http.get("/v1/projects/shown/videos").json()]
        assert http.get(f"{base}/crops/a-nothing/1/0.jpg").status_code == 404
        assert http.get("/docs").status_code == 200
        assert "facerec.result/1" in http.get("/openapi.json").text


def test_errors_are_problem_documents(client: FacerecClient, service_url: str, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(FacerecError, match=r"text\.mp4"):
        client.submit_video("shown", text)
    with httpx.Client(base_url=service_url) as http:

        def status(method: str, path: str, **content: object) -> int:
            answer = http.request(method, path, **content)  # type: ignore[arg-type]
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["status"] == answer.status_code
            return answer.status_code

        assert status("GET", "/v1/projects/nobody/people") == 404
        assert status("GET", "/v1/jobs/j-nothing") == 404
        assert status("GET", "/v1/projects/shown/videos/v-nothing/result") == 404
        assert status("GET", "/v1/projects/shown/people/Nobody") == 404
        assert status("POST", "/v1/projects/shown/videos", json={"uri": "file:///etc/passwd"}) == 422
        assert status("POST", "/v1/projects/shown/videos", json={"uri": "gopher://example.org/a.mp4"}) == 422
        assert status("POST", "/v1/projects/shown/videos", data={"settings": "{}"}) == 422
        assert status("POST", "/v1/projects/nobody/faces", files={"files": b""}) == 404
        assert status("POST", "/v1/projects/shown/identify?max_false_names=2") == 422
        assert status("GET", "/v1/projects/a%20b/people") == 422
        assert status("GET", "/v1/projects", headers={"Host": "evil.example"}) == 403
        assert status("GET", "/healthz", headers={"Origin": "https://evil.example"}) == 403
        assert status("GET", "/nothing") == 404


def test_people_and_models_are_managed(client: FacerecClient, service_url: str, material: DemoMaterial) -> None:
    client.create_project("managed")
    picture = next((material.people / "Eileen_Collins").iterdir())
    (view,) = client.add_pictures("managed", "Eileen Collins", [picture])
    assert (view.person_id, view.status) == ("Eileen_Collins", "taken")
    with httpx.Client(base_url=service_url, timeout=WAIT_S) as http:
        assert http.get(view.crop or "").content[:2] == b"\xff\xd8"
        change = {"face_ids": [view.face_id], "enabled": False}
        assert http.patch("/v1/projects/managed/faces", json=change).json()["applied"]
        assert http.get("/v1/projects/managed/people").json()[0]["disabled"] == 1
        job = http.post("/v1/projects/managed/training").json()["job_id"]
        with pytest.raises(FacerecError, match=r"^training failed: project 'managed' has no enabled face"):
            client.wait(job)
        http.patch("/v1/projects/managed/faces", json={**change, "enabled": True})
        client.wait(http.post("/v1/projects/managed/training").json()["job_id"])
        (model,) = http.get("/v1/projects/managed/models").json()
        assert model["promoted"]
        assert http.post(f"/v1/projects/managed/models/{model['version']}/promote").status_code == 200
        assert http.post("/v1/projects/managed/identify?preview=true").json()["applied"] is False
        assert http.get("/v1/jobs", params={"project": "managed"}).json()[0]["state"] == "failed"
        assert http.delete("/v1/projects/managed").status_code == 204
        assert "managed" not in client.projects()


def test_the_archive_is_named_again_as_a_job_while_others_edit(client: FacerecClient, service: RunningService) -> None:
    with closing(open_store(service.home)) as store, httpx.Client(base_url=service.url, timeout=WAIT_S) as http:
        archive = Archive(store, Files(service.home))
        fill(archive)
        jobs = [http.post("/v1/projects/p/identify") for _ in range(2)]
        assert [answer.status_code for answer in jobs] == [202, 202]
        first, cancelled = (answer.json()["job_id"] for answer in jobs)
        client.cancel(cancelled)
        edits = 0
        while client.job(first).state != "succeeded" or not edits:
            assert client.job(first).error is None
            assert http.post("/v1/projects/p/strangers/1/hide", params={"no_longer": edits % 2 == 1}).status_code == 200
            found = http.get("/v1/projects/p/appearances", params={"person_id": "Bob"}).json()["items"]
            assert len(found) == 2 + (edits > 0)
            edits += 1
            if edits == 1:
                add_named_video(archive, (2, 9))
        change = http.get(f"/v1/jobs/{first}/result").json()
        # What others add or cancel may come after the job has ended.
        assert (change["applied"], change["tracks"] in {8, 10}, change["people"]) == (True, True, {})
        state = final(store, cancelled).state
        history = http.get("/v1/projects/p/history").json()
        notes = [row["note"] for row in history if row["cause"] == "identify"]
        assert state in {JobState.CANCELLED, JobState.SUCCEEDED}
        assert (f"job {cancelled}" in notes) == (state is JobState.SUCCEEDED)
        assert notes.count(f"job {first}") == 1
        assert change["edit"] in [row["number"] for row in history]
        assert {row.analysis_id for row in store.list_named("p")} == {"a-v-1", "a-v-2", "a-v-3"}
        assert client.job(first).progress == 1.0


def test_a_running_job_is_cancelled(client: FacerecClient, material: DemoMaterial) -> None:
    job_id, _ = client.submit_video("shown", material.reel, no_cache=True)
    wait_until(lambda: client.job(job_id).state != "queued")
    client.cancel(job_id)
    wait_until(lambda: client.job(job_id).state != "running")
    assert client.job(job_id).state == "cancelled"
    assert {segment.state for segment in client.job(job_id).segments} == {"cancelled"}


def test_the_service_listens_on_the_loopback_interface_alone(client: FacerecClient, service: RunningService) -> None:
    port = int(service.url.rsplit(":", 1)[1])
    listening = {
        connection.laddr.ip
        for process in psutil.Process(service.process.pid).children(recursive=True)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    }
    assert listening == {"127.0.0.1"}


def test_no_process_stands_by_that_nobody_asks_and_networks_load_no_pandas(service: RunningService) -> None:
    processes = [
        (" ".join(process.cmdline()), process)
        for process in psutil.Process(service.process.pid).children(recursive=True)
    ]
    assert not [command for command, _ in processes if re.search(r"monitor\.py|dashboard\.py", command)]
    # The networks' replicas alone: what names may load it for other reasons.
    networks = [process for command, process in processes if "ServeReplica:facerec:Face" in command]
    assert len(networks) == 2
    for network in networks:
        assert not [part.path for part in network.memory_maps() if "/pandas/" in part.path]


def test_killed_analyzers_lose_nothing(client: FacerecClient, service: RunningService, material: DemoMaterial) -> None:
    job_id, video_id = client.submit_video("shown", material.reel, no_cache=True)
    wait_until(lambda: client.job(job_id).progress > 0)
    analyzers = [
        process
        for process in psutil.Process(service.process.pid).children(recursive=True)
        if "ServeReplica:facerec:VideoAnalyzer" in " ".join(process.cmdline())
    ]
    assert len(analyzers) == min(4, os.cpu_count() or 1)
    for analyzer in analyzers:
        analyzer.kill()
    client.wait(job_id)
    assert client.job(job_id).attempt == 2
    found = client.result("shown", video_id)
    assert {a.identity for a in found.appearances if a.identity} == {"Eileen Collins", "Carphone Man"}


def test_the_running_service_refuses_private_addresses_to_crawls(client: FacerecClient, site: PictureSite) -> None:
    client.create_project("crawled")
    job_id = client.start_crawl("crawled", "Eileen Collins", f"site:{site.put('/collins', '<p>no picture</p>')}")
    with pytest.raises(ServiceError, match=r"crawl failed: .*no public address"):
        client.wait(job_id)
    assert site.asked == []

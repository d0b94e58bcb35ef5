"""The routes without Ray, with real networks and a real store."""

from __future__ import annotations

import csv
import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from ray.serve.exceptions import BackPressureError

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.engines.choice import choose_engine
from facerec_models.analysis.mtcnn import MtcnnDetector
from serving.archive.files import Files
from serving.archive.learning.model_versions import train
from serving.jobs.runner import submit
from serving.settings import Settings
from tests.serving.in_process import enrol_all, in_process, wait
from tests.unit.serving.exports.played_videos import write_media
from tests.waiting import wait_until
from ui.demo_material import DemoMaterial


@pytest.fixture(scope="module")
def client(
    detector: MtcnnDetector, embedder: FaceEmbedder, material: DemoMaterial, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("http")
    settings = Settings(home=root, max_queued_jobs=3, media_roots=(material.reel.parent,))
    with in_process(settings, detector, embedder) as (client, service):
        enrol_all(client, "shown", material)
        train(service.archive, "shown")
        yield client


def test_a_video_goes_through(client: TestClient, clip: Path) -> None:
    sent = client.post("/v1/projects/shown/videos", files={"file": ("a.mp4", clip.read_bytes())})
    assert sent.status_code == 202
    job = wait(client, sent.json()["job_id"])
    assert (job["state"], job["progress"]) == ("succeeded", 1.0)
    base = f"/v1/projects/shown/videos/{sent.json()['video_id']}"
    result = client.get(f"{base}/result").json()
    assert {a["identity"] for a in result["appearances"] if a["identity"]} == {"Eileen Collins", "Carphone Man"}
    assert client.get(result["appearances"][0]["evidence"]["crops"][0]["url"]).content[:2] == b"\xff\xd8"
    assert client.get(f"{base}/crops/a-none/1/0.jpg").status_code == 404
    assert "Carphone Man" in client.get(f"{base}/result.csv").text
    subtitles = client.get(f"{base}/export", params={"format": "webvtt"})
    assert subtitles.headers["content-type"] == "text/vtt; charset=utf-8"
    assert "Carphone Man" in subtitles.text
    assert client.get(f"{base}/export", params={"format": "json"}).json()["video"] == result["video"]
    assert client.get(f"{base}/export", params={"format": "contact-sheet"}).content[:8] == b"\x89PNG\r\n\x1a\n"
    assert client.get(f"{base}/annotated.mp4").headers["content-type"] == "video/mp4"
    assert client.get(f"{base}/export", params={"format": "annotated"}).headers["content-type"] == "video/mp4"
    assert client.get(f"{base}/file", headers={"Range": "bytes=5-9"}).status_code == 206
    assert client.get("/readyz").json()["embedder"] == "dlib-resnet-v1"
    assert client.get("/v1/projects/shown/videos").json()[0]["name"] == "a.mp4"
    assert client.post("/v1/projects/shown/identify?preview=true").json()["tracks"] > 0


def test_what_browsers_do_not_play_is_made_playable_beside_analyses(client: TestClient, tmp_path: Path) -> None:
    file = write_media(tmp_path / "film.avi", "mpeg4")
    sent = client.post("/v1/projects/shown/videos", files={"file": ("film.avi", file.read_bytes())}).json()
    base = f"/v1/projects/shown/videos/{sent['video_id']}"
    job = wait(client, client.post(f"{base}/rendition").json()["job_id"])
    assert (job["kind"], job["state"], job["progress"]) == ("rendition", "succeeded", 1.0)
    assert client.get(client.get(f"{base}/playback").json()["url"], headers={"Range": "bytes=4-7"}).content == b"ftyp"
    assert wait(client, sent["job_id"])["state"] == "succeeded"


def test_a_project_is_exported_changed_and_taken_back(client: TestClient, clip: Path) -> None:
    sent = client.post("/v1/projects/shown/videos", files={"file": ("ž.mp4", clip.read_bytes())}).json()
    assert wait(client, sent["job_id"])["state"] == "succeeded"
    base = "/v1/projects/shown"
    assert client.get(f"{base}/export", params={"format": "annotated"}).status_code == 422
    assert client.get(f"{base}/export", params={"format": "csv", "video": "v-none"}).status_code == 404
    zipped = client.get(f"{base}/export", params={"format": "webvtt"})
    with zipfile.ZipFile(io.BytesIO(zipped.content)) as archive:
        assert archive.testzip() is None
        assert archive.read("ž.vtt")[:6] == b"WEBVTT"
    table = client.get(f"{base}/export", params={"format": "csv", "video": sent["video_id"]})
    assert table.headers["content-disposition"].startswith("inline; filename=")
    row, *_ = [row for row in csv.DictReader(io.StringIO(table.text)) if row["person_id"] == "Carphone_Man"]
    assert row["track_ids"]
    back = table.text.replace(",Carphone_Man,Carphone Man,", ",Jo_March,Carphone Man,")

    def send(**params: Any) -> Any:
        return client.post(f"{base}/corrections", files={"file": ("back.csv", back.encode())}, params=params)

    assert "Jo_March" in send(preview=True).json()["people"]
    assert "Jo_March" not in client.get(f"{base}/export", params={"format": "csv"}).text
    number = send().json()["edit"]
    assert "Jo_March" in client.get(f"{base}/export", params={"format": "csv"}).text
    client.post(f"{base}/history/{number}/undo")
    assert client.get(f"{base}/export", params={"format": "csv", "video": sent["video_id"]}).text == table.text


def test_the_same_settings_again_are_shown_again(client: TestClient, material: DemoMaterial) -> None:
    def submit(fragment: list[float], limit: float) -> tuple[str, str]:
        settings = {"fragment": fragment, "max_false_names": limit}
        sent = client.post("/v1/projects/shown/videos", json={"uri": material.reel.as_uri(), **settings}).json()
        assert wait(client, sent["job_id"])["state"] == "succeeded"
        return sent["job_id"], sent["video_id"]

    first, video_id = submit([4, 6], 0.05)
    assert submit([4, 6], 0.05)[0] == first
    submit([10, 12], 0.05)
    # The video's result is of both, and of what was asked for first too: nothing is to be done again.
    assert submit([4, 6], 0.05)[0] == first
    submit([4, 6], 0.01)
    assert submit([4, 6], 0.05)[0] != first
    result = client.get(f"/v1/projects/shown/videos/{video_id}/result").json()
    assert (result["sampling"]["fragments"], result["model"]["max_false_names"]) == ([[4, 6], [10, 12]], 0.05)
    computed = {"detector": str(choose_engine("auto", "cpu", "fp32")), "embedder": str(choose_engine("auto", "cpu"))}
    assert result["model"]["engine"] == computed


def test_a_project_deleted_during_its_job_leaves_nothing(client: TestClient, material: DemoMaterial) -> None:
    home: Files = client.app.state.service.archive.files  # type: ignore[attr-defined]
    client.put("/v1/projects/gone")
    content = material.reel.read_bytes()
    job_id = client.post("/v1/projects/gone/videos", files={"file": ("a.mp4", content)}).json()["job_id"]
    wait_until(lambda: list(home.project_files("gone").rglob("*.jpg")))
    assert client.get(f"/v1/jobs/{job_id}").json()["state"] == "running"
    assert client.delete("/v1/projects/gone").status_code == 204
    assert client.get(f"/v1/jobs/{job_id}").status_code == 404
    time.sleep(1)  # the work on it ends, and writes nothing more
    wait_until(lambda: not home.project_files("gone").exists())


def test_pictures(client: TestClient, material: DemoMaterial) -> None:
    good = next((material.people / "Eileen_Collins").iterdir()).read_bytes()
    files = [("files", ("good.jpg", good)), ("files", ("bad.jpg", b"no picture"))]
    first, second = client.post("/v1/projects/shown/faces", files=files).json()
    assert (first["path"], first["faces"][0]["identity"]) == ("good.jpg", "Eileen Collins")
    assert "bad.jpg" in second["error"]
    assert client.post("/v1/faces", params={"project": "shown"}, files=files).json() == [first, second]
    assert client.post("/v1/faces", files=files).status_code == 404
    large = client.post("/v1/projects/shown/faces", files={"files": ("large.jpg", b"0" * (64 * 2**20 + 1))})
    assert large.status_code == 413
    assert client.get("/v1/projects/shown/faces/..%2F..%2Fx.jpg").status_code in {404, 422}
    assert client.get("/v1/projects/shown/faces/f-none.jpg").status_code == 404


def test_a_face_is_searched_in_all_videos(client: TestClient, material: DemoMaterial, clip: Path) -> None:
    sent = client.post("/v1/projects/shown/videos", files={"file": ("a.mp4", clip.read_bytes())})
    wait(client, sent.json()["job_id"])
    (found,) = client.get("/v1/projects/shown/appearances?person_id=Eileen_Collins&limit=1").json()["items"]
    good = next((material.people / "Eileen_Collins").iterdir()).read_bytes()
    answer = client.post("/v1/projects/shown/search/faces", files={"file": ("good.jpg", good)})
    assert answer.status_code == 200, answer.text
    hits = answer.json()[0]["hits"]
    assert (hits[0]["identity"], hits[0]["is_named"]) == ("Eileen Collins", True)
    assert found["video_id"] in {hit["video_id"] for hit in hits}
    assert client.get(hits[0]["crop"]).content[:2] == b"\xff\xd8"
    assert [hit["similarity"] for hit in hits] == sorted((hit["similarity"] for hit in hits), reverse=True)
    refused = client.post("/v1/projects/shown/search/faces", files={"file": ("bad.jpg", b"no picture")})
    assert refused.status_code == 422


def test_each_line_of_a_batch_is_a_job_with_a_result_of_its_own(client: TestClient, material: DemoMaterial) -> None:
    def send(table: str, status: int = 202, **settings: object) -> Any:
        files = {"file": ("many.csv", table.encode())}
        answer = client.post("/v1/projects/shown/batches", files=files, data={"settings": json.dumps(settings)})
        assert answer.status_code == status, answer.text
        return answer.json()

    uri = material.reel.as_uri()
    table = (
        f"media,start,end,person\n{uri},4,6,Eileen_Collins\n{uri},0:10,0:11,\nfile:///etc/passwd,,,\nv-none,1,2,Ada\n"
    )
    items = send(table, priority=3)
    assert [(item["line"], item["start_s"], item["end_s"], item["person"]) for item in items] == [
        (2, 4.0, 6.0, "Eileen_Collins"), (3, 10.0, 11.0, None), (4, None, None, None), (5, 1.0, 2.0, "Ada"),
    ]  # fmt: skip
    assert [item["error"] is None for item in items] == [True, True, False, False]
    assert "FACEREC_MEDIA_ROOTS" in items[2]["error"]
    assert items[3]["error"].startswith("many.csv, line 5: 'v-none' is no video")
    shown = []
    for item in items[:2]:
        assert wait(client, item["job_id"])["state"] == "succeeded"
    for item in items[:2]:
        result = client.get(f"/v1/jobs/{item['job_id']}/result").json()
        assert result["video"]["id"] == item["video_id"]
        shown.append([sample["time_s"] for track in result["tracks"] for sample in track["samples"]])
    assert all(4 <= time_s < 6 for time_s in shown[0])
    assert all(10 <= time_s < 11 for time_s in shown[1])
    assert shown[0]
    assert shown[1]
    assert [item["job_id"] for item in send(table, priority=3)] == [item["job_id"] for item in items]
    (by_id,) = send(f"media,start,end,person\n{items[0]['video_id']},4,6,Eileen Collins\n")
    assert by_id["job_id"] == items[0]["job_id"]
    # A kind that no runner here works on: a training would start Ray in this process if it was claimed before it is cancelled.
    other = submit(client.app.state.service.archive.store, "shown", "of-another-kind", {}, max_queued=9)  # type: ignore[attr-defined]
    assert "no result" in client.get(f"/v1/jobs/{other.job_id}/result").json()["detail"]
    client.post(f"/v1/jobs/{other.job_id}/cancel")
    assert "line 2" in send(f"media,start\n{uri},4\n", 422)["detail"]
    assert "media,start,end,person" in send("a,b\n1,2\n", 422)["detail"]
    assert "fragment" in send(table, 422, fragment=[1, 2])["detail"]


def test_a_video_that_is_being_analysed_is_deleted_with_what_is_written_of_it(
    client: TestClient, material: DemoMaterial
) -> None:
    archive = client.app.state.service.archive  # type: ignore[attr-defined]
    client.put("/v1/projects/gone")
    sent = client.post("/v1/projects/gone/videos", json={"uri": material.reel.as_uri()}).json()
    analyses = archive.files.analysis("gone", "")
    wait_until(lambda: list(analyses.rglob("*.jpg")))
    receipt = client.delete(f"/v1/projects/gone/videos/{sent['video_id']}")
    assert (receipt.status_code, receipt.json()["jobs_cancelled"]) == (200, 1)
    # A fast machine may be done before it hears of it.
    assert wait(client, sent["job_id"])["state"] in ("cancelled", "succeeded")
    assert list(analyses.rglob("*")) == []
    assert client.get("/v1/projects/gone/videos").json() == []
    assert material.reel.is_file()


def test_lists_are_read_page_by_page(client: TestClient, clip: Path) -> None:
    for content in (clip.read_bytes(), clip.read_bytes() + b"0"):
        sent = client.post("/v1/projects/shown/videos", files={"file": ("a.mp4", content)})
        assert wait(client, sent.json()["job_id"])["state"] == "succeeded"
    for address, name in (("/v1/jobs", "job_id"), ("/v1/projects/shown/videos", "video_id")):
        whole = client.get(address).json()
        assert len(whole) > 1
        seen: list[dict[str, Any]] = []
        while page := client.get(address, params={"limit": 1, **({"after": seen[-1][name]} if seen else {})}).json():
            assert len(page) == 1
            seen += page
        assert seen == whole
        assert client.get(address, params={"after": "none"}).status_code == 404
        assert client.get(address, params={"limit": 0}).status_code == 422
    found = client.get("/v1/jobs", params={"project": "shown", "state": "succeeded", "limit": 1}).json()
    assert [job["state"] for job in found] == ["succeeded"]


def test_a_full_queue_answers_429_with_retry_after(client: TestClient) -> None:
    store = client.app.state.service.archive.store  # type: ignore[attr-defined]
    store.create_project("busy")
    for _ in range(3):
        submit(store, "busy", "of-another-kind", {}, max_queued=9)
    answer = client.post("/v1/projects/shown/training")
    assert (answer.status_code, answer.json()["title"]) == (429, "Busy")
    assert int(answer.headers["Retry-After"]) > 0
    for job in store.list_jobs("busy"):
        assert client.post(f"/v1/jobs/{job.job_id}/cancel").json()["state"] == "cancelled"


@pytest.mark.expects_errors
def test_back_pressure_and_bugs_become_problems(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    store = client.app.state.service.archive.store  # type: ignore[attr-defined]

    def full(*_: object) -> None:
        raise BackPressureError(num_queued_requests=9, max_queued_requests=9)

    monkeypatch.setattr(type(store), "list_projects", full)
    answer = client.get("/v1/projects")
    assert answer.status_code == 429
    assert "Retry-After" in answer.headers

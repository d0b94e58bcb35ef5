"""Videos that are elsewhere: a job fetches them, over real sockets, and says which video it was."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from serving.api.service import Service
from serving.settings import Settings
from serving.sources.config import SourcesConfig
from tests.serving.in_process import in_process, wait
from tests.waiting import wait_until

VIDEOS = "/v1/projects/p/videos"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        return


@pytest.fixture(scope="module")
def web(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A web server on this machine, and the folder that it gives out."""
    folder = tmp_path_factory.mktemp("web")
    (folder / "my film.mp4").write_bytes(clip.read_bytes())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def served(
    detector: MtcnnDetector, embedder: FaceEmbedder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TestClient, Service]]:
    sources = SourcesConfig(private_hosts=frozenset({"127.0.0.1"}), max_attempts=1)
    settings = Settings(home=tmp_path_factory.mktemp("home"), sources=sources, legacy_api=True)
    with in_process(settings, detector, embedder) as (client, service):
        client.put("/v1/projects/p")
        yield client, service


def test_a_job_fetches_a_video_and_says_which_it_is(served: tuple[TestClient, Service], web: tuple[str, Path]) -> None:
    client, service = served
    address = f"{web[0]}/my%20film.mp4?token=secret"
    sent = client.post(VIDEOS, json={"uri": address})
    assert (sent.status_code, sent.json()["video_id"]) == (202, None)
    job = wait(client, sent.json()["job_id"])
    assert (job["state"], job["error"]) == ("succeeded", None)
    video = client.get(f"{VIDEOS}/{job['video_id']}").json()
    assert video["name"] == "my film.mp4"
    result = client.get(f"{VIDEOS}/{job['video_id']}/result").text
    assert f"{web[0]}/my%20film.mp4" in result
    assert "secret" not in result + str(job) + str(service.archive.store.get_job(job["job_id"]))
    # The same again is asked for anew: the content may have changed.
    again = wait(client, client.post(VIDEOS, json={"uri": address}).json()["job_id"])
    assert (again["state"], again["video_id"], again["kind"]) == ("succeeded", job["video_id"], "video")
    row = service.archive.store.get_video("p", job["video_id"])
    assert Path(row.file).is_relative_to(service.archive.files.media)
    part = wait(client, client.post(VIDEOS, json={"uri": address, "fragment": [0, 1]}).json()["job_id"])
    assert (part["state"], part["video_id"]) == ("succeeded", job["video_id"])


def test_what_made_room_for_others_is_fetched_again(served: tuple[TestClient, Service], web: tuple[str, Path]) -> None:
    client, service = served
    sent = client.post(VIDEOS, json={"uri": f"{web[0]}/my%20film.mp4"}).json()
    video_id = wait(client, sent["job_id"])["video_id"]
    file = Path(service.archive.store.get_video("p", video_id).file)
    file.unlink()
    again = client.post(VIDEOS, json={"uri": f"{web[0]}/my%20film.mp4", "fragment": [1, 2]}).json()
    assert wait(client, again["job_id"])["state"] == "succeeded"
    assert Path(service.archive.store.get_video("p", video_id).file).is_file()


def test_what_cannot_be_fetched_fails_with_its_reason_and_can_be_tried_again(
    served: tuple[TestClient, Service], web: tuple[str, Path]
) -> None:
    client, _ = served
    address, later = f"{web[0]}/later.mp4", web[1] / "later.mp4"
    sent = client.post(VIDEOS, json={"uri": address}).json()
    job = wait(client, sent["job_id"])
    assert job["state"] == "failed"
    assert "answered 404" in job["error"]
    later.write_bytes((web[1] / "my film.mp4").read_bytes() + bytes(8))
    assert client.post(f"/v1/jobs/{sent['job_id']}/retry").status_code in (200, 202)
    assert wait(client, sent["job_id"])["state"] == "succeeded"
    page = web[1] / "page.mp4"
    page.write_text("<!DOCTYPE html><html></html>")
    refused = wait(client, client.post(VIDEOS, json={"uri": f"{web[0]}/page.mp4"}).json()["job_id"])
    assert "web page" in refused["error"]


def test_what_was_fetched_goes_with_the_last_video_that_has_it(
    served: tuple[TestClient, Service], web: tuple[str, Path]
) -> None:
    client, service = served
    client.put("/v1/projects/other")
    ids = [
        wait(
            client,
            client.post(f"/v1/projects/{project}/videos", json={"uri": f"{web[0]}/my%20film.mp4"}).json()["job_id"],
        )["video_id"]
        for project in ("p", "other")
    ]
    file = Path(service.archive.store.get_video("p", ids[0]).file)
    assert not client.delete(f"{VIDEOS}/{ids[0]}").json()["upload_removed"]
    assert file.is_file()
    assert client.delete("/v1/projects/other").status_code == 204
    assert not file.exists()


@pytest.mark.parametrize("address", ["gopher://x/a.mp4", "http://ada:secret@127.0.0.1/a.mp4", "rtsp://camera/1"])
def test_what_no_source_may_fetch_is_refused(served: tuple[TestClient, Service], address: str) -> None:
    client, _ = served
    sent = client.post(VIDEOS, json={"uri": address})
    text = sent.text
    if sent.status_code == 202:
        job = wait(client, sent.json()["job_id"])
        assert job["state"] == "failed"
        text = str(job)
    else:
        assert sent.status_code == 422
    assert "secret" not in text


def test_lines_of_a_table_may_be_addresses(served: tuple[TestClient, Service], web: tuple[str, Path]) -> None:
    client, _ = served
    table = f"media,start,end,person\n{web[0]}/my%20film.mp4,0,1,\n{web[0]}/my%20film.mp4,1,2,Ada\n"
    items = client.post("/v1/projects/p/batches", files={"file": ("a.csv", io.BytesIO(table.encode()))}).json()
    assert [item["error"] for item in items] == [None, None]
    assert all(wait(client, item["job_id"])["state"] == "succeeded" for item in items)
    assert client.get(f"/v1/jobs/{items[1]['job_id']}/result").json()["asked_for"][0]["person_id"] == "Ada"


def test_clients_of_the_predecessor_name_videos_by_their_address(
    served: tuple[TestClient, Service], web: tuple[str, Path]
) -> None:
    client, _ = served
    address = f"{web[0]}/my%20film.mp4"
    wait(client, client.post(VIDEOS, json={"uri": address}).json()["job_id"])
    found = client.get("/track", params={"video": address, "project": "p"}).json()
    assert (found["status"], found["locator"]) == ("COMPLETE", address)
    played = client.get("/get_locator", params={"video": address}).text
    assert client.get(played, headers={"Range": "bytes=0-3"}).status_code == 206
    # By the address of this service, in another project.
    client.put("/v1/projects/third")
    assert tracked(client, played, "third")["status"] == "COMPLETE"


def tracked(client: TestClient, video: str, project: str = "p") -> dict[str, Any]:
    """Poll until a video is no longer running."""
    answers: list[dict[str, Any]] = []

    def is_over() -> bool:
        answers.append(client.get("/track", params={"video": video, "project": project}).json())
        return bool(answers[-1]["status"] != "RUNNING")

    wait_until(is_over)
    return answers[-1]


@pytest.mark.parametrize(
    "address",
    ["/my%20film.mp4?X-Amz-Signature=0f3c", "/my film.mp4", "/my%20film.mp4#t=1,3", "/copy.mp4", "/manifest.json"],
)
def test_every_way_to_write_an_address_is_found_again(
    served: tuple[TestClient, Service], web: tuple[str, Path], address: str
) -> None:
    client, _ = served
    film = (web[1] / "my film.mp4").read_bytes()
    (web[1] / "copy.mp4").write_bytes(film)
    canvas = {"id": "http://x/c", "type": "Canvas", "width": 64, "height": 48, "duration": 2}
    body = {"id": f"{web[0]}/my%20film.mp4", "type": "Video", "format": "video/mp4"}
    painting = {
        "id": "http://x/a",
        "type": "Annotation",
        "motivation": "painting",
        "body": body,
        "target": "http://x/c",
    }
    page = {"id": "http://x/p", "type": "AnnotationPage", "items": [painting]}
    manifest = {
        "@context": "http://iiif.io/api/presentation/3/context.json",
        "id": "http://x/m",
        "type": "Manifest",
        "label": {"en": ["The news"]},
        "items": [{**canvas, "items": [page]}],
    }
    (web[1] / "manifest.json").write_text(json.dumps(manifest))
    assert tracked(client, f"{web[0]}{address}")["status"] == "COMPLETE"
    # What others have done with the same content since does not hide it.
    assert tracked(client, f"{web[0]}/my%20film.mp4")["status"] == "COMPLETE"
    assert client.get("/track", params={"video": f"{web[0]}{address}", "project": "p"}).json()["status"] == "COMPLETE"
    played = client.get("/get_locator", params={"video": f"{web[0]}{address}"}).text
    assert client.get(played, headers={"Range": "bytes=0-3"}).content == film[:4]
    if address == "/manifest.json":
        assert client.get("/get_metadata", params={"video": f"{web[0]}{address}"}).json()["title"] == ["The news"]

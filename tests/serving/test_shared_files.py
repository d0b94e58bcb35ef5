"""An archive whose crops and models are elsewhere than in the home: in a bucket, or in a folder that nodes share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from facerec_models.errors import StoreError
from facerec_models.files import write_atomically
from serving.api.service import Service
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.learning.loaded_models import load_model
from serving.archive.learning.model_versions import train
from serving.jobs.runner import submit
from serving.jobs.sweep import sweep
from serving.settings import Settings
from serving.sources.config import SourcesConfig
from serving.store.opening import open_store
from tests.bucket import files_at, s3_environment
from tests.serving.in_process import in_process, wait
from tests.serving.routes import bare_routes, ok
from tests.serving.service import free_port
from tests.waiting import wait_until
from ui.demo_material import DemoMaterial
from ui.doctor import examine

P = "/v1/projects/p"


@pytest.fixture(params=["bucket", "folder"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "bucket":
        return request.getfixturevalue("bucket") + "/archive"
    (tmp_path / "shared").mkdir()
    return (tmp_path / "shared").as_uri()


@pytest.fixture
def served(
    address: str, tmp_path: Path, detector: MtcnnDetector, embedder: FaceEmbedder
) -> Iterator[tuple[TestClient, Service]]:
    settings = Settings(home=tmp_path / "home", files=address, segment_s=3.0)
    with in_process(settings, detector, embedder) as both:
        yield both


def people(client: TestClient, video_id: str) -> set[str]:
    found = ok(client.get(f"{P}/videos/{video_id}/result"))
    return {appearance["identity"] for appearance in found["appearances"] if appearance["identity"]}


def test_an_archive_lives_elsewhere(
    served: tuple[TestClient, Service], address: str, material: DemoMaterial, clip: Path
) -> None:
    client, service = served
    client.put(P)
    folder = material.people / "Eileen_Collins"
    pictures = [("files", (path.name, path.read_bytes())) for path in sorted(folder.iterdir())]
    enrolled = ok(client.post(f"{P}/people/Eileen_Collins/pictures", files=pictures))
    first = train(service.archive, "p")
    sent = ok(client.post(f"{P}/videos", files={"file": ("a.mp4", clip.read_bytes())}))
    job = wait(client, sent["job_id"])
    assert (job["state"], len(job["segments"])) == ("succeeded", 3), job
    video = f"{P}/videos/{sent['video_id']}"
    assert people(client, sent["video_id"]) == {"Eileen Collins"}
    assert {f"{first.directory}/model.json", f"{first.directory}/model.npz"} <= files_at(address)
    # Parts go after their job is seen to have succeeded.
    wait_until(lambda: not any("/jobs/" in name for name in files_at(address)))

    crop = client.get(ok(client.get(f"{video}/result"))["appearances"][0]["evidence"]["crops"][0]["url"])
    assert crop.content[:2] == b"\xff\xd8"
    assert crop.headers["content-type"] == "image/jpeg"
    assert crop.headers["cache-control"] == "max-age=86400, immutable"
    assert int(crop.headers["content-length"]) == len(crop.content)
    assert {"etag", "last-modified", "accept-ranges"} <= set(crop.headers)
    assert client.get(enrolled[0]["crop"]).content[:2] == b"\xff\xd8"
    assert client.get(f"{P}/faces/f-none.jpg").status_code == 404

    driver = ok(client.get(f"{P}/strangers"))["items"][0]
    ok(client.post(f"{P}/strangers/{driver['stranger']}/name", json={"person_id": "Carphone Man"}))
    assert people(client, sent["video_id"]) == {"Eileen Collins", "Carphone Man"}
    check_ranges(client, f"{video}/annotated.mp4")
    assert any("annotated-" in name for name in files_at(address))

    # Back to the first version, and forward again.
    named = service.archive.store.get_model("p").version
    assert client.post(f"{P}/models/{first.version}/promote").status_code == 200
    assert people(client, sent["video_id"]) == {"Eileen Collins"}
    assert client.post(f"{P}/models/{named}/promote").status_code == 200
    assert people(client, sent["video_id"]) == {"Eileen Collins", "Carphone Man"}

    before = files_at(address)
    receipt = ok(client.delete(f"{P}/people/Carphone_Man"))
    assert people(client, sent["video_id"]) == {"Eileen Collins"}
    gone = before - files_at(address)
    assert receipt["crops"] == sum("/faces/" in name for name in gone) > 0
    assert receipt["track_crops"] == sum(name.endswith(".jpg") and "/analyses/" in name for name in gone) > 0
    assert named in receipt["models"]
    assert {f"projects/p/models/{named}/{name}" for name in ("model.json", "model.npz")} <= gone
    assert not any("annotated-" in name for name in files_at(address))

    assert [path for path in service.archive.files.root.rglob("*") if "projects" in path.parts and path.is_file()] == []
    assert client.delete(P).status_code == 204
    assert files_at(address) == set()


def check_ranges(client: TestClient, address: str) -> None:
    whole = client.get(address)
    size = len(whole.content)
    assert whole.headers["content-type"] == "video/mp4"
    assert (whole.status_code, int(whole.headers["content-length"])) == (200, size)
    for asked, start, end in [("5-9", 5, 10), (f"{size - 3}-", size - 3, size), ("-7", size - 7, size), ("0-0", 0, 1)]:
        part = client.get(address, headers={"Range": f"bytes={asked}"})
        assert (part.status_code, part.content) == (206, whole.content[start:end])
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
    beyond = client.get(address, headers={"Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    changed = client.get(address, headers={"Range": "bytes=5-9", "If-Range": '"another"'})
    assert (changed.status_code, len(changed.content)) == (200, size)
    same = client.get(address, headers={"Range": "bytes=5-9", "If-Range": whole.headers["etag"]})
    assert same.status_code == 206


def test_files_of_ended_jobs_and_writers_are_swept(address: str, tmp_path: Path) -> None:
    home = Files.at(tmp_path / "home", address)
    with closing(open_store(home.root)) as store:
        for name in ("p", "busy"):
            store.create_project(name)
        active = submit(store, "busy", "video", {}, max_queued=9).job_id
        write_atomically(home.job_parts("p", "j-ended") / "0.npz", b"")
        write_atomically(home.job_parts("busy", active) / "0.npz", b"")
        for name in ("p", "busy"):
            write_atomically(home.track_crop(name, "a-begun", 1, 0), b"")
            write_atomically(home.analysis_mark(name, "a-begun"), b"")
        write_atomically(home.track_crop("p", "a-of-another-store", 1, 0), b"")
        write_atomically(home.enrolment_mark("p", "e-begun"), b"f-begun")
        write_atomically(home.face_crop("p", "f-begun"), b"")
        assert sweep(Archive(store, home), SourcesConfig()) == 1
        assert len(files_at(address)) == 8
        assert sweep(Archive(store, home), SourcesConfig(), age_s=-60.0) == 3
        assert files_at(address) == {
            f"projects/busy/jobs/{active}/0.npz",
            "projects/busy/analyses/a-begun/1-0.jpg",
            "projects/busy/analyses/a-begun/being-made",
            "projects/p/analyses/a-of-another-store/1-0.jpg",
        }


def test_doctor_writes_reads_and_removes_a_file(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEREC_FILES", address)
    (finding,) = [one for one in examine(tmp_path / "home") if one[0] == "files"]
    assert finding[1] == "ok"
    assert finding[2].endswith("crops and models can be written, read and removed")
    assert files_at(address) == set()


def test_doctor_reports_files_that_cannot_be_written(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEREC_FILES", f"{bucket}-absent/p")
    (finding,) = [one for one in examine(tmp_path / "home") if one[0] == "files"]
    assert finding[1] == "bad"
    assert f"{bucket}-absent/p/probe-" in finding[2]
    assert "cannot be written" in finding[2]


def test_a_bucket_that_does_not_answer_is_a_problem_document(tmp_path: Path) -> None:
    with s3_environment(f"http://127.0.0.1:{free_port()}"), closing(open_store(tmp_path)) as store:
        home = Files.at(tmp_path, "s3://b/p")
        store.create_project("p")
        with bare_routes(Archive(store, home)) as client:
            answer = client.get("/v1/projects/p/faces/f-1.jpg")
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert "s3://b/p/projects/p/faces/f-1.jpg cannot be looked up" in answer.json()["detail"]
        with pytest.raises(StoreError, match=r"s3://b/p/projects/p/models/m-1/model\.json cannot be read"):
            load_model(home, "p", "m-1")

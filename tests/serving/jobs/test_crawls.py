"""Crawls that come over HTTP: what is refused, and the job with the real networks on a real site."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from facerec_models.analysis.networks import Networks
from serving.archive.handle import Archive
from serving.jobs.crawl import crawl_person
from serving.jobs.runner import JobControl, JobRunner
from serving.settings import Settings
from serving.store.contract import Store
from serving.store.job_rows import Job, JobState
from serving.store.rows import FaceStatus
from tests.builders import sample_picture
from tests.picture_site import PictureSite
from tests.serving.jobs.runners import final
from tests.serving.routes import bare_routes
from tests.waiting import wait_until
from training.crawling.bounds import CrawlConfig

QUICK = CrawlConfig(delay_s=0.02, private_addresses=True)
CRAWL = "/v1/projects/p/people/Eileen_Collins/crawl"


def portrait(mirrored: bool = False, twice: bool = False) -> bytes:
    image = sample_picture("astronaut.png")[0:300, 80:380]
    image = image[:, ::-1] if mirrored else image
    image = np.hstack([image, image]) if twice else image
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, "PNG")
    return file.getvalue()


def put_people(site: PictureSite) -> str:
    site.put("/one.png", portrait(), kind="image/png")
    site.put("/two.png", portrait(mirrored=True), kind="image/png")
    site.put("/pair.png", portrait(twice=True), kind="image/png")
    return site.put("/collins", '<img src="one.png"><img src="two.png"><img src="pair.png"><img src="broken.png">')


@contextmanager
def runner(archive: Archive, networks: Networks, **settings: Any) -> Iterator[None]:
    def work(job: Job, control: JobControl) -> None:
        crawl_person(archive, Settings(home=archive.files.root, **settings), networks, job, control)

    running = JobRunner(archive.store, {"crawl": work}, slots=1, poll_s=0.05, lease_s=3)
    running.start()
    try:
        yield
    finally:
        running.stop()


def ask(client: TestClient, **wanted: object) -> str:
    answer = client.post(CRAWL, json=wanted)
    assert answer.status_code == 202, answer.text
    assert answer.json()["video_id"] is None
    return str(answer.json()["job_id"])


def test_a_site_is_crawled_and_enrolled_and_bad_pictures_are_refused(
    archive: Archive, store: Store, site: PictureSite, networks: Networks
) -> None:
    settings: dict[str, Any] = {"crawl": QUICK}
    address = put_people(site)
    with bare_routes(archive, **settings) as client, runner(archive, networks, **settings):
        job = final(store, ask(client, source=f"site:{address}", max_num=5, discard_multi_face=True))
        assert (job.state, job.error, job.progress, job.kind) == (JobState.SUCCEEDED, None, 1.0, "crawl")
        faces = store.list_faces("p", person_id="Eileen_Collins")
        assert sorted(face.status for face in faces) == ["refused", "taken", "taken"]
        (refused,) = (face for face in faces if face.status is FaceStatus.REFUSED)
        assert refused.reason == "2 faces were found, and only pictures of one were to be taken"
        assert {face.path.split("/")[0] for face in faces} == {"Eileen_Collins"}
        # A source that fails leaves what is there, and says what it is about.
        job = final(store, ask(client, source=f"site:{site.url}/nothing", max_num=5))
        assert job.state is JobState.FAILED
        assert "404" in str(job.error)
        assert len(store.list_faces("p", person_id="Eileen_Collins")) == 3
        assert len(list(archive.files.pictures("p", "Eileen_Collins").glob("*.png"))) == 3


def test_a_cancelled_crawl_keeps_fetched_pictures(
    archive: Archive, store: Store, site: PictureSite, networks: Networks
) -> None:
    settings: dict[str, Any] = {"crawl": CrawlConfig(delay_s=0.5, private_addresses=True)}
    noise = np.random.default_rng(0).integers(0, 256, (20, 9, 12, 3), np.uint8)
    for i, coarse in enumerate(noise):
        file = io.BytesIO()
        Image.fromarray(cv2.resize(coarse, (320, 240))).save(file, "JPEG")
        site.put(f"/{i}.jpg", file.getvalue())
    address = site.put("/all", "".join(f'<img src="/{i}.jpg">' for i in range(20)))
    folder = archive.files.pictures("p", "Eileen_Collins")
    with bare_routes(archive, **settings) as client, runner(archive, networks, **settings):
        job_id = ask(client, source=f"site:{address}", max_num=20)
        wait_until(lambda: len(list(folder.glob("*.jpg"))) >= 2)
        assert client.post(f"/v1/jobs/{job_id}/cancel").status_code == 200
        assert final(store, job_id).state is JobState.CANCELLED
        assert 0 < store.get_job(job_id).progress < 0.7
    assert 2 <= len(list(folder.glob("*.jpg"))) < 15
    assert store.list_faces("p") == []


def test_a_crawl_reads_folders_of_this_machine_only_where_allowed(
    archive: Archive, store: Store, site: PictureSite, networks: Networks, tmp_path: Path
) -> None:
    address = put_people(site)
    opened, closed = tmp_path / "open", tmp_path / "closed"
    for folder in (opened, closed):
        (folder / "Eileen_Collins").mkdir(parents=True)
        (folder / "Eileen_Collins" / "a.png").write_bytes(portrait())
        (folder / "list.txt").write_text(f"{site.url}/one.png\n")
    (opened / "way out").symlink_to(closed)
    settings: dict[str, Any] = {"media_roots": (opened,), "crawl": CrawlConfig(delay_s=0.02)}
    with bare_routes(archive, **settings) as client, runner(archive, networks, **settings):
        for source in (
            f"folder:{closed}",
            f"folder:{opened}/../closed",
            f"folder:{opened}/way out",
            f"urls:{closed}/list.txt",
            "urls:/etc/passwd",
        ):
            answer = client.post(CRAWL, json={"source": source})
            assert answer.status_code == 422
            assert "FACEREC_MEDIA_ROOTS" in answer.json()["detail"]
        for source in (f"site:{address}", f"urls:{opened}/list.txt"):
            job = final(store, ask(client, source=source))
            assert job.state is JobState.FAILED
            assert "no public address" in str(job.error)
        assert site.asked == []
        assert final(store, ask(client, source=f"folder:{opened}")).state is JobState.SUCCEEDED
    assert [face.status for face in store.list_faces("p")] == [FaceStatus.TAKEN]


@pytest.mark.parametrize(
    "wanted",
    [{"source": "yahoo"}, {"source": "site:file:///etc/passwd"}, {"max_num": 0}, {"max_num": 1001}, {"more": 1}, [1]],
)
def test_requests_are_checked_before_anything_is_queued(archive: Archive, store: Store, wanted: object) -> None:
    with bare_routes(archive) as client:
        answer = client.post(CRAWL, json=wanted)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert client.post("/v1/projects/p/people/..%2Fup/crawl", json={}).status_code in (404, 422)
    assert store.list_jobs() == []

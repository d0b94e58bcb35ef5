"""Playing over HTTP: what plays is passed on with ranges, for the rest a job makes a rendition."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from serving.archive.handle import Archive
from serving.store.contract import Store
from serving.store.job_rows import JobState
from tests.serving.jobs.runners import final
from tests.serving.routes import making_renditions, ok, problem
from tests.unit.serving.exports.played_videos import write_media


@pytest.fixture
def film(client: TestClient, tmp_path: Path) -> str:
    """Send a video that no browser plays; return its address."""
    return send(client, write_media(tmp_path / "film.ts", "mpeg2video", sound="mp2"))


def send(client: TestClient, file: Path, project: str = "p") -> str:
    sent = ok(client.post(f"/v1/projects/{project}/videos", files={"file": (file.name, file.read_bytes())}))
    return f"/v1/projects/{project}/videos/{sent['video_id']}"


def playback(client: TestClient, address: str) -> dict[str, Any]:
    found: dict[str, Any] = ok(client.get(f"{address}/playback"))
    return found


def test_what_plays_is_passed_on_as_it_is(client: TestClient, tmp_path: Path) -> None:
    file = write_media(tmp_path / "film.mp4", sound="aac")
    address = send(client, file)
    found = playback(client, address)
    assert (found["state"], found["media_type"], found["why"], found["job_id"]) == ("ready", "video/mp4", None, None)
    answer = client.get(found["url"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
    assert answer.content == file.read_bytes()
    asked = client.post(f"{address}/rendition")
    assert (asked.status_code, asked.json()) == (200, found)
    webm = send(client, write_media(tmp_path / "film.webm", "libvpx"))
    assert client.get(playback(client, webm)["url"]).headers["content-type"] == "video/webm"


def test_what_does_not_play_plays_after_a_job(client: TestClient, archive: Archive, store: Store, film: str) -> None:
    found = playback(client, film)
    assert (found["state"], found["url"], found["job_id"]) == ("needed", None, None)
    assert "mpeg2video" in found["why"]
    assert f"POST {film}/rendition" in problem(client.get(f"{film}/playable.mp4"), 409)
    asked = client.post(f"{film}/rendition")
    assert asked.status_code == 202
    job_id = asked.json()["job_id"]
    assert ok(client.post(f"{film}/rendition")) == {"job_id": job_id, "video_id": film.rpartition("/")[2]}
    assert playback(client, film) | {"why": None} == found | {"state": "making", "job_id": job_id, "why": None}
    with making_renditions(archive):
        job = final(store, job_id)
    assert (job.state, job.progress, job.kind) == (JobState.SUCCEEDED, 1.0, "rendition")
    found = playback(client, film)
    assert (found["state"], found["media_type"], found["job_id"]) == ("ready", "video/mp4", None)
    assert client.post(f"{film}/rendition").status_code == 200
    assert client.get(found["url"]).content[4:8] == b"ftyp"


def test_ranges_of_a_rendition_are_answered(client: TestClient, archive: Archive, store: Store, film: str) -> None:
    with making_renditions(archive):
        final(store, ok(client.post(f"{film}/rendition"))["job_id"])
    url = f"{film}/playable.mp4"
    whole = client.get(url)
    size, etag = len(whole.content), whole.headers["etag"]
    assert whole.headers["accept-ranges"] == "bytes"
    part = client.get(url, headers={"Range": "bytes=4-7", "If-Range": etag})
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert part.headers["content-range"] == f"bytes 4-7/{size}"
    assert client.get(url, headers={"Range": "bytes=-5"}).content == whole.content[-5:]
    assert client.get(url, headers={"Range": f"bytes={size}-"}).status_code == 416
    assert client.get(url, headers={"Range": "bytes=4-7", "If-Range": '"other"'}).content == whole.content
    head = client.head(url)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(size))
    assert (head.headers["etag"], head.headers["last-modified"]) == (etag, whole.headers["last-modified"])


def test_playing_counts_as_a_play_and_asking_does_not(
    client: TestClient, archive: Archive, store: Store, film: str
) -> None:
    with making_renditions(archive):
        final(store, ok(client.post(f"{film}/rendition"))["job_id"])
    (file,) = archive.files.renditions.iterdir()
    os.utime(file, (1000.0, file.stat().st_mtime))
    url = playback(client, film)["url"]
    assert file.stat().st_atime == 1000.0
    assert client.head(url).status_code == 200
    assert file.stat().st_atime > 1000.0


def test_projects_with_the_same_content_share_a_rendition(
    client: TestClient, archive: Archive, store: Store, tmp_path: Path, film: str
) -> None:
    store.create_project("q")
    other = send(client, tmp_path / "film.ts", "q")
    with making_renditions(archive):
        jobs = [ok(client.post(f"{address}/rendition"))["job_id"] for address in (film, other)]
        assert [final(store, job_id).state for job_id in jobs] == [JobState.SUCCEEDED] * 2
    assert len(list(archive.files.renditions.iterdir())) == 1
    assert ok(client.delete(film))["renditions_removed"] == 0
    assert playback(client, other)["state"] == "ready"
    assert ok(client.delete(other))["renditions_removed"] == 1


def test_a_rendition_that_was_removed_is_made_again(
    client: TestClient, archive: Archive, store: Store, film: str
) -> None:
    with making_renditions(archive):
        first = ok(client.post(f"{film}/rendition"))["job_id"]
        final(store, first)
        (file,) = archive.files.renditions.iterdir()
        file.unlink()
        assert playback(client, film)["state"] == "needed"
        again = ok(client.post(f"{film}/rendition"))["job_id"]
        assert again != first
        assert final(store, again).state is JobState.SUCCEEDED
    assert playback(client, film)["state"] == "ready"


def test_a_cancelled_job_is_no_obstacle_and_one_tried_again_is_seen(client: TestClient, film: str) -> None:
    job_id = ok(client.post(f"{film}/rendition"))["job_id"]
    ok(client.post(f"/v1/jobs/{job_id}/cancel"))
    assert playback(client, film)["state"] == "needed"
    ok(client.post(f"/v1/jobs/{job_id}/retry"))
    assert playback(client, film)["job_id"] == job_id
    assert ok(client.post(f"{film}/rendition"))["job_id"] == job_id


def test_each_picture_track_has_a_rendition_of_its_own(client: TestClient, film: str) -> None:
    assert ok(client.get(f"{film}/playback", params={"stream": 0}))["state"] == "needed"
    assert "picture track 7" in problem(client.get(f"{film}/playback", params={"stream": 7}), 422)


def test_a_video_whose_file_is_gone_is_told(client: TestClient, archive: Archive, film: str) -> None:
    for file in archive.files.uploads.iterdir():
        file.unlink()
    assert "submit it again" in problem(client.get(f"{film}/playback"), 422)


@pytest.mark.parametrize("asked", ["playback", "playable.mp4"])
def test_a_video_that_is_not_there_is_told(client: TestClient, asked: str) -> None:
    problem(client.get(f"/v1/projects/p/videos/v-none/{asked}"), 404)
    problem(client.post("/v1/projects/p/videos/v-none/rendition"), 404)


def test_what_cannot_be_read_to_the_end_of_its_header_fails_in_one_line(
    client: TestClient, archive: Archive, store: Store, film: str
) -> None:
    job_id = ok(client.post(f"{film}/rendition"))["job_id"]
    (file,) = archive.files.uploads.iterdir()
    file.write_bytes(bytes(1000))
    with making_renditions(archive):
        job = final(store, job_id)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert "'film.ts'" in job.error
    assert "\n" not in job.error
    assert list(archive.files.renditions.iterdir()) == []


def test_a_still_is_made_once_and_goes_with_its_video(
    client: TestClient, archive: Archive, clip: Path, tmp_path: Path
) -> None:
    sent = ok(client.post("/v1/projects/p/videos", files={"file": ("a.mp4", clip.read_bytes())}))
    (glance,) = ok(client.get("/v1/projects/p/glances", params={"video": sent["video_id"]}))
    assert (glance["analysed"], glance["people"], glance["total"]) == (False, [], 0)
    answer = client.get(glance["still"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert "max-age" in answer.headers["cache-control"]
    picture = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert max(picture.shape[:2]) <= 480
    assert picture.std() > 5
    video = archive.store.get_video("p", sent["video_id"])
    archive.store.put_video(replace(video, file=str(tmp_path / "gone.mp4")))
    assert client.get(glance["still"]).content == answer.content
    archive.store.put_video(video)
    assert list(archive.files.renditions.glob("*.jpg"))
    ok(client.delete(f"/v1/projects/p/videos/{sent['video_id']}"))
    assert not list(archive.files.renditions.glob("*.jpg"))
    problem(client.get(glance["still"]), 404)


def test_a_still_of_a_file_that_is_gone_is_refused(client: TestClient, archive: Archive, clip: Path) -> None:
    sent: Any = ok(client.post("/v1/projects/p/videos", files={"file": ("a.mp4", clip.read_bytes())}))
    Path(archive.store.get_video("p", sent["video_id"]).file).unlink()
    assert "no longer there" in problem(client.get(f"/v1/projects/p/videos/{sent['video_id']}/still.jpg"), 422)

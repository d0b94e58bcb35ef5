"""Ids in paths that are given by their beginning, and videos by their names."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from serving.archive.handle import Archive
from serving.jobs import runner
from tests.archive import fill, put_video
from tests.serving.routes import identified, ok, problem

BASE = "/v1/projects/p"


@pytest.fixture
def archive(archive: Archive) -> Archive:
    """The archive with two named videos in it."""
    fill(archive)
    return archive


def test_a_path_takes_the_beginning_of_an_id(client: TestClient, archive: Archive) -> None:
    put_video(archive, "v-long-id", 2)
    assert ok(client.get(f"{BASE}/videos/v-lo"))["video_id"] == "v-long-id"
    model, *_ = ok(client.get(f"{BASE}/models"))
    assert (
        ok(client.post(f"{BASE}/models/{model['version'][:5]}/promote", params={"preview": True}))["applied"] is False
    )
    stranger, *_ = ok(client.get(f"{BASE}/strangers"))["items"]
    assert ok(client.get(f"{BASE}/strangers/{stranger['stranger'][:13]}")) == ok(
        client.get(f"{BASE}/strangers/{stranger['stranger']}")
    )
    applied = identified(client, archive, max_false_names=0.01)
    assert ok(client.post(f"{BASE}/history/{applied['edit']}/undo"))["applied"]
    job = runner.submit(archive.store, "p", "training", {}, max_queued=9)
    assert ok(client.get(f"/v1/jobs/{job.job_id[:6]}"))["job_id"] == job.job_id
    assert client.get(f"{BASE}/videos/v-1/crops/a-v-1/1/0.jpg").content == (
        client.get(f"{BASE}/videos/v-1.mp4/crops/a-v-1/1/0.jpg").content
    )


def test_a_video_in_a_path_may_be_its_name(client: TestClient, archive: Archive) -> None:
    store = archive.store
    assert ok(client.get(f"{BASE}/videos/v-2.mp4"))["video_id"] == "v-2"
    store.put_video(replace(store.get_video("p", "v-2"), name="v-1.mp4"))
    assert "2 videos of project 'p': give the id of one, v-1, v-2" in problem(client.get(f"{BASE}/videos/v-1.mp4"), 422)


def test_an_ambiguous_beginning_in_a_path_lists_the_candidates(client: TestClient, archive: Archive) -> None:
    for number, video_id in enumerate(("v-31", "v-32"), 2):
        put_video(archive, video_id, number)
    assert "several ids, give more of it: v-31, v-32" in problem(client.get(f"{BASE}/videos/v-3"), 422)
    assert "several ids, give more of it: f-10, f-11, f-12" in problem(client.get(f"{BASE}/faces/f-1.jpg"), 422)


def test_what_is_no_beginning_of_an_id_is_not_found(client: TestClient) -> None:
    for path in (f"{BASE}/videos/v-none", f"{BASE}/faces/f-none.jpg", "/v1/jobs/j-none"):
        problem(client.get(path), 404)
    assert "give more of it" in problem(client.get(f"{BASE}/videos/v-"), 422)

"""Videos at a glance over HTTP: a picture that is made once, and who is in them."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient
from PIL import Image

from serving.archive.handle import Archive
from tests.archive import fill
from tests.serving.routes import ok, problem

BASE = "/v1/projects/p"


def test_a_glance_tells_who_is_seen_longest(client: TestClient, archive: Archive) -> None:
    fill(archive)
    (one,) = ok(client.get(f"{BASE}/glances", params={"video": ["v-2", "v-none"], "most": 3}))
    assert (one["video_id"], one["analysed"], one["total"], len(one["people"])) == ("v-2", True, 4, 3)
    rows = archive.store.list_appearances("p", [archive.store.latest_analysis("p", "v-2").analysis_id])
    longest = sorted({row.owner: row.end_s - row.start_s for row in rows}.values(), reverse=True)
    assert [person["seconds"] for person in one["people"]] == longest[:3]
    everybody = ok(client.get(f"{BASE}/glances", params={"video": "v-2"}))[0]["people"]
    assert {person["label"] for person in everybody} == {"Ann Lee", "Bob", "Unknown 1", "Unknown 2"}
    assert all(person["crop"].startswith(f"{BASE}/videos/v-2/crops/") for person in everybody)
    ok(client.post(f"{BASE}/strangers/Unknown 1/hide"))
    (one,) = ok(client.get(f"{BASE}/glances", params={"video": "v-2"}))
    assert one["total"] == 3
    assert "Unknown 1" not in [person["label"] for person in one["people"]]


def test_videos_are_found_by_the_names_of_who_is_in_them(client: TestClient, archive: Archive) -> None:
    fill(archive)
    found = ok(client.get(f"{BASE}/videos-with", params={"name": "ÁNN l"}))
    assert found == {"video_ids": ["v-1", "v-2"], "people": ["Ann_Lee"], "is_all": True}
    assert ok(client.get(f"{BASE}/videos-with", params={"name": "Cy"}))["video_ids"] == []
    problem(client.get(f"{BASE}/videos-with", params={"name": ""}), 422)


def test_a_still_is_made_once_and_goes_with_its_video(
    client: TestClient, archive: Archive, clip: Path, tmp_path: Path
) -> None:
    sent = ok(client.post(f"{BASE}/videos", files={"file": ("a.mp4", clip.read_bytes())}))
    (glance,) = ok(client.get(f"{BASE}/glances", params={"video": sent["video_id"]}))
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
    ok(client.delete(f"{BASE}/videos/{sent['video_id']}"))
    assert not list(archive.files.renditions.glob("*.jpg"))
    problem(client.get(glance["still"]), 404)


def test_a_still_of_a_file_that_is_gone_is_refused(client: TestClient, archive: Archive, clip: Path) -> None:
    sent: Any = ok(client.post(f"{BASE}/videos", files={"file": ("a.mp4", clip.read_bytes())}))
    Path(archive.store.get_video("p", sent["video_id"]).file).unlink()
    assert "no longer there" in problem(client.get(f"{BASE}/videos/{sent['video_id']}/still.jpg"), 422)

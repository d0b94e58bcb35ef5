"""Parts of real footage that are analysed one after the other, over HTTP: what of the video is then known, and who was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.mtcnn import MtcnnDetector
from serving.archive.forget import forget
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import train
from serving.settings import Settings
from tests.serving.in_process import in_process, wait

PEOPLE = ("Joey_Tribbiani", "Phoebe_Buffay")


@pytest.fixture
def client(detector: MtcnnDetector, embedder: FaceEmbedder, eval_data: Path, tmp_path: Path) -> Iterator[TestClient]:
    """A service that knows two of the people in the footage, in the project ``p``."""
    settings = Settings(home=tmp_path, media_roots=(eval_data / "videos",))
    with in_process(settings, detector, embedder) as (client, service):
        client.put("/v1/projects/p")
        for person in PEOPLE:
            files = [("files", (path.name, path.read_bytes())) for path in (eval_data / "gallery" / person).iterdir()]
            assert client.post(f"/v1/projects/p/people/{person}/pictures", files=files).status_code == 200
        train(service.archive, "p")
        yield client


@pytest.fixture
def film(eval_data: Path) -> str:
    return (eval_data / "videos" / "friends_six_15s.mp4").as_uri()


def submit(client: TestClient, film: str, **settings: object) -> tuple[str, str]:
    sent = client.post("/v1/projects/p/videos", json={"uri": film, **settings}).json()
    assert wait(client, sent["job_id"])["state"] == "succeeded"
    return f"/v1/jobs/{sent['job_id']}/result", f"/v1/projects/p/videos/{sent['video_id']}/result"


def batch(client: TestClient, table: str) -> list[Any]:
    items: list[Any] = client.post("/v1/projects/p/batches", files={"file": ("many.csv", table.encode())}).json()
    for item in items:
        if item["job_id"]:
            assert wait(client, item["job_id"])["state"] == "succeeded"
    return items


def people(result: Any) -> set[str]:
    return {one["person_id"] for one in result["appearances"] if one["person_id"]}


def test_two_fragments_are_the_answer_together_and_a_film_covers_them(client: TestClient, film: str) -> None:
    first, answer = submit(client, film, fragment=[0, 2])
    second, _ = submit(client, film, fragment=[2.5, 4.5])
    found = client.get(answer).json()
    assert (found["sampling"]["fragment"], found["sampling"]["fragments"]) == ([0, 4.5], [[0, 2], [2.5, 4.5]])
    (listed,) = client.get("/v1/projects/p/videos").json()
    assert (listed["analysed"], listed["fragments"]) == (True, [[0, 2], [2.5, 4.5]])
    assert client.get(f"/v1/projects/p/videos/{listed['video_id']}").json() == listed
    assert people(found) == {*PEOPLE}
    own = [client.get(one).json() for one in (first, second)]
    assert [one["sampling"]["fragments"] for one in own] == [[[0, 2]], [[2.5, 4.5]]]
    assert people(own[0]) == {"Joey_Tribbiani"}
    for person in PEOPLE:
        items = client.get("/v1/projects/p/appearances", params={"person_id": person}).json()["items"]
        assert [one["start_s"] for one in items] == [
            one["start_s"] for one in found["appearances"] if one["person_id"] == person
        ]
    strangers = {one["stranger"] for one in client.get("/v1/projects/p/strangers").json()["items"]}
    assert strangers == {one["stranger"] for one in found["appearances"] if one["stranger"]}
    for one in found["appearances"]:
        for crop in one["evidence"]["crops"]:
            assert client.get(crop["url"]).status_code == 200
    assert client.get(answer.replace("result", "annotated.mp4")).headers["content-type"] == "video/mp4"
    submit(client, film)
    whole = client.get(answer).json()
    assert whole["sampling"]["fragments"] is None
    submit(client, film, fragment=[0, 1.5])
    assert client.get(answer).json()["tracks"] == whole["tracks"]


def test_a_batch_answers_for_each_line_whether_who_is_asked_for_was_found(client: TestClient, film: str) -> None:
    table = (
        f"media,start,end,person\n{film},0,2,Joey Tribbiani\n{film},0,2,Phoebe_Buffay\n{film},8,12,\nnone.mp4,1,2,\n"
    )
    items = batch(client, table)
    assert [item["error"] is None for item in items] == [True, True, True, False]
    assert items[3]["error"].startswith("many.csv, line 5: 'none.mp4' is no video")
    joey, phoebe, nobody = (client.get(f"/v1/jobs/{item['job_id']}/result").json() for item in items[:3])
    times = [[a["start_s"], a["end_s"]] for a in joey["appearances"] if a["person_id"] == "Joey_Tribbiani"]
    assert joey["asked_for"] == [
        {
            "person_id": "Joey_Tribbiani", "identity": "Joey Tribbiani", "enrolled": True, "found": True,
            "intervals": times,
        }
    ]  # fmt: skip
    assert [(one["person_id"], one["found"]) for one in phoebe["asked_for"]] == [("Phoebe_Buffay", False)]
    assert nobody["asked_for"] == []
    assert [item["job_id"] for item in batch(client, table)] == [item["job_id"] for item in items]
    refused = client.post("/v1/projects/p/batches", files={"file": ("many.csv", table.replace("Joey ", "a/").encode())})
    assert "many.csv, line 2: person name" in refused.json()["detail"]
    # Who is forgotten is asked for no more.
    archive: Archive = client.app.state.service.archive  # type: ignore[attr-defined]
    forget(archive, "p", "Phoebe_Buffay")
    assert client.get(f"/v1/jobs/{items[1]['job_id']}/result").json()["asked_for"] == []
    assert "Phoebe" not in repr([job.spec for job in archive.store.list_jobs("p")])

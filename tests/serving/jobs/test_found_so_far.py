"""What a job that is at work has found so far, as the routes tell it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from facerec_models.analysis.networks import Networks
from facerec_models.config import AnalysisConfig, SamplingConfig
from serving.archive.handle import Archive
from serving.archive.privacy.policy import Policy, set_policy
from serving.archive.videos import register_video
from serving.jobs import found_so_far
from serving.jobs.runner import JobControl, JobRunner, submit
from serving.jobs.video import VideoJobs
from serving.settings import Settings
from serving.store import leases
from serving.store.leases import Lease
from tests.serving.routes import bare_routes, ok, problem
from tests.waiting import WAIT_S
from ui.demo_material import DemoMaterial

PROJECT = "default"


class _Watched(JobControl):
    """Asks what was found whenever progress is reported, as a page would that is open."""

    def __init__(self, runner: JobRunner, claimed: Lease) -> None:
        super().__init__(runner, claimed)
        self.client: TestClient | None = None
        self.answers: list[dict[str, Any]] = []

    @property
    def address(self) -> str:
        return f"/v1/jobs/{self.claimed.job.job_id}/found"

    def report(self, progress: float) -> None:
        super().report(progress)
        if self.client is not None:
            self.answers.append(self.ask(self.client))

    def ask(self, client: TestClient) -> dict[str, Any]:
        answer: dict[str, Any] = ok(client.get(self.address))
        tracks = [ok(client.get(f"{self.address}/{one['part']}")) for one in answer["parts"]]
        return answer | {"tracks": tracks}


@pytest.fixture
def trained(own_trained_home: Path) -> Iterator[Archive]:
    archive = Archive.of(Settings(home=own_trained_home))
    with closing(archive.store):
        yield archive


def claim(archive: Archive, networks: Networks, material: DemoMaterial, segment_s: float) -> tuple[VideoJobs, _Watched]:
    """Claim the job of the reel; return what does it, and with which control."""
    video = register_video(archive.store, PROJECT, material.reel, AnalysisConfig())
    spec = {
        "video_id": video.video_id,
        "sampling": SamplingConfig(fragment=(0.0, 20.0)).model_dump(mode="json"),
        "max_false_names": None,
        "no_cache": True,
    }
    submit(archive.store, PROJECT, "video", spec, max_queued=9, video_id=video.video_id)
    settings = Settings(home=archive.files.root, segment_s=segment_s)
    videos = VideoJobs(archive, settings, lambda: networks)
    runner = JobRunner(archive.store, {"video": videos.lead}, segment_work={"video": videos.help})
    lease = leases.claim(archive.store, ["video"], runner.name, WAIT_S)
    assert lease is not None
    return videos, _Watched(runner, lease)


def names(answer: dict[str, Any]) -> set[str]:
    return {track["identity"] for part in answer["tracks"] for track in part if track["identity"]}


def test_faces_are_shown_with_their_names_before_the_job_has_ended(
    trained: Archive, networks: Networks, material: DemoMaterial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found_so_far, "_PERIOD_S", 0.0)
    videos, control = claim(trained, networks, material, segment_s=600.0)
    nothing = {"video": None, "parts": []}
    with bare_routes(trained) as client:
        control.client = client
        assert ok(client.get(control.address)) == nothing
        videos.lead(control.claimed.job, control)
        for tidy_up in control.leftovers:
            tidy_up()
        assert ok(client.get(control.address)) == nothing
        assert client.get(f"{control.address}/0-0").status_code == 204
        problem(client.get(f"{control.address}/x-0"), 422)
    early = next(one for one in control.answers if any(one["tracks"]))
    assert early["parts"][-1]["until_s"] < 20.0
    assert early["video"]["width"] > 0
    last = [one for one in control.answers if one["parts"]][-1]
    bounds = [(one["start_s"], one["until_s"]) for one in last["parts"]]
    assert bounds[0][0] == 0.0
    assert [end for _, end in bounds[:-1]] == [start for start, _ in bounds[1:]]
    row = trained.store.latest_analysis(PROJECT, control.claimed.job.video_id or "")
    appearances = trained.store.list_appearances(PROJECT, [row.analysis_id])
    final = {str(one.owner).replace("_", " ") for one in appearances if one.decision.value == "named"}
    assert names(last)
    assert names(last) <= final
    for part in last["tracks"]:
        for track in part:
            assert len(track["times_s"]) == len(track["boxes_xyxy"]) > 0
            assert track["picture"].startswith("data:image/jpeg;base64,")


def test_each_segment_shows_what_is_in_it_when_it_is_done(
    trained: Archive, networks: Networks, material: DemoMaterial
) -> None:
    set_policy(trained.store, PROJECT, Policy(keep_unmatched=False))
    videos, control = claim(trained, networks, material, segment_s=6.0)
    videos.lead(control.claimed.job, control)  # and dies before it could tidy up
    with bare_routes(trained) as client:
        found = control.ask(client)
    job = trained.store.get_job(control.claimed.job.job_id)
    assert len({one["part"].split("-")[0] for one in found["parts"]}) == len(job.segments) > 1
    assert all(one["start_s"] <= one["until_s"] for one in found["parts"])
    assert names(found)
    # Where strangers' faces are not kept, none of them is shown, not even for now.
    tracks = [track for part in found["tracks"] for track in part]
    assert all((track["picture"] is None) == (track["identity"] is None) for track in tracks)

"""The number of analyzers follows the work in the store."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import yaml
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import ServeDeploySchema

from serving.deployments.autoscaling import analyzers_for, count_work, scale_by_queue
from serving.local import find_config
from serving.store.job_rows import Job, JobSegment, JobState
from serving.store.opening import open_store
from tests.serving.service import running_service
from tests.waiting import wait_until
from ui.client import FacerecClient
from ui.demo_material import DemoMaterial

NOW = 1000.0


def job(kind: str, state: JobState, *segments: JobState, cancelled: bool = False) -> Job:
    parts = tuple(JobSegment(index, 0.0, None, state=each) for index, each in enumerate(segments))
    return Job("j", "p", kind, state, {}, 0.0, 0.0, segments=parts, cancel_requested=cancelled)


def test_parts_that_are_open_are_counted() -> None:
    queued, running, done = JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED
    jobs = [
        job("video", queued),
        job("video", running),  # not divided yet
        job("video", running, done, running, queued, queued),
        job("video", running, done, done),  # its leader joins them
        job("video", running, queued, queued, cancelled=True),
        job("video", done, done),
        job("crawl", queued),
        job("training", running),
        job("rendition", queued),
    ]
    assert count_work(jobs, ["video", "crawl"], ["training"]) == {"parts": 8, "apart": 1}


@pytest.mark.parametrize(
    ("parts", "apart", "slots", "present", "expected"),
    [
        (0, 0, 1, 1, 1),
        (0, 0, 1, 4, 1),  # idle ones go, but for one
        (5, 0, 1, 1, 5),
        (5, 0, 2, 1, 3),
        (0, 2, 1, 1, 2),
        (1, 1, 1, 3, 3),  # none goes that may be training
        (5, 1, 1, 3, 5),
    ],
)
def test_there_are_as_many_analyzers_as_work(parts: int, apart: int, slots: int, present: int, expected: int) -> None:
    assert analyzers_for(parts, apart, slots, present) == expected


def context(target: int, **told: dict[str, list[tuple[float, float]]]) -> Any:
    """What Serve tells the policy: for each number what each replica told, and when."""
    metrics = {
        name: {
            replica: [SimpleNamespace(timestamp=at, value=value) for at, value in points]
            for replica, points in series.items()
        }
        for name, series in told.items()
    }
    return SimpleNamespace(raw_metrics=metrics, current_time=NOW, target_num_replicas=target)


def test_the_newest_number_counts_whoever_told_it() -> None:
    told = {"apart": {"a": [(NOW, 0.0)]}, "slots": {"a": [(NOW, 1.0)]}}
    parts = {"a": [(NOW - 9, 7.0), (NOW - 5, 6.0)], "b": [(NOW - 20, 9.0), (NOW - 1, 3.0)], "c": []}
    assert scale_by_queue(context(1, parts=parts, **told))[0] == 3


def test_nothing_changes_while_nobody_tells_anything() -> None:
    old = {name: {"a": [(NOW - 61, 0.0)]} for name in ("parts", "apart", "slots")}
    assert scale_by_queue(context(3, **old))[0] == 3
    assert scale_by_queue(context(3))[0] == 3
    # Without an analyzer nobody would ever see the queue.
    assert scale_by_queue(context(0))[0] == 1


def with_bounds(folder: Path, **bounds: Any) -> Path:
    """Write the shipped configuration, with analyzers whose number follows the work."""
    document = yaml.safe_load(find_config().read_text())
    analyzer = next(one for one in document["applications"][0]["deployments"] if one["name"] == "VideoAnalyzer")
    policy = {"policy_function": "serving.deployments.autoscaling:scale_by_queue"}
    analyzer["autoscaling_config"] = {**bounds, "policy": policy}
    ServeDeploySchema(**document)
    AutoscalingConfig(**analyzer["autoscaling_config"])
    config = folder / "serve_config.yaml"
    config.write_text(yaml.safe_dump(document))
    return config


def test_analyzers_come_for_the_work_and_go_after_it(material: DemoMaterial, tmp_path: Path) -> None:
    config = with_bounds(
        tmp_path,
        min_replicas=1,
        max_replicas=2,
        upscale_delay_s=0.5,
        downscale_delay_s=0.5,
        # Serve's own defaults are to be told every ten seconds, of thirty.
        metrics_interval_s=0.5,
        look_back_period_s=3.0,
    )
    home = tmp_path / "home"
    with running_service(home, {"FACEREC_SEGMENT_S": "3"}, config=config) as running:

        def analyzers() -> int:
            found = 0
            for child in psutil.Process(running.process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    name = " ".join(child.cmdline())
                    found += "ServeReplica" in name and "VideoAnalyzer" in name
            return found

        with FacerecClient(running.url) as client:
            client.create_project("p")
            assert analyzers() == 1
            submitted = [client.submit_video("p", material.reel, no_cache=True) for _ in range(2)]
            wait_until(lambda: analyzers() == 2, period_s=0.3)
            assert {client.wait(job_id).state for job_id, _ in submitted} == {"succeeded"}
            wait_until(lambda: analyzers() == 1, period_s=0.3)
    with closing(open_store(home)) as store:
        for job_id, _ in submitted:
            segments = store.get_job(job_id).segments
            # Work that is handed back is no attempt that failed.
            assert [segment.attempt for segment in segments] == [1] * len(segments)

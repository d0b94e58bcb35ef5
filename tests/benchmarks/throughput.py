"""The service against the chain in one process: ``python -m tests.benchmarks.throughput VIDEO VIDEO VIDEO VIDEO --home HOME``.

Measures, in one run on the same cores: the videos one after the other in this process; the same through a warm service, one after
the other; and all together. HOME has a trained project ``default``. Meanwhile ``/healthz`` is asked every half second.
"""

from __future__ import annotations

import argparse
import os
import statistics
import threading
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import httpx

from facerec_models.analysis.analyze import analyze
from facerec_models.analysis.networks import load_networks
from facerec_models.config import EmbeddingConfig
from facerec_models.identification.cohort import load_cohort
from serving.archive.files import Files
from serving.local import run_service
from serving.settings import Settings
from tests.benchmarks.command import say

_PORT = 8750


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.throughput", description=__doc__)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    alone: list[float] = []
    sequential: list[float] = []
    together: list[float] = []
    health: list[float] = []
    with (
        run_service(arguments.home, host="127.0.0.1", port=_PORT) as url,
        httpx.Client(base_url=url, timeout=120) as client,
    ):
        _through_service(client, arguments.videos, at_once=False)
        local = _Chain(arguments.home)
        local.run(arguments.videos)
        stop = threading.Event()
        poller = threading.Thread(target=_poll, args=(url, stop, health), daemon=True)
        poller.start()
        for _ in range(arguments.rounds):
            alone.append(local.run(arguments.videos))
            sequential.append(_through_service(client, arguments.videos, at_once=False))
            together.append(_through_service(client, arguments.videos, at_once=True))
            say(f"in process {alone[-1]:.1f} s, service in turn {sequential[-1]:.1f} s, together {together[-1]:.1f} s")
        stop.set()
        poller.join()
    say(f"together / in turn:    {statistics.median(t / s for t, s in zip(together, sequential, strict=True)):.2f}")
    say(f"together / in process: {statistics.median(t / a for t, a in zip(together, alone, strict=True)):.2f}")
    say(f"/healthz: median {statistics.median(health):.3f} s, slowest {max(health):.3f} s of {len(health)}")


class _Chain:
    """The networks and the chain in this process."""

    def __init__(self, home: Path) -> None:
        settings = Settings(home=home)
        self._config = settings.analysis.model_copy(update={"embedding": EmbeddingConfig(embedder="dlib")})
        self._networks = load_networks(self._config, Files(home).weights, None)
        self._pair = load_cohort(self._networks.embedder.name).pair

    def run(self, videos: list[Path]) -> float:
        start = time.perf_counter()
        for video in videos:
            analyze(video, self._config, self._networks.detector, self._networks.embedder, self._pair)
        return time.perf_counter() - start


def _through_service(client: httpx.Client, videos: list[Path], *, at_once: bool) -> float:
    start = time.perf_counter()
    waiting: list[str] = []
    for video in videos:
        with video.open("rb") as file:
            answer = client.post(
                "/v1/projects/default/videos",
                files={"file": (video.name, file)},
                data={"settings": '{"no_cache": true}'},
            )
        answer.raise_for_status()
        waiting.append(answer.json()["job_id"])
        if not at_once:
            _wait(client, waiting)
    _wait(client, waiting)
    return time.perf_counter() - start


def _wait(client: httpx.Client, job_ids: list[str]) -> None:
    for job_id in job_ids:
        while (job := client.get(f"/v1/jobs/{job_id}").json())["state"] in {"queued", "running"}:
            time.sleep(0.1)
        if job["state"] != "succeeded":
            raise RuntimeError(f"job {job_id}: {job['error']}")


def _poll(url: str, stop: threading.Event, times: list[float]) -> None:
    while not stop.wait(0.5):
        start = time.perf_counter()
        httpx.get(f"{url}/healthz", timeout=30).raise_for_status()
        times.append(time.perf_counter() - start)


if __name__ == "__main__":
    main()

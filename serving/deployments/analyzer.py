"""The deployment that analyses videos: it claims jobs from the store, and owns decoder and tracker of each."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from ray.serve.handle import DeploymentHandle

from facerec_models.analysis.networks import Networks
from serving.archive.room import has_room_for_jobs
from serving.deployments.autoscaling import SLOTS, count_work
from serving.deployments.detector import DetectorProxy
from serving.deployments.embedder import EmbedderProxy
from serving.deployments.reporting import begin_reporting
from serving.jobs.crawl import crawl_person
from serving.jobs.fetch import FETCH, fetch_video
from serving.jobs.name_again import KIND
from serving.jobs.nodes import open_shared_archive
from serving.jobs.rendition import RENDITION, make_rendition
from serving.jobs.runner import JobRunner, Work, stop_all
from serving.jobs.sweep import sweep
from serving.jobs.training import run_apart
from serving.jobs.video import VideoJobs
from serving.jobs.watched_folders import FolderWatcher
from serving.jobs.webhooks import WebhookSender
from serving.settings import Settings
from serving.store.job_rows import JobState
from serving.telemetry.metrics import expect_jobs
from serving.telemetry.redaction import Redaction

# An analysis that is under way waits for room in a full queue rather than begin again.
_PATIENCE_S = 300.0
# Within the `graceful_shutdown_timeout_s` of serve_config.yaml, after which Serve kills the replica.
_STOP_S = 10.0
# They wait for servers, and compute little.
_FETCHES = 2
# More waiting jobs than any number of analyzers that is allowed: the rest changes nothing.
_COUNTED = 500


class AnalyzerReplica:
    """Works on the store's jobs; frames and crops go to the batched deployments.

    Parameters
    ----------
    slots : int
        Videos, or segments of them, at a time. More than one share the process, and its death.
    """

    def __init__(
        self, settings: Settings, detector: DeploymentHandle[Any], embedder: DeploymentHandle[Any], slots: int = 1
    ) -> None:
        expect_jobs()
        begin_reporting(settings)
        self._archive = open_shared_archive(settings)
        self._slots = slots
        self._detector = detector
        self._embedder = embedder
        self._networks: Networks | None = None
        videos = VideoJobs(self._archive, settings, self._connect)
        work: dict[str, Work] = {
            "crawl": lambda job, control: crawl_person(self._archive, settings, self._connect(), job, control),
            "video": videos.lead,
        }
        apart: dict[str, Work] = dict.fromkeys(("training", "second_set", KIND), partial(run_apart, settings))
        self._kinds, self._kinds_apart = tuple(work), tuple(apart)
        has_room = has_room_for_jobs(settings)
        # What computes in a process of its own takes no video's place.
        self._runners = [
            JobRunner(
                self._archive.store,
                work,
                segment_work={"video": videos.help},
                slots=slots,
                webhooks=WebhookSender(settings.webhook, Redaction.of(settings).redact),
                when_idle=partial(sweep, self._archive, settings.sources),
                has_room=has_room,
            ),
            JobRunner(self._archive.store, apart, slots=1, has_room=has_room),
            JobRunner(
                self._archive.store,
                {FETCH: partial(fetch_video, self._archive, settings)},
                slots=_FETCHES,
                has_room=has_room,
            ),
            # In a thread that gives way to all others.
            JobRunner(
                self._archive.store,
                {RENDITION: partial(make_rendition, self._archive, settings)},
                slots=1,
                has_room=has_room,
            ),
        ]
        for runner in self._runners:
            runner.start()
        self._watcher = FolderWatcher(self._archive, settings) if settings.watched else None
        if self._watcher is not None:
            self._watcher.start()

    def wake(self) -> None:
        """Try to claim a job now."""
        for runner in self._runners:
            runner.wake()

    def check_health(self) -> None:
        """Raise if the replica cannot work on jobs."""
        for runner in self._runners:
            runner.check_health()
        if self._watcher is not None:
            self._watcher.check_health()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Tell Serve how much there is to do, where the number of analyzers follows it; see `scale_by_queue`."""
        return await asyncio.to_thread(self._count_work)

    async def drain(self, timeout_s: float) -> None:
        """Take no more jobs, and hand back those that are under way, for others to go on with at once."""
        await asyncio.to_thread(self._stop, timeout_s)

    def __del__(self) -> None:
        if hasattr(self, "_watcher"):  # it was made
            self._stop(_STOP_S)

    def _count_work(self) -> dict[str, float]:
        store = self._archive.store
        jobs = [
            *store.list_jobs(None, [JobState.RUNNING]),
            *store.list_jobs(None, [JobState.QUEUED], limit=_COUNTED),
        ]
        return {**count_work(jobs, self._kinds, self._kinds_apart), SLOTS: self._slots}

    def _stop(self, timeout_s: float) -> None:
        if self._watcher is not None:
            self._watcher.stop()
        stop_all(self._runners, timeout_s)

    def _connect(self) -> Networks:
        if self._networks is None:
            self._networks = Networks(
                DetectorProxy(self._detector, patience_s=_PATIENCE_S),
                EmbedderProxy(self._embedder, patience_s=_PATIENCE_S),
            )
        return self._networks

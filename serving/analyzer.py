"""The deployment that analyses videos: it claims jobs from the store, and owns decoder and tracker of each."""

from __future__ import annotations

from typing import Any

from ray.serve.handle import DeploymentHandle

from facerec_models.config import SamplingConfig
from serving.crawls import crawl_person
from serving.detector import DetectorProxy
from serving.embedder import EmbedderProxy
from serving.home import Home
from serving.jobs import JobControl, JobRunner, Work
from serving.naming import assign, current_revision
from serving.networks import Networks
from serving.settings import Settings
from serving.store import open_store
from serving.store.rows import Job
from serving.videos import analyze_video, find_analysis
from training.jobs import run_training

# An analysis that is under way waits for room in a full queue rather than begin again.
_PATIENCE_S = 300.0


class AnalyzerReplica:
    """Works on the store's jobs; frames and crops go to the batched deployments.

    Parameters
    ----------
    slots : int
        Videos at a time. While one waits for a network, another decodes.
    """

    def __init__(
        self, settings: Settings, detector: DeploymentHandle[Any], embedder: DeploymentHandle[Any], slots: int = 2
    ) -> None:
        self._settings = settings
        self._home = Home(settings.home)
        self._store = open_store(settings.home)
        self._detector = detector
        self._embedder = embedder
        self._networks: Networks | None = None
        work: dict[str, Work] = {"training": self._train, "crawl": self._crawl, "video": self._analyze}
        self._runner = JobRunner(self._store, work, slots=slots)
        self._runner.start()

    def wake(self) -> None:
        """Look for a job now."""
        self._runner.wake()

    def check_health(self) -> None:
        """Raise if the replica cannot work on jobs."""
        self._runner.check_health()

    def __del__(self) -> None:
        self._runner.stop()

    def _analyze(self, job: Job, control: JobControl) -> str:
        networks = self._connect()
        spec = job.spec
        config = self._settings.analysis.model_copy(update={"sampling": SamplingConfig(**spec["sampling"])})
        video = self._store.get_video(job.project, spec["video_id"])
        analysis = None if spec["no_cache"] else find_analysis(self._store, video, config, networks.embedder.name)
        if analysis is None:
            analysis = analyze_video(
                self._store,
                self._home,
                video,
                config,
                networks,
                on_progress=control.report,
                should_stop=control.should_stop,
            )
        revision = current_revision(self._store, job.project, self._settings.identification, spec["max_false_names"])
        assign(self._store, self._home, analysis, revision, self._settings.identification)
        control.report(1.0)
        return video.video_id

    def _crawl(self, job: Job, control: JobControl) -> None:
        crawl_person(self._store, self._home, self._settings, self._connect(), job, control)

    def _connect(self) -> Networks:
        if self._networks is None:
            self._networks = Networks(
                DetectorProxy(self._detector, patience_s=_PATIENCE_S),
                EmbedderProxy(self._embedder, patience_s=_PATIENCE_S),
            )
        return self._networks

    def _train(self, job: Job, control: JobControl) -> None:
        run_training(self._settings, job, control)

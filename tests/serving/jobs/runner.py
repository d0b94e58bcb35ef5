"""``python -m tests.serving.jobs.runner HOME SEGMENT_S``: works on a home's video jobs with the real networks until it is stopped."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from facerec_models.analysis.networks import load_networks
from facerec_models.config import AnalysisConfig
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.jobs.runner import JobRunner
from serving.jobs.video import VideoJobs
from serving.settings import Settings
from serving.store.opening import open_store


def main() -> None:
    home, segment_s = Files(Path(sys.argv[1])), float(sys.argv[2])
    settings = Settings(home=home.root, segment_s=segment_s)
    store, networks = open_store(home.root), load_networks(AnalysisConfig(), home.weights, None)
    videos = VideoJobs(Archive(store, home, settings.identification), settings, lambda: networks)
    runner = JobRunner(
        store, {"video": videos.lead}, segment_work={"video": videos.help}, slots=2, lease_s=2.0, poll_s=0.1
    )
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    runner.start()
    stopping.wait()
    runner.stop()


if __name__ == "__main__":
    main()

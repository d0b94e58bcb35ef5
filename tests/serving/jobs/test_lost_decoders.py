"""A job whose decoder crashes, beside one that succeeds in the same process."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Lock

import numpy as np
import pytest

from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.networks import Networks
from facerec_models.config import SamplingConfig
from facerec_models.types import Detections, ImageArray
from facerec_models.video_writer import VideoWriter
from serving.archive.handle import Archive
from serving.archive.videos import register_video
from serving.jobs.runner import JobRunner, submit
from serving.jobs.video import VideoJobs
from serving.settings import Settings
from serving.store.job_rows import JobState
from tests.processes import confined_children
from tests.serving.jobs.runners import final
from tests.waiting import WAIT_S

GOOD, BAD = (160, 120), (192, 108)


def write(path: Path, size: tuple[int, int], seconds: int) -> Path:
    with VideoWriter(path, 10, *size) as writer:
        for i in range(10 * seconds):
            writer.write(np.full((size[1], size[0], 3), i % 250, np.uint8))
    return path


class Saboteur:
    """Finds nobody; crashes the decoder of the bad video while the good one's is at work."""

    engine = "none"

    def __init__(self) -> None:
        self._lock = Lock()
        self._before = set(confined_children())
        self._good: set[int] = set()
        self.good_has_begun, self.bad_has_crashed = Event(), Event()
        self.crashes = 0

    def detect(self, images: Sequence[ImageArray]) -> list[Detections]:
        with self._lock:
            own = set(confined_children()) - self._before
            if images[0].shape[1::-1] == BAD:
                (bad,) = own - self._good
                os.kill(bad, signal.SIGSEGV)
                self.crashes += 1
            else:
                self._good = self._good or own
                self.good_has_begun.set()
        if images[0].shape[1::-1] == GOOD:
            assert self.bad_has_crashed.wait(WAIT_S)
        return [Detections.empty() for _ in images]


@pytest.mark.parametrize("segment_s", [600.0, 10.0])
def test_a_crash_fails_its_job_once_and_no_other(
    archive: Archive, embedder: FaceEmbedder, tmp_path: Path, segment_s: float
) -> None:
    settings = Settings(home=archive.files.root, segment_s=segment_s)
    archive.store.create_project("p")
    saboteur = Saboteur()
    videos = VideoJobs(archive, settings, lambda: Networks(saboteur, embedder))
    runner = JobRunner(archive.store, {"video": videos.lead}, segment_work={"video": videos.help}, slots=2, poll_s=0.02)

    def give(name: str, size: tuple[int, int], seconds: int) -> str:
        video = register_video(archive.store, "p", write(tmp_path / name, size, seconds), settings.analysis, name=name)
        spec = {
            "video_id": video.video_id,
            "sampling": SamplingConfig().model_dump(mode="json"),
            "max_false_names": None,
            "no_cache": False,
        }
        return submit(archive.store, "p", "video", spec, max_queued=9, video_id=video.video_id).job_id

    runner.start()
    try:
        good = give("good.mp4", GOOD, 8)
        assert saboteur.good_has_begun.wait(WAIT_S)
        bad = give("bad.mp4", BAD, 20)
        failed = final(archive.store, bad)
        saboteur.bad_has_crashed.set()
        assert (failed.state, failed.attempt) == (JobState.FAILED, 1)
        assert "'bad.mp4' cannot be decoded: its decoder crashed (signal 11, SIGSEGV)" in str(failed.error)
        assert str(tmp_path) not in str(failed.error)
        assert final(archive.store, good).state is JobState.SUCCEEDED
        # The same process goes on with the next.
        again = give("again.mp4", GOOD, 9)
        assert final(archive.store, again).state is JobState.SUCCEEDED
        runner.check_health()
    finally:
        runner.stop()
    assert saboteur.crashes == (1 if segment_s > 20 else len(failed.segments))

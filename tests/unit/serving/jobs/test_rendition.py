"""The job that makes a rendition gives way to all else, and ends when it must."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from serving.archive.handle import Archive
from serving.archive.videos import register_video
from serving.jobs.rendition import find_rendition_job, make_rendition, submit_rendition
from serving.jobs.runner import JobControl, JobRunner
from serving.settings import Settings
from serving.store import leases
from serving.store.job_rows import Job, JobState
from serving.store.rows import VideoRow
from tests.unit.serving.exports.played_videos import write_media


@pytest.fixture
def settings(archive: Archive) -> Settings:
    return Settings(home=archive.files.root)


@pytest.fixture
def video(archive: Archive, settings: Settings, tmp_path: Path) -> VideoRow:
    file = write_media(tmp_path / "film.avi", "mpeg4", sound="libmp3lame")
    return register_video(archive.store, "p", file, settings.analysis)


def do(archive: Archive, settings: Settings, *, must_stop: bool = False) -> None:
    """Claim a job and do it, in a thread of its own."""

    def work(job: Job, control: JobControl) -> str:
        control.must_stop = must_stop
        return make_rendition(archive, settings, job, control)

    runner = JobRunner(archive.store, {"rendition": work})
    claimed = leases.claim(archive.store, ["rendition"], runner.name, runner.lease_s)
    assert claimed is not None
    thread = threading.Thread(target=runner.do, args=(claimed,))
    thread.start()
    thread.join(60)
    assert not thread.is_alive()


def test_a_job_makes_the_rendition_of_one_track(archive: Archive, settings: Settings, video: VideoRow) -> None:
    job = submit_rendition(archive.store, settings, video, 0)
    assert submit_rendition(archive.store, settings, video, 0) == job
    other = submit_rendition(archive.store, settings, video, 1)
    assert other.job_id != job.job_id
    do(archive, settings)
    assert archive.store.get_job(job.job_id).state is JobState.SUCCEEDED
    assert archive.files.rendition(video.sha256, 0).is_file()
    assert find_rendition_job(archive.store, video, 0) is None
    assert find_rendition_job(archive.store, video, 1) == other


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives threads a niceness of their own")
def test_the_work_has_the_lowest_priority_and_nothing_else_has(
    archive: Archive, settings: Settings, video: VideoRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    seen: list[int] = []

    def look(file: Path, target: Path, *_: Any, **__: Any) -> None:
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        target.write_bytes(b"film")

    monkeypatch.setattr("serving.jobs.rendition.write_rendition", look)
    submit_rendition(archive.store, settings, video, 0)
    do(archive, settings)
    assert seen == [19]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


def test_a_job_that_must_stop_leaves_nothing_and_is_taken_up_again(
    archive: Archive, settings: Settings, video: VideoRow
) -> None:
    job = submit_rendition(archive.store, settings, video, 0)
    do(archive, settings, must_stop=True)
    assert archive.store.get_job(job.job_id).state is JobState.QUEUED
    assert list(archive.files.renditions.iterdir()) == []
    do(archive, settings)
    assert archive.store.get_job(job.job_id).state is JobState.SUCCEEDED


def test_a_video_that_is_deleted_meanwhile_leaves_no_rendition(
    archive: Archive, settings: Settings, video: VideoRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_late(file: Path, target: Path, *_: Any, **__: Any) -> None:
        archive.store.delete_video("p", video.video_id)
        target.write_bytes(b"film")

    monkeypatch.setattr("serving.jobs.rendition.write_rendition", write_late)
    job = submit_rendition(archive.store, settings, video, 0)
    do(archive, settings)
    assert archive.store.get_job(job.job_id).state is JobState.FAILED
    assert list(archive.files.renditions.iterdir()) == []

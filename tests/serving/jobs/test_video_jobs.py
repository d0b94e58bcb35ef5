"""A video in segments, done by processes that are killed, against the same video in one go."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerec_models.analysis.apart.probing import VideoProbe
from facerec_models.analysis.networks import Networks
from facerec_models.analysis.reading.segments import FrameIndex, plan_segments
from facerec_models.analysis.reading.video import Video
from facerec_models.config import AnalysisConfig, SamplingConfig, TrackingConfig
from facerec_models.types import Track
from serving.archive.files import Files
from serving.archive.handle import Archive, open_archive
from serving.archive.learning.enrol import enrol
from serving.archive.learning.model_versions import train
from serving.archive.videos import analyze_video, find_analysis, read_analysis, register_video
from serving.jobs import video as video_jobs
from serving.jobs.runner import JobControl, JobRunner, submit
from serving.jobs.submit import submission_key
from serving.jobs.sweep import sweep
from serving.jobs.video import VideoJobs
from serving.settings import Settings
from serving.sources.config import SourcesConfig
from serving.store import leases
from serving.store.contract import Store
from serving.store.job_rows import JobSegment, JobState
from serving.store.leases import Lease
from serving.store.rows import VideoRow
from tests.serving.jobs.runners import final
from tests.waiting import WAIT_S, wait_until
from training.pictures import find_pictures
from ui.demo_material import DemoMaterial

CONFIG = AnalysisConfig()


@dataclass(frozen=True, slots=True)
class Analysed:
    """An archive with a trained project ``p`` and a video in it that was not analysed."""

    archive: Archive
    video: VideoRow
    networks: Networks

    @property
    def store(self) -> Store:
        return self.archive.store

    @property
    def home(self) -> Files:
        return self.archive.files

    def submit(self, fragment: tuple[float, float] | None = None, *, no_cache: bool = False) -> str:
        spec = {
            "video_id": self.video.video_id,
            "sampling": SamplingConfig(fragment=fragment).model_dump(mode="json"),
            "max_false_names": None,
            "no_cache": no_cache,
        }
        key = submission_key(self.store, self.video, spec, None)
        return submit(self.store, "p", "video", spec, max_queued=9, video_id=self.video.video_id, key=key).job_id

    def tracks(self) -> list[Track]:
        row = find_analysis(self.store, self.video, CONFIG, self.networks.embedder.name)
        assert row is not None
        assert self.store.list_named("p", [row.analysis_id])
        return self.store.get_tracks("p", [row.analysis_id])[row.analysis_id]

    def shots(self) -> tuple[tuple[float, float], ...]:
        row = self.store.latest_analysis("p", self.video.video_id)
        return read_analysis(row, []).shots

    def crops(self) -> int:
        return len(list((self.home.root / "projects/p/analyses").glob("*/*.jpg")))

    def left_over(self) -> list[Path]:
        """Files of jobs that have ended, and files that were never finished."""
        return [*self.home.root.glob("projects/p/jobs/*"), *self.home.root.rglob(".*.*")]


@pytest.fixture(scope="module")
def people(
    material: DemoMaterial, networks: Networks, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Analysed]:
    """Make an archive of its own, of people who were enrolled once for all."""
    trained = tmp_path_factory.mktemp("trained")
    with open_archive(Settings(home=trained)) as archive:
        list(enrol(archive, "p", find_pictures(material.people), networks, CONFIG))
        train(archive, "p")

    def make(name: str) -> Analysed:
        shutil.copytree(trained, folder := tmp_path_factory.mktemp(name) / "home")
        archive = Archive.of(Settings(home=folder))
        return Analysed(archive, register_video(archive.store, "p", material.reel, CONFIG), networks)

    return make


@pytest.fixture(scope="module")
def undisturbed(people: Callable[[str], Analysed]) -> Iterator[Analysed]:
    case = people("undisturbed")
    with closing(case.store):
        row = analyze_video(case.archive, case.video, CONFIG, case.networks)
        assert row.summary["complete"]
        yield case


def assert_same(case: Analysed, undisturbed: Analysed) -> None:
    tracks = case.tracks()
    row = undisturbed.store.latest_analysis("p", undisturbed.video.video_id)
    expected = undisturbed.store.get_tracks("p", [row.analysis_id])[row.analysis_id]
    assert [track.track_id for track in tracks] == [track.track_id for track in expected]
    assert case.shots() == undisturbed.shots()
    for one, other in zip(tracks, expected, strict=True):
        assert one.shot == other.shot
        np.testing.assert_array_equal(one.frame_indexes, other.frame_indexes)
        np.testing.assert_array_equal(one.embedded, other.embedded)
        np.testing.assert_allclose(one.boxes, other.boxes, atol=0.05)
        np.testing.assert_allclose(one.embeddings, other.embeddings, atol=2e-3)
    assert case.crops() == undisturbed.crops()
    wait_until_tidy(case)


def wait_until_tidy(case: Analysed) -> None:
    """Wait for what is left of jobs to be removed, which follows the writing of their success."""

    def is_tidy() -> bool:
        try:
            return not case.left_over()
        except FileNotFoundError:  # a folder was removed while it was read
            return False

    wait_until(is_tidy)


@contextmanager
def running(case: Analysed, segment_s: float, **changes: Any) -> Iterator[JobRunner]:
    settings = Settings(home=case.home.root, segment_s=segment_s, **changes)
    videos = VideoJobs(case.archive, settings, lambda: case.networks)
    runner = JobRunner(case.store, {"video": videos.lead}, segment_work={"video": videos.help}, slots=2, poll_s=0.05)
    runner.start()
    try:
        yield runner
    finally:
        runner.stop()


def test_seven_segments_give_the_tracks_of_one(people: Callable[[str], Analysed], undisturbed: Analysed) -> None:
    case = people("seven")
    with closing(case.store), running(case, 5.5):
        job_id = case.submit()
        job = final(case.store, job_id)
        assert (job.state, job.error) == (JobState.SUCCEEDED, None)
        assert len(job.segments) == 7
        assert {segment.state for segment in job.segments} == {JobState.SUCCEEDED}
        assert_same(case, undisturbed)
        assert case.submit() == job_id


@pytest.fixture
def slow_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listing the frames takes as long as of a very long video."""
    truth = video_jobs.probe_video

    def probe(*args: Any, wants_index: bool = False, **kwargs: Any) -> VideoProbe:
        time.sleep(1.5 * wants_index)
        return truth(*args, wants_index=wants_index, **kwargs)

    monkeypatch.setattr(video_jobs, "probe_video", probe)


@pytest.mark.usefixtures("slow_lists")
def test_a_job_that_is_tried_again_after_the_sweep_is_whole(
    people: Callable[[str], Analysed], undisturbed: Analysed
) -> None:
    case = people("again")
    with closing(case.store), running(case, 5.5):
        job_id = case.submit()
        wait_until(lambda: JobState.SUCCEEDED in {segment.state for segment in case.store.get_job(job_id).segments})
        leases.cancel(case.store, job_id)
        assert final(case.store, job_id).state is JobState.CANCELLED
        assert sweep(case.archive, SourcesConfig()) >= 1
        leases.retry(case.store, job_id)
        job = final(case.store, job_id)
        assert (job.state, job.error) == (JobState.SUCCEEDED, None)
        assert_same(case, undisturbed)


@pytest.mark.usefixtures("slow_lists")
def test_a_job_that_had_done_no_segment_is_planned_anew_when_it_is_tried_again(
    people: Callable[[str], Analysed],
) -> None:
    case = people("unbegun")
    with closing(case.store):
        job_id = case.submit(fragment=(0.0, 9.0))
        leader = leases.claim(case.store, ["video"], "leader", WAIT_S)
        assert leader is not None
        assert leases.plan(case.store, leader, [JobSegment(i, 3.0 * i, 3.0 * i + 3, 0, 9) for i in range(3)])
        leases.cancel(case.store, job_id)
        leases.release(case.store, leader)
        leases.retry(case.store, job_id)
        with running(case, 4.5):
            job = final(case.store, job_id)
        assert (job.state, job.error, len(job.segments)) == (JobState.SUCCEEDED, None, 2)


def divide(case: Analysed) -> Lease:
    """Lead the job with the fragment from 0 to 9 s as one would whose list of frames was swept up: in three segments."""
    leader = leases.claim(case.store, ["video"], "leader", WAIT_S)
    assert leader is not None
    with Video(Path(case.video.file), CONFIG.limits) as video:
        index = video.index()
        assert index is not None
        planned = plan_segments(index, SamplingConfig(fragment=(0.0, 9.0)), video.info.fps, 3)
    segments = [JobSegment(i, part.start_s, part.end_s, part.first, part.end) for i, part in enumerate(planned)]
    assert leases.plan(case.store, leader, segments)
    return leader


def help_all(case: Analysed, job_id: str) -> None:
    """Do the segments of a job that another runner leads."""
    with running(case, 3.0):
        wait_until(lambda: all(segment.state.is_final for segment in case.store.get_job(job_id).segments))


def test_segments_that_were_made_with_other_settings_are_not_joined(people: Callable[[str], Analysed]) -> None:
    case = people("changed")
    changed = CONFIG.model_copy(update={"tracking": TrackingConfig(max_kept=1)})
    with closing(case.store):
        job_id = case.submit(fragment=(0.0, 9.0))
        leader = divide(case)
        help_all(case, job_id)
        leases.release(case.store, leader)
        with running(case, 3.0, analysis=changed):
            job = final(case.store, job_id)
        assert (job.state, job.error) == (JobState.SUCCEEDED, None)
        row = case.store.latest_analysis("p", case.video.video_id)
        config = changed.model_copy(update={"sampling": SamplingConfig(fragment=(0.0, 9.0))})
        assert row.key == config.key(case.networks.embedder.name)
        tracks = case.store.get_tracks("p", [row.analysis_id])[row.analysis_id]
        assert {len(track.embeddings) for track in tracks} == {1}


def test_a_runner_that_dies_before_it_finishes_the_job_costs_no_segment(people: Callable[[str], Analysed]) -> None:
    case = people("unsaid")
    with closing(case.store):
        job_id = case.submit(fragment=(0.0, 9.0), no_cache=True)
        leader = divide(case)
        help_all(case, job_id)
        settings = Settings(home=case.home.root, segment_s=3.0)
        videos = VideoJobs(case.archive, settings, lambda: case.networks)
        runner = JobRunner(case.store, {"video": videos.lead})
        videos.lead(case.store.get_job(job_id), JobControl(runner, leader))  # and dies
        leases.release(case.store, leader)
        parts = list(case.home.job_parts("p", job_id).glob("*/*.npz"))
        assert len(parts) == 4
        before = case.store.get_job(job_id).segments
        with running(case, 3.0):
            job = final(case.store, job_id)
            assert (job.state, job.segments) == (JobState.SUCCEEDED, before)
            wait_until_tidy(case)


def test_a_part_swept_during_the_work_is_made_again_and_costs_no_attempt(
    people: Callable[[str], Analysed],
) -> None:
    case = people("swept")
    with closing(case.store):
        job_id = case.submit(fragment=(0.0, 9.0))
        leader = divide(case)
        parts = case.home.job_parts("p", job_id)
        help_all(case, job_id)
        job = case.store.get_job(job_id)
        assert [(segment.error, segment.attempt) for segment in job.segments] == [(None, 1)] * 3
        (lost,) = parts.glob("*/1-*.npz")
        lost.unlink()
        leases.release(case.store, leader)
        with running(case, 3.0):
            job = final(case.store, job_id)
        assert (job.state, job.error, job.attempt) == (JobState.SUCCEEDED, None, 1)
        row = case.store.latest_analysis("p", case.video.video_id)
        (tracks,) = case.store.get_tracks("p", [row.analysis_id]).values()
        assert 1 in {int(track.times_s[0] // 3) for track in tracks}


def test_a_fragment_beyond_the_end_ends_its_job(people: Callable[[str], Analysed]) -> None:
    case = people("beyond")
    with closing(case.store), running(case, 5.5):
        job = final(case.store, case.submit(fragment=(600.0, 1200.0)))
        assert job.state is JobState.FAILED
        assert "the fragment 600,1200 has no frame" in (job.error or "")


def test_a_video_that_cannot_be_divided_is_analysed_whole(
    people: Callable[[str], Analysed], undisturbed: Analysed, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = people("whole")
    truth = FrameIndex.from_bytes.__func__  # type: ignore[attr-defined]

    def with_a_frame_too_many(cls: type[FrameIndex], data: bytes) -> FrameIndex:
        index: FrameIndex = truth(cls, data)
        # Half a frame's time after the hundredth, as of a frame that no decoder shows.
        pts = np.insert(index.pts, 101, (index.pts[100] + index.pts[101]) // 2)
        return FrameIndex(pts, index.keyframes[:1], index.time_base)

    monkeypatch.setattr(FrameIndex, "from_bytes", classmethod(with_a_frame_too_many))
    with closing(case.store), running(case, 5.5):
        job = final(case.store, case.submit())
        assert (job.state, job.error, job.segments) == (JobState.SUCCEEDED, None, ())
        assert_same(case, undisturbed)


def test_killed_runners_cost_a_segment_each_and_change_nothing(
    people: Callable[[str], Analysed], undisturbed: Analysed
) -> None:
    case = people("killed")
    segment_s = 4.0

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.serving.jobs.runner", str(case.home.root), str(segment_s)]
        )

    with closing(case.store):
        job_id = case.submit()
        killed = 0
        for done in (1, 4):
            process = start()
            parts = case.home.job_parts("p", job_id)
            while len(list(parts.glob("*/[0-9]*.npz"))) < done:
                assert process.poll() is None
                time.sleep(0.02)
            process.kill()
            killed += process.wait() == -9
        before = {segment.index for segment in case.store.get_job(job_id).segments if segment.progress == 1.0}
        process = start()
        try:
            job = final(case.store, job_id)
        finally:
            process.terminate()
            process.wait(WAIT_S)
        assert killed == 2
        assert job.state is JobState.SUCCEEDED
        assert len(before) >= 3
        # Two slots were at work at each death: no more than what they held was done again.
        assert sum(segment.attempt - 1 for segment in job.segments) <= 4
        assert max(job.segments[index].attempt for index in before) <= 3
        assert_same(case, undisturbed)

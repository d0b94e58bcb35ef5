"""Analyse a video as a job: one runner leads, and whoever is free helps with the segments of a long one.

The leader lists the frames, divides them, looks at segments like everybody else, and in the end links what all have found. What was
seen in a segment is a file that all nodes share until then, so that nobody's death costs more than the segment that they were at.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from facerec_models.analysis import AnalysisStoppedError
from facerec_models.config import AnalysisConfig
from facerec_models.errors import FacerecError
from facerec_models.looks import Observation
from facerec_models.observer import Observer
from facerec_models.segments import FrameIndex, Segment, SegmentError, plan_segments
from facerec_models.video import Video
from serving.home import AnyPath, Home, remove_tree, write_atomically
from serving.jobs import JobControl
from serving.naming import assign_current
from serving.networks import Networks
from serving.settings import Settings
from serving.store.base import Store
from serving.store.job_rows import Job, JobSegment, JobState
from serving.store.rows import AnalysisRow, VideoRow
from serving.submissions import config_of
from serving.videos import analyze_video, find_analysis, join_video, video_file

_INDEX, _IN_ONE_GO = "frames.npz", "in-one-go"


class VideoJobs:
    """Does jobs of kind ``video`` and segments of them.

    Parameters
    ----------
    networks : callable
        Gives the networks when they are first needed.
    """

    def __init__(self, store: Store, home: Home, settings: Settings, networks: Callable[[], Networks]) -> None:
        self._store = store
        self._home = home
        self._settings = settings
        self._networks = networks

    def lead(self, job: Job, control: JobControl) -> str:
        """Analyse and name the video of a job; return its id."""
        config, video = config_of(job, self._settings), self._video(job)
        embedder = self._networks().embedder.name
        # Before anything is looked for: an analysis by another embedder must not become the video's latest.
        self._store.fix_embedder(job.project, embedder)
        analysis = None if job.spec["no_cache"] else find_analysis(self._store, video, config, embedder)
        if analysis is None:
            analysis = self._analyze(job, control, video, config)
        rules, limit = self._settings.identification, job.spec["max_false_names"]
        assign_current(self._store, self._home, analysis, rules, limit)
        remove_tree(self._folder(job))
        control.report(1.0)
        return video.video_id

    def help(self, job: Job, segment: JobSegment, control: JobControl) -> None:
        """Look at a segment and keep what is seen in a file."""
        folder = self._folder(job)
        index = FrameIndex.from_bytes((folder / _INDEX).read_bytes())
        config, video, networks = config_of(job, self._settings), self._video(job), self._networks()

        def go_on(fraction: float) -> None:
            control.report(fraction)
            if control.should_stop():
                raise AnalysisStoppedError(f"segment {segment.index} of {video.name!r} was stopped")

        with Video(video_file(video), config.limits, name=video.name) as opened:
            observer = Observer(opened, config, networks.detector, networks.embedder, (index, _read(job, segment)))
            try:
                seen = observer.observe(go_on)
            except SegmentError as error:  # trying again would find the same
                write_atomically(self._in_one_go(job), b"")
                raise FacerecError(str(error)) from error
        write_atomically(folder / f"{segment.index}.npz", seen.to_bytes())

    def _analyze(self, job: Job, control: JobControl, video: VideoRow, config: AnalysisConfig) -> AnalysisRow:
        networks = self._networks()
        index = self._index(job, video, config)
        if index is not None:
            # What was seen is gone where somebody tidied up after a job that had failed, and is tried again now.
            is_planned = bool(job.segments) and all(
                (self._folder(job) / f"{segment.index}.npz").is_file()
                for segment in job.segments
                if segment.state is JobState.SUCCEEDED
            )
            if not is_planned and not control.plan(_plan(index, video, config, self._settings.segment_s)):
                raise AnalysisStoppedError(f"the analysis of {video.name!r} was stopped")
            segments = control.do_segments()
            if segments is None:
                raise AnalysisStoppedError(f"the analysis of {video.name!r} was stopped")
            if all(segment.state is JobState.SUCCEEDED for segment in segments):
                files = (self._folder(job) / f"{segment.index}.npz" for segment in segments)
                observations = (Observation.from_bytes(file.read_bytes()) for file in files)
                return join_video(self._store, self._home, video, config, networks.embedder.name, observations)
            if not self._in_one_go(job).is_file():
                reasons = {segment.error for segment in segments if segment.error}
                raise FacerecError(f"a part of {video.name!r} cannot be analysed: {'; '.join(sorted(reasons))}")
            control.plan(())
        return analyze_video(
            self._store,
            self._home,
            video,
            config,
            networks,
            on_progress=control.report,
            should_stop=control.should_stop,
        )

    def _index(self, job: Job, video: VideoRow, config: AnalysisConfig) -> FrameIndex | None:
        """List the frames of a video that is worth dividing and can be; the list stays for those who help."""
        kept = self._folder(job) / _INDEX
        if self._in_one_go(job).is_file():
            return None
        if not kept.is_file():
            with Video(video_file(video), config.limits, name=video.name) as opened:
                start_s, end_s = config.sampling.fragment or (0.0, opened.info.duration_s or math.inf)
                is_long = end_s - start_s >= 1.5 * self._settings.segment_s
                index = opened.index() if is_long else None
            if index is None:
                return None
            write_atomically(kept, index.to_bytes())
        return FrameIndex.from_bytes(kept.read_bytes())

    def _folder(self, job: Job) -> AnyPath:
        return self._home.job_parts(job.project, job.job_id)

    def _in_one_go(self, job: Job) -> AnyPath:
        return self._folder(job) / _IN_ONE_GO

    def _video(self, job: Job) -> VideoRow:
        return self._store.get_video(job.project, job.spec["video_id"])


def _plan(index: FrameIndex, video: VideoRow, config: AnalysisConfig, segment_s: float) -> list[JobSegment]:
    start_s, end_s = config.sampling.fragment or (0.0, math.inf)
    length_s = min(end_s, index.time_s(len(index) - 1)) - start_s
    with Video(video_file(video), config.limits, name=video.name) as opened:
        planned = plan_segments(index, config.sampling, opened.info.fps, max(1, round(length_s / segment_s)))
    return [JobSegment(i, part.start_s, part.end_s, part.first, part.end) for i, part in enumerate(planned)]


def _read(job: Job, segment: JobSegment) -> Segment:
    """Return a segment of a job as the analysis takes it."""
    origin, first, end = job.segments[0].first, segment.first, segment.end
    if origin is None or first is None or end is None or segment.end_s is None:
        raise ValueError(f"segment {segment.index} of job {job.job_id} says no frames")
    return Segment(origin, first, end, segment.index == len(job.segments) - 1, segment.start_s, segment.end_s)

"""Analyse a video as a job: one runner leads, and whoever is free helps with the segments of a long one.

The leader lists the frames, divides them, scans segments like every other runner, and links all scans in the end. The scan of a
segment is a file that all nodes share until then, so that a runner that dies costs at most the segment that it was at.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from facerec_models.analysis.analyze import AnalysisStoppedError, Linker
from facerec_models.analysis.apart.probing import VideoProbe, probe_video
from facerec_models.analysis.apart.scanning import ScanApart
from facerec_models.analysis.frame_faces import Scan
from facerec_models.analysis.networks import Networks
from facerec_models.analysis.reading.segments import FrameIndex, Segment, SegmentError, plan_segments
from facerec_models.analysis.reading.video_info import VideoInfo
from facerec_models.config import AnalysisConfig
from facerec_models.errors import FacerecError
from facerec_models.files import AnyPath, remove_tree, write_atomically
from serving.archive.handle import Archive
from serving.archive.naming.answer import become_answer
from serving.archive.videos import analyze_video, find_analysis, join_video, video_file
from serving.jobs.fetch import FETCH
from serving.jobs.found_so_far import FoundSoFar, LinkedAlone
from serving.jobs.runner import JobControl
from serving.jobs.submit import config_of
from serving.settings import Settings
from serving.sources.media_store import MediaStore
from serving.store.job_rows import Job, JobSegment, JobState
from serving.store.rows import AnalysisRow, VideoRow
from serving.telemetry.metrics import count_decoded
from serving.telemetry.traces import add_stages, now_ns, span

_INDEX, _IN_ONE_GO = "frames.npz", "in-one-go"
# What cannot be fetched a second time.
_ONCE = ("file:", "rtsp:")
# Well within the hour for which what was used stays.
_TOUCH_S = 600.0


class VideoJobs:
    """Does jobs of kind ``video`` and segments of them.

    Parameters
    ----------
    networks : callable
        Gives the networks when they are first needed.
    """

    def __init__(self, archive: Archive, settings: Settings, networks: Callable[[], Networks]) -> None:
        self._archive = archive
        self._settings = settings
        self._networks = networks

    def lead(self, job: Job, control: JobControl) -> str:
        """Analyse and name the video of a job; return its id. Where what was fetched is gone, it is fetched again first."""
        config, video = config_of(job, self._settings), self._video(job)
        if not Path(video.file).is_file() and not (job.spec.get("uri") or video.uri).startswith(_ONCE):
            control.hand_on(FETCH, job.spec)
            return video.video_id
        embedder = self._networks().embedder.name
        # Before the search for one: an analysis by another embedder must not become the video's latest.
        self._archive.fix_embedder(job.project, embedder)
        analysis = None if job.spec["no_cache"] else find_analysis(self._archive.store, video, config, embedder)
        if analysis is None:
            analysis = self._analyze(job, control, video, config)
        with span("naming"):
            become_answer(self._archive, analysis, job.spec["max_false_names"])
        control.when_done(partial(remove_tree, self._archive.files.job_parts(job.project, job.job_id)))
        control.report(1.0)
        return video.video_id

    def help(self, job: Job, segment: JobSegment, control: JobControl) -> None:
        """Scan a segment and keep what is found in a file."""
        config, video, networks = config_of(job, self._settings), self._video(job), self._networks()
        folder = self._folder(job, config)
        report = self._reporting(video, control)

        def go_on(fraction: float) -> None:
            report(fraction)
            if control.should_stop():
                raise AnalysisStoppedError(f"segment {segment.index} of {video.name!r} was stopped")

        # Where the leader's list was swept up in the last moment, it is made again: that costs no attempt.
        index = _list_frames(folder, video, config)
        if index is None:
            raise _undivided(folder, f"the frames of {video.name!r} cannot be listed any more")
        part = index, _read(job, segment)
        scan = ScanApart(video_file(video), config, networks.detector, networks.embedder, name=video.name, segment=part)
        so_far = FoundSoFar(self._archive, job, segment=segment.index, begins_s=segment.start_s)
        pair = self._archive.pair_scale(networks.embedder.name)
        preview = LinkedAlone(so_far, lambda: Linker(scan.info, config, networks.embedder.name, pair, so_far.take))
        started = now_ns()
        try:
            seen = scan.scan(go_on, preview.take)
        except SegmentError as error:
            raise _undivided(folder, str(error)) from error
        _tell(asdict(scan.timing), started)
        write_atomically(_part(folder, segment), seen.to_bytes())
        preview.finish(scan.info)

    def _analyze(self, job: Job, control: JobControl, video: VideoRow, config: AnalysisConfig) -> AnalysisRow:
        networks, folder = self._networks(), self._folder(job, config)
        stopped = AnalysisStoppedError(f"the analysis of {video.name!r} was stopped")
        is_whole = (folder / _IN_ONE_GO).is_file()
        is_planned = bool(job.segments) and (folder / _INDEX).is_file() and not is_whole
        # Without a list the plan was made with other settings, or was swept up before the job was tried again: no runner may begin
        # on it.
        if job.segments and not is_planned and not control.plan(()):
            raise stopped
        probe = _probe(video, config)
        info, warnings = probe.info, probe.warnings
        start_s, end_s = config.sampling.fragment or (0.0, math.inf)
        end_s = max(start_s, min(end_s, info.duration_s or 0.0))
        so_far = FoundSoFar(self._archive, job, begins_s=start_s)
        if not is_planned:
            so_far.begin(info)
        is_divided = is_planned or (not is_whole and self._is_long(info, config))
        index = _list_frames(folder, video, config) if is_divided else None
        if index is not None:
            if not is_planned and not control.plan(_plan(index, info, config, self._settings.segment_s)):
                raise stopped
            segments = control.work_on_segments()
            while segments is not None and (lost := _lost(folder, segments)):
                segments = control.work_on_segments() if control.reopen(lost) else None
            if segments is None:
                raise stopped
            if all(segment.state is JobState.SUCCEEDED for segment in segments):
                files = (_part(folder, segment) for segment in segments)
                return join_video(
                    self._archive,
                    video,
                    config,
                    networks.embedder.name,
                    (Scan.from_bytes(file.read_bytes()) for file in files),
                    info,
                    warnings,
                    should_stop=control.should_stop,
                )
            if not (folder / _IN_ONE_GO).is_file():
                reasons = {segment.error for segment in segments if segment.error}
                raise FacerecError(f"a part of {video.name!r} cannot be analysed: {'; '.join(sorted(reasons))}")
            control.plan(())
            so_far.begin(info)
        started, report = now_ns(), self._reporting(video, control)

        def go_on(fraction: float) -> None:
            report(fraction)
            so_far.reach(start_s + fraction * (end_s - start_s))

        analysis = analyze_video(
            self._archive,
            video,
            config,
            networks,
            on_progress=go_on,
            on_track=so_far.take,
            should_stop=control.should_stop,
        )
        _tell(analysis.summary["timing"], started)
        return analysis

    def _is_long(self, info: VideoInfo, config: AnalysisConfig) -> bool:
        """Whether a video is worth dividing."""
        start_s, end_s = config.sampling.fragment or (0.0, info.duration_s or math.inf)
        return bool(end_s - start_s >= 1.5 * self._settings.segment_s)

    def _folder(self, job: Job, config: AnalysisConfig) -> AnyPath:
        """Return where parts are that were made with these settings and this embedder: others are not to be joined with them."""
        return self._archive.files.job_parts(job.project, job.job_id) / config.key(self._networks().embedder.name)

    def _video(self, job: Job) -> VideoRow:
        return self._archive.store.get_video(job.project, str(job.video_id))

    def _reporting(self, video: VideoRow, control: JobControl) -> Callable[[float], None]:
        """Return what reports progress and says now and then that the video is in use: what was fetched of it stays then."""
        kept = MediaStore(self._archive.files.media, self._settings.sources.max_kept_bytes)
        again_at = 0.0

        def report(fraction: float) -> None:
            nonlocal again_at
            control.report(fraction)
            if time.monotonic() >= again_at:
                kept.touch(Path(video.file))
                again_at = time.monotonic() + _TOUCH_S

        report(0.0)
        return report


def _tell(timing: Mapping[str, float], started_ns: int) -> None:
    """Count what was decoded, and show in the trace where the time went."""
    count_decoded(timing)
    add_stages(started_ns, {stage: timing[f"{stage}_s"] for stage in ("decode", "detect", "embed")})


def _probe(video: VideoRow, config: AnalysisConfig, *, wants_index: bool = False) -> VideoProbe:
    return probe_video(
        video_file(video), config.limits, name=video.name, stream=config.sampling.stream, wants_index=wants_index
    )


def _list_frames(folder: AnyPath, video: VideoRow, config: AnalysisConfig) -> FrameIndex | None:
    """List the frames of a video, if that can be done; the list stays for those who help."""
    kept = folder / _INDEX
    try:
        return FrameIndex.from_bytes(kept.read_bytes())
    except FileNotFoundError:
        index = _probe(video, config, wants_index=True).index
        if index is not None:
            write_atomically(kept, index.to_bytes())
        return index


def _part(folder: AnyPath, segment: JobSegment) -> AnyPath:
    """Return the file of what is seen in a segment; that of another plan has another one."""
    return folder / f"{segment.index}-{segment.first}-{segment.end}.npz"


def _lost(folder: AnyPath, segments: Sequence[JobSegment]) -> list[int]:
    """Return which segments must be scanned again, now that all have succeeded; before, none."""
    if not all(segment.state is JobState.SUCCEEDED for segment in segments):
        return []
    return [segment.index for segment in segments if not _part(folder, segment).is_file()]


def _undivided(folder: AnyPath, reason: str) -> FacerecError:
    """Note that the video must be scanned in one go; return what ends the segment, for trying again would find the same."""
    write_atomically(folder / _IN_ONE_GO, b"")
    return FacerecError(reason)


def _plan(index: FrameIndex, info: VideoInfo, config: AnalysisConfig, segment_s: float) -> list[JobSegment]:
    start_s, end_s = config.sampling.fragment or (0.0, math.inf)
    length_s = min(end_s, index.time_s(len(index) - 1)) - start_s
    planned = plan_segments(index, config.sampling, info.fps, max(1, round(length_s / segment_s)))
    return [JobSegment(i, part.start_s, part.end_s, part.first, part.end) for i, part in enumerate(planned)]


def _read(job: Job, segment: JobSegment) -> Segment:
    """Return a segment of a job as the analysis takes it."""
    origin, first, end = job.segments[0].first, segment.first, segment.end
    if origin is None or first is None or end is None or segment.end_s is None:
        raise ValueError(f"segment {segment.index} of job {job.job_id} says no frames")
    return Segment(origin, first, end, segment.index == len(job.segments) - 1, segment.start_s, segment.end_s)

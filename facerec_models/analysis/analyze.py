"""The chain from a video to tracks with embeddings: heavy, depends on no name, done once.

`analyze` does all of it, and decodes in a process of its own. The service scans each segment of a long video with a `ScanApart` of
its own, and links the scans with the same `Linker`. Everything with state (decoder, shots, sampler, tracker) belongs to one analysis.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

from facerec_models.analysis.apart.scanning import ScanApart
from facerec_models.analysis.detection import FaceDetector
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.frame_faces import Engines, FrameFaces, Scan, Timing
from facerec_models.analysis.reading.sampling import Sampler, sampling_period_s
from facerec_models.analysis.reading.video_info import VideoInfo
from facerec_models.analysis.tracking import Tracker, in_view
from facerec_models.analysis.transitions import APART_S, Transition, TransitionDetector, keep_clear
from facerec_models.config import AnalysisConfig
from facerec_models.errors import InputError
from facerec_models.types import Track
from facerec_models.vectors import PairScale

# Rates that differ by less are the same: when the last frame ends is often a guess.
_SAME_RATE = 0.005


class AnalysisStoppedError(Exception):
    """The caller asked to stop."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was found in a video, before anybody is named.

    Parameters
    ----------
    info : VideoInfo
    embedder : str
        Name of the network that the tracks' embeddings come from.
    tracks : tuple of Track
        By id. Their crops are empty when the caller took them.
    shots : tuple of (start_s, end_s)
        From the first analysed frame to the end of the last, without gaps but between `fragments`.
    period_s : float
        Sampling period.
    frames_sampled : int
        Frames on which faces were sought, dense ones included.
    fragment : tuple of (start_s, end_s), optional
        The part that was asked for; all by default.
    fragments : tuple of (start_s, end_s)
        The parts that it was joined of, ascending and apart; `fragment` then reaches from the first to the last.
    """

    info: VideoInfo
    embedder: str
    tracks: tuple[Track, ...]
    shots: tuple[tuple[float, float], ...]
    period_s: float
    mode: Literal["frames", "fps"]
    frames_sampled: int
    densified: bool
    complete: bool
    warnings: tuple[str, ...]
    fragment: tuple[float, float] | None = None
    fragments: tuple[tuple[float, float], ...] = ()
    timing: Timing = field(default_factory=Timing)
    engines: Engines = field(default_factory=Engines)


def analyze(
    path: Path,
    config: AnalysisConfig,
    detector: FaceDetector,
    embedder: FaceEmbedder,
    pair: PairScale,
    *,
    name: str | None = None,
    take_crops: Callable[[Track], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Analysis:
    """Find and follow the faces of a video.

    Parameters
    ----------
    pair : PairScale
        What similarities of the embedder mean.
    name : str, optional
        What errors call the video; its path by default.
    take_crops : callable, optional
        Gets each track when it has ended, with its crops; the track in the result then has none, which keeps memory flat.
    on_progress : callable, optional
        Gets the analysed fraction, in [0, 1].
    should_stop : callable, optional
        Asked between chunks of some seconds of video.

    Raises
    ------
    VideoOpenError, VideoDecodeError, LimitExceededError
        If the file is no video that can be read, or its decoder crashes, hangs or needs too much.
    AnalysisStoppedError
        If `should_stop` returned True.
    """
    scan = ScanApart(path, config, detector, embedder, name=name)
    linker: Linker | None = None
    whole = Timing()
    with whole.measure("wall_s"), closing(scan.parts()) as parts:
        for part, fraction in parts:
            linker = linker or Linker(scan.info, config, embedder.name, pair, take_crops)
            linker.link(part)
            if should_stop is not None and should_stop():
                raise AnalysisStoppedError(f"the analysis of {scan.name!r} was stopped")
            if on_progress is not None:
                on_progress(fraction)
    linker = linker or Linker(scan.info, config, embedder.name, pair, take_crops)
    linker.link(Scan(timing=scan.timing + whole, engines=scan.engines))
    return linker.result(scan.info, complete=scan.complete, warnings=scan.warnings)


def link_segments(
    info: VideoInfo,
    config: AnalysisConfig,
    embedder: str,
    pair: PairScale,
    scans: Iterable[Scan],
    *,
    complete: bool = True,
    warnings: tuple[str, ...] = (),
    take_crops: Callable[[Track], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Analysis:
    """Link the scans of a video's segments, given in their order, as if the video had been scanned in one go.

    Parameters
    ----------
    embedder : str
        Name of the network that the embeddings come from.
    pair : PairScale
        What similarities of the embedder mean.
    scans : iterable of Scan
        Each is taken when the one before is used up, so that only one is in memory.
    should_stop : callable, optional
        Asked between them.

    Raises
    ------
    AnalysisStoppedError
        If `should_stop` returned True.
    """
    linker = Linker(info, config, embedder, pair, take_crops)
    for scan in scans:
        if should_stop is not None and should_stop():
            raise AnalysisStoppedError("linking the segments was stopped")
        linker.link(scan)
    return linker.result(info, complete=complete, warnings=warnings)


class Linker:
    """Makes tracks of the scans of one video, taken in their order.

    Frames wait until it is known whether a transition mixes them with another shot, some four seconds.

    Parameters
    ----------
    take_crops : callable, optional
        As in `analyze`.
    """

    def __init__(
        self,
        info: VideoInfo,
        config: AnalysisConfig,
        embedder: str,
        pair: PairScale,
        take_crops: Callable[[Track], None] | None,
    ) -> None:
        self._info = info
        self._embedder = embedder
        self._config = config
        self._take_crops = take_crops
        self._tracker = Tracker(config.tracking, pair, width=info.width, height=info.height)
        self._tracks: list[Track] = []
        self._waiting: deque[FrameFaces] = deque()
        self._transition_detector = TransitionDetector()
        self._transitions: list[Transition] = []
        self._shot_starts: list[float] = []
        self._linked: list[tuple[float, float]] = []
        self._frames = 0
        self._end_s = 0.0
        self._timing = Timing()
        self._engines = Engines()

    def link(self, scan: Scan) -> None:
        """Take the next part of the video."""
        self._shot_starts += scan.cuts_s
        self._waiting += scan.frame_faces
        if scan.frames:
            self._frames += scan.frames
            self._end_s = scan.end_s
        self._timing += scan.timing
        self._engines += scan.engines
        self._take_transitions(self._transition_detector.update(scan.thumbnails))
        self._link_settled()

    def _take_transitions(self, found: Iterable[Transition]) -> None:
        for transition in found:
            self._transitions.append(transition)
            # Where a cut was found already it is the beginning or the rest of this transition.
            if min(abs(start_s - transition.middle_s) for start_s in self._shot_starts) >= APART_S:
                insort(self._shot_starts, transition.middle_s)

    def _link_settled(self) -> None:
        while self._waiting and self._waiting[0].time_s < self._transition_detector.clear_s:
            frame = self._waiting.popleft()
            self._transitions = [one for one in self._transitions if one.end_s > frame.time_s]
            quality = keep_clear(frame.quality, frame.time_s, self._transitions)
            self._linked.append((frame.time_s, frame.until_s))
            shot = bisect_right(self._shot_starts, frame.time_s) - 1
            self._end(self._tracker.update(replace(frame, quality=quality), shot))

    def _end(self, tracks: Iterable[Track]) -> None:
        for track in tracks:
            if self._take_crops is not None:
                self._take_crops(track)
                self._tracks.append(replace(track, crops=()))
            else:
                self._tracks.append(track)

    def result(self, info: VideoInfo, *, complete: bool, warnings: tuple[str, ...]) -> Analysis:
        """End all tracks and return what was found; raise `InputError` if there was no frame.

        Parameters
        ----------
        info : VideoInfo
            As it is after the last frame.
        """
        if not self._shot_starts:
            start_s, end_s = self._config.sampling.fragment or (0.0, math.inf)
            length = "" if self._info.duration_s is None else f", and the video lasts {self._info.duration_s:g} s"
            raise InputError(
                f"the fragment {start_s:g},{end_s:g} has no frame{length}: choose one that begins before its end"
            )
        self._take_transitions(self._transition_detector.finish())
        self._link_settled()
        self._end(self._tracker.finish())
        if self._config.sampling.fragment is not None:
            self._end_s = min(self._end_s, self._config.sampling.fragment[1])
        length_s = self._end_s - self._shot_starts[0]
        measured = self._frames / length_s if length_s > 0 else info.fps
        # The rate of the header or of the first frames is not rounded; it is kept where the whole video agrees.
        fps = info.fps if abs(measured / info.fps - 1) <= _SAME_RATE else measured
        sampler = Sampler(self._config.sampling, fps)
        period_s = sampling_period_s(self._config.sampling, fps, info.interval_s)
        shots = tuple(pairwise([*self._shot_starts, self._end_s]))
        reach_s = period_s / 2 if sampler.densify == 1 else 0.0
        bounds = in_view(self._tracks, self._linked, shots, reach_s=reach_s, reach_to_cut_s=period_s / 2)
        tracks = [replace(t, start_s=a, end_s=b) for t, (a, b) in zip(self._tracks, bounds, strict=True)]
        return Analysis(
            info=replace(info, fps=fps),
            embedder=self._embedder,
            tracks=tuple(sorted(tracks, key=lambda track: track.track_id)),
            shots=shots,
            period_s=period_s,
            mode=sampler.mode,
            frames_sampled=len(self._linked),
            densified=sampler.densify > 1,
            complete=complete,
            warnings=warnings,
            fragment=self._config.sampling.fragment,
            timing=self._timing,
            engines=self._engines,
        )

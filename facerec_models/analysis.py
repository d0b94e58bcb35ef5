"""The chain from a video to tracks with embeddings, in one process: heavy, depends on no name, done once.

The two networks come in as arguments: the command line passes the networks themselves, the service passes proxies that send
pictures and crops to batched deployments. Everything with state (decoder, shots, sampler, tracker) belongs to one call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

from facerec_models.calibration import PairScale
from facerec_models.config import AnalysisConfig
from facerec_models.detection import FaceDetector
from facerec_models.embedding import FaceEmbedder
from facerec_models.faces import describe_faces, detect_faces
from facerec_models.sampling import Grid, Sampler
from facerec_models.shots import ShotDetector
from facerec_models.tracking import Tracker
from facerec_models.types import Detections, Frame, Track
from facerec_models.video import DecodedFrame, Video, VideoInfo

# Steps are analysed together up to this many pixels of coarse and dense frames: enough for full batches, flat in memory.
_CHUNK_PIXELS = 12_000_000
_MAX_CHUNK_STEPS = 8


class AnalysisStoppedError(Exception):
    """The caller asked to stop."""


@dataclass(slots=True)
class Timing:
    """Where the time went, in seconds, and what was done."""

    wall_s: float = 0.0
    decode_s: float = 0.0
    detect_s: float = 0.0
    embed_s: float = 0.0
    frames_decoded: int = 0
    frames_detected: int = 0
    faces_embedded: int = 0

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the time of a block to a field."""
        start = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, name, getattr(self, name) + time.perf_counter() - start)


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was found in a video, before anybody is named.

    Parameters
    ----------
    tracks : tuple of Track
        By id. Their crops are empty when the caller took them.
    shots : tuple of (start_s, end_s)
        Without gaps, from the first analysed frame to the end of the last.
    period_s : float
        Sampling period.
    frames_sampled : int
        Frames on which faces were sought, dense ones included.
    """

    info: VideoInfo
    tracks: tuple[Track, ...]
    shots: tuple[tuple[float, float], ...]
    period_s: float
    mode: Literal["frames", "fps"]
    frames_sampled: int
    densified: bool
    complete: bool
    warnings: tuple[str, ...]
    timing: Timing = field(default_factory=Timing)


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
        If the file is no video that can be read.
    AnalysisStoppedError
        If `should_stop` said so.
    """
    with Video(path, config.limits, name=name) as video:
        run = _Run(video, config, detector, embedder, pair, take_crops)
        with run.timing.measure("wall_s"):
            for fraction in run.process():
                if should_stop is not None and should_stop():
                    raise AnalysisStoppedError(f"the analysis of {video.name!r} was stopped")
                if on_progress is not None:
                    on_progress(fraction)
        return run.result()


@dataclass(slots=True)
class _Step:
    """A coarse frame and the dense ones up to the next, with the shot of each and what was found on those looked at."""

    frames: list[DecodedFrame] = field(default_factory=list)
    shots: list[int] = field(default_factory=list)
    found: dict[int, tuple[Frame, Detections]] = field(default_factory=dict)

    @property
    def has_face(self) -> bool:
        return 0 in self.found and len(self.found[0][1]) > 0


class _Run:
    """The state of one analysis."""

    def __init__(
        self,
        video: Video,
        config: AnalysisConfig,
        detector: FaceDetector,
        embedder: FaceEmbedder,
        pair: PairScale,
        take_crops: Callable[[Track], None] | None,
    ) -> None:
        info = video.info
        self._video = video
        self._config = config
        self._detector = detector
        self._embedder = embedder
        self._take_crops = take_crops
        self._start_s, self._end_s = config.sampling.fragment or (0.0, info.duration_s)
        self._sampler = Sampler(config.sampling, info.fps, self._start_s)
        self._shots = ShotDetector(config.shots)
        self._tracker = Tracker(config.tracking, pair, width=info.width, height=info.height)
        self._tracks: list[Track] = []
        self._shot_starts: list[float] = []
        self._last_s = self._start_s
        self.timing = Timing()

    def process(self) -> Iterator[float]:
        """Go through the video; yield the analysed fraction after each chunk."""
        info = self._video.info
        room = _CHUNK_PIXELS // (info.width * info.height * self._sampler.densify)
        chunk: list[_Step] = []
        for step in self._steps():
            chunk.append(step)
            if len(chunk) > min(max(room, 1), _MAX_CHUNK_STEPS):
                self._process(chunk)
                # The last step's dense frames wait for the coarse frame after them.
                chunk = chunk[-1:]
                yield self._fraction(chunk[0].frames[0].time_s)
        self._process([*chunk, _Step()])
        self._end_tracks(self._tracker.finish())
        yield 1.0

    def _fraction(self, time_s: float) -> float:
        length_s = (self._end_s or 0.0) - self._start_s
        return min((time_s - self._start_s) / length_s, 1.0) if length_s > 0 else 0.0

    def _steps(self) -> Iterator[_Step]:
        """Decode, watch for cuts, and gather the frames of both grids."""
        step: _Step | None = None
        frames = self._video.frames(self._start_s, self._end_s if self._config.sampling.fragment else None)
        while True:
            with self.timing.measure("decode_s"):
                frame = next(frames, None)
                if frame is None:
                    break
                if self._shots.update(frame.signature()) or not self._shot_starts:
                    self._shot_starts.append(frame.time_s)
            self.timing.frames_decoded += 1
            self._last_s = frame.time_s
            grid = self._sampler.classify(frame.time_s)
            if grid is Grid.COARSE:
                if step is not None:
                    yield step
                step = _Step()
            if grid is not Grid.NONE and step is not None:
                step.frames.append(frame)
                step.shots.append(self._shots.shot)
        if step is not None:
            yield step

    def _process(self, steps: list[_Step]) -> None:
        """Find, describe and link the faces of all steps but the last, which only says whether a face follows."""
        self._detect([(step, 0) for step in steps if step.frames and 0 not in step.found])
        self._detect(
            [
                (step, i)
                for step, after in pairwise(steps)
                if step.has_face or after.has_face or len({*step.shots, *after.shots[:1]}) > 1
                for i in range(1, len(step.frames))
            ]
        )
        sampled = [(step, i) for step in steps[:-1] for i in sorted(step.found)]
        with self.timing.measure("embed_s"):
            described = describe_faces(
                [step.found[i][0].image for step, i in sampled],
                [step.found[i][1] for step, i in sampled],
                self._embedder,
            )
        for (step, i), faces in zip(sampled, described, strict=True):
            self.timing.faces_embedded += len(faces)
            frame = step.frames[i]
            self._end_tracks(self._tracker.update(frame.time_s, frame.index, step.shots[i], faces))

    def _detect(self, wanted: list[tuple[_Step, int]]) -> None:
        with self.timing.measure("decode_s"):
            frames = [step.frames[i].to_frame() for step, i in wanted]
        with self.timing.measure("detect_s"):
            found = detect_faces([frame.image for frame in frames], self._detector, self._config.detection)
        for (step, i), frame, detections in zip(wanted, frames, found, strict=True):
            step.found[i] = (frame, detections)
        self.timing.frames_detected += len(wanted)

    def _end_tracks(self, ended: list[Track]) -> None:
        for track in ended:
            if self._take_crops is not None:
                self._take_crops(track)
                self._tracks.append(replace(track, crops=()))
            else:
                self._tracks.append(track)

    def result(self) -> Analysis:
        """Return what was found; call when `process` has ended."""
        info = self._video.info
        end_s = self._last_s + 1 / info.fps
        return Analysis(
            info=info,
            tracks=tuple(sorted(self._tracks, key=lambda track: track.track_id)),
            shots=tuple(pairwise([*self._shot_starts, end_s])),
            period_s=self._sampler.period_s,
            mode=self._sampler.mode,
            frames_sampled=self.timing.frames_detected,
            densified=self._sampler.densify > 1,
            complete=self._video.complete,
            warnings=self._video.warnings,
            timing=self.timing,
        )

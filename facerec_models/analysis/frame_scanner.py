"""Scan a video, or a segment of it: decode, find cuts, find and describe the faces of the sampled frames.

This is the heavy part of an analysis, and it knows nothing of tracks: what it finds on a frame depends only on that frame and its
neighbours, so that segments can be scanned side by side. The two networks are arguments: the command line passes the networks
themselves, the service passes proxies that send pictures and crops to batched deployments.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from threading import Event
from typing import NamedTuple

import numpy as np

from facerec_models.analysis import boxes
from facerec_models.analysis.detection import FaceDetector
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.faces import describe_faces, detect_faces
from facerec_models.analysis.frame_faces import Engines, FrameFaces, Scan, Timing
from facerec_models.analysis.near_search import Region, detect_near, is_worth, regions_between
from facerec_models.analysis.reading.ahead import ahead
from facerec_models.analysis.reading.geometry import Geometry
from facerec_models.analysis.reading.sampling import Grid, Sampler
from facerec_models.analysis.reading.segments import FrameIndex, Segment, sampler_at
from facerec_models.analysis.reading.video import DecodedFrame, Video
from facerec_models.analysis.shots import ShotDetector
from facerec_models.analysis.transitions import Thumbnail, ThumbnailPicker
from facerec_models.config import AnalysisConfig
from facerec_models.types import Detections, FloatArray, Frame

# Steps are analysed together up to this many pixels of coarse and dense frames: enough for full batches, flat in memory.
_CHUNK_PIXELS = 12_000_000
_MAX_CHUNK_STEPS = 8
# Steps that wait while others are analysed, and the largest frames of which that many more are kept.
_STEPS_AHEAD, _MOST_PIXELS_AHEAD = 2, 1920 * 1088
# A segment is decoded from so many frames before it, for the detector of cuts to have seen what it would have seen.
_RUN_UP_FRAMES = 64
# A face that may get a name or be unknown is as wide, and the detector as sure of it.
_CLEAR_PX, _SURE = 28.0, 0.99


@dataclass(slots=True)
class _Step:
    """A coarse frame and the dense ones up to the next, with what was found on the sampled ones.

    For each frame `until_s` is the time of the next one, and `shots` the number of cuts before it. Faces are sought in frames with
    square pixels, and kept in those pixels. `passed` has the cuts and thumbnails of all frames since the step before, and their number.
    """

    frames: list[DecodedFrame] = field(default_factory=list)
    until_s: list[float] = field(default_factory=list)
    shots: list[int] = field(default_factory=list)
    found: dict[int, tuple[Frame, Detections]] = field(default_factory=dict)
    passed: Scan = field(default_factory=Scan)

    @property
    def has_face(self) -> bool:
        return 0 in self.found and len(self.found[0][1]) > 0


@dataclass(slots=True)
class _Passed:
    """What was seen of some frames that were decoded one after the other."""

    cuts_s: list[float] = field(default_factory=list)
    thumbnails: list[Thumbnail] = field(default_factory=list)
    frames: int = 0
    end_s: float = 0.0
    timing: Timing = field(default_factory=Timing)

    def as_scan(self) -> Scan:
        return Scan((), tuple(self.cuts_s), tuple(self.thumbnails), self.frames, self.end_s, self.timing)


class _Span(NamedTuple):
    """Two frames in which faces were sought, and those between them; `last` may be the first of the step after."""

    step: _Step
    after: _Step
    first: int
    last: int

    @property
    def middle(self) -> int:
        return (self.first + self.last) // 2

    def halves(self) -> tuple[_Span, _Span]:
        return self._replace(last=self.middle), self._replace(first=self.middle)

    def is_still(self, overlap: float) -> bool:
        """Whether both frames are of one shot, and each clear face of either is at its place in the other."""
        if overlap == 1 or (ends := self.ends()) is None:
            return False
        before, after = ends
        return boxes.are_met(_clear(before), after.boxes, overlap) and boxes.are_met(
            _clear(after), before.boxes, overlap
        )

    def seen_beside(self) -> tuple[Detections, Detections] | None:
        """Return the faces of both frames between which the middle lies, of those of its shot; None if neither is of its shot."""
        last = self._last_found()
        shot = self.step.shots[self.middle]
        seen = [self.step.found[self.first][1]] if self.step.shots[self.first] == shot else []
        seen += [last[1]] if last is not None and last[0] == shot else []
        return (seen[0], seen[-1]) if seen else None

    def ends(self) -> tuple[Detections, Detections] | None:
        """Return the faces of both frames; None if they are of two shots, or there is none after the last."""
        last = self._last_found()
        if last is None or last[0] != self.step.shots[self.first]:
            return None
        return self.step.found[self.first][1], last[1]

    def _last_found(self) -> tuple[int, Detections] | None:
        """Return the shot of the last frame and its faces; None where there is none."""
        step, place = (self.step, self.last) if self.last < len(self.step.frames) else (self.after, 0)
        return (step.shots[place], step.found[place][1]) if place in step.found else None


def _clear(found: Detections) -> FloatArray:
    """Return the boxes of the faces that may get a name, or may be an unknown person."""
    wide = (found.boxes[:, 2:] - found.boxes[:, :2]).min(axis=1) >= _CLEAR_PX
    return np.asarray(found.boxes[wide & (found.scores >= _SURE)], np.float32)


class FrameScanner:
    """Scans one video or segment, once.

    Parameters
    ----------
    video : Video
    config : AnalysisConfig
        Only its sampling, shots and detection are used.
    segment : tuple of FrameIndex and Segment, optional
        What to scan; by default the whole video, or its fragment, from the beginning.
    keeps_crops : bool
        Whether what is found has the crops of its faces.

    Attributes
    ----------
    timing : Timing
    engines : Engines
    """

    def __init__(
        self,
        video: Video,
        config: AnalysisConfig,
        detector: FaceDetector,
        embedder: FaceEmbedder,
        segment: tuple[FrameIndex, Segment] | None = None,
        *,
        keeps_crops: bool = True,
    ) -> None:
        info = video.info
        self._video = video
        self._config = config
        self._detector = detector
        self._embedder = embedder
        self._segment = segment
        self._keeps_crops = keeps_crops
        if segment is None:
            self._start_s, self._end_s = config.sampling.fragment or (0.0, info.duration_s)
            self._sampler = Sampler(config.sampling, info.fps, self._start_s)
        else:
            self._start_s, self._end_s = segment[1].start_s, segment[1].end_s
            self._sampler = sampler_at(*segment, config.sampling, info.fps)
        self._shots = ShotDetector(config.shots)
        self._picker = ThumbnailPicker()
        self._shots_begun = 0
        self._passed = Scan()
        self._is_over = Event()
        self.timing = Timing()
        self.engines = Engines(detector.engine, embedder.engine)

    def parts(self) -> Generator[tuple[Scan, float]]:
        """Go through the video; yield what was found since the last part, and the fraction that is done.

        The frames of the next part are decoded meanwhile. Whoever does not go to the end closes the generator before the video.

        Raises
        ------
        SegmentError
            If the segment cannot be scanned by itself.
        """
        info = self._video.info
        room = _CHUNK_PIXELS // (info.width * info.height * self._sampler.densify)
        chunk: list[_Step] = []
        with closing(self._steps_ahead()) as steps, self._telling_when_over():
            for step in steps:
                self._take(step.passed)
                chunk.append(step)
                if len(chunk) > min(max(room, 1), _MAX_CHUNK_STEPS):
                    frame_faces = self._process(chunk)
                    # The last step's dense frames wait for the coarse frame after them.
                    chunk = chunk[-1:]
                    yield self._part(frame_faces), self._fraction(chunk[0].frames[0].time_s)
        # The step after a segment's last is the next segment's first; after the last of all there is none.
        after = [] if self._segment is not None and not self._segment[1].is_last else [_Step()]
        yield self._part(self._process([*chunk, *after])), 1.0

    def scan(self, on_progress: Callable[[float], None] | None = None) -> Scan:
        """Scan everything and return what was found, all at once: for a segment, whose length is bounded.

        Parameters
        ----------
        on_progress : callable, optional
            Gets the fraction that is done; what it raises ends the scan.
        """
        found = Scan()
        with self.timing.measure("wall_s"), closing(self.parts()) as parts:
            for part, fraction in parts:
                found += part
                if on_progress is not None:
                    on_progress(fraction)
        return replace(found, timing=self.timing, engines=self.engines)

    def _part(self, frame_faces: list[FrameFaces]) -> Scan:
        part, self._passed = replace(self._passed, frame_faces=tuple(frame_faces)), Scan()
        return part

    def _take(self, passed: Scan) -> None:
        self.timing.decode_s += passed.timing.decode_s
        self.timing.frames_decoded += passed.timing.frames_decoded
        self._passed += replace(passed, timing=Timing())

    def _fraction(self, time_s: float) -> float:
        length_s = (self._end_s or 0.0) - self._start_s
        return min((time_s - self._start_s) / length_s, 1.0) if length_s > 0 else 0.0

    def _frames(self) -> Iterator[DecodedFrame]:
        """Decode the frames to scan. A segment needs some frames before it as a run-up, and the first frame of its successor."""
        if self._segment is None:
            fragment = self._config.sampling.fragment
            return self._video.frames(end_s=fragment[1] if fragment else None)
        index, segment = self._segment
        start = max(segment.first - _RUN_UP_FRAMES, segment.origin)
        return self._video.segment(index, start, segment.end if segment.is_last else segment.end + 1)

    def _steps_ahead(self) -> Generator[_Step]:
        """Return the steps, decoded in a thread of their own where a few more of them in memory do no harm."""
        is_small = self._video.info.width * self._video.info.height <= _MOST_PIXELS_AHEAD
        return ahead(self._steps(), _STEPS_AHEAD) if is_small else self._steps()

    @contextmanager
    def _telling_when_over(self) -> Iterator[None]:
        """Let the thread that decodes know when nobody waits for it."""
        try:
            yield
        finally:
            self._is_over.set()

    def _steps(self) -> Generator[_Step]:
        """Decode, find cuts, and gather the frames of both grids.

        Runs in a thread of its own, and shares nothing that changes with `_process`.
        """
        step: _Step | None = None
        passed = _Passed()
        waiting: _Step | None = None
        geometry: Geometry | None = None
        frames = self._frames()
        while True:
            with passed.timing.measure("decode_s"):
                frame = next(frames, None)
                if frame is None:
                    break
                if self._is_over.is_set():
                    return
                if self._segment is None and frame.time_s < self._start_s:
                    continue
                # No face can be followed from one size of picture to another.
                is_resized = geometry is not None and frame.geometry != geometry
                if is_resized:
                    self._shots = ShotDetector(self._config.shots)
                geometry = frame.geometry
                signature = frame.signature()
                is_cut = self._shots.update(signature) or is_resized
                small = self._picker.pick(frame.pts * frame.time_base, signature, begins_shot=is_cut)
            passed.timing.frames_decoded += 1
            if self._segment is not None and frame.index < self._segment[1].first:
                continue
            if waiting is not None:
                waiting.until_s.append(frame.time_s)
                waiting = None
            if self._segment is None or frame.index < self._segment[1].end:
                passed.frames += 1
                passed.end_s = frame.end_s
                if small is not None:
                    passed.thumbnails.append(small)
                if is_cut or self._is_first(frame):
                    passed.cuts_s.append(frame.time_s)
                    self._shots_begun += 1
                    is_cut = False
            grid = self._sampler.classify(frame.time_s)
            if grid is Grid.COARSE:
                if step is not None:
                    step.passed, passed = passed.as_scan(), _Passed()
                    yield step
                step = _Step()
            if grid is not Grid.NONE and step is not None:
                step.frames.append(frame)
                step.shots.append(self._shots_begun + is_cut)
                waiting = step
        if waiting is not None:
            waiting.until_s.append(waiting.frames[-1].end_s)
        step = step or _Step()
        step.passed = passed.as_scan()
        yield step

    def _is_first(self, frame: DecodedFrame) -> bool:
        return not self._shots_begun if self._segment is None else frame.index == self._segment[1].origin

    def _process(self, steps: list[_Step]) -> list[FrameFaces]:
        """Find and describe the faces of all steps but the last, which only tells whether a face follows."""
        self._detect([(step, 0) for step in steps if step.frames and 0 not in step.found])
        self._detect_between(
            [
                _Span(step, after, 0, len(step.frames))
                for step, after in pairwise(steps)
                if step.has_face or after.has_face or len({*step.shots, *after.shots[:1]}) > 1
            ]
        )
        sampled = [(step, i) for step in steps[:-1] for i in sorted(step.found)]
        with self.timing.measure("embed_s"):
            described = describe_faces(
                [step.found[i][0].image for step, i in sampled],
                [step.found[i][1] for step, i in sampled],
                self._embedder,
            )
        self.timing.faces_embedded += sum(map(len, described))
        return [
            FrameFaces.of(
                step.frames[i].time_s,
                step.until_s[i],
                step.frames[i].index,
                faces,
                step.frames[i].geometry.unstretch,
                keeps_crops=self._keeps_crops,
            )
            for (step, i), faces in zip(sampled, described, strict=True)
        ]

    def _detect_between(self, spans: Sequence[_Span]) -> None:
        """Halve each span until nothing is left between two frames, or their faces stand still."""
        while spans := [span for span in spans if span.middle > span.first]:
            self._detect_near([(span, seen) for span in spans if (seen := span.seen_beside()) is not None])
            self._detect([(span.step, span.middle) for span in spans if span.middle not in span.step.found])
            spans = [
                half
                for span in spans
                for half in span.halves()
                if not half.is_still(self._config.sampling.still_overlap)
            ]

    def _detect_near(self, wanted: list[tuple[_Span, tuple[Detections, Detections]]]) -> None:
        """Look in the middle of spans where their ends show faces.

        A frame with so many that this takes longer, and one that shows fewer clear faces than either end, or none, is left to be
        searched everywhere.
        """
        looks: list[tuple[_Span, tuple[Detections, Detections], Frame, list[Region]]] = []
        with self.timing.measure("decode_s"):
            for span, ends in wanted:
                frame = span.step.frames[span.middle].to_square_frame()
                height, width = frame.image.shape[:2]
                regions = regions_between(*ends, width, height)
                if is_worth(regions, width, height):
                    looks.append((span, ends, frame, regions))
        with self.timing.measure("detect_s"):
            images = [frame.image for _, _, frame, _ in looks]
            found = detect_near(images, [regions for _, _, _, regions in looks], self._detector)
        for (span, ends, frame, _), detections in zip(looks, found, strict=True):
            if len(_clear(detections)) >= max(1, *(len(_clear(end)) for end in ends)):
                span.step.found[span.middle] = (frame, detections)
                self.timing.frames_detected += 1

    def _detect(self, wanted: list[tuple[_Step, int]]) -> None:
        with self.timing.measure("decode_s"):
            frames = [step.frames[i].to_square_frame() for step, i in wanted]
        with self.timing.measure("detect_s"):
            found = detect_faces([frame.image for frame in frames], self._detector, self._config.detection)
        for (step, i), frame, detections in zip(wanted, frames, found, strict=True):
            step.found[i] = (frame, detections)
        self.timing.frames_detected += len(wanted)

"""The original video with every face framed and named."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from facerec_models.config import LimitsConfig
from facerec_models.errors import InputError
from facerec_models.result import Result, TrackView
from facerec_models.types import ImageArray
from facerec_models.video import Video
from facerec_models.video_writer import VideoWriter
from serving.exports.colours import Colour, ink_on, label_colour
from serving.exports.drawing import Box, blend, put_text, round_opacity, shorten, stroke_round, text_width
from serving.exports.wording import percent

_WEIGHT = 500
_LEAST_TEXT_PX = 12
_PROGRESS_STEP = 0.01


def write_annotated(
    result: Result,
    video: Path,
    target: Path,
    limits: LimitsConfig,
    on_progress: Callable[[float], None] | None = None,
) -> None:
    """Write the video again with the faces of a result framed and named.

    All frames keep their times, and the sound is kept. A face is framed while its track is in view: between two samples
    at most a sampling period apart its box moves steadily, elsewhere it stays for half a period. Undecidable faces get
    a thin gray frame without a label; tracks of no appearance get none.

    Parameters
    ----------
    video : Path
        The video that `result` is about.
    target : Path
        H.264 in MP4, replaced if it exists, and only when all is written.
    on_progress : callable, optional
        Told the finished fraction whenever one per cent more is done, and 1 at the end.

    Raises
    ------
    InputError
        If `video` cannot be read, or its pictures have another size than the result's.
    """
    with Video(video, limits) as source:
        info = source.info
        if (info.width, info.height) != (result.video.width, result.video.height):
            raise InputError(
                f"{str(video)!r} has pictures of {info.width}x{info.height} pixels, but the result is about a video of "
                f"{result.video.width}x{result.video.height}; give the video that was analysed"
            )
        annotator = Annotator(result)
        reported = 0.0
        with VideoWriter(target, info.fps, info.width, info.height, audio_from=video) as writer:
            for decoded in source.frames():
                frame = decoded.to_frame()
                annotator.draw(frame.image, frame.time_s)
                writer.write(frame.image, frame.time_s)
                done = min(1.0, frame.time_s / result.video.duration_s) if result.video.duration_s else 0.0
                if on_progress is not None and done >= reported + _PROGRESS_STEP:
                    on_progress(done)
                    reported = done
    if on_progress is not None:
        on_progress(1.0)


class Annotator:
    """Draws the faces of one result on the frames of its video, which come in the order of time."""

    def __init__(self, result: Result) -> None:
        labels = {track_id: view.label for view in result.appearances for track_id in view.track_ids}
        shown = [(track, labels[track.track_id]) for track in result.tracks if track.track_id in labels]
        self._waiting = deque(sorted(shown, key=lambda pair: pair[0].start_s))
        self._shown: list[_Face] = []
        self._period_s = result.sampling.period_s
        # Samples lie on frames, so two of them may be a frame further apart than the period.
        self._max_gap_s = result.sampling.period_s + 1 / result.video.fps
        side = min(result.video.width, result.video.height)
        self._line_px = max(1, round(side / 360))
        self._text_px = max(_LEAST_TEXT_PX, round(side / 36))

    def draw(self, image: ImageArray, time_s: float) -> None:
        """Draw on a frame, in place, the faces in view at its time."""
        while self._waiting and self._waiting[0][0].start_s <= time_s:
            self._shown.append(_Face(*self._waiting.popleft(), self._text_px, image.shape[1]))
        self._shown = [face for face in self._shown if time_s < face.track.end_s]
        placed = [(face, box) for face in self._shown if (box := self._box_at(face.track, face.times_s, time_s))]
        for face, box in sorted(placed, key=lambda pair: pair[0].tag is not None):
            self._frame(image, face, box)
        self._put_tags(image, placed)

    def _box_at(self, track: TrackView, times_s: Sequence[float], time_s: float) -> Box | None:
        after = bisect_right(times_s, time_s)
        before = max(0, after - 1)
        after = min(after, len(times_s) - 1)
        gap_s = times_s[after] - times_s[before]
        first, second = track.samples[before].box_xyxy, track.samples[after].box_xyxy
        if 0 < gap_s <= self._max_gap_s:
            share = (time_s - times_s[before]) / gap_s
            left, top, right, bottom = (a + share * (b - a) for a, b in zip(first, second, strict=True))
            return left, top, right, bottom
        if abs(time_s - times_s[before]) <= self._period_s / 2:
            return first
        return second if abs(times_s[after] - time_s) <= self._period_s / 2 else None

    def _frame(self, image: ImageArray, face: _Face, box: Box) -> None:
        radius = 0.1 * min(box[2] - box[0], box[3] - box[1])
        if face.tag is None:
            stroke_round(image, box, radius, face.colour, max(1, self._line_px // 2))
            return
        # A casing of the opposite brightness sets the line off from whatever is behind it.
        stroke_round(image, box, radius, ink_on(face.colour), self._line_px + 2)
        stroke_round(image, box, radius, face.colour, self._line_px)

    def _put_tags(self, image: ImageArray, placed: Sequence[tuple[_Face, Box]]) -> None:
        height, width = image.shape[:2]
        taken: list[Box] = [box for _, box in placed]
        for face, box in placed:
            if face.tag is None:
                continue
            best = min(
                _places(box, face.tag, 2 * self._line_px, width, height, below_first=face.is_tag_below),
                key=lambda place: sum(_shared_area(place[0], other) for other in taken),
            )
            face.is_tag_below = best[1]
            taken.append(best[0])
            blend(image, round(best[0][0]), round(best[0][1]), face.tag.picture, face.tag.opacity)


class _Face:
    """A track in view, with what is drawn for it."""

    def __init__(self, track: TrackView, label: str, text_px: int, max_width: int) -> None:
        self.track = track
        self.times_s = [sample.time_s for sample in track.samples]
        self.colour = label_colour(label)
        self.is_tag_below = False
        self.tag: _Tag | None = None
        if track.decision != "undecidable":
            chance = f"  {percent(track.probability)}" if track.decision == "named" else ""
            self.tag = _Tag(label, chance, text_px, self.colour, max_width)


class _Tag:
    """A label as a small picture with round corners."""

    def __init__(self, label: str, chance: str, text_px: int, colour: Colour, max_width: int) -> None:
        padding = round(0.45 * text_px)
        room = max_width - 2 * padding - text_width(chance, text_px, _WEIGHT)
        text = shorten(label, text_px, room, _WEIGHT) + chance
        self.width = min(max_width, text_width(text, text_px, _WEIGHT) + 2 * padding)
        self.height = round(1.5 * text_px)
        self.picture: ImageArray = np.full((self.height, self.width, 3), colour, np.uint8)
        put_text(self.picture, text, padding, self.height / 2, text_px, ink_on(colour), _WEIGHT)
        self.opacity = round_opacity(self.width, self.height, (0, 0, self.width, self.height), 0.3 * text_px)


def _places(box: Box, tag: _Tag, gap: int, width: int, height: int, *, below_first: bool) -> Iterator[tuple[Box, bool]]:
    """Where a tag may go, wholly inside the picture, and whether that is below its box; the last place comes first."""
    x = min(max(0.0, box[0]), max(0, width - tag.width))
    for is_below in (below_first, not below_first):
        y = box[3] + gap if is_below else box[1] - gap - tag.height
        y = min(max(0.0, y), max(0, height - tag.height))
        yield (x, y, x + tag.width, y + tag.height), is_below


def _shared_area(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))

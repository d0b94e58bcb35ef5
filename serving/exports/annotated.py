"""The original video with every face framed and named."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from PIL import Image

from facerec_models.analysis.apart.video_child import next_answer, open_video, video_child, video_facts
from facerec_models.analysis.reading.geometry import Geometry
from facerec_models.config import LimitsConfig
from facerec_models.confinement.child import ChildLostError
from facerec_models.confinement.pipe import Pipe
from facerec_models.errors import InputError
from facerec_models.files import write_atomically
from facerec_models.metrics.intervals import intersect
from facerec_models.result import Result, TrackView
from facerec_models.types import ImageArray
from facerec_models.video_writer import VideoWriter
from serving.exports.colours import INK, Colour, label_colours
from serving.exports.drawing import Box, blend, put_text, round_opacity, shorten, stroke_round, text_width
from serving.exports.written_apart import Telling, write_apart

_WEIGHT = 500
_LEAST_TEXT_PX = 12
# The longer part of a period of five samples that is halved.
_HALF = 0.6
# Times of samples are kept to fractions of a millisecond.
_FRAME_SLACK_S = 0.002
_MOST_LETTERS = 100


def write_annotated(
    result: Result,
    video: Path,
    target: Path,
    limits: LimitsConfig,
    on_progress: Callable[[float], None] | None = None,
    *,
    is_private: bool = False,
) -> None:
    """Write the video, or the fragments that a result is about, again with the faces of the result framed and named.

    All frames keep their times, in a fragment from its start, and the sound is kept; of several fragments each follows the one before
    at once. The new video has square pixels; frames of another size than the first are fitted into it between black bars. A face is
    framed while its track is in view: between two samples its box moves steadily, unless a sampled frame or more between them did not
    show the face. Undecidable faces get a thin gray frame without a label; tracks of no appearance get none.

    Parameters
    ----------
    video : Path
        The video that `result` is about.
    target : Path
        H.264 in MP4, replaced if it exists, and only when all is written.
    on_progress : callable, optional
        Told the finished fraction whenever one per cent more is done, and 1 at the end.
    is_private : bool
        Whether the owner of `target` alone may read it, as what is below the home.

    Raises
    ------
    InputError
        If `video` cannot be read, or its pictures have another size than the result's.
    """
    write_apart(
        draw_in_child,
        {"result": result.to_json()},
        video,
        target,
        limits,
        stream=result.video.stream,
        is_private=is_private,
        on_progress=on_progress,
    )


def draw_in_child(pipe: Pipe) -> None:
    """Write a video with the faces of a result; runs in a child."""
    facts = pipe.receive().facts
    result = Result.model_validate_json(facts["result"])
    tell = Telling(pipe)
    with open_video(pipe, facts["video"]) as source:
        info = source.info
        if (info.width, info.height) != (result.video.width, result.video.height):
            raise InputError(
                f"{source.name!r} has pictures of {info.width}x{info.height} pixels, but the result is about a video of "
                f"{result.video.width}x{result.video.height}; give the video that was analysed"
            )
        annotator = Annotator(result)
        start_s, end_s = result.sampling.fragment or (0.0, None)
        length_s = (result.video.duration_s if end_s is None else min(end_s, result.video.duration_s)) - start_s
        gaps = deque((a[1], b[0]) for a, b in pairwise(result.sampling.fragments or ()))
        size = source.geometry.square_size
        target, unfinished = Path(facts["target"]), Path(facts["unfinished"])
        with VideoWriter(target, info.fps, *size, audio_from=source, unfinished=unfinished) as writer:
            for decoded in source.frames(start_s, end_s):
                while gaps and decoded.time_s >= gaps[0][1]:
                    writer.leave_out(*gaps.popleft())
                if gaps and decoded.time_s >= gaps[0][0]:
                    continue
                frame = decoded.to_square_frame()
                place = Place.of(decoded.geometry, size)
                image = place.fit(frame.image)
                annotator.draw(image, frame.time_s, place)
                writer.write(image, frame.time_s)
                tell((frame.time_s - start_s) / max(length_s, frame.time_s - start_s, 1e-9))


def only_part(result: Result, start_s: float, end_s: float) -> Result:
    """Return a result whose video is drawn from `start_s` to `end_s` alone.

    Raises
    ------
    InputError
        If nothing of that was analysed.
    """
    part = intersect(result.sampling.covered(result.video.duration_s), [(start_s, end_s)])
    if not part:
        raise InputError(
            f"from {start_s:g} to {end_s:g} s nothing of {result.video.name!r} was analysed: choose another part"
        )
    sampling = {"fragment": (part[0][0], part[-1][1]), "fragments": part}
    return result.model_copy(update={"sampling": result.sampling.model_copy(update=sampling)})


def write_frames(result: Result, video: Path, folder: Path, limits: LimitsConfig) -> list[Path]:
    """Write the frame with the best face of each appearance as a JPEG, all faces in it framed and named; return the files.

    A file's name is the time, in seconds, and the labels of those whose best face it shows. Undecidable faces have no frame of their
    own.
    """
    written = []
    opened = video_facts(video, limits, None, result.video.stream)
    shown = _frames_shown(result)
    with video_child(draw_frames_in_child, opened, limits) as child:
        child.send("draw", {"video": opened, "result": result.to_json()}, timeout_s=limits.decoder_silence_s)
        while (message := next_answer(child, limits)).kind != "end":
            time_s = message.facts.get("time_s")
            labels = shown.pop(time_s, None) if isinstance(time_s, float) else None
            if labels is None or [image.shape[2:] for image in message.arrays if image.dtype == np.uint8] != [(3,)]:
                raise ChildLostError("sent what cannot be a frame of the video")
            data = io.BytesIO()
            Image.fromarray(message.arrays[0]).save(data, "JPEG", quality=92)
            names = "_".join(dict.fromkeys(label.replace(" ", "_") for label in labels))
            written.append(folder / f"{time_s:09.3f}_{names[:_MOST_LETTERS]}.jpg")
            write_atomically(written[-1], data.getvalue(), is_private=False)
    return written


def draw_frames_in_child(pipe: Pipe) -> None:
    """Draw the frames with the best faces of a result; runs in a child."""
    facts = pipe.receive().facts
    result = Result.model_validate_json(facts["result"])
    shown = _frames_shown(result)
    annotator = Annotator(result)
    with open_video(pipe, facts["video"]) as source:
        size = source.geometry.square_size
        for decoded in source.frames(end_s=max(shown, default=0.0) + _FRAME_SLACK_S):
            time_s = round(decoded.time_s, 3)
            if shown.pop(time_s, None) is None:
                continue
            place = Place.of(decoded.geometry, size)
            image = place.fit(decoded.to_square_frame().image)
            annotator.draw(image, decoded.time_s, place)
            pipe.send("frame", {"time_s": time_s}, [image])


def _frames_shown(result: Result) -> dict[float, list[str]]:
    """Return the times of the frames with the best face of each appearance, and whose they are."""
    shown: dict[float, list[str]] = {}
    for view in result.appearances:
        if view.evidence.crops and (view.person_id is not None or view.stranger is not None):
            shown.setdefault(round(view.evidence.crops[0].time_s, 3), []).append(view.label)
    return shown


@dataclass(frozen=True, slots=True)
class Place:
    """Where a frame lies in the drawn picture, which is as large as the video's first frame with square pixels.

    Parameters
    ----------
    size : tuple of int
        Width and height of the picture.
    fitted : tuple of int
        Width and height of the frame in it.
    across, down : float
        Factors from stored pixels of the frame to the picture's.
    """

    size: tuple[int, int]
    fitted: tuple[int, int]
    across: float
    down: float

    @classmethod
    def of(cls, geometry: Geometry, size: tuple[int, int]) -> Place:
        """Fit frames of a geometry into a picture of this size."""
        width, height = geometry.square_size
        factor = min(size[0] / width, size[1] / height)
        fitted = max(1, round(width * factor)), max(1, round(height * factor))
        return cls(size, fitted, fitted[0] / geometry.width, fitted[1] / geometry.height)

    @property
    def corner(self) -> tuple[int, int]:
        """Where the frame's left upper corner is."""
        return (self.size[0] - self.fitted[0]) // 2, (self.size[1] - self.fitted[1]) // 2

    def fit(self, image: ImageArray) -> ImageArray:
        """Put a frame with square pixels into the picture."""
        if image.shape[1::-1] == self.size:
            return image
        picture: ImageArray = np.zeros((self.size[1], self.size[0], 3), np.uint8)
        left, top = self.corner
        small = cv2.resize(image, self.fitted, interpolation=cv2.INTER_AREA)
        picture[top : top + self.fitted[1], left : left + self.fitted[0]] = small
        return picture

    def box(self, box: Box) -> Box:
        """Take a box in stored pixels of the frame to the picture."""
        left, top = self.corner
        return (
            left + box[0] * self.across,
            top + box[1] * self.down,
            left + box[2] * self.across,
            top + box[3] * self.down,
        )


class Annotator:
    """Draws the faces of one result on the frames of its video, which come in the order of time."""

    def __init__(self, result: Result) -> None:
        labels = {track_id: view.label for view in result.appearances for track_id in view.track_ids}
        shown = [(track, labels[track.track_id]) for track in result.tracks if track.track_id in labels]
        self._waiting = deque(sorted(shown, key=lambda pair: pair[0].start_s))
        self._in_view: list[_Face] = []
        self._colours = label_colours(result)
        frame_s, period_s = 1 / result.video.fps, result.sampling.period_s
        # The usual step: where the rate varies some samples are neighbouring frames.
        steps_s = [b.time_s - a.time_s for track in result.tracks for a, b in pairwise(track.samples)]
        step_s = median(steps_s) if steps_s else period_s
        is_dense = result.sampling.densified
        # Samples lie on frames, so two of them may be a frame further apart than others. A face that is missed once is still there, and
        # where faces stand still the halves of a period may be all that was looked at.
        self._max_gap_s = (max(2 * step_s, _HALF * period_s) if is_dense else period_s) + frame_s
        # Within a longer gap: how far the face is shown before a sample, and how far from it on.
        self._hold_s = (0.0, frame_s / 2) if is_dense else (period_s / 2, period_s / 2)
        ratio = result.video.sample_aspect_ratio
        side = min(result.video.width * max(ratio, 1), result.video.height / min(ratio, 1))
        self._line_px = max(2, round(side / 260))
        self._text_px = max(_LEAST_TEXT_PX, round(side / 36))

    def draw(self, image: ImageArray, time_s: float, place: Place | None = None) -> None:
        """Draw on a picture, in place, the faces in view at its time; `place` is where the frame lies in it, if not just so."""
        while self._waiting and self._waiting[0][0].start_s <= time_s:
            track, label = self._waiting.popleft()
            self._in_view.append(_Face(track, self._colours[label], self._tag(track, label, image.shape[1])))
        self._in_view = [face for face in self._in_view if time_s < face.track.end_s]
        boxes = [(face, face.box_at(time_s, self._hold_s, self._max_gap_s)) for face in self._in_view]
        placed = [(face, place.box(box) if place else box) for face, box in boxes if box is not None]
        for face, box in sorted(placed, key=lambda pair: pair[0].tag is not None):
            self._frame(image, face, box)
        self._put_tags(image, placed)

    def _tag(self, track: TrackView, label: str, max_width: int) -> _Tag | None:
        if track.decision == "undecidable":
            return None
        return _Tag(label, self._text_px, self._colours[label], max_width)

    def _frame(self, image: ImageArray, face: _Face, box: Box) -> None:
        radius = 0.1 * min(box[2] - box[0], box[3] - box[1])
        if face.tag is None:
            stroke_round(image, box, radius, face.colour, self._line_px // 2)
            return
        # The casing sets the line off from bright skin and walls.
        stroke_round(image, box, radius, INK, self._line_px + 2)
        stroke_round(image, box, radius, face.colour, self._line_px)

    def _put_tags(self, image: ImageArray, placed: Sequence[tuple[_Face, Box]]) -> None:
        """Put each label above or below its box, where it hides less of boxes and other labels."""
        height, width = image.shape[:2]
        taken = [box for _, box in placed]
        for face, box in placed:
            if face.tag is None:
                continue
            places = _places(box, face.tag, 2 * self._line_px, width, height)
            hidden = [sum(_shared_area(place, other) for other in taken) for place in places]
            # A label stays on its side until the other one is better, or it would flicker.
            if hidden[not face.is_tag_below] < hidden[face.is_tag_below]:
                face.is_tag_below = not face.is_tag_below
            place = places[face.is_tag_below]
            taken.append(place)
            blend(image, round(place[0]), round(place[1]), face.tag.picture, face.tag.opacity)


class _Face:
    """A track in view, with what is drawn for it; undecidable ones have no tag."""

    def __init__(self, track: TrackView, colour: Colour, tag: _Tag | None) -> None:
        self.track = track
        self.colour = colour
        self.tag = tag
        self.is_tag_below = False
        self._times_s = [sample.time_s for sample in track.samples]

    def box_at(self, time_s: float, hold_s: tuple[float, float], max_gap_s: float) -> Box | None:
        """Return where the face is: between two near samples on its way, in a gap where a sample not `hold_s` away is."""
        after = bisect_right(self._times_s, time_s)
        neighbours = self.track.samples[max(0, after - 1) : after + 1]
        first, last = neighbours[0], neighbours[-1]
        if len(neighbours) == 1:
            return first.box_xyxy
        if last.time_s - first.time_s <= max_gap_s:
            share = (time_s - first.time_s) / (last.time_s - first.time_s)
            left, top, right, bottom = (a + share * (b - a) for a, b in zip(first.box_xyxy, last.box_xyxy, strict=True))
            return left, top, right, bottom
        before_s, after_s = hold_s
        if time_s - first.time_s <= after_s:
            return first.box_xyxy
        return last.box_xyxy if last.time_s - time_s <= before_s else None


class _Tag:
    """A label as a small picture with round corners."""

    def __init__(self, label: str, text_px: int, colour: Colour, max_width: int) -> None:
        padding = round(0.45 * text_px)
        text = shorten(label, text_px, max_width - 2 * padding, _WEIGHT)
        width = min(max_width, text_width(text, text_px, _WEIGHT) + 2 * padding)
        height = round(1.5 * text_px)
        self.picture: ImageArray = np.full((height, width, 3), colour, np.uint8)
        put_text(self.picture, text, padding, height / 2, text_px, INK, _WEIGHT)
        self.opacity = round_opacity(width, height, (0, 0, width, height), 0.3 * text_px)


def _places(box: Box, tag: _Tag, gap: int, width: int, height: int) -> tuple[Box, Box]:
    """Where a tag goes above and below its box, wholly inside the picture."""
    tag_height, tag_width = tag.picture.shape[:2]
    left = max(0.0, min(box[0], width - tag_width))

    def at(top: float) -> Box:
        top = max(0.0, min(top, height - tag_height))
        return left, top, left + tag_width, top + tag_height

    return at(box[1] - gap - tag_height), at(box[3] + gap)


def _shared_area(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))

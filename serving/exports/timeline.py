"""A picture of who is in view when."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from facerec_models.errors import InputError
from facerec_models.files import write_atomically
from facerec_models.metrics.intervals import union
from facerec_models.result import Result
from facerec_models.types import ImageArray
from serving.exports.colours import Colour, label_colours
from serving.exports.drawing import blend, fill_round, put_text, round_opacity, shorten, text_width
from serving.exports.labels import clock

_WHITE: Colour = (255, 255, 255)
_INK: Colour = (39, 39, 42)
_FAINT_INK: Colour = (113, 113, 122)
_TRACK: Colour = (244, 244, 245)
_GRID: Colour = (228, 228, 231)
_CUT: Colour = (161, 161, 170)
_TICK_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
_MOST_JPEG_PX = 65_500


def write_timeline(result: Result, target: Path, *, thumbnails: Mapping[str, ImageArray] | None = None) -> None:
    """Write the picture of `draw_timeline` as PNG, or as JPEG if the file's name ends so.

    Raises
    ------
    InputError
        If so many are in view that the picture is taller than a JPEG may be.
    """
    picture = draw_timeline(result, thumbnails=thumbnails)
    is_jpeg = target.suffix.lower() in {".jpg", ".jpeg"}
    if is_jpeg and len(picture) > _MOST_JPEG_PX:
        raise InputError(f"{str(target)!r} would be {len(picture)} pixels tall, too tall for a JPEG: name a .png")
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "JPEG" if is_jpeg else "PNG")
    write_atomically(target, data.getvalue(), is_private=False)


def draw_timeline(
    result: Result, *, width_px: int = 1600, thumbnails: Mapping[str, ImageArray] | None = None
) -> ImageArray:
    """Draw who is in view when: people by screen time, then strangers by screen time, then what cannot be decided.

    The bars behind them reach over what was analysed.

    Parameters
    ----------
    width_px : int
        Width of the picture; its height follows from the number of lanes.
    thumbnails : mapping of label to (H, W, 3) uint8, optional
        Faces, RGB, shown beside their lanes.

    Returns
    -------
    (H, width_px, 3) uint8
        RGB.
    """
    return _Timeline(result, width_px, thumbnails or {}).draw()


@dataclass(frozen=True, slots=True)
class _Lane:
    """One label with its disjoint intervals, ascending."""

    label: str
    intervals: list[tuple[float, float]]

    @property
    def total_s(self) -> float:
        return sum(end_s - start_s for start_s, end_s in self.intervals)


def _lanes(result: Result) -> list[_Lane]:
    by_label: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for view in result.appearances:
        rank = 0 if view.identity is not None else 1 if view.stranger is not None else 2
        by_label.setdefault((rank, view.label), []).append((view.start_s, view.end_s))
    lanes = [(rank, _Lane(label, union(intervals))) for (rank, label), intervals in by_label.items()]
    return [lane for _, lane in sorted(lanes, key=lambda pair: (pair[0], -pair[1].total_s, pair[1].label))]


class _Timeline:
    """Measures of one picture, and its parts from top to bottom."""

    def __init__(self, result: Result, width_px: int, thumbnails: Mapping[str, ImageArray]) -> None:
        self._result = result
        self._lanes = _lanes(result)
        self._colours = label_colours(result)
        self._thumbnails = thumbnails
        self._unit = width_px / 1600
        self._width = width_px
        self._text_px = max(9, round(19 * self._unit))
        self._small_px = max(8, round(16 * self._unit))
        self._margin = 24 * self._unit
        self._lane_height = (56 if thumbnails else 42) * self._unit
        self._face_px = round(44 * self._unit) if thumbnails else 0
        self._label_x = self._margin + (self._face_px + 12 * self._unit if thumbnails else 0)
        widest = max((text_width(lane.label, self._text_px) for lane in self._lanes), default=0)
        self._label_width = min(widest, 260 * self._unit)
        self._left = self._label_x + self._label_width + 20 * self._unit
        totals = [text_width(_seconds(lane.total_s), self._text_px) for lane in self._lanes]
        self._right = width_px - self._margin - max(totals, default=0) - 20 * self._unit
        self._top = 40 * self._unit
        self._bottom = self._top + max(2, len(self._lanes)) * self._lane_height
        # A header may promise less than there is.
        self._duration_s = max(result.video.duration_s, *(end_s for _, end_s in result.shots), 0.1)

    def draw(self) -> ImageArray:
        """Draw everything."""
        image: ImageArray = np.full((round(self._bottom + 48 * self._unit), self._width, 3), _WHITE, np.uint8)
        for i in range(len(self._lanes)):
            middle = self._top + (i + 0.5) * self._lane_height
            half = 13 * self._unit
            for start_s, end_s in self._result.sampling.covered(self._duration_s):
                place = (self._x(start_s), middle - half, self._x(end_s), middle + half)
                fill_round(image, place, 6 * self._unit, _TRACK)
        self._draw_axis(image)
        self._draw_cuts(image)
        for i, lane in enumerate(self._lanes):
            self._draw_lane(image, lane, self._top + (i + 0.5) * self._lane_height)
        if not self._lanes:
            text = "Nobody appears in this video"
            middle = (self._left + self._right - text_width(text, self._text_px)) / 2
            put_text(image, text, middle, (self._top + self._bottom) / 2, self._text_px, _FAINT_INK)
        return image

    def _x(self, time_s: float) -> float:
        return self._left + time_s / self._duration_s * (self._right - self._left)

    def _draw_axis(self, image: ImageArray) -> None:
        per_s = (self._right - self._left) / self._duration_s
        step_s = next((step for step in _TICK_STEPS_S if step * per_s >= 90 * self._unit), _TICK_STEPS_S[-1])
        line = max(1, round(self._unit))
        for i in range(int(self._duration_s / step_s + 1e-6) + 1):
            x = self._x(i * step_s)
            bottom = self._bottom + 8 * self._unit
            top = self._top if self._lanes else self._bottom
            image[round(top) : round(bottom), round(x) : round(x) + line] = _GRID
            text = clock(i * step_s, int(step_s < 1))
            start = x - text_width(text, self._small_px) / 2
            put_text(image, text, start, bottom + 16 * self._unit, self._small_px, _FAINT_INK)

    def _draw_cuts(self, image: ImageArray) -> None:
        """Mark the shot boundaries above the lanes."""
        line = max(1, round(self._unit))
        for start_s, _ in self._result.shots[1:]:
            x = round(self._x(start_s))
            image[round(self._top - 16 * self._unit) : round(self._top - 4 * self._unit), x : x + line] = _CUT

    def _draw_lane(self, image: ImageArray, lane: _Lane, middle: float) -> None:
        colour = self._colours[lane.label]
        half = 13 * self._unit
        for start_s, end_s in lane.intervals:
            left = self._x(start_s)
            right = max(self._x(end_s), left + 3 * self._unit)
            fill_round(image, (left, middle - half, right, middle + half), 6 * self._unit, colour)
        if (face := self._thumbnails.get(lane.label)) is not None:
            self._put_face(image, face, middle)
        label = shorten(lane.label, self._text_px, round(self._label_width))
        put_text(image, label, self._label_x, middle, self._text_px, _INK)
        total = _seconds(lane.total_s)
        start = self._width - self._margin - text_width(total, self._text_px)
        put_text(image, total, start, middle, self._text_px, _FAINT_INK)

    def _put_face(self, image: ImageArray, face: ImageArray, middle: float) -> None:
        side = self._face_px
        small = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        opacity = round_opacity(side, side, (0, 0, side, side), side / 5)
        blend(image, round(self._margin), round(middle - side / 2), small, opacity)


def _seconds(time_s: float) -> str:
    return f"{time_s:,.1f} s"

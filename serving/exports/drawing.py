"""Text and rounded rectangles on pictures, smooth at every size."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from facerec_models.types import ImageArray
from serving.exports.colours import Colour

# OpenCV's own scalable font: unlike Pillow's it has accents, Cyrillic, Greek, Arabic and Chinese letters.
_FONT = "sans"
_SUBPIXEL_BITS = 4
_CORNER = np.linspace(0, math.pi / 2, 7)

Box = tuple[float, float, float, float]


def text_width(text: str, size_px: int, weight: int = 400) -> int:
    """Return how wide a line of text is drawn, in pixels."""
    return int(cv2.getTextSize((0, 0), text, (0, 0), cv2.FontFace(_FONT), size_px, weight)[2])


def shorten(text: str, size_px: int, max_width: int, weight: int = 400) -> str:
    """Return the text, or as much of its beginning as fits into `max_width` pixels, with an ellipsis."""
    if text_width(text, size_px, weight) <= max_width:
        return text
    while text and text_width(f"{text}…", size_px, weight) > max_width:
        text = text[:-1].rstrip()
    return f"{text}…"


def put_text(
    image: ImageArray, text: str, x: float, middle_y: float, size_px: int, colour: Colour, weight: int = 400
) -> None:
    """Draw a line of text from `x` on, its capitals centred on `middle_y`."""
    origin = round(x), round(middle_y + 0.35 * size_px)  # capitals are 0.7 of the font's size
    cv2.putText(image, text, origin, colour, cv2.FontFace(_FONT), size_px, weight)


def round_opacity(width: int, height: int, box: Box, radius: float) -> ImageArray:
    """Return how much a rounded rectangle covers of each pixel, as (height, width, 1) in 0 to 255."""
    radius = min(radius, (box[2] - box[0]) / 2, (box[3] - box[1]) / 2)
    outside_x = _beyond(np.arange(0.5, width), box[0] + radius, box[2] - radius)
    outside_y = _beyond(np.arange(0.5, height), box[1] + radius, box[3] - radius)
    distance = np.hypot(outside_x[None, :], outside_y[:, None])
    return np.asarray(255 * np.clip(radius + 0.5 - distance, 0, 1), np.uint8)[..., None]


def _beyond(positions: npt.NDArray[np.float64], low: float, high: float) -> npt.NDArray[np.float64]:
    return np.asarray(np.maximum(np.maximum(low - positions, positions - high), 0))


def blend(image: ImageArray, x: int, y: int, paint: ImageArray | Colour, opacity: ImageArray) -> None:
    """Lay a picture or a colour on `image`, its top left at (x, y), both inside; what is too large is cut off.

    Parameters
    ----------
    opacity : (H, W, 1) uint8
        255 where nothing of `image` is to be seen any more.
    """
    below = image[y : y + opacity.shape[0], x : x + opacity.shape[1]]
    height, width = below.shape[:2]
    above = opacity[:height, :width].astype(np.uint16)
    colours = np.asarray(paint, np.uint16)
    colours = colours[:height, :width] if colours.ndim == 3 else colours
    below[:] = (colours * above + below * (255 - above) + 127) // 255


def fill_round(image: ImageArray, box: Box, radius: float, colour: Colour) -> None:
    """Fill a rounded rectangle, whose edges may lie between pixels."""
    x, y = max(0, math.floor(box[0])), max(0, math.floor(box[1]))
    width, height = math.ceil(box[2]) - x, math.ceil(box[3]) - y
    blend(image, x, y, colour, round_opacity(width, height, (box[0] - x, box[1] - y, box[2] - x, box[3] - y), radius))


def stroke_round(image: ImageArray, box: Box, radius: float, colour: Colour, line_px: int) -> None:
    """Draw the outline of a rounded rectangle, its line centred on the outermost pixels."""
    left, top, right, bottom = box[0], box[1], max(box[0], box[2] - 1), max(box[1], box[3] - 1)
    radius = min(radius, (right - left) / 2, (bottom - top) / 2)
    dx, dy = radius * np.cos(_CORNER), radius * np.sin(_CORNER)
    inner_left, inner_top, inner_right, inner_bottom = left + radius, top + radius, right - radius, bottom - radius
    x = np.concatenate([inner_right + dx, inner_left - dx[::-1], inner_left - dx, inner_right + dx[::-1]])
    y = np.concatenate([inner_bottom + dy, inner_bottom + dy[::-1], inner_top - dy, inner_top - dy[::-1]])
    # In fixed point, as OpenCV draws between pixels: boxes glide instead of jumping from pixel to pixel.
    points = np.rint(np.stack([x, y], 1) * 2**_SUBPIXEL_BITS).astype(np.int32)
    cv2.polylines(image, [points], True, colour, line_px, cv2.LINE_AA, _SUBPIXEL_BITS)

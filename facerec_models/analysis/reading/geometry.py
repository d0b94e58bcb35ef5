"""How a stored picture becomes one that is shown right: its size, how it is turned, and the shape of its pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np

from facerec_models.analysis import boxes
from facerec_models.types import Detections, ImageArray

# Scope lenses squeeze twice, CIF at 16:9 three times. What says more is a mistake of who wrote it.
_MOST_RATIO = 5
# Ratios that only round the picture's size are not worth a conversion.
_SQUARE_ENOUGH = 0.01


def usable_ratio(ratio: Fraction | None) -> Fraction | None:
    """Return the width of a pixel over its height: 1 where nothing is stated, None where what is stated is absurd."""
    if ratio is None or ratio == 0 or abs(ratio - 1) < _SQUARE_ENOUGH:
        return Fraction(1)
    return ratio if Fraction(1, _MOST_RATIO) <= ratio <= _MOST_RATIO else None


@dataclass(frozen=True, slots=True)
class Orientation:
    """What makes a stored picture upright: first swap the axes, then mirror x, then mirror y."""

    swaps_axes: bool
    mirrors_x: bool
    mirrors_y: bool

    @classmethod
    def of(cls, picture: av.VideoFrame) -> Orientation:
        """Read FFmpeg's display matrix.

        It maps (x, y) to (a x + c y, b x + d y) and is stored as a, b, u, c, d, v, x, y, w.
        """
        side_data: Mapping[str, Any] = picture.side_data
        matrix = side_data.get("DISPLAYMATRIX")
        if matrix is None:
            return cls(False, False, False)
        a, b, _, c, d = np.frombuffer(matrix, np.int32, 5).tolist()
        return cls(True, c < 0, b < 0) if abs(b) > abs(a) else cls(False, a < 0, d < 0)

    @property
    def rotation_deg(self) -> int:
        """How far the picture is turned clockwise, apart from mirroring."""
        if self.swaps_axes:
            return 90 if self.mirrors_x else 270
        return 180 if self.mirrors_y else 0

    def apply(self, image: ImageArray) -> ImageArray:
        """Return the upright picture."""
        if self.swaps_axes:
            image = image.transpose(1, 0, 2)
        image = image[:: -1 if self.mirrors_y else 1, :: -1 if self.mirrors_x else 1]
        return np.ascontiguousarray(image)


@dataclass(frozen=True, slots=True)
class Geometry:
    """Of a frame as it is stored, and what follows from it for the upright picture.

    Parameters
    ----------
    stored_width, stored_height : int
        Pixels as the decoder gives them.
    stored_ratio : Fraction
        Width of a stored pixel over its height.
    orientation : Orientation
        What makes the picture upright.

    Examples
    --------
    >>> turned = Orientation(True, True, False)
    >>> tall = Geometry(480, 576, Fraction(8, 5), turned)
    >>> tall.width, tall.height, tall.sample_aspect_ratio, tall.square_size
    (576, 480, Fraction(5, 8), (576, 768))
    """

    stored_width: int
    stored_height: int
    stored_ratio: Fraction
    orientation: Orientation

    @property
    def width(self) -> int:
        """Stored pixels across the upright picture."""
        return self.stored_height if self.orientation.swaps_axes else self.stored_width

    @property
    def height(self) -> int:
        """Stored pixels down the upright picture."""
        return self.stored_width if self.orientation.swaps_axes else self.stored_height

    @property
    def sample_aspect_ratio(self) -> Fraction:
        """Width of a pixel over its height in the upright picture."""
        return 1 / self.stored_ratio if self.orientation.swaps_axes else self.stored_ratio

    @property
    def stored_square_size(self) -> tuple[int, int]:
        """Width and height that make the pixels square before the picture is turned; neither is less than the stored one."""
        width, height, ratio = self.stored_width, self.stored_height, self.stored_ratio
        return (round(width * ratio), height) if ratio >= 1 else (width, round(height / ratio))

    @property
    def square_size(self) -> tuple[int, int]:
        """Width and height of the upright picture with square pixels."""
        width, height = self.stored_square_size
        return (height, width) if self.orientation.swaps_axes else (width, height)

    @property
    def stretch(self) -> tuple[float, float]:
        """Factors that take x and y of the upright picture to the one with square pixels."""
        width, height = self.square_size
        return width / self.width, height / self.height

    def unstretch(self, found: Detections) -> Detections:
        """Take what was found in the picture with square pixels to stored, upright pixels."""
        across, down = self.stretch
        if (across, down) == (1, 1):
            return found
        factors = np.array([across, down], np.float32)
        return Detections(
            boxes.clip(np.asarray(found.boxes / np.tile(factors, 2), np.float32), self.width, self.height),
            found.scores,
            np.asarray(found.landmarks / factors, np.float32),
        )

    def __str__(self) -> str:
        shape = (
            "" if self.stored_ratio == 1 else f" (pixels {float(self.sample_aspect_ratio):.3g} times as wide as high)"
        )
        return f"{self.width}x{self.height}{shape}"

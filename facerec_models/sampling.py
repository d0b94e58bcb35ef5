"""Which frames of a video are looked at: a coarse grid always, a denser one where it pays.

Faces are sought on the coarse grid. Between two coarse frames the dense ones are looked at when either of the two shows a
face, or when a cut lies between them: there a whole shot may have fallen through the grid.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

from facerec_models.config import SamplingConfig

_DEFAULT_PERIOD_FRAMES, _DEFAULT_PERIOD_S = 25, 1.0
# Looking more often than this at a face adds time and next to no evidence: neighbouring frames are almost the same picture.
_MOST_DENSE_FPS = 6.0


class Grid(Enum):
    """Which grid a frame lies on."""

    COARSE = "coarse"
    DENSE = "dense"
    NONE = "none"


class Sampler:
    """Says of each frame of one video, in their order, which grid it lies on.

    Parameters
    ----------
    fps : float
        Average frame rate of the video.
    start_s : float
        Time of the first frame that is offered.
    """

    def __init__(self, config: SamplingConfig, fps: float, start_s: float = 0.0) -> None:
        self.mode: Literal["frames", "fps"] = "frames" if config.fps is None else "fps"
        if config.fps is not None:
            self.period_s = 1 / config.fps
            self.period_frames = 0
        else:
            default = max(1, min(_DEFAULT_PERIOD_FRAMES, round(fps * _DEFAULT_PERIOD_S)))
            self.period_frames = config.period_frames or default
            self.period_s = self.period_frames / fps
        self.densify = max(1, min(config.densify, int(_MOST_DENSE_FPS * self.period_s + 1e-6)))
        self._start_s = start_s
        # A frame belongs to the grid time that it is nearest to, not to the one it has just missed by rounding.
        self._slack_s = 0.5 / fps
        self._count = 0
        self._next_coarse = 0
        self._next_dense = 0

    def classify(self, time_s: float) -> Grid:
        """Return the grid of the next frame."""
        if self.period_frames:
            coarse = self._count // self.period_frames
            dense = self._count * self.densify // self.period_frames
        else:
            position_s = time_s - self._start_s + self._slack_s
            coarse = int(position_s / self.period_s)
            dense = int(position_s * self.densify / self.period_s)
        self._count += 1
        if coarse >= self._next_coarse:
            self._next_coarse, self._next_dense = coarse + 1, dense + 1
            return Grid.COARSE
        if dense >= self._next_dense:
            self._next_dense = dense + 1
            return Grid.DENSE
        return Grid.NONE

"""Which frames of a video are sampled: a coarse grid always, a denser one where it pays.

Faces are sought on the coarse grid. Between two coarse frames the dense ones are sampled too when either of the two shows a
face, or when a cut lies between them: there a whole shot may have fallen through the grid.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

from facerec_models.config import SamplingConfig

_DEFAULT_PERIOD_FRAMES, _DEFAULT_PERIOD_S = 25, 1.0
# Sampling a face more often than this adds time and next to no evidence: neighbouring frames are almost the same picture.
_MOST_DENSE_FPS = 6.0
# Times that are rounded to milliseconds make a steady rate seem one per cent faster at first.
_DENSE_SLACK = 0.05
# The rate of a video varies if its mean and its median differ by more than this.
_STEADY = 0.05


class Grid(Enum):
    """Which grid a frame lies on."""

    COARSE = "coarse"
    DENSE = "dense"
    NONE = "none"


class Sampler:
    """Tells for each frame of one video, in their order, which grid it lies on.

    By default a frame is coarse that is the 25th after the last coarse one, or nearest to 1 s after it: whichever comes first, by
    the frames' own times, so that nothing depends on a rate that a header claims or that holds elsewhere in the video.

    Parameters
    ----------
    fps : float
        Average frame rate of the video: what a grid in frames per second is rounded to, and no more.
    start_s : float
        Time of the first frame that is offered.

    Examples
    --------
    >>> sampler = Sampler(SamplingConfig(fps=1.0, densify=2), fps=10.0)
    >>> [i for i in range(30) if sampler.classify(i / 10) is Grid.COARSE]
    [0, 10, 20]
    """

    def __init__(self, config: SamplingConfig, fps: float, start_s: float = 0.0) -> None:
        self.mode: Literal["frames", "fps"] = "frames" if config.fps is None else "fps"
        self.period_s = sampling_period_s(config, fps, 1 / fps)
        self.densify = max(1, min(config.densify, int(_MOST_DENSE_FPS * self.period_s + 1e-6)))
        self._config = config
        self._start_s = start_s
        # A frame belongs to the grid time that it is nearest to, not to the one it has just missed by rounding.
        self._slack_s = 0.5 / fps
        self._next_coarse = 0
        self._next_dense = 0
        self._since_coarse = 0
        self._coarse_s: float | None = None
        self._previous_s = start_s

    def classify(self, time_s: float) -> Grid:
        """Return the grid of the next frame."""
        grid = self._count(time_s) if self._config.fps is None else self._divide(time_s)
        self._previous_s = time_s
        return grid

    def _count(self, time_s: float) -> Grid:
        """Count frames, and by default seconds too, since the last coarse one."""
        self._since_coarse += 1
        if self._coarse_s is None or self._is_due(time_s, self._coarse_s):
            self._coarse_s, self._since_coarse, self._next_dense = time_s, 0, 1
            return Grid.COARSE
        elapsed_s = time_s - self._coarse_s
        share = self._since_coarse / (self._config.period_frames or _DEFAULT_PERIOD_FRAMES)
        if self._config.period_frames is None:
            share = max(share, elapsed_s / _DEFAULT_PERIOD_S)
        # How long the period is at the rate of its frames so far.
        period_s = elapsed_s / share
        densify = max(1, min(self._config.densify, int(_MOST_DENSE_FPS * period_s + _DENSE_SLACK)))
        dense = int(share * densify + 1e-6)
        if dense < self._next_dense:
            return Grid.NONE
        self._next_dense = dense + 1
        return Grid.DENSE

    def _is_due(self, time_s: float, coarse_s: float) -> bool:
        if self._config.period_frames is not None:
            return self._since_coarse >= self._config.period_frames
        half_s = (time_s - self._previous_s) / 2
        return self._since_coarse >= _DEFAULT_PERIOD_FRAMES or time_s - coarse_s + half_s > _DEFAULT_PERIOD_S - 1e-6

    def _divide(self, time_s: float) -> Grid:
        """Find the place on a grid of equal times."""
        position_s = time_s - self._start_s + self._slack_s
        coarse = int(position_s / self.period_s)
        dense = int(position_s * self.densify / self.period_s)
        if coarse >= self._next_coarse:
            self._next_coarse, self._next_dense = coarse + 1, dense + 1
            return Grid.COARSE
        if dense >= self._next_dense:
            self._next_dense = dense + 1
            return Grid.DENSE
        return Grid.NONE


def sampling_period_s(config: SamplingConfig, fps: float, interval_s: float) -> float:
    """Return the longest time between two coarse frames.

    Parameters
    ----------
    fps : float
        Frames of the video over its real time.
    interval_s : float
        Median time between two frames. Where it is not that of `fps`, the rate varies, and the default period is a second, or that
        time if it is longer: it may be shorter where there are more than 25 frames a second, and longer in a pause between two frames.

    Examples
    --------
    >>> sampling_period_s(SamplingConfig(), fps=50.0, interval_s=0.02), sampling_period_s(SamplingConfig(fps=4), 50.0, 0.02)
    (0.5, 0.25)
    """
    if config.fps is not None:
        return 1 / config.fps
    if config.period_frames is not None:
        return config.period_frames / fps
    if abs(fps * interval_s - 1) > _STEADY:
        return max(_DEFAULT_PERIOD_S, interval_s)
    return max(1, min(_DEFAULT_PERIOD_FRAMES, round(fps * _DEFAULT_PERIOD_S))) / fps

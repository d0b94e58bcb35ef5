"""Find cuts on the way: every decoded frame is compared with the one before, on a thumbnail of about 32 samples.

A cut changes both what colours there are (histogram) and where they are (pixels), and much more than the frames before it
did; motion changes the pixels alone, and a slow exposure change neither by much from frame to frame. (A flash still counts as a
cut, which costs a track its continuity and nothing else.) The difference is the geometric mean of both, and it must exceed a
floor and a multiple of the recent maximum, as in adaptive threshold detectors (Yusoff et al., *Video Shot Cut Detection using
Adaptive Thresholding*, BMVC 2000).
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from facerec_models.config import ShotConfig
from facerec_models.types import DoubleArray, ImageArray

_BINS = 16
# Mean absolute difference, of 255, that counts as a completely different picture.
_PIXEL_SCALE = 48.0


class ShotDetector:
    """Counts the shots of one video; feed it the signature of every frame in order.

    Examples
    --------
    >>> detector = ShotDetector(ShotConfig())
    >>> dark, light = np.full((9, 16, 3), 20, np.uint8), np.full((9, 16, 3), 220, np.uint8)
    >>> [i for i, picture in enumerate([dark] * 10 + [light] * 10) if detector.update(picture)]
    [10]
    """

    def __init__(self, config: ShotConfig) -> None:
        self._config = config
        self._previous: tuple[npt.NDArray[np.int16], DoubleArray] | None = None
        self._recent: deque[float] = deque(maxlen=config.window_frames)
        self._since_cut = 0
        self.shot = 0

    def update(self, signature: ImageArray) -> bool:
        """Take the next frame's thumbnail; return whether a new shot begins with it."""
        pixels = signature.astype(np.int16)
        histogram = _histogram(signature)
        previous, self._previous = self._previous, (pixels, histogram)
        if previous is None:
            return False
        self._since_cut += 1
        difference = _difference(previous, self._previous)
        usual = max(self._recent, default=0.0)
        self._recent.append(difference)
        is_cut = (
            difference >= self._config.threshold
            and difference >= self._config.ratio * usual
            and self._since_cut >= self._config.min_shot_frames
        )
        if is_cut:
            self.shot += 1
            self._since_cut = 0
            self._recent.clear()
        return is_cut


def _histogram(signature: ImageArray) -> DoubleArray:
    """Histograms of all channels, each summing to 1, as (C, bins)."""
    bins = signature.reshape(-1, signature.shape[-1]) >> 4
    return np.stack([np.bincount(channel, minlength=_BINS) / len(channel) for channel in bins.T])


def _difference(a: tuple[npt.NDArray[np.int16], DoubleArray], b: tuple[npt.NDArray[np.int16], DoubleArray]) -> float:
    """Difference of two frames in [0, 1]."""
    by_pixel = min(1.0, float(np.abs(a[0][..., 0] - b[0][..., 0]).mean()) / _PIXEL_SCALE)
    by_histogram = 0.5 * float(np.abs(a[1] - b[1]).sum(axis=1).max())
    return float(np.sqrt(by_pixel * by_histogram))

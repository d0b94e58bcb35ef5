"""Find where one picture dissolves or fades into another: what lies between two shots that no cut divides.

During a dissolve each frame is a mixture of two pictures, ``x = (1 - a) A + a B`` with a growing share `a`. Two things tell a
mixture from a movement. The frames between lie near the straight line from A to B; and the contrast falls by what the
mixture of two unlike pictures loses, ``a (1 - a) |A - B|**2`` (the parabola of Alattar, *Detecting and Compressing Dissolve Regions in
Video Sequences*, ISCAS 1993), which no pan, zoom or passer-by does. A fade is a dissolve into a flat picture.

Thumbnails of about 16 x 9 points, ten a second, are enough, so that the frames of a segment can be kept until the
segments of a video are joined: a dissolve may begin in one and end in the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facerec_models.types import DoubleArray, ImageArray

# Thumbnails a second.
RATE_HZ = 10
# Lengths of the stretches that are tried, in thumbnails. A stretch that is a little longer than the transition fits as well.
_LENGTHS = (4, 6, 9, 13, 18, 24, 32, 40)
# A longer transition is none that a viewer sees as one.
_LONGEST_S = 4.2
# Least difference of the two pictures, root mean square of 255 levels: more than noise.
_LEAST_CHANGE = 10.0
# Most that the frames between may lie off the line, in lengths of the line. Measured on photographs with camera noise: dissolves, with
# and without a slow zoom, have .06 at the most, pans, tilts and zooms .08 at the least. Where both sides move by themselves it is up to
# .25, and the loss of contrast decides.
_OFF_STILL, _OFF_MOVING = 0.075, 0.25
# Loss of contrast over that of a mixture; .95 and more in nine of ten dissolves between moving pictures, at most .86 in movements.
_LOSS_STILL, _LOSS_MOVING, _LOSS_MOST = 0.85, 0.9, 1.6
# Pictures that are more alike than this are one scene.
_ALIKE_STILL, _ALIKE_MOVING = 0.85, 0.7
# How far the share may fall back on its way, and stray from an even growth where both sides move.
_BACK, _UNEVEN = 0.15, 0.35
# A step of the share by so much is a cut, such as the detector of cuts does not see where there are few frames a second.
_AT_ONCE = 0.7
# A picture with less contrast than this, in levels, shows nothing: the black between two scenes.
_FLAT = 5.0
APART_S = 0.5
"""Two transitions whose middles lie nearer than this are one."""


def thumbnail(signature: ImageArray) -> ImageArray:
    """Reduce a frame's `DecodedFrame.signature` to half its sides.

    Returns
    -------
    (h, w, 3) uint8
        Mean of each four points.

    Examples
    --------
    >>> import numpy as np
    >>> thumbnail(np.full((18, 32, 3), 7, np.uint8)).shape
    (9, 16, 3)
    """
    height, width = max(signature.shape[0] // 2, 1), max(signature.shape[1] // 2, 1)
    even = signature[: 2 * height, : 2 * width].astype(np.uint16)
    parts = even.reshape(height, len(even) // height, width, even.shape[1] // width, 3)
    return np.asarray((parts.sum(axis=(1, 3)) // (parts.shape[1] * parts.shape[3])), np.uint8)


class Thumbnail(NamedTuple):
    """A frame of the ten a second that transitions are sought in; `begins_shot` with the first after a cut."""

    time_s: float
    picture: ImageArray
    begins_shot: bool


class ThumbnailPicker:
    """Picks the frames whose thumbnails are kept: the first of each tenth of a second of the video's own time.

    Which frame that is depends on the frame before it alone, so that segments pick as the whole video does.
    """

    def __init__(self) -> None:
        self._tenth: int | None = None
        self._begins_shot = False

    def pick(self, time_s: Fraction, signature: ImageArray, *, begins_shot: bool) -> Thumbnail | None:
        """Take the next frame; return its thumbnail if it is one of those that are kept."""
        self._begins_shot |= begins_shot
        tenth = int(time_s * RATE_HZ)
        if tenth == self._tenth:
            return None
        begins_shot, self._begins_shot, self._tenth = self._begins_shot, False, tenth
        return Thumbnail(float(time_s), thumbnail(signature), begins_shot)


@dataclass(frozen=True, slots=True)
class Transition:
    """A gradual change from one shot to the next.

    Parameters
    ----------
    start_s, end_s : float
        While it lasts both pictures are seen: a tenth to nine tenths of the second.
    middle_s : float
        The second shot begins here.
    change : float
        Difference of the two pictures, root mean square of 255 levels.
    """

    start_s: float
    middle_s: float
    end_s: float
    change: float

    def is_one_with(self, other: Transition) -> bool:
        """Whether two stretches show one transition: their middles are near, or half of the shorter lies in the longer."""
        shared_s = min(self.end_s, other.end_s) - max(self.start_s, other.start_s)
        shorter_s = min(self.end_s - self.start_s, other.end_s - other.start_s)
        return abs(self.middle_s - other.middle_s) < APART_S or shared_s > shorter_s / 2

    def clearness(self, time_s: float) -> float:
        """Return how little of the other picture is seen at a time: 1 outside of the transition, 0 in its middle."""
        if not self.start_s < time_s < self.end_s:
            return 1.0
        edge_s = self.start_s if time_s < self.middle_s else self.end_s
        return abs(time_s - self.middle_s) / max(abs(edge_s - self.middle_s), 1e-9)


class TransitionDetector:
    """Finds the transitions of one video; feed it the thumbnails in the order of time.

    Attributes
    ----------
    settled_s : float
        No transition that is still to come has its middle before this time.
    """

    def __init__(self) -> None:
        self._recent: deque[tuple[float, DoubleArray]] = deque(maxlen=max(_LENGTHS) + 1)
        self._open: list[Transition] = []
        self._shape: tuple[int, ...] = ()
        self.settled_s = -np.inf

    @property
    def clear_s(self) -> float:
        """No transition that is still to come begins before this time."""
        return min([self.settled_s, *(one.start_s for one in self._open)])

    def update(self, thumbnails: Sequence[Thumbnail]) -> list[Transition]:
        """Take the next thumbnails; return the transitions that no later one can change, by time."""
        found = []
        for time_s, picture, begins_shot in thumbnails:
            points = picture.reshape(-1).astype(np.float64)
            if begins_shot or picture.shape != self._shape:
                found += self._settle(np.inf)
                self._recent.clear()
                self._shape = picture.shape
            self._recent.append((time_s, points))
            for transition in self._ending_here():
                self._add(transition)
            found += self._settle(time_s - _LONGEST_S)
            self.settled_s = max(self.settled_s, time_s - _LONGEST_S)
        return found

    def finish(self) -> list[Transition]:
        """Return the transitions that are left: the video has ended."""
        self.settled_s = np.inf
        return self._settle(np.inf)

    def _ending_here(self) -> list[Transition]:
        times_s = np.array([time_s for time_s, _ in self._recent])
        pictures = np.stack([points for _, points in self._recent])
        stretches = [len(times_s) - 1 - length for length in _LENGTHS if length < len(times_s)]
        found = (_judge(times_s[i:], pictures[i:]) for i in stretches if times_s[-1] - times_s[i] <= _LONGEST_S)
        return [transition for transition in found if transition is not None]

    def _add(self, new: Transition) -> None:
        """Keep the fullest of the stretches that show one transition."""
        same = [known for known in self._open if known.is_one_with(new)]
        if all(new.change > known.change for known in same):
            self._open = [known for known in self._open if known not in same] + [new]

    def _settle(self, before_s: float) -> list[Transition]:
        over = sorted((t for t in self._open if t.middle_s < before_s), key=lambda t: t.middle_s)
        self._open = [t for t in self._open if t.middle_s >= before_s]
        return over


def _judge(times_s: DoubleArray, pictures: DoubleArray) -> Transition | None:
    """Return the transition from the first picture of a stretch to the last, if the stretch shows one."""
    first, last, between = pictures[0], pictures[-1], pictures[1:-1]
    line = last - first
    length = float(line @ line)
    change = float(np.sqrt(length / len(line)))
    if change < _LEAST_CHANGE:
        return None
    share = (between - first) @ line / length
    off = between - first - share[:, None] * line
    off_line = float(np.sqrt((off**2).sum(axis=1).mean() / length))
    path = np.concatenate([[0.0], share, [1.0]])
    if off_line > _OFF_MOVING or np.maximum(-np.diff(path), 0).sum() > _BACK:
        return None
    contrasts = _contrasts(pictures)
    is_flat = np.sqrt(contrasts.mean(axis=1)[[0, -1]]) < _FLAT
    if is_flat.all():
        return None
    shared = float((_centred(first) * _centred(last)).mean())
    ends = contrasts.mean(axis=1)[[0, -1]]
    alike = 0.0 if is_flat.any() else shared / float(np.sqrt(ends[0] * ends[1]))
    path = np.maximum.accumulate(path)
    steps = np.diff(path)
    if steps.max() >= _AT_ONCE:
        # A cut between two thumbnails: the second shot begins with the later one.
        cut_s = float(times_s[int(steps.argmax()) + 1])
        is_cut = off_line <= _OFF_STILL and alike <= _ALIKE_STILL
        return Transition(cut_s, cut_s, cut_s, change) if is_cut else None
    inside = np.clip(share, 0, 1)
    expected = inside * (1 - inside) * (ends[0] + ends[1] - 2 * shared)
    lost = (1 - inside) * ends[0] + inside * ends[1] - contrasts.mean(axis=1)[1:-1]
    loss = float((lost * expected).sum() / max(float((expected**2).sum()), 1e-9))
    even = np.arange(1, len(share) + 1) / (len(share) + 1)
    is_still = off_line <= _OFF_STILL and alike <= _ALIKE_STILL and loss >= _LOSS_STILL
    is_moving = alike <= _ALIKE_MOVING and _LOSS_MOVING <= loss <= _LOSS_MOST and np.abs(share - even).max() <= _UNEVEN
    if not (is_still or is_moving):
        return None
    start_s, middle_s, end_s = (float(np.interp(level, path, times_s)) for level in (0.1, 0.5, 0.9))
    # Nothing is seen in the black between two scenes: the shot reaches to it.
    if is_flat[1]:
        middle_s = end_s
    elif is_flat[0]:
        middle_s = start_s
    return Transition(start_s, middle_s, end_s, change)


def _centred(points: DoubleArray) -> DoubleArray:
    """Take the mean of each channel off."""
    channels = points.reshape(-1, 3)
    return np.asarray((channels - channels.mean(axis=0)).reshape(-1))


def _contrasts(pictures: DoubleArray) -> DoubleArray:
    """Squared distance of each point from its channel's mean, as (N, points)."""
    channels = pictures.reshape(len(pictures), -1, 3)
    return np.asarray(((channels - channels.mean(axis=1, keepdims=True)) ** 2).reshape(len(pictures), -1))


def keep_clear(
    quality: npt.NDArray[np.float32], time_s: float, transitions: Sequence[Transition]
) -> npt.NDArray[np.float32]:
    """Return the quality of a frame's faces less what a transition takes: a mixture of two faces is nobody's."""
    clearness = min((transition.clearness(time_s) for transition in transitions), default=1.0)
    return np.asarray(quality * np.float32(clearness), np.float32)

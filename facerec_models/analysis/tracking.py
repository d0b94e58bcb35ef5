"""Link detections of one shot into tracks, also at one sample a second.

SORT (Bewley et al., *Simple Online and Realtime Tracking*, ICIP 2016) predicts each face with a Kalman filter and assigns
detections by overlap. At one sample a second boxes of a moving face no longer overlap, so overlap alone breaks more than half
of the tracks. Here the link is a test of two hypotheses, "same face" against "another face somewhere in the picture":

    log odds = log N(z; Hx, S) - log 1/V  +  log p(similarity | same) / p(similarity | different)

The first part is the Kalman filter's own innovation likelihood against a uniform density over the picture (Bar-Shalom's
track-to-measurement score), with a heavy tail for sudden camera moves; its width grows with the gap by itself. The second part
is the evidence of the embeddings. Both are bounded, place more tightly than likeness, so that a perfect place cannot outvote a
clearly different face, nor a similar face at the other side of the picture one that is still in its place.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import scipy

from facerec_models.analysis.frame_faces import FrameFaces
from facerec_models.analysis.one_person import SETTLED, WINDOW, find_change
from facerec_models.config import TrackingConfig
from facerec_models.types import DoubleArray, FloatArray, Interval, Track
from facerec_models.vectors import PairScale

# Only who tracks needs filterpy, which brings all of scipy.stats: 45 MiB that a process does without while it waits.
if TYPE_CHECKING:
    from filterpy.kalman import KalmanFilter

# Most evidence, in nats, that place gives for a link, and that likeness gives for or against it.
_PLACE_BOUND, _LIKENESS_BOUND = 4.0, 6.0
# Share and width of the heavy tail of the motion model.
_TAIL_SHARE, _TAIL_WIDTH = 0.1, 4.0
_LOG_2_PI = float(np.log(2 * np.pi))
# A track does not end before its face is missing on so many samples, however far apart these are.
_MISSED_SAMPLES = 3


class Tracker:
    """The tracks of one video; all state and the id counter live in this object.

    Feed the sampled frames in the order of their times. A frame of another shot ends all tracks. A single track ends where its own
    embeddings show that it goes on with another person: see `facerec_models.analysis.one_person`.

    Parameters
    ----------
    pair : PairScale
        Turns the similarity of two faces into evidence that they are one person, for the embedder in use.
    width, height : int
        Size of the video's frames in pixels.
    """

    def __init__(self, config: TrackingConfig, pair: PairScale, *, width: int, height: int) -> None:
        self._config = config
        self._pair = pair
        # log 1/V: a face may be anywhere in the picture, of any of about three factors e of size.
        self._log_elsewhere = -float(np.log(max(width * height, 1) * 3.0))
        self._open: list[_OpenTrack] = []
        self._shot = 0
        self._next_id = 1

    def update(self, frame: FrameFaces, shot: int) -> list[Track]:
        """Take the faces of the next sampled frame, which lies in this shot; return the tracks that have ended with it."""
        oldest_s = np.inf if shot != self._shot else frame.time_s - self._config.max_gap_s
        ended = self._end_before(oldest_s, 0 if shot != self._shot else _MISSED_SAMPLES)
        self._shot = shot
        for track in self._open:
            track.predict(frame.time_s)
            track.missed += 1
        free = set(range(len(frame)))
        if self._open and len(frame):
            odds = self._log_odds(frame)
            # Pairs below the limit cost nothing, so they never displace a real link.
            for row, column in zip(
                *scipy.optimize.linear_sum_assignment(np.maximum(odds, self._config.min_log_odds), True), strict=True
            ):
                if odds[row, column] > self._config.min_log_odds:
                    self._open[row].add(frame, int(column))
                    free.discard(int(column))
                    ended += self._divide(self._open[row])
        # Left to right, so that ids do not depend on the detector's order.
        for column in sorted(free, key=lambda i: tuple(frame.detections.boxes[i].tolist())):
            self._open.append(_OpenTrack.start(self._take_id(), shot, frame, column, self._config))
        return ended

    def finish(self) -> list[Track]:
        """End all tracks and return them."""
        return self._end_before(np.inf, 0)

    def _end_before(self, oldest_s: float, missed: int) -> list[Track]:
        """End the tracks whose face was last seen before this time, and not on so many samples since."""
        over = [track for track in self._open if track.last_s < oldest_s and track.missed >= missed]
        self._open = [track for track in self._open if track.last_s >= oldest_s or track.missed < missed]
        return [part for track in over for part in (*self._divide(track, is_over=True), track.freeze())]

    def _divide(self, track: _OpenTrack, *, is_over: bool = False) -> list[Track]:
        """Split a track as long as its embeddings show more than one person; return the parts that were split off."""
        parts = []
        while (at := track.changes_at(self._pair, is_over=is_over)) is not None:
            parts.append(track.take_off(at, self._take_id()))
        return parts

    def _take_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def _log_odds(self, frame: FrameFaces) -> DoubleArray:
        places = [_measure(box) for box in frame.detections.boxes]
        motion = np.array([[track.log_likelihood(place) for place in places] for track in self._open])
        motion = np.minimum(motion - self._log_elsewhere, _PLACE_BOUND)
        latest = np.stack([track.samples[-1].embedding for track in self._open]) @ frame.embeddings.T
        average = np.stack([track.mean_embedding for track in self._open]) @ frame.embeddings.T
        likeness = np.clip(self._pair.log_odds(np.maximum(latest, average)), -_LIKENESS_BOUND, _LIKENESS_BOUND)
        # A blurred or turned face tells little about who it is.
        trust = np.sqrt(np.outer([track.best_quality for track in self._open], frame.quality))
        return np.asarray(motion + trust * likeness, np.float64)


def _measure(box: FloatArray) -> DoubleArray:
    """Centre and logarithm of the size of an ``xyxy`` box."""
    x1, y1, x2, y2 = box.astype(np.float64)
    return np.array([(x1 + x2) / 2, (y1 + y2) / 2, np.log(np.sqrt(max((x2 - x1) * (y2 - y1), 1.0)))])


@dataclass(frozen=True, slots=True, eq=False)
class _TrackSample:
    """A face of a track on one sampled frame."""

    time_s: float
    until_s: float
    frame_index: int
    box: FloatArray
    score: float
    landmarks: FloatArray
    quality: float
    embedding: FloatArray

    @classmethod
    def of(cls, frame: FrameFaces, i: int) -> _TrackSample:
        """Take the i-th face of a frame."""
        found = frame.detections
        return cls(
            frame.time_s, frame.until_s, frame.frame_index, found.boxes[i], float(found.scores[i]), found.landmarks[i],
            float(frame.quality[i]), frame.embeddings[i],
        )  # fmt: skip


@dataclass(slots=True)
class _OpenTrack:
    """A track that may still grow.

    `crops` holds the crops of the latest samples, where the track may yet have to be split, and of the best sample of each stretch
    before them.
    """

    track_id: int
    shot: int
    config: TrackingConfig
    kalman: KalmanFilter
    size_px: float
    predicted_s: float
    mean_sum: FloatArray
    best_quality: float = 0.0
    samples: list[_TrackSample] = field(default_factory=list)
    crops: dict[int, bytes] = field(default_factory=dict)
    stride: int = 1
    missed: int = 0

    @classmethod
    def start(cls, track_id: int, shot: int, frame: FrameFaces, i: int, config: TrackingConfig) -> _OpenTrack:
        """Begin with the i-th face of a frame."""
        from filterpy.kalman import KalmanFilter

        place = _measure(frame.detections.boxes[i])
        size = float(np.exp(place[2]))
        kalman = KalmanFilter(dim_x=6, dim_z=3)
        kalman.x[:3, 0] = place
        kalman.H = np.hstack([np.eye(3), np.zeros((3, 3))])
        kalman.R = np.diag([(config.position_noise * size) ** 2] * 2 + [config.position_noise**2])
        # Unknown speed: about one face size a second, and a tenth of it in log size.
        kalman.P = np.diag([*np.diag(kalman.R), size**2, size**2, 0.1**2])
        track = cls(track_id, shot, config, kalman, size, frame.time_s, np.zeros_like(frame.embeddings[i]))
        track._record(_TrackSample.of(frame, i), frame.crops[i])
        return track

    def predict(self, time_s: float) -> None:
        """Move the filter to this time."""
        from filterpy.common import Q_discrete_white_noise

        # Faces stay in the picture: after longer gaps they are no further away, or no place would be likelier than elsewhere.
        until_s = min(time_s, self.last_s + self.config.max_gap_s)
        gap_s = until_s - self.predicted_s
        transition = np.eye(6)
        transition[:3, 3:] = gap_s * np.eye(3)
        noise = Q_discrete_white_noise(2, gap_s, self.config.acceleration**2, block_size=3, order_by_dim=False)
        units = np.array([self.size_px, self.size_px, 0.3] * 2)
        self.kalman.predict(F=transition, Q=noise * np.outer(units, units))
        self.predicted_s = until_s

    def log_likelihood(self, place: DoubleArray) -> float:
        """Logarithm of the density of a measurement at the predicted place."""
        off = place - (self.kalman.H @ self.kalman.x)[:, 0]
        spread = self.kalman.H @ self.kalman.P @ self.kalman.H.T + self.kalman.R
        # Both normal densities from one decomposition: the tail's is the same, `_TAIL_WIDTH` times as wide.
        squared = off @ np.linalg.solve(spread, off)
        near = -0.5 * (squared + np.linalg.slogdet(spread)[1] + len(off) * _LOG_2_PI)
        far = near + 0.5 * (1 - _TAIL_WIDTH**-2) * squared - len(off) * np.log(_TAIL_WIDTH)
        return float(np.logaddexp(np.log1p(-_TAIL_SHARE) + near, np.log(_TAIL_SHARE) + far))

    def add(self, frame: FrameFaces, i: int) -> None:
        """Take the next sample of this face."""
        place = _measure(frame.detections.boxes[i])
        self.kalman.update(place)
        self.size_px = float(np.exp(place[2]))
        self._record(_TrackSample.of(frame, i), frame.crops[i])

    @property
    def last_s(self) -> float:
        """Time of the last sample."""
        return self.samples[-1].time_s

    @property
    def mean_embedding(self) -> FloatArray:
        """Quality-weighted mean of all embeddings so far, unit length."""
        return np.asarray(self.mean_sum / max(float(np.linalg.norm(self.mean_sum)), 1e-9), np.float32)

    def changes_at(self, pair: PairScale, *, is_over: bool) -> int | None:
        """Return the first sample that shows another person than those before; None if all show one, as far as that can be told yet."""
        recent = self.samples[-2 * WINDOW :]
        at = find_change(
            np.stack([sample.embedding for sample in recent]),
            np.array([sample.quality for sample in recent], np.float32),
            pair,
            settled=0 if is_over else SETTLED,
        )
        return None if at is None else at + len(self.samples) - len(recent)

    def take_off(self, at: int, track_id: int) -> Track:
        """Return the samples before this one as a track; the rest goes on as this one, under another id."""
        crops = {i: crop for i, crop in self.crops.items() if i < at}
        part = _freeze(self.track_id, self.shot, self.samples[:at], self._best(crops), self.config.max_kept)
        rest, rest_crops = self.samples[at:], {i - at: crop for i, crop in self.crops.items() if i >= at}
        self.track_id, self.stride = track_id, 1
        self.samples, self.crops = [], {}
        self.mean_sum, self.best_quality = np.zeros_like(self.mean_sum), 0.0
        for i, sample in enumerate(rest):
            self._record(sample, rest_crops[i])
        return part

    def _record(self, sample: _TrackSample, crop: bytes) -> None:
        self.crops[len(self.samples)] = crop
        self.samples.append(sample)
        self.mean_sum = self.mean_sum + max(sample.quality, 0.01) * sample.embedding
        self.best_quality = max(self.best_quality, sample.quality)
        self.predicted_s = sample.time_s
        self.missed = 0
        # Neighbouring samples are almost the same picture: the best of each stretch of time is kept, and stretches double when
        # there are too many.
        kept = self._best(self.crops)
        latest = range(len(self.samples) - WINDOW, len(self.samples))
        if len(self.crops) > len(kept) + WINDOW:
            self.crops = {i: crop for i, crop in self.crops.items() if i in kept or i in latest}
        if sum(i not in latest for i in kept) > 2 * self.config.max_kept:
            self.stride *= 2

    def _best(self, crops: dict[int, bytes]) -> dict[int, bytes]:
        """Return the crop of the best sample of each stretch."""
        best: dict[int, int] = {}
        for i in crops:
            stretch = i // self.stride
            if stretch not in best or self.samples[i].quality > self.samples[best[stretch]].quality:
                best[stretch] = i
        return {i: crops[i] for i in best.values()}

    def freeze(self) -> Track:
        """Return the track as a value."""
        return _freeze(self.track_id, self.shot, self.samples, self._best(self.crops), self.config.max_kept)


def _freeze(track_id: int, shot: int, samples: list[_TrackSample], crops: dict[int, bytes], max_kept: int) -> Track:
    """Make a track of samples, with the crops and embeddings of the best."""
    kept = sorted(crops, key=lambda i: (-samples[i].quality, i))[:max_kept]
    return Track(
        track_id=track_id,
        shot=shot,
        times_s=np.array([sample.time_s for sample in samples], np.float64),
        frame_indexes=np.array([sample.frame_index for sample in samples], np.int64),
        boxes=np.stack([sample.box for sample in samples]),
        scores=np.array([sample.score for sample in samples], np.float32),
        landmarks=np.stack([sample.landmarks for sample in samples]),
        quality=np.array([sample.quality for sample in samples], np.float32),
        embedded=np.array(kept, np.int64),
        embeddings=np.stack([samples[i].embedding for i in kept]),
        start_s=samples[0].time_s,
        end_s=samples[-1].until_s,
        crops=tuple(crops[i] for i in kept),
    )


def in_view(
    tracks: Sequence[Track],
    sampled: Sequence[Interval],
    shots: Sequence[Interval],
    *,
    reach_s: float,
    reach_to_cut_s: float,
) -> list[Interval]:
    """Return from when to when each track's face is in view, as far as the sampled frames tell.

    A frame that was sampled and does not show the face bounds it. Between such a frame and the first or last that shows it the face
    counts as in view for `reach_s`; between a cut and the nearest sampled frame, where no frame denies it, for `reach_to_cut_s`.

    Parameters
    ----------
    sampled : sequence of (time_s, until_s)
        All sampled frames, by time, each with the time of the frame after it.
    shots : sequence of (start_s, end_s)
    reach_s : float
        0 where sampling is dense: the face is then seen at most a fifth of a second after it came.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> track = SimpleNamespace(shot=0, times_s=np.array([1.0, 2.0]))
    >>> sampled = [(float(i), i + 0.04) for i in range(5)]
    >>> in_view([track], sampled, shots=[(0.0, 5.0)], reach_s=0.5, reach_to_cut_s=0.5)
    [(0.5, 2.5)]
    """
    times_s = [time_s for time_s, _ in sampled]
    found = []
    for track in tracks:
        shot_start_s, shot_end_s = shots[track.shot]
        first_s, last_s = float(track.times_s[0]), float(track.times_s[-1])
        before, after = bisect_left(times_s, first_s) - 1, bisect_right(times_s, last_s)
        if before >= 0 and times_s[before] >= shot_start_s:
            start_s = max(first_s - reach_s, min(sampled[before][1], first_s))
        else:
            start_s = max(first_s - reach_to_cut_s, shot_start_s)
        until_s = sampled[after - 1][1]
        if after < len(times_s) and times_s[after] < shot_end_s:
            end_s = max(until_s, min(last_s + reach_s, times_s[after]))
        else:
            end_s = max(until_s, last_s + reach_to_cut_s)
        found.append((start_s, min(end_s, shot_end_s)))
    return found

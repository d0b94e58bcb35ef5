"""Link detections of one shot into tracks, also at one sample a second.

SORT (Bewley et al., *Simple Online and Realtime Tracking*, ICIP 2016) predicts each face with a Kalman filter and assigns
detections by overlap. At one sample a second boxes of a moving face no longer overlap, so overlap alone breaks more than half
of the tracks. Here the link is a test of two hypotheses, "same face" against "another face somewhere in the picture":

    log odds = log N(z; Hx, S) - log 1/V  +  log p(similarity | same) / p(similarity | different)

The first part is the Kalman filter's own innovation likelihood against a uniform density over the picture (Bar-Shalom's
track-to-measurement score), with a heavy tail for sudden camera moves; its width grows with the gap by itself. The second part
is what the embeddings say. Both are bounded, place more than looks, so that a perfect place cannot outvote a
clearly different face, nor a look-alike at the other side of the picture a face that is still in its place.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from filterpy.common import Q_discrete_white_noise
from filterpy.kalman import KalmanFilter
from scipy.optimize import linear_sum_assignment
from scipy.stats import multivariate_normal

from facerec_models.calibration import PairScale
from facerec_models.config import TrackingConfig
from facerec_models.looks import Look
from facerec_models.types import FloatArray, Track

# Most that place may say for a link, and looks for or against it.
_PLACE_BOUND, _LOOKS_BOUND = 4.0, 6.0
# Share and width of the heavy tail of the motion model.
_TAIL_SHARE, _TAIL_WIDTH = 0.1, 4.0
# A track does not end before its face is missing on so many samples, however far apart these are.
_MISSED_SAMPLES = 3


class Tracker:
    """The tracks of one video; all state and the id counter live in this object.

    Feed the sampled frames in the order of their times. A frame of another shot ends all tracks.

    Parameters
    ----------
    pair : PairScale
        What a similarity of two faces says about their being one person, for the embedder in use.
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

    def update(self, look: Look) -> list[Track]:
        """Take the faces of the next sampled frame; return the tracks that have ended with it."""
        oldest_s = np.inf if look.shot != self._shot else look.time_s - self._config.max_gap_s
        ended = self._end_before(oldest_s, 0 if look.shot != self._shot else _MISSED_SAMPLES)
        self._shot = look.shot
        for track in self._open:
            track.predict(look.time_s)
            track.missed += 1
        free = set(range(len(look)))
        if self._open and len(look):
            odds = self._log_odds(look)
            # Pairs below the limit cost nothing, so they never displace a real link.
            for row, column in zip(
                *linear_sum_assignment(np.maximum(odds, self._config.min_log_odds), True), strict=True
            ):
                if odds[row, column] > self._config.min_log_odds:
                    self._open[row].add(look, int(column))
                    free.discard(int(column))
        # Left to right, so that ids do not depend on the detector's order.
        for column in sorted(free, key=lambda i: tuple(look.detections.boxes[i].tolist())):
            self._open.append(_OpenTrack.start(self._next_id, look, column, self._config))
            self._next_id += 1
        return ended

    def finish(self) -> list[Track]:
        """End all tracks and return them."""
        return self._end_before(np.inf, 0)

    def _end_before(self, oldest_s: float, missed: int) -> list[Track]:
        """End the tracks whose face was last seen before this time, and not on so many samples since."""
        over = [track for track in self._open if track.last_s < oldest_s and track.missed >= missed]
        self._open = [track for track in self._open if track.last_s >= oldest_s or track.missed < missed]
        return [track.freeze() for track in over]

    def _log_odds(self, look: Look) -> npt.NDArray[np.float64]:
        places = [_measure(box) for box in look.detections.boxes]
        motion = np.array([[track.log_likelihood(place) for place in places] for track in self._open])
        motion = np.minimum(motion - self._log_elsewhere, _PLACE_BOUND)
        latest = np.stack([track.last_embedding for track in self._open]) @ look.embeddings.T
        average = np.stack([track.mean_embedding for track in self._open]) @ look.embeddings.T
        looks = np.clip(self._pair.log_odds(np.maximum(latest, average)), -_LOOKS_BOUND, _LOOKS_BOUND)
        # A blurred or turned face says little about who it is.
        trust = np.sqrt(np.outer([track.best_quality for track in self._open], look.quality))
        return np.asarray(motion + trust * looks, np.float64)


def _measure(box: FloatArray) -> npt.NDArray[np.float64]:
    """Centre and logarithm of the size of an ``xyxy`` box."""
    x1, y1, x2, y2 = box.astype(np.float64)
    return np.array([(x1 + x2) / 2, (y1 + y2) / 2, np.log(np.sqrt(max((x2 - x1) * (y2 - y1), 1.0)))])


@dataclass(slots=True)
class _Kept:
    """A sample whose embedding and crop are worth keeping."""

    sample: int
    quality: float
    embedding: FloatArray
    crop: bytes


@dataclass(slots=True)
class _OpenTrack:
    """A track that may still grow."""

    track_id: int
    shot: int
    config: TrackingConfig
    kalman: KalmanFilter
    size_px: float
    last_s: float
    predicted_s: float
    mean_sum: FloatArray
    last_embedding: FloatArray
    best_quality: float = 0.0
    samples: list[tuple[float, int, FloatArray, float, FloatArray, float]] = field(default_factory=list)
    kept: list[_Kept] = field(default_factory=list)
    stride: int = 1
    missed: int = 0

    @classmethod
    def start(cls, track_id: int, look: Look, i: int, config: TrackingConfig) -> _OpenTrack:
        """Begin with the i-th face of a frame."""
        place = _measure(look.detections.boxes[i])
        size = float(np.exp(place[2]))
        kalman = KalmanFilter(dim_x=6, dim_z=3)
        kalman.x[:3, 0] = place
        kalman.H = np.hstack([np.eye(3), np.zeros((3, 3))])
        kalman.R = np.diag([(config.position_noise * size) ** 2] * 2 + [config.position_noise**2])
        # Unknown speed: about one face size a second, and a tenth of it in log size.
        kalman.P = np.diag([*np.diag(kalman.R), size**2, size**2, 0.1**2])
        track = cls(
            track_id, look.shot, config, kalman, size, look.time_s, look.time_s,
            np.zeros_like(look.embeddings[i]), look.embeddings[i],
        )  # fmt: skip
        track._record(look, i)
        return track

    def predict(self, time_s: float) -> None:
        """Move the filter to this time."""
        # Faces stay in the picture: after longer gaps they are no further away, or no place would be likelier than elsewhere.
        until_s = min(time_s, self.last_s + self.config.max_gap_s)
        gap_s = until_s - self.predicted_s
        transition = np.eye(6)
        transition[:3, 3:] = gap_s * np.eye(3)
        noise = Q_discrete_white_noise(2, gap_s, self.config.acceleration**2, block_size=3, order_by_dim=False)
        units = np.array([self.size_px, self.size_px, 0.3] * 2)
        self.kalman.predict(F=transition, Q=noise * np.outer(units, units))
        self.predicted_s = until_s

    def log_likelihood(self, place: npt.NDArray[np.float64]) -> float:
        """Logarithm of the density of a measurement at the predicted place."""
        mean = (self.kalman.H @ self.kalman.x)[:, 0]
        spread = self.kalman.H @ self.kalman.P @ self.kalman.H.T + self.kalman.R
        near = multivariate_normal.logpdf(place, mean, spread)
        far = multivariate_normal.logpdf(place, mean, spread * _TAIL_WIDTH**2)
        return float(np.logaddexp(np.log1p(-_TAIL_SHARE) + near, np.log(_TAIL_SHARE) + far))

    def add(self, look: Look, i: int) -> None:
        """Take the next sample of this face."""
        place = _measure(look.detections.boxes[i])
        self.kalman.update(place)
        self.size_px = float(np.exp(place[2]))
        self._record(look, i)

    @property
    def mean_embedding(self) -> FloatArray:
        """Quality-weighted mean of all embeddings so far, unit length."""
        return np.asarray(self.mean_sum / max(float(np.linalg.norm(self.mean_sum)), 1e-9), np.float32)

    def _record(self, look: Look, i: int) -> None:
        found, quality, embedding = look.detections, float(look.quality[i]), look.embeddings[i]
        self._keep(_Kept(len(self.samples), quality, embedding, look.crops[i]))
        self.samples.append(
            (look.time_s, look.frame_index, found.boxes[i], float(found.scores[i]), found.landmarks[i], quality)
        )
        self.mean_sum = self.mean_sum + max(quality, 0.01) * embedding
        self.last_embedding = embedding
        self.best_quality = max(self.best_quality, quality)
        self.last_s = self.predicted_s = look.time_s
        self.missed = 0

    def _keep(self, new: _Kept) -> None:
        """Keep the best sample of each stretch of time; stretches double when there are too many.

        Neighbouring samples are almost the same picture: the best ones of the whole track would be a dozen of one moment.
        """
        if self.kept and self.kept[-1].sample // self.stride == new.sample // self.stride:
            if new.quality > self.kept[-1].quality:
                self.kept[-1] = new
            return
        self.kept.append(new)
        if len(self.kept) > 2 * self.config.max_kept:
            self.stride *= 2
            best: dict[int, _Kept] = {}
            for kept in self.kept:
                stretch = kept.sample // self.stride
                if stretch not in best or kept.quality > best[stretch].quality:
                    best[stretch] = kept
            self.kept = list(best.values())

    def freeze(self) -> Track:
        """Return the track as a value."""
        kept = sorted(self.kept, key=lambda k: (-k.quality, k.sample))[: self.config.max_kept]
        times, indexes, track_boxes, scores, landmarks, quality = zip(*self.samples, strict=True)
        return Track(
            track_id=self.track_id,
            shot=self.shot,
            times_s=np.array(times, np.float64),
            frame_indexes=np.array(indexes, np.int64),
            boxes=np.stack(track_boxes),
            scores=np.array(scores, np.float32),
            landmarks=np.stack(landmarks),
            quality=np.array(quality, np.float32),
            embedded=np.array([k.sample for k in kept], np.int64),
            embeddings=np.stack([k.embedding for k in kept]),
            crops=tuple(k.crop for k in kept),
        )

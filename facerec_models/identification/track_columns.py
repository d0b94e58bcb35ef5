"""What naming needs of the tracks of one video, in columns: a hundredth of what the tracks themselves take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from facerec_models.types import DoubleArray, FloatArray, IndexArray, Interval, Track
from facerec_models.vectors import normalize, track_quality, weighted_sum


@dataclass(frozen=True, slots=True, eq=False)
class TrackColumns:
    """The tracks of one video, a row for each.

    Parameters
    ----------
    track_ids, first_frames : (N,) int64
        A track's number, and the frame that it is first sampled on.
    start_s, end_s : (N,) float64
        From when to when each is in view.
    shots : (N,) int32
    together : (M, 2) int32
        Which rows share a frame: each pair once, the smaller row first, ascending.
    quality, detected : (N,) float32
        `track_quality` of each, and the detector's highest score.
    weight : (N,) float32
        How much each is in view: quality times seconds.
    first_boxes : (N, 4) float32
        Where the face is on its first frame.
    vectors : (N, D) float32
        Mean embeddings; zeros for a track that has none.

    Examples
    --------
    >>> one = Track(
    ...     7, 0, np.array([0.0]), np.array([3]), np.zeros((1, 4), np.float32), np.float32([0.9]), np.zeros((1, 5, 2), np.float32),
    ...     np.float32([0.8]), np.array([0]), np.float32([[0.6, 0.8]]), 0.0, 1.0,
    ... )
    >>> columns = TrackColumns.of([one])
    >>> columns.track_ids.tolist(), columns.vectors.round(1).tolist(), columns.is_embedded.tolist()
    ([7], [[0.6..., 0.8...]], [True])
    """

    track_ids: npt.NDArray[np.int64]
    first_frames: npt.NDArray[np.int64]
    start_s: DoubleArray
    end_s: DoubleArray
    shots: npt.NDArray[np.int32]
    together: npt.NDArray[np.int32]
    quality: FloatArray
    detected: FloatArray
    weight: FloatArray
    first_boxes: FloatArray
    vectors: FloatArray

    @classmethod
    def of(cls, tracks: Sequence[Track]) -> Self:
        """Return the columns of a video's tracks, in their order."""
        dimension = tracks[0].embeddings.shape[1] if tracks else 0
        with np.errstate(all="ignore"):  # a store takes any numbers
            quality = np.array([track_quality(track) for track in tracks], np.float32)
            weight = quality * np.array([max(track.end_s - track.start_s, 0.0) for track in tracks], np.float32)
            sums = [weighted_sum(track) for track in tracks]
            vectors = normalize(np.stack(sums)) if sums else np.zeros((0, dimension), np.float32)
        return cls(
            track_ids=np.array([track.track_id for track in tracks], np.int64),
            first_frames=np.array([track.frame_indexes[0] for track in tracks], np.int64),
            start_s=np.array([track.start_s for track in tracks], np.float64),
            end_s=np.array([track.end_s for track in tracks], np.float64),
            shots=np.array([track.shot for track in tracks], np.int32),
            together=_sharing_frames(tracks),
            quality=quality,
            detected=np.array([track.scores.max() for track in tracks], np.float32),
            weight=weight,
            first_boxes=np.array([track.boxes[0] for track in tracks], np.float32).reshape(-1, 4),
            vectors=vectors,
        )

    def __len__(self) -> int:
        return len(self.track_ids)

    @property
    def is_embedded(self) -> npt.NDArray[np.bool_]:
        """Which tracks have a vector."""
        return np.asarray(self.vectors.any(axis=1), np.bool_)

    def interval(self, row: int) -> Interval:
        """From when to when a track is in view."""
        return float(self.start_s[row]), float(self.end_s[row])

    def apart(self) -> list[IndexArray]:
        """Return with which others each track shares a frame: rows, ascending."""
        if len(self.together) == 0:
            return [_NOBODY] * len(self)
        both = np.concatenate([self.together, self.together[:, ::-1]]).astype(np.intp)
        both = both[np.lexsort((both[:, 1], both[:, 0]))]
        ends = np.searchsorted(both[:, 0], np.arange(1, len(self)))
        return np.split(both[:, 1], ends)

    def select(self, rows: IndexArray) -> TrackColumns:
        """Return some tracks, given by their rows, ascending."""
        place = np.full(len(self), -1, np.int32)
        place[rows] = np.arange(len(rows), dtype=np.int32)
        pairs = place[self.together]
        return TrackColumns(
            track_ids=self.track_ids[rows],
            first_frames=self.first_frames[rows],
            start_s=self.start_s[rows],
            end_s=self.end_s[rows],
            shots=self.shots[rows],
            together=pairs[(pairs >= 0).all(axis=1)],
            quality=self.quality[rows],
            detected=self.detected[rows],
            weight=self.weight[rows],
            first_boxes=self.first_boxes[rows],
            vectors=self.vectors[rows],
        )

    def with_company(self, rows: IndexArray) -> IndexArray:
        """Return rows with all that they share frames with, and those with, and so on, ascending: who these are is decided together."""
        reached = np.zeros(len(self), np.bool_)
        reached[rows] = True
        while True:
            new = self.together[reached[self.together].any(axis=1)].ravel()
            if reached[new].all():
                return np.flatnonzero(reached)
            reached[new] = True


_NOBODY: IndexArray = np.zeros(0, np.intp)


def _sharing_frames(tracks: Sequence[Track]) -> npt.NDArray[np.int32]:
    """Return the pairs of rows that share a frame; a matrix of all pairs would fill the memory after some hours of video."""
    by_frame: dict[int, list[int]] = {}
    for i, track in enumerate(tracks):
        for frame in track.frame_indexes.tolist():
            by_frame.setdefault(frame, []).append(i)
    # No track has a frame twice: the rows of a frame are ascending.
    pairs = {(a, b) for members in by_frame.values() for at, a in enumerate(members) for b in members[at + 1 :]}
    return np.array(sorted(pairs), np.int32).reshape(-1, 2)

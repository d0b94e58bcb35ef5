"""Where and when people and strangers are seen, as parts of a video: W3C Media Fragments 1.0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from facerec_models.analysis.reading.geometry import Geometry, Orientation
from facerec_models.result import AppearanceView, Result, SampleView, TrackView, VideoView

# As exact as the ratios of pixels that files state.
_LARGEST_DENOMINATOR = 10_000


@dataclass(frozen=True, slots=True)
class MediaFragment:
    """When a person appears, and where the face is on the frame that shows them best.

    Parameters
    ----------
    view : AppearanceView
    start_ms, end_ms : int
        The first before the second: a fragment that ends with its beginning is none.
    box_xywh : tuple of int
        Left, top, width and height in pixels of the picture with square pixels, which is what players count.
    """

    view: AppearanceView
    start_ms: int
    end_ms: int
    box_xywh: tuple[int, int, int, int]

    @property
    def start(self) -> str:
        """Seconds, with three decimals."""
        return _seconds(self.start_ms)

    @property
    def end(self) -> str:
        """Seconds, with three decimals."""
        return _seconds(self.end_ms)

    @property
    def xywh(self) -> str:
        """The box as fragments write it."""
        return ",".join(map(str, self.box_xywh))


def square_size(video: VideoView) -> tuple[int, int]:
    """Return width and height of the picture with square pixels."""
    return _geometry(video).square_size


def media_fragments(result: Result) -> Iterator[MediaFragment]:
    """Yield where and when each person and stranger is seen, by their beginnings; undecidable faces are left out.

    The box is that of one sample, never a union: the sample of the best crop that is kept, or the one of the best quality where none
    is.
    """
    geometry = _geometry(result.video)
    tracks = {track.track_id: track for track in result.tracks}
    for view in sorted(result.appearances, key=lambda view: view.start_s):
        if view.person_id is not None or view.stranger is not None:
            start_ms = round(view.start_s * 1000)
            end_ms = max(round(view.end_s * 1000), start_ms + 1)
            yield MediaFragment(view, start_ms, end_ms, _square_box(_best_sample(view, tracks), geometry))


def _geometry(video: VideoView) -> Geometry:
    ratio = Fraction(video.sample_aspect_ratio).limit_denominator(_LARGEST_DENOMINATOR)
    return Geometry(video.width, video.height, ratio, Orientation(False, False, False))


def _best_sample(view: AppearanceView, tracks: Mapping[int, TrackView]) -> SampleView:
    samples = [sample for track_id in view.track_ids for sample in tracks[track_id].samples]
    if not view.evidence.crops:
        return max(samples, key=lambda sample: sample.quality)
    best_s = view.evidence.crops[0].time_s
    return min(samples, key=lambda sample: (abs(sample.time_s - best_s), -sample.quality))


def _square_box(sample: SampleView, geometry: Geometry) -> tuple[int, int, int, int]:
    """Return whole pixels of the picture with square pixels, at least one, none beyond its edges."""
    across, down = geometry.stretch
    width, height = geometry.square_size
    x1, y1, x2, y2 = sample.box_xyxy
    left, right = _within(x1 * across, x2 * across, width)
    top, bottom = _within(y1 * down, y2 * down, height)
    return left, top, right - left, bottom - top


def _within(start: float, end: float, size: int) -> tuple[int, int]:
    first = min(max(round(start), 0), size - 1)
    return first, min(max(round(end), first + 1), size)


def _seconds(time_ms: int) -> str:
    return f"{time_ms // 1000}.{time_ms % 1000:03}"

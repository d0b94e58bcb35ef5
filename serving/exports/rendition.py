"""A video as browsers play it: H.264 and AAC in MP4, whose times are those of results."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facerec_models.analysis.apart.video_child import open_video
from facerec_models.analysis.reading.geometry import Geometry
from facerec_models.analysis.reading.video import Video
from facerec_models.config import LimitsConfig
from facerec_models.confinement.pipe import Pipe
from facerec_models.video_copy import VideoCopier, plan_copy
from facerec_models.video_writer import VideoWriter
from serving.exports.playability import find_faults
from serving.exports.upright_pictures import to_pictures
from serving.exports.written_apart import Telling, write_apart

_LONG_SIDE, _SHORT_SIDE = 1920, 1080


class RenditionStoppedError(Exception):
    """The writing was stopped before its end; nothing of it is left."""


def write_rendition(
    file: Path,
    target: Path,
    limits: LimitsConfig,
    stream: int | None = None,
    on_progress: Callable[[float], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    *,
    name: str | None = None,
) -> None:
    """Write a video so that browsers play it, and show at a time the frame that results call so.

    Pictures that browsers show are copied; others are encoded anew: upright, with square pixels, deinterlaced where they are
    interlaced, at most 1920 pixels long and 1080 high, or the reverse. All frames keep their times, which count from the first one. The
    sound is copied, or encoded as AAC with 48 kHz and two channels at most. Of a damaged video what can be read is there.

    Parameters
    ----------
    target : Path
        Replaced if it exists, and only when all is written; its owner alone may read it.
    stream : int, optional
        Number of the picture track among all streams of the file; the main one by default.
    on_progress : callable, optional
        Told the finished fraction whenever one per cent more is done, and 1 at the end.
    should_stop : callable, optional
        Asked whenever one per cent more is done, and each second in which something is read.
    name : str, optional
        What errors call the file; its path by default.

    Raises
    ------
    InputError
        If not one frame can be read, the file is larger than `limits` allow, or its decoder crashes, hangs or needs too much.
    PlaceError
        If `target` cannot be written.
    RenditionStoppedError
        If `should_stop` returned true.
    """

    def check() -> None:
        if should_stop is not None and should_stop():
            raise RenditionStoppedError(f"the rendition of {name or str(file)!r} was stopped")

    write_apart(
        render_in_child,
        {},
        file,
        target,
        limits,
        name=name,
        stream=stream,
        is_private=True,
        on_progress=on_progress,
        on_sign=check,
    )


def render_in_child(pipe: Pipe) -> None:
    """Write a rendition; runs in a child."""
    facts = pipe.receive().facts
    target, unfinished, tell = Path(facts["target"]), Path(facts["unfinished"]), Telling(pipe)
    with open_video(pipe, facts["video"]) as video:
        limits = LimitsConfig.model_validate(facts["video"]["limits"])
        playability = find_faults(video.path, limits, stream=video.info.stream, name=video.name)
        # What is copied is H.264: VP8 and VP9 are not played from an MP4.
        may_copy = playability.picture is None and playability.media_type == "video/mp4"
        plan = plan_copy(video) if may_copy else None
        work = _encoded(video, target, unfinished) if plan is None else _copied(video, target, unfinished, plan)
        with closing(work):
            for done_s in work:
                tell(done_s / max(video.info.duration_s or 0.0, done_s, 1e-9))


def rendition_size(geometry: Geometry) -> tuple[int, int]:
    """Return width and height of a rendition, even, whose frames begin with this geometry.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from facerec_models.analysis.apart.video_child import open_video
    from facerec_models.analysis.reading.geometry import Orientation
    >>> turned = Orientation(True, True, False)
    >>> rendition_size(Geometry(720, 576, Fraction(16, 15), turned)), rendition_size(Geometry(3840, 2160, Fraction(1), turned))
    ((576, 768), (1080, 1920))
    """
    sides = geometry.square_size
    factor = min(1.0, _LONG_SIDE / max(sides), _SHORT_SIDE / min(sides))
    width, height = (max(2, 2 * round(side * factor / 2)) for side in sides)
    return width, height


def _copied(video: Video, target: Path, unfinished: Path, decoding_times: npt.NDArray[np.int64]) -> Generator[float]:
    with VideoCopier(target, video, decoding_times, unfinished=unfinished) as copier:
        yield from copier.copy()


def _encoded(video: Video, target: Path, unfinished: Path) -> Generator[float]:
    size = rendition_size(video.geometry)
    with VideoWriter(target, video.info.fps, *size, audio_from=video, unfinished=unfinished) as writer:
        for time_s, picture in to_pictures(video.frames(), size):
            writer.write_converted(picture, time_s)
            yield time_s

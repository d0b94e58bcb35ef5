"""One picture of a video, to know it by: read in a process of its own, from the key frame before a moment."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from facerec_models.analysis.apart.video_child import next_answer, open_video, video_child, video_facts
from facerec_models.analysis.reading.decoding import Decoder, open_container
from facerec_models.analysis.reading.video import Video
from facerec_models.config import LimitsConfig
from facerec_models.confinement.child import ChildLostError
from facerec_models.confinement.pipe import Pipe
from facerec_models.types import ImageArray

# Between two key frames there are seldom more: what comes later costs more than it is worth.
_MOST_FRAMES = 300


def read_still_frame(
    path: Path,
    limits: LimitsConfig,
    time_s: float,
    *,
    longest_px: int,
    name: str | None = None,
    stream: int | None = None,
) -> ImageArray:
    """Return an upright picture of a video with square pixels, as near a moment as can be had without decoding all before it.

    Parameters
    ----------
    time_s : float
        Seconds since the first frame.
    longest_px : int
        The longer side is reduced to so many pixels.
    name, stream
        As of `facerec_models.analysis.apart.probing.probe_video`.

    Raises
    ------
    VideoOpenError, VideoDecodeError, LimitExceededError
        If it is no video that can be read, or its decoder crashes, hangs or needs too much.
    """
    facts = video_facts(path, limits, name, stream)
    with video_child(still_frame_in_child, facts, limits) as child:
        order = {"video": facts, "time_s": time_s, "longest_px": longest_px}
        child.send("still", order, timeout_s=limits.decoder_silence_s)
        arrays = next_answer(child, limits).arrays
        if len(arrays) != 1 or arrays[0].dtype != np.uint8 or arrays[0].ndim != 3 or arrays[0].shape[2] != 3:
            raise ChildLostError("sent what cannot be a picture")
        if not 0 < max(arrays[0].shape[:2]) <= longest_px:
            raise ChildLostError("sent a picture of another size than was asked for")
        return arrays[0]


def still_frame_in_child(pipe: Pipe) -> None:
    """Read a picture; runs in a child."""
    facts = pipe.receive().facts
    limits = LimitsConfig.model_validate(facts["video"]["limits"])
    with open_video(pipe, facts["video"]) as video:
        picture = _picture_at(video, facts["time_s"], limits.max_frame_pixels)
        pipe.send("still", {}, [_upright(video, picture, facts["longest_px"])])


def _picture_at(video: Video, time_s: float, max_pixels: int) -> av.VideoFrame:
    with open_container(video.path, video.name) as container:
        track = next(one for one in container.streams.video if one.index == video.info.stream)
        wanted = round((video.info.start_pts_s + time_s) / video.info.time_base)
        try:
            container.seek(wanted, stream=track)
        except av.FFmpegError:
            wanted = 0
        found = None
        for i, picture in enumerate(Decoder(container, track, max_pixels).pictures()):
            found = picture
            if i + 1 == _MOST_FRAMES or (picture.pts is not None and picture.pts >= wanted):
                break
        if found is not None:
            return found
    # Nothing follows the place that was sought: the beginning is a picture, too.
    return next(video.frames()).picture


def _upright(video: Video, picture: av.VideoFrame, longest_px: int) -> ImageArray:
    width, height = video.geometry.stored_square_size
    scale = min(1.0, longest_px / max(width, height))
    small = picture.reformat(max(1, round(width * scale)), max(1, round(height * scale)), "rgb24", threads=1)
    image: ImageArray = small.to_ndarray().astype(np.uint8, copy=False)
    return np.ascontiguousarray(video.geometry.orientation.apply(image))

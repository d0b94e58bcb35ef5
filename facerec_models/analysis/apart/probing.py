"""What a video is, and the list of its frames, from a process of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from facerec_models.analysis.apart.video_child import next_answer, open_video, video_child, video_facts
from facerec_models.analysis.reading.segments import FrameIndex
from facerec_models.analysis.reading.video_info import VideoInfo
from facerec_models.config import LimitsConfig
from facerec_models.confinement.child import ChildLostError
from facerec_models.confinement.pipe import Pipe


@dataclass(frozen=True, slots=True)
class VideoProbe:
    """What is known of a video that can be read.

    Parameters
    ----------
    info : VideoInfo
    warnings : tuple of str
        What is to be told of the file.
    index : FrameIndex or None
        Its frames, where they were asked for and the file's packets tell.
    """

    info: VideoInfo
    warnings: tuple[str, ...]
    index: FrameIndex | None


def probe_video(
    path: Path, limits: LimitsConfig, *, name: str | None = None, stream: int | None = None, wants_index: bool = False
) -> VideoProbe:
    """Open a video and decode its first picture; see `facerec_models.analysis.reading.video.Video`.

    Parameters
    ----------
    wants_index : bool
        Whether all its packets are read for a list of its frames.

    Raises
    ------
    VideoOpenError, VideoDecodeError, LimitExceededError
        If it is no video that can be read, or its decoder crashes, hangs or needs too much.
    """
    facts = video_facts(path, limits, name, stream)
    with video_child(probe_in_child, facts, limits) as child:
        child.send("probe", {"video": facts, "wants_index": wants_index}, timeout_s=limits.decoder_silence_s)
        answer = next_answer(child, limits)
        try:
            info = replace(VideoInfo.of_facts(answer.facts["info"]), path=path)
            index = None
            if answer.arrays:
                pts, keyframes = answer.arrays
                index = _checked(FrameIndex(pts, keyframes, Fraction(*answer.facts["time_base"])))
            return VideoProbe(info, tuple(map(str, answer.facts["warnings"])), index)
        except (ValueError, TypeError, KeyError, ZeroDivisionError) as error:
            raise ChildLostError(f"sent what cannot be true of a video: {error}") from error


def _checked(index: FrameIndex) -> FrameIndex:
    pts, keyframes = index.pts, index.keyframes
    is_plain = (
        pts.ndim == keyframes.ndim == 1 and pts.dtype == keyframes.dtype == np.int64 and len(pts) and len(keyframes)
    )
    if not is_plain or (np.diff(pts) <= 0).any() or not 0 <= keyframes.min() <= keyframes.max() < len(pts):
        raise ValueError("a list of frames that is out of order")
    return index


def probe_in_child(pipe: Pipe) -> None:
    """Open a video; runs in a child."""
    facts = pipe.receive().facts
    with open_video(pipe, facts["video"]) as video:
        told: dict[str, Any] = {"info": video.info.to_facts(), "warnings": video.warnings}
        index = video.index() if facts["wants_index"] else None
        if index is None:
            pipe.send("probed", told)
        else:
            told["time_base"] = index.time_base.as_integer_ratio()
            pipe.send("probed", told, [index.pts, index.keyframes])

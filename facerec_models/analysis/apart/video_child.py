"""A child that opens a video, and what is told of the video when the child is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from facerec_models.analysis.reading.segments import SegmentError
from facerec_models.analysis.reading.video import Video
from facerec_models.config import LimitsConfig
from facerec_models.confinement.bounds import Bounds
from facerec_models.confinement.child import Child, ChildLostError, ChildSilentError, ChildTooLargeError
from facerec_models.confinement.nursery import Task
from facerec_models.confinement.pipe import Message, Pipe
from facerec_models.errors import VideoDecodeError

ALIVE = "alive"
"""The kind of the messages that only say that the work goes on."""

_PULSE_S = 1.0


@contextmanager
def video_child(
    task: Task, facts: dict[str, Any], limits: LimitsConfig, *, writable: Path | None = None
) -> Iterator[Child]:
    """Start a child that opens a video; its loss is the video's failure.

    Parameters
    ----------
    facts : dict
        What `video_facts` returns for the video.
    writable : Path, optional
        A file that it writes.

    Raises
    ------
    VideoDecodeError
        If the child is lost.
    """
    bounds = Bounds(
        limits.decoder_memory_bytes,
        (facts["path"],),
        () if writable is None else (str(writable),),
        limits.max_upload_bytes,
    )
    try:
        with Child(task, bounds, raises=[SegmentError]) as child:
            yield child
    except ChildLostError as error:
        remedy = "copy it again or convert it to MP4"
        if isinstance(error, ChildTooLargeError):
            remedy = "reduce the video or raise limits.decoder_memory_bytes"
        elif isinstance(error, ChildSilentError):
            remedy += ", or raise limits.decoder_silence_s"
        raise VideoDecodeError(f"{facts['name']!r} cannot be decoded: its decoder {error}; {remedy}") from error


def next_message(child: Child, limits: LimitsConfig) -> Message:
    """Return the next message of a child, if only that it is alive."""
    return child.receive(limits.decoder_silence_s)


def next_answer(child: Child, limits: LimitsConfig) -> Message:
    """Return the next message of a child that says more than that it is alive."""
    while (message := next_message(child, limits)).kind == ALIVE:
        pass
    return message


def video_facts(path: Path, limits: LimitsConfig, name: str | None, stream: int | None) -> dict[str, Any]:
    """Return what `open_video` opens a video by."""
    # The working directory of a child is another one.
    return {
        "path": str(path.absolute()),
        "name": str(path) if name is None else name,
        "stream": stream,
        "limits": limits.model_dump(mode="json"),
    }


def open_video(pipe: Pipe, facts: dict[str, Any]) -> Video:
    """Open a video in a child, and tell the parent of each second in which something of it is read."""
    limits = LimitsConfig.model_validate(facts["limits"])
    return Video(Path(facts["path"]), limits, name=facts["name"], stream=facts["stream"], on_packet=Pulse(pipe))


class Pulse:
    """Tells that the work goes on, at most once a second."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._told_at = time.monotonic()

    def __call__(self) -> None:
        """Something was done."""
        now = time.monotonic()
        if now >= self._told_at + _PULSE_S:
            self._told_at = now
            self._pipe.send(ALIVE)

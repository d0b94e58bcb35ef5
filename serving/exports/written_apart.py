"""Have a process of its own write a video from one that a stranger made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from facerec_models.analysis.apart.video_child import next_message, video_child, video_facts
from facerec_models.config import LimitsConfig
from facerec_models.confinement.child import ChildLostError
from facerec_models.confinement.nursery import Task
from facerec_models.confinement.pipe import Pipe
from facerec_models.errors import ConflictError
from facerec_models.files import create_unfinished, writing_to

DONE = "done"
"""The kind of the messages that tell how far a child is."""

_PROGRESS_STEP = 0.01


def write_apart(
    task: Task,
    facts: dict[str, Any],
    video: Path,
    target: Path,
    limits: LimitsConfig,
    *,
    name: str | None = None,
    stream: int | None = None,
    is_private: bool,
    on_progress: Callable[[float], None] | None = None,
    on_sign: Callable[[], None] | None = None,
) -> None:
    """Write a file by a task that opens a video; the file appears when all is written, or not at all.

    Parameters
    ----------
    task : Task
        Gets `facts`, `video_facts` as ``video``, and the path that it writes as ``unfinished`` and is to have as ``target``; calls
        `Telling` for each frame.
    name, stream
        As of `facerec_models.analysis.reading.video.Video`.
    is_private : bool
        Whether the owner of `target` alone may read it.
    on_progress : callable, optional
        Told the finished fraction whenever one per cent more is done, and 1 at the end.
    on_sign : callable, optional
        Called whenever the child gives a sign of life; what it raises ends the writing.

    Raises
    ------
    InputError
        If the video cannot be read, or its decoder crashes, hangs or needs too much.
    PlaceError
        If `target` cannot be written.
    ConflictError
        If the unfinished file was removed.
    """
    opened = video_facts(video, limits, name, stream)
    with _unfinished(target, is_private=is_private) as unfinished:
        with video_child(task, opened, limits, writable=unfinished) as child:
            order = facts | {"video": opened, "target": str(target), "unfinished": str(unfinished)}
            child.send("write", order, timeout_s=limits.decoder_silence_s)
            while (message := next_message(child, limits)).kind != "end":
                if on_sign is not None:
                    on_sign()
                if message.kind == DONE and on_progress is not None:
                    fraction = message.facts.get("fraction")
                    if not isinstance(fraction, float):
                        raise ChildLostError(f"sent what cannot be progress: {fraction!r}"[:200])
                    on_progress(min(max(fraction, 0.0), 1.0))
        try:
            with writing_to(target):
                unfinished.replace(target)
        except FileNotFoundError as gone:
            raise ConflictError(f"{target.name!r} was removed while it was written: ask for it again") from gone
    if on_progress is not None:
        on_progress(1.0)


class Telling:
    """Tells from a child how far it is, whenever that is one per cent more."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._told = 0.0

    def __call__(self, fraction: float) -> None:
        """So much is done."""
        if fraction >= self._told + _PROGRESS_STEP:
            self._pipe.send(DONE, {"fraction": float(fraction)})
            self._told = fraction


@contextmanager
def _unfinished(target: Path, *, is_private: bool) -> Iterator[Path]:
    with writing_to(target):
        file = create_unfinished(target.absolute(), is_private=is_private)
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)

"""Which of a file's streams are picture tracks, and which of them is meant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition

from facerec_models.analysis.reading.decoding import open_container
from facerec_models.errors import VideoOpenError

# Covers, thumbnails of chapters, stills, and layers that need another stream.
_NOT_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image | Disposition.dependent
_STILL_CODECS = frozenset({"mjpeg", "png", "apng", "bmp", "gif", "tiff", "webp", "ppm", "jpeg2000"})


def choose_track(
    path: Path, container: InputContainer, name: str, stream: int | None
) -> tuple[av.VideoStream, str | None]:
    """Return the picture track that is meant, and what is to be told where the file has others.

    Parameters
    ----------
    name : str
        What errors call the file.
    stream : int or None
        Number of a stream as FFmpeg counts all of them from 0; None for the main picture track.

    Raises
    ------
    VideoOpenError
        If there is no such picture track, or no decoder for it.
    """
    tracks = [track for track in container.streams.video if not track.disposition & _NOT_VIDEO]
    if len(tracks) > 1:
        tracks = _without_stills(path, tracks, name)
    if not tracks:
        raise VideoOpenError(f"{name!r} has no pictures, only sound or data; name a video with a picture track")
    listed = ", ".join(map(_describe, tracks))
    if stream is None:
        best = container.streams.best("video")
        chosen = next((track for track in tracks if track is best), tracks[0])
    else:
        named = [track for track in tracks if track.index == stream]
        if not named:
            raise VideoOpenError(f"{name!r} has no picture track {stream}; it has {listed}")
        chosen = named[0]
    # Against its annotation, PyAV has no context where FFmpeg has no decoder.
    if getattr(chosen, "codec_context", None) is None:
        raise VideoOpenError(f"{name!r} has pictures that FFmpeg cannot decode; convert it to H.264 in MP4")
    if len(tracks) == 1:
        return chosen, None
    return chosen, (
        f"the file has {len(tracks)} picture tracks: {listed}; this is about stream {chosen.index} alone: "
        "choose another with --stream N (over HTTP sampling.stream)"
    )


def _describe(track: av.VideoStream) -> str:
    title = f", {track.metadata['title']!r}" if track.metadata.get("title") else ""
    if getattr(track, "codec_context", None) is None:
        return f"stream {track.index} (unknown codec{title})"
    return f"stream {track.index} ({track.codec_context.name} {track.width}x{track.height}{title})"


def _without_stills(path: Path, tracks: Sequence[av.VideoStream], name: str) -> list[av.VideoStream]:
    """Leave out tracks of one picture, such as covers that are not marked as covers, unless there is nothing else."""
    doubtful = [track for track in tracks if _is_still_codec(track) and track.frames <= 1]
    stills = {track.index for track in doubtful if track.frames == 1}
    unknown = [track.index for track in doubtful if track.frames == 0]
    if unknown:
        stills |= _single_pictures(path, unknown, name)
    return [track for track in tracks if track.index not in stills] or list(tracks)


def _is_still_codec(track: av.VideoStream) -> bool:
    return getattr(track, "codec_context", None) is not None and track.codec_context.name in _STILL_CODECS


def _single_pictures(path: Path, indexes: Sequence[int], name: str) -> set[int]:
    """Return which streams have no second picture; the file is read up to those of all others."""
    single = set(indexes)
    seen: set[int] = set()
    with open_container(path, name) as container:
        try:
            for packet in container.demux(*(container.streams[index] for index in indexes)):
                if packet.size == 0:
                    continue
                if packet.stream.index in seen:
                    single.discard(packet.stream.index)
                    if not single:
                        break
                seen.add(packet.stream.index)
        except av.FFmpegError:
            return single  # damage is told when the pictures are decoded
    return single

"""Put the pictures of a video into an MP4 as they are coded, with its sound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer

from facerec_models.analysis.reading.decoding import PacketList, open_container
from facerec_models.analysis.reading.video import Video
from facerec_models.files import writing_to
from facerec_models.mp4_file import Mp4File


class VideoCopier(Mp4File):
    """Write an MP4 whose first picture is at 0; `copy` goes through the packets of a video.

    The file appears as that of `VideoWriter` does.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    source : Video
        H.264, for browsers to play it.
    decoding_times : (N,) int64
        What `plan_copy` returns for the source.
    unfinished : Path
        As of `Mp4File`.
    """

    def __init__(self, path: Path, source: Video, decoding_times: npt.NDArray[np.int64], *, unfinished: Path) -> None:
        super().__init__(path, audio_from=source, unfinished=unfinished)
        self._source = source
        self._decoding_times = decoding_times
        self._end_s = 0.0

    def _add_pictures(self, opened: ExitStack) -> None:
        container = opened.enter_context(open_container(self._source.path, self._source.name))
        track = _track_of(self._source, container)
        self._packets = (packet for packet in container.demux(track) if packet.size and not packet.is_discard)
        self._stream = self._container.add_stream_from_template(track)

    def copy(self) -> Iterator[float]:
        """Copy packet by packet; yield how far the file is, in seconds."""
        time_base = self._source.info.time_base
        start = round(self._source.info.start_pts_s / time_base)
        usual = round(self._source.info.interval_s / time_base)
        for packet, decoding_time in zip(self._packets, self._decoding_times.tolist(), strict=True):
            packet.pts = (packet.pts or 0) - start
            packet.dts = decoding_time
            packet.duration = packet.duration or usual
            self._end_s = max(self._end_s, float((packet.pts + packet.duration) * time_base))
            packet.stream = self._stream
            with writing_to(self._path):
                self._container.mux(packet)
            done_s = max(0.0, float(decoding_time * time_base))
            self._copy_sound(0.0, done_s)
            yield done_s

    def _finish_pictures(self) -> tuple[float, float]:
        return 0.0, self._end_s


def plan_copy(video: Video) -> npt.NDArray[np.int64] | None:
    """Return when each packet is decoded, in the order of the file, counted from when the first picture is shown.

    Returns
    -------
    (N,) int64 or None
        In units of `video.info.time_base`. None where the packets do not tell all frames and their times as `Video.frames` gives
        them: some are missing, damaged, or out of order.
    """
    index = video.index()
    if index is None:
        return None
    with open_container(video.path, video.name) as container:
        entries = PacketList.read(container, _track_of(video, container)).entries
    # Not all containers keep these times. Pictures are decoded as steadily as they are shown, and each before it is shown.
    delay = int(np.max(index.pts - np.array([entry.pts for entry in entries], np.int64)))
    times: npt.NDArray[np.int64] = index.pts - index.pts[0] - delay
    return times


def _track_of(video: Video, container: InputContainer) -> av.VideoStream:
    return next(track for track in container.streams.video if track.index == video.info.stream)

"""Videos whose frames show their numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from facerec_models.analysis.reading.video import DecodedFrame, Video
from facerec_models.config import LimitsConfig
from facerec_models.types import ImageArray

LIMITS = LimitsConfig()
BITS = 8
INDEX_FIRST = {"movflags": "+faststart"}
X264 = {"crf": "10", "bf": "2", "g": "12"}


def painted(number: int, width: int = 128, height: int = 96) -> ImageArray:
    """Paint a number as eight black or white columns over a gray floor."""
    image = np.full((height, width, 3), 128, np.uint8)
    for bit in range(BITS):
        image[: height // 2, bit * width // BITS : (bit + 1) * width // BITS] = 235 if number >> bit & 1 else 20
    return image


def read_number(image: ImageArray) -> int:
    height, width = image.shape[:2]
    columns = image[height // 4, width // BITS // 2 :: width // BITS].mean(-1)
    return sum(1 << bit for bit, value in enumerate(columns) if value > 128)


def noise(number: int) -> ImageArray:
    """Make pictures that compress badly, so that the file is large beside its index."""
    return np.random.default_rng(number).integers(0, 256, (96, 128, 3), np.uint8)


def write_video(
    path: Path,
    times_ms: Iterable[int],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    picture: Callable[[int], ImageArray] = painted,
    rotation: tuple[int, bool] | None = None,
    sound_s: float = 0.0,
    container: dict[str, str] | None = None,
    file_format: str | None = None,
    file_tags: dict[str, str] | None = None,
) -> Path:
    """Write pictures that show their number, at given times."""
    with av.open(str(path), "w", format=file_format, options=container or {}) as out:
        out.metadata.update(file_tags or {})
        stream = out.add_stream(codec, rate=25, options=options if options is not None else X264)
        assert isinstance(stream, av.VideoStream)
        height, width = picture(0).shape[:2]
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        if codec not in ("gif", "mpeg4"):
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation is not None:
            stream.set_display_rotation(rotation[0], hflip=rotation[1])
        if sound_s:
            sound = out.add_stream("aac" if path.suffix != ".webm" else "libopus", rate=48_000)
            sound.layout = "mono"
            for start in range(0, int(sound_s * 48_000), 960):
                tone = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.float32), "fltp", "mono")
                tone.sample_rate, tone.pts, tone.time_base = 48_000, start, Fraction(1, 48_000)
                out.mux(sound.encode(tone))
            out.mux(sound.encode(None))
        for number, time_ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(picture(number), "rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            out.mux(stream.encode(frame.reformat(format=pix_fmt)))
        out.mux(stream.encode(None))
    return path


STEADY = range(0, 2000, 40)
ODD_TIMES = [0, 7, 40, 41, 200, 201, 333, 1000, 1001, 1750, 1790, 1999]


def frames_of(path: Path) -> tuple[Video, list[DecodedFrame]]:
    with Video(path, LIMITS) as video:
        return video, list(video.frames())

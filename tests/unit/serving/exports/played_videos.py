"""Videos of all kinds whose frames show their numbers in colours, with a click in their sound."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from facerec_models.types import ImageArray
from tests.unit.facerec_models.analysis.reading.written_video import painted

WIDTH, HEIGHT = 180, 144  # with pixels of 16:15 a picture of 4:3, the one shape of these that MPEG-2 can state
CLICK_S = 1.0
_RATE = 48_000


def coloured(number: int) -> ImageArray:
    """Paint a number as columns over a floor of four colours, of which none is in the middle."""
    image = painted(number, WIDTH, HEIGHT)
    colours = ((200, 60, 30), (30, 160, 90), (40, 60, 210), (220, 200, 60))
    for i, colour in enumerate(colours):
        image[HEIGHT // 2 :, i * WIDTH // 4 : (i + 1) * WIDTH // 4] = colour
    return image


def woven(number: int) -> ImageArray:
    """Make an interlaced picture of a bright bar that moves on between its two fields."""
    image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    for field in range(2):
        left = 8 + 16 * number + 8 * field
        image[field::2, left : left + 24] = 210
    return image


def write_media(
    path: Path,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    *,
    times_ms: Iterable[int] = range(0, 2000, 40),
    options: dict[str, str] | None = None,
    ratio: Fraction | None = None,
    rotation: tuple[int, bool] | None = None,
    sound: str | None = None,
    sound_from_s: float = 0.0,
    picture: Callable[[int], ImageArray] = coloured,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> Path:
    """Write frames at given times of the container's clock, and a click one second after the first of them."""
    times = list(times_ms)
    start_s = times[0] / 1000
    with av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as out:
        stream = out.add_stream(codec, rate=25, options=options or {})
        assert isinstance(stream, av.VideoStream)
        (stream.width, stream.height), stream.pix_fmt = size, pix_fmt
        time_base = Fraction(1, 25) if codec in ("gif", "mpeg4", "mpeg2video", "mjpeg") else Fraction(1, 1000)
        stream.codec_context.time_base = time_base
        if ratio is not None:
            stream.codec_context.sample_aspect_ratio = ratio
        if rotation is not None:
            stream.set_display_rotation(rotation[0], hflip=rotation[1])
        track = None
        if sound is not None:
            track = out.add_stream(sound, rate=_RATE)
            assert isinstance(track, av.AudioStream)
            track.layout = "stereo"
        for number, time_ms in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(number), "rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = round(Fraction(time_ms, 1000) / time_base), time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if track is not None:
            _write_click(out, track, start_s, times[-1] / 1000 + 0.04, sound_from_s)
    return path


def _write_click(
    out: av.container.OutputContainer, track: av.AudioStream, start_s: float, end_s: float, from_s: float
) -> None:
    first, end = round((start_s + from_s) * _RATE), round(end_s * _RATE)
    times = np.arange(first, end) / _RATE - start_s
    wave = (0.5 * np.sin(2 * np.pi * 880 * times) * (abs(times - CLICK_S) < 0.05)).astype(np.float32)
    for at in range(0, len(wave), 960):
        piece = av.AudioFrame.from_ndarray(np.repeat(wave[None, at : at + 960], 2, 0), "fltp", "stereo")
        piece.sample_rate, piece.time_base, piece.pts = _RATE, Fraction(1, _RATE), first + at
        out.mux(track.encode(piece))
    out.mux(track.encode(None))

"""Decoded frames as pictures to be encoded: upright, with square pixels, of one size, without the comb of interlacing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import av
from av.filter import Graph

from facerec_models.analysis.reading.geometry import Geometry
from facerec_models.analysis.reading.video import DecodedFrame
from facerec_models.video_writer import PIXEL_FORMAT
from serving.exports.annotated import Place


def to_pictures(frames: Iterable[DecodedFrame], size: tuple[int, int]) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yield the time of each frame, in seconds, and its picture as `VideoWriter.write_converted` takes it.

    The colours are those of `DecodedFrame.to_frame`. Interlaced frames are filtered, one picture for each, and no other.

    Parameters
    ----------
    size : tuple of int
        Width and height of all pictures, even. The first frame fills them; frames of another shape are fitted into them, between black
        bars.
    """
    chain: _Chain | None = None
    first: Geometry | None = None
    for frame in frames:
        first = first or frame.geometry
        source = _Source.of(frame, chain is not None and chain.source.is_interlaced)
        if chain is None or source != chain.source:
            if chain is not None:
                yield from chain.finish()
            chain = _Chain(source, size, is_whole=source.geometry == first)
        yield from chain.put(frame)
    if chain is not None:
        yield from chain.finish()


class _Source(NamedTuple):
    """What a chain of filters is made for."""

    geometry: Geometry
    pixel_format: str
    colorspace: int
    color_range: int
    is_interlaced: bool

    @classmethod
    def of(cls, frame: DecodedFrame, was_interlaced: bool) -> _Source:
        """Describe a frame; among interlaced ones some are not, and the filter that needs their neighbours passes those on."""
        picture = frame.picture
        return cls(
            frame.geometry,
            picture.format.name,
            int(picture.colorspace),
            int(picture.color_range),
            was_interlaced or picture.interlaced_frame,
        )


class _Chain:
    """Filters that give one picture for each frame, some of them later."""

    def __init__(self, source: _Source, size: tuple[int, int], *, is_whole: bool) -> None:
        self.source = source
        self._waiting: deque[float] = deque()
        geometry = source.geometry
        place = Place.of(geometry, size)
        width, height = size if is_whole else place.fitted
        if geometry.orientation.swaps_axes:
            width, height = height, width
        self._graph = Graph()
        filters = [
            (
                "buffer",
                f"video_size={geometry.stored_width}x{geometry.stored_height}:pix_fmt={source.pixel_format}:time_base=1/1000:"
                f"pixel_aspect=1/1:colorspace={source.colorspace}:range={source.color_range}",
            )
        ]
        if source.is_interlaced:
            filters.append(("bwdif", "mode=send_frame:deint=interlaced"))
        filters.append(("scale", f"w={width}:h={height}:flags=bicubic:out_color_matrix=bt709:out_range=tv"))
        filters.append(("format", f"pix_fmts={PIXEL_FORMAT}"))
        if geometry.orientation.swaps_axes:
            filters.append(("transpose", "dir=cclock_flip"))
        if geometry.orientation.mirrors_x:
            filters.append(("hflip", ""))
        if geometry.orientation.mirrors_y:
            filters.append(("vflip", ""))
        if not is_whole:
            left, top = place.corner
            filters.append(("pad", f"w={size[0]}:h={size[1]}:x={left}:y={top}"))
        filters.append(("buffersink", ""))
        nodes = [self._graph.add(name, arguments or None) for name, arguments in filters]
        for before, after in pairwise(nodes):
            before.link_to(after)
        self._graph.configure()

    def put(self, frame: DecodedFrame) -> Iterator[tuple[float, av.VideoFrame]]:
        """Add a frame; yield the pictures that are ready."""
        self._waiting.append(frame.time_s)
        self._graph.vpush(frame.picture)
        yield from self._ready()

    def finish(self) -> Iterator[tuple[float, av.VideoFrame]]:
        """Yield the pictures of the last frames."""
        self._graph.vpush(None)
        yield from self._ready()

    def _ready(self) -> Iterator[tuple[float, av.VideoFrame]]:
        while self._waiting:
            try:
                picture = self._graph.vpull()
            except (BlockingIOError, EOFError):  # it waits for the next frame, or there is none
                return
            yield self._waiting.popleft(), picture

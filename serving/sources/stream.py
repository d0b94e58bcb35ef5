"""Windows of RTSP streams, recorded as they are sent."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from urllib3.util import Url

from facerec_models.errors import InputError, LimitExceededError, SourceError
from serving.settings import Settings
from serving.sources.addresses import name_in, parse_address, scheme_of, shown
from serving.sources.config import SourcesConfig, normal_host
from serving.sources.fetching import media_store
from serving.sources.media_store import RECORDED, FetchNote
from serving.sources.source import Resolved, SourceContext
from serving.sources.watch import Watch

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.stream import Stream

_WINDOW = re.compile(r"t=0(?:\.0+)?,(\d{1,6}(?:\.\d{1,3})?)")


class StreamWindow:
    """Addresses such as ``rtsp://host/path#t=0,60``: so many seconds from now on, of hosts that the settings name.

    Each time is another recording, and one that is interrupted begins anew. FFmpeg connects, and follows where the host leads: name
    only hosts that you trust.
    """

    kinds = ("rtsp://",)

    def claim(self, address: str, settings: Settings) -> str | None:
        """Return ``rtsp:``."""
        scheme = scheme_of(address)
        return f"{scheme}:" if scheme == "rtsp" else None

    def check(self, address: str, settings: Settings) -> None:
        """Refuse what is no window of a stream, or of a host that is not named."""
        _checked(address, settings.sources)

    def resolve(self, address: str, context: SourceContext) -> Resolved:
        """Record the window; return the kept file."""
        config = context.settings.sources
        url, window_s = _checked(address, config)
        # Each recording has an address of its own.
        key = f"{address} {uuid.uuid4()}"
        name = name_in(address, "stream") + ".mkv"
        with (
            Watch(shown(address), config, context.should_stop) as watch,
            media_store(context).slot(key, watch.pause) as slot,
        ):
            slot.begin(FetchNote(total=None, etag=None, last_modified=None, name=name, ending=RECORDED))
            try:
                _record(url, slot.part, window_s, context, watch)
                file = slot.finish()
            finally:
                slot.forget()
        return Resolved(file, shown(address), name)


def _checked(address: str, config: SourcesConfig) -> tuple[Url, float]:
    """Return a stream's address, and how many seconds of it are meant."""
    url = parse_address(address, "rtsp")
    if normal_host(url.host or "") not in config.stream_hosts:
        raise InputError(
            f"{shown(address)!r}: FACEREC_SOURCES__STREAM_HOSTS names the hosts whose streams may be recorded"
        )
    return url, _window(url, shown(address), config)


def _window(url: Url, shown_address: str, config: SourcesConfig) -> float:
    found = _WINDOW.fullmatch(url.fragment or "")
    window_s = float(found[1]) if found is not None else 0.0
    if not 0 < window_s <= config.max_stream_s:
        raise InputError(
            f"{shown_address!r} must end with the seconds to record, from #t=0,1 to #t=0,{config.max_stream_s:g}: "
            "FACEREC_SOURCES__MAX_STREAM_S allows no more"
        )
    return window_s


def _record(url: Url, file: Path, window_s: float, context: SourceContext, watch: Watch) -> None:
    import av

    config = context.settings.sources
    # Made of the checked parts: FFmpeg might take another host from an address that is written oddly.
    address = f"rtsp://{url.netloc}{url.request_uri}"
    shown_address = shown(url.url)
    try:
        with (
            av.open(
                address,
                format="rtsp",
                options={"rtsp_transport": "tcp", "allowed_media_types": "video+audio"},
                timeout=(config.connect_timeout_s, config.read_timeout_s),
            ) as source,
            av.open(str(file), "w", format="matroska") as target,
        ):
            if not source.streams.video:
                raise SourceError(f"{shown_address!r} has no picture track: check the address")
            taken = [*source.streams.video, *source.streams.audio]
            copies = {stream.index: target.add_stream_from_template(stream) for stream in taken}
            for packet in _packets(source, taken, window_s, context, watch, shown_address):
                packet.stream = copies[packet.stream.index]
                target.mux(packet)
    except av.FFmpegError as error:
        watch.check()
        raise SourceError(f"{shown_address!r} cannot be recorded ({error.strerror}): try again later") from error


def _packets(
    source: InputContainer,
    streams: Sequence[Stream],
    window_s: float,
    context: SourceContext,
    watch: Watch,
    shown_address: str,
) -> Iterator[av.Packet[Any]]:
    """Yield packets of the streams, from the first picture that needs no other until the window ends."""
    until = time.monotonic() + window_s + context.settings.sources.read_timeout_s
    began: float | None = None
    size = 0
    for packet in source.demux(*streams):
        watch.check()
        if packet.dts is None or packet.pts is None or packet.time_base is None:
            continue
        at = float(packet.pts * packet.time_base)
        if began is None:
            if not (packet.is_keyframe and packet.stream.type == "video"):
                continue
            began = at
        size += packet.size
        if size > context.settings.sources.max_bytes:
            raise LimitExceededError(
                f"{shown_address!r} has more than {context.settings.sources.max_bytes} bytes within {window_s:g} s: record less, or "
                "raise FACEREC_SOURCES__MAX_BYTES"
            )
        if at - began > window_s or time.monotonic() > until:
            break
        context.on_progress(max(0.0, min((at - began) / window_s, 1.0)))
        yield packet
    if began is None:
        raise SourceError(f"{shown_address!r} sent no picture that stands alone within {window_s:g} s: record more")

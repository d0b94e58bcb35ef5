"""Streams are recorded from hosts that the settings name, and for no longer than they allow."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import av
import pytest

from facerec_models.errors import InputError, LimitExceededError, SourceError
from serving.sources.media_store import RECORDED
from serving.sources.registry import resolve
from serving.sources.source import FetchStoppedError
from tests.unit.serving.sources.rtsp import streaming, write_transport_stream
from tests.unit.serving.sources.web import context, kept_files, parts_of

HOST = {"stream_hosts": "127.0.0.1"}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Six seconds."""
    return write_transport_stream(tmp_path_factory.mktemp("stream") / "film.ts", 6.0)


def length_of(file: Path) -> tuple[int, float]:
    """Return how many pictures can be decoded, and how many seconds they last."""
    with av.open(str(file)) as container:
        times = [picture.time for picture in container.decode(video=0)]
    assert None not in times
    return len(times), float(times[-1] or 0.0) - float(times[0] or 0.0)


def test_a_window_of_a_stream_is_recorded(film: bytes, tmp_path: Path) -> None:
    fractions: list[float] = []
    with streaming(film, 6.0, pace=4.0) as (address, _):
        found = resolve(f"{address}#t=0,2", replace(context(tmp_path, **HOST), on_progress=fractions.append))
    pictures, duration_s = length_of(found.file)
    assert duration_s == pytest.approx(2.0, abs=0.2)
    assert pictures == pytest.approx(50, abs=5)
    assert (found.uri, found.name) == (f"{address}#t=0,2", "camera.mkv")
    assert found.file.suffix == RECORDED
    assert kept_files(tmp_path) == [found.file.name]
    assert fractions == sorted(fractions)
    assert not list((tmp_path / "media/addresses").glob("*.json"))


def test_a_stream_that_ends_early_is_recorded_as_far_as_it_goes(film: bytes, tmp_path: Path) -> None:
    with streaming(film, 6.0, pace=10.0) as (address, _):
        found = resolve(f"{address}#t=0,30", context(tmp_path, **HOST))
    assert length_of(found.file)[1] == pytest.approx(6.0, abs=0.5)


@pytest.mark.parametrize("hosts", ["", "localhost,127.0.0.2"])
def test_other_hosts_are_not_even_asked(film: bytes, tmp_path: Path, hosts: str) -> None:
    with (
        streaming(film, 6.0) as (address, asked),
        pytest.raises(InputError, match="FACEREC_SOURCES__STREAM_HOSTS"),
    ):
        resolve(f"{address}#t=0,1", context(tmp_path, trusted=True, stream_hosts=hosts))
    assert asked == []


@pytest.mark.parametrize("window", ["", "#t=0", "#t=0,0", "#t=0,61", "#t=5,10", "#t=0,-1", "#t=0,1e9", "#t=0,nan"])
def test_a_window_without_an_end_or_beyond_the_limit_is_refused(tmp_path: Path, window: str) -> None:
    with pytest.raises(InputError, match="FACEREC_SOURCES__MAX_STREAM_S"):
        resolve(f"rtsp://127.0.0.1:1/camera{window}", context(tmp_path, **HOST))


def test_names_and_passwords_are_refused_and_never_repeated(tmp_path: Path) -> None:
    with pytest.raises(InputError) as failure:
        resolve("rtsp://ada:hunter2@127.0.0.1/camera#t=0,1", context(tmp_path, **HOST))
    assert "hunter2" not in str(failure.value)


def test_a_stream_that_is_too_large_is_given_up(film: bytes, tmp_path: Path) -> None:
    with (
        streaming(film, 6.0, pace=10.0) as (address, _),
        pytest.raises(LimitExceededError, match="FACEREC_SOURCES__MAX_BYTES"),
    ):
        resolve(f"{address}#t=0,5", context(tmp_path, **HOST, max_bytes=5000))
    assert kept_files(tmp_path) == []
    assert parts_of(tmp_path) == []


def test_recording_can_be_stopped(film: bytes, tmp_path: Path) -> None:
    stop = threading.Event()
    told = replace(context(tmp_path, **HOST), on_progress=lambda _: stop.set(), should_stop=stop.is_set)
    began = time.monotonic()
    with streaming(film, 6.0, pace=0.5) as (address, _), pytest.raises(FetchStoppedError):
        resolve(f"{address}#t=0,5", told)
    assert time.monotonic() - began < 8.0  # and not the ten that the window takes
    assert parts_of(tmp_path) == []


def test_a_host_that_is_silent_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/camera#t=0,1"
        with pytest.raises(SourceError, match="cannot be recorded"):
            resolve(address, context(tmp_path, **HOST, connect_timeout_s=0.5))


def test_a_host_that_is_away_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be recorded"):
        resolve("rtsp://127.0.0.1:1/camera#t=0,1", context(tmp_path, **HOST))

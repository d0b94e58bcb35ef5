"""How fast, how long and where a crawl may fetch."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from tests.picture_site import PictureSite
from tests.unit.training.crawling.collect import LIMITS, collect, listed, put_pictures, reasons
from training.crawling.bounds import CrawlConfig
from training.crawling.crawl import crawl
from training.crawling.sources import parse_source


def test_a_host_is_asked_at_its_pace(site: PictureSite, tmp_path: Path) -> None:
    site.put("/r.jpg", b"", status=302, location="/0.jpg")
    source = listed(tmp_path, [f"{site.url}/r.jpg", *put_pictures(site, 4)[1:]])
    collect(source, tmp_path / "Ada", CrawlConfig(delay_s=0.2, threads=4))
    times = sorted(at for _, at in site.asked)
    assert len(times) == 5
    assert times[-1] - times[0] > 3 * 0.2  # four pauses; one may seem shorter on a busy machine


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1"])
def test_private_addresses_are_refused_to_public_crawls(site: PictureSite, tmp_path: Path, host: str) -> None:
    put_pictures(site, 1)
    address = site.url.replace("127.0.0.1", host) + "/0.jpg"
    report = collect(listed(tmp_path, [address]), tmp_path / "Ada", public_only=True)
    assert "no public address" in reasons(report)["0.jpg"]
    assert site.asked == []


def test_a_crawl_can_be_stopped_and_its_time_is_limited(site: PictureSite, tmp_path: Path) -> None:
    source = listed(tmp_path, put_pictures(site, 30))
    seen: list[str] = []
    report = crawl(
        "Ada_Lovelace",
        parse_source(source),
        tmp_path / "Ada",
        CrawlConfig(delay_s=0.1),
        LIMITS,
        on_picture=lambda picture: seen.append(picture.file),
        should_stop=lambda: len(seen) >= 2,
    )
    assert report.stopped
    assert report.error is None
    assert 2 <= len(report.pictures) < 30
    assert {picture.file for picture in report.pictures} == set(seen)
    late = collect(source, tmp_path / "late", CrawlConfig(delay_s=0.5, max_time_s=1.2))
    assert late.fetched < 10
    assert "time of 1.2 s was up" in f"{late.note} {late.error}"


def test_a_server_that_never_ends_its_header_does_not_hold_the_crawl(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                try:
                    while True:
                        connection.sendall(b"H")
                        time.sleep(0.1)
                except OSError:
                    return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        source = listed(tmp_path, [f"http://127.0.0.1:{server.getsockname()[1]}/a.jpg"])
        report = collect(source, tmp_path / "Ada", CrawlConfig(max_time_s=1, read_timeout_s=0.5))
    assert "time of 1 s was up" in str(report.error)

"""Crawls of a real site on this machine, through icrawler's feeders, parsers and downloader: what is kept and what is dropped."""

from __future__ import annotations

import gzip
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from facerec_models.errors import InputError
from tests.picture_site import PictureSite
from tests.unit.training.crawling.collect import LIMITS, QUICK, collect, encode, listed, put_pictures, reasons, view
from training.crawling.album import Album, difference_hash
from training.crawling.bounds import CrawlConfig
from training.crawling.crawl import crawl
from training.crawling.sources import parse_source


def test_pictures_of_a_list_are_kept_with_source_and_date(site: PictureSite, tmp_path: Path) -> None:
    addresses = put_pictures(site, 3)
    addresses.append(site.put("/elsewhere", b"", status=302, location="/3.png"))
    site.put("/3.png", encode(view(3), "PNG"), kind="image/png")
    report = collect(listed(tmp_path, addresses), tmp_path / "Ada")
    assert (report.fetched, report.error, report.dropped) == (4, None, ())
    assert {picture.source for picture in report.pictures} == set(addresses)
    assert sorted(picture.file[-4:] for picture in report.pictures) == [".jpg", ".jpg", ".jpg", ".png"]
    for picture in report.pictures:
        assert abs(datetime.now(UTC) - picture.fetched_at) < timedelta(minutes=1)
        assert (picture.width, picture.height) == (320, 240)
        assert (tmp_path / "Ada" / picture.file).is_file()
    manifest = json.loads((tmp_path / "Ada" / "manifest.json").read_text())
    assert manifest["schema"] == "facerec.pictures/1"
    assert manifest["pictures"][0]["fetched_at"].endswith("Z")
    assert set(manifest["pictures"][0]) == {"file", "source", "fetched_at", "sha256", "dhash", "width", "height"}
    assert all("FaceRec/" in agent for agent in site.agents)
    assert {picture.source for picture in report.to_enrol()} == set(addresses)


def test_bad_answers_are_dropped_with_a_reason_and_the_good_are_kept(site: PictureSite, tmp_path: Path) -> None:
    good = encode(view(1))
    config = CrawlConfig(delay_s=0, answer_timeout_s=3, read_timeout_s=2, max_answer_bytes=200_000, max_redirects=2)
    addresses = [
        site.put("/good.jpg", good),
        site.put("/page.jpg", "<html>no picture</html>"),
        site.put("/damaged.jpg", good[: len(good) // 2]),
        site.put("/cut.jpg", encode(view(2)), cut=True),
        site.put("/small.jpg", encode(view(3, 199, 400))),
        site.put("/large.jpg", encode(view(4), "BMP") + bytes(200_000)),
        site.put("/slow.jpg", encode(view(5)), pause_s=0.01),
        site.put("/silent.jpg", encode(view(6)), pause_s=10),
        site.put("/loop.jpg", b"", status=302, location="/loop.jpg"),
        site.put("/nowhere.jpg", b"", status=302, location="http://127.0.0.1:1/x.jpg"),
        site.put("/file.jpg", b"", status=302, location="file:///etc/passwd"),
        site.put("/broken.jpg", b"", status=500),
        f"{site.url}/missing.jpg",
        "http://[::1/bad.jpg",
        "ftp://127.0.0.1/old.jpg",
    ]
    report = collect(listed(tmp_path, addresses), tmp_path / "Ada", config)
    assert [picture.source for picture in report.pictures] == [f"{site.url}/good.jpg"]
    dropped = reasons(report)
    expected = {
        "page.jpg": "no picture of an allowed kind",
        "damaged.jpg": "damaged or cut off",
        "cut.jpg": "",
        "small.jpg": "199x400 pixels, fewer than 200x200",
        "large.jpg": "larger than 200000 bytes",
        "slow.jpg": "not complete after 3 s",
        "silent.jpg": "",
        "loop.jpg": "more than 2 redirects",
        "nowhere.jpg": "Connection refused",
        "file.jpg": "",
        "broken.jpg": "answered 500",
        "missing.jpg": "answered 404 Not Found",
        "bad.jpg": "",
        "old.jpg": "",
    }
    assert dropped.keys() == expected.keys()
    for name, part in expected.items():
        assert part in dropped[name], (name, dropped[name])
    assert report.error is None
    assert report.note is not None
    # What asking again cannot change is not asked again; the rest is.
    site.asked.clear()
    again = collect(listed(tmp_path, addresses), tmp_path / "Ada", config)
    assert set(site.paths()) == {"/cut.jpg", "/slow.jpg", "/silent.jpg", "/nowhere.jpg", "/file.jpg", "/broken.jpg"}
    assert (again.fetched, again.error, len(again.pictures)) == (0, None, 1)
    assert reasons(again).keys() == expected.keys()


def test_a_compressed_answer_counts_with_its_full_size(site: PictureSite, tmp_path: Path) -> None:
    site.put("/bomb.jpg", gzip.compress(bytes(50_000_000)), encoding="gzip")
    report = collect(
        listed(tmp_path, [f"{site.url}/bomb.jpg"]), tmp_path / "Ada", CrawlConfig(max_answer_bytes=1 << 20)
    )
    assert "larger than" in reasons(report)["bomb.jpg"]


def test_copies_are_found_whatever_their_size_and_format(site: PictureSite, tmp_path: Path) -> None:
    image = view(1, 800, 600)
    addresses = [
        site.put("/first.jpg", encode(image, quality=95)),
        site.put("/copy.jpg", encode(image, quality=95)),
        site.put(
            "/half.png", encode(cv2.resize(image, (400, 300), interpolation=cv2.INTER_AREA).astype(np.uint8), "PNG")
        ),
        site.put("/rough.jpg", encode(image, quality=40)),
        site.put("/other.jpg", encode(view(2, 800, 600))),
    ]
    one_by_one = CrawlConfig(delay_s=0, threads=1)
    report = collect(listed(tmp_path, addresses), tmp_path / "Ada", one_by_one)
    assert [str(picture.source)[-9:] for picture in report.pictures] == ["first.jpg", "other.jpg"]
    first = report.pictures[0]
    assert reasons(report) == {
        "copy.jpg": "the same as another",
        "half.png": "nearly the same as another",
        "rough.jpg": "nearly the same as another",
    }
    # When the one that was kept is removed, its twins may be fetched.
    (tmp_path / "Ada" / first.file).unlink()
    site.answers["/first.jpg"].status = 410
    again = collect(listed(tmp_path, addresses), tmp_path / "Ada", one_by_one)
    assert [str(picture.source)[-9:] for picture in again.pictures] == ["other.jpg", "/copy.jpg"]


def test_a_picture_that_is_enrolled_already_is_dropped(site: PictureSite, tmp_path: Path) -> None:
    (address,) = put_pictures(site, 1)
    kept = collect(listed(tmp_path, [address]), tmp_path / "Ada").pictures[0]
    report = collect(listed(tmp_path, [address]), tmp_path / "other", known_sha256=(kept.sha256,))
    assert reasons(report) == {"0.jpg": "the same as an enrolled picture"}


def test_hashes_of_other_pictures_are_far_apart() -> None:
    hashes = [difference_hash(view(i)) for i in range(40)]
    apart = [(a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(apart) > 2 * QUICK.near_duplicate_bits


def test_a_second_crawl_fetches_only_what_is_missing(site: PictureSite, tmp_path: Path) -> None:
    source = listed(tmp_path, put_pictures(site, 8))
    assert collect(source, tmp_path / "Ada", max_num=3).fetched == 3
    site.asked.clear()
    assert collect(source, tmp_path / "Ada", max_num=3).fetched == 0
    assert site.asked == []
    more = collect(source, tmp_path / "Ada", max_num=6)
    assert (more.fetched, len(more.pictures)) == (3, 6)
    assert len(site.asked) <= 5
    # Removed pictures are fetched again; added ones count, and so do pictures that lost their manifest.
    (tmp_path / "Ada" / more.pictures[0].file).unlink()
    (tmp_path / "Ada" / "own.jpg").write_bytes(encode(view(99)))
    assert collect(source, tmp_path / "Ada", max_num=7).fetched == 1
    (tmp_path / "Ada" / "manifest.json").unlink()
    assert len(collect(source, tmp_path / "Ada", max_num=7).pictures) == 7
    (tmp_path / "Ada" / "manifest.json").write_text("{")
    with pytest.raises(InputError, match=r"manifest\.json.*remove it"):
        collect(source, tmp_path / "Ada", max_num=7)


def test_never_more_than_asked_for_although_several_are_fetched_at_a_time(site: PictureSite, tmp_path: Path) -> None:
    source = listed(tmp_path, put_pictures(site, 30))
    report = collect(source, tmp_path / "Ada", CrawlConfig(delay_s=0, threads=12), max_num=7)
    assert (report.fetched, report.error, report.note) == (7, None, None)
    assert len(list((tmp_path / "Ada").glob("*.jpg"))) == 7


def test_an_error_of_a_thread_is_raised_where_the_crawl_was_called(site: PictureSite, tmp_path: Path) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        crawl(
            "A", parse_source(listed(tmp_path, put_pictures(site, 2))), tmp_path / "A", QUICK, LIMITS, on_picture=fail
        )


def test_an_album_writes_pictures_before_it_lists_them(tmp_path: Path) -> None:
    album = Album(tmp_path, QUICK, LIMITS)
    data = encode(view(1))
    os.mkfifo(tmp_path / "fifo.txt")  # whatever else lies there is left alone
    picture = album.add(data, "http://a.test/1.jpg", most=5)
    assert picture is not None
    (tmp_path / "manifest.json").unlink()  # as if the process had ended between the two
    reopened = Album(tmp_path, QUICK, LIMITS)
    assert [(p.file, p.source) for p in reopened.pictures] == [(picture.file, None)]

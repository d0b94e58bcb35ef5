"""Crawls of a real site on this machine, through icrawler's feeders, parsers and downloader."""

from __future__ import annotations

import gzip
import html
import io
import itertools
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from icrawler.utils import Signal
from PIL import Image

from facerec_models.config import LimitsConfig
from facerec_models.errors import InputError, SourceError
from facerec_models.types import ImageArray
from tests.picture_site import PictureSite, baidu_page, picture_site
from training.crawling.album import Album, difference_hash
from training.crawling.bounds import CrawlConfig
from training.crawling.crawl import CrawlReport, crawl, split_names
from training.crawling.engine import components
from training.crawling.session import FetchError, PoliteSession, is_public
from training.crawling.sources import Source, SourceKind, parse_source

QUICK = CrawlConfig(delay_s=0.01)
LIMITS = LimitsConfig()


@pytest.fixture
def site() -> Iterator[PictureSite]:
    with picture_site() as site:
        yield site


def view(number: int, width: int = 320, height: int = 240) -> ImageArray:
    """Return a picture like no other number's."""
    coarse = np.random.default_rng(number).integers(0, 256, (9, 12, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def encode(image: ImageArray, kind: str = "JPEG", **options: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def put_pictures(site: PictureSite, count: int) -> list[str]:
    return [site.put(f"/{i}.jpg", encode(view(i))) for i in range(count)]


def listed(tmp_path: Path, addresses: list[str]) -> str:
    file = tmp_path / "addresses.txt"
    file.write_text("\n".join(["# pictures", "", *addresses]))
    return f"urls:{file}"


def collect(
    source: str,
    folder: Path,
    config: CrawlConfig = QUICK,
    *,
    max_num: int = 20,
    public_only: bool = False,
    known_sha256: tuple[str, ...] = (),
) -> CrawlReport:
    return crawl(
        "Ada_Lovelace",
        parse_source(source),
        folder,
        config,
        LIMITS,
        max_num=max_num,
        public_only=public_only,
        known_sha256=known_sha256,
    )


def reasons(report: CrawlReport) -> dict[str, str]:
    return {address.rpartition("/")[2]: reason for address, reason in report.dropped}


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
    config = CrawlConfig(delay_s=0, answer_timeout_s=1, read_timeout_s=0.5, max_answer_bytes=200_000, max_redirects=2)
    addresses = [
        site.put("/good.jpg", good),
        site.put("/page.jpg", "<html>no picture</html>"),
        site.put("/damaged.jpg", good[: len(good) // 2]),
        site.put("/cut.jpg", encode(view(2)), cut=True),
        site.put("/small.jpg", encode(view(3, 199, 400))),
        site.put("/large.jpg", encode(view(4), "BMP") + bytes(200_000)),
        site.put("/slow.jpg", encode(view(5)), pause_s=0.01),
        site.put("/silent.jpg", encode(view(6)), pause_s=3),
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
        "slow.jpg": "not complete after 1 s",
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


def test_what_the_person_has_elsewhere_is_not_taken_again(site: PictureSite, tmp_path: Path) -> None:
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
    # What somebody removed is fetched again, what somebody added counts, and so do pictures that lost their manifest.
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


def test_a_host_is_asked_at_its_pace(site: PictureSite, tmp_path: Path) -> None:
    site.put("/r.jpg", b"", status=302, location="/0.jpg")
    source = listed(tmp_path, [f"{site.url}/r.jpg", *put_pictures(site, 4)[1:]])
    collect(source, tmp_path / "Ada", CrawlConfig(delay_s=0.2, threads=4))
    times = sorted(at for _, at in site.asked)
    assert len(times) == 5
    assert min(b - a for a, b in itertools.pairwise(times)) > 0.15


def test_a_site_is_walked_within_its_bounds(site: PictureSite, tmp_path: Path) -> None:
    put_pictures(site, 8)
    site.put("/robots.txt", "User-agent: *\nDisallow: /private/\n", kind="text/plain")
    site.put(
        "/people/ada/",
        """<meta property="og:image" content="/0.jpg"><img src="../../1.jpg"><img data-src="/2.jpg">
        <img srcset="/small.jpg 300w, /3.jpg 1200w"><a href="/4.jpg">large</a><a href="more.html#top">more</a>
        <a href="/private/secret.html">no</a><a rel="nofollow" href="/trap.html">no</a><a href="/film.mp4">no</a>
        <a href="http://elsewhere.invalid/far.html">no</a><a href="javascript:void(0)">no</a><a href="http://[bad">no</a>
        <img src="/private/7.jpg">""",
    )
    site.put("/people/ada/more.html", '<a href="/people/ada/">back</a><img src="/5.jpg"><img src="/gone.jpg">')
    report = collect(f"site:{site.url}/people/ada/", tmp_path / "Ada")
    assert {picture.source for picture in report.pictures} == {f"{site.url}/{i}.jpg" for i in range(6)}
    assert reasons(report) == {"gone.jpg": "answered 404 Not Found", "7.jpg": "the site's robots.txt excludes it"}
    assert site.paths().count("/people/ada/") == 1
    assert not {"/private/secret.html", "/private/7.jpg", "/trap.html", "/film.mp4", "/small.jpg"} & set(site.paths())
    few = collect(f"site:{site.url}/people/ada/", tmp_path / "few", CrawlConfig(delay_s=0, max_pages=1))
    assert few.fetched == 5


def test_a_site_whose_rules_fail_is_left_alone(site: PictureSite, tmp_path: Path) -> None:
    put_pictures(site, 1)
    site.put("/", '<img src="/0.jpg">')
    site.put("/robots.txt", b"", status=503)
    report = collect(f"site:{site.url}/", tmp_path / "Ada")
    assert report.error is not None
    assert "robots.txt" in report.error
    assert site.paths() == ["/robots.txt"]


def test_a_search_is_done_through_icrawlers_own_feeder_and_parser(
    site: PictureSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The site plays the proxy through which Baidu and the pictures are reached."""
    monkeypatch.setenv("http_proxy", site.url)
    monkeypatch.delenv("no_proxy", raising=False)
    addresses = [f"http://img{i}.test/{i}.jpg" for i in range(6)]
    for i, address in enumerate(addresses):
        site.put(address.removeprefix("http://"), encode(view(i)))
    site.put("image.baidu.com/search/acjson", baidu_page(addresses), kind="application/json")
    report = collect("baidu", tmp_path / "Ada", max_num=4)
    assert (report.fetched, report.error, report.note) == (4, None, None)
    assert {picture.source for picture in report.pictures} <= set(addresses)
    # A page that asks for proof of being human is no answer; what is there is kept.
    site.put("image.baidu.com/search/acjson", '{"antiFlag": 1}', kind="application/json")
    blocked = collect("baidu", tmp_path / "Ada", max_num=20)
    assert len(blocked.pictures) == 4
    assert blocked.error is not None
    assert "'Ada Lovelace'" in blocked.error
    assert "not understood" in blocked.error
    with pytest.raises(SourceError, match="baidu gave no usable picture"):
        blocked.check()


def read_results(kind: SourceKind, site: PictureSite, page: str) -> list[object]:
    """Return what icrawler's parser of an engine, with our care around it, finds on a page."""
    session = PoliteSession(QUICK, public_only=False, obey_robots=False)
    _, parser, _, _ = components(Source(kind), "Ada Lovelace", 20, None)
    with session:
        return list(parser(1, Signal(), session, run=None).tasks(session.get(site.put("/results", page))))


def test_pages_of_bing_and_google_are_read(site: PictureSite) -> None:
    rows = [{"murl": "https://a.test/1.jpg"}, {"murl": "https://a.test/2.png?w=9", "turl": "https://b.test/t.jpg"}]
    page = "".join(
        f'<div class="imgpt"><a class="iusc" m="{html.escape(json.dumps(row, separators=(",", ":")))}"></a></div>'
        for row in rows
    )
    assert read_results(SourceKind.BING, site, page) == [
        {"file_url": "https://a.test/1.jpg"},
        {"file_url": "https://a.test/2.png?w=9"},
    ]
    script = '<script>x</script><script>["https://a.test/1.jpg",300,200],["https://a.test/b\\u003d2.png",9]</script>'
    assert read_results(SourceKind.GOOGLE, site, script) == [
        {"file_url": "https://a.test/1.jpg"},
        {"file_url": "https://a.test/b=2.png"},
    ]
    assert read_results(SourceKind.GOOGLE, site, "<p>Turn on JavaScript</p>") == []
    with pytest.raises(FetchError, match="not understood"):
        read_results(SourceKind.BING, site, '<div class="imgpt"></div>')


def test_a_site_with_more_pages_than_icrawlers_queues_hold(site: PictureSite, tmp_path: Path) -> None:
    site.put("/", "".join(f'<a href="/page{i}.html">{i}</a>' for i in range(12)))
    for i, _ in enumerate(put_pictures(site, 12)):
        site.put(f"/page{i}.html", f'<img src="/{i}.jpg"><a href="/">home</a>')
    assert collect(f"site:{site.url}/", tmp_path / "Ada").fetched == 12


@pytest.mark.parametrize("engine", ["google", "bing", "baidu"])
def test_a_search_engine_that_is_not_reached_is_one_clear_error(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    report = collect(engine, tmp_path / "Ada")
    assert report.error is not None
    assert report.error.startswith(f"{engine} gave no usable picture of 'Ada Lovelace': ")
    assert "failed, the first being http" in report.error
    assert "Connection refused" in report.error
    assert "object at 0x" not in report.error


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("::ffff:127.0.0.1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1"])
def test_a_stranger_gets_nothing_from_this_network(site: PictureSite, tmp_path: Path, host: str) -> None:
    put_pictures(site, 1)
    address = site.url.replace("127.0.0.1", host) + "/0.jpg"
    report = collect(listed(tmp_path, [address]), tmp_path / "Ada", public_only=True)
    assert "no public address" in reasons(report)["0.jpg"]
    assert site.asked == []


def test_a_crawl_can_be_stopped_and_its_time_is_limited(site: PictureSite, tmp_path: Path) -> None:
    source = listed(tmp_path, put_pictures(site, 30))
    seen: list[str] = []
    begin = time.monotonic()
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
    assert 2 <= len(report.pictures) <= 4
    assert {picture.file for picture in report.pictures} == set(seen)
    late = collect(source, tmp_path / "late", CrawlConfig(delay_s=0.5, max_time_s=1.2))
    assert 1 <= late.fetched < 10
    assert "time of 1.2 s was up" in str(late.note)
    assert time.monotonic() - begin < 8


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
        begin = time.monotonic()
        report = collect(source, tmp_path / "Ada", CrawlConfig(max_time_s=1, read_timeout_s=0.5))
        assert time.monotonic() - begin < 4
    assert "time of 1 s was up" in str(report.error)


def test_an_error_of_a_thread_is_raised_where_the_crawl_was_called(site: PictureSite, tmp_path: Path) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        crawl(
            "A", parse_source(listed(tmp_path, put_pictures(site, 2))), tmp_path / "A", QUICK, LIMITS, on_picture=fail
        )


def test_a_folder_is_a_source_too(tmp_path: Path) -> None:
    people = tmp_path / "people"
    for name, number in (
        ("Ada Lovelace/1.png", 1),
        ("Ada Lovelace/old/2.JPG", 2),
        ("Grace_Hopper/3.jpg", 3),
        ("4.jpg", 4),
    ):
        file = people / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode(view(number), "PNG"))
    (people / "Ada Lovelace" / "small.png").write_bytes(encode(view(5, 100, 100), "PNG"))
    outside = tmp_path / "outside.png"
    outside.write_bytes(encode(view(6), "PNG"))
    (people / "Ada Lovelace" / "link.png").symlink_to(outside)
    report = collect(f"folder:{people}", tmp_path / "Ada")
    assert {Path(str(picture.source)).name for picture in report.pictures} == {"1.png", "2.JPG"}
    assert "100x100" in reasons(report)["small.png"]
    again = collect(f"folder:{people}", tmp_path / "Ada")
    assert (again.fetched, again.error, len(again.pictures)) == (0, None, 2)
    nobody = crawl("Nobody", parse_source(f"folder:{people}"), tmp_path / "N", QUICK, LIMITS)
    assert [str(picture.source)[-5:] for picture in nobody.pictures] == ["4.jpg"]
    with pytest.raises(InputError, match="no folder 'Nobody'"):
        crawl("Nobody", parse_source(f"folder:{people}"), tmp_path / "N", QUICK, LIMITS, alone=False)


@pytest.mark.parametrize("text", ["yahoo", "bing:cats", "urls:", "site:", "site:ftp://a/", "folder:", ""])
def test_sources_are_checked(text: str) -> None:
    with pytest.raises(InputError, match=repr(text) if text else "none of"):
        parse_source(text)


def test_lists_and_folders_that_are_not_there_are_named(tmp_path: Path) -> None:
    for source in (f"urls:{tmp_path}/none.txt", f"folder:{tmp_path}/none"):
        with pytest.raises(InputError, match="none"):
            collect(source, tmp_path / "Ada")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(InputError, match="no address"):
        collect(f"urls:{tmp_path}/empty.txt", tmp_path / "Ada")


def test_names_are_split_and_sources_are_each_persons_own() -> None:
    assert split_names(" Ada Lovelace;Grace Hopper; ;Ada_Lovelace") == ["Ada_Lovelace", "Grace_Hopper"]
    for bad in ("", " ; ", "../up", "a/b"):
        with pytest.raises(InputError):
            split_names(bad)
    shared = parse_source("urls:list.txt")
    shared.check_people(1)
    with pytest.raises(InputError, match="same pictures"):
        shared.check_people(2)
    own = parse_source("site:https://example.org/{name}/")
    own.check_people(2)
    assert own.of_person("Zoë_K").target == "https://example.org/Zo%C3%AB_K/"


def test_an_album_writes_pictures_before_it_lists_them(tmp_path: Path) -> None:
    album = Album(tmp_path, QUICK, LIMITS)
    data = encode(view(1))
    os.mkfifo(tmp_path / "fifo.txt")  # whatever else lies there is left alone
    picture = album.add(data, "http://a.test/1.jpg", most=5)
    assert picture is not None
    (tmp_path / "manifest.json").unlink()  # as if the process had ended between the two
    reopened = Album(tmp_path, QUICK, LIMITS)
    assert [(p.file, p.source) for p in reopened.pictures] == [(picture.file, None)]


def test_a_folders_pictures_are_taken_by_their_content_whatever_their_kind_and_name(tmp_path: Path) -> None:
    heic = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(view(1))).save(heic)
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, content in {
        "IMG_1.HEIC": heic.getvalue(),
        "scan": encode(view(2), "JPEG2000"),
        "photo.jfif": encode(view(3)),
        "notes.txt": b"no picture",
    }.items():
        (folder / name).write_bytes(content)
    report = collect(f"folder:{folder}", tmp_path / "A")
    assert sorted(Path(picture.file).suffix for picture in report.pictures) == [".heic", ".jp2", ".jpg"]
    again = collect(f"folder:{folder}", tmp_path / "A")
    assert (len(again.pictures), again.fetched) == (3, 0)

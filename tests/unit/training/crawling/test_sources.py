"""Where pictures come from: sites, search engines, folders and lists."""

from __future__ import annotations

import html
import io
import json
from pathlib import Path

import pillow_heif
import pytest
from icrawler.utils import Signal
from PIL import Image

from facerec_models.errors import InputError, SourceError
from tests.picture_site import PictureSite, baidu_page
from tests.unit.training.crawling.collect import LIMITS, QUICK, collect, encode, put_pictures, reasons, view
from training.crawling.bounds import CrawlConfig
from training.crawling.crawl import crawl, split_names
from training.crawling.engine import components
from training.crawling.session import FetchError, PoliteSession
from training.crawling.sources import Source, SourceKind, parse_source


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

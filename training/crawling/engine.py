"""icrawler's threads at work on one person, within bounds and with a reason for every picture that is dropped.

What icrawler 0.6.10 does by itself, and why its classes are extended here:

- ``Crawler`` calls ``logging.basicConfig``; handlers are for entry points.
- Its queues hold five entries, and an entry that finds one full is lost, since the second attempt to put it takes it for a
  duplicate (``CachedQueue.put``): with a polite downloader that would be most pictures.
- ``Parser.worker_exec`` logs and forgets every error and ignores the status of pages. ``GoogleParser`` returns None for a page
  without pictures, on which the thread dies (hellock/icrawler#135, open since 2025); Bing's and Baidu's fail alike.
- ``GreedyFeeder`` waits for a number of pictures that a small site never reaches (hellock/icrawler#133).
- ``Downloader.download`` reads answers of any size, for any time, and logs and forgets every error. Its ``worker_exec`` ends
  early when a page is slow and something was fetched, unless ``fetched_num`` stays 0, as it does here.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from icrawler import Crawler, Feeder, ImageDownloader, Parser, UrlListFeeder
from icrawler.builtin import BaiduParser, BingParser, GoogleFeeder, GoogleParser, PseudoParser
from icrawler.builtin.baidu import BaiduFeeder
from icrawler.builtin.bing import BingFeeder
from requests import Response

from training.crawling.album import Album, AlbumPicture, PictureDroppedError
from training.crawling.bounds import CrawlConfig
from training.crawling.session import FetchError, PoliteSession
from training.crawling.sources import Source, SourceKind, find_pictures_and_pages, read_addresses

logger = logging.getLogger(__name__)

Task = dict[str, str] | str

_POLL_S = 0.2
# Pictures waiting for their download while the next page is read.
_AHEAD = 4
# A source that failed so often before it showed a single page is given up.
_HOPELESS = 2
# The engines give no more (icrawler's builtin crawlers warn of it).
_MOST_RESULTS = 1000
_RESULTS_PER_PICTURE = 5


class Run:
    """What the threads of one crawl share: bounds, the album, and what became of each page and picture."""

    def __init__(
        self,
        album: Album,
        session: PoliteSession,
        config: CrawlConfig,
        most: int,
        on_picture: Callable[[AlbumPicture], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self.most = most
        self.there = 0
        self.dropped: list[tuple[str, str]] = []
        self.pages = 0
        self.page_errors: list[str] = []
        self.broken: Exception | None = None
        self.late = False
        self.stopped = False
        self._album = album
        self._session = session
        self._config = config
        self._on_picture = on_picture
        self._should_stop = should_stop
        self._deadline = time.monotonic() + config.max_time_s
        self._lock = threading.Lock()
        self._closed = False

    def is_over(self) -> bool:
        """Whether to end: there are enough pictures, the time is up, it was stopped, or a thread is broken."""
        self.late = self.late or time.monotonic() > self._deadline
        self.stopped = self.stopped or self._should_stop()
        return len(self._album) >= self.most or self.late or self.stopped or self.broken is not None

    def close(self) -> None:
        """Take no picture any more, whatever threads still bring."""
        with self._lock:
            self._closed = True
        self._session.stop()

    def read_page(self, url: str, parse: Callable[[Response], Iterable[Task]]) -> list[Task]:
        """Fetch a page and return what is on it; nothing if it fails, which is noted."""
        hopeless = not self.pages and len(self.page_errors) >= _HOPELESS
        if hopeless or self.pages + len(self.page_errors) >= self._config.max_pages:
            return []
        try:
            found = list(parse(self._session.get(url)))
        except FetchError as error:
            self.page_errors.append(f"{url}: {error}")
            return []
        self.pages += 1
        return found

    def take_from(self, url: str) -> None:
        """Fetch a picture and keep it, unless it is there already or no good."""
        if self._album.has(url):
            self.there += 1
        elif (reason := self._album.why_dropped(url)) is not None:
            self._drop(url, reason)
        elif not self.is_over():
            try:
                data = self._session.get(url).content
            except FetchError as error:
                self._drop(url, str(error), keep=error.final)
            else:
                self.take(data, url)

    def take(self, data: bytes, source: str) -> None:
        """Keep a picture, unless it is no good."""
        try:
            with self._lock:
                picture = None if self._closed else self._album.add(data, source, most=self.most)
        except PictureDroppedError as error:
            self._drop(source, str(error), error.twin, keep=True)
        else:
            if picture is not None:
                self._on_picture(picture)

    def guard(self, work: Callable[[], None]) -> None:
        """Do some work of a thread; what goes wrong unforeseen ends the crawl, and is raised by its caller."""
        try:
            work()
        except Exception as error:  # raised again in the caller's thread
            self.broken = error

    def _drop(self, source: str, reason: str, twin: str | None = None, *, keep: bool = False) -> None:
        """Note why a picture was dropped; `keep` remembers it for the next crawl."""
        with self._lock:
            if self._closed:
                return
            logger.debug("dropped %s: %s", source, reason)
            self.dropped.append((source, reason))
            if keep:
                self._album.drop(source, reason, twin)


class _PageParser(Parser):  # type: ignore[misc]
    """Reads pages one at a time, the next when nearly all pictures of the last are fetched."""

    def __init__(self, *args: Any, run: Run, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._run = run

    def worker_exec(self, **_: Any) -> None:
        """Read pages until there are none, or the crawl ends."""
        self._run.guard(self._read_pages)

    def tasks(self, response: Response) -> Iterable[Task]:
        """Return what is on a page: the addresses of pictures, as tasks, and of further pages."""
        # What icrawler's parsers raise on pages that are not what they expect, such as a request to prove that one is human.
        try:
            found = list(self.parse(response) or ())
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise FetchError(f"not understood ({type(error).__name__}: {error})") from error
        # Bing's pattern runs on to the next ".jpg" from addresses that end otherwise.
        return [{"file_url": task["file_url"].partition('"')[0]} for task in found]

    def _read_pages(self) -> None:
        while not self.signal.get("reach_max_num"):
            if self.out_queue.qsize() > _AHEAD:
                time.sleep(_POLL_S)
                continue
            try:
                url = self.in_queue.get(timeout=_POLL_S)
            except queue.Empty:
                if self.signal.get("feeder_exited"):
                    return
                continue
            for task in self._run.read_page(url, self.tasks):
                (self.in_queue if isinstance(task, str) else self.out_queue).put(task)


class _GooglePages(_PageParser, GoogleParser):  # type: ignore[misc]
    pass


class _BingPages(_PageParser, BingParser):  # type: ignore[misc]
    pass


class _BaiduPages(_PageParser, BaiduParser):  # type: ignore[misc]
    pass


class _SitePages(_PageParser):
    def __init__(self, *args: Any, site: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._site = site

    def tasks(self, response: Response) -> Iterator[Task]:
        return find_pictures_and_pages(response, self._site)


class _SiteFeeder(Feeder):  # type: ignore[misc]
    def feed(self, site: str) -> None:
        self.output(site)


class _PictureDownloader(ImageDownloader):  # type: ignore[misc]
    def __init__(self, *args: Any, run: Run, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._run = run

    def download(self, task: dict[str, Any], default_ext: str, *_: Any, **__: Any) -> None:
        """Fetch a picture into the album."""
        self._run.guard(lambda: self._run.take_from(task["file_url"]))

    def is_alive(self) -> bool:
        """Whether the crawl goes on. A thread that a server holds up beyond the end is left behind; it is a daemon."""
        return bool(super().is_alive()) and not self._run.is_over()


class PictureCrawler(Crawler):  # type: ignore[misc]
    """icrawler's crawler for one person and source, with the session, the queues and the ending changed."""

    def __init__(self, run: Run, session: PoliteSession, config: CrawlConfig, source: Source, keyword: str) -> None:
        self._run, self._session = run, session
        feeder, parser, self._feed, parser_arguments = components(source, keyword, run.most, run)
        super().__init__(
            feeder,
            parser,
            _PictureDownloader,
            downloader_threads=config.threads,
            extra_parser_args=parser_arguments,
            extra_downloader_args={"run": run},
        )
        for component in (self.feeder, self.parser):
            component.out_queue.maxsize = 0

    def set_logger(self, log_level: int = logging.INFO) -> None:
        """Log to where the process logs."""
        self.logger = logger

    def set_session(self, headers: dict[str, str] | None = None) -> None:
        """Use the polite session."""
        self.session = self._session

    def fetch(self) -> None:
        """Crawl until there are enough pictures, none is left, or the run is over."""
        try:
            self.crawl(self._feed, {"queue_timeout": _POLL_S}, {"max_num": 0, "queue_timeout": _POLL_S})
        finally:
            self.signal.set(reach_max_num=True)
            self._run.close()
        if self._run.broken is not None:
            raise self._run.broken


def components(
    source: Source, keyword: str, most: int, run: Run | None
) -> tuple[type, type, dict[str, Any], dict[str, Any]]:
    """Return icrawler's feeder and parser for a source, and what to start the one and make the other with.

    Raises
    ------
    InputError
        If a list of addresses cannot be read.
    """
    search = {"offset": 0, "max_num": min(_MOST_RESULTS, max(100, _RESULTS_PER_PICTURE * most))}
    match source.kind:
        case SourceKind.GOOGLE:
            return GoogleFeeder, _GooglePages, {"keyword": keyword, "filters": {"type": "face"}, **search}, {"run": run}
        case SourceKind.BING:  # puts the keyword into the address as it is, and so does Baidu's
            filters = {"type": "photo", "people": "face"}
            return BingFeeder, _BingPages, {"keyword": quote(keyword), "filters": filters, **search}, {"run": run}
        case SourceKind.BAIDU:
            filters = {"type": "face"}
            return BaiduFeeder, _BaiduPages, {"keyword": quote(keyword), "filters": filters, **search}, {"run": run}
        case SourceKind.SITE:
            return _SiteFeeder, _SitePages, {"site": source.target}, {"run": run, "site": source.target}
        case SourceKind.URLS:
            return UrlListFeeder, PseudoParser, {"url_list": read_addresses(Path(source.target))}, {}
        case SourceKind.FOLDER:
            raise ValueError("a folder is not crawled")

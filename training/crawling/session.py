"""Fetch over HTTP: one request at a time to a host, within bounds, and to public addresses alone where asked for."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit
from urllib.robotparser import RobotFileParser

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as HTTPTimeoutError

from facerec_models.public_connections import PublicConnection, PublicTlsConnection
from training.crawling.bounds import CrawlConfig

ROBOT = "FaceRec"

_CHUNK_BYTES = 1 << 16
# Asking again later may help with these; the other refusals are final.
_PASSING = {408, 425, 429}


class FetchError(Exception):
    """An address gave no usable answer.

    Parameters
    ----------
    final : bool
        Whether asking again later is pointless.
    """

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class PoliteSession(requests.Session):
    """A session for icrawler's threads, in place of its own, whose pool of proxies knows no scheme but HTTP's.

    Parameters
    ----------
    public_only : bool
        Refuse addresses of this machine and of private networks, whatever name or redirect leads there. The proxy of the
        environment is then not used, since the check would see its address only.
    obey_robots : bool
        Ask for each site's ``robots.txt`` and keep to it.
    """

    def __init__(self, config: CrawlConfig, *, public_only: bool, obey_robots: bool) -> None:
        super().__init__()
        self._config = config
        self._stopped = threading.Event()
        self._obey_robots = obey_robots
        self._robots: dict[str, RobotFileParser | FetchError] = {}
        self._robots_lock = threading.Lock()
        self.turns = Turns(config.delay_s, self._stopped)
        self.headers["User-Agent"] = f"Mozilla/5.0 (compatible; {ROBOT}/{version('facerec')})"
        self.max_redirects = config.max_redirects
        self.trust_env = not public_only
        adapter = _PublicAdapter if public_only else _BoundedAdapter
        for scheme in ("http://", "https://"):
            self.mount(scheme, adapter(config, self.turns))

    def get(self, url: str, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        """Fetch an address; redirects are followed.

        Raises
        ------
        FetchError
            If there is no answer, it is too large or too slow, its status is not 200, or ``robots.txt`` excludes the address.
        """
        if self._obey_robots:
            self._check_robots(url)
        return self._fetch(url, **kwargs)

    def stop(self) -> None:
        """End all waiting; nothing is fetched any more."""
        self._stopped.set()

    def _fetch(self, url: str, **kwargs: Any) -> requests.Response:
        kwargs["timeout"] = (self._config.connect_timeout_s, self._config.read_timeout_s)
        try:
            response = super().get(url, **kwargs)
        except requests.TooManyRedirects as error:
            raise FetchError(f"more than {self._config.max_redirects} redirects", final=True) from error
        except (requests.Timeout, HTTPTimeoutError) as error:
            raise FetchError("no answer in time") from error
        except requests.ConnectionError as error:
            raise FetchError(_cause(error)) from error
        except (requests.RequestException, HTTPError) as error:
            raise FetchError(str(error)) from error
        except ValueError as error:  # what is no address at all: requests and urllib3 do not agree on a class
            raise FetchError(f"no address: {error}", final=True) from error
        if response.status_code != requests.codes.ok:
            final = 400 <= response.status_code < 500 and response.status_code not in _PASSING
            raise FetchError(f"answered {response.status_code} {response.reason}".rstrip(), final=final)
        return response

    def _check_robots(self, url: str) -> None:
        """Raise FetchError if the site excludes an address, or does not say: RFC 9309, 2.3.1.

        Without a file everything is allowed; without an answer nothing is.
        """
        parts = urlsplit(url)
        site = f"{parts.scheme}://{parts.netloc}"
        with self._robots_lock:
            if site not in self._robots:
                self._robots[site] = self._read_robots(site)
            rules = self._robots[site]
        if isinstance(rules, FetchError):
            raise FetchError(f"the site's robots.txt cannot be read: {rules}")
        if not rules.can_fetch(ROBOT, url):
            raise FetchError("the site's robots.txt excludes it")

    def _read_robots(self, site: str) -> RobotFileParser | FetchError:
        rules = RobotFileParser()
        try:
            rules.parse(self._fetch(f"{site}/robots.txt").text.splitlines())
        except FetchError as error:
            if not error.final:
                return error
            rules.parse([])
        delay = rules.crawl_delay(ROBOT)
        if delay is not None:
            self.turns.slow_down(urlsplit(site).netloc, float(delay))
        return rules


class Turns:
    """Who may ask a host when. May be shared by threads."""

    def __init__(self, delay_s: float, stopped: threading.Event) -> None:
        self._delay_s = delay_s
        self._stopped = stopped
        self._next: dict[str, float] = {}
        self._slower: dict[str, float] = {}
        self._lock = threading.Lock()

    def slow_down(self, host: str, delay_s: float) -> None:
        """Wait longer between requests to a host, as it wishes."""
        with self._lock:
            self._slower[host] = max(delay_s, self._delay_s)

    def wait(self, host: str) -> None:
        """Wait until it is the caller's turn; raise FetchError if the crawl ends before."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next.get(host, now))
            self._next[host] = turn + self._slower.get(host, self._delay_s)
        if self._stopped.wait(turn - now):
            raise FetchError("the crawl has ended")


class _BoundedAdapter(HTTPAdapter):
    """Sends one request, redirects being one each, and reads the whole answer within the bounds."""

    def __init__(self, config: CrawlConfig, turns: Turns) -> None:
        self._config = config
        self._turns = turns
        super().__init__()

    def send(
        self, request: requests.PreparedRequest, *args: Any, proxies: Mapping[str, str] | None = None, **kwargs: Any
    ) -> requests.Response:
        self._turns.wait(urlsplit(str(request.url)).netloc)
        deadline = time.monotonic() + self._config.answer_timeout_s
        response = super().send(request, *args, **{**kwargs, "stream": True, "proxies": proxies})
        try:
            body = self._read(response, deadline)
        finally:
            response.close()
        # requests reads the content from whatever file is here; it has no other way to hand over what was read already.
        response.raw = io.BytesIO(body)
        return response

    def _read(self, response: requests.Response, deadline: float) -> bytes:
        limit = self._config.max_answer_bytes
        announced = response.headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced) > limit:
            raise FetchError(f"larger than {limit} bytes: {announced}", final=True)
        body = bytearray()
        # read1 returns with what has come, so that a server that sends single bytes does not escape the clock.
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > limit:
                raise FetchError(f"larger than {limit} bytes", final=True)
            if time.monotonic() > deadline:
                raise FetchError(f"not complete after {self._config.answer_timeout_s:g} s")
        return bytes(body)


class _PublicPool(HTTPConnectionPool):
    ConnectionCls = PublicConnection


class _PublicTlsPool(HTTPSConnectionPool):
    ConnectionCls = PublicTlsConnection


class _PublicAdapter(_BoundedAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PublicPool, "https": _PublicTlsPool}


def _cause(error: requests.ConnectionError) -> str:
    """Say why there is no connection without the names of classes and objects around it."""
    inner: Any = error.args[0] if error.args else error
    text = str(getattr(inner, "reason", None) or inner)
    return text.partition("): ")[2] or text

"""Where pictures are fetched from: a search engine, a list of addresses, a site, a folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote, urldefrag, urljoin, urlsplit

from bs4 import BeautifulSoup
from requests import Response

from facerec_models.confinement.pictures import is_picture_apart
from facerec_models.errors import InputError

_SITE_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".jp2")
# Links to files of these kinds lead to no page.
_NO_PAGES = (".pdf", ".zip", ".gz", ".mp4", ".webm", ".mp3", ".css", ".js", ".json", ".xml", ".svg", ".ico", ".woff2")
_NAME = "{name}"


class SourceKind(StrEnum):
    """The kinds of sources, by the name that the command takes."""

    GOOGLE = "google"
    BING = "bing"
    BAIDU = "baidu"
    URLS = "urls"
    SITE = "site"
    FOLDER = "folder"


SEARCH_ENGINES = (SourceKind.GOOGLE, SourceKind.BING, SourceKind.BAIDU)


@dataclass(frozen=True, slots=True)
class Source:
    """A source of pictures. `target` is a file, an address or a folder; empty for a search engine."""

    kind: SourceKind
    target: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.target}" if self.target else self.kind.value

    @property
    def is_search(self) -> bool:
        """Whether the person's name is searched for."""
        return self.kind in SEARCH_ENGINES

    def of_person(self, person_id: str) -> Source:
        """Return the source with ``{name}`` in it replaced; in a site's address it is quoted."""
        name = quote(person_id) if self.kind is SourceKind.SITE else person_id
        return replace(self, target=self.target.replace(_NAME, name))

    def check_people(self, count: int) -> None:
        """Raise InputError if the source would give several people the same pictures."""
        if count > 1 and self.kind in (SourceKind.URLS, SourceKind.SITE) and _NAME not in self.target:
            raise InputError(
                f"source {str(self)!r} gives {count} people the same pictures: write {_NAME} where it has their name, "
                "as in urls:lists/{name}.txt, or crawl one person at a time"
            )


def parse_source(text: str) -> Source:
    """Read ``google``, ``bing``, ``baidu``, ``urls:FILE``, ``site:URL`` or ``folder:DIR``.

    Raises
    ------
    InputError
        If it is none of these.
    """
    kind, _, target = text.strip().partition(":")
    try:
        source = Source(SourceKind(kind), target.strip())
    except ValueError as error:
        raise InputError(
            f"source {text!r} is none of google, bing, baidu, urls:FILE, site:URL and folder:DIR"
        ) from error
    if source.is_search == bool(source.target):
        wanted = "stands alone" if source.is_search else f"needs what to read, as {kind}:WHERE"
        raise InputError(f"source {text!r}: {kind!r} {wanted}")
    if source.kind is SourceKind.SITE and not _is_web(source.target):
        raise InputError(f"source {text!r}: a site begins with http:// or https://")
    return source


def read_addresses(file: Path) -> list[str]:
    """Read a list of addresses, one a line; empty lines and those that begin with ``#`` do not count.

    Raises
    ------
    InputError
        If there is no such file, it is no text, or it has no address.
    """
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the list of addresses {str(file)!r} cannot be read: {error}") from error
    addresses = [line for line in lines if line and not line.startswith("#")]
    if not addresses:
        raise InputError(f"the list {str(file)!r} has no address: write one a line")
    return addresses


def list_folder(folder: Path, person_id: str, *, alone: bool) -> list[Path]:
    """List the pictures of a person: those in the subfolder of their name, else, if they are `alone`, all in the folder.

    Links that lead out of the folder are left out.

    Raises
    ------
    InputError
        If there is no such folder, or no picture for the person.
    """
    if not folder.is_dir():
        raise InputError(f"{str(folder)!r} is no folder: give one with pictures")
    own = next((path for name in (person_id, person_id.replace("_", " ")) if (path := folder / name).is_dir()), None)
    if own is None and not alone:
        raise InputError(f"{str(folder)!r} has no folder {person_id!r}: several people need one each")
    start, root = own or folder, folder.resolve()
    files = [
        path
        for path in sorted(start.rglob("*") if own else start.glob("*"))
        if path.is_file() and path.resolve().is_relative_to(root) and is_picture_apart(path)
    ]
    if not files:
        raise InputError(f"{str(start)!r} has no picture")
    return files


def find_pictures_and_pages(response: Response, site: str) -> Iterator[dict[str, str] | str]:
    """Find the pictures of a page, and the pages of the same site that it links to.

    icrawler's GreedyParser reads absolute addresses only, so that ``<img src="/a.jpg">`` is lost, joins links to the
    host instead of the page, and takes every address for the site's that contains its name anywhere.

    Yields
    ------
    dict or str
        ``{"file_url": address}`` of a picture; the address of a page.
    """
    if "html" not in response.headers.get("Content-Type", "html"):
        return
    soup = BeautifulSoup(response.content, "lxml")
    base = soup.find("base", href=True)
    root = urljoin(response.url, str(base["href"])) if base else response.url
    seen: set[str] = set()
    for address in _addresses(soup):
        try:
            full = urldefrag(urljoin(root, address.strip())).url
            path, same_site = urlsplit(full).path.lower(), _origin(full) == _origin(site)
        except ValueError:  # brackets that are no IPv6 address
            continue
        if full in seen or not _is_web(full):
            continue
        seen.add(full)
        if path.endswith(_SITE_PICTURES):
            yield {"file_url": full}
        elif same_site and not path.endswith(_NO_PAGES):
            yield full


def _addresses(soup: BeautifulSoup) -> Iterator[str]:
    for tag in soup.find_all("meta", property="og:image", content=True):
        yield str(tag["content"])
    for tag in soup.find_all(["img", "source"]):
        for attribute in ("src", "data-src"):
            if tag.get(attribute):
                yield str(tag[attribute])
        # "small.jpg 300w, large.jpg 1200w": the last one is the largest by custom.
        if tag.get("srcset"):
            yield str(tag["srcset"]).rpartition(", ")[2].partition(" ")[0]
    for tag in soup.find_all("a", href=True):
        if "nofollow" not in (tag.get("rel") or ()):
            yield str(tag["href"])


def _is_web(address: str) -> bool:
    return address.lower().startswith(("http://", "https://"))


def _origin(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc.lower()

"""Web addresses: taken apart in one way only, and shown without what nobody else may see."""

from __future__ import annotations

import re
from urllib.parse import unquote, unquote_plus, urljoin

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from facerec_models.errors import InputError
from facerec_models.names import file_name_of

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=:)")
# Parameters that open what is not public, as in signed addresses of buckets.
_SECRET = re.compile(
    r"signature|token|secret|passw|credential|auth(?!or)|api.?key|session|^(sig|sign|key|pwd|policy|key-pair-id)$",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"(?<=://)[^/?#]*@")
# A password with a slash in it ends the host too early.
_BROKEN_USERINFO = re.compile(r"(?<=://)[^/?#@]*:(?!\d*[/?#])[^@]*[/?#][^@]*@")


def scheme_of(address: str) -> str | None:
    """Return the scheme of an address with ``://`` or of ``file:``, in lower case; None for a path.

    Examples
    --------
    >>> scheme_of("HTTPS://example.org/a.mp4"), scheme_of("a:b.mp4"), scheme_of("/media/a.mp4")
    ('https', None, None)
    """
    found = _SCHEME.match(address)
    if found is None or not (address[found.end() :].startswith("://") or found[0].lower() == "file"):
        return None
    return found[0].lower()


def parse_address(address: str, *schemes: str) -> Url:
    """Take a web address apart; the host is in lower case, and the path and query are quoted.

    Raises
    ------
    InputError
        If it is of none of these schemes, has no host, or carries a name or a password, which the message does not repeat.

    Examples
    --------
    >>> parse_address("https://Example.org/a b.mp4", "http", "https").url
    'https://example.org/a%20b.mp4'
    >>> parse_address("https://ada:secret@example.org/a.mp4", "https")
    Traceback (most recent call last):
    facerec_models.errors.InputError: 'https://example.org/a.mp4' carries a name or password: leave it out; ...
    """
    if re.search(r"[\x00-\x20\x7f]", address.strip(" ").replace(" ", "")):
        raise InputError(f"{shown(address)!r} has control characters: write the address without them")
    try:
        url = parse_url(address.strip(" "))
    except (LocationParseError, ValueError) as error:
        raise InputError(f"{shown(address)!r} is no address that can be read: check it") from error
    if url.scheme not in schemes or not url.host:
        wanted = " or ".join(f"{scheme}://" for scheme in schemes)
        raise InputError(f"{shown(address)!r} is no {wanted} address of a host")
    if url.auth is not None:
        raise InputError(
            f"{shown(address)!r} carries a name or password: leave it out; addresses are kept and shown with results"
        )
    return url


def join(base: Url, location: str) -> str:
    """Return the address that a redirect or a document at `base` leads to."""
    return urljoin(base.url, location.strip(" "))


def shown(address: str) -> str:
    """Return an address as others may see it: without name and password, signatures and what else opens what is not public.

    Examples
    --------
    >>> shown("https://ada:secret@example.org/a.mp4?part=2&X-Amz-Signature=0f3c&token=x#t=1")
    'https://example.org/a.mp4?part=2#t=1'
    """
    before, mark, fragment = _BROKEN_USERINFO.sub("", _USERINFO.sub("", address)).partition("#")
    path, _, query = before.partition("?")
    kept = [part for part in query.split("&") if part and not _SECRET.search(unquote_plus(part.partition("=")[0]))]
    return path + ("?" + "&".join(kept) if kept else "") + mark + fragment


def name_in(address: str, default: str = "video") -> str:
    """Return the last part of an address' path: what the file is called.

    Examples
    --------
    >>> name_in("https://example.org/films/a%20b.mp4?x=1"), name_in("https://example.org/")
    ('a b.mp4', 'video')
    """
    path = re.split(r"[?#]", address.partition("://")[2], maxsplit=1)[0]
    return file_name_of(printable(unquote(path.partition("/")[2])), default)


def printable(text: str) -> str:
    r"""Return a text without what does not show: terminals and logs act on some of it.

    Examples
    --------
    >>> printable("a\x1b[31m.mp4")
    'a[31m.mp4'
    """
    return "".join(character for character in text if character.isprintable())

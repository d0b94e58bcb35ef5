"""Web addresses: taken apart in one way only, and shown without what nobody else may see."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlencode, urljoin

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from facerec_models.errors import InputError
from facerec_models.names import file_name_of

CONTROLS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Characters that no address has: they would be percent-encoded, or are halves of one."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=:)")
# Parameters that open what is not public, as in signed addresses of buckets and of content delivery networks.
_SECRET = re.compile(
    r"signature|token|ticket|secret|passw|credential|auth(?!or)|(api|access).?key|session|jwt|hmac|hdn(ea|tl|ts)"
    r"|^(sig|sign|key|code|pwd|policy|key-pair-id)$",
    re.IGNORECASE,
)
# In a query or fragment, and in a path (RFC 3986, 3.3); each with what stands before it.
_PARAMETER = re.compile(r"[&;]?([^&;]+)")
_PATH_PARAMETER = re.compile(r";([^;/]+)")
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


def parse_address(address: str, *schemes: str, secrets: Collection[str] = ()) -> Url:
    """Take a web address apart; the host is in lower case, and the path and query are quoted.

    Parameters
    ----------
    secrets : collection of str
        Texts that errors leave out.

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
    where = shown(address, secrets)
    if CONTROLS.search(address):
        raise InputError(f"{where!r} has control characters: write the address without them")
    try:
        url = parse_url(address.strip(" "))
    except (LocationParseError, ValueError) as error:
        raise InputError(f"{where!r} is no address that can be read: check it") from error
    if url.scheme not in schemes or not url.host:
        wanted = " or ".join(f"{scheme}://" for scheme in schemes)
        raise InputError(f"{where!r} is no {wanted} address of a host")
    if url.auth is not None:
        raise InputError(
            f"{where!r} carries a name or password: leave it out; addresses are kept and shown with results"
        )
    return url


def join(base: Url, location: str) -> str:
    """Return the address that a redirect or a document at `base` leads to."""
    return urljoin(base.url, location.strip(" "))


def shown(address: str, secrets: Collection[str] = ()) -> str:
    """Return an address as others may see it: without name and password, signatures and what else opens what is not public.

    Parameters
    ----------
    secrets : collection of str
        Texts that are taken out wherever they are.

    Examples
    --------
    >>> shown("https://ada:secret@example.org/a.mp4?part=2&X-Amz-Signature=0f3c&token=x#t=1")
    'https://example.org/a.mp4?part=2#t=1'
    >>> shown("https://example.org/for/0f3c/a.mp4?t=0f3c", secrets=["0f3c"])
    'https://example.org/for//a.mp4?t='
    """
    before, _, fragment = _BROKEN_USERINFO.sub("", _USERINFO.sub("", address)).partition("#")
    path, _, query = before.partition("?")
    if scheme_of(path) not in (None, "file"):
        path = _PATH_PARAMETER.sub(lambda found: "" if _opens(found[1]) else found[0], path)
    text = path + _kept("?", query) + _kept("#", fragment)
    for secret in secrets:
        for written in (secret, quote(secret, safe=""), quote(secret), quote_plus(secret)):
            text = text.replace(written, "")
    return text


def _kept(mark: str, parameters: str) -> str:
    """Return the parameters that open nothing, after their mark; nothing if there are none."""
    kept = "".join(found[0] for found in _PARAMETER.finditer(parameters) if not _opens(found[1])).lstrip("&;")
    return mark + kept if kept else ""


def _opens(parameter: str) -> bool:
    name, mark, _ = parameter.partition("=")
    return mark != "" and _SECRET.search(unquote_plus(name)) is not None


def with_parameters(address: str, parameters: Mapping[str, str]) -> str:
    """Return an address with these parameters after those that it has.

    Examples
    --------
    >>> with_parameters("https://example.org/a.mp4?part=2#t=1", {"ticket": "a b"})
    'https://example.org/a.mp4?part=2&ticket=a+b#t=1'
    """
    if not parameters:
        return address
    before, mark, fragment = address.partition("#")
    return before + ("&" if "?" in before else "?") + urlencode(parameters) + mark + fragment


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

"""One question to a web server: guarded at every redirect, bounded in time and size."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version

from urllib3.exceptions import HTTPError
from urllib3.util import Url

from facerec_models.errors import InputError, SourceError
from facerec_models.names import number_of
from facerec_models.public_connections import NotPublicError, PublicConnection, PublicTlsConnection
from serving.sources.addresses import join, parse_address, printable, shown, with_parameters
from serving.sources.config import SourcesConfig
from serving.sources.watch import Watch

_SCHEMES = ("http", "https")
_WITH_CONTENT = {200, 206}
_REDIRECTS = {301, 302, 303, 307, 308}
_CHUNK_BYTES = 1 << 18
# So long a server may take to close a connection whose body is over; what comes meanwhile was not announced.
_GOODBYE_S = 1.0
# Of what a server says, errors repeat so much.
_LONGEST_REASON = 100
_AGENT = f"FaceRec/{version('facerec')}"


class PassingError(SourceError):
    """A failure that asking again may mend."""


@dataclass(slots=True)
class Answer:
    """What a server answers; the body is read as it comes.

    Parameters
    ----------
    url : Url
        Where it is from, after all redirects.
    shown : str
        What errors call that.
    status : int
    headers : Message
    length : int or None
        Announced bytes of the body.
    """

    url: Url
    shown: str
    status: int
    headers: http.client.HTTPMessage
    length: int | None
    _raw: http.client.HTTPResponse
    _socket: socket.socket
    _watch: Watch

    def header(self, name: str) -> str:
        """Return a header; empty if there is none."""
        return (self.headers.get(name) or "").strip()

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes, and nothing past the announced length.

        Raises
        ------
        PassingError
            If it ends before its announced end.
        SourceError
            If it goes on after that, or the time is up.
        """
        missing = self.length
        while missing is None or missing > 0:
            chunk = self._read(_CHUNK_BYTES)
            if not chunk:
                break
            self._watch.count(len(chunk))
            if missing is not None and len(chunk) > missing:
                raise self._too_long()
            missing = None if missing is None else missing - len(chunk)
            yield chunk
        if missing:
            raise PassingError(f"{self.shown!r} ended {missing} bytes early: try again later")
        if missing == 0:
            self._expect_end()

    def _read(self, size: int) -> bytes:
        try:
            chunk = self._raw.read1(size)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._watch.check()
            raise PassingError(f"{self.shown!r} broke off ({_reason(error)}): try again later") from error
        if not chunk:
            self._watch.check()
        return chunk

    def _expect_end(self) -> None:
        self._socket.settimeout(_GOODBYE_S)
        try:
            surplus = self._raw.read1(1)
        except (OSError, http.client.HTTPException):  # it stays open, or was reset: all that was announced is here
            return
        if surplus:
            raise self._too_long()

    def _too_long(self) -> SourceError:
        return SourceError(
            f"{self.shown!r} sent more than the {self.length} bytes that it announced: its server is at fault, fetch the "
            "video by other means"
        )


@contextmanager
def ask(
    address: str,
    config: SourcesConfig,
    watch: Watch,
    headers: Mapping[str, str] | None = None,
    *,
    hidden: Mapping[str, str] | None = None,
    form: bytes | None = None,
) -> Iterator[Answer]:
    """Ask for an address and follow redirects; the connection ends with the block.

    Where `SourcesConfig.max_redirects` is 0, a redirect is an answer like others.

    Each address is checked anew, those of redirects too: http or https, no name and no password, a host that is public or allowed.
    The connection is made to the IP address that was checked. No proxy is used, since it would resolve names again.

    Parameters
    ----------
    hidden : mapping of str to str, optional
        Parameters that are sent with the address; no error shows them, wherever a redirect repeats them.
    form : bytes, optional
        An encoded form, which is sent by POST, and again after redirects.

    Raises
    ------
    InputError
        If the address, or one that it leads to, is not allowed.
    SourceError
        If there is no usable answer; a `PassingError` if asking again may help.
    """
    hidden = hidden or {}
    parse_address(address, *_SCHEMES)
    url = parse_address(with_parameters(address, hidden), *_SCHEMES)
    for _ in range(config.max_redirects + 1):
        where = shown(url.url, hidden.values())
        with (
            _connected(url, where, config, watch) as connection,
            _exchange(url, where, connection, config, watch, headers or {}, form) as answer,
        ):
            if answer.status not in _REDIRECTS or not answer.header("Location") or not config.max_redirects:
                yield answer
                return
        url = _redirected(url, where, answer.header("Location"), config, hidden.values())
    raise SourceError(
        f"{shown(address)!r} leads through more than {config.max_redirects} redirects: give the address of the file itself"
    )


def check_status(answer: Answer) -> None:
    """Raise SourceError unless the answer brings the file, or a part of it."""
    if answer.status not in _WITH_CONTENT:
        text = f"{answer.shown!r} answered {answer.status} {http.client.responses.get(answer.status, '')}".rstrip()
        if answer.status in (408, 425, 429) or answer.status >= 500:
            raise PassingError(f"{text}: try again later")
        raise SourceError(f"{text}: check the address, and whether anybody may fetch it")


@contextmanager
def _connected(url: Url, where: str, config: SourcesConfig, watch: Watch) -> Iterator[PublicConnection]:
    kind = PublicTlsConnection if url.scheme == "https" else PublicConnection
    host = (url.host or "").strip("[]")
    connection = kind(
        host,
        # Where none is given, http.client looks for one in the host, and takes the end of an IPv6 address for it.
        kind.default_port if url.port is None else url.port,
        timeout=config.connect_timeout_s,
        private_hosts=config.private_hosts,
        on_socket=watch.connected,
    )
    watch.check()
    try:
        try:
            connection.connect()
        except NotPublicError as error:
            raise InputError(
                f"{where!r} leads to this machine or a private network ({_reason(error)}): only hosts that "
                "FACEREC_SOURCES__PRIVATE_HOSTS names may"
            ) from error
        except ssl.SSLCertVerificationError as error:
            raise SourceError(
                f"{where!r}: the certificate of its server cannot be verified ({_reason(error)}): have it renewed, or let "
                "SSL_CERT_FILE name the authority that signed it"
            ) from error
        except (HTTPError, OSError, UnicodeError) as error:
            watch.check()
            raise PassingError(f"{where!r} cannot be reached ({_reason(error)}): try again later") from error
        yield connection
    finally:
        watch.disconnect()
        connection.close()


@contextmanager
def _exchange(
    url: Url,
    where: str,
    connection: PublicConnection,
    config: SourcesConfig,
    watch: Watch,
    headers: Mapping[str, str],
    form: bytes | None,
) -> Iterator[Answer]:
    own = {"User-Agent": _AGENT, "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
    if form is not None:
        own["Content-Type"] = "application/x-www-form-urlencoded"
    connected = connection.sock
    connected.settimeout(config.read_timeout_s)
    try:
        # Both of the standard library, below urllib3's: there a body would end where it is announced to end, and not where it ends.
        method = "GET" if form is None else "POST"
        http.client.HTTPConnection.request(connection, method, url.request_uri, form, {**own, **headers})
        raw = http.client.HTTPConnection.getresponse(connection)
    except (HTTPError, OSError, http.client.HTTPException) as error:
        watch.check()
        raise PassingError(f"{where!r} gave no answer ({_reason(error)}): try again later") from error
    with closing(raw):
        watch.header_came()
        size = sum(len(name) + len(value) + 4 for name, value in raw.headers.items())
        if size > config.max_header_bytes:
            raise SourceError(
                f"{where!r} answered with a header of {size} bytes: raise FACEREC_SOURCES__MAX_HEADER_BYTES if that is right"
            )
        yield Answer(url, where, raw.status, raw.headers, _announced(where, raw), raw, connected, watch)


def _announced(where: str, raw: http.client.HTTPResponse) -> int | None:
    """Return the announced length, and let the body be read until the server ends it; of other answers the body is not read."""
    if raw.status not in _WITH_CONTENT:
        return None
    encodings = [
        raw.headers.get("Content-Encoding", ""),
        "" if raw.chunked else raw.headers.get("Transfer-Encoding", ""),
    ]
    for encoding in encodings:
        if encoding.strip().lower() not in ("", "identity"):
            raise SourceError(
                f"{where!r} is sent compressed ({_cut(encoding)}) though that was not asked for: fetch the video by other means"
            )
    if raw.chunked:
        return None
    lengths = {text.strip() for text in raw.headers.get_all("Content-Length", [])}
    if not lengths:
        return None
    length = number_of(lengths.pop())
    if lengths or length is None:
        raise SourceError(f"{where!r} does not say clearly how long it is: its server is at fault")
    raw.length = None
    return length


def _redirected(url: Url, where: str, location: str, config: SourcesConfig, secrets: Collection[str]) -> Url:
    found = parse_address(join(url, location), *_SCHEMES, secrets=secrets)
    if url.scheme == "https" and found.scheme != "https" and not config.downgrade:
        raise InputError(
            f"{where!r} leads from https:// to {shown(found.url, secrets)!r}: give that address if you trust the way there, or set "
            "FACEREC_SOURCES__DOWNGRADE"
        )
    return found


def _reason(error: BaseException) -> str:
    """Say why without the names of classes and objects around it, in one line."""
    text = str(error)
    text = text.partition("): ")[2] or text.partition(">: ")[2] or text or type(error).__name__
    return _cut(text)


def _cut(text: str) -> str:
    return printable(" ".join(text.split()))[:_LONGEST_REASON]

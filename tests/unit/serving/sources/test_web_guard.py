"""Web addresses lead to public hosts, or to those that the settings name; whatever a name resolves to, and a redirect says."""

from __future__ import annotations

import datetime
import ipaddress
import json
import logging
import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from facerec_models.errors import InputError, SourceError
from serving.sources.registry import resolve
from tests.unit.serving.sources.web import (
    FILM,
    Request,
    Server,
    brings,
    context,
    full_socket,
    in_turn,
    redirects,
    sends,
    serving,
)

PUBLIC = "93.184.216.34"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """Names that resolve to these addresses; each resolution takes the next list, and the last one stays."""
    known: dict[str, list[list[str]]] = {}
    ask: Callable[..., Any] = socket.getaddrinfo

    def resolve_name(host: str, *args: Any, **kwargs: Any) -> list[Any]:
        if host not in known:
            return list(ask(host, *args, **kwargs))
        addresses = known[host].pop(0) if len(known[host]) > 1 else known[host][0]
        return [entry for address in addresses for entry in ask(address, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve_name)
    return known


def at(web: Server, host: str, path: str = "/inside.mp4") -> str:
    """Return an address of the server under another name of this machine."""
    return web.url.replace("127.0.0.1", host) + path


@pytest.mark.parametrize("host", ["[::1]", "[::ffff:127.0.0.1]", "[fd00::1]", "[2002:7f00:1::abcd]"])
def test_ipv6_addresses_without_a_port_are_refused_as_others_are(web: Server, tmp_path: Path, host: str) -> None:
    for address in (f"http://{host}/", f"https://{host}/", web.put("/a.mp4", redirects(f"http://{host}/"))):
        with pytest.raises(InputError, match="FACEREC_SOURCES__PRIVATE_HOSTS"):
            resolve(address, context(tmp_path))


def test_an_allowed_ipv6_address_without_a_port_is_asked(tmp_path: Path) -> None:
    # The machine may have no IPv6, and nobody need listen there: both are failures to connect.
    with pytest.raises(SourceError, match="cannot be reached"):
        resolve("https://[::1]/a.mp4", context(tmp_path, private_hosts="::1", max_attempts=1))


INSIDE = ["localhost", "127.0.0.2", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1"]


@pytest.mark.parametrize("host", INSIDE)
def test_private_hosts_are_refused(web: Server, tmp_path: Path, host: str) -> None:
    web.put("/inside.mp4", brings(FILM))
    with pytest.raises(InputError, match="FACEREC_SOURCES__PRIVATE_HOSTS"):
        resolve(at(web, host), context(tmp_path))
    assert web.requests == []


@pytest.mark.parametrize("host", INSIDE)
def test_redirects_to_private_hosts_are_refused(web: Server, tmp_path: Path, host: str) -> None:
    web.put("/inside.mp4", brings(FILM))
    address = web.put("/a.mp4", redirects(at(web, host)))
    with pytest.raises(InputError, match="FACEREC_SOURCES__PRIVATE_HOSTS"):
        resolve(address, context(tmp_path))
    assert web.asked("/inside.mp4") == []


def test_a_refusal_does_not_tell_where_a_name_leads(web: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        resolve(at(web, "localhost"), context(tmp_path))
    assert "localhost" in str(refused.value)
    assert not re.search(r"127\.0\.0\.1|::1", str(refused.value))


def test_a_wait_that_was_too_long_does_not_tell_where_a_name_leads(
    tmp_path: Path, names: dict[str, list[list[str]]]
) -> None:
    names["media.test"] = [["127.0.0.1"]]
    with full_socket() as port, pytest.raises(SourceError, match="too long") as failed:
        resolve(
            f"http://media.test:{port}/a.mp4",
            context(tmp_path, private_hosts="media.test", connect_timeout_s=0.2, max_attempts=1),
        )
    assert "127.0.0.1" not in str(failed.value)


@pytest.mark.parametrize("answer", [b"SSH-2.0-\x1b[31mred" + b"x" * 5000 + b"\r\n", b"\x1b]0;title\x07\r\n\r\n"])
def test_what_another_protocol_says_is_cut_and_printable_in_an_error(
    web: Server, tmp_path: Path, answer: bytes
) -> None:
    with pytest.raises(SourceError) as failed:
        resolve(web.put("/a.mp4", sends(answer)), context(tmp_path, max_attempts=1))
    assert str(failed.value).isprintable()
    assert len(str(failed.value)) < 250


def test_redirects_are_followed_to_hosts_that_are_allowed(web: Server, tmp_path: Path) -> None:
    web.put("/films/b.mp4", brings(FILM))
    web.put("/b", redirects("films/b.mp4", "307 Temporary Redirect"))
    found = resolve(web.put("/a", redirects("/b", "301 Moved Permanently")), context(tmp_path))
    assert found.file.read_bytes() == FILM
    assert (found.uri, found.file.suffix) == (f"{web.url}/a", ".mp4")


@pytest.mark.parametrize("host", ["MEDIA.test", "media.test."])
def test_an_allowed_name_may_be_written_otherwise(
    web: Server, tmp_path: Path, names: dict[str, list[list[str]]], host: str
) -> None:
    names["media.test"] = names["media.test."] = [["127.0.0.1"]]
    web.put("/inside.mp4", brings(FILM))
    assert resolve(at(web, host), context(tmp_path, private_hosts="Media.Test")).file.read_bytes() == FILM


def test_an_allowed_address_does_not_allow_names_that_lead_there(
    web: Server, tmp_path: Path, names: dict[str, list[list[str]]]
) -> None:
    names["media.test"] = [["127.0.0.1"]]
    web.put("/inside.mp4", brings(FILM))
    with pytest.raises(InputError, match=r"'media\.test' is of no public address") as refused:
        resolve(at(web, "media.test"), context(tmp_path, private_hosts="127.0.0.1"))
    assert "127.0.0.1" not in str(refused.value)
    assert web.requests == []
    assert resolve(at(web, "media.test"), context(tmp_path, private_hosts="media.test")).file.read_bytes() == FILM
    assert web.requests[0].headers["host"].startswith("media.test:")


def test_a_name_that_resolves_otherwise_the_second_time_is_not_followed(
    web: Server, tmp_path: Path, names: dict[str, list[list[str]]]
) -> None:
    names["rebind.test"] = [[PUBLIC], ["127.0.0.1"]]
    web.put("/inside.mp4", brings(FILM))
    with pytest.raises(SourceError, match="cannot be reached"):
        resolve(at(web, "rebind.test"), context(tmp_path, connect_timeout_s=0.3, max_attempts=1))
    assert web.requests == []


def test_each_connection_checks_the_name_again(web: Server, tmp_path: Path, names: dict[str, list[list[str]]]) -> None:
    names["rebind.test"] = [[PUBLIC], ["127.0.0.1"]]
    web.put("/inside.mp4", brings(FILM))
    with pytest.raises(InputError, match="FACEREC_SOURCES__PRIVATE_HOSTS"):
        resolve(at(web, "rebind.test"), context(tmp_path, connect_timeout_s=0.3, max_attempts=2))
    assert web.requests == []


def test_all_addresses_of_a_name_must_be_public(web: Server, tmp_path: Path, names: dict[str, list[list[str]]]) -> None:
    names["half.test"] = [[PUBLIC, "127.0.0.1"]]
    web.put("/inside.mp4", brings(FILM))
    with pytest.raises(InputError, match="FACEREC_SOURCES__PRIVATE_HOSTS"):
        resolve(at(web, "half.test"), context(tmp_path, connect_timeout_s=0.3))
    assert web.requests == []


def test_the_next_address_of_a_name_is_tried(web: Server, tmp_path: Path, names: dict[str, list[list[str]]]) -> None:
    names["media.test"] = [["127.0.0.2", "127.0.0.1"]]  # the server listens at the second one alone
    web.put("/inside.mp4", brings(FILM))
    assert resolve(at(web, "media.test"), context(tmp_path, private_hosts="media.test")).file.read_bytes() == FILM


def test_a_name_with_many_addresses_does_not_multiply_the_wait(
    web: Server, tmp_path: Path, names: dict[str, list[list[str]]]
) -> None:
    names["media.test"] = [[f"127.0.0.{last}" for last in (2, 3, 4, 5, 1)]]  # the server listens at the fifth one alone
    web.put("/inside.mp4", brings(FILM))
    with pytest.raises(SourceError, match="cannot be reached"):
        resolve(at(web, "media.test"), context(tmp_path, private_hosts="media.test"))
    assert web.requests == []


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://127.0.0.1/a.mp4", "gopher://127.0.0.1/", "rtsp://127.0.0.1/"],
)
def test_redirects_lead_to_web_addresses_alone(web: Server, tmp_path: Path, location: str) -> None:
    with pytest.raises(InputError, match="no http:// or https:// address"):
        resolve(web.put("/a.mp4", redirects(location)), context(tmp_path))


def test_a_loop_of_redirects_ends(web: Server, tmp_path: Path) -> None:
    web.put("/b.mp4", redirects("/a.mp4"))
    with pytest.raises(SourceError, match="more than 3 redirects"):
        resolve(web.put("/a.mp4", redirects("/b.mp4")), context(tmp_path, max_redirects=3))
    assert len(web.requests) == 4


def test_the_proxy_of_the_environment_is_not_asked(
    web: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("no_proxy", "")
        assert resolve(web.put("/a.mp4", brings(FILM)), context(tmp_path)).file.read_bytes() == FILM
        assert proxy.requests == []


def test_names_and_passwords_are_refused_and_never_repeated(
    web: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    web.put("/inside.mp4", brings(FILM))
    with_password = at(web, "ada:hunter2@127.0.0.1")
    redirected = web.put("/a.mp4", redirects(with_password))
    odd = "http://ada:hunter2/3@127.0.0.1/a.mp4"
    for address in (with_password, redirected, odd, with_password.replace("http:", "ftp:")):
        with pytest.raises(InputError) as failure:
            resolve(address, context(tmp_path))
        assert "hunter2" not in str(failure.value)
    assert web.asked("/inside.mp4") == []
    assert "hunter2" not in caplog.text


def test_signatures_are_sent_but_kept_nowhere(web: Server, tmp_path: Path) -> None:
    address = web.put("/a.mp4?part=2&X-Amz-Signature=0f3c9a", brings(FILM, ETag='"one"'))
    assert resolve(address, context(tmp_path)).uri == f"{web.url}/a.mp4?part=2"
    written = [file.read_bytes() for file in (tmp_path / "media").rglob("*") if file.is_file()]
    assert not [content for content in written if b"0f3c9a" in content]
    with pytest.raises(SourceError) as failure:
        resolve(f"{web.url}/none.mp4?token=0f3c9a", context(tmp_path))
    assert "0f3c9a" not in str(failure.value)


@pytest.mark.parametrize(
    "address", ["http://exa mple\r\nX: y/a.mp4", "http://127.0.0.1:99999/a.mp4", "http://", "https:///a"]
)
def test_what_is_no_web_address_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(InputError):
        resolve(address, context(tmp_path))


def test_a_header_cannot_be_smuggled_into_a_request(web: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="control characters"):
        resolve(f"{web.url}/a.mp4\r\nX-Other: 1", context(tmp_path))
    with pytest.raises((InputError, SourceError)):
        resolve(web.put("/a.mp4", redirects("/b%0d%0aX-Other:1")), context(tmp_path, max_attempts=1))
    assert not [request for request in web.requests if "x-other" in request.headers]


def certificate(folder: Path) -> Path:
    """Write a certificate of 127.0.0.1 that signs itself, with its key; return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder(
            name, name, key.public_key(), 1, now - datetime.timedelta(1), now + datetime.timedelta(1)
        )
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(pem + signed.public_bytes(serialization.Encoding.PEM))
    return file


def tls_of(file: Path) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(file)
    return tls


def test_tls_is_verified_and_not_left_by_a_redirect(
    web: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: dict[str, list[list[str]]]
) -> None:
    file = certificate(tmp_path)
    web.put("/inside.mp4", brings(FILM))
    with serving(tls_of(file)) as safe:
        address = safe.put("/a.mp4", in_turn(brings(FILM), redirects(f"{web.url}/inside.mp4")))
        with pytest.raises(SourceError, match="certificate"):
            resolve(address, context(tmp_path))
        assert safe.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        names["media.test"] = [["127.0.0.1"]]
        with pytest.raises(SourceError, match="certificate"):
            resolve(at(safe, "media.test", "/a.mp4"), context(tmp_path, private_hosts="media.test"))
        assert safe.requests == []
        assert resolve(address, context(tmp_path)).file.read_bytes() == FILM
        with pytest.raises(InputError, match="FACEREC_SOURCES__DOWNGRADE"):
            resolve(address, context(tmp_path))
        assert web.requests == []
        assert resolve(address, context(tmp_path, downgrade=True)).file.read_bytes() == FILM


def test_videos_of_manifests_are_guarded_too(web: Server, tmp_path: Path) -> None:
    web.put("/inside.mp4", brings(FILM))
    manifest = json.dumps(
        {
            "@context": "http://iiif.io/api/presentation/3/context.json",
            "type": "Manifest",
            "items": [{"items": [{"items": [{
                "motivation": "painting",
                "body": {"type": "Video", "id": at(web, "localhost")},
            }]}]}],
        }
    )  # fmt: skip
    with pytest.raises(InputError, match="FACEREC_SOURCES__PRIVATE_HOSTS"):
        resolve(web.put("/manifest.json", brings(manifest.encode())), context(tmp_path))
    assert [request.path for request in web.requests] == ["/manifest.json"]
    assert isinstance(web.requests[0], Request)

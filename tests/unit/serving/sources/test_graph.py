"""Videos by their URI in a knowledge graph: a real SPARQL endpoint, a real web server, and a media API that wants a token."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
import yaml
from fastapi import Request, Response

from facerec_models.catalogue import CatalogueSegment, Channel, Publication
from facerec_models.errors import InputError, NotFoundError, SourceError
from serving.settings import Settings
from serving.sources import graph as graphs
from serving.sources.config import SourcesConfig
from serving.sources.graph_config import read_graph
from serving.sources.registry import resolve
from serving.sources.source import FetchStoppedError, Resolved, SourceContext
from tests.local_servers import MEMAD, endpoint, running
from tests.unit.serving.sources.web import Handler, Send, Server, brings, head, redirects

CONTENT = b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 40

ANTRACT = """
@prefix core: <http://www.ina.fr/core#> .
@prefix dcterms: <http://purl.org/dc/terms/> .
<http://www.ina.fr/notice/1> core:instance [ core:http_url "{file}" ] ; core:title "Les actualités" ; core:date "1952-03-01" ;
  dcterms:rights "INA" .
[] core:document <http://www.ina.fr/notice/1> ; core:title "Sport" ; core:beginTime "00:01:00" ; core:endTime "00:02:00" .
"""


@pytest.fixture(scope="module")
def files() -> Iterator[str]:
    """A web server with one file; with a token where the address asks for one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/guarded.mp4" and parse_qs(parts.query).get("access_token") != ["token-1"]:
                self.send_error(403)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def context(tmp_path: Path, *names: str) -> SourceContext:
    sources = SourcesConfig(graphs=names, private_hosts=frozenset({"127.0.0.1"}))
    return SourceContext(tmp_path / "media", Settings(home=tmp_path, sources=sources))


def test_a_programme_leads_to_its_file_and_to_what_the_catalogue_knows(
    files: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(endpoint(MEMAD.replace("{file}", f"{files}/a.mp4"))) as address:
        monkeypatch.setenv("FACEREC_MEMAD_ENDPOINT", address)
        for uri in ("http://data.memad.eu/media", "http://data.memad.eu/programme"):
            found = resolve(uri, context(tmp_path, "memad"))
            assert (found.uri, found.file.read_bytes()) == (uri, CONTENT)
            assert found.catalogue is not None
            assert found.catalogue.uri == uri
            assert found.catalogue.programme == "http://data.memad.eu/programme"
            assert sorted(found.catalogue.titles) == ["Le journal", "The news"]
            channel = Channel(id="http://data.memad.eu/france2", name="France 2")
            assert found.catalogue.channels == [channel]
            assert found.catalogue.publications == [Publication(date="2014-05-26T20:00:00", channel=channel)]
            assert (found.catalogue.genres, found.catalogue.themes) == (["News"], ["Élections"])
            # A time that cannot be read leaves out its segment, and no more.
            assert sorted(found.catalogue.segments, key=lambda one: one.start_s) == [
                CatalogueSegment(label="Opening", start_s=0, end_s=12.5),
                CatalogueSegment(label="Weather", start_s=60, end_s=90),
            ]
        settings = context(tmp_path, "memad").settings
        assert graphs.describe("http://data.memad.eu/programme", settings) == found.catalogue
        assert graphs.locate("http://data.memad.eu/programme", settings) == f"{files}/a.mp4"
        assert graphs.describe("http://elsewhere/", settings) is graphs.locate("http://elsewhere/", settings) is None
        with pytest.raises(NotFoundError, match=r"knows no file of 'http://data\.memad\.eu/empty'"):
            resolve("http://data.memad.eu/empty", context(tmp_path, "memad"))
        with pytest.raises(InputError, match="must be percent-encoded"):
            resolve("http://data.memad.eu/x> ?p ?o } #", context(tmp_path, "memad"))


def test_a_graph_with_a_password_gets_it_from_the_environment(
    files: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = endpoint(ANTRACT.replace("{file}", f"{files}/a.mp4"))

    @app.middleware("http")
    async def guard(request: Request, go_on: Any) -> Response:
        is_open = request.headers.get("authorization") == "Basic YWRhOnNlY3JldA=="
        answer: Response = await go_on(request) if is_open else Response(status_code=401)
        return answer

    uri = "http://www.ina.fr/notice/1"
    with running(app) as address:
        monkeypatch.setenv("FACEREC_ANTRACT_ENDPOINT", address)
        with pytest.raises(InputError, match="FACEREC_ANTRACT_USER and FACEREC_ANTRACT_PASSWORD"):
            resolve(uri, context(tmp_path, "antract"))
        monkeypatch.setenv("FACEREC_ANTRACT_USER", "ada")
        monkeypatch.setenv("FACEREC_ANTRACT_PASSWORD", "wrong")
        with pytest.raises(SourceError, match="answered 401"):
            resolve(uri, context(tmp_path, "antract"))
        monkeypatch.setenv("FACEREC_ANTRACT_PASSWORD", "secret")
        found = resolve(uri, context(tmp_path, "antract"))
    assert found.catalogue is not None
    assert (found.catalogue.titles, found.catalogue.rights) == (["Les actualités"], ["INA"])
    assert found.catalogue.segments == [CatalogueSegment(label="Sport", start_s=60, end_s=120)]


def test_a_media_api_gives_the_file_for_a_token_that_nobody_sees(
    files: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = endpoint(MEMAD.replace("{file}", "asset 7"))

    @app.post("/login")
    async def login(request: Request) -> dict[str, Any]:
        form = parse_qs((await request.body()).decode())
        is_known = form == {"username": ["ada"], "password": ["secret"], "grant_type": ["password"]}
        return {"auth": {"token": "token-1"}} if is_known else {}

    @app.get("/assets/{name}")
    async def asset(name: str, request: Request) -> dict[str, Any]:
        is_known = request.headers.get("authorization") == "Bearer token-1" and name == "asset 7"
        return {"files": [{"url": f"{files}/guarded.mp4"}]} if is_known else {}

    with running(app) as address:
        config = yaml.safe_load((Path(graphs.__file__).parent / "graphs" / "memad.yaml").read_text())
        config |= {
            "endpoint": address,
            "endpoint_variable": None,
            "media_api": {
                "login": {
                    "url": f"{address}/login",
                    "credentials": {"user": "ASSET_USER", "password": "ASSET_PASSWORD"},
                    "fields": {"grant_type": "password"},
                    "token": "auth.token",
                },
                "asset": f"{address}/assets/{{locator}}",
                "file": "files.0.url",
                "sends_token_for_file": True,
            },
        }
        own = tmp_path / "own.yaml"
        own.write_text(yaml.safe_dump(config))
        monkeypatch.setenv("ASSET_USER", "ada")
        monkeypatch.setenv("ASSET_PASSWORD", "secret")
        found = resolve("http://data.memad.eu/media", context(tmp_path, str(own)))
        assert found.file.read_bytes() == CONTENT
        assert not _tells(found, tmp_path, "token-1", "secret")
        monkeypatch.setenv("ASSET_PASSWORD", "wrong")
        with pytest.raises(SourceError, match=r"has no token at 'auth\.token'") as refused:
            resolve("http://data.memad.eu/media", context(tmp_path, str(own)))
        assert "wrong" not in str(refused.value)


SECRET = "t0ken/&1"


@pytest.mark.parametrize("sent_in", ["query", "header"])
def test_a_token_is_in_no_error_and_no_log_whatever_its_parameter_is_called(
    web: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sent_in: str
) -> None:
    """Also where the web server sends it back, in a redirect to an address that fails."""
    caplog.set_level(logging.DEBUG)
    written = urlencode({"v": SECRET})
    monkeypatch.setenv("ASSET_USER", "ada")
    monkeypatch.setenv("ASSET_PASSWORD", "hunter2")
    config = {
        "name": "own",
        "prefixes": ["http://own.example/"],
        "endpoint": web.put("/sparql", answers({"results": {"bindings": [{"locator": {"value": "7"}}]}})),
        "locator": "SELECT ?locator { $uri <p:p> ?locator }",
        "media_api": {
            "login": {
                "url": web.put("/login", answers({"access_token": SECRET})),
                "credentials": {"user": "ASSET_USER", "password": "ASSET_PASSWORD"},
            },
            "asset": f"{web.url}/assets/{{locator}}",
            "sent_in": sent_in,
            "token_parameter": "v",
            "sends_token_for_file": True,
        },
    }
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump(config))

    def failure() -> str:
        with pytest.raises((SourceError, InputError)) as failed:
            resolve("http://own.example/7", context(tmp_path, str(own)))
        return str(failed.value)

    asset = "/assets/7" + (f"?{written}" if sent_in == "query" else "")
    told = [failure()]
    web.put(asset, answers({"url": f"{web.url}/a.mp4?part=2"}))
    told.append(failure())
    for location in (f"/b.mp4?{written}", f"/{quote(SECRET, safe='')}/b.mp4", f"ftp://127.0.0.1/{SECRET}/b.mp4"):
        web.put(f"/a.mp4?part=2&{written}", redirects(location))
        told.append(failure())
    web.put(f"/a.mp4?part=2&{written}", brings(CONTENT, ETag='"one"'))
    found = resolve("http://own.example/7", context(tmp_path, str(own)))
    assert found.file.read_bytes() == CONTENT
    for text in (*told, caplog.text):
        assert not any(secret in text for secret in (SECRET, written.removeprefix("v="), quote(SECRET), "hunter2"))
    assert "a.mp4?part=2" in told[1]
    # Under another token the file is the same.
    web.put("/login", answers({"access_token": "another"}))
    web.put(asset.replace(written, "v=another"), answers({"url": f"{web.url}/a.mp4?part=2"}))
    web.put("/a.mp4?part=2&v=another", brings(CONTENT, ETag='"one"'))
    assert resolve("http://own.example/7", context(tmp_path, str(own))).file == found.file
    assert web.requests[-1].headers["if-none-match"] == '"one"'


def answers(document: Any) -> Handler:
    return brings(json.dumps(document).encode())


def dripping(folder: Path, web: Server, timeout_s: float) -> str:
    """Write the configuration of a graph whose answer never ends; return its file."""

    def drip(_: object, send: Send) -> None:
        send(head(Content_Type="application/json"))
        while True:
            send(b" ")
            time.sleep(0.05)

    config = {"name": "slow", "prefixes": ["http://slow.example/"], "endpoint": web.put("/drip", drip)}
    own = folder / "slow.yaml"
    own.write_text(yaml.safe_dump({**config, "locator": "?locator", "timeout_s": timeout_s}))
    return str(own)


def test_a_graph_whose_answer_never_ends_is_given_up_after_its_time(web: Server, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(SourceError, match="timeout_s of 'slow'"):
        resolve("http://slow.example/1", context(tmp_path, dripping(tmp_path, web, 0.5)))
    assert time.monotonic() - began < 10


def test_waiting_for_a_graph_can_be_stopped(web: Server, tmp_path: Path) -> None:
    began = time.monotonic()
    asked = context(tmp_path, dripping(tmp_path, web, 60.0))
    with pytest.raises(FetchStoppedError):
        resolve("http://slow.example/1", replace(asked, should_stop=lambda: len(web.requests) > 0))
    assert time.monotonic() - began < 10


def test_a_uri_that_is_called_as_a_parameter_is_not_replaced_again(
    web: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    rows = [{"locator": {"value": "x:"}, "programme": {"value": "http://own.example/it"}}]
    monkeypatch.setattr(graphs, "urlencode", lambda form: (sent.append(form["query"]), urlencode(form))[1])
    own = tmp_path / "own.yaml"
    own.write_text(
        yaml.safe_dump(
            {
                "name": "own",
                "prefixes": ["http://own.example/"],
                "endpoint": web.put("/sparql", answers({"results": {"bindings": rows}})),
                "locator": "SELECT ?locator { $uri <p:p> ?locator }",
                "metadata": "SELECT ?title { $programme <p:p> ?title . $uri <p:q> ?x . $urin <p:q> ?x }",
            }
        )
    )
    graphs.describe("http://own.example/$programme/$uri", context(tmp_path, str(own)).settings)
    given = "<http://own.example/$programme/$uri>"
    assert sent == [
        f"SELECT ?locator {{ {given} <p:p> ?locator }}",
        f"SELECT ?title {{ <http://own.example/it> <p:p> ?title . {given} <p:q> ?x . $urin <p:q> ?x }}",
    ]


def _tells(found: Resolved, folder: Path, *secrets: str) -> bool:
    """Whether a secret is in what is known of a video, or in a file that is kept."""
    known = json.dumps([found.uri, found.name, None if found.catalogue is None else found.catalogue.model_dump()])
    kept = [str(path).encode() + path.read_bytes() for path in (folder / "media").rglob("*") if path.is_file()]
    return any(secret in known or any(secret.encode() in one for one in kept) for secret in secrets)


def test_a_graph_that_does_not_answer_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEREC_MEMAD_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(SourceError, match=r"the graph 'memad' .*'http://127\.0\.0\.1:1' cannot be reached"):
        resolve("http://data.memad.eu/media", context(tmp_path, "memad"))

    async def talk(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"results": 1}'})

    with running(talk) as address:
        monkeypatch.setenv("FACEREC_MEMAD_ENDPOINT", address)
        with pytest.raises(SourceError, match="answered no SPARQL results"):
            resolve("http://data.memad.eu/media", context(tmp_path, "memad"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: a", "prefixes: Field required"),
        ("{", "is no YAML"),
        (
            "{name: a, prefixes: ['http://a/'], endpoint: 'http://b/', locator: 'SELECT ?x WHERE {}'}",
            "must select \\?locator",
        ),
        ("{name: a, prefixes: ['http://a/'], endpoint: 'http://me:secret@b/', locator: '?locator'}", "endpoint"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(tmp_path: Path, text: str, says: str) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(text)
    with pytest.raises(InputError, match=says):
        read_graph(str(own))
    with pytest.raises(InputError, match="antract, memad"):
        read_graph("unknown")

"""Videos by their URI in a knowledge graph: SPARQL says where the file is, and what the catalogue knows of it."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from facerec_models.catalogue import Catalogue, CatalogueSegment, Channel, Publication
from facerec_models.errors import InputError, NotFoundError, SourceError
from serving.settings import Settings
from serving.sources.addresses import parse_address, shown
from serving.sources.config import SourcesConfig, normal_host
from serving.sources.graph_config import Credentials, GraphConfig, MediaApi, TokenLogin, read_graph
from serving.sources.media_url import MediaUrl
from serving.sources.source import Resolved, SourceContext
from serving.sources.watch import Watch
from serving.sources.web_client import PassingError, ask

# What an IRI may not have (RFC 3987): it would end the IRI in a query, and begin something else.
_NO_IRI = re.compile(r"[\x00-\x20<>\"{}|\\^`\ud800-\udfff]")
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_MOST_ANSWER_BYTES = 16 << 20

Row = Mapping[str, str]
Stop = Callable[[], bool]


class GraphUri:
    """URIs that begin as those of a configured graph do; the file itself is fetched as any other from the web."""

    kinds = ("a configured graph's URI",)

    def claim(self, address: str, settings: Settings) -> str | None:
        """Return the longest prefix of a graph that the address has."""
        own = [prefix for graph in _graphs(settings) for prefix in graph.prefixes if address.startswith(prefix)]
        return max(own, key=len, default=None)

    def check(self, address: str, settings: Settings) -> None:
        """Refuse what is of no graph, or can be no URI."""
        graph_of(address, settings)
        _require_iri(address)

    def resolve(self, address: str, context: SourceContext) -> Resolved:
        """Return the file that the graph locates, under the URI in the graph, with what the catalogue says."""
        graph, stop = graph_of(address, context.settings), context.should_stop
        located = _located(graph, address, stop)
        catalogue = _catalogue(graph, address, located.get("programme"), stop)
        file_address, hidden = _file_address(graph, located["locator"], stop)
        file = MediaUrl().resolve(file_address, context, hidden=hidden)
        return Resolved(file.file, address, file.name, catalogue)


def locate(address: str, settings: Settings) -> str | None:
    """Return the address of the file of a URI, for everybody; None where no graph knows such URIs, or the file needs a token.

    Raises
    ------
    NotFoundError, SourceError
        If the graph knows no file, or does not answer.
    """
    if GraphUri().claim(address, settings) is None:
        return None
    graph = graph_of(address, settings)
    return _located(graph, address, _never)["locator"] if graph.media_api is None else None


def describe(address: str, settings: Settings) -> Catalogue | None:
    """Return what the catalogue says of a URI; None where no graph knows such URIs.

    Raises
    ------
    SourceError
        If the graph does not answer.
    """
    if GraphUri().claim(address, settings) is None:
        return None
    graph = graph_of(address, settings)
    rows = _ask(graph, graph.locator, {"uri": address}, _never)
    return _catalogue(graph, address, rows[0].get("programme") if rows else None, _never)


def _never() -> bool:
    return False


def _located(graph: GraphConfig, address: str, should_stop: Stop) -> Row:
    rows = _ask(graph, graph.locator, {"uri": address}, should_stop)
    located = next((row for row in rows if row.get("locator")), None)
    if located is None:
        raise NotFoundError(
            f"the graph {graph.name!r} knows no file of {address!r}: check the URI, or its query 'locator'"
        )
    return located


def graph_of(address: str, settings: Settings) -> GraphConfig:
    """Return the graph with the longest prefix of an address; raise `InputError` if there is none."""
    own = [
        (len(prefix), graph) for graph in _graphs(settings) for prefix in graph.prefixes if address.startswith(prefix)
    ]
    if not own:
        raise InputError(f"{shown(address)!r} is of no graph that FACEREC_SOURCES__GRAPHS names")
    return max(own, key=lambda pair: pair[0])[1]


def _graphs(settings: Settings) -> tuple[GraphConfig, ...]:
    return _read(settings.sources.graphs)


@lru_cache(maxsize=4)
def _read(given: tuple[str, ...]) -> tuple[GraphConfig, ...]:
    return tuple(read_graph(one) for one in given)


def _require_iri(iri: str) -> None:
    if _NO_IRI.search(iri):
        raise InputError(f"{iri!r} is no URI: it has a character that must be percent-encoded")


def _ask(graph: GraphConfig, query: str, values: Mapping[str, str], should_stop: Stop) -> list[Row]:
    """Return the rows that a query selects, with these IRIs for its parameters."""
    for iri in values.values():
        _require_iri(iri)
    # In one go: an IRI may have in it what another parameter is called.
    query = re.sub(rf"\$({'|'.join(values)})\b", lambda found: f"<{values[found[1]]}>", query)
    headers = {"Accept": "application/sparql-results+json"}
    if graph.credentials is not None:
        pair = ":".join(_read_credentials(graph.name, graph.credentials))
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    endpoint = os.environ.get(graph.endpoint_variable or "", "") or graph.endpoint
    document = _json(graph, endpoint, should_stop, form={"query": query}, headers=headers)
    try:
        return [{name: str(cell["value"]) for name, cell in row.items()} for row in document["results"]["bindings"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"the graph {graph.name!r} answered no SPARQL results: check its endpoint") from error


def _catalogue(graph: GraphConfig, address: str, programme: str | None, should_stop: Stop) -> Catalogue:
    values = {"uri": address, "programme": programme or address}
    facts = [] if graph.metadata is None else _ask(graph, graph.metadata, values, should_stop)
    segments = [] if graph.segments is None else _ask(graph, graph.segments, values, should_stop)
    channels = _distinct(
        Channel(id=row.get("channel"), name=row.get("channel_name") or row["channel"])
        for row in facts
        if row.get("channel") or row.get("channel_name")
    )
    return Catalogue(
        uri=address,
        programme=programme,
        titles=_values(facts, "title"),
        dates=_values(facts, "date"),
        channels=channels,
        publications=_distinct(_publication(row) for row in facts if row.get("date")),
        genres=_values(facts, "genre"),
        themes=_values(facts, "theme"),
        rights=_values(facts, "rights"),
        duration=next(iter(_values(facts, "duration")), None),
        segments=[one for row in segments if (one := _segment(row)) is not None],
    )


def _publication(row: Row) -> Publication:
    name = row.get("channel_name") or row.get("channel")
    return Publication(date=row["date"], channel=None if name is None else Channel(id=row.get("channel"), name=name))


def _segment(row: Row) -> CatalogueSegment | None:
    """Return a segment; None where its times cannot be read, for a catalogue's mistake must not keep a video out."""
    start_s, end_s = _seconds(row.get("start", "")), _seconds(row.get("end", ""))
    if start_s is None or end_s is None:
        return None
    return CatalogueSegment(label=row.get("label", ""), start_s=start_s, end_s=end_s)


def _seconds(text: str) -> float | None:
    """Return seconds, ``hh:mm:ss`` or an ``xsd:duration`` in seconds.

    Examples
    --------
    >>> _seconds("90.5"), _seconds("00:01:30"), _seconds("PT1M30S"), _seconds("later")
    (90.5, 90.0, 90.0, None)
    """
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, seconds = (float(part or 0) for part in clock.groups())
        return 3600 * hours + 60 * minutes + seconds
    if text not in ("P", "PT") and (span := _DURATION.fullmatch(text)):
        days, hours, minutes, seconds = (float(part or 0) for part in span.groups())
        return 86_400 * days + 3600 * hours + 60 * minutes + seconds
    return None


def _values(rows: Iterable[Row], name: str) -> list[str]:
    return _distinct(row[name] for row in rows if row.get(name))


def _distinct(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def _file_address(graph: GraphConfig, locator: str, should_stop: Stop) -> tuple[str, Mapping[str, str]]:
    """Return the address of the file that a locator means, itself or what the media API says; and parameters that nobody may see."""
    api = graph.media_api
    if api is None:
        return locator, {}
    token = None if api.login is None else _log_in(graph, api.login, should_stop)
    hidden = {} if token is None else {api.token_parameter: token}
    address = locator if api.asset is None else _asset_file(graph, api, locator, token, should_stop)
    return address, hidden if api.sends_token_for_file else {}


def _log_in(graph: GraphConfig, login: TokenLogin, should_stop: Stop) -> str:
    user, password = _read_credentials(graph.name, login.credentials)
    form = {**login.fields, login.user_field: user, login.password_field: password}
    return _at(graph, _json(graph, login.url, should_stop, form=form), login.token, "token")


def _asset_file(graph: GraphConfig, api: MediaApi, locator: str, token: str | None, should_stop: Stop) -> str:
    address = str(api.asset).replace("{locator}", quote(locator, safe=""))
    headers: dict[str, str] = {}
    hidden: dict[str, str] = {}
    if token is not None and api.sent_in == "header":
        headers["Authorization"] = f"Bearer {token}"
    elif token is not None:
        hidden[api.token_parameter] = token
    return _at(graph, _json(graph, address, should_stop, headers=headers, hidden=hidden), api.file, "file's address")


def _at(graph: GraphConfig, document: Any, path: str, what: str) -> str:
    """Return the text at a path of keys, with numbers for places in lists."""
    found = document
    for key in path.split("."):
        try:
            found = found[int(key)] if isinstance(found, list) else found[key]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise SourceError(
                f"the answer to {graph.name!r} has no {what} at {path!r}: check its configuration"
            ) from error
    if not isinstance(found, str):
        raise SourceError(f"the answer to {graph.name!r} has no text at {path!r}: check its configuration")
    return found


def _read_credentials(name: str, credentials: Credentials) -> tuple[str, str]:
    found = os.environ.get(credentials.user), os.environ.get(credentials.password)
    if not found[0] or found[1] is None:
        raise InputError(
            f"the graph {name!r} needs the environment variables {credentials.user} and {credentials.password}"
        )
    return found[0], found[1]


def _json(
    graph: GraphConfig,
    address: str,
    should_stop: Stop,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    hidden: Mapping[str, str] | None = None,
) -> Any:
    """Ask an address of the configuration, which may be anywhere, and return its JSON; all of it comes within the graph's time.

    Redirects are not followed: they would take the name and the password along.
    """
    where = shown(address)
    config = SourcesConfig(
        private_hosts=frozenset({normal_host(parse_address(address, "http", "https").host or "")}),
        max_redirects=0,
        max_time_s=graph.timeout_s,
        connect_timeout_s=graph.timeout_s,
        read_timeout_s=graph.timeout_s,
        min_bytes_per_s=0.0,
    )
    body = None if form is None else urlencode(form).encode()
    try:
        with (
            Watch(where, config, should_stop, advice=f"try again later, or raise timeout_s of {graph.name!r}") as watch,
            ask(address, config, watch, headers, hidden=hidden, form=body) as answer,
        ):
            if answer.status != HTTPStatus.OK:
                raise SourceError(
                    f"the graph {graph.name!r} answered {answer.status} at {where!r}: check address and credentials"
                )
            content = bytearray()
            for chunk in answer.chunks():
                content += chunk
                if len(content) > _MOST_ANSWER_BYTES:
                    raise SourceError(
                        f"the graph {graph.name!r} answered more than {_MOST_ANSWER_BYTES} bytes at {where!r}: select less"
                    )
        return json.loads(content)
    except PassingError as error:
        raise SourceError(f"the graph {graph.name!r} does not answer: {error}") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"the graph {graph.name!r} answered no JSON at {where!r}: check its endpoint") from error

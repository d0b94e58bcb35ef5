"""Results as linked data: valid by their shapes, the same in both notations, and easy to ask."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pyoxigraph
import pytest
from pyshacl import validate
from rdflib import FOAF, RDF, Graph, Literal, Namespace, URIRef
from rdflib.compare import isomorphic
from starlette.routing import Match

from facerec_models.catalogue import Catalogue
from facerec_models.errors import InputError
from facerec_models.result import Result
from serving.api import people, search, videos
from serving.exports.formats import Writer
from serving.exports.linked import linked_data
from serving.exports.linked.iris import owner_address, to_iri, video_address
from serving.exports.linked.linked_data import PREFIXES, to_jsonld, to_turtle
from serving.exports.provenance import explain_result
from tests.results import CONTEXT, Box, Seen, make_result, written

ROOT = Path(__file__).parents[4]
SHAPES = Path(linked_data.__file__).with_name("shapes.ttl")
OA, EBUCORE, FACEREC = (Namespace(PREFIXES[name]) for name in ("oa", "ebucore", "facerec"))
PROV, DCTERMS = (Namespace(PREFIXES[name]) for name in ("prov", "dcterms"))
BOX: Box = (100, 50, 180, 150)
PROGRAMME = "https://catalogue.example/programmes#7"
SERVICE = "http://127.0.0.1:8000/v1/projects/default"


def two_videos() -> list[Result]:
    return [
        make_result(
            Seen("Ann Lee", 1.5, 3.25, [(2.0, BOX)], false_name_rate=6.25e-6),
            Seen("Růžena Zátková", 2.0, 3.0, [(2.0, (300, 50, 340.4, 120))], confirmed=True),
            Seen("Unknown 2", 0.0, 0.0, [(0.0, BOX)]),
            Seen("Undecidable", 3.0, 4.0, [(3.0, BOX)]),
            Seen("Ann Lee", 3.5, 4.0, [(3.5, BOX)], probability=1.0),
            uri="file:///videos/one%20two.mp4",
            catalogue=Catalogue(uri="https://catalogue.example/1", programme=PROGRAMME),
        ),
        make_result(
            Seen("Ann Lee", 0.0, 1.0, [(0.5, BOX)]),
            uri="https://archive.example/film 1#part [2].mp4",
            video_id="v-2",
        ),
    ]


def graph_of(*results: Result, creator: str = CONTEXT.creator) -> Graph:
    text = b"".join(to_turtle(results, replace(CONTEXT, creator=creator)))
    return Graph().parse(data=text, format="turtle")


@cache
def shapes() -> Graph:
    return Graph().parse(SHAPES)


def faults(graph: Graph) -> str:
    """Return what the shapes find, and nothing where a graph conforms."""
    conforms, _, text = validate(graph, shacl_graph=shapes(), inference="none")
    return "" if conforms else text


@pytest.mark.parametrize("creator", ["Archive: film", "https://archive.example/staff#7"])
def test_what_is_exported_fits_the_shapes(creator: str) -> None:
    graph = graph_of(*two_videos(), creator=creator)
    assert len(list(graph.subjects(RDF.type, OA.Annotation))) == 5
    assert faults(graph) == ""
    expected = URIRef(creator) if creator.startswith("https") else Literal(creator)
    assert set(graph.objects(None, DCTERMS.creator)) == {expected}


def test_a_video_without_appearances_still_says_how_it_was_named() -> None:
    result = make_result()
    nobody = result.model_copy(update={"model": result.model.model_copy(update={"version": None})})
    graph = graph_of(nobody)
    assert faults(graph) == ""
    assert not list(graph.objects(None, FACEREC.model))
    assert list(graph.subjects(RDF.type, PROV.Activity)) == [URIRef(f"{SERVICE}/videos/v-1/result#r-1")]


# Of the reader itself.
@pytest.mark.filterwarnings("ignore:ConjunctiveGraph:DeprecationWarning")
def test_both_notations_hold_the_same_graph_without_blank_nodes() -> None:
    results = two_videos()
    turtle = graph_of(*results)
    linked_json = Graph().parse(data=written(to_jsonld, *results), format="json-ld")
    assert len(turtle) > 80
    assert isomorphic(turtle, linked_json)
    assert all(isinstance(node, URIRef | Literal) for triple in turtle for node in triple)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_term_of_another_namespace_does_not_fit(prefix: str) -> None:
    text = written(to_turtle, *two_videos())
    iri = PREFIXES[prefix]
    broken = text.replace(f"@prefix {prefix}: <{iri}>", f"@prefix {prefix}: <http://elsewhere.example/{prefix}#>")
    assert broken != text
    assert faults(Graph().parse(data=broken, format="turtle"))


# What is replaced in a document, by what, and what the shapes then find fault with.
FAULTS = [
    (r"oa:hasTarget <[^>]*> ;", "", "Path: oa:hasTarget"),
    (r"oa:hasBody (<[^>]*>)", r"oa:hasBody \1 , <http://other.example/>", "Path: oa:hasBody"),
    (r"oa:motivatedBy oa:identifying", "oa:motivatedBy oa:tagging", "Path: oa:motivatedBy"),
    (r"\tdcterms:creator [^;]*;", "", "Path: dcterms:creator"),
    (r"Z\"\^\^xsd:dateTime", '"^^xsd:dateTime', "Path: dcterms:created"),
    (r"\"\^\^xsd:dateTime", '"^^xsd:string', "Path: dcterms:created"),
    (r"\tprov:wasGeneratedBy [^;]*;", "", "Path: prov:wasGeneratedBy"),
    (r"facerec:trackId (\d+)", r'facerec:trackId "\1"', "Path: facerec:trackId"),
    (r"#t=npt:", "#t=", "in PatternConstraint"),
    (r"&xywh=", "&xywh=percent:", "in PatternConstraint"),
    (r"(npt:[\d.]*),[\d.]*", r"\1", "in PatternConstraint"),
    (r"&xywh=100,", "&xywh=101,", "not that of its video, its times and its box"),
    (r"#t=npt:1.500,", "#t=npt:1.499,", "not that of its video, its times and its box"),
    (r"\.mp4#t", "#t", "not that of its video, its times and its box"),
    (r"ebucore:isMediaFragmentOf <[^>]*> ;", "", "Path: ebucore:isMediaFragmentOf"),
    (r"ebucore:start 1.500", "ebucore:start 1.500e0", "Path: ebucore:start"),
    (r"ebucore:end (3.250)", r'ebucore:end "\1"', "Path: ebucore:end"),
    (r"3\.250", "1.250", "in LessThanConstraint"),
    (r"3\.250", "1.500", "in LessThanConstraint"),
    (r"facerec:x 100", "facerec:x -100", "Path: facerec:x"),
    (r"ebucore:width 80 ;", "ebucore:width 0 ;", "Path: ebucore:width"),
    (r"rdf:value \"Ann Lee\"", 'rdf:value "Ann Lee"@en', "Path: rdf:value"),
    (r"nif:taIdentConf 0.974", "nif:taIdentConf 97.4", "Path: nif:taIdentConf"),
    (r"nif:taIdentProv <[^>]*>", 'nif:taIdentProv "FaceRec"', "Path: nif:taIdentProv"),
    (r"\tfacerec:falseNameRate [^;]*;", "", "Path: facerec:falseNameRate"),
    (r"facerec:confirmed true", 'facerec:confirmed "yes"', "Path: facerec:confirmed"),
    (r"\bmemad:VisualPersonIdentification\b", "nif:Annotation", "in ClassConstraint"),
    (r"\titsrdf:taIdentRef <[^>]*> ;", "", "Path: itsrdf:taIdentRef"),
    (r"foaf:name \"Ann Lee\"", 'foaf:name "Ann Lee" , "Anne"', "Path: foaf:name"),
    (r"not proof", "proof", "Path: rdfs:comment"),
    (r"facerec:acceptedError 0.005", "facerec:acceptedError 5", "Path: facerec:acceptedError"),
    (r"isInstantiatedBy <[^>]*>", "isInstantiatedBy <https://a.example/>", "Path: ebucore:isInstantiatedBy"),
    (r"a ebucore:MediaResource ;", "a ebucore:MediaResource ; foaf:age 7 ;", "in ClosedConstraint"),
]


@pytest.mark.parametrize(("pattern", "fault", "found"), FAULTS)
def test_a_document_with_a_fault_does_not_fit(pattern: str, fault: str, found: str) -> None:
    text = written(to_turtle, *two_videos())
    broken = re.sub(pattern, fault, text)
    assert broken != text
    assert found in faults(Graph().parse(data=broken, format="turtle"))


def queries() -> list[str]:
    page = (ROOT / "docs/archivists/exports.md").read_text(encoding="utf-8")
    return re.findall(r"^```sparql\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def test_the_documented_queries_say_who_is_seen_when_and_where() -> None:
    graph = graph_of(*two_videos())
    who_when_where, seconds = queries()
    second = "https://archive.example/film%201%23part%20%5B2%5D.mp4"
    first = "file:///videos/one%20two.mp4"
    rows = [tuple(value.toPython() for value in row) for row in graph.query(who_when_where)]
    ann = (100, 50, 80, 100, Decimal("0.974"))
    assert [(row[0], str(row[1]), *row[2:]) for row in rows] == [
        ("Ann Lee", first, Decimal("1.5"), Decimal("3.25"), *ann),
        ("Ann Lee", first, Decimal("3.5"), Decimal("4"), *ann[:4], 1),
        ("Ann Lee", second, 0, 1, *ann),
        ("Růžena Zátková", first, 2, 3, 300, 50, 40, 70, Decimal("0.974")),
    ]
    assert [(str(row[0]), str(row[1]), row[2].toPython()) for row in graph.query(seconds)] == [
        (PROGRAMME, "Ann Lee", Decimal("2.25")),
        (PROGRAMME, "Růžena Zátková", 1),
        (PROGRAMME, "Unknown 2", Decimal("0.001")),
    ]


def test_a_name_says_what_it_rests_on() -> None:
    result = two_videos()[0]
    graph = graph_of(result)
    bodies = {str(graph.value(body, RDF.value)): body for body in graph.objects(None, OA.hasBody)}
    assert set(bodies) == {"Ann Lee", "Růžena Zátková", "Unknown 2"}
    assert {str(name) for name in graph.objects(None, FOAF.name)} == {"Ann Lee", "Růžena Zátková"}
    confirmed = {name for name, body in bodies.items() if graph.value(body, FACEREC.confirmed).toPython()}
    assert confirmed == {"Růžena Zátková"}
    rates = {value.toPython() for value in graph.objects(None, FACEREC.falseNameRate)}
    assert rates == {Decimal("0.00000625"), Decimal("0.0005")}
    naming = URIRef(f"{SERVICE}/videos/v-1/result#r-1")
    assert set(graph.objects(None, PROV.wasGeneratedBy)) == {naming}
    assert graph.value(naming, URIRef(f"{PREFIXES['rdfs']}comment")) == Literal(explain_result(result))
    assert graph.value(naming, FACEREC.model) == Literal("m-1")
    assert graph.value(naming, FACEREC.acceptedError) == Literal(Decimal("0.005"))
    (created,) = set(graph.objects(None, DCTERMS.created))
    assert created.toPython() == CONTEXT.created
    assert isinstance(created.toPython(), datetime)


def test_the_time_of_an_export_is_written_in_utc() -> None:
    created = datetime(2026, 5, 4, 1, 30, 59, 999, tzinfo=timezone(timedelta(hours=2)))
    text = b"".join(to_turtle(two_videos(), replace(CONTEXT, created=created))).decode()
    assert set(re.findall(r"dcterms:created ([^ ]*)", text)) == {'"2026-05-03T23:30:59Z"^^xsd:dateTime'}


def test_an_annotation_is_called_by_its_revision_and_its_first_track() -> None:
    (view,) = (result := make_result(Seen("Ann Lee", 0, 1, [(0, BOX)]))).appearances
    joined = view.model_copy(update={"track_ids": [7, 9]})
    tracks = [result.tracks[0].model_copy(update={"track_id": number}) for number in (7, 9)]
    graph = graph_of(result.model_copy(update={"appearances": [joined], "tracks": tracks}))
    (annotation,) = graph.subjects(RDF.type, OA.Annotation)
    assert annotation == URIRef(f"{SERVICE}/videos/v-1/result#r-1-7")
    assert {number.toPython() for number in graph.objects(annotation, FACEREC.trackId)} == {7, 9}


def test_a_merged_export_is_the_export_of_both() -> None:
    first, second = two_videos()
    assert isomorphic(graph_of(first) + graph_of(second), graph_of(first, second))


def test_the_box_is_that_of_the_best_crop_in_square_pixels() -> None:
    result = make_result(
        Seen("Ann Lee", 0, 3, [(0.0, (0, 0, 20, 20)), (1.0, BOX), (2.0, (400, 0, 420, 20))], crops=[(1.0, "/c.jpg")]),
        Seen("Bob", 0, 3, [(0.0, (-4, 300, 0.2, 400))]),
        size=(640, 360),
        sample_aspect_ratio=1.5,
    )
    graph = graph_of(result)
    parts = {str(part).split("xywh=")[1] for part in graph.subjects(RDF.type, EBUCORE.MediaFragment)}
    assert parts == {"150,50,120,100", "0,300,1,60"}
    video = URIRef(result.video.uri)
    assert [graph.value(video, EBUCORE[side]).toPython() for side in ("width", "height")] == [960, 360]
    tall = make_result(Seen("Ann Lee", 0, 3, [(1.0, BOX)]), sample_aspect_ratio=0.5)
    assert "xywh=100,100,80,200" in written(to_turtle, tall)


def test_addresses_of_people_strangers_and_videos_are_routes_of_the_service() -> None:
    result = make_result(Seen("Ann (B.) Lee/1", 0, 1), Seen("Unknown 2", 0, 1))
    named, stranger = (owner_address(view, result, CONTEXT) for view in result.appearances)
    assert (named, stranger) == (f"{SERVICE}/people/Ann_%28B.%29_Lee%2F1", f"{SERVICE}/strangers/stranger-0000000002")
    video = video_address(result, CONTEXT)
    for router, address in ((people, named), (search, stranger), (videos, video), (videos, f"{video}/result")):
        path = urlsplit(address).path.removeprefix("/v1").replace("%2F1", "")
        scope = {"type": "http", "method": "GET", "path": path}
        assert any(route.matches(scope)[0] is Match.FULL for route in router.router.routes), address


@pytest.mark.parametrize(
    ("address", "iri"),
    [
        ("file:///a b%20%zz.mp4", "file:///a%20b%20%25zz.mp4"),
        ("http://[::1]:80/[a]", "http://[::1]:80/%5Ba%5D"),
        ("https://a.example/Růžena/习近平", "https://a.example/Růžena/习近平"),
        ("https://a.example/<b>#c#d", "https://a.example/%3Cb%3E#c%23d"),
        ("https://a.example/\ue000\ufdd0", "https://a.example/%EE%80%80%EF%B7%90"),
    ],
)
def test_what_may_not_be_in_an_iri_is_encoded(address: str, iri: str) -> None:
    assert to_iri(address) == iri


@pytest.mark.parametrize("address", ["film.mp4", "@cmd", "", "http://a.example:port/"])
def test_what_can_be_no_iri_is_refused_with_its_value(address: str) -> None:
    with pytest.raises(InputError, match=re.escape(repr(address))):
        list(to_turtle([make_result(uri=address)], CONTEXT))


@pytest.mark.parametrize("write", [to_turtle, to_jsonld])
def test_many_appearances_leave_in_pieces(write: Writer) -> None:
    many = make_result(*[Seen("Ann Lee", i, i + 1, [(i, BOX)]) for i in range(1000)])
    pieces = list(write([many, many.model_copy(update={"revision": "r-2"})], CONTEXT))
    assert len(pieces) > 7
    assert max(map(len, pieces)) < 1 << 19
    whole = b"".join(pieces).decode()
    assert whole.count("Ann Lee") > 2000
    if write is to_jsonld:
        assert len(json.loads(whole)["@graph"]) == 1 + 2 * 1003
    else:
        assert whole.count("@prefix") == len(PREFIXES)
        quads = pyoxigraph.parse(whole, format=pyoxigraph.RdfFormat.TURTLE)
        assert sum(quad.predicate.value == str(OA.hasTarget) for quad in quads) == 2000

"""Results as linked data: one graph, written as Turtle or as JSON-LD.

An appearance is a Web Annotation. Its target is a part of the video (EBUCore, W3C Media Fragments), its body says who that is (NIF, as
MeMAD's archives have it), and PROV-O says how the name came about. `serving/exports/linked/shapes.ttl` states in SHACL what a document
holds, and defines the terms that are FaceRec's own.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice
from typing import Any

import pyoxigraph

from facerec_models.result import Result
from serving.exports.export_format import ExportContext
from serving.exports.linked.iris import (
    annotation_iri,
    has_scheme,
    naming_iri,
    owner_address,
    system_iri,
    to_iri,
    video_iri,
)
from serving.exports.linked.json_stream import stream_list
from serving.exports.linked.media_fragments import MediaFragment, media_fragments, square_size
from serving.exports.provenance import created_at, explain_result

PREFIXES = {
    "dcterms": "http://purl.org/dc/terms/",
    "ebucore": "http://www.ebu.ch/metadata/ontologies/ebucore/ebucore#",
    "facerec": "urn:facerec:vocabulary#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "itsrdf": "http://www.w3.org/2005/11/its/rdf#",
    "memad": "https://memad.eu/ontology#",
    "nif": "http://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core#",
    "oa": "http://www.w3.org/ns/oa#",
    "prov": "http://www.w3.org/ns/prov#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_IRIS = {
    "isInstantiatedBy": "ebucore:isInstantiatedBy",
    "isMediaFragmentOf": "ebucore:isMediaFragmentOf",
    "motivation": "oa:motivatedBy",
    "target": "oa:hasTarget",
    "body": "oa:hasBody",
    "who": "itsrdf:taIdentRef",
    "system": "nif:taIdentProv",
    "used": "prov:used",
    "wasAssociatedWith": "prov:wasAssociatedWith",
    "wasGeneratedBy": "prov:wasGeneratedBy",
}
_DECIMALS = {
    "start": "ebucore:start",
    "end": "ebucore:end",
    "probability": "nif:taIdentConf",
    "falseNameRate": "facerec:falseNameRate",
    "acceptedError": "facerec:acceptedError",
}
# What JSON has of its own: text, whole numbers, and whether something is so.
_PLAIN = {
    "label": "rdfs:label",
    "comment": "rdfs:comment",
    "name": "foaf:name",
    "creator": "dcterms:creator",
    "value": "rdf:value",
    "confirmed": "facerec:confirmed",
    "trackId": "facerec:trackId",
    "x": "facerec:x",
    "y": "facerec:y",
    "width": "ebucore:width",
    "height": "ebucore:height",
    "project": "facerec:project",
    "revision": "facerec:revision",
    "model": "facerec:model",
    "embedder": "facerec:embedder",
}
_JSON_CONTEXT: dict[str, Any] = {
    **PREFIXES,
    "id": "@id",
    "type": "@type",
    **_PLAIN,
    **{name: {"@id": term, "@type": "@id"} for name, term in _IRIS.items()},
    **{name: {"@id": term, "@type": "xsd:decimal"} for name, term in _DECIMALS.items()},
    "created": {"@id": "dcterms:created", "@type": "xsd:dateTime"},
}
# Nodes that Turtle is made of at a time.
_BATCH = 256


def to_jsonld(results: Iterable[Result], context: ExportContext) -> Iterator[bytes]:
    """Yield JSON-LD 1.1 whose context is in the document, with an object for each annotation.

    Raises
    ------
    InputError
        If the address of a video, of its programme or of the creator cannot be an IRI.
    """
    yield from stream_list({"@context": _JSON_CONTEXT, "@graph": []}, _nodes(results, context))


def to_turtle(results: Iterable[Result], context: ExportContext) -> Iterator[bytes]:
    """Yield the same graph as Turtle.

    Raises
    ------
    InputError
        As of `to_jsonld`.
    """
    head = "".join(f"@prefix {prefix}: <{iri}> .\n" for prefix, iri in PREFIXES.items()).encode()
    nodes = _nodes(results, context)
    while batch := list(islice(nodes, _BATCH)):
        yield head + _triples(batch)
        head = b""


def _triples(nodes: list[dict[str, Any]]) -> bytes:
    """Return Turtle without its prefixes, subject by subject."""
    text = json.dumps({"@context": _JSON_CONTEXT, "@graph": nodes})
    by_subject: dict[object, list[pyoxigraph.Triple]] = {}
    for quad in pyoxigraph.parse(text, format=pyoxigraph.RdfFormat.JSON_LD):
        by_subject.setdefault(quad.subject, []).append(quad.triple)
    grouped = (triple for triples in by_subject.values() for triple in triples)
    turtle = io.BytesIO()
    pyoxigraph.serialize(grouped, turtle, pyoxigraph.RdfFormat.TURTLE, prefixes=PREFIXES)
    # Each prefix has a line at the top.
    return turtle.getvalue().split(b"\n", len(PREFIXES))[-1]


def _nodes(results: Iterable[Result], context: ExportContext) -> Iterator[dict[str, Any]]:
    """Yield everything that a document says, each node once in a result; what is null is not in the graph."""
    yield {"id": system_iri(context), "type": "prov:SoftwareAgent", "label": "FaceRec"}
    for result in results:
        yield from _video(result)
        yield _naming(result, context)
        described: set[str] = set()
        for fragment in media_fragments(result):
            who = owner_address(fragment.view, result, context)
            if who not in described:
                described.add(who)
                yield _owner(fragment, who)
            yield _annotation(fragment, who, result, context)


def _video(result: Result) -> Iterator[dict[str, Any]]:
    video, (width, height) = video_iri(result), square_size(result.video)
    yield {
        "id": video,
        "type": "ebucore:MediaResource",
        "label": result.video.name,
        "width": width,
        "height": height,
    }
    catalogue = result.video.catalogue
    if catalogue is not None and catalogue.programme is not None:
        yield {"id": to_iri(catalogue.programme), "isInstantiatedBy": video}


def _naming(result: Result, context: ExportContext) -> dict[str, Any]:
    model = result.model
    return {
        "id": naming_iri(result, context),
        "type": "prov:Activity",
        "comment": explain_result(result),
        "used": video_iri(result),
        "wasAssociatedWith": system_iri(context),
        "project": result.project,
        "revision": result.revision,
        "model": model.version,
        "embedder": model.embedder,
        "acceptedError": _decimal(model.max_false_names),
    }


def _owner(fragment: MediaFragment, who: str) -> dict[str, Any]:
    return {"id": who, "type": "foaf:Person", "label": fragment.view.label, "name": fragment.view.identity}


def _annotation(fragment: MediaFragment, who: str, result: Result, context: ExportContext) -> dict[str, Any]:
    view, video = fragment.view, video_iri(result)
    iri = annotation_iri(view, result, context)
    x, y, width, height = fragment.box_xywh
    return {
        "id": iri,
        "type": "oa:Annotation",
        "creator": {"id": to_iri(context.creator)} if has_scheme(context.creator) else context.creator,
        "created": created_at(context),
        "motivation": "oa:identifying",
        "wasGeneratedBy": naming_iri(result, context),
        "trackId": view.track_ids,
        "target": {
            "id": f"{video}#t=npt:{fragment.start},{fragment.end}&xywh={fragment.xywh}",
            "type": "ebucore:MediaFragment",
            "isMediaFragmentOf": video,
            "start": fragment.start,
            "end": fragment.end,
            "x": x,
            "y": y,
            "width": width,
            "height": height,
        },
        "body": {
            "id": f"{iri}-who",
            "type": ["nif:Annotation", "memad:VisualPersonIdentification"],
            "value": view.label,
            "who": who,
            "system": system_iri(context),
            "probability": _decimal(view.probability),
            "falseNameRate": _decimal(view.false_name_rate),
            "confirmed": view.confirmed,
        },
    }


def _decimal(value: float) -> str:
    """Return a number to six figures, without an exponent, which decimals of XML Schema do not have."""
    return f"{Decimal(f'{value:.6g}'):f}"

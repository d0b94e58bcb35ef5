"""What documents call videos, people and annotations: IRIs that stay the same from one export to the next."""

from __future__ import annotations

import re
from urllib.parse import quote

import pyoxigraph

from facerec_models.errors import InputError
from facerec_models.result import AppearanceView, Result
from serving.exports.export_format import ExportContext

# A scheme, and a host that is an IPv6 address: brackets are allowed nowhere else.
_BEGINNING = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?://\[[0-9A-Fa-f:.]+\])?")
# RFC 3987, without the private characters that it allows in queries alone.
_NOT_ALLOWED = re.compile(
    r"%(?![0-9A-Fa-f]{2})|[^%A-Za-z0-9._~:/?@!$&'()*+,;=\xa0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef\U00010000-\U000efffd-]"
)


def has_scheme(text: str) -> bool:
    """Whether a text is an address rather than a name.

    Examples
    --------
    >>> has_scheme("https://archive.example/staff"), has_scheme("mailto:a@archive.example"), has_scheme("Archive: film")
    (True, True, False)
    """
    return _BEGINNING.match(text) is not None and not re.search(r"\s", text)


def to_iri(text: str) -> str:
    """Return an address as an IRI: characters that may not be in one are percent-encoded.

    Raises
    ------
    InputError
        If it has no scheme, or a host or port that cannot be one.

    Examples
    --------
    >>> to_iri("file:///videos/50% of [it].mp4#t=1"), to_iri("https://archive.example/Růžena")
    ('file:///videos/50%25%20of%20%5Bit%5D.mp4#t=1', 'https://archive.example/Růžena')
    """
    beginning = _BEGINNING.match(text)
    if beginning is None:
        raise InputError(f"{text!r} has no scheme: documents of linked data need whole addresses, such as https://...")
    parts = text[beginning.end() :].split("#", 1)
    iri = beginning[0] + "#".join(_NOT_ALLOWED.sub(_encoded, part) for part in parts)
    try:
        pyoxigraph.NamedNode(iri)
    except ValueError as error:
        raise InputError(f"{text!r} is no address that linked data can refer to ({error}): correct it") from error
    return iri


def _encoded(character: re.Match[str]) -> str:
    return quote(character[0], safe="")


def video_iri(result: Result) -> str:
    """Return the IRI of a video: its address, in which ``#`` is encoded, so that media fragments can follow.

    Raises
    ------
    InputError
        As of `to_iri`.
    """
    return to_iri(result.video.uri).replace("#", "%23")


def system_iri(context: ExportContext) -> str:
    """Return the IRI of the system that gives names, at its own address."""
    return f"{to_iri(context.base_url)}/#facerec"


def video_address(result: Result, context: ExportContext) -> str:
    """Return where the service describes a video."""
    return f"{_project_address(result, context)}/videos/{quote(result.video.id, safe='')}"


def naming_iri(result: Result, context: ExportContext) -> str:
    """Return the IRI of the naming of a video by a revision of its project's model: a part of the service's answer."""
    return f"{video_address(result, context)}/result#{quote(result.revision, safe='')}"


def annotation_iri(view: AppearanceView, result: Result, context: ExportContext) -> str:
    """Return the IRI of the annotation of an appearance, by its first track, which no other appearance has."""
    return f"{naming_iri(result, context)}-{view.track_ids[0]}"


def owner_address(view: AppearanceView, result: Result, context: ExportContext) -> str:
    """Return where the service shows the person or the stranger who appears."""
    kind, name = ("strangers", view.stranger) if view.person_id is None else ("people", view.person_id)
    return f"{_project_address(result, context)}/{kind}/{quote(str(name), safe='')}"


def _project_address(result: Result, context: ExportContext) -> str:
    return f"{to_iri(context.base_url)}/v1/projects/{quote(result.project, safe='')}"

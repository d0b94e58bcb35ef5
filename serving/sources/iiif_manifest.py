"""IIIF Presentation 3 manifests: the first video, and what it tells of it.

See https://iiif.io/api/presentation/3.0/, for videos https://iiif.io/api/cookbook/recipe/0003-mvm-video/.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from bs4 import BeautifulSoup

from facerec_models.catalogue import Catalogue, CatalogueSegment, Channel
from facerec_models.errors import InputError
from serving.sources.addresses import printable
from serving.sources.content_kinds import is_playlist_type

_PRESENTATION = re.compile(r"https?://iiif\.io/api/presentation/(\d+)/context\.json")
_TIMES = re.compile(r"(?:^|&)t=(?:npt:)?(\d+(?:\.\d+)?)?(?:,(\d+(?:\.\d+)?))?(?=&|$)")
_LONGEST_TEXT = 10_000
_LONGEST_NAME = 100
# What pairs of metadata are called: their labels are free text.
_DATES = {
    "date",
    "dates",
    "created",
    "date created",
    "published",
    "publication date",
    "broadcast date",
    "issued",
    "datum",
    "année",
}
_RIGHTS = {"rights", "right", "licence", "license", "copyright", "terms of use", "rechte", "lizenz", "droits"}
_PROVIDERS = {
    "provider",
    "publisher",
    "channel",
    "broadcaster",
    "institution",
    "archive",
    "anbieter",
    "sender",
    "éditeur",
}
_GENRES = {"genre", "genres"}
_THEMES = {"subject", "subjects", "theme", "themes", "topic", "topics", "keyword", "keywords", "thema", "themen"}


@dataclass(frozen=True, slots=True)
class PaintedVideo:
    """What a manifest says of its first canvas with a video.

    Parameters
    ----------
    addresses : tuple of str
        Of the video's file; of a choice, all that are files, in their order.
    name : str or None
        The manifest's label, shortened, as a file may be called.
    catalogue : Catalogue
        Segments are in seconds of the file.
    """

    addresses: tuple[str, ...]
    name: str | None
    catalogue: Catalogue


@dataclass(frozen=True, slots=True)
class _Painting:
    """A video on a canvas.

    Parameters
    ----------
    bodies : list of dict
    shift_s : float
        Seconds of the file less seconds of the canvas.
    """

    canvas: dict[str, Any]
    bodies: list[dict[str, Any]]
    shift_s: float


def read_manifest(content: bytes, shown: str) -> PaintedVideo:
    """Read a manifest.

    Parameters
    ----------
    content : bytes
    shown : str
        What errors call its address; also its URI, if it does not say it.

    Raises
    ------
    InputError
        If it is no manifest of version 3, or paints no video that is a file.
    """
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{shown!r} is neither a video nor JSON that can be read: give the address of the video's file"
        ) from error
    _check_version(manifest, shown)
    painting = next(_paintings(manifest), None)
    if painting is None:
        raise InputError(f"the IIIF manifest {shown!r} paints no video: give the address of one that does")
    addresses = [body["id"] for body in painting.bodies if not is_playlist_type(_text(body.get("format")))]
    if not addresses:
        raise InputError(
            f"the IIIF manifest {shown!r} has its video as a playlist alone: fetch it with a downloader and submit the file"
        )
    catalogue = _catalogue(manifest, painting, shown)
    name = "".join(catalogue.titles[:1]).replace("/", "-")[:_LONGEST_NAME]
    return PaintedVideo(tuple(addresses), name or None, catalogue)


def _check_version(manifest: Any, shown: str) -> None:
    contexts = _dicts_or_texts(manifest.get("@context")) if isinstance(manifest, dict) else []
    versions = [found[1] for context in contexts if (found := _PRESENTATION.fullmatch(_text(context)))]
    if not versions:
        raise InputError(f"{shown!r} is JSON, but no IIIF manifest: give the address of the video's file")
    if versions[0] != "3":
        raise InputError(
            f"the IIIF manifest {shown!r} is of version {versions[0]}: only version 3 is read, give that one"
        )
    if manifest.get("type") != "Manifest":
        raise InputError(
            f"{shown!r} is a IIIF document of type {_text(manifest.get('type'))[:40]!r}, not a manifest: give one manifest"
        )


def _paintings(manifest: dict[str, Any]) -> Iterator[_Painting]:
    for canvas in _dicts(manifest.get("items")):
        for page in _dicts(canvas.get("items")):
            for annotation in _dicts(page.get("items")):
                if "painting" in _dicts_or_texts(annotation.get("motivation")):
                    bodies, span = _videos(annotation.get("body"))
                    if bodies:
                        _, on_canvas = _target(annotation.get("target"))
                        yield _Painting(canvas, bodies, span[0] - on_canvas[0])


def _videos(body: Any) -> tuple[list[dict[str, Any]], tuple[float, float]]:
    """Return the videos among bodies, and of the first the span that is painted."""
    found: list[tuple[dict[str, Any], tuple[float, float]]] = []
    for one in _dicts(body):
        for choice in _dicts(one.get("items")) if one.get("type") == "Choice" else [one]:
            span = _selected(choice)
            video = next(iter(_dicts(choice.get("source"))), {}) if choice.get("type") == "SpecificResource" else choice
            address, _, fragment = _text(video.get("id")).partition("#")
            if address and (video.get("type") == "Video" or _text(video.get("format")).startswith("video/")):
                found.append(({**video, "id": address}, span or _span(fragment) or _ALL))
    return [video for video, _ in found], found[0][1] if found else _ALL


def _catalogue(manifest: dict[str, Any], painting: _Painting, shown: str) -> Catalogue:
    metadata = [
        ({text.strip().rstrip(":").casefold() for text in _texts(pair.get("label"))}, _texts(pair.get("value")))
        for pair in _dicts(manifest.get("metadata"))
    ]

    def named(labels: set[str]) -> list[str]:
        return [text for names, values in metadata if names & labels for text in values]

    agents = [
        Channel(id=_text(agent.get("id")) or None, name=name)
        for agent in _dicts(manifest.get("provider"))
        for name in _texts(agent.get("label"))[:1]
    ]
    known = {agent.name for agent in agents}
    required = _texts(next(iter(_dicts(manifest.get("requiredStatement"))), {}).get("value"))
    duration_s = _number(painting.canvas.get("duration"))
    return Catalogue(
        uri=_text(manifest.get("id")) or shown,
        titles=_texts(manifest.get("label")),
        dates=_unique([*_texts(manifest.get("navDate")), *named(_DATES)]),
        channels=[*agents, *(Channel(name=name) for name in _unique(named(_PROVIDERS)) if name not in known)],
        genres=_unique(named(_GENRES)),
        themes=_unique(named(_THEMES)),
        rights=_unique([*_texts(manifest.get("rights")), *named(_RIGHTS), *required]),
        duration=None if duration_s is None else f"PT{duration_s:g}S",
        segments=list(_segments(manifest, painting, math.inf if duration_s is None else duration_s)),
    )


def _segments(manifest: dict[str, Any], painting: _Painting, duration_s: float) -> Iterator[CatalogueSegment]:
    """Yield the temporal ranges of the painted canvas, in the order of the table of contents."""
    waiting = _dicts(manifest.get("structures"))[::-1]
    while waiting:
        part = waiting.pop()
        waiting += _dicts(part.get("items"))[::-1] if part.get("type") == "Range" else []
        if part.get("type") != "Range":
            continue
        label = next(iter(_texts(part.get("label"))), "")
        for item in _dicts(part.get("items")):
            canvas, (start_s, end_s) = _target(item)
            start_s, end_s = max(start_s + painting.shift_s, 0.0), min(end_s, duration_s) + painting.shift_s
            is_whole = math.isinf(end_s)
            if label and canvas == _text(painting.canvas.get("id")) and start_s < end_s and not is_whole:
                yield CatalogueSegment(label=label, start_s=start_s, end_s=end_s)


_ALL = (0.0, math.inf)


def _target(target: Any) -> tuple[str, tuple[float, float]]:
    """Return a canvas' id, and which seconds of it are meant."""
    if isinstance(target, dict):
        if target.get("type") == "SpecificResource":
            source = target.get("source")
            canvas, span = _target(source)
            return canvas, _selected(target) or span
        target = target.get("id")
    canvas, _, fragment = _text(target).partition("#")
    return canvas, _span(fragment) or _ALL


def _selected(resource: dict[str, Any]) -> tuple[float, float] | None:
    spans = [_span(_text(selector.get("value"))) for selector in _dicts(resource.get("selector"))]
    return next((span for span in spans if span is not None), None)


def _span(fragment: str) -> tuple[float, float] | None:
    """Return the seconds of a media fragment: https://www.w3.org/TR/media-frags/#naming-time."""
    found = _TIMES.search(unquote(fragment))
    return None if found is None else (float(found[1] or 0.0), float(found[2] or math.inf))


def _texts(value: Any) -> list[str]:
    """Return the texts of a string, or of all languages, without their HTML."""
    found = (
        [text for texts in value.values() for text in _dicts_or_texts(texts)] if isinstance(value, dict) else [value]
    )
    return _unique([plain for text in found if isinstance(text, str) and (plain := _plain(text[:_LONGEST_TEXT]))])


def _plain(text: str) -> str:
    """Return a text in one line that shows; one that begins with a tag is HTML, as the specification has it."""
    if text.startswith("<"):
        text = BeautifulSoup(text, "html.parser").get_text(" ", strip=True)
    return printable(" ".join(text.split()))


def _unique(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer of JSON may have any number of digits
        return None
    return number if math.isfinite(number) and number > 0 else None


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [part for part in _dicts_or_texts(value) if isinstance(part, dict)]


def _dicts_or_texts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]

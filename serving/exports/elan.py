"""Who is in view, as a document of ELAN, in which linguists and archivists annotate."""

from __future__ import annotations

import mimetypes
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, count
from typing import Self

from pympi import Elan

from facerec_models.result import AppearanceView, Result
from serving.exports.export_format import ExportContext
from serving.exports.provenance import explain_result

_VERSION = "3.0"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
# What ELAN itself calls a video whose kind it does not know.
_UNKNOWN_VIDEO = "video/*"


def to_eaf(results: Iterable[Result], context: ExportContext) -> Iterator[bytes]:
    """Yield a tier for each person, then for each stranger, with an annotation for each appearance; undecidable ones come last.

    An annotation says the label; an undecidable one, why it cannot be decided. Annotations of a tier do not overlap in ELAN and last a
    millisecond at least: an appearance that begins before the last one of its label ends is in a second tier, ``Label (2)``.
    """
    for result in results:
        document = Elan.Eaf(author=context.creator)
        document.adocument |= {
            "DATE": context.created.isoformat(timespec="seconds"),
            "VERSION": _VERSION,
            "FORMAT": _VERSION,
            "xsi:noNamespaceSchemaLocation": _SCHEMA,
        }
        document.header |= {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
        media_type, _ = mimetypes.guess_type(result.video.uri)
        document.add_linked_file(result.video.uri, mimetype=media_type or _UNKNOWN_VIDEO)
        document.properties[:] = [("provenance", explain_result(result))]
        if result.video.start_timecode is not None:
            document.properties.append(("start timecode", result.video.start_timecode))
        document.tiers.clear()
        _annotate(document, _tiers(result))
        yield b'<?xml version="1.0" encoding="UTF-8"?>\n' + Elan.to_string(document, encoding="UTF-8") + b"\n"


@dataclass(frozen=True, slots=True)
class _Annotation:
    """An appearance in whole milliseconds, one at least."""

    start_ms: int
    end_ms: int
    text: str

    @classmethod
    def of(cls, view: AppearanceView) -> Self:
        start_ms = round(view.start_s * 1000)
        end_ms = max(round(view.end_s * 1000), start_ms + 1)
        return cls(start_ms, end_ms, view.label if view.reason is None else view.reason)


def _tiers(result: Result) -> dict[str, list[_Annotation]]:
    """Return the appearances of each tier, none of which overlap, ascending."""
    by_label: defaultdict[tuple[int, str], list[list[_Annotation]]] = defaultdict(list)
    for view in sorted(result.appearances, key=lambda view: view.start_s):
        rank = 0 if view.person_id is not None else 1 if view.stranger is not None else 2
        new = _Annotation.of(view)
        lanes = by_label[rank, view.label]
        free = next((lane for lane in lanes if lane[-1].end_ms <= new.start_ms), None)
        if free is None:
            lanes.append(free := [])
        free.append(new)
    tiers: dict[str, list[_Annotation]] = {}
    # Those who are seen first come first.
    for (_, label), lanes in sorted(by_label.items(), key=lambda item: item[0][0]):
        names = chain([label], (f"{label} ({number})" for number in count(2)))
        for lane in lanes:
            tiers[next(name for name in names if name not in tiers)] = lane
    return tiers


def _annotate(document: Elan.Eaf, tiers: dict[str, list[_Annotation]]) -> None:
    """Add all annotations. Each has two time slots of its own, and slots are in the order of time: ELAN moves them with it."""
    annotations = [(name, annotation) for name, lane in tiers.items() for annotation in lane]
    edges = [(edge, number) for number, (_, one) in enumerate(annotations) for edge in (one.start_ms, one.end_ms)]
    slots: defaultdict[int, list[str]] = defaultdict(list)
    for edge, number in sorted(edges):
        slots[number].append(document.generate_ts_id(edge))
    for name in tiers:
        document.add_tier(name)
    for number, (name, one) in enumerate(annotations):
        first, last = slots[number]
        # What `add_annotation` does, but for its slots.
        document.tiers[name][0][document.generate_annotation_id()] = first, last, one.text, None

"""A result as a IIIF Presentation 3 manifest: viewers show the video with who is seen where and when."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterable, Iterator
from typing import Any

from facerec_models.result import AppearanceView, Result
from serving.exports.export_format import ExportContext
from serving.exports.labels import one_in
from serving.exports.linked.iris import annotation_iri, has_scheme, to_iri, video_address
from serving.exports.linked.json_stream import stream_list
from serving.exports.linked.media_fragments import MediaFragment, media_fragments, square_size
from serving.exports.provenance import created_at, explain_result

_CONTEXT = "http://iiif.io/api/presentation/3/context.json"
_MEDIA_FRAGMENTS = "http://www.w3.org/TR/media-frags/"
# What `rights` may be, by the names of licences and statements, which begin with http even where pages are reached by https.
_RIGHTS = re.compile(
    r"https?://(?P<name>creativecommons\.org/(?:licenses|publicdomain)/\S+|rightsstatements\.org/vocab/\S+)"
)


def to_iiif(results: Iterable[Result], context: ExportContext) -> Iterator[bytes]:
    """Yield the manifest of a video, with one annotation for each appearance of a person or stranger.

    An annotation's thumbnail is the best crop, if it has an address of the service or on the web.
    """
    for result in results:
        annotations = (_annotation(fragment, result, context) for fragment in media_fragments(result))
        yield from stream_list(_manifest(result, context), annotations)


def _manifest(result: Result, context: ExportContext) -> dict[str, Any]:
    """Return the document; the last thing in it is the empty list of annotations."""
    catalogue = result.video.catalogue
    titles = catalogue.titles if catalogue else []
    stated = catalogue.rights if catalogue else []
    licence = next((found for found in map(_RIGHTS.fullmatch, stated) if found), None)
    metadata = {
        "Project": [result.project],
        "Model": [result.model.version or "nobody enrolled"],
        "Revision": [result.revision],
        "Accepted error": [one_in(result.model.max_false_names)],
        "Rights": [text for text in stated if licence is None or text != licence[0]],
    }
    return {
        "@context": _CONTEXT,
        "id": f"{video_address(result, context)}/export?format=iiif",
        "type": "Manifest",
        "label": {"none": titles or [result.video.name]},
        "metadata": [{"label": {"en": [name]}, "value": {"none": found}} for name, found in metadata.items() if found],
        "requiredStatement": {"label": {"en": ["How names came about"]}, "value": {"en": [explain_result(result)]}},
        **({} if licence is None else {"rights": f"http://{licence['name']}"}),
        "items": [_canvas(result, context)],
    }


def _canvas(result: Result, context: ExportContext) -> dict[str, Any]:
    canvas = _canvas_id(result, context)
    width, height = square_size(result.video)
    # A header may promise less than there is.
    ends_s = [result.video.duration_s, *(end_s for _, end_s in result.shots), *(v.end_s for v in result.appearances)]
    extent = {"width": width, "height": height, "duration": max(round(max(ends_s), 3), 0.001)}
    media_type, _ = mimetypes.guess_type(result.video.name)
    painting = {
        "id": f"{canvas}/painting/video",
        "type": "Annotation",
        "motivation": "painting",
        "body": {
            "id": f"{video_address(result, context)}/file",
            "type": "Video",
            **({"format": media_type} if media_type and media_type.startswith("video/") else {}),
            **extent,
        },
        "target": canvas,
    }
    return {
        "id": canvas,
        "type": "Canvas",
        **extent,
        "items": [{"id": f"{canvas}/painting", "type": "AnnotationPage", "items": [painting]}],
        "annotations": [{"id": f"{canvas}/annotations", "type": "AnnotationPage", "items": []}],
    }


def _annotation(fragment: MediaFragment, result: Result, context: ExportContext) -> dict[str, Any]:
    thumbnail = _thumbnail(fragment.view, context)
    return {
        "id": annotation_iri(fragment.view, result, context),
        "type": "Annotation",
        "motivation": "tagging",
        "creator": to_iri(context.creator) if has_scheme(context.creator) else {"name": context.creator},
        "created": created_at(context),
        **({} if thumbnail is None else {"thumbnail": [thumbnail]}),
        "body": {"type": "TextualBody", "value": fragment.view.label, "format": "text/plain"},
        "target": {
            "type": "SpecificResource",
            "source": _canvas_id(result, context),
            "selector": {
                "type": "FragmentSelector",
                "conformsTo": _MEDIA_FRAGMENTS,
                "value": f"xywh={fragment.xywh}&t={fragment.start},{fragment.end}",
            },
        },
    }


def _thumbnail(view: AppearanceView, context: ExportContext) -> dict[str, str] | None:
    for crop in view.evidence.crops[:1]:
        if crop.url.startswith(("/", "http://", "https://")):
            address = f"{context.base_url}{crop.url}" if crop.url.startswith("/") else crop.url
            return {"id": to_iri(address), "type": "Image", "format": "image/jpeg"}
    return None


def _canvas_id(result: Result, context: ExportContext) -> str:
    return f"{video_address(result, context)}/canvas"

"""A result as a IIIF Presentation 3 manifest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from iiif_prezi3 import Manifest

from facerec_models.catalogue import Catalogue
from facerec_models.result import Result
from serving.exports.linked.iiif import to_iiif
from serving.exports.provenance import explain_result
from tests.results import CONTEXT, Box, Seen, make_result, written

BOX: Box = (100, 50, 180, 150)
VIDEO = "http://127.0.0.1:8000/v1/projects/default/videos/v-1"


def manifest_of(result: Result, creator: str = CONTEXT.creator) -> Any:
    """Return a manifest that is valid by the official schema."""
    text = b"".join(to_iiif([result], replace(CONTEXT, creator=creator)))
    document = json.loads(text)
    Manifest.model_validate_json(text)
    return document


def annotations_of(manifest: Any) -> list[Any]:
    (canvas,) = manifest["items"]
    (page,) = canvas["annotations"]
    assert page["type"] == "AnnotationPage"
    return list(page["items"])


def nodes(part: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a document that has an id and is described there."""
    if isinstance(part, dict):
        if "id" in part:
            yield part
        for value in part.values():
            yield from nodes(value)
    elif isinstance(part, list):
        for value in part:
            yield from nodes(value)


def test_a_manifest_shows_the_video_and_tags_who_is_seen() -> None:
    result = make_result(
        Seen("Ann Lee", 1.5, 3.25, [(2.0, BOX)]),
        Seen("Unknown 2", 0.0, 0.0, [(0.0, BOX)]),
        Seen("Undecidable", 3.0, 4.0, [(3.0, BOX)]),
    )
    manifest = manifest_of(result)
    assert manifest["@context"] == "http://iiif.io/api/presentation/3/context.json"
    assert (manifest["type"], manifest["id"]) == ("Manifest", f"{VIDEO}/export?format=iiif")
    assert manifest["label"] == {"none": ["interview.mp4"]}
    (canvas,) = manifest["items"]
    extent = {"width": 640, "height": 360, "duration": 4.0}
    assert canvas.items() >= {"type": "Canvas", **extent}.items()
    (page,) = canvas["items"]
    (painting,) = page["items"]
    assert (painting["motivation"], painting["target"]) == ("painting", canvas["id"])
    assert painting["body"] == {"id": f"{VIDEO}/file", "type": "Video", "format": "video/mp4", **extent}
    unknown, named = annotations_of(manifest)
    assert named == {
        "id": f"{VIDEO}/result#r-1-1",
        "type": "Annotation",
        "motivation": "tagging",
        "creator": {"name": "Archive"},
        "created": "2026-05-04T12:30:00Z",
        "body": {"type": "TextualBody", "value": "Ann Lee", "format": "text/plain"},
        "target": {
            "type": "SpecificResource",
            "source": canvas["id"],
            "selector": {
                "type": "FragmentSelector",
                "conformsTo": "http://www.w3.org/TR/media-frags/",
                "value": "xywh=100,50,80,100&t=1.500,3.250",
            },
        },
    }
    assert unknown["body"]["value"] == "Unknown 2"
    assert unknown["target"]["selector"]["value"] == "xywh=100,50,80,100&t=0.000,0.001"


def test_ids_are_unique_web_addresses_and_texts_are_language_maps() -> None:
    result = make_result(*[Seen("Ann Lee", i, i + 0.5, [(i, BOX)], crops=[(i, "/v1/c.jpg")]) for i in range(3)])
    manifest = manifest_of(result, creator="https://archive.example/staff")
    found = [node["id"] for node in nodes(manifest) if node.get("type") != "Image"]
    assert len(found) == len(set(found)) == 9
    assert all(re.fullmatch(r"https?://[^\s<>\"]+", one) for one in found)
    assert "#" not in manifest["items"][0]["id"]
    texts = [manifest["label"], *manifest["requiredStatement"].values()]
    texts += [text for pair in manifest["metadata"] for text in pair.values()]
    assert all(isinstance(value, list) and key in {"en", "none"} for text in texts for key, value in text.items())
    assert {one["creator"] for one in annotations_of(manifest)} == {"https://archive.example/staff"}


def test_a_manifest_says_by_what_names_were_given_and_that_they_are_leads() -> None:
    manifest = manifest_of(result := make_result())
    assert {pair["label"]["en"][0]: pair["value"]["none"][0] for pair in manifest["metadata"]} == {
        "Project": "default",
        "Model": "m-1",
        "Revision": "r-1",
        "Accepted error": "1 in 200",
    }
    assert manifest["requiredStatement"]["value"] == {"en": [explain_result(result)]}
    assert annotations_of(manifest) == []


@pytest.mark.parametrize(
    ("stated", "rights", "text"),
    [
        (["https://creativecommons.org/licenses/by/4.0/"], "http://creativecommons.org/licenses/by/4.0/", None),
        (["Ask us", "http://rightsstatements.org/vocab/InC/1.0/"], "http://rightsstatements.org/vocab/InC/1.0/", ["Ask us"]),
        (["https://archive.example/terms"], None, ["https://archive.example/terms"]),
        (["see http://creativecommons.org/licenses/by/4.0/"], None, ["see http://creativecommons.org/licenses/by/4.0/"]),
        ([], None, None),
    ],
)  # fmt: skip
def test_rights_are_licences_that_iiif_knows(stated: list[str], rights: str | None, text: list[str] | None) -> None:
    catalogue = Catalogue(uri="https://a.example/1", titles=["Le journal", "The news"], rights=stated)
    manifest = manifest_of(make_result(catalogue=catalogue))
    assert manifest["label"] == {"none": ["Le journal", "The news"]}
    assert manifest.get("rights") == rights
    told = [pair["value"]["none"] for pair in manifest["metadata"] if pair["label"]["en"] == ["Rights"]]
    assert told == ([] if text is None else [text])


def test_the_canvas_has_square_pixels_and_reaches_to_the_last_moment() -> None:
    result = make_result(
        Seen("Ann Lee", 4.0, 5.5, [(4.0, BOX)]), size=(720, 576), sample_aspect_ratio=64 / 45, duration_s=4.0
    )
    manifest = manifest_of(result)
    (canvas,) = manifest["items"]
    assert (canvas["width"], canvas["height"], canvas["duration"]) == (1024, 576, 5.5)
    (annotation,) = annotations_of(manifest)
    assert annotation["target"]["selector"]["value"] == "xywh=142,50,114,100&t=4.000,5.500"


@pytest.mark.parametrize(
    ("crop", "address"),
    [
        ("/v1/crops/1/0.jpg", "http://127.0.0.1:8000/v1/crops/1/0.jpg"),
        ("https://pictures.example/0.jpg", "https://pictures.example/0.jpg"),
        ("file:///home/crops/0.jpg", None),
    ],
)
def test_a_thumbnail_is_a_crop_that_readers_can_reach(crop: str, address: str | None) -> None:
    (annotation,) = annotations_of(manifest_of(make_result(Seen("Ann Lee", 0, 1, [(0, BOX)], crops=[(0, crop)]))))
    expected = None if address is None else [{"id": address, "type": "Image", "format": "image/jpeg"}]
    assert annotation.get("thumbnail") == expected


def test_a_file_that_is_not_known_to_be_a_video_has_no_format() -> None:
    manifest = manifest_of(make_result(uri="file:///videos/tape-7"))
    assert "format" not in manifest["items"][0]["items"][0]["items"][0]["body"]


def test_many_appearances_leave_in_pieces() -> None:
    many = make_result(*[Seen('Ann "[]" Lee', i, i + 1, [(i, BOX)]) for i in range(1000)])
    pieces = list(to_iiif([many], CONTEXT))
    assert len(pieces) > 5
    assert max(map(len, pieces)) < 1 << 17
    assert len(annotations_of(json.loads(written(to_iiif, many)))) == 1000

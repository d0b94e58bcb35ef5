"""Of a IIIF manifest the first video is fetched, and what it says of it is kept."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from facerec_models.catalogue import CatalogueSegment, Channel
from facerec_models.errors import InputError, SourceError
from serving.sources.iiif_manifest import read_manifest
from serving.sources.registry import resolve
from tests.unit.serving.sources.web import FILM, ByteRanges, Server, brings, context, kept_files

CONTEXT = "http://iiif.io/api/presentation/3/context.json"
CANVAS = "https://example.org/canvas/1"


def video(address: str = "https://example.org/a.mp4", kind: str = "video/mp4", **more: Any) -> dict[str, Any]:
    return {"id": address, "type": "Video", "format": kind, **more}


def canvas(body: Any, address: str = CANVAS, *, target: Any = None, motivation: Any = "painting") -> dict[str, Any]:
    annotation = {
        "type": "Annotation",
        "motivation": motivation,
        "body": body,
        "target": address if target is None else target,
    }
    return {
        "id": address,
        "type": "Canvas",
        "duration": 120.5,
        "items": [{"type": "AnnotationPage", "items": [annotation]}],
    }


def manifest(*canvases: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "@context": CONTEXT,
        "id": "https://example.org/manifest",
        "type": "Manifest",
        "label": {"en": ["Evening news"], "de": ["Abendschau"]},
        "items": list(canvases),
        **more,
    }


def read(document: Any) -> Any:
    return read_manifest(json.dumps(document).encode(), "https://example.org/m.json")


def chapter(label: str, *items: Any) -> dict[str, Any]:
    return {"type": "Range", "label": {"en": [label]}, "items": list(items)}


def on(fragment: str, address: str = CANVAS) -> dict[str, str]:
    return {"type": "Canvas", "id": address + fragment}


def test_the_video_of_a_manifest_is_fetched_and_described(web: Server, tmp_path: Path) -> None:
    film = web.put("/films/news.mp4", ByteRanges(FILM))
    document = json.dumps(manifest(canvas(video(film)))).encode()
    address = web.put("/manifest.json", brings(document, Content_Type="application/ld+json"))
    found = resolve(address, context(tmp_path))
    assert found.file.read_bytes() == FILM
    assert (found.uri, found.name) == (film, "Evening news")
    assert found.catalogue is not None
    assert found.catalogue.uri == "https://example.org/manifest"
    assert len(kept_files(tmp_path)) == 1


def test_of_a_choice_the_first_that_can_be_read_is_taken(web: Server, tmp_path: Path) -> None:
    choice = {
        "type": "Choice",
        "items": [
            video(f"{web.url}/a.m3u8", "application/vnd.apple.mpegurl"),
            video(f"{web.url}/gone.webm", "video/webm"),
            video(web.put("/a.mp4", brings(FILM))),
            video(f"{web.url}/never.mp4"),
        ],
    }
    document = json.dumps(manifest(canvas(choice))).encode()
    assert resolve(web.put("/m", brings(document)), context(tmp_path)).uri == f"{web.url}/a.mp4"
    assert [request.path for request in web.requests] == ["/m", "/gone.webm", "/a.mp4"]


def test_what_is_wrong_with_the_last_choice_is_told(web: Server, tmp_path: Path) -> None:
    document = json.dumps(manifest(canvas(video(f"{web.url}/gone.mp4")))).encode()
    with pytest.raises(SourceError, match=r"gone\.mp4' answered 404"):
        resolve(web.put("/m", brings(document)), context(tmp_path))


def test_a_manifest_does_not_lead_to_another_one(web: Server, tmp_path: Path) -> None:
    address = f"{web.url}/m"
    web.put("/m", brings(json.dumps(manifest(canvas(video(address)))).encode()))
    with pytest.raises(InputError, match="is a document"):
        resolve(address, context(tmp_path))
    assert len(web.requests) == 2


def test_the_first_canvas_with_a_video_counts() -> None:
    image = {"id": "https://example.org/a.jpg", "type": "Image", "format": "image/jpeg"}
    found = read(
        manifest(
            canvas(image, f"{CANVAS}/0"),
            canvas(video("https://example.org/note.mp4"), f"{CANVAS}/1", motivation="supplementing"),
            canvas(video("https://example.org/b.mp4#t=10"), motivation=["painting"]),
            canvas(video("https://example.org/c.mp4"), f"{CANVAS}/3"),
        )
    )
    assert found.addresses == ("https://example.org/b.mp4",)


def test_what_a_manifest_says_is_in_the_catalogue() -> None:
    def pair(label: str, *values: str) -> dict[str, Any]:
        return {"label": {"en": [label]}, "value": {"none": list(values)}}

    found = read(
        manifest(
            canvas(video()),
            metadata=[
                pair("Topic", "<i>\x1b[1m</i>", "  \n"),
                pair("Date:", "1969-07-20"),
                pair("Publisher", "Tagesschau", "ARD"),
                pair("Genre", "News"),
                pair("Subjects", "Moon", "Apollo 11"),
                pair("Licence", "<span>In <b>copyright</b></span>"),
                pair("Colour", "black and white"),
            ],
            rights="http://rightsstatements.org/vocab/InC/1.0/",
            requiredStatement=pair("Attribution", "Courtesy of ARD"),
            provider=[{"id": "https://ard.example", "type": "Agent", "label": {"de": ["ARD"], "en": ["ARD Archive"]}}],
            navDate="1969-07-20T20:17:40Z",
        )
    ).catalogue
    assert found.titles == ["Evening news", "Abendschau"]
    assert found.dates == ["1969-07-20T20:17:40Z", "1969-07-20"]
    assert found.channels == [Channel(id="https://ard.example", name="ARD"), Channel(name="Tagesschau")]
    assert (found.genres, found.themes) == (["News"], ["[1m", "Moon", "Apollo 11"])
    assert found.rights == ["http://rightsstatements.org/vocab/InC/1.0/", "In copyright", "Courtesy of ARD"]
    assert found.duration == "PT120.5S"


def test_a_label_becomes_a_name_that_a_file_may_have() -> None:
    found = read(manifest(canvas(video()), label={"en": ["News 1/2: " + "x" * 20_000]}))
    assert found.name == "News 1-2: " + "x" * 90
    assert read(manifest(canvas(video()), label={"en": [" "]})).name is None


def test_temporal_ranges_become_segments() -> None:
    selected = {
        "type": "SpecificResource",
        "source": on(""),
        "selector": {"type": "FragmentSelector", "value": "t=npt:100,500"},
    }
    found = read(
        manifest(
            canvas(video()),
            structures=[
                chapter("All", chapter("Opening", on("#t=0,12.5")), chapter("Talk", on("#xywh=1,2,3,4&t=12.5,60"))),
                chapter("To the end", selected),
                chapter("Whole", on("")),
                chapter("Elsewhere", on("#t=1,2", f"{CANVAS}/2")),
                chapter("Backwards", on("#t=9,3")),
                {"type": "Range", "items": [on("#t=1,2")]},
            ],
        )
    )
    assert found.catalogue.segments == [
        CatalogueSegment(label="Opening", start_s=0.0, end_s=12.5),
        CatalogueSegment(label="Talk", start_s=12.5, end_s=60.0),
        CatalogueSegment(label="To the end", start_s=100.0, end_s=120.5),
        CatalogueSegment(label="Whole", start_s=0.0, end_s=120.5),
    ]


@pytest.mark.parametrize("duration", [10**400, -1, 0, True, "90", math.inf, math.nan])
def test_a_duration_that_is_no_number_of_seconds_counts_as_none(duration: Any) -> None:
    document = manifest(canvas(video()))
    document["items"][0]["duration"] = duration
    assert read(document).catalogue.duration is None


def test_segments_are_in_seconds_of_the_file() -> None:
    whole = manifest(
        canvas(video("https://example.org/a.mp4#t=100,200"), target=f"{CANVAS}#t=10,110"),
        structures=[chapter("Opening", on("#t=20,30"))],
    )
    assert read(whole).catalogue.segments == [CatalogueSegment(label="Opening", start_s=110.0, end_s=120.0)]


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ({"a": 1}, "no IIIF manifest"),
        ({"@context": "http://iiif.io/api/presentation/2/context.json", "@type": "sc:Manifest"}, "version 2"),
        ({"@context": ["http://www.w3.org/ns/anno.jsonld", CONTEXT], "type": "Collection"}, "'Collection'"),
        (manifest(), "paints no video"),
        (manifest(canvas(video(kind="application/dash+xml"))), "playlist"),
        (manifest({"items": "nonsense"}, {"items": [{"items": [7, None, {"motivation": 3}]}]}), "paints no video"),
    ],
)
def test_what_cannot_be_taken_is_refused(document: Any, word: str) -> None:
    with pytest.raises(InputError, match=word):
        read(document)


def test_a_manifest_with_nonsense_beside_its_video_is_read() -> None:
    nonsense: list[Any] = [7, None, "x", ["y"], {"label": 3, "value": {"en": 4}}, {"type": "Range", "items": {"id": 5}}]
    document = manifest(
        canvas(video()), metadata=nonsense, structures=nonsense, provider=nonsense, rights=7, navDate=[]
    )
    document["items"][0]["duration"] = "long"
    found = read(document)
    assert found.addresses == ("https://example.org/a.mp4",)
    assert (found.catalogue.segments, found.catalogue.duration) == ([], None)

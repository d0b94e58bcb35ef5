"""Everything of ours that reads what others wrote: ``python -m tests.fuzz.parsers``.

What cannot be read is a `FacerecError` that says why, and never any other exception.
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
from hypothesis import strategies as st

from facerec_models.analysis.embedders.manifest import read_manifest as read_network
from facerec_models.analysis.reading.video import Video
from facerec_models.config import LimitsConfig
from facerec_models.errors import FacerecError
from facerec_models.images import read_image
from facerec_models.names import check_project_name, file_name_of, person_id_of
from facerec_models.video_writer import VideoWriter
from serving.archive.handle import Archive
from serving.archive.returned_table import read_corrections
from serving.archive.search.cursors import read_cursor, write_cursor
from serving.settings import Settings
from serving.sources.graph_config import read_graph
from serving.sources.iiif_manifest import read_manifest
from tests.fuzz.command import parse
from tests.fuzz.mutation import contents, documents
from training.batch_table import parse_span, read_batch
from training.evaluation.truth import read_truths
from training.pictures import find_pictures

_MANIFEST = {
    "@context": "http://iiif.io/api/presentation/3/context.json",
    "id": "https://example.org/manifest",
    "type": "Manifest",
    "label": {"en": ["A film"]},
    "summary": {"none": ["About <b>it</b>"]},
    "metadata": [{"label": {"en": ["Date"]}, "value": {"en": ["1950"]}}],
    "items": [
        {
            "id": "https://example.org/c",
            "type": "Canvas",
            "duration": 20.0,
            "items": [
                {
                    "type": "AnnotationPage",
                    "items": [
                        {
                            "type": "Annotation",
                            "motivation": "painting",
                            "target": "https://example.org/c#t=0,10",
                            "body": {
                                "id": "https://example.org/a.mp4",
                                "type": "Video",
                                "format": "video/mp4",
                                "duration": 10,
                            },
                        }
                    ],
                }
            ],
        }
    ],
    "structures": [
        {"type": "Range", "label": {"en": ["Part"]}, "items": [{"id": "https://example.org/c#t=1,2", "type": "Canvas"}]}
    ],
}
_GRAPH = {
    "name": "films",
    "prefixes": ["http://example.org/"],
    "endpoint": "http://127.0.0.1/sparql",
    "locator": "SELECT ?locator WHERE { <{uri}> <x:y> ?locator }",
}
_NETWORK = {"name": "mine", "file": "a.onnx", "input": [3, 112, 112], "size": 512, "mean": 0.5, "std": 0.5}
_TRUTH = {
    "video": "a.mp4",
    "people": [{"name": "Ada", "spans": [{"start_s": 0, "end_s": 1}]}],
    "strangers": [{"spans": [{"start_s": 0, "end_s": 1}]}],
}
_LIST = "video,track,decision,person\nv-aaaaaaaaaaaaaaaa,3,is,Ada\n"
_EXPORTED = (
    "video,name,label,person_id,identity,stranger,start_s,end_s,track_ids,video_id,analysis_id,exported_person_id\n"
    + ",".join("x" * 12)
)


@dataclass(frozen=True)
class Parser:
    """A function and what it is given."""

    name: str
    read: Callable[[Any], object]
    given: st.SearchStrategy[Any]


def parsers(folder: Path) -> list[Parser]:
    """Return all of them; files go below a folder."""
    settings = Settings(home=folder / "home")
    archive = Archive.of(settings)
    archive.store.create_project("p")

    def file(name: str, content: bytes) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def as_json(document: Any) -> bytes:
        return json.dumps(document).encode()

    def truths(content: bytes, name: str) -> object:
        place = folder / "truth" / name
        for old in (folder / "truth").glob("*"):
            old.unlink()
        file(f"truth/{name}", content)
        return read_truths(place if name.endswith(".csv") else place.parent)

    def pictures(content: bytes) -> object:
        file("people/Ada/a.jpg", b"x")
        file("people/disabled.txt", content)
        return find_pictures(folder / "people")

    def opened(content: bytes) -> object:
        with Video(file("clip.mp4", content), LimitsConfig(max_frame_pixels=10**6)) as video:
            return sum(1 for _, _ in zip(range(20), video.frames(), strict=False))

    def corrections(name: str) -> Callable[[bytes], object]:
        return lambda data: read_corrections(archive, "p", name, data, lambda given: given)

    text = st.text(max_size=300)
    return [
        Parser("IIIF manifest", lambda given: read_manifest(as_json(given), "m"), documents([_MANIFEST])),
        Parser("IIIF manifest, bytes", lambda given: read_manifest(given, "m"), contents([as_json(_MANIFEST)])),
        Parser("graph", lambda given: read_graph(str(file("g.yaml", as_json(given)))), documents([_GRAPH])),
        Parser("graph, bytes", lambda given: read_graph(str(file("g.yaml", given))), contents([as_json(_GRAPH)])),
        Parser("network", lambda given: read_network(file("n.yaml", as_json(given))), documents([_NETWORK])),
        Parser("network, bytes", lambda given: read_network(file("n.yaml", given)), contents([as_json(_NETWORK)])),
        Parser("truth", lambda given: truths(as_json(given), "a.json"), documents([_TRUTH])),
        Parser("truth, bytes", lambda given: truths(given, "a.json"), contents([as_json(_TRUTH)])),
        Parser(
            "truth, WebVTT",
            lambda given: truths(given, "a.vtt"),
            contents([b"WEBVTT\n\n00:00.000 --> 00:02.000\n<v Ada>Ada\n"]),
        ),
        Parser(
            "truth, CSV", lambda given: truths(given, "a.csv"), contents([b"video,person,start,end\na.mp4,Ada,0,1\n"])
        ),
        Parser("disabled.txt", pictures, contents([b"Ada/a.jpg\n# note\nBob/b.png\n"])),
        Parser("returned list", corrections("t.csv"), contents([_LIST.encode(), _EXPORTED.encode()])),
        Parser("returned workbook", corrections("t.xlsx"), contents([_workbook()])),
        Parser(
            "batch",
            lambda given: read_batch(io.StringIO(given.decode("utf-8", "replace"), newline=""), "b.csv"),
            contents([b"media,start,end,person\na.mp4,0:01,00:00:02.5,Ada\n"]),
        ),
        Parser("span", lambda given: parse_span(*given), st.tuples(text, text)),
        Parser("cursor", lambda given: read_cursor("s", given, str, float, int), text),
        Parser(
            "cursor, changed",
            lambda given: read_cursor("s", given.decode("latin-1"), str, float, int),
            contents([write_cursor("s", ["v", 1.0, 2]).encode()]),
        ),
        Parser("person", person_id_of, text),
        Parser("project", check_project_name, text),
        Parser("file name", lambda given: file_name_of(given, "x"), text),
        Parser("video", opened, contents([_clip(folder)])),
        Parser("picture", lambda given: read_image(given, LimitsConfig(), name="a"), contents([_picture()])),
    ]


def fuzz(seed: int, examples: int, names: frozenset[str] = frozenset()) -> Counter[str]:
    """Give so many examples to each parser; return how many were read and how many refused."""
    counts: Counter[str] = Counter()
    failures: list[Exception] = []
    with tempfile.TemporaryDirectory(prefix="facerec-fuzz-") as place:
        for parser in parsers(Path(place)):
            if names and parser.name not in names:
                continue

            try:
                _fuzz_one(parser, seed, examples, counts)
            except Exception as error:
                error.add_note(f"of the parser: {parser.name}")
                failures.append(error)
    if failures:
        raise ExceptionGroup("parsers have failed", failures)
    return counts


def _fuzz_one(parser: Parser, seed: int, examples: int, counts: Counter[str]) -> None:
    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(given=parser.given)
    def read(given: Any) -> None:
        try:
            parser.read(given)
        except FacerecError:
            counts["refused"] += 1
        else:
            counts["read"] += 1

    read()


def _workbook() -> bytes:
    from openpyxl import Workbook

    book, sink = Workbook(), io.BytesIO()
    for row in _LIST.splitlines():
        book.active.append(row.split(","))
    book.save(sink)
    packed = io.BytesIO()
    # Not compressed: a change of a byte is a change of the document.
    with zipfile.ZipFile(sink) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    return packed.getvalue()


def _clip(folder: Path) -> bytes:
    path = folder / "seed.mp4"
    with VideoWriter(path, 10, 64, 48) as writer:
        for number in range(8):
            writer.write(np.full((48, 64, 3), 20 * number, np.uint8))
    return path.read_bytes()


def _picture() -> bytes:
    from PIL import Image

    sink = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(sink, "PNG")
    return sink.getvalue()


def main() -> None:
    """Fuzz all parsers."""
    args = parse(__doc__, 1000)
    print(dict(fuzz(args.seed, args.examples)))


if __name__ == "__main__":
    main()

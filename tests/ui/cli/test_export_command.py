"""``facerec export``: one video, several, or all of a project, in every form that is text."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import webvtt
from opentimelineio import adapters
from pympi import Elan
from pyshacl import validate
from rdflib import Graph

from serving.archive.handle import open_archive
from serving.exports.linked import linked_data
from serving.settings import Settings
from tests.archive import fill
from tests.ui.command import ask_p, run

P = ("--project", "p")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with open_archive(Settings(home=tmp_path / "home")) as archive:
        fill(archive)
    return tmp_path / "home"


def appearances(home: Path, *videos: str) -> list[tuple[str, str]]:
    found = [ask_p(home, "export", one) for one in videos]
    return [(result["video"]["uri"], view["label"]) for result in found for view in result["appearances"]]


def test_one_table_holds_a_whole_project(home: Path, tmp_path: Path) -> None:
    expected = appearances(home, "v-1", "v-2")
    assert len({uri for uri, _ in expected}) == 2
    rows = list(csv.DictReader(io.StringIO(run(home, "export", "--format", "csv", *P).stdout)))
    assert [(row["video"], row["label"]) for row in rows] == expected
    told = ask_p(home, "export", "v-2", "v-1", "--format", "csv", "--out", tmp_path / "some.csv")
    assert told == {"written": [str(tmp_path / "some.csv")]}
    rows = list(csv.DictReader(io.StringIO((tmp_path / "some.csv").read_text())))
    assert [(row["video"], row["label"]) for row in rows] == appearances(home, "v-2", "v-1")


@pytest.mark.parametrize(("form", "ending"), [("webvtt", ".vtt"), ("srt", ".srt"), ("json", ".json")])
def test_several_videos_are_a_file_each(home: Path, tmp_path: Path, form: str, ending: str) -> None:
    assert "needs --out DIR" in run(home, "export", "--format", form, *P, code=2).error
    told = run(home, "export", "--format", form, "--out", tmp_path / "all", *P).stdout
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [f"v-1{ending}", f"v-2{ending}"]
    assert f"v-1{ending}" in told
    text = (tmp_path / "all" / f"v-2{ending}").read_text()
    if form == "json":
        assert json.loads(text)["video"]["id"] == "v-2"
        return
    read = webvtt.from_string(text) if form == "webvtt" else webvtt.from_buffer(io.StringIO(text), format="srt")
    labels = [label for _, label in appearances(home, "v-2") if label != "Undecidable"]
    assert sorted(cue.text for cue in read if not cue.text.startswith("FaceRec;")) == sorted(labels) != []


def test_subtitles_of_one_video_go_to_standard_output(home: Path) -> None:
    text = run(home, "export", "v-1", "--format", "webvtt", *P).stdout
    assert text.startswith("WEBVTT\n\nNOTE FaceRec; project p, revision ")
    assert ask_p(home, "models", "list")[0]["version"] in text


def test_linked_data_of_a_whole_project_is_one_graph(home: Path, tmp_path: Path) -> None:
    run(home, "export", "--format", "turtle", "--out", tmp_path / "all.ttl", *P)
    graph = Graph().parse(tmp_path / "all.ttl")
    shapes = Path(linked_data.__file__).with_name("shapes.ttl")
    conforms, _, faults = validate(graph, shacl_graph=Graph().parse(shapes))
    assert conforms, faults
    expected = [(uri, label) for uri, label in appearances(home, "v-1", "v-2") if label != "Undecidable"]
    found = graph.query(
        "PREFIX e: <http://www.ebu.ch/metadata/ontologies/ebucore/ebucore#> PREFIX oa: <http://www.w3.org/ns/oa#> "
        "SELECT ?video ?name { [] oa:hasTarget/e:isMediaFragmentOf ?video ; oa:hasBody/rdf:value ?name }"
    )
    assert sorted((str(row[0]), str(row[1])) for row in found) == sorted(expected) != []
    assert len(json.loads(run(home, "export", "v-1", "--format", "jsonld", *P).stdout)["@graph"]) > 5


def test_a_manifest_refers_to_the_service(home: Path) -> None:
    manifest = json.loads(run(home, "export", "v-1", "--format", "iiif", *P).stdout)
    service = "http://127.0.0.1:8000/v1/projects/p/videos/v-1"
    assert manifest["id"] == f"{service}/export?format=iiif"
    (page,) = manifest["items"][0]["annotations"]
    labels = [label for _, label in appearances(home, "v-1") if label != "Undecidable"]
    assert sorted(one["body"]["value"] for one in page["items"]) == sorted(labels) != []
    assert all(one["thumbnail"][0]["id"].startswith(f"{service}/crops/a-v-1/") for one in page["items"])


def test_annotators_and_editors_get_the_same_appearances(home: Path, tmp_path: Path) -> None:
    seen = ask_p(home, "export", "v-1")["appearances"]
    for form in ("eaf", "otio", "edl"):
        run(home, "export", "v-1", "--format", form, "--out", tmp_path / f"a.{form}", *P)
    document = Elan.Eaf(tmp_path / "a.eaf")
    tiers = {view["label"] for view in seen}
    assert set(document.get_tier_names()) == tiers
    assert sum(len(document.get_annotation_data_for_tier(name)) for name in tiers) == len(seen)
    ((clip,),) = adapters.read_from_file(str(tmp_path / "a.otio")).tracks
    assert [marker.name for marker in clip.markers] == [view["label"] for view in seen]
    (events,) = adapters.read_from_file(str(tmp_path / "a.edl"), "cmx_3600", rate=25).tracks
    shown = sorted(int(25 * view["start_s"] + 0.5) for view in seen if view["label"] != "Undecidable")
    assert [int(event.source_range.start_time.value) for event in events] == shown != []


def test_an_ending_says_what_is_in_the_file(home: Path, tmp_path: Path) -> None:
    error = run(home, "export", "v-1", "--format", "webvtt", "--out", tmp_path / "a.srt", *P, code=2).error
    assert "end its name in .vtt" in error
    assert (
        "is a file; name a folder"
        in run(home, "export", "--format", "srt", "--out", home / "facerec.sqlite3", *P, code=2).error
    )

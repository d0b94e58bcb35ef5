from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pymongo import MongoClient

from tests.serving.service import free_port
from tests.ui.command import Ended, ask, run
from ui.demo_material import DemoMaterial


@pytest.fixture(scope="module")
def database(mongodb_uri: str) -> Iterator[str]:
    """The address of a database with two videos of the project ``archive`` and one of a project that cannot be one here."""
    name = f"facerec_{uuid4().hex[:12]}"
    face = {"project": "archive", "track_id": 1, "confidence": 0.9, "locator": "news.mp4", "rect": [1, 2, 3, 4]}
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        documents = client[name]
        documents.track.insert_many([{**face, "npt": float(i), "name": "Eileen Collins"} for i in range(3)])
        documents.track.insert_many([{**face, "npt": float(i), "name": "Nobody", "track_id": 2} for i in range(9, 11)])
        documents.track.insert_many([{**face, "project": "ina/antract", "npt": 1.0, "name": "Nameless"}, {"npt": 1.0}])
        documents.status.insert_many(
            [
                {"locator": "news.mp4", "project": "archive", "status": 2},
                {"locator": "late.mp4", "project": "archive", "status": 1},
            ]
        )
        documents.feat_cluster.insert_one(
            {"id": 4, "video": "news.mp4", "project": "archive", "elements": [{"track": 2}]}
        )
        documents.metadata.insert_one({"locator": "news.mp4", "title": "News"})
        yield f"{mongodb_uri}/{name}"
        client.drop_database(name)


@pytest.fixture
def data(material: DemoMaterial, tmp_path: Path) -> Path:
    """The predecessor's data folder: two people, of whose pictures one is disabled, and a project without any."""
    folder = tmp_path / "data" / "training_img_aligned"
    shutil.copytree(material.people, folder / "archive")
    first = sorted((folder / "archive" / "Carphone_Man").iterdir())[0]
    (folder / "archive" / "disabled.txt").write_text(f"data/training_img_aligned/archive/Carphone_Man/{first.name}\n\n")
    (folder / "empty").mkdir()
    return folder.parent


def take_over(home: Path, *arguments: object, code: int = 0) -> Ended:
    return run(home, "import-predecessor", *arguments, code=code)


def test_a_predecessors_data_is_imported_or_listed(database: str, data: Path, tmp_path: Path) -> None:
    home, records = tmp_path / "home", tmp_path / "records"
    found = json.loads(take_over(home, database, "--pictures", data, "--records", records, "--json").stdout)
    archive, empty = found["projects"]
    assert archive["status"] == {"complete": 1, "running": 1}
    counts = ("videos", "faces", "tracks", "names", "strangers", "undecided_tracks", "lost_clusters")
    assert [archive[name] for name in counts] == [2, 5, 2, 2, 1, 0, 0]
    assert archive["pictures"]["disabled"] == 1
    assert archive["pictures"]["taken"] > 1
    assert archive["without_pictures"] == ["Nobody"]
    assert (empty["project"], empty["videos"], empty["pictures"]) == ("empty", 0, {})
    told = "\n".join(found["left_out"])
    for part in ("'ina/antract' with 1 videos", "1 documents of 'track'", "project 'empty'", "boxes of faces"):
        assert part in told
    assert (records / "archive" / "names.csv").read_text().splitlines()[
        1
    ] == "news.mp4,0.000,2.500,Eileen_Collins,0.9000"
    assert (records / "archive" / "videos.csv").read_text().splitlines()[1:] == [
        "news.mp4,,,,News,complete",
        "late.mp4,,,,,running",
    ]
    assert json.loads((records / "metadata.jsonl").read_text()) == {"locator": "news.mp4", "title": "News"}
    assert [(p["person_id"], p["disabled"]) for p in ask(home, "people", "list", "-p", "archive")] == [
        ("Carphone_Man", 1),
        ("Eileen_Collins", 0),
    ]


def test_the_suggested_commands_run(database: str, data: Path, tmp_path: Path) -> None:
    home, records = tmp_path / "home", tmp_path / "my records"
    result = take_over(home, database, "--pictures", data, "--records", records)
    lines = [shlex.split(line)[2:] for line in result.stdout.splitlines() if line.startswith("Next: ")]
    train, batch, *others = lines
    assert [parts[0] for parts in (train, batch, *others)] == ["train", "batch", "people", "train", "batch"]
    run(home, *train)
    # Its two videos are not there.
    assert "0 of 2 fragments" in run(home, *batch, code=1).stdout


def test_without_folders_the_import_lists_what_they_would_add(database: str, tmp_path: Path) -> None:
    result = take_over(tmp_path, database)
    assert "archive: 2 videos (1 complete, 1 running), 5 faces in 2 tracks: 2 names" in result.stdout
    assert "without pictures here: Eileen_Collins, Nobody" in result.stdout
    assert "--records" in result.stderr
    assert "1 entries of the catalogue" in result.stderr


def test_an_import_with_a_missing_part_changes_nothing(database: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert "no folder" in take_over(home, database, "--pictures", tmp_path / "none", code=1).error
    absent = f"mongodb://127.0.0.1:{free_port()}/?connectTimeoutMS=200&serverSelectionTimeoutMS=200"
    assert "cannot be read" in take_over(home, absent, code=1).error
    assert not home.exists()

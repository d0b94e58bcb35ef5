"""The predecessor's database, read from a server: its documents are made as it makes them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from facerec_models.errors import InputError, SourceError
from tests.serving.service import free_port
from training.evaluation.truth import read_truths
from training.predecessor import PredecessorDatabase, Recording, without_credentials, write_records

Documents = Database[dict[str, Any]]


@pytest.fixture
def documents(mongodb_uri: str) -> Iterator[Documents]:
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        database = client[f"facerec_{uuid4().hex[:12]}"]
        yield database
        client.drop_database(database.name)


@pytest.fixture
def uri(mongodb_uri: str, documents: Documents) -> str:
    return f"{mongodb_uri}/{documents.name}"


def face_of(track: int, sample: int, name: str, confidence: float, **changed: Any) -> dict[str, Any]:
    """One face on one frame, at 25 frames a second and one frame in 25."""
    return {
        "name": name, "project": "archive", "track_id": track, "frame": 25 * sample, "confidence": confidence,
        "tracker_sample": sample, "npt": float(sample), "locator": "news.mp4",
        "bounding": {"x": 10, "y": 20, "w": 30, "h": 40}, "rect": [10, 20, 40, 60], "frame_size": [288, 512], **changed,
    }  # fmt: skip


def read(uri: str) -> dict[tuple[str, str], Recording]:
    with PredecessorDatabase(uri) as database:
        return {(recording.project, recording.locator): recording for recording in database.recordings()}


def test_names_are_voted_and_neighbouring_tracks_joined(documents: Documents, uri: str) -> None:
    documents.track.insert_many(
        [
            *(face_of(1, i, "Guy Mollet", 0.8) for i in (4, 5, 6)),
            face_of(1, 7, "Vincent_Auriol", 0.3),
            face_of(2, 9, "Guy_Mollet", 0.5),
            face_of(3, 30, "Guy_Mollet", 0.6),
            face_of(4, 40, "Guy_Mollet", 0.5),
            face_of(4, 41, "Vincent_Auriol", 0.5),
        ]
    )
    recording = read(uri)["archive", "news.mp4"]
    assert (recording.samples, recording.tracks, recording.undecided) == (8, 4, 1)
    assert [(n.person_id, n.start_s, n.end_s) for n in recording.names] == [
        ("Guy_Mollet", 3.5, 9.5),
        ("Guy_Mollet", 29.5, 30.5),
    ]
    assert recording.names[0].confidence == pytest.approx((4 * 0.8 + 1 * 0.5) / 5)


def test_clusters_are_strangers_where_their_tracks_are_kept(documents: Documents, uri: str) -> None:
    documents.track.insert_many(
        [face_of(1, 2, "A", 0.2), face_of(1, 3, "A", 0.2), face_of(2, 3, "A", 0.2), face_of(5, 20, "B", 0.9)]
    )
    documents.feat_cluster.insert_many(
        [
            {
                "id": 7,
                "video": "news.mp4",
                "project": "archive",
                "elements": [{"track": 1}, {"track": 2}, {"track": 1}],
            },
            {"id": 8, "video": "news.mp4", "project": "archive", "elements": [{"track": 99}]},
            {"id": 9, "video": "gone.mp4", "project": "archive", "elements": [{"track": 1}]},
        ]
    )
    found = read(uri)
    assert [(s.person_id, s.start_s, s.end_s) for s in found["archive", "news.mp4"].strangers] == [
        ("Unknown 7", 1.5, 3.5)
    ]
    assert found["archive", "news.mp4"].lost_clusters == 1
    assert (found["archive", "gone.mp4"].samples, found["archive", "gone.mp4"].lost_clusters) == (0, 1)


def test_each_project_and_video_has_its_status_and_title(documents: Documents, uri: str) -> None:
    documents.status.insert_many(
        [
            {"locator": "news.mp4", "project": "archive", "status": 2, "timestamp": "2021-03-01T10:00:00"},
            {"locator": "news.mp4", "project": "other", "status": 3, "timestamp": "2021-03-01T10:00:00"},
        ]
    )
    documents.metadata.insert_one({"locator": "news.mp4", "media": "http://example.org/1", "title": ["News", "more"]})
    old = face_of(1, 0, "A", 0.9)
    del old["project"]
    same = {**face_of(2, 9, "A", 0.9), "project": "general"}
    documents.track.insert_many([old, face_of(1, 0, "A", 0.9), same])
    found = read(uri)
    assert found["general", "news.mp4"].samples == 2
    assert {key: recording.status for key, recording in found.items()} == {
        ("general", "news.mp4"): None,
        ("archive", "news.mp4"): "complete",
        ("other", "news.mp4"): "error",
    }
    assert {recording.title for recording in found.values()} == {"News"}


def test_documents_of_another_kind_are_counted_with_the_reason(documents: Documents, uri: str) -> None:
    documents.track.insert_many(
        [face_of(1, 1, "A", 0.5), face_of(1, 2, "A", 7.0), face_of(1, 3, "a/b", 0.5), {"locator": "news.mp4"}]
    )
    documents.status.insert_one({"locator": "news.mp4", "project": "archive", "status": 9})
    documents.notes.insert_one({"text": "ours"})
    with PredecessorDatabase(uri) as database:
        (recording,) = database.recordings()
        assert recording.samples == 1
        assert database.unreadable == {"track": 3, "status": 1}
        assert "less than" in database.reasons["status"]
        assert database.other_collections == {"notes": 1}


def test_the_catalogue_is_kept_whole_but_for_passwords(documents: Documents, uri: str) -> None:
    entry = {"locator": "https://me:secret@okapi.example/a.mp4", "segments": [{"label": "Été", "start": "00:00:01"}]}
    documents.metadata.insert_one(dict(entry))
    with PredecessorDatabase(uri) as database:
        (line,) = database.metadata()
    assert json.loads(line) == entry | {"locator": "https://okapi.example/a.mp4"}


def test_credentials_are_taken_out_of_addresses_alone() -> None:
    assert without_credentials("https://h/a.mp4?access_token=x.y&z=1") == "https://h/a.mp4&z=1"
    assert without_credentials("mongodb://u:p@h:1/d") == "mongodb://h:1/d"
    assert without_credentials("write to a@b.org, http://h/@me") == "write to a@b.org, http://h/@me"


def test_the_tables_are_read_by_what_measures(documents: Documents, uri: str, tmp_path: Path) -> None:
    from training.batch_table import read_batch

    documents.track.insert_many(
        [face_of(1, i, "Guy_Mollet", 0.8) for i in (4, 5)] + [face_of(1, 0, "A", 0.8, locator="b.mp4")]
    )
    files = write_records(tmp_path, list(read(uri).values()))
    assert [file.name for file in files] == ["videos.csv", "names.csv", "strangers.csv"]
    videos, names = (read_batch(file.read_text().splitlines(), file.name) for file in files[:2])
    assert [(row.media, row.fragment) for row in videos] == [("b.mp4", None), ("news.mp4", None)]
    assert [(row.media, row.fragment, row.person) for row in names] == [
        ("b.mp4", (0.0, 0.5), "A"),
        ("news.mp4", (3.5, 5.5), "Guy_Mollet"),
    ]
    assert set(read_truths(files[1])["news"].intervals()) == {"Guy_Mollet"}
    with files[2].open(newline="") as file:
        assert list(csv.reader(file)) == [["media", "start", "end", "stranger"]]


def test_an_empty_database_is_named(uri: str, documents: Documents) -> None:
    with pytest.raises(InputError, match=documents.name):
        PredecessorDatabase(uri)


@pytest.mark.parametrize("uri", ["http://example.org", "mongodb://", "mongodb://u:pa@ss@h"])
def test_an_invalid_address_is_refused(uri: str) -> None:
    with pytest.raises(InputError, match="mongodb://HOST") as caught:
        PredecessorDatabase(uri)
    assert "pa@" not in str(caught.value)


def test_a_server_that_does_not_answer_is_named_without_the_password() -> None:
    port = free_port()
    with pytest.raises(SourceError, match=f"127.0.0.1:{port}") as caught:
        PredecessorDatabase(f"mongodb://me:secret@127.0.0.1:{port}/facerec", timeout_s=0.2)
    assert "secret" not in str(caught.value)

"""An export has all that is kept of a person, and nothing of others."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from facerec_models.errors import PersonNotFoundError
from facerec_models.files import write_atomically
from facerec_models.vectors import normalize
from serving.api.file_answer import stream_zip
from serving.archive.coverage import MADE_FROM
from serving.archive.handle import Archive
from serving.archive.naming.rename import rename_person
from serving.archive.privacy.consent import note_consent
from serving.archive.privacy.person_export import export_person
from serving.archive.vector_sets import write_vectors
from serving.store import leases
from serving.store.contract import Store
from serving.store.naming_rows import CorrectionKind
from tests.archive import fill, put_video
from tests.contract.store_cases import make_job
from tests.unit.serving.archive.edits import correct_track


@pytest.fixture
def archive(archive: Archive) -> Archive:
    """The archive with two named videos in it."""
    fill(archive)
    return archive


def exported(archive: Archive, name: str) -> dict[str, bytes]:
    data = b"".join(stream_zip(export_person(archive, "p", name)))
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert found.testzip() is None
        return {one: found.read(one) for one in found.namelist()}


def vectors_in(table: bytes) -> list[list[float]]:
    lines = table.decode().splitlines()
    start = lines[0].split(",").index("numbers")
    return [[float(value) for value in line.split(",")[start:]] for line in lines[1:]]


def test_an_export_has_all_of_a_person(archive: Archive, store: Store) -> None:
    write_atomically(archive.files.pictures("p", "Bob") / "1.jpg", b"a picture")
    write_vectors(
        archive.files, "p", "facenet-vggface2", {"f-20": np.ones(4, np.float32), "f-10": np.ones(4, np.float32)}
    )
    note_consent(store, "p", "Bob", "form 7", "2030-01-31")
    correct_track(archive, CorrectionKind.IS, "Bob", track=3)
    rename_person(archive, "p", "Bob", "Robert")
    store.log_action("p", "a-face", "f-20")
    store.log_action("p", "a-face", "f-10")
    found = exported(archive, "Robert")
    document = json.loads(found["person.json"])
    assert (document["person_id"], document["name"], document["former_names"]) == ("Robert", "Robert", ["Bob"])
    assert (document["consent"]["note"], document["consent"]["until"]) == ("form 7", "2030-01-31")
    assert "updated_by" not in document["consent"]
    faces = store.list_faces("p", person_id="Robert")
    assert [face["face_id"] for face in document["enrolled_faces"]] == [face.face_id for face in faces]
    assert {name for name in found if name.startswith("faces/")} == {f"faces/{face.face_id}.jpg" for face in faces}
    assert [row["kind"] for row in document["corrections"]] == ["is"]
    seen = [(row["video_id"], row["confirmed"], len(row["tracks"])) for row in document["appearances"]]
    assert seen == [("v-1", False, 1), ("v-1", True, 1), ("v-2", False, 1), ("v-2", False, 1)]
    first = document["appearances"][0]
    assert first["probability"] > 0.9
    assert first["tracks"][0]["seen"][0]["time_s"] == 6.0
    assert {one["face_id"] for one in first["tracks"][0]["nearest_enrolled_faces"]} <= {face.face_id for face in faces}
    assert [row["names_now"] for row in document["model_versions"]] == [False, False, True]
    assert [row["subject"] for row in document["audit_log"] if row["action"] == "a-face"] == ["f-20"]
    assert found["pictures/Bob/1.jpg"] == b"a picture"
    crops = {name for name in found if name.startswith("tracks/")}
    assert crops == {f"tracks/{v}/a-{v}/{n}-{k}.jpg" for v in ("v-1", "v-2") for n in (2, 3) for k in (0, 1)}
    network = faces[0].embedder
    rows = np.array(vectors_in(found[f"vectors/faces-{network}.csv"]), np.float32)
    assert np.array_equal(rows, np.stack([face.embedding for face in faces if face.embedding is not None]))
    tracks = np.array(vectors_in(found[f"vectors/tracks-{network}.csv"]), np.float32)
    assert np.allclose(tracks, normalize(tracks))
    assert len(tracks) == 8
    assert len(vectors_in(found[f"vectors/corrections-{network}.csv"])) == 1
    assert found["vectors/faces-facenet-vggface2.csv"].decode().splitlines()[1:] == ["f-20,1,1,1,1"]
    assert "What is kept of Robert" in found["README.txt"].decode()
    assert not any(b"Ann" in data for data in found.values())


def test_nobody_is_exported_who_is_not_known(archive: Archive) -> None:
    with pytest.raises(PersonNotFoundError, match="no person 'Eve'"):
        export_person(archive, "p", "Eve")


def test_an_export_tells_no_place_in_the_home(archive: Archive, store: Store) -> None:
    sent, given = store.get_video("p", "v-1"), store.get_video("p", "v-2")
    store.put_video(replace(sent, uri=(archive.files.uploads / "1.mp4").resolve().as_uri()))
    store.put_video(replace(given, uri="file:///elsewhere/2.mp4"))
    found = exported(archive, "Bob")
    addresses = {row["video_id"]: row["address"] for row in json.loads(found["person.json"])["appearances"]}
    assert addresses == {"v-1": None, "v-2": "file:///elsewhere/2.mp4"}
    assert not any(str(archive.files.root).encode() in data for data in found.values())


def test_an_export_holds_one_piece_at_a_time(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3, 30):
        put_video(archive, f"v-{number}", number)
    most, read = 0, []
    original = archive.store.pick_tracks

    def pick(project: str, wanted: dict[str, list[int]]) -> object:
        read.append(sum(map(len, wanted.values())))
        return original(project, wanted)

    monkeypatch.setattr(archive.store, "pick_tracks", pick)

    def pieces() -> Iterator[bytes]:
        yield from stream_zip(export_person(archive, "p", "Bob"))

    for piece in pieces():
        most = max(most, len(piece))
    assert max(read) == 1
    assert most < 64 * 1024


def test_an_export_has_the_vectors_of_a_second_set(archive: Archive, store: Store) -> None:
    first = store.get_analysis("p", "a-v-1")
    tracks = store.get_tracks("p", ["a-v-1"])["a-v-1"]
    summary = {**first.summary, MADE_FROM: "a-v-1"}
    second = replace(first, analysis_id="a-second", key="second", embedder="another", summary=summary)
    store.put_analysis(second, [replace(track, embeddings=-track.embeddings) for track in tracks])
    lines = exported(archive, "Bob")["vectors/tracks-another.csv"].decode().splitlines()[1:]
    assert [line.split(",")[:2] for line in lines] == [["a-second", "2"]] * 2


def test_an_export_has_jobs_about_the_person_and_of_nobody_else(archive: Archive, store: Store) -> None:
    def job(job_id: str, kind: str, person_id: str) -> None:
        spec = {"person_id": person_id, "source": f"a page for {job_id}"}
        store.submit_job(replace(make_job(job_id), kind=kind, spec=spec, created_at=time.time()))

    job("j-crawled", "crawl", "Bob")
    job("j-asked", "video", "Bob")
    leases.cancel(store, "j-crawled")
    rename_person(archive, "p", "Bob", "Robert")
    job("j-other", "crawl", "Bob")
    job("j-also-other", "video", "Bob")
    document = json.loads(exported(archive, "Robert")["person.json"])
    assert [row["job_id"] for row in document["collections"]] == ["j-crawled"]
    assert [row["job_id"] for row in document["asked_for"]] == ["j-asked"]


def test_an_export_has_no_vector_of_who_is_not_the_person(archive: Archive) -> None:
    correct_track(archive, CorrectionKind.IS_NOT, "Bob", track=3)
    found = exported(archive, "Bob")
    assert [row["kind"] for row in json.loads(found["person.json"])["corrections"]] == ["is_not"]
    assert not [name for name in found if name.startswith("vectors/corrections")]

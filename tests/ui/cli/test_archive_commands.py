"""``facerec identify``, ``facerec history`` and ``facerec search``."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from serving.archive.handle import open_archive
from serving.archive.naming.whole_archive import NamingWork
from serving.settings import Settings
from serving.store import leases
from serving.store.opening import open_store
from serving.store.rows import Face, FaceStatus
from tests.archive import fill
from tests.ui.command import ask, ask_p, process, run
from tests.waiting import wait_until
from ui.cli.targets import result_files
from ui.demo_material import DemoMaterial


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with open_archive(Settings(home=tmp_path)) as archive:
        fill(archive)
    return tmp_path


def found(home: Path, *arguments: object) -> list[tuple[str, str]]:
    return [(item["video"], item["label"]) for item in ask_p(home, "search", "person", *arguments)["items"]]


def test_a_stranger_is_named_as_previewed_and_that_is_undone(home: Path) -> None:
    before = ask_p(home, "search", "person", "Unknown 2")
    preview = ask_p(home, "unknowns", "name", "Unknown 2", "Dee", "--preview")
    assert preview["people"]["Dee"]["added"] == 2
    assert ask_p(home, "search", "person", "Unknown 2") == before
    applied = ask_p(home, "unknowns", "name", "Unknown 2", "Dee", "--expect", preview["version"])
    assert applied["people"] == preview["people"]
    assert found(home, "Dee") == [("v-1.mp4", "Dee"), ("v-2.mp4", "Dee")]
    refused = run(
        home, "unknowns", "name", "Unknown 2", "Dee", "--expect", preview["version"], "--project", "p", code=1
    )
    assert "preview again" in refused.error
    assert "has no tracks left" in run(home, "unknowns", "name", "Unknown 2", "Dee", "--project", "p", code=1).error
    listed = ask_p(home, "history", "list")
    assert [(row["cause"], row["note"]) for row in listed] == [("training", ""), ("stranger", "Unknown 2 is Dee")]
    assert "stranger: Unknown 2 is Dee" in run(home, "history", "list", "--project", "p").stdout
    would = ask_p(home, "history", "undo", applied["edit"], "--preview")
    assert (would["applied"], would["people"]["Dee"]["removed"]) == (False, 2)
    undone = ask_p(home, "history", "undo", applied["edit"], "--expect", would["version"])
    assert (undone["videos"], undone["applied"], undone["people"]) == (2, True, would["people"])
    assert "undone" in run(home, "history", "list", "--project", "p").stdout
    assert ask_p(home, "search", "person", "Unknown 2") == before


def test_a_printed_preview_can_be_applied_and_undone(home: Path) -> None:
    text = run(home, "correct", "v-1", 1, "--is-not", "Ann_Lee", "--preview", "--project", "p").stdout
    assert "Ann_Lee" in text
    version = text.split("--expect ")[1].split()[0]
    applied = run(home, "correct", "v-1", 1, "--is-not", "Ann_Lee", "--expect", version, "--project", "p").stdout
    undo = applied.split("'facerec ")[1].split("'")[0].split()
    shown = run(home, *undo, "--project", "p").stdout
    assert "(correction: is not Ann_Lee (track 1 of v-1.mp4)) is undone." in shown
    assert "now of revision" in shown
    assert found(home, "Ann_Lee") == [("v-1.mp4", "Ann Lee"), ("v-2.mp4", "Ann Lee")]


def test_identify_takes_a_model_or_an_accepted_error(home: Path) -> None:
    stricter = ask_p(home, "identify", "--max-false-names", "1e-6", "--preview")
    assert (stricter["people"]["Bob"]["removed"], stricter["applied"]) == (2, False)
    applied = ask_p(home, "identify", "--max-false-names", "1e-6", "--expect", stricter["version"])
    assert (applied["people"], applied["applied"]) == (stricter["people"], True)
    ask_p(home, "history", "undo", applied["edit"])
    (model,) = ask_p(home, "models", "list")
    change = ask_p(home, "identify", "--model", model["version"], "--preview")
    assert (change["people"], change["applied"]) == ({}, False)
    assert "m-none" in run(home, "identify", "--model", "m-none", "--project", "p", code=1).error
    run(home, "identify", "--preview", "--expect", "soon", "--project", "p", code=2)


def test_naming_again_is_recorded_as_a_job(home: Path) -> None:
    preview = ask_p(home, "identify", "--max-false-names", "1e-6", "--preview")
    recorded = process(home, "identify", "--max-false-names", "1e-6", "--project", "p", "--job-id", "nightly", "--json")
    assert recorded.returncode == 0, recorded.stderr
    assert json.loads(recorded.stdout) == {**preview, "applied": True, "edit": 2, "note": "job nightly"}
    (job,) = ask(home, "jobs", "list")
    assert (job["job_id"], job["kind"], job["state"], job["progress"]) == (
        "nightly",
        "identify:nightly",
        "succeeded",
        1,
    )
    again = process(home, "identify", "--project", "p", "--job-id", "nightly")
    assert again.returncode == 1
    assert "there is a job 'nightly' already" in again.stderr


def test_naming_again_is_cancelled_from_outside(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = NamingWork.tell

    def cancel(self: NamingWork, *done: float) -> None:
        with closing(open_store(home)) as store:
            leases.cancel(store, "long")
        wait_until(self.progress.should_stop)
        original(self, *done)

    before = ask_p(home, "history", "list")
    monkeypatch.setattr("ui.cli.identify.interrupt_when_terminated", lambda: None)
    monkeypatch.setattr(NamingWork, "tell", cancel)
    assert (
        "Stopped: job long was cancelled."
        in run(home, "identify", "--project", "p", "--job-id", "long", code=130).error
    )
    (job,) = ask(home, "jobs", "list")
    assert (job["state"], job["cancel_requested"]) == ("cancelled", True)
    assert ask_p(home, "history", "list") == before


def test_people_are_searched_together_and_page_by_page(home: Path) -> None:
    assert found(home, "Ann Lee;Bob") == [("v-1.mp4", "Ann Lee"), ("v-2.mp4", "Ann Lee")]
    assert found(home, "Ann Lee; Unknown 1") == []
    assert found(home, "Bob", "--video", "v-2") == [("v-2.mp4", "Bob")]
    assert found(home, "Bob", "--since", "2020-01-01") == []
    assert found(home, "Bob", "--within", "0:00:20,0:01:00") == []
    assert len(found(home, "Bob", "--until", "2020-01-01")) == 2
    first = ask_p(home, "search", "person", "Bob", "--limit", 1)
    second = ask_p(home, "search", "person", "Bob", "--limit", 1, "--cursor", first["next_cursor"])
    assert [item["video"] for item in first["items"] + second["items"]] == ["v-1.mp4", "v-2.mp4"]
    assert second["next_cursor"] is None
    assert Path(first["items"][0]["crop"].removeprefix("file://")).is_file()
    shown = run(home, "search", "person", "Ann Lee;Bob", "--project", "p").stdout
    assert "v-1.mp4" in shown
    assert "Bob" in shown
    assert "no person 'Nobody'" in run(home, "search", "person", "Nobody", "--project", "p", code=1).error
    run(home, "search", "person", " ; ", "--project", "p", code=2)


def test_strangers_are_listed_by_screen_time(home: Path) -> None:
    first, second = ask_p(home, "unknowns", "list")
    assert [one["label"] for one in (first, second)] == ["Unknown 1", "Unknown 2"]
    assert ask_p(home, "unknowns", "list", "--limit", 1) == [first]
    (only,) = ask_p(home, "unknowns", "list", "--video", "v-2", "--within", "8,11")
    assert (only["label"], only["screen_time_s"], [track["track_id"] for track in only["tracks"]]) == (
        "Unknown 1",
        2.0,
        [3],
    )
    assert ask_p(home, "unknowns", "show", "1") == {**first, "person_id": None}
    assert "--within '9'" in run(home, "unknowns", "list", "--within", "9", "--project", "p", code=2).error


def test_a_face_is_searched_with_the_real_network(
    own_trained_home: Path, material: DemoMaterial, tmp_path: Path
) -> None:
    home = own_trained_home
    run(home, "recognize", material.reel, "--fragment", "4,14")
    picture = sorted((material.people / "Eileen_Collins").iterdir())[0]
    (answer,) = ask(home, "search", "face", picture, "--limit", 3)
    hits = answer["hits"]
    assert (hits[0]["identity"], hits[0]["is_match"], hits[0]["is_named"]) == ("Eileen Collins", True, True)
    assert hits[0]["video"] == material.reel.name
    assert [hit["similarity"] for hit in hits] == sorted((hit["similarity"] for hit in hits), reverse=True)
    assert "Eileen Collins" in run(home, "search", "face", picture, "--video", material.reel).stdout
    (first,) = ask(home, "search", "face", picture, "--limit", 1)
    (second,) = ask(home, "search", "face", picture, "--limit", 1, "--cursor", first["next_cursor"])
    assert first["hits"] + second["hits"] == hits[:2]
    (nothing,) = ask(home, "search", "face", picture, "--until", "2020-01-01")
    assert (nothing["hits"], nothing["next_cursor"]) == ([], None)
    (tmp_path / "text.jpg").write_text("no picture")
    refused = run(home, "search", "face", tmp_path / "text.jpg", code=1)
    assert "text.jpg" in refused.error


def test_an_empty_home_says_what_begins_a_project(tmp_path: Path) -> None:
    assert (
        "'facerec recognize VIDEO' or 'facerec people import DIR' begins it"
        in run(tmp_path, "people", "list", code=1).error
    )
    assert "'facerec projects create q' begins it" in run(tmp_path, "videos", "list", "--project", "q", code=1).error


def test_errors_are_printed_as_they_are(home: Path) -> None:
    path = "[/x] Film :m: [dQw4].mp4"
    assert path in run(home, "recognize", path, "--project", "p", code=1).stderr


def test_names_are_printed_as_they_are_and_found_with_blanks(tmp_path: Path) -> None:
    with closing(open_store(tmp_path)) as store:
        store.create_project("p")
        path = "[/x] Film :m: [dQw4].jpg"
        face = Face(
            "f-1", "p", "[bold]_Lovelace", path, "0" * 64, FaceStatus.REFUSED, "no face", 0.0, "", None, None, 0.0
        )
        store.put_faces("p", [face])
    assert "[bold] Lovelace" in run(tmp_path, "people", "list", "--project", "p").stdout
    shown = run(tmp_path, "people", "show", "[bold] Lovelace", "--project", "p").stdout
    assert path in shown
    assert "0 outliers" in run(tmp_path, "people", "outliers", "[bold] Lovelace", "--project", "p").stdout
    assert "hours:minutes:seconds" in " ".join(run(tmp_path, "recognize", "--help").stdout.split())


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["a.mp4", "--sample-fps", "300"], "300"),
        (["a.mp4", "--sample-fps", "nan"], "nan"),
        (["a.mp4", "--fragment", "4,soon"], "'soon' is no time"),
        (["mon/cam.mp4", "tue/cam.mp4", "--out-dir", "out"], "'mon/cam.mp4' and 'tue/cam.mp4' would both"),
        (["a.mp4", "a.avi", "--out-dir", "out"], "rename one"),
        (["a.mp4", "--out-dir", "file"], "'file' is a file; name a folder"),
        (["a.mp4", "--out-dir", "file/out"], "'file' is a file; name a folder"),
        (["a.mp4", "--annotated", "no/dir/a.mp4"], "'no/dir'; make it first"),
        (["a.mp4", "--annotated", "folder"], "'folder' is a folder"),
        (["a.mp4", "--annotated", "./a.mp4"], "is the video itself"),
        (["a.mp4", "--result", "folder"], "'folder' is a folder"),
        (["a.mp4", "--result", "n" * 300 + "/r.json"], "choose another place"),
        (["a.mp4", "--export-frames", "file"], "'file' is a file"),
    ],
)
def test_an_unwritable_output_is_refused_before_the_analysis(
    home: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], part: str
) -> None:
    monkeypatch.chdir(home)
    (home / "file").touch()
    (home / "folder").mkdir()
    assert part in run(home, "recognize", *arguments, code=2).error


def test_disabled_pictures_are_not_written_over_a_folder(home: Path) -> None:
    assert (
        "name a file in it" in run(home, "people", "outliers", "--write-disabled", home, "--project", "p", code=2).error
    )


def test_a_batch_writes_each_fragment_to_a_file_of_its_own(home: Path) -> None:
    table, out = home / "batch.csv", home / "out"
    table.write_text("media,start,end\na/x.mp4,1,2\na/x.mp4,1,2\nb/x.mp4,1,2\n")
    assert "'b/x.mp4' from 1.0 to 2.0 s would both" in run(home, "batch", table, "--out-dir", out, code=2).error
    fragments: list[tuple[str, tuple[float, float] | None]] = [("x.mp4", (10000.12, 2e6)), ("x.mp4", (10000.14, 2e6))]
    assert [path.name for path in result_files(out, fragments)] == [
        "x_10000.12_2000000.json",
        "x_10000.14_2000000.json",
    ]
    table.write_text("media,start,end\nx.mp4,1,2\nx.mp4,1,inf\n")
    assert f"{table}, line 3: 'inf' is no time" in run(home, "batch", table, "--out-dir", out, code=1).error


def test_an_error_of_the_system_is_one_line(home: Path) -> None:
    done = process(Path(str(home / "n") + "n" * 300), "people", "list")
    assert done.returncode == 1
    assert done.stderr.startswith("facerec: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_picture_that_cannot_be_read_is_one_refused_picture(material: DemoMaterial, tmp_path: Path) -> None:
    people = shutil.copytree(material.people, tmp_path / "people")
    (people / "Eileen_Collins" / "0.jpg").symlink_to("/proc/self/mem")  # a file whose first byte nobody may read
    home = tmp_path / "home"
    lines = [json.loads(line) for line in run(home, "people", "import", people, "--json", code=1).stdout.splitlines()]
    assert [line["path"] for line in lines if line["status"] != "taken"] == ["Eileen_Collins/0.jpg"]
    assert "facerec recognize VIDEO" in run(home, "train").stdout

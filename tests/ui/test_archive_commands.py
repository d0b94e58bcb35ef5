"""``facerec identify`` and ``facerec search``."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from serving.archive.files import Files
from serving.store import open_store
from serving.store.rows import Face, FaceStatus
from tests.archive import fill
from ui.cli import app
from ui.cli.targets import result_files
from ui.demo_material import prepare


def run(home: Path, *arguments: object, code: int = 0) -> Result:
    part = [str(argument) for argument in (*arguments, "--home", home)]
    result = CliRunner().invoke(app, part, catch_exceptions=code == 1)
    assert result.exit_code == code, result.output
    return result


def ask(home: Path, *arguments: object) -> Any:
    return json.loads(run(home, *arguments, "--json", "--project", "p").stdout)


def refusal(home: Path, *arguments: object) -> str:
    """What a wrong use is answered, without the frame around it."""
    return " ".join(run(home, *arguments, code=2).stderr.replace("│", " ").split())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with closing(open_store(tmp_path)) as store:
        fill(store, Files(tmp_path))
    return tmp_path


def found(home: Path, *arguments: object) -> list[tuple[str, str]]:
    return [(item["video"], item["label"]) for item in ask(home, "search", "person", *arguments)["items"]]


def test_a_stranger_is_named_as_previewed_and_that_is_undone(home: Path) -> None:
    before = ask(home, "search", "person", "Unknown 2")
    preview = ask(home, "unknowns", "name", "Unknown 2", "Dee", "--preview")
    assert preview["people"]["Dee"]["added"] == 2
    assert ask(home, "search", "person", "Unknown 2") == before
    applied = ask(home, "unknowns", "name", "Unknown 2", "Dee", "--expect", preview["state"])
    assert applied["people"] == preview["people"]
    assert found(home, "Dee") == [("v-1.mp4", "Dee"), ("v-2.mp4", "Dee")]
    refused = run(home, "unknowns", "name", "Unknown 2", "Dee", "--expect", preview["state"], "--project", "p", code=1)
    assert "has no tracks left" in str(refused.exception)
    listed = ask(home, "identify", "--list")
    assert [(row["cause"], row["note"]) for row in listed] == [("identify", ""), ("stranger", "Unknown 2 is Dee")]
    assert "undone" in run(home, "identify", "--list", "--project", "p").stdout
    undone = ask(home, "identify", "--undo", applied["revision"])
    assert (undone["videos"], undone["note"]) == (2, "")
    assert ask(home, "search", "person", "Unknown 2") == before


def test_a_printed_preview_can_be_applied_and_undone(home: Path) -> None:
    text = run(home, "correct", "v-1", 1, "--is-not", "Ann_Lee", "--preview", "--project", "p").stdout
    assert "Ann_Lee" in text
    state = text.split("--expect ")[1].split()[0]
    applied = run(home, "correct", "v-1", 1, "--is-not", "Ann_Lee", "--expect", state, "--project", "p").stdout
    revision = applied.split("--undo ")[1].split("'")[0]
    assert "named as before" in run(home, "identify", "--undo", revision, "--project", "p").stdout


def test_a_model_is_promoted_with_its_application(home: Path) -> None:
    (model,) = ask(home, "models", "list")
    change = ask(home, "identify", "--model", model["version"], "--preview")
    assert (change["people"], change["applied"]) == ({}, False)
    assert "m-none" in str(run(home, "identify", "--model", "m-none", "--project", "p", code=1).exception)
    run(home, "identify", "--preview", "--list", "--project", "p", code=2)


def test_people_are_searched_together_and_page_by_page(home: Path) -> None:
    assert found(home, "Ann Lee;Bob") == [("v-1.mp4", "Ann Lee"), ("v-2.mp4", "Ann Lee")]
    assert found(home, "Ann Lee; Unknown 1") == []
    assert found(home, "Bob", "--video", "v-2") == [("v-2.mp4", "Bob")]
    assert found(home, "Bob", "--since", "2020-01-01") == []
    assert found(home, "Bob", "--within", "0:00:20,0:01:00") == []
    assert len(found(home, "Bob", "--until", "2020-01-01")) == 2
    first = ask(home, "search", "person", "Bob", "--limit", 1)
    second = ask(home, "search", "person", "Bob", "--limit", 1, "--cursor", first["next_cursor"])
    assert [item["video"] for item in first["items"] + second["items"]] == ["v-1.mp4", "v-2.mp4"]
    assert second["next_cursor"] is None
    assert Path(first["items"][0]["crop"].removeprefix("file://")).is_file()
    shown = run(home, "search", "person", "Ann Lee;Bob", "--project", "p").stdout
    assert "v-1.mp4" in shown
    assert "Bob" in shown
    assert "no person 'Nobody'" in str(run(home, "search", "person", "Nobody", "--project", "p", code=1).exception)
    run(home, "search", "person", " ; ", "--project", "p", code=2)


def test_strangers_are_listed_by_screen_time(home: Path) -> None:
    first, second = ask(home, "unknowns", "list")
    assert [one["label"] for one in (first, second)] == ["Unknown 1", "Unknown 2"]
    assert ask(home, "unknowns", "list", "--limit", 1) == [first]
    (only,) = ask(home, "unknowns", "list", "--video", "v-2", "--within", "8,11")
    assert (only["label"], only["screen_time_s"], [track["track_id"] for track in only["tracks"]]) == (
        "Unknown 1",
        2.0,
        [3],
    )
    assert ask(home, "unknowns", "show", "1") == {**first, "person_id": None}
    assert "--within '9'" in refusal(home, "unknowns", "list", "--within", "9", "--project", "p")


def test_a_face_is_searched_with_the_real_network(tmp_path: Path) -> None:
    home, material = tmp_path / "home", prepare(tmp_path / "material")
    run(home, "people", "import", material.people, "--project", "p")
    run(home, "train", "--project", "p")
    run(home, "recognize", material.reel, "--fragment", "4,14", "--project", "p")
    picture = sorted((material.people / "Eileen_Collins").iterdir())[0]
    (answer,) = ask(home, "search", "face", picture, "--limit", 3)
    hits = answer["hits"]
    assert (hits[0]["identity"], hits[0]["is_match"], hits[0]["is_named"]) == ("Eileen Collins", True, True)
    assert hits[0]["video"] == material.reel.name
    assert [hit["similarity"] for hit in hits] == sorted((hit["similarity"] for hit in hits), reverse=True)
    assert "Eileen Collins" in run(home, "search", "face", picture, "--video", material.reel, "--project", "p").stdout
    (first,) = ask(home, "search", "face", picture, "--limit", 1)
    (second,) = ask(home, "search", "face", picture, "--limit", 1, "--cursor", first["next_cursor"])
    assert first["hits"] + second["hits"] == hits[:2]
    (nothing,) = ask(home, "search", "face", picture, "--until", "2020-01-01")
    assert (nothing["hits"], nothing["next_cursor"]) == ([], None)
    (tmp_path / "text.jpg").write_text("no picture")
    refused = run(home, "search", "face", tmp_path / "text.jpg", "--project", "p", code=1)
    assert "text.jpg" in str(refused.exception)


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
    assert part in refusal(home, "recognize", *arguments)


def test_disabled_pictures_are_not_written_over_a_folder(home: Path) -> None:
    assert "name a file in it" in refusal(home, "people", "outliers", "--write-disabled", home, "--project", "p")


def test_a_batch_writes_each_fragment_to_a_file_of_its_own(home: Path) -> None:
    table, out = home / "batch.csv", home / "out"
    table.write_text("media,start,end\na/x.mp4,1,2\na/x.mp4,1,2\nb/x.mp4,1,2\n")
    assert "'b/x.mp4' from 1.0 to 2.0 s would both" in refusal(home, "batch", table, "--out-dir", out)
    fragments: list[tuple[str, tuple[float, float] | None]] = [("x.mp4", (10000.12, 2e6)), ("x.mp4", (10000.14, 2e6))]
    assert [path.name for path in result_files(out, fragments)] == [
        "x_10000.12_2000000.json",
        "x_10000.14_2000000.json",
    ]
    table.write_text("media,start,end\nx.mp4,1,2\nx.mp4,1,inf\n")
    assert f"{table}, line 3: 'inf' is no time" in str(run(home, "batch", table, "--out-dir", out, code=1).exception)


def test_an_error_of_the_system_is_one_line(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ui.cli", "people", "list", "--home", str(home / "n") + "n" * 300],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("facerec: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_picture_that_cannot_be_read_is_one_refused_picture(tmp_path: Path) -> None:
    people = prepare(tmp_path / "material").people
    (people / "Eileen_Collins" / "0.jpg").symlink_to("/proc/self/mem")  # a file whose first byte nobody may read
    home = tmp_path / "home"
    lines = [json.loads(line) for line in run(home, "people", "import", people, "--json", code=1).stdout.splitlines()]
    assert [line["path"] for line in lines if line["status"] != "taken"] == ["Eileen_Collins/0.jpg"]
    assert "facerec recognize VIDEO" in run(home, "train").stdout

"""What the command prints, on a terminal and elsewhere, and the files that it writes where it is told to."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving.archive.handle import open_archive
from serving.settings import Settings
from tests.archive import fill
from tests.ui.command import Place, ask_p, on_terminal, process, run

PART = ["--fragment", "4,14"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the archive was named a second time."""
    home = tmp_path_factory.mktemp("home")
    with open_archive(Settings(home=home)) as archive:
        fill(archive)
    ask_p(home, "identify", "--max-false-names", "0.01")
    return home


@pytest.fixture
def umask() -> Iterator[int]:
    """An umask that is not the usual one."""
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_the_version_is_printed() -> None:
    command = [sys.executable, "-m", "ui.cli", "--version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (shown.stdout, shown.stderr) == (f"facerec {version('facerec')}\n", "")


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("listing", [["history", "list"], ["models", "list"], ["unknowns", "list"]])
def test_ids_are_whole_on_every_terminal(home: Path, listing: list[str], columns: int) -> None:
    ids = {
        value
        for row in ask_p(home, *listing)
        for name, value in row.items()
        if name in {"model_version", "version", "stranger"} and isinstance(value, str)
    }
    shown = on_terminal(home, *listing, "--project", "p", columns=columns)
    assert ids
    for one in ids:
        assert one in shown.split()
    assert all(len(line) <= columns for line in shown.splitlines() if set(line) & set("│┃"))


def test_a_table_in_a_pipe_is_as_wide_as_its_content(home: Path) -> None:
    shown = process(home, "search", "person", "Ann_Lee", "--project", "p").stdout
    assert [line for line in shown.splitlines() if "v-1.mp4" in line and "to an enrolled person" in line]


def test_only_the_last_edit_that_stands_can_be_undone(home: Path) -> None:
    def states() -> list[str]:
        rows = run(home, "history", "list", "--project", "p").stdout.splitlines()
        return [row.split("│")[-2].strip() for row in rows if "│" in row]

    assert states() == ["stands", "can be undone now"]
    first, second = ask_p(home, "history", "list")
    assert (first["can_undo"], second["can_undo"]) == (False, True)
    assert "undo" in run(home, "history", "undo", first["number"], "--project", "p", code=1).error
    ask_p(home, "history", "undo", second["number"])
    assert states() == ["can be undone now", "undone"]
    ask_p(home, "identify", "--max-false-names", "0.01")


def test_faces_are_a_table_on_a_terminal_and_json_elsewhere(place: Place, tmp_path: Path) -> None:
    picture = sorted((place.material.people / "Eileen_Collins").iterdir())[0]
    (tmp_path / "empty.jpg").touch()
    shown = on_terminal(place.home, "faces", picture, tmp_path / "empty.jpg", columns=300, code=1)
    assert "Eileen Collins" in shown
    assert "would come this near to an enrolled person" in shown
    assert "empty.jpg" in shown
    assert "{" not in shown
    asked = on_terminal(place.home, "faces", picture, "--json", columns=80)
    piped = process(place.home, "faces", picture).stdout
    assert json.loads(asked) == json.loads(piped)
    assert json.loads(piped)["faces"][0]["identity"] == "Eileen Collins"


def test_files_that_a_user_names_are_of_the_mode_of_the_umask(place: Place, tmp_path: Path, umask: int) -> None:
    place.run(
        "recognize", place.material.reel, *PART, "--result", tmp_path / "r.json", "--annotated", tmp_path / "a.mp4",
        "--timeline", tmp_path / "t.png", "--export-frames", tmp_path / "faces",
    )  # fmt: skip
    place.run("export", place.material.reel, "--format", "csv", "--out", tmp_path / "r.csv")
    place.run("people", "outliers", "--write-disabled", tmp_path / "disabled.txt")
    place.run("recognize", place.material.reel, *PART, "--out-dir", tmp_path / "out")
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 6
    assert {mode_of(file) for file in files} == {0o666 & ~umask}
    crops = list(place.home.rglob("*.jpg"))
    assert crops
    assert {mode_of(file) for file in crops} == {0o600}


def test_a_timeline_shows_who_is_seen_when(place: Place, tmp_path: Path) -> None:
    place.run("recognize", place.material.reel, *PART, "--timeline", tmp_path / "t.jpg")
    with Image.open(tmp_path / "t.jpg") as picture:
        assert (picture.format, picture.width) == ("JPEG", 1600)
        colours = np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3) // 40, axis=0)
    assert len(colours) > 20  # lanes, and faces beside them


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["recognize", "a.mp4", "--annotated", "x.avi"], "'x.avi' would not be what '.avi' says; end its name in .mp4 or .m4v"),
        (["recognize", "a.mp4", "--annotated", "x.mkv"], "end its name in .mp4"),
        (["recognize", "a.mp4", "--result", "r.csv"], "end its name in .json"),
        (["recognize", "a.mp4", "--timeline", "t.gif"], "end its name in .png or .jpg or .jpeg"),
        (["recognize", "a.mp4", "b.mp4", "--timeline", "t.png"], "take one video"),
        (["export", "v-1", "--out", "r.csv"], "end its name in .json"),
        (["export", "v-1", "--format", "csv", "--out", "r.xlsx"], "end its name in .csv"),
        (["export", "v-1", "--format", "annotated", "--out", "r.mov"], "end its name in .mp4"),
        (["store", "backup", "b.zip"], "FILE 'b.zip' would not be what '.zip' says; end its name in .sqlite3"),
        (["people", "outliers", "--write-disabled", "d.json"], "end its name in .txt"),
    ],
)  # fmt: skip
def test_a_file_whose_ending_lies_is_refused_before_the_work(
    home: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], part: str
) -> None:
    monkeypatch.chdir(home)
    of_project = [] if arguments[0] == "store" else ["--project", "p"]
    assert part in run(home, *arguments, *of_project, code=2).error


def test_endings_may_be_large_or_missing(place: Place, tmp_path: Path) -> None:
    place.run("recognize", place.material.reel, *PART, "--result", tmp_path / "R.JSON", "--timeline", tmp_path / "t")
    assert json.loads((tmp_path / "R.JSON").read_text())["tracks"]
    with Image.open(tmp_path / "t") as picture:
        assert picture.format == "PNG"

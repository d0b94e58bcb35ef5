"""Homes that can only be read, and places that take nothing more: what can be done is done, and the place is named."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from facerec_models.analysis.networks import Networks
from facerec_models.config import AnalysisConfig, SamplingConfig
from serving.archive.handle import open_archive
from serving.archive.naming.one_video import assign_current
from serving.archive.videos import analyze_video, register_video
from serving.settings import Settings
from serving.store.opening import FILE_NAME, open_store
from tests.mounts import Mounted
from ui.demo_material import DemoMaterial

_CLI = ("-m", "ui.cli")
# Each in a process of its own would load everything again.
_ALL = """
import json, sys
from typer.testing import CliRunner
from ui.cli import app
ended = [CliRunner().invoke(app, command) for command in json.loads(sys.argv[1])]
print(json.dumps([[one.exit_code, one.output + repr(one.exception or "")] for one in ended]))
"""


@pytest.fixture(scope="module")
def left(
    trained_home: Path, material: DemoMaterial, networks: Networks, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """A home as a killed process leaves it, with a model and a named video: the log has what the file has not."""
    folder = tmp_path_factory.mktemp("left")
    config = AnalysisConfig(sampling=SamplingConfig(fragment=(4.0, 6.0)))
    with open_archive(Settings(home=shutil.copytree(trained_home, folder / "home"))) as archive:
        row = register_video(archive.store, "default", material.reel, config)
        assign_current(archive, analyze_video(archive, row, config, networks))
        killed = shutil.copytree(archive.files.root, folder / "killed")
    assert (killed / f"{FILE_NAME}-wal").stat().st_size > 0
    return killed, row.video_id


def closed(home: Path) -> None:
    """Bring what is in the log into the file, as whoever closes a store last does."""
    with closing(open_store(home)) as store:
        store.scrub()
        store.list_projects()
    assert not (home / f"{FILE_NAME}-wal").exists()


def as_left(home: Path) -> None:
    """Leave the log beside the file."""


def without_index(home: Path) -> None:
    (home / f"{FILE_NAME}-shm").unlink()


def reading(home: Path, video_id: str) -> dict[str, list[str]]:
    """Return commands that only read, by what their output must have."""
    at = ["--home", str(home)]
    return {
        "Eileen_Collins": ["people", "list", "--json", *at],
        '"promoted": true': ["models", "list", "--json", *at],
        '"Eileen_Collins"': ["search", "person", "Eileen_Collins", "--json", *at],
        "facerec.result/1": ["export", video_id, "--format", "json", *at],
        '"SQLite"': ["store", "info", "--json", *at],
        "what is there can be read": ["doctor", *at],
    }


@pytest.mark.parametrize("prepare_log", [as_left, closed])
def test_a_home_on_a_read_only_file_system_is_read(
    left: tuple[Path, str], tmp_path: Path, mounted: Mounted, prepare_log: Callable[[Path], None]
) -> None:
    home = shutil.copytree(left[0], tmp_path / "home")
    prepare_log(home)
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    commands = reading(home, left[1])
    ended = mounted("-c", _ALL, json.dumps(list(commands.values())), read_only=home)
    assert ended.status == 0, ended.errors
    for expected, (status, output) in zip(commands, json.loads(ended.output), strict=True):
        assert status == 0, output
        assert expected in output
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "command",
    [
        ["projects", "create", "new"],
        ["people", "rename", "Eileen_Collins", "Ada"],
        ["identify"],
        ["train"],
        ["serve", "--no-ui", "--port", "18000"],
    ],
)
def test_commands_that_write_to_a_read_only_home_name_it(
    left: tuple[Path, str], mounted: Mounted, command: list[str]
) -> None:
    home = left[0]
    ended = mounted(*_CLI, *command, "--home", str(home), read_only=home)
    assert ended.status == 1
    (line,) = [line for line in ended.errors.splitlines() if "starting Ray" not in line and line.strip()]
    assert line.startswith("facerec: ")
    assert str(home) in line
    assert "read-only" in line


def test_changes_that_only_a_log_has_are_not_passed_over(
    left: tuple[Path, str], tmp_path: Path, mounted: Mounted
) -> None:
    home = shutil.copytree(left[0], tmp_path / "home")
    without_index(home)
    ended = mounted(*_CLI, "people", "list", "--home", str(home), read_only=home)
    assert (ended.status, ended.output) == (1, "")
    (line,) = ended.errors.splitlines()
    assert f"{FILE_NAME}-shm" in line
    assert "copy the home" in line


def test_a_home_that_is_not_there_and_cannot_be_made_is_named(tmp_path: Path, mounted: Mounted) -> None:
    ended = mounted(*_CLI, "people", "list", "--home", str(tmp_path / "home"), read_only=tmp_path)
    assert ended.status == 1
    assert ended.errors.startswith(
        f"facerec: cannot create the store {tmp_path}/home/{FILE_NAME}: Read-only file system"
    )


@pytest.mark.parametrize(
    ("command", "room_kib", "named"),
    [
        (["people", "import", "{people}", "--home", "{small}/home"], 64, f"/home/{FILE_NAME}"),
        (["people", "import", "{people}", "--home", "{small}/home"], 316, "/home/projects/default/faces/"),
        (["export", "{video}", "--format", "json", "--out", "{small}/r.json", "--home", "{home}"], 4, "/r.json"),
        (["export", "{video}", "--format", "annotated", "--out", "{small}/a.mp4", "--home", "{home}"], 8, "/a.mp4"),
        (["store", "backup", "{small}/b.sqlite3", "--home", "{home}"], 64, "/.b.sqlite3.partial"),
        (["demo", "--dir", "{small}/demo"], 64, "/demo/material"),
    ],
)
def test_a_full_disk_is_named_and_nothing_is_left_half_written(
    left: tuple[Path, str],
    material: DemoMaterial,
    tmp_path: Path,
    mounted: Mounted,
    command: list[str],
    room_kib: int,
    named: str,
) -> None:
    small = tmp_path / "small"
    known = {"people": material.people, "home": left[0], "video": left[1], "small": small}
    ended = mounted(*_CLI, *(part.format(**known) for part in command), small=small, room_kib=room_kib)
    assert (ended.status, ended.output) == (1, "")
    line = [line for line in ended.errors.splitlines() if line.strip()][-1]
    assert line.startswith("facerec: ")
    assert f"{small}{named}" in line
    assert "full" in line or "No space left on device" in line
    assert "Traceback" not in ended.errors
    if named.startswith("/home/"):
        assert not [path for path in ended.left if path.suffix == ".unfinished"]
    else:
        assert ended.left == []


@pytest.mark.parametrize("command", [["people", "list"], ["people", "list", "--json"], ["export", "{video}"]])
def test_a_full_output_is_named(left: tuple[Path, str], command: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, *_CLI, *(part.format(video=left[1]) for part in command), "--home", str(left[0])],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("facerec: standard output cannot be written (No space left on device)")


_UPLOAD = """
import json, sys
from pathlib import Path
from serving.archive.handle import open_archive
from serving.settings import Settings
from tests.serving.routes import bare_routes
home, file = map(Path, sys.argv[1:])
with open_archive(Settings(home=home)) as archive, bare_routes(archive) as client:
    archive.store.create_project("p")
    answer = client.post("/v1/projects/p/videos", files={"file": ("a.mp4", file.read_bytes())})
    print(json.dumps([answer.status_code, answer.headers["content-type"], answer.json()["detail"]]))
    print(json.dumps(len(archive.store.list_videos("p"))))
"""


def test_an_upload_that_the_disk_does_not_take_is_507_and_leaves_nothing(
    material: DemoMaterial, tmp_path: Path, mounted: Mounted
) -> None:
    home = tmp_path / "home"
    ended = mounted("-c", _UPLOAD, str(home), str(material.reel), small=home / "uploads", room_kib=64)
    assert ended.status == 0, ended.errors
    status, kind, detail = json.loads(ended.output.splitlines()[0])
    assert (status, kind) == (507, "application/problem+json")
    assert detail.startswith("<home>/uploads cannot be written (No space left on device)")
    assert (ended.output.splitlines()[1], ended.left) == ("0", [])


def test_a_form_that_the_folder_of_temporary_files_does_not_take_is_507(
    tmp_path: Path, mounted: Mounted, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    monkeypatch.setenv("TMPDIR", str(scratch))
    # What is smaller lies in memory; videos go to their place at once.
    large = tmp_path / "large.jpg"
    large.write_bytes(3 * 2**20 * b"x")
    pictures = _UPLOAD.replace('videos", files={"file"', 'people/Ada/pictures", files={"files"')
    ended = mounted("-c", pictures, str(tmp_path / "home"), str(large), small=scratch, room_kib=64)
    assert ended.status == 0, ended.errors
    status, _, detail = json.loads(ended.output.splitlines()[0])
    assert status == 507
    assert detail.startswith("the folder of temporary files cannot be written (No space left on device)")

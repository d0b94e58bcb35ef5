"""What ``facerec people import`` prints, and how it ends."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facerec_models.types import ImageArray
from tests.builders import sample_picture
from tests.ui.command import Ended, run


@dataclass(frozen=True)
class Import:
    """A home, and a folder to import from."""

    home: Path
    folder: Path

    def write(self, path: str, image: ImageArray) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
        return file

    def people(self, *arguments: object, code: int = 0) -> Ended:
        return run(self.home, "people", *arguments, code=code)

    def enrolled(self, *options: str, code: int = 0) -> dict[str, dict[str, Any]]:
        lines = self.people("import", self.folder, "--json", *options, code=code).stdout.splitlines()
        found = [json.loads(line) for line in lines]
        assert len({one["path"] for one in found}) == len(found)
        return {one["path"]: one for one in found}


@pytest.fixture
def place(tmp_path: Path) -> Import:
    return Import(tmp_path / "home", tmp_path / "people")


@pytest.fixture(scope="module")
def collins() -> ImageArray:
    return np.ascontiguousarray(sample_picture("astronaut.png")[0:300, 80:380])


@pytest.fixture(scope="module")
def twice(collins: ImageArray) -> ImageArray:
    """Two faces of one size."""
    return np.hstack([collins, collins[:, ::-1]])


def test_an_import_lists_every_file_and_fails_if_one_was_refused(
    place: Import, collins: ImageArray, twice: ImageArray
) -> None:
    content = place.write("Ada/1.png", collins).read_bytes()
    (place.folder / "Ada" / "2").write_bytes(content)
    place.write("Bob/both.png", twice)
    place.write("2024/Cem/1.png", collins)
    place.write("2024/Dee/1.png", collins)
    (place.folder / "Ada" / "notes.txt").write_text("no picture")
    enrolled = place.enrolled(code=1)
    assert {path: one["status"] for path, one in enrolled.items()} == {
        "Ada/1.png": "taken",
        "Ada/2": "taken",
        "Bob/both.png": "disabled",
        "2024/Cem/1.png": "refused",
        "2024/Dee/1.png": "refused",
        "Ada/notes.txt": "refused",
    }
    assert enrolled["2024/Cem/1.png"]["person_id"] is enrolled["2024/Cem/1.png"]["face_id"] is None
    assert enrolled["Bob/both.png"]["reason"].startswith("guessed: ")
    assert enrolled["Ada/2"]["reason"].startswith("duplicate: ")
    text = place.people("import", place.folder, code=1)
    assert "2 people, 6 files: 1 taken, 0 disabled, 1 guessed, 3 refused, 1 duplicates." in text.stdout
    shown = " ".join(text.stderr.split())
    assert "refused 2024/Cem/1.png and 1 more: '2024' holds folders" in shown
    assert f"people enable {enrolled['Bob/both.png']['face_id']}" in shown
    people = json.loads(place.people("list", "--json").stdout)
    assert [person["person_id"] for person in people] == ["Ada", "Bob"]


def test_missing_pictures_are_listed_and_pruned_on_request(place: Import, collins: ImageArray) -> None:
    place.write("Ada/1.png", collins)
    second = place.write("Ada/2.png", np.ascontiguousarray(collins[:, ::-1]))
    place.enrolled()
    second.unlink()
    shown = place.enrolled()["Ada/2.png"]
    assert (shown["status"], shown["reason"][:6]) == ("taken", "gone: ")
    assert "--prune removes it" in shown["reason"]
    assert "1 taken, 0 disabled, 0 guessed, 0 refused, 1 gone." in place.people("import", place.folder).stdout
    removed = place.enrolled("--prune")["Ada/2.png"]
    assert (removed["status"], removed["face_id"], removed["person_id"]) == ("refused", None, "Ada")
    assert removed["reason"] == f"removed: it is no longer in {place.folder}"
    assert list(place.enrolled()) == ["Ada/1.png"]
    assert [face["path"] for face in json.loads(place.people("show", "Ada", "--json").stdout)] == ["Ada/1.png"]


def test_a_renamed_folder_is_another_person_once_it_is_pruned(place: Import, collins: ImageArray) -> None:
    place.write("Old/1.png", collins)
    place.enrolled()
    (place.folder / "Old").rename(place.folder / "New")
    enrolled = place.enrolled("--prune")
    assert {path: one["status"] for path, one in enrolled.items()} == {"New/1.png": "taken", "Old/1.png": "refused"}
    assert [person["person_id"] for person in json.loads(place.people("list", "--json").stdout)] == ["New"]


def test_removed_and_doubtful_faces_are_counted_apart(place: Import, collins: ImageArray) -> None:
    place.write("Ada/1.png", collins)
    second = place.write("Ada/2.png", np.ascontiguousarray(collins[:, ::-1]))
    third = place.write("Bob/1.png", np.ascontiguousarray(np.full((200, 200, 3), 90, np.uint8)))
    place.enrolled(code=1)
    second.unlink()
    third.unlink()
    result = place.people("import", place.folder, "--prune")
    assert "1 taken, 0 disabled, 0 guessed, 0 refused, 1 gone, 1 removed." in result.stdout
    shown = " ".join(result.stderr.split())
    assert "removed Ada/2.png: it is no longer in" in shown
    assert "gone Bob/1.png: its folder" in shown
    assert [person["person_id"] for person in json.loads(place.people("list", "--json").stdout)] == ["Ada", "Bob"]
    third.parent.rmdir()
    assert place.enrolled("--prune")["Bob/1.png"]["reason"].startswith("removed: ")


def test_a_guess_is_no_outlier_and_is_confirmed_by_hand(place: Import, twice: ImageArray) -> None:
    place.write("Bob/both.png", twice)
    face = place.enrolled(code=1)["Bob/both.png"]["face_id"]
    assert json.loads(place.people("outliers", "--json").stdout) == []
    place.people("enable", face)
    assert place.enrolled()["Bob/both.png"]["status"] == "taken"


def test_one_face_is_enabled_for_one_person_only(place: Import, collins: ImageArray) -> None:
    for person in ("Ada", "Bob"):
        place.write(f"{person}/1.png", collins)
    enrolled = place.enrolled(code=1)
    place.people("enable", enrolled["Ada/1.png"]["face_id"])
    refused = place.people("enable", enrolled["Bob/1.png"]["face_id"], code=1)
    assert "is the same face as" in refused.error
    assert json.loads(place.people("show", "Bob", "--json").stdout)[0]["status"] == "disabled"

from __future__ import annotations

import os
import shutil
import socket
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facerec_models.errors import InputError
from training.pictures import Picture, find_pictures, is_litter, with_content


def write(path: Path, shade: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 30, 3), shade, np.uint8)).save(path, "PNG")
    return path


def found(folder: Path) -> dict[str, Picture]:
    return {picture.path: picture for picture in find_pictures(folder)}


def test_pictures_are_found_by_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    name = unicodedata.normalize("NFD", "Zoë Kravitz")
    first = write(folder / name / "1.PNG")
    write(folder / name / "deeper" / "2.png")
    (folder / ".cache").mkdir()
    shutil.copyfile(first, folder / ".cache" / "3.png")
    assert {picture.person_id for picture in find_pictures(folder)} == {unicodedata.normalize("NFC", "Zoë_Kravitz")}
    assert sorted(found(folder)) == [f"{name}/1.PNG", f"{name}/deeper/2.png"]
    with pytest.raises(InputError, match="no folder"):
        find_pictures(first)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="Ada_Lovelace"):
        find_pictures(tmp_path / "empty")


def test_a_folder_of_folders_is_no_person(tmp_path: Path) -> None:
    write(tmp_path / "2024" / "Ada_Lovelace" / "1.png")
    write(tmp_path / "2024" / "Grace_Hopper" / "2.png")
    (tmp_path / "2024" / "list.txt").write_text("of the people below")
    write(tmp_path / "Alan_Turing" / "3.png")
    pictures = found(tmp_path)
    assert pictures["Alan_Turing/3.png"].problem is None
    for path in ("2024/Ada_Lovelace/1.png", "2024/Grace_Hopper/2.png", "2024/list.txt"):
        assert pictures[path].person_id == ""
        assert f"facerec people import {tmp_path}/2024" in str(pictures[path].problem)
        assert f"move them up into {tmp_path}/2024" in str(pictures[path].problem)


def test_subfolders_beside_pictures_belong_to_no_person(tmp_path: Path) -> None:
    write(tmp_path / "2024" / "cover.png")
    write(tmp_path / "2024" / "Ada" / "1.png")
    assert found(tmp_path)["2024/Ada/1.png"].problem is None
    write(tmp_path / "2024" / "Bob" / "deeper" / "1.png")
    pictures = found(tmp_path)
    assert (pictures["2024/cover.png"].person_id, pictures["2024/cover.png"].problem) == ("2024", None)
    for path in ("2024/Ada/1.png", "2024/Bob/deeper/1.png"):
        assert pictures[path].person_id == ""
        assert f"facerec people import {tmp_path}/2024" in str(pictures[path].problem)
        assert f"move them up into {tmp_path}/2024" in str(pictures[path].problem)
        assert with_content(pictures[path]).sha256


def test_a_folder_with_an_invalid_name_is_refused_alone(tmp_path: Path) -> None:
    for name in ("AC;DC", "Unknown 3", "Ada_Lovelace"):
        write(tmp_path / name / "1.png")
    pictures = found(tmp_path)
    assert pictures["Ada_Lovelace/1.png"].problem is None
    assert "must not contain a semicolon" in str(pictures["AC;DC/1.png"].problem)
    assert "rename the folder" in str(pictures["Unknown 3/1.png"].problem)


def test_a_picture_in_no_persons_folder_has_a_problem_and_other_files_there_have_none(tmp_path: Path) -> None:
    write(tmp_path / "Ada_Lovelace" / "1.png")
    write(tmp_path / "outside")
    (tmp_path / "README.txt").write_text("where the pictures are from")
    pictures = found(tmp_path)
    assert sorted(pictures) == ["Ada_Lovelace/1.png", "outside"]
    assert "no person's folder" in str(pictures["outside"].problem)


@pytest.mark.parametrize("name", [".DS_Store", "._1.jpg", "Thumbs.db", "desktop.ini", "Desktop.ini", "__MACOSX"])
def test_hidden_and_system_files_are_skipped(name: str) -> None:
    assert is_litter(name)
    assert not is_litter("1.jpg")


def test_a_link_to_a_folder_is_listed_and_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "in" / "A" / "1.png")
    write(tmp_path / "album" / "2.png")
    (tmp_path / "in" / "A" / "more").symlink_to(tmp_path / "album")
    pictures = found(tmp_path / "in")
    assert sorted(pictures) == ["A/1.png", "A/more"]
    assert "is not followed" in str(pictures["A/more"].problem)


def test_a_file_that_cannot_be_read_has_a_problem_and_no_content(tmp_path: Path) -> None:
    (tmp_path / "A").mkdir()
    (tmp_path / "A" / "1.png").symlink_to(tmp_path / "nothing.png")
    read = with_content(find_pictures(tmp_path)[0])
    assert (read.sha256, read.problem) == ("", "it cannot be read: No such file or directory")


def test_a_broken_link_in_place_of_a_persons_folder_is_listed(tmp_path: Path) -> None:
    write(tmp_path / "Bob" / "1.png")
    (tmp_path / "Ada").symlink_to(tmp_path / "unmounted" / "Ada")
    read = with_content(found(tmp_path)["Ada"])
    assert f"a link that leads nowhere, to '{tmp_path}/unmounted/Ada'" in str(read.problem)
    assert read.sha256 == ""


@pytest.mark.parametrize("name", ["1.jpg", "no_suffix"])
def test_a_special_file_is_refused_unopened(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "A"
    write(folder / "deeper" / "0.png")
    os.mkfifo(folder / name)
    (folder / f"link_{name}").symlink_to(folder / name)
    (folder / f"endless_{name}").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / name)
    monkeypatch.chdir(folder)  # a socket's path may have a hundred characters
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket.jpg")
    write(folder / "0.png")
    pictures = {path: with_content(picture) for path, picture in found(tmp_path).items()}
    problems = {path: picture.problem for path, picture in pictures.items() if picture.sha256 == ""}
    assert {path.removeprefix("A/"): str(problem).split(" and ")[0] for path, problem in problems.items()} == {
        name: "it is a named pipe",
        f"link_{name}": "it is a named pipe",
        f"endless_{name}": "it is a device",
        "socket.jpg": "it is a socket",
    }


def test_a_picture_with_a_problem_keeps_it_and_has_its_content(tmp_path: Path) -> None:
    write(tmp_path / "1.png")
    (picture,) = found(tmp_path).values()
    read = with_content(picture)
    assert (read.problem, len(read.sha256)) == (picture.problem, 64)

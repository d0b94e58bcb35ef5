"""What enrolment guesses, finds twice or finds no more."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from facerec_models.analysis.networks import Networks
from facerec_models.config import AnalysisConfig, IdentificationConfig, LimitsConfig
from facerec_models.errors import ConflictError
from facerec_models.images import read_image
from facerec_models.types import FloatArray, ImageArray
from serving.archive.handle import Archive
from serving.archive.learning.enrol import enrol, find_gone, prune, tally
from serving.archive.naming.enable import enable_faces
from serving.store.contract import Store
from serving.store.rows import Face, FaceStatus
from tests.builders import sample_picture
from tests.unit.serving.archive.learning.test_enrol import alike, beside, write
from training.pictures import Picture, find_pictures, with_content
from ui.demo_material import HOPPER, find_file

ANALYSIS, RULES = AnalysisConfig(), IdentificationConfig()


@pytest.fixture(scope="module")
def collins() -> ImageArray:
    return np.ascontiguousarray(sample_picture("astronaut.png")[0:300, 80:380])


@pytest.fixture(scope="module")
def hopper() -> ImageArray:
    return cv2.resize(read_image(find_file(*HOPPER), LimitsConfig())[20:370, 85:435], (300, 300)).astype(np.uint8)


@pytest.fixture(scope="module")
def couple(collins: ImageArray, hopper: ImageArray) -> ImageArray:
    """Collins and Hopper with faces of one size."""
    return beside(collins, hopper, 0.62)


def take(archive: Archive, folder: Path, networks: Networks) -> dict[str, Face]:
    """Enrol a folder; return what became of each path, which is told once."""
    faces = list(enrol(archive, "p", find_pictures(folder), networks, ANALYSIS))
    assert len({face.path for face in faces}) == len(faces)
    return {face.path: face for face in faces}


def kinds(faces: dict[str, Face]) -> dict[str, str]:
    return {path: tally(face) for path, face in faces.items()}


def test_of_several_faces_of_one_size_none_is_enrolled_until_confirmed(
    tmp_path: Path, archive: Archive, networks: Networks, couple: ImageArray
) -> None:
    write(tmp_path / "in" / "A" / "both.png", couple)
    face = take(archive, tmp_path / "in", networks)["A/both.png"]
    assert (face.status, tally(face), face.by_hand) == (FaceStatus.DISABLED, "guessed", False)
    assert archive.files.face_crop("p", face.face_id).is_file()
    assert enable_faces(archive, "p", [face.face_id]).applied
    again = take(archive, tmp_path / "in", networks)["A/both.png"]
    assert (again.status, again.reason, again.by_hand) == (FaceStatus.TAKEN, None, True)


def test_a_guess_is_made_anew_once_another_picture_supports_it(
    tmp_path: Path, archive: Archive, store: Store, networks: Networks, couple: ImageArray, collins: ImageArray
) -> None:
    write(tmp_path / "in" / "A" / "both.png", couple)
    assert kinds(take(archive, tmp_path / "in", networks)) == {"A/both.png": "guessed"}
    write(tmp_path / "in" / "A" / "alone.png", collins)
    faces = take(archive, tmp_path / "in", networks)
    assert kinds(faces) == {"A/both.png": "taken", "A/alone.png": "taken"}
    assert alike(faces["A/both.png"], faces["A/alone.png"]) > 0.97
    assert [face.status for face in store.list_faces("p")] == [FaceStatus.TAKEN] * 2


def test_a_large_face_before_small_ones_is_no_guess(
    tmp_path: Path, archive: Archive, networks: Networks, collins: ImageArray, hopper: ImageArray
) -> None:
    write(tmp_path / "in" / "A" / "portrait.png", beside(collins, hopper, 0.25))
    assert kinds(take(archive, tmp_path / "in", networks)) == {"A/portrait.png": "taken"}


def test_two_people_are_never_learnt_from_one_face(
    tmp_path: Path, archive: Archive, store: Store, networks: Networks, couple: ImageArray, collins: ImageArray
) -> None:
    for name, image in (("both.png", couple), ("alone.png", collins)):
        for person in ("A", "B"):
            write(tmp_path / name / person / name, image)
        faces = take(archive, tmp_path / name, networks)
        assert kinds(faces) == {f"A/{name}": "guessed", f"B/{name}": "guessed"}
        assert "is B's ('B/" in str(faces[f"A/{name}"].reason)
    assert store.list_faces("p", status=FaceStatus.TAKEN) == []
    first, second = (faces[f"{person}/alone.png"].face_id for person in ("A", "B"))
    with pytest.raises(ConflictError, match="one face is learned as one person's"):
        enable_faces(archive, "p", [first, second])
    assert enable_faces(archive, "p", [first]).applied
    with pytest.raises(ConflictError, match="same face as"):
        enable_faces(archive, "p", [second])


def test_a_copy_of_a_face_is_not_enrolled_for_another_person(
    tmp_path: Path, archive: Archive, networks: Networks, collins: ImageArray
) -> None:
    write(tmp_path / "first" / "A" / "1.png", collins)
    take(archive, tmp_path / "first", networks)
    write(tmp_path / "then" / "B" / "2.jpg", collins)
    face = take(archive, tmp_path / "then", networks)["B/2.jpg"]
    assert tally(face) == "guessed"
    assert "learned as A's, from 'A/1.png'" in str(face.reason)


def test_faces_that_a_network_cannot_distinguish_are_not_taken_for_copies(
    tmp_path: Path, archive: Archive, networks: Networks, collins: ImageArray, hopper: ImageArray
) -> None:
    class Alike:
        name, dimension, template = networks.embedder.name, networks.embedder.dimension, networks.embedder.template

        def embed(self, crops: ImageArray) -> FloatArray:
            return np.tile(np.eye(1, self.dimension, dtype=np.float32), (len(crops), 1))

    write(tmp_path / "in" / "A" / "1.png", collins)
    write(tmp_path / "in" / "B" / "2.png", hopper)
    write(tmp_path / "in" / "C" / "3.jpg", collins)
    faces = take(archive, tmp_path / "in", Networks(networks.detector, Alike()))
    assert kinds(faces) == {"A/1.png": "taken", "B/2.png": "taken", "C/3.jpg": "guessed"}


def test_of_a_shared_picture_each_has_the_face_that_their_other_pictures_show_or_that_is_left(
    tmp_path: Path, archive: Archive, networks: Networks, couple: ImageArray, collins: ImageArray,
    hopper: ImageArray,
) -> None:  # fmt: skip
    write(tmp_path / "in" / "Collins" / "alone.png", collins)
    write(tmp_path / "in" / "Collins" / "wedding.png", couple)
    write(tmp_path / "in" / "Hopper" / "wedding.png", couple)
    faces = take(archive, tmp_path / "in", networks)
    assert set(kinds(faces).values()) == {"taken"}
    write(tmp_path / "check" / "Who" / "hopper.png", hopper)
    (check,) = enrol(archive, "q", find_pictures(tmp_path / "check"), networks, ANALYSIS)
    assert alike(faces["Hopper/wedding.png"], check) > alike(faces["Hopper/wedding.png"], faces["Collins/alone.png"])


def test_content_that_is_there_twice_is_enrolled_once_and_listed(
    tmp_path: Path, archive: Archive, store: Store, networks: Networks, collins: ImageArray
) -> None:
    first = write(tmp_path / "in" / "A" / "1.png", collins)
    shutil.copyfile(first, tmp_path / "in" / "A" / "2.png")
    for name in ("x.txt", "y.txt"):
        (tmp_path / "in" / "A" / name).write_text("the same")
    faces = take(archive, tmp_path / "in", networks)
    assert kinds(faces) == {
        "A/1.png": "taken",
        "A/2.png": "duplicate",
        "A/x.txt": "refused",
        "A/y.txt": "refused",
    }
    assert faces["A/2.png"].reason == "duplicate: the same content as 'A/1.png'"
    assert [face.path for face in store.list_faces("p")] == ["A/1.png"]
    assert kinds(take(archive, tmp_path / "in", networks))["A/2.png"] == "duplicate"


def gone(store: Store, folder: Path) -> dict[str, Face]:
    pictures = [with_content(picture) for picture in find_pictures(folder)]
    return {face.path: face for face in find_gone(store, "p", folder, pictures).faces}


def doubtful(store: Store, folder: Path) -> list[str]:
    """Return the faces that may be gone or only in a folder where nothing is mounted; none is gone for sure."""
    found = find_gone(store, "p", folder, [with_content(picture) for picture in find_pictures(folder)])
    assert found.faces == []
    return [face.path for face in found.doubtful]


def test_pictures_that_are_no_longer_in_their_folder_are_found_and_pruned(
    tmp_path: Path, archive: Archive, store: Store, networks: Networks, collins: ImageArray, hopper: ImageArray
) -> None:
    folder = tmp_path / "in"
    write(folder / "A" / "1.png", collins)
    write(folder / "A" / "2.png", np.ascontiguousarray(collins[:, ::-1]))
    write(folder / "A" / "3.png", np.full((200, 200, 3), 90, np.uint8))
    write(tmp_path / "other" / "B" / "1.png", hopper)
    take(archive, folder, networks)
    take(archive, tmp_path / "other", networks)
    assert gone(store, folder) == {}
    (folder / "A" / "1.png").rename(folder / "A" / "renamed.png")
    (folder / "A" / "3.png").unlink()
    assert list(gone(store, folder)) == ["A/3.png"]
    take(archive, folder, networks)
    assert [face.path for face in store.list_faces("p", person_id="A")] == ["A/2.png", "A/3.png", "A/renamed.png"]
    (folder / "A" / "2.png").unlink()
    faces = gone(store, folder)
    assert sorted(faces) == ["A/2.png", "A/3.png"]
    crop = archive.files.face_crop("p", faces["A/2.png"].face_id)
    assert crop.is_file()
    prune(archive, "p", list(faces.values()))
    assert [face.path for face in store.list_faces("p")] == ["A/renamed.png", "B/1.png"]
    assert not crop.exists()
    assert gone(store, folder) == {}


def test_a_picture_that_cannot_be_read_now_is_not_gone(
    tmp_path: Path, archive: Archive, store: Store, networks: Networks, collins: ImageArray
) -> None:
    picture = write(tmp_path / "in" / "A" / "1.png", collins)
    take(archive, tmp_path / "in", networks)
    picture.unlink()
    picture.symlink_to(tmp_path / "unmounted" / "1.png")
    assert gone(store, tmp_path / "in") == {}


def test_pictures_below_an_unreadable_folder_are_not_missing(
    tmp_path: Path, archive: Archive, store: Store, networks: Networks, collins: ImageArray, hopper: ImageArray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder, album = tmp_path / "in", tmp_path / "album"
    write(folder / "A" / "0.png", np.ascontiguousarray(collins[:, ::-1]))
    write(folder / "A" / "deeper" / "1.png", collins)
    write(folder / "B" / "1.png", hopper)
    take(archive, folder, networks)
    listing, closed = os.scandir, set[Path]()

    def refuse(path: str | Path) -> Any:
        if Path(path) in closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(os, "scandir", refuse)
    for unread in (folder / "A" / "deeper", folder / "A"):
        closed.add(unread)
        assert gone(store, folder) == {}
        assert doubtful(store, folder) == []
    monkeypatch.setattr(os, "scandir", listing)
    (folder / "A").rename(album)
    (folder / "A").symlink_to(tmp_path / "unmounted")
    assert gone(store, folder) == {}
    assert "leads nowhere" in str(take(archive, folder, networks)["A"].reason)
    (folder / "A").unlink()
    assert sorted(gone(store, folder)) == ["A/0.png", "A/deeper/1.png"]


def test_nothing_is_gone_whose_folder_is_there_and_empty(
    tmp_path: Path, archive: Archive, store: Store, networks: Networks, collins: ImageArray, hopper: ImageArray
) -> None:
    folder = tmp_path / "in"
    write(folder / "A" / "0.png", np.ascontiguousarray(collins[:, ::-1]))
    write(folder / "A" / "deeper" / "1.png", collins)
    write(folder / "B" / "1.png", hopper)
    take(archive, folder, networks)
    assert doubtful(store, folder) == []
    (folder / "A" / "deeper" / "1.png").unlink()
    (folder / "A" / "deeper" / ".DS_Store").write_bytes(b"left by a system")
    assert doubtful(store, folder) == ["A/deeper/1.png"]
    (folder / "A" / "0.png").unlink()
    assert doubtful(store, folder) == ["A/0.png", "A/deeper/1.png"]
    write(folder / "A" / "2.png", np.full((200, 200, 3), 90, np.uint8))
    shutil.rmtree(folder / "A" / "deeper")
    assert sorted(gone(store, folder)) == ["A/0.png", "A/deeper/1.png"]


def test_pictures_of_an_ambiguous_folder_are_not_missing(
    tmp_path: Path, archive: Archive, store: Store, networks: Networks, collins: ImageArray, hopper: ImageArray
) -> None:
    folder = tmp_path / "in"
    write(folder / "A" / "1.png", collins)
    write(folder / "B" / "1.png", hopper)
    write(folder / "C" / "1.png", np.ascontiguousarray(hopper[:, ::-1]))
    take(archive, folder, networks)
    (folder / "2024").mkdir()
    (folder / "A").rename(folder / "2024" / "A")
    (folder / "C" / "1.png").rename(folder / "loose.png")
    (folder / "C").rmdir()
    assert gone(store, folder) == {}
    assert kinds(take(archive, folder, networks)) == {
        "2024/A/1.png": "refused",
        "B/1.png": "taken",
        "loose.png": "refused",
    }


@pytest.mark.parametrize("is_a_guess", [False, True])
def test_a_face_stays_in_its_folder_while_its_picture_is_there(
    tmp_path: Path, archive: Archive, store: Store, networks: Networks, collins: ImageArray, couple: ImageArray,
    is_a_guess: bool,
) -> None:  # fmt: skip
    first, second = tmp_path / "first", tmp_path / "second"
    write(first / "A" / "1.png", couple if is_a_guess else collins)
    (face,) = take(archive, first, networks).values()
    place = (face.path, face.source)
    shutil.copytree(first / "A", second / "A" / "copies")
    write(second / "A" / "other.png", np.full((200, 200, 3), 90, np.uint8))
    told = take(archive, second, networks)["A/copies/1.png"]
    assert (tally(told), told.face_id) == ("duplicate", face.face_id)
    assert f"the same content as '{first}/A/1.png'" in str(told.reason)
    # As an upload and a crawl of what was there, while the folder cannot be reached.
    first.rename(tmp_path / "unmounted")
    for source in (None, "https://example.org/1.png"):
        upload = Picture(tmp_path / "unmounted" / "A" / "1.png", "A/upload.png", "A", source=source)
        list(enrol(archive, "p", [upload], networks, ANALYSIS))
    (tmp_path / "unmounted").rename(first)
    (second / "A" / "copies" / "1.png").unlink()
    assert [(one.path, one.source) for one in store.list_faces("p") if one.face_id == face.face_id] == [place]
    assert gone(store, second) == {}
    write(second / "A" / "moved.png", couple if is_a_guess else collins)
    (first / "A" / "1.png").unlink()
    take(archive, second, networks)
    (face,) = (one for one in store.list_faces("p") if one.face_id == face.face_id)
    assert (face.path, face.source) == ("A/moved.png", f"folder:{second}")


def test_a_renamed_person_is_a_guess_until_the_former_name_is_pruned(
    tmp_path: Path, archive: Archive, store: Store, networks: Networks, collins: ImageArray
) -> None:
    folder = tmp_path / "in"
    write(folder / "Old" / "1.png", collins)
    write(folder / "Old" / "2.png", np.ascontiguousarray(collins[:, ::-1]))
    take(archive, folder, networks)
    (folder / "Old").rename(folder / "New")
    faces = take(archive, folder, networks)
    assert kinds(faces) == {"New/1.png": "guessed", "New/2.png": "guessed"}
    assert "is Old's ('Old/1.png')" in str(faces["New/1.png"].reason)
    prune(archive, "p", list(gone(store, folder).values()))
    assert set(kinds(take(archive, folder, networks)).values()) == {"taken"}
    assert [person.person_id for person in store.list_people("p")] == ["New"]

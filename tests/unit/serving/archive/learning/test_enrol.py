from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from facerec_models.analysis.networks import Networks
from facerec_models.config import AnalysisConfig, DetectionConfig, IdentificationConfig, LimitsConfig
from facerec_models.errors import ConflictError, GalleryMismatchError, InputError
from facerec_models.images import read_image
from facerec_models.stills import find_stills
from facerec_models.types import Detections, ImageArray
from serving.archive.files import Files
from serving.archive.forget import forget
from serving.archive.handle import Archive
from serving.archive.learning import enrol as enrol_module
from serving.archive.learning.enrol import Gone, enrol, find_gone
from serving.archive.learning.unfinished_enrolments import marks_of
from serving.archive.naming.enable import enable_faces
from serving.archive.naming.rename import rename_person
from serving.store.contract import Store
from serving.store.rows import Face, FaceStatus
from tests.builders import face_of, sample_picture
from tests.contract.store_cases import make_face
from training.pictures import find_pictures, with_content
from ui.demo_material import HOPPER, find_file

ANALYSIS, RULES = AnalysisConfig(), IdentificationConfig()


class Blind:
    """A detector that must not be used."""

    engine = ""

    def detect(self, images: Sequence[ImageArray]) -> list[Detections]:
        assert not images, "a known picture was detected again"
        return []


@pytest.fixture(scope="module")
def collins() -> ImageArray:
    """A portrait of 300x300 pixels with a face 110 pixels high."""
    return np.ascontiguousarray(sample_picture("astronaut.png")[0:300, 80:380])


@pytest.fixture(scope="module")
def hopper() -> ImageArray:
    """Another person's portrait of 300x300 pixels; the face is 1.7 times as high."""
    return cv2.resize(read_image(find_file(*HOPPER), LimitsConfig())[20:370, 85:435], (300, 300)).astype(np.uint8)


def write(path: Path, image: ImageArray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def beside(left: ImageArray, right: ImageArray, right_scale: float) -> ImageArray:
    """Show two people side by side, the right one larger or smaller."""
    resized = cv2.resize(right, None, fx=right_scale, fy=right_scale, interpolation=cv2.INTER_AREA)
    height = max(left.shape[0], resized.shape[0])
    parts = [np.pad(part, ((0, height - part.shape[0]), (0, 0), (0, 0)), mode="edge") for part in (left, resized)]
    return np.hstack(parts).astype(np.uint8)


def take(archive: Archive, folder: Path, networks: Networks) -> dict[str, Face]:
    faces = enrol(archive, "p", find_pictures(folder), networks, ANALYSIS)
    return {face.path.split("/")[1]: face for face in faces}


def alike(a: Face, b: Face) -> float:
    assert a.embedding is not None
    assert b.embedding is not None
    return float(a.embedding @ b.embedding)


def test_in_a_group_the_face_of_the_other_pictures_is_meant(
    tmp_path: Path, archive: Archive, networks: Networks, collins: ImageArray, hopper: ImageArray
) -> None:
    write(tmp_path / "in" / "Eileen_Collins" / "alone.png", collins)
    write(tmp_path / "in" / "Eileen_Collins" / "group.png", beside(collins, hopper, 0.75))
    write(tmp_path / "in" / "Grace_Hopper" / "alone_too.png", hopper)
    write(tmp_path / "in" / "Grace_Hopper" / "group_too.png", beside(collins, hopper, 0.75))
    faces = take(archive, tmp_path / "in", networks)
    assert {face.status for face in faces.values()} == {FaceStatus.TAKEN}
    for group in ("group", "group_too"):
        own, other = ("alone", "alone_too") if group == "group" else ("alone_too", "alone")
        assert (
            alike(faces[f"{group}.png"], faces[f"{own}.png"])
            > alike(faces[f"{group}.png"], faces[f"{other}.png"]) + 0.03
        )
    crop = archive.files.face_crop("p", faces["group.png"].face_id)
    assert crop.read_bytes()[:2] == b"\xff\xd8"


def test_without_other_pictures_the_largest_face_is_meant(
    tmp_path: Path, archive: Archive, networks: Networks, collins: ImageArray, hopper: ImageArray
) -> None:
    write(tmp_path / "in" / "A" / "group.png", beside(collins, hopper, 0.9))
    write(tmp_path / "in" / "B" / "collins.png", collins)
    write(tmp_path / "in" / "C" / "hopper.png", hopper)
    faces = take(archive, tmp_path / "in", networks)
    assert alike(faces["group.png"], faces["hopper.png"]) > alike(faces["group.png"], faces["collins.png"]) + 0.03


def test_a_larger_face_of_another_person_is_not_enrolled(
    tmp_path: Path, archive: Archive, networks: Networks, collins: ImageArray, hopper: ImageArray
) -> None:
    write(tmp_path / "in" / "A" / "alone.png", collins)
    write(tmp_path / "in" / "A" / "group.png", beside(collins, hopper, 1.6))
    write(tmp_path / "in" / "C" / "hopper.png", hopper)
    faces = take(archive, tmp_path / "in", networks)
    assert alike(faces["group.png"], faces["alone.png"]) > alike(faces["group.png"], faces["hopper.png"]) + 0.03


def test_a_group_that_comes_later_is_compared_with_what_is_known(
    tmp_path: Path, archive: Archive, store: Store, networks: Networks, collins: ImageArray, hopper: ImageArray
) -> None:
    write(tmp_path / "first" / "A" / "alone.png", collins)
    take(archive, tmp_path / "first", networks)
    write(tmp_path / "then" / "A" / "group.png", beside(collins, hopper, 1.6))
    (group,) = take(archive, tmp_path / "then", networks).values()
    (alone,) = (face for face in store.list_faces("p") if face.path == "A/alone.png")
    assert alike(group, alone) > 0.98


def test_a_refusal_says_why(tmp_path: Path, archive: Archive, networks: Networks, collins: ImageArray) -> None:
    folder = tmp_path / "in" / "A"
    write(folder / "good.png", collins)
    write(folder / "blank.png", np.full((200, 200, 3), 90, np.uint8))
    write(folder / "small.png", cv2.resize(collins, (75, 75), interpolation=cv2.INTER_AREA).astype(np.uint8))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (folder / "notes.txt").write_text("not a picture, and not called one")
    (folder / "no_suffix").write_bytes((folder / "good.png").read_bytes() + b"more")
    (folder / "nowhere.jpg").symlink_to(tmp_path / "nothing.jpg")
    for litter in (".DS_Store", "Thumbs.db", "desktop.ini", "._good.png"):
        (folder / litter).write_bytes(b"left by a system")
    faces = take(archive, tmp_path / "in", networks)
    assert sorted(faces) == [
        "blank.png",
        "broken.jpg",
        "good.png",
        "no_suffix",
        "notes.txt",
        "nowhere.jpg",
        "small.png",
    ]
    assert faces["no_suffix"].status is FaceStatus.TAKEN
    assert "'A/notes.txt' is no picture of an allowed kind" in str(faces["notes.txt"].reason)
    assert "No such file" in str(faces["nowhere.jpg"].reason)
    assert (faces["good.png"].status, faces["good.png"].reason) == (FaceStatus.TAKEN, None)
    assert faces["blank.png"].reason == "no face was found"
    assert "quality" in str(faces["small.png"].reason)
    assert "broken.jpg" in str(faces["broken.jpg"].reason)
    for name in ("blank.png", "small.png", "broken.jpg", "notes.txt", "nowhere.jpg"):
        assert faces[name].status is FaceStatus.REFUSED
    assert faces["blank.png"].embedding is None


def test_listed_pictures_are_kept_but_disabled(
    tmp_path: Path, archive: Archive, networks: Networks, collins: ImageArray, hopper: ImageArray
) -> None:
    folder = tmp_path / "in"
    write(folder / "A" / "on.png", collins)
    write(folder / "A" / "off.png", np.ascontiguousarray(collins[:, ::-1]))
    write(folder / "A" / "blank.png", np.full((200, 200, 3), 90, np.uint8))
    # As an editor on Windows saves it.
    (folder / "disabled.txt").write_bytes(b"\xef\xbb\xbfA/off.png\r\n\r\nA/blank.png\r\n")
    faces = take(archive, folder, networks)
    assert [faces[name].status.value for name in ("on.png", "off.png", "blank.png")] == ["taken", "disabled", "refused"]
    assert faces["off.png"].reason == "listed in disabled.txt"
    assert faces["off.png"].embedding is not None
    (folder / "disabled.txt").write_bytes(b"A/\xe4.png\n")
    with pytest.raises(InputError, match=r"disabled\.txt.*UTF-8"):
        find_pictures(folder)


def test_importing_again_detects_nothing_and_keeps_decisions(
    tmp_path: Path, archive: Archive, store: Store, networks: Networks, collins: ImageArray, hopper: ImageArray
) -> None:
    folder = tmp_path / "in"
    write(folder / "A" / "one.png", collins)
    write(folder / "B" / "two.png", hopper)
    first = take(archive, folder, networks)
    enable_faces(archive, "p", [first["one.png"].face_id], enabled=False)
    again = take(archive, folder, Networks(Blind(), networks.embedder))
    assert {name: face.face_id for name, face in again.items()} == {name: face.face_id for name, face in first.items()}
    assert (again["one.png"].status, again["one.png"].reason) == (FaceStatus.DISABLED, "by hand")
    assert {face.path: face.status.value for face in store.list_faces("p")} == {
        "A/one.png": "disabled",
        "B/two.png": "taken",
    }


@pytest.mark.parametrize("is_deleted", [True, False])
def test_decisions_made_during_an_import_stay(
    tmp_path: Path, archive: Archive, store: Store, networks: Networks, collins: ImageArray, is_deleted: bool
) -> None:
    name = networks.embedder.name
    store.fix_embedder("p", name)
    rows = [make_face(f"f{i}", "A", embedder=name, embedding=face_of(1, i)) for i in range(6)]
    rows += [make_face(face_id, "A", embedder=name, embedding=face_of(9)) for face_id in ("g0", "g1")]
    store.put_faces("p", rows)

    class Meanwhile:
        def detect(self, images: Sequence[ImageArray]) -> list[Detections]:
            if is_deleted:
                store.delete_faces("p", ["g0"])
            else:
                enable_faces(archive, "p", ["g0"])
            return networks.detector.detect(images)

    write(tmp_path / "in" / "A" / "1.png", collins)
    take(archive, tmp_path / "in", Networks(Meanwhile(), networks.embedder))
    found = {face.face_id: (face.status, face.reason, face.by_hand) for face in store.list_faces("p")}
    assert len(found) == (8 if is_deleted else 9)
    assert found["g1"][0] is FaceStatus.DISABLED
    assert found.get("g0") == (None if is_deleted else (FaceStatus.TAKEN, None, True))


def test_an_interruption_leaves_whole_people(
    tmp_path: Path, archive: Archive, store: Store, networks: Networks, collins: ImageArray, hopper: ImageArray
) -> None:
    folder = tmp_path / "in"
    write(folder / "A" / "1.png", collins)
    write(folder / "A" / "2.png", np.ascontiguousarray(collins[:, ::-1]))
    write(folder / "B" / "3.png", hopper)
    next(enrol(archive, "p", find_pictures(folder), networks, ANALYSIS))
    assert [(person.person_id, person.taken) for person in store.list_people("p")] == [("A", 2)]


@pytest.mark.parametrize("is_forgotten", [True, False])
def test_an_enrolment_that_fails_leaves_no_face_file(
    tmp_path: Path,
    archive: Archive,
    store: Store,
    home: Files,
    networks: Networks,
    collins: ImageArray,
    monkeypatch: pytest.MonkeyPatch,
    is_forgotten: bool,
) -> None:
    write(tmp_path / "in" / "A" / "1.png", collins)
    folder = archive.files.face_crop("p", "x").parent

    def fail(*_: object) -> dict[str, Face]:
        assert len(list(folder.iterdir())) == 1
        if is_forgotten:
            assert forget(archive, "p", "A").crops == 1
            return {}
        raise KeyboardInterrupt

    monkeypatch.setattr(enrol_module, "disable_outliers", fail)
    with pytest.raises(ConflictError if is_forgotten else KeyboardInterrupt):
        take(archive, tmp_path / "in", networks)
    assert list(folder.iterdir()) == store.list_faces("p") == marks_of(archive.files, "p") == []
    monkeypatch.undo()
    take(archive, tmp_path / "in", networks)
    assert [path.stem for path in folder.iterdir()] == [face.face_id for face in store.list_faces("p")]
    assert marks_of(archive.files, "p") == []


def test_a_project_keeps_its_embedder(
    tmp_path: Path, archive: Archive, store: Store, networks: Networks, collins: ImageArray
) -> None:
    write(tmp_path / "in" / "A" / "1.png", collins)
    store.fix_embedder("p", "another")
    with pytest.raises(GalleryMismatchError, match="another"):
        take(archive, tmp_path / "in", networks)
    assert store.list_faces("p") == []


def test_large_pictures_are_not_in_memory_together(networks: Networks, collins: ImageArray) -> None:
    sizes: list[list[int]] = []

    class Sizing:
        def detect(self, images: Sequence[ImageArray]) -> list[Detections]:
            sizes.append([max(image.shape) for image in images])
            return [Detections.empty()] * len(images)

    large = np.full((5000, 9000, 3), 90, np.uint8)
    contents: list[tuple[str, Path | bytes]] = []
    for image in (collins, collins, large, large, collins):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "BMP")
        contents.append(("it", file.getvalue()))
    # As large that nothing is searched in tiles: what is left are whole pictures, and blank ones once more with a border.
    config = AnalysisConfig(detection=DetectionConfig(min_still_face_px=500))
    assert len(find_stills(contents, Networks(Sizing(), networks.embedder), config)) == 5
    # The second time with a border: what is searched with one is never large.
    assert [batch for batch in sizes if len(batch) > 1] == [[300, 300, 1280], [510, 510, 1280]]


def test_pictures_of_a_renamed_person_are_no_second_faces(
    tmp_path: Path, archive: Archive, store: Store, networks: Networks, collins: ImageArray
) -> None:
    for name in ("Old", "New"):
        write(tmp_path / name / name / "1.png", collins)
    first = take(archive, tmp_path / "Old", networks)["1.png"]
    rename_person(archive, "p", "Old", "New")
    there = [with_content(picture) for picture in find_pictures(tmp_path / "Old")]
    assert find_gone(store, "p", tmp_path / "Old", there) == Gone([], [])
    again = take(archive, tmp_path / "New", networks)["1.png"]
    assert (again.face_id, again.person_id, again.status) == (first.face_id, "New", FaceStatus.TAKEN)
    assert len(store.list_faces("p")) == 1
    old = take(archive, tmp_path / "Old", networks)["1.png"]
    assert (old.person_id, old.status) == ("Old", FaceStatus.DISABLED)
    assert "is New's" in str(old.reason)

"""The public functions together, with the real networks: people from a folder, a video of one of them and of a stranger."""

from __future__ import annotations

import ast
import base64
import importlib
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest

import facerec_models as fr
from facerec_models.build_result import stranger_id
from facerec_models.images import encode_crop, read_image
from facerec_models.video_writer import VideoWriter
from tests.builders import EMBEDDER, sample_picture

ASTRONAUT = np.ascontiguousarray(sample_picture("astronaut.png")[:300, 70:390])
HOPPER = np.ascontiguousarray(
    cv2.resize(
        read_image(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg", fr.LimitsConfig()),
        (320, 375),
        interpolation=cv2.INTER_AREA,
    )[:300]
)
FPS = 10


def write_people(folder: Path) -> Path:
    small = ASTRONAUT[::2, ::2]
    group = np.full((300, 640, 3), 128, np.uint8)
    group[:, :320], group[:, 320:] = ASTRONAUT, HOPPER
    portrait = np.full((300, 480, 3), 128, np.uint8)
    portrait[:, :320], portrait[:100, 340:447] = ASTRONAUT, HOPPER[::3, ::3]
    for person, name, image in [
        ("Eileen Collins", "1.jpg", ASTRONAUT),
        ("Eileen Collins", "2.jpg", np.ascontiguousarray(small)),
        ("Eileen Collins", "beside_a_smaller_face.jpg", portrait),
        ("Eileen Collins", "group.jpg", group),
        ("Eileen Collins", "no_face.jpg", np.full((200, 200, 3), 90, np.uint8)),
        ("unknown_1", "1.jpg", ASTRONAUT),
        (".hidden", "1.jpg", ASTRONAUT),
    ]:
        (folder / person).mkdir(exist_ok=True)
        (folder / person / name).write_bytes(encode_crop(image))
    (folder / "Eileen Collins" / "broken.jpg").write_bytes(b"\xff\xd8 broken")
    (folder / "Eileen Collins" / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def enrolment(tmp_path_factory: pytest.TempPathFactory, networks: fr.Networks) -> fr.Enrolment:
    return fr.enrol(write_people(tmp_path_factory.mktemp("people")), networks)


@pytest.fixture(scope="module")
def model(enrolment: fr.Enrolment) -> fr.NamingModel:
    return fr.fit(enrolment.gallery)


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory, networks: fr.Networks) -> fr.Analysis:
    """An enrolled person for 2 s, a stranger for 2 s, the enrolled one again, the stranger again."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    with VideoWriter(path, FPS, 320, 300) as writer:
        for shot in (ASTRONAUT, HOPPER, ASTRONAUT, HOPPER):
            for i in range(2 * FPS):
                writer.write(np.roll(shot, i // 5, axis=1))
    return fr.analyze(str(path), networks)


def test_a_picture_is_enrolled_if_one_face_is_alone_or_clearly_the_largest(enrolment: fr.Enrolment) -> None:
    assert enrolment.gallery.embedder == EMBEDDER
    assert set(enrolment.gallery.person_ids.tolist()) == {"Eileen_Collins"}
    taken = ["1.jpg", "2.jpg", "beside_a_smaller_face.jpg"]
    assert enrolment.gallery.face_ids.tolist() == [f"Eileen Collins/{name}" for name in taken]


def test_every_other_picture_is_refused_with_a_reason(enrolment: fr.Enrolment) -> None:
    refused = dict(sorted(enrolment.refused.items()))
    assert refused.pop("Eileen Collins/broken.jpg").startswith("'Eileen Collins/broken.jpg' is ")
    assert refused == {
        "Eileen Collins/group.jpg": "2 faces were found, and none is clearly the largest",
        "Eileen Collins/no_face.jpg": "no face was found",
        "Eileen Collins/notes.txt": "it is no picture",
        "unknown_1": "person name 'unknown_1' is what strangers are called: choose another",
    }


def test_a_face_of_less_than_the_least_quality_is_refused(tmp_path: Path, networks: fr.Networks) -> None:
    (tmp_path / "Ann").mkdir()
    (tmp_path / "Ann" / "1.jpg").write_bytes(encode_crop(ASTRONAUT))
    strict = fr.IdentificationConfig(min_quality_enrolled=1.0)
    with pytest.raises(fr.EmptyGalleryError, match=r"Ann/1.jpg: too small, blurred, turned or cut off: quality 0\.9"):
        fr.enrol(tmp_path, networks, rules=strict)


def test_an_empty_folder_enrols_no_person(tmp_path: Path, networks: fr.Networks) -> None:
    with pytest.raises(
        fr.EmptyGalleryError, match=r"put pictures of one face into a folder for each person, as .*/Ada_"
    ):
        fr.enrol(tmp_path, networks)


def test_known_people_are_named_and_strangers_are_not(analysis: fr.Analysis, model: fr.NamingModel) -> None:
    found = [
        (a.match.decision, a.match.person_id, round(a.start_s), round(a.end_s)) for a in fr.identify(analysis, model)
    ]
    assert found == [
        ("named", "Eileen_Collins", 0, 2),
        ("unknown", None, 2, 4),
        ("named", "Eileen_Collins", 4, 6),
        ("unknown", None, 6, 8),
    ]


def test_a_result_agrees_with_its_tracks_and_carries_pictures(analysis: fr.Analysis, model: fr.NamingModel) -> None:
    result = fr.result_of(analysis, model, project="p")
    assert [(a.label, round(a.start_s), round(a.end_s)) for a in result.appearances] == [
        ("Eileen Collins", 0, 2),
        ("Unknown 1", 2, 4),
        ("Eileen Collins", 4, 6),
        ("Unknown 1", 6, 8),
    ]
    first = next(t for t in analysis.tracks if t.track_id == result.appearances[1].track_ids[0])
    assert result.appearances[1].stranger == stranger_id(
        "p", result.video.sha256, int(first.frame_indexes[0]), first.boxes[0]
    )
    assert result.model.embedder == EMBEDDER
    assert (result.project, result.model.max_false_names) == ("p", 0.005)
    head, picture = result.appearances[0].evidence.crops[0].url.split(",")
    assert head == "data:image/jpeg;base64"
    assert read_image(base64.b64decode(picture), fr.LimitsConfig()).shape == (150, 150, 3)


def test_another_model_or_limit_is_another_revision(analysis: fr.Analysis, model: fr.NamingModel) -> None:
    usual = fr.result_of(analysis, model)
    assert fr.result_of(analysis, model).revision == usual.revision
    strict = fr.result_of(analysis, model, max_false_names=0.001)
    assert strict.model.version == usual.model.version
    assert strict.revision != usual.revision
    gallery = fr.Gallery(EMBEDDER, model.gallery.embeddings[:1], ["Eileen_Collins"], ["another.jpg"])
    assert fr.result_of(analysis, fr.fit(gallery)).model.version != usual.model.version


def test_faces_of_pictures_are_named(tmp_path: Path, networks: fr.Networks, model: fr.NamingModel) -> None:
    for name, image in (("known.jpg", ASTRONAUT), ("stranger.jpg", HOPPER)):
        (tmp_path / name).write_bytes(encode_crop(image))
    known, stranger, missing = fr.identify_pictures(
        [tmp_path / "known.jpg", str(tmp_path / "stranger.jpg"), tmp_path / "missing.jpg"], networks, model
    )
    assert [face.person_id for face in known.faces] == ["Eileen_Collins"]
    assert [face.decision for face in stranger.faces] == ["unknown"]
    assert "there is no file" in str(missing.error)


def test_embeddings_of_two_networks_are_never_compared(analysis: fr.Analysis) -> None:
    faces = np.eye(512, dtype=np.float32)[:20]
    people = [f"Person_{i}" for i in range(20)]
    other = fr.fit(fr.Gallery("facenet-vggface2", faces, people, people))
    with pytest.raises(fr.GalleryMismatchError, match="dlib-resnet-v1"):
        fr.identify(analysis, other)
    with pytest.raises(fr.GalleryMismatchError, match="dlib-resnet-v1"):
        fr.result_of(analysis, other)


def test_public_names_are_loaded_from_where_type_checkers_find_them() -> None:
    (block,) = (
        node for node in ast.parse(Path(fr.__file__).read_text(encoding="utf-8")).body if isinstance(node, ast.If)
    )
    seen = {
        name.name: str(node.module) for node in block.body if isinstance(node, ast.ImportFrom) for name in node.names
    }
    assert sorted(fr.__all__) == sorted(seen)
    for name, module in seen.items():
        assert getattr(fr, name) is getattr(importlib.import_module(module), name)
    assert not hasattr(fr, "no_such_name")


def test_no_public_name_is_a_modules_as_well() -> None:
    modules = {path.stem for path in Path(fr.__file__).parent.iterdir()}
    assert not modules & set(fr.__all__)

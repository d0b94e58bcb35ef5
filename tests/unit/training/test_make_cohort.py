"""A cohort for any embedder, from pictures of many people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from facerec_models.analysis.faces import find_faces
from facerec_models.analysis.networks import Networks
from facerec_models.config import DetectionConfig
from facerec_models.errors import GalleryError, InputError, SourceError, WeightsError
from facerec_models.identification.cohort import cohort_file, load_cohort, save_cohort
from tests.builders import sample_picture
from training import make_cohort as module
from training.footage import Portrait, face_colours, in_colours, is_coloured
from training.lfw import fetch_lfw, lfw_people
from training.make_cohort import are_enough, make_cohort, pair_scale


@pytest.fixture
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dozen people instead of hundreds: the same work on real pictures, in seconds."""
    monkeypatch.setattr(module, "_LEAST_STRANGERS", 10)
    monkeypatch.setattr(module, "_LEAST_PAIRED", 3)


def some_people(eval_data: Path, count: int) -> dict[str, list[Path]]:
    """Return people of whom several have two pictures."""
    people = lfw_people(eval_data / "lfw_verify", 10_000)
    several = [name for name, own in people.items() if len(own) > 1][: count // 2]
    single = [name for name, own in people.items() if len(own) == 1][: count - len(several)]
    return {name: people[name] for name in sorted([*several, *single])}


@pytest.mark.usefixtures("few_are_enough")
def test_a_cohort_tells_strangers_from_the_right_person(eval_data: Path, networks: Networks) -> None:
    told: list[float] = []
    people = some_people(eval_data, 14)
    found = make_cohort(people, networks, "some people", on_progress=told.append)
    shipped = load_cohort(networks.embedder.name)
    assert found.embedder == networks.embedder.name
    assert found.stills.shape == found.tracks.shape == (14, networks.embedder.dimension)
    np.testing.assert_allclose(np.linalg.norm(found.tracks, axis=1), 1, atol=1e-3)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)
    assert "some people: 14 people" in found.source
    # A still and a track of one row are of one person.
    similarity = found.stills @ found.tracks.T
    assert (similarity.argmax(axis=1) == np.arange(14)).mean() > 0.8
    assert found.genuine_stills.mean == pytest.approx(shipped.genuine_stills.mean, abs=0.03)
    assert found.pair.midpoint == pytest.approx(shipped.pair.midpoint, abs=0.03)


def test_too_few_people_are_refused_with_the_number_that_is_needed(eval_data: Path, networks: Networks) -> None:
    people = some_people(eval_data, 4)
    assert not are_enough(people)
    with pytest.raises(
        InputError, match=r"needs faces of 200 people, and two pictures of 20 .* show 4 people, 2 of them"
    ):
        make_cohort(people, networks, "few")


def test_people_are_drawn_by_lot_but_always_the_same(tmp_path: Path) -> None:
    for name in ("Ann_Lee_0001", "Ann_Lee_0002", "Bob_0001", "Cy_0001", "notes"):
        (tmp_path / f"{name}.jpg").touch()
    drawn = lfw_people(tmp_path, 2)
    assert drawn == lfw_people(tmp_path, 2)
    assert len(drawn) == 2
    (tmp_path / "aligned").mkdir()
    (tmp_path / "aligned" / "Bob_0001.jpg").touch()
    everybody = lfw_people(tmp_path, 9)
    assert {name: len(own) for name, own in everybody.items()} == {"Ann_Lee": 2, "Bob": 1, "Cy": 1}
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no picture of Labeled Faces in the Wild"):
        lfw_people(tmp_path / "empty", 2)


def test_a_collection_that_is_there_is_not_downloaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    folder = tmp_path / "lfw_home" / "lfw" / "Some_Body"
    folder.mkdir(parents=True)
    first = folder / "Some_Body_0001.jpg"
    cv2.imwrite(str(first), np.random.default_rng(0).integers(0, 256, (250, 250, 3), np.uint8))
    for number in range(2, 501):
        (folder / f"Some_Body_{number:04}.jpg").hardlink_to(first)
    for listed in ("pairsDevTrain.txt", "pairsDevTest.txt", "pairs.txt"):
        (tmp_path / "lfw_home" / listed).touch()
    assert fetch_lfw() == tmp_path / "lfw_home" / "lfw"
    assert [len(own) for own in lfw_people(fetch_lfw(), 5).values()] == [500]


def test_a_download_that_fails_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "file"))
    with pytest.raises(SourceError, match="give a folder with its pictures with --folder"):
        fetch_lfw()


def test_crops_get_colours_or_lose_them() -> None:
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (150, 150, 3), np.uint8)
    gray = np.repeat(colour[..., :1], 3, axis=-1)
    assert (is_coloured(colour), is_coloured(gray)) == (True, False)
    colours = face_colours([colour, gray])
    assert len(colours) == 1
    (shown,) = in_colours([colour], colours, rng, is_gray=True)
    assert not is_coloured(shown)
    tinted = np.full((150, 150, 2), 150, np.uint8)
    (shown,) = in_colours([gray], [tinted], rng, is_gray=False)
    assert is_coloured(shown)
    assert np.array_equal(in_colours([gray], [], rng, is_gray=False)[0], gray)
    assert np.array_equal(in_colours([gray], colours, rng, is_gray=True)[0], gray)


def test_a_scale_is_that_of_the_pairs() -> None:
    rng = np.random.default_rng(0)
    for mean, deviation, apart in ((0.85, 0.02, 0.09), (0.0, 0.08, 0.35)):
        other, own = rng.normal(mean, deviation, 20_000), rng.normal(mean + apart, deviation, 200)
        found = pair_scale(np.append(other, own), np.arange(20_200) >= 20_000)
        assert found.midpoint == pytest.approx(mean + apart / 2, abs=0.25 * deviation)
        assert found.slope == pytest.approx(apart / deviation**2, rel=0.2)


def test_a_network_that_tells_all_pairs_apart_has_a_finite_scale() -> None:
    found = pair_scale(
        np.append(np.linspace(-0.1, 0.1, 20_000), np.linspace(0.5, 0.7, 50)), np.arange(20_050) >= 20_000
    )
    assert 0.1 < found.midpoint < 0.5
    assert 10 < found.slope < 200


def test_faces_are_cut_out_of_large_pictures(networks: Networks) -> None:
    image = cv2.resize(sample_picture("astronaut.png"), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    (faces,) = find_faces([image], networks.detector, networks.embedder, DetectionConfig())
    found = Portrait.cut("Eileen", Path("astronaut.png"), image, faces, 300)
    whole = found.image if found.image.base is None else found.image.base
    assert whole.nbytes < image.nbytes
    assert max(found.image.shape) < 1000 < max(image.shape)
    assert (found.box[2:] - found.box[:2]).max() < 301
    assert float(networks.embedder.embed(found.crop(networks.embedder)[None])[0] @ found.embedding) > 0.99


def test_a_cohort_beside_the_weights_comes_before_the_shipped_one(tmp_path: Path) -> None:
    shipped = load_cohort("dlib-resnet-v1")
    few = replace(shipped, stills=shipped.stills[:3], tracks=shipped.tracks[:3], source="three")
    save_cohort(few, cohort_file("dlib-resnet-v1", tmp_path))
    assert load_cohort("dlib-resnet-v1", tmp_path).source == "three"
    with pytest.raises(WeightsError, match="facerec cohort fetch lfw --embedder my-net"):
        load_cohort("my-net", tmp_path)
    cohort_file("my-net", tmp_path).write_bytes(cohort_file("dlib-resnet-v1", tmp_path).read_bytes())
    with pytest.raises(GalleryError, match="it is of the embedder 'dlib-resnet-v1', not of 'my-net'"):
        load_cohort("my-net", tmp_path)
    cohort_file("my-net", tmp_path).write_bytes(b"no archive")
    with pytest.raises(GalleryError, match="holds no cohort"):
        load_cohort("my-net", tmp_path)

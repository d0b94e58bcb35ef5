from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from facerec_models.config import IdentificationConfig
from facerec_models.errors import EmptyGalleryError, GalleryMismatchError, ModelNotFoundError
from facerec_models.identification.calibration import ScoreCalibration
from facerec_models.identification.classifiers import PrototypeClassifier
from facerec_models.identification.fit import fit_model
from facerec_models.identification.identify import identify_faces
from facerec_models.identification.naming_model import Gallery, NamingModel
from tests.builders import DIMENSION, EMBEDDER, cohort, face_of, near

PEOPLE_10 = tuple(f"p{i}" for i in range(10))
PEOPLE = ("Ann_Lee", "Bob", "Zoë_Ångström")


def gallery(embedder: str = EMBEDDER) -> Gallery:
    embeddings = np.stack([face_of(who, at) for who in range(1, 4) for at in range(3)])
    return Gallery(
        embedder,
        embeddings,
        tuple(person for person in PEOPLE for _ in range(3)),
        tuple(f"{person}-{at}" for person in PEOPLE for at in range(3)),
    )


@pytest.fixture(scope="module")
def model() -> NamingModel:
    return fit_model(gallery(), cohort(), 0.5)


def test_a_model_is_calibrated_against_its_own_gallery(model: NamingModel) -> None:
    stills = model.classifier.decision_function(cohort().stills).max(axis=1)
    tracks = model.classifier.decision_function(cohort().tracks).max(axis=1)
    # Nobody of the synthetic people is in the cohort.
    for scale, scores in ((model.stills, stills), (model.tracks, tracks)):
        # Multiplied in other blocks, a last bit may differ.
        assert np.abs(scale.strangers[:, None] - scores[None, :]).min(axis=1).max() < 1e-6
        assert len(scale.strangers) > 0.97 * len(scores)
    assert isinstance(model.classifier, PrototypeClassifier)
    taken_off = model.classifier.attraction_.mean() + model.classifier.commonness(gallery().embeddings).mean()
    for scale, usual in ((model.stills, cohort().genuine_stills), (model.tracks, cohort().genuine_tracks)):
        assert scale.genuine.deviation == usual.deviation
        assert scale.genuine.mean == pytest.approx(usual.mean - taken_off)


def test_people_of_the_cohort_who_are_enrolled_are_no_strangers() -> None:
    public = [near(face, 0.975, i) for i, face in enumerate(cohort().stills[:10])]
    model = fit_model(Gallery(EMBEDDER, np.stack(public), PEOPLE_10, PEOPLE_10), cohort(), 0.5)
    own = (np.stack(public) * cohort().stills[:10]).sum(axis=1)
    assert not set(model.stills.strangers.tolist()) & set(own.tolist())
    assert model.stills.strangers.max() < 0.97


def test_a_saved_model_answers_alike(model: NamingModel, tmp_path: Path) -> None:
    model.save(tmp_path / "models" / "1")
    again = NamingModel.load(tmp_path / "models" / "1")
    assert again.gallery.embedder == EMBEDDER
    assert again.gallery.person_ids.tolist() == model.gallery.person_ids.tolist()
    assert again.gallery.face_ids.tolist() == model.gallery.face_ids.tolist()
    assert again.prior_known == model.prior_known
    np.testing.assert_array_equal(again.gallery.embeddings, model.gallery.embeddings)
    probes = np.concatenate([cohort().stills[:20], np.stack([face_of(who, 9) for who in range(1, 4)])])
    quality = np.ones(len(probes), np.float32)
    config = IdentificationConfig()
    sure = np.ones(len(probes), np.float32)
    assert identify_faces(probes, quality, sure, again, config) == identify_faces(probes, quality, sure, model, config)
    scores = np.linspace(0.8, 1, 50)
    for one, other in ((again.stills, model.stills), (again.tracks, model.tracks)):
        np.testing.assert_array_equal(one.false_name_rate(scores), other.false_name_rate(scores))
        np.testing.assert_array_equal(one.probability(scores), other.probability(scores))


def test_saving_needs_no_pickle_and_loading_runs_none(
    model: NamingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a pickle was used")

    for name in ("load", "loads", "dump", "dumps"):
        monkeypatch.setattr(pickle, name, refuse)
    model.save(tmp_path)
    NamingModel.load(tmp_path)
    for path in tmp_path.glob("*.npz"):
        with zipfile.ZipFile(path) as arrays:
            assert all(b"|O" not in arrays.read(name)[:200] for name in arrays.namelist())


def test_a_pickle_in_a_models_place_is_refused(model: NamingModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    np.savez(tmp_path / "model.npz", embeddings=np.array([{"any": "object"}], dtype=object))
    with pytest.raises(ModelNotFoundError):
        NamingModel.load(tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="holds no readable model"):
        NamingModel.load(tmp_path)


@pytest.mark.parametrize("name", ["model.npz", "model.json"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_model_that_is_cut_off_is_refused(model: NamingModel, tmp_path: Path, name: str, share: float) -> None:
    model.save(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelNotFoundError):
        NamingModel.load(tmp_path)


def test_a_model_that_lacks_a_part_is_refused(model: NamingModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    facts = json.loads((tmp_path / "model.json").read_text())
    del facts["embedder"]
    (tmp_path / "model.json").write_text(json.dumps(facts))
    with pytest.raises(ModelNotFoundError):
        NamingModel.load(tmp_path)


def test_an_empty_gallery_is_refused() -> None:
    with pytest.raises(EmptyGalleryError, match="import people first"):
        fit_model(Gallery(EMBEDDER, np.zeros((0, DIMENSION), np.float32), (), ()), cohort(), 0.5)


def test_a_gallery_of_one_picture_is_a_model() -> None:
    model = fit_model(Gallery(EMBEDDER, face_of(1)[None], ("Bob",), ("f1",)), cohort(), 0.5)
    (match,) = identify_faces(
        face_of(1, 5)[None], np.ones(1, np.float32), np.ones(1, np.float32), model, IdentificationConfig()
    )
    assert match.person_id == "Bob"
    assert len(match.candidates) == 1


def test_two_networks_are_not_mixed(model: NamingModel) -> None:
    with pytest.raises(GalleryMismatchError, match=f"'other', the cohort of strangers with '{EMBEDDER}'"):
        fit_model(gallery("other"), cohort(), 0.5)
    with pytest.raises(GalleryMismatchError, match=f"embedded with 'other' .* model for '{EMBEDDER}'"):
        model.check_embedder("other")
    model.check_embedder(EMBEDDER)


def test_a_gallery_whose_parts_differ_in_length_is_refused() -> None:
    with pytest.raises(ValueError, match="2 embeddings has 1 person ids and 2 face ids"):
        Gallery(EMBEDDER, np.stack([face_of(1), face_of(2)]), ("a",), ("f1", "f2"))


def test_the_nearest_faces_are_those_of_the_person_nearest_first(model: NamingModel) -> None:
    probe = face_of(2, 1)
    nearest = model.nearest_faces(probe, "Bob", count=2)
    assert nearest[0][0] == "Bob-1"
    assert len(nearest) == 2
    assert nearest[0][1] == pytest.approx(1, abs=1e-5)
    assert (
        nearest[0][1] >= nearest[1][1] == pytest.approx(max(float(face_of(2, at) @ probe) for at in (0, 2)), abs=1e-5)
    )
    assert len(model.nearest_faces(probe, "Bob", count=10)) == 3


def test_models_of_different_galleries_demand_different_scores() -> None:
    stills = cohort().stills
    many = Gallery(EMBEDDER, stills[:100], tuple(f"p{i}" for i in range(100)), tuple(f"f{i}" for i in range(100)))

    def limit(enrolled: Gallery) -> float:
        scale: ScoreCalibration = fit_model(enrolled, cohort(), 0.5).stills
        return scale.limit(0.02)

    assert limit(many) > limit(gallery())

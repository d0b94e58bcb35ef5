from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from facerec_models.config import IdentificationConfig, TrainingConfig
from facerec_models.errors import EmptyGalleryError, ModelNotFoundError, ProjectNotFoundError
from serving.home import Home
from serving.naming import load_model
from serving.store import Store, open_store
from serving.store.rows import FaceStatus
from tests.builders import EMBEDDER, look
from tests.contract.store_cases import make_face
from training.train import read_gallery, train

RULES = IdentificationConfig()
FACES = [f"f-{number}{at}" for number in range(3) for at in range(2)]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    """Three people of two faces each."""
    with closing(open_store(home.root)) as store:
        store.create_project("p")
        store.fix_embedder("p", EMBEDDER)
        faces = [(number, at) for number in range(3) for at in range(2)]
        store.put_faces(
            "p",
            [make_face(f"f-{n}{at}", f"Person_{n}", embedder=EMBEDDER, embedding=look(n, at)) for n, at in faces],
        )
        yield store


def test_the_same_faces_give_the_same_version(store: Store, home: Home) -> None:
    first = train(store, home, "p", RULES)
    assert (first.people, first.faces, first.embedder) == (3, 6, EMBEDDER)
    assert train(store, home, "p", RULES).version == first.version
    assert len(store.list_models("p")) == 1
    store.set_face_status("p", ["f-00"], FaceStatus.DISABLED, "by hand")
    fewer = train(store, home, "p", RULES)
    assert fewer.version != first.version
    assert (fewer.people, fewer.faces) == (3, 5)
    store.set_face_status("p", ["f-00"], FaceStatus.TAKEN, None)
    store.set_face_status("p", ["f-21"], FaceStatus.DISABLED, "by hand")
    assert train(store, home, "p", RULES).version not in {first.version, fewer.version}
    store.set_face_status("p", ["f-21"], FaceStatus.TAKEN, None)
    assert train(store, home, "p", RULES).version == first.version


def test_another_prior_is_another_version(store: Store, home: Home) -> None:
    versions = {train(store, home, "p", IdentificationConfig(prior_known=prior)).version for prior in (0.5, 0.1)}
    assert len(versions) == 2


def test_a_model_holds_the_enabled_faces_and_can_be_loaded(store: Store, home: Home) -> None:
    store.set_face_status("p", ["f-10"], FaceStatus.DISABLED, "by hand")
    row = train(store, home, "p", RULES)
    assert (home.root / row.directory) == home.model("p", row.version)
    model = load_model(home, "p", row.version)
    assert set(model.gallery.face_ids) == set(FACES) - {"f-10"}
    assert sorted(set(model.gallery.person_ids)) == ["Person_0", "Person_1", "Person_2"]
    assert row.metrics["limit_stills"] == pytest.approx(model.stills.limit(RULES.max_false_names_stills))
    assert row.metrics["strangers"] == len(model.stills.strangers) > 100


def test_a_version_names_only_when_it_is_promoted(store: Store, home: Home) -> None:
    row = train(store, home, "p", RULES, TrainingConfig(promote="no"))
    with pytest.raises(ModelNotFoundError):
        store.get_model("p")
    store.promote_model("p", row.version)
    assert store.get_model("p").version == row.version


def test_without_enabled_faces_there_is_nothing_to_learn(store: Store, home: Home) -> None:
    store.set_face_status("p", FACES, FaceStatus.DISABLED, "by hand")
    with pytest.raises(EmptyGalleryError, match="facerec people import"):
        train(store, home, "p", RULES)
    store.create_project("new")
    with pytest.raises(EmptyGalleryError, match="'new'"):
        read_gallery(store, "new")
    with pytest.raises(ProjectNotFoundError, match="nobody"):
        read_gallery(store, "nobody")

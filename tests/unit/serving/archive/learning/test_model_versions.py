from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from facerec_models.config import IdentificationConfig, TrainingConfig
from facerec_models.errors import EmptyGalleryError, ModelNotFoundError, ProjectNotFoundError
from facerec_models.identification.identify import identify_faces
from facerec_models.identification.model_folder import read_folder
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.learning.gallery import read_gallery
from serving.archive.learning.loaded_models import load_model
from serving.archive.learning.model_versions import train
from serving.archive.naming.identify import identify_archive
from serving.store.contract import Store
from serving.store.opening import open_store
from serving.store.rows import FaceStatus
from tests.archive import put_people
from tests.builders import EMBEDDER, cohort, face_of
from tests.contract.store_cases import make_face
from training.ray_tasks import TrainingStoppedError

RULES = IdentificationConfig()
FACES = [f"f-{number}{at}" for number in range(3) for at in range(2)]


@pytest.fixture
def store(store: Store) -> Store:
    put_people(store, "p", 3, faces_each=2)
    return store


def test_the_same_faces_give_the_same_version(archive: Archive, store: Store) -> None:
    first = train(archive, "p")
    assert (first.people, first.faces, first.embedder) == (3, 6, EMBEDDER)
    assert train(archive, "p").version == first.version
    assert len(store.list_models("p")) == 1
    store.judge_faces("p", ["f-00"], FaceStatus.DISABLED, "by hand")
    fewer = train(archive, "p")
    assert fewer.version != first.version
    assert (fewer.people, fewer.faces) == (3, 5)
    store.judge_faces("p", ["f-00"], FaceStatus.TAKEN, None)
    store.judge_faces("p", ["f-21"], FaceStatus.DISABLED, "by hand")
    assert train(archive, "p").version not in {first.version, fewer.version}
    store.judge_faces("p", ["f-21"], FaceStatus.TAKEN, None)
    assert train(archive, "p").version == first.version


def test_another_prior_is_another_version(store: Store, home: Files) -> None:
    versions = {
        train(Archive(store, home, IdentificationConfig(prior_known=prior)), "p").version for prior in (0.5, 0.1)
    }
    assert len(versions) == 2


def test_a_model_holds_the_enabled_faces_and_can_be_loaded(archive: Archive, store: Store) -> None:
    store.judge_faces("p", ["f-10"], FaceStatus.DISABLED, "by hand")
    row = train(archive, "p")
    assert (archive.files.root / row.directory) == archive.files.model("p", row.version)
    model = load_model(archive.files, "p", row.version)
    assert set(model.gallery.face_ids) == set(FACES) - {"f-10"}
    assert sorted(set(model.gallery.person_ids)) == ["Person_0", "Person_1", "Person_2"]
    assert row.metrics["limit_stills"] == pytest.approx(model.stills.limit(RULES.max_false_names_stills))
    assert row.metrics["strangers"] == len(model.stills.strangers) > 100


def test_a_version_names_only_when_it_is_promoted(archive: Archive, store: Store) -> None:
    row = train(archive, "p", TrainingConfig(promote="no"))
    with pytest.raises(ModelNotFoundError):
        store.get_model("p")
    identify_archive(archive, "p", model_version=row.version)
    assert store.get_model("p").version == row.version


def test_without_enabled_faces_there_is_nothing_to_learn(archive: Archive, store: Store) -> None:
    store.judge_faces("p", FACES, FaceStatus.DISABLED, "by hand")
    with pytest.raises(EmptyGalleryError, match="facerec people import"):
        train(archive, "p")
    store.create_project("new")
    with pytest.raises(EmptyGalleryError, match="'new'"):
        read_gallery(store, "new")
    with pytest.raises(ProjectNotFoundError, match="nobody"):
        read_gallery(store, "nobody")


@pytest.mark.parametrize("classifier", ["svm", "knn", "softmax", "rf"])
def test_each_classifier_names_from_the_store_to_the_answer(archive: Archive, store: Store, classifier: str) -> None:
    config = TrainingConfig(classifier=classifier, seed=3)
    row = train(archive, "p", config)
    assert (row.classifier, store.get_model("p").version) == (classifier, row.version)
    model = load_model(archive.files, "p", row.version)
    probes = np.concatenate([[face_of(who, 9) for who in range(3)], cohort().stills[1:80:2]])
    sure = np.ones(len(probes), np.float32)
    matches = identify_faces(probes, sure, sure, model, RULES, max_false_names=0.02)
    right = [match.person_id == f"Person_{who}" for who, match in enumerate(matches[:3])]
    assert [match.person_id is None for match in matches[:3]] == [not one for one in right]
    # Of two pictures a forest learns little.
    assert sum(right) >= (2 if classifier == "rf" else 3)
    assert sum(match.person_id is not None for match in matches[3:]) <= 2
    for match, probe in zip(matches, probes, strict=True):
        for candidate in match.candidates:
            prototype = model.prototypes[model.classifier.classes_.tolist().index(candidate.person_id)]
            assert candidate.similarity == pytest.approx(float(prototype @ probe), abs=1e-5)
            assert 0 <= candidate.probability <= 1
    # Only six faces can be left out: too few, and embeddings are simulated.
    assert (row.metrics["cross_validated_faces"], row.metrics["synthetic_faces"]) == (6, 60)


def test_the_same_faces_and_seed_give_the_same_arrays_in_another_home(
    archive: Archive, store: Store, tmp_path: Path
) -> None:
    config = TrainingConfig(classifier="rf", seed=5)
    first = train(archive, "p", config)
    other = Files(tmp_path / "other")
    with closing(open_store(other.root)) as again:
        again.create_project("p")
        again.fix_embedder("p", EMBEDDER)
        again.put_faces("p", reversed(store.list_faces("p")))
        assert train(Archive(again, other, RULES), "p", config).version == first.version
    ours, theirs = (read_folder(where.model("p", first.version)) for where in (archive.files, other))
    assert ours[0].keys() == theirs[0].keys()
    for name, array in ours[0].items():
        np.testing.assert_array_equal(array, theirs[0][name], err_msg=name)
    assert ours[1]["snapshot"] == theirs[1]["snapshot"]
    assert train(archive, "p", TrainingConfig(classifier="rf", seed=6)).version != first.version


def test_a_model_names_its_origin(archive: Archive) -> None:
    row = train(archive, "p", TrainingConfig(classifier="svm", seed=4))
    facts = json.loads((archive.files.model("p", row.version) / "model.json").read_text())
    assert facts["schema"] == "facerec.model/3"
    assert facts["classifier"] == {"name": "svm", "params": {"penalty": 1.0}}
    assert (facts["version"], facts["project"], facts["seed"], facts["embedder"]) == (row.version, "p", 4, EMBEDDER)
    assert facts["libraries"].keys() == {"facerec", "numpy", "scikit-learn", "scipy"}
    assert facts["snapshot"]["faces"] == 6
    assert len(facts["snapshot"]["embeddings_sha256"]) == 64
    assert facts["metrics"]["limit_stills"] == row.metrics["limit_stills"]


def test_faces_of_another_network_are_not_learned_from(archive: Archive, store: Store) -> None:
    store.put_faces("p", [make_face("f-x", "Person_X", embedder="facenet-casia", embedding=face_of(7), crop=None)])
    row = train(archive, "p")
    assert (row.people, row.metrics["unusable_faces"], row.metrics["embedded_faces"]) == (3, 1, 0)


@dataclass(frozen=True)
class ScoreFigures:
    recall: float | None
    precision: float | None


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (ScoreFigures(0.9, 0.98), ScoreFigures(0.896, 0.976), "not worse on the evaluation set"),
        (ScoreFigures(0.9, 0.98), ScoreFigures(0.894, 0.99), "worse on the evaluation set: recall 0.894, was 0.900"),
        (ScoreFigures(0.9, 0.98), ScoreFigures(0.95, 0.97), "worse on the evaluation set: precision 0.970, was 0.980"),
        (ScoreFigures(0.0, None), ScoreFigures(0.5, 0.9), "not worse on the evaluation set"),
        (ScoreFigures(0.9, 0.98), None, "no evaluation set"),
    ],
)
def test_the_gate_lets_no_worse_version_name(
    archive: Archive, store: Store, old: ScoreFigures, new: ScoreFigures | None, reason: str
) -> None:
    first = train(archive, "p")

    def measure(archive: Archive, project: str, version: str) -> ScoreFigures | None:
        assert archive.store.get_model(project, version).version == version
        load_model(archive.files, project, version)
        return old if version == first.version else new

    store.judge_faces("p", ["f-00"], FaceStatus.DISABLED, "by hand")
    second = train(archive, "p", evaluate=measure)
    gate = second.metrics["gate"]
    passed = not reason.startswith("worse")
    assert (gate["passed"], gate["promoted"], gate["reason"]) == (passed, passed, reason)
    assert gate["compared_with"] == first.version
    assert store.get_model("p").version == (second if passed else first).version
    assert store.get_model("p", second.version).metrics["gate"] == gate
    if new is not None:
        assert gate["new"] == {"recall": new.recall, "precision": new.precision}


def test_by_hand_a_worse_version_names_all_the_same(archive: Archive, store: Store) -> None:
    train(archive, "p")
    store.judge_faces("p", ["f-00"], FaceStatus.DISABLED, "by hand")
    row = train(archive, "p", TrainingConfig(promote="yes"))
    assert row.metrics["gate"] == {"promote": "yes", "promoted": True}
    assert store.get_model("p").version == row.version


class StopAt:
    """Asks to stop when a fraction is done."""

    def __init__(self, at: float) -> None:
        self.at, self.seen = at, [0.0]

    def report(self, progress: float) -> None:
        self.seen.append(progress)

    def should_stop(self) -> bool:
        return self.seen[-1] >= self.at


@pytest.mark.parametrize("at", [0.0, 0.5, 0.9])
def test_a_training_that_is_stopped_leaves_everything_as_it_was(archive: Archive, store: Store, at: float) -> None:
    promoted = train(archive, "p")
    progress = StopAt(at)
    with pytest.raises(TrainingStoppedError):
        train(archive, "p", TrainingConfig(classifier="svm"), progress=progress)
    assert progress.seen == sorted(progress.seen)
    assert [row.version for row in store.list_models("p")] == [promoted.version]
    assert store.get_model("p").version == promoted.version


def test_progress_rises_to_the_end(archive: Archive) -> None:
    progress = StopAt(2.0)
    train(archive, "p", TrainingConfig(classifier="svm"), progress=progress)
    assert progress.seen == sorted(progress.seen)
    assert progress.seen[-1] == 1.0

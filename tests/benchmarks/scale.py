"""Models of many people, one after the other: ``python -m tests.benchmarks.scale``.

People are drawn with the mean and covariance of the shipped cohort, their faces as far from them as real ones.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from facerec_models.config import IdentificationConfig
from facerec_models.identification.classifiers import PrototypeClassifier
from facerec_models.identification.cohort import load_cohort
from facerec_models.identification.fit import fit_model
from facerec_models.identification.identify import identify_tracks
from facerec_models.identification.naming_model import Gallery, NamingModel
from facerec_models.types import FloatArray
from facerec_models.vectors import normalize
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.archive.learning.model_versions import train
from serving.store.opening import open_store
from tests.benchmarks.command import circumstances, say
from tests.builders import DIMENSION, EMBEDDER, make_track
from tests.contract.store_cases import make_face

_PROBES = 1000
_CHECKED = 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--faces", type=int, default=10, help="pictures of each person")
    arguments = parser.parse_args()
    say(circumstances())
    for people in arguments.people:
        with tempfile.TemporaryDirectory() as folder:
            measure(people, arguments.faces, Path(folder))


def measure(people: int, faces: int, folder: Path) -> None:
    """Train, save, load, enrol and name with a gallery of this size."""
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(people), faces)
    means = people_like_the_cohort(people, rng)
    x = faces_of(means[who], rng)
    names, ids = np.char.add("Person_", who.astype(str)), np.char.add("f-", np.arange(len(who)).astype(str))
    cohort, rules = load_cohort(EMBEDDER), IdentificationConfig()
    say()
    say(f"{people} people, {len(x)} faces")
    with timed("fit"):
        model = fit_model(Gallery(EMBEDDER, x, names, ids), cohort, rules.prior_known)
    with timed("save"):
        model.save(folder / "m")
    with timed("load"):
        model = NamingModel.load(folder / "m")
    classifier = model.classifier
    assert isinstance(classifier, PrototypeClassifier)
    with timed("one more person in the classifier"):
        classifier.enrol("New_Person", x[:faces])
    asked = rng.integers(people, size=_PROBES)
    probes = faces_of(means[asked], rng)
    tracks = [make_track(i, [float(i)], embeddings=probe[None]) for i, probe in enumerate(probes)]
    with timed(f"name {_PROBES} tracks"):
        matches = identify_tracks(tracks, model, rules)
    named = [match.person_id for match in matches]
    right = sum(person == f"Person_{i}" for person, i in zip(named, asked, strict=True))
    wrong = sum(person is not None for person in named) - right
    with timed(f"evidence of {_PROBES} names"):
        for probe, match in zip(probes, matches, strict=True):
            model.nearest_faces(probe, match.candidates[0].person_id)
    say(f"  named right {right}, wrong {wrong}, of {_PROBES}; nearest is right for {rank1(matches, asked):.3f}")
    check_is_exact(model, probes)
    train_stored(folder / "home", names, ids, x)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(f"  peak memory of this process {peak:.0f} MB")


def people_like_the_cohort(people: int, rng: np.random.Generator) -> FloatArray:
    """Return mean faces, as different from each other as strangers are."""
    stills = load_cohort(EMBEDDER).stills.astype(np.float64)
    drawn = rng.multivariate_normal(stills.mean(axis=0), np.cov(stills, rowvar=False), size=people)
    return normalize(drawn)


def faces_of(means: FloatArray, rng: np.random.Generator, apart: float = 0.27) -> FloatArray:
    """Return a face of each person, this far from the mean before it is of unit length: .27 is about .966 similar."""
    return normalize(means + rng.normal(scale=apart / np.sqrt(DIMENSION), size=means.shape).astype(np.float32))


def rank1(matches: list, asked: np.ndarray) -> float:  # type: ignore[type-arg]
    """Share of probes whose nearest person is the right one."""
    return float(np.mean([m.candidates[0].person_id == f"Person_{i}" for m, i in zip(matches, asked, strict=True)]))


def check_is_exact(model: NamingModel, probes: FloatArray) -> None:
    """Compare some answers with a comparison of everything in double precision."""
    for probe in probes[:_CHECKED]:
        best = int((model.prototypes.astype(np.float64) @ probe).argmax())
        person = str(model.classifier.classes_[best])
        rows = np.flatnonzero(model.gallery.person_ids == person)
        nearest = rows[int((model.gallery.embeddings[rows].astype(np.float64) @ probe).argmax())]
        assert model.nearest_faces(probe, person)[0][0] == model.gallery.face_ids[nearest]
        assert str(model.classifier.predict(probe[None])[0]) == person
    say(f"  the search is exact: every person is compared; {_CHECKED} answers equal those of double precision")


def train_stored(root: Path, names: np.ndarray, ids: np.ndarray, x: FloatArray) -> None:
    """Train from a store, then once more with one person more."""
    home, rules = Files(root), IdentificationConfig()
    with closing(open_store(root)) as store:
        store.create_project("p")
        store.fix_embedder("p", EMBEDDER)

        def put(rows: range, person: str | None = None) -> None:
            store.put_faces(
                "p",
                [
                    make_face(
                        f"new-{i}" if person else str(ids[i]),
                        person or str(names[i]),
                        embedder=EMBEDDER,
                        embedding=x[i],
                    )
                    for i in rows
                ],
            )

        put(range(len(x)))
        with timed("train from the store, promoted"):
            train(Archive(store, home, rules), "p")
        with timed("enrol one person's faces and train again"):
            put(range(10), "Newcomer")
            train(Archive(store, home, rules), "p")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say how long a block took."""
    started = time.perf_counter()
    yield
    say(f"  {what:<45} {time.perf_counter() - started:7.3f} s")


if __name__ == "__main__":
    main()

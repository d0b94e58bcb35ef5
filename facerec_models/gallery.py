"""Who is enrolled, and the model that follows from it."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facerec_models.calibration import GenuineScale, ScoreCalibration, without_enrolled
from facerec_models.classifiers import PrototypeClassifier
from facerec_models.cohort import Cohort
from facerec_models.errors import EmptyGalleryError, GalleryError, GalleryMismatchError, ModelNotFoundError
from facerec_models.types import FloatArray

_LEAST_PEOPLE = 20
_ARRAYS, _FACTS = "model.npz", "model.json"


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Enrolled faces.

    Parameters
    ----------
    embedder : str
        Name of the network that all embeddings come from.
    embeddings : (M, D) float32
    person_ids : tuple of M str
    face_ids : tuple of M str
    """

    embedder: str
    embeddings: FloatArray
    person_ids: tuple[str, ...]
    face_ids: tuple[str, ...]

    def __post_init__(self) -> None:
        if not len(self.embeddings) == len(self.person_ids) == len(self.face_ids):
            raise ValueError(
                f"a gallery of {len(self.embeddings)} embeddings has {len(self.person_ids)} person ids and "
                f"{len(self.face_ids)} face ids"
            )


@dataclass(frozen=True, slots=True, eq=False)
class NamingModel:
    """A gallery with everything that is needed to name faces against it.

    Parameters
    ----------
    classifier : PrototypeClassifier
    stills, tracks : ScoreCalibration
        What a score means for one picture, and for a track.
    prior_known : float
        Assumed fraction of faces that belong to enrolled people.
    """

    gallery: Gallery
    classifier: PrototypeClassifier
    stills: ScoreCalibration
    tracks: ScoreCalibration
    prior_known: float

    def check_embedder(self, embedder: str) -> None:
        """Raise `GalleryMismatchError` unless this is the network that the gallery was embedded with."""
        if embedder != self.gallery.embedder:
            raise GalleryMismatchError(
                f"faces embedded with {embedder!r} cannot be named by a model for {self.gallery.embedder!r}: "
                f"analyse the video, or import the people, with the same embedder"
            )

    def nearest_faces(self, embedding: FloatArray, person_id: str, count: int = 3) -> list[tuple[str, float]]:
        """Return the ids and similarities of a person's enrolled faces that are nearest to an embedding."""
        of_person = [i for i, person in enumerate(self.gallery.person_ids) if person == person_id]
        similarity = self.gallery.embeddings[of_person] @ embedding
        order = np.argsort(-similarity)[:count]
        return [(self.gallery.face_ids[of_person[i]], float(similarity[i])) for i in order]

    def save(self, directory: Path) -> None:
        """Write the model as arrays and JSON: loading it never runs code."""
        directory.mkdir(parents=True, exist_ok=True)
        np.savez(
            directory / _ARRAYS,
            embeddings=self.gallery.embeddings,
            person_ids=np.array(self.gallery.person_ids),
            face_ids=np.array(self.gallery.face_ids),
            classes=self.classifier.classes_,
            prototypes=self.classifier.prototypes_,
            strangers_stills=self.stills.strangers,
            strangers_tracks=self.tracks.strangers,
        )
        facts = {
            "embedder": self.gallery.embedder,
            "prior_known": self.prior_known,
            "genuine_stills": asdict(self.stills.genuine),
            "genuine_tracks": asdict(self.tracks.genuine),
        }
        (directory / _FACTS).write_text(json.dumps(facts, indent=1))

    @classmethod
    def load(cls, directory: Path) -> NamingModel:
        """Read a model.

        Raises
        ------
        ModelNotFoundError
            If the folder holds no model.
        """
        try:
            facts: dict[str, Any] = json.loads((directory / _FACTS).read_text())
            with (directory / _ARRAYS).open("rb") as file, np.load(file, allow_pickle=False) as data:
                return cls._assemble(facts, {name: data[name] for name in data.files})
        except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise ModelNotFoundError(f"{directory} holds no readable model: train the project again") from error

    @classmethod
    def _assemble(cls, facts: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> NamingModel:
        classifier = PrototypeClassifier()
        classifier.classes_, classifier.prototypes_ = arrays["classes"], arrays["prototypes"]
        prior = float(facts["prior_known"])
        return cls(
            gallery=Gallery(
                facts["embedder"],
                arrays["embeddings"],
                tuple(arrays["person_ids"].tolist()),
                tuple(arrays["face_ids"].tolist()),
            ),
            classifier=classifier,
            stills=ScoreCalibration(arrays["strangers_stills"], GenuineScale(**facts["genuine_stills"]), prior),
            tracks=ScoreCalibration(arrays["strangers_tracks"], GenuineScale(**facts["genuine_tracks"]), prior),
            prior_known=prior,
        )


def fit_model(gallery: Gallery, cohort: Cohort, prior_known: float) -> NamingModel:
    """Make the model of a gallery.

    Raises
    ------
    EmptyGalleryError
        If there is no face.
    GalleryMismatchError
        If gallery and cohort come from two networks.
    """
    if not gallery.person_ids:
        raise EmptyGalleryError("no enabled face to learn from: import people first (facerec people import DIR)")
    if gallery.embedder != cohort.embedder:
        raise GalleryMismatchError(
            f"the gallery was embedded with {gallery.embedder!r}, the cohort of strangers with {cohort.embedder!r}"
        )
    classifier = PrototypeClassifier().fit(gallery.embeddings, gallery.person_ids)

    def calibrate(strangers: FloatArray, genuine: GenuineScale) -> ScoreCalibration:
        if len(strangers) == 0:
            return ScoreCalibration(_scores_of_others(gallery, classifier), genuine, prior_known)
        scores = classifier.decision_function(strangers).max(axis=1)
        return ScoreCalibration(without_enrolled(scores, genuine), genuine, prior_known)

    return NamingModel(
        gallery,
        classifier,
        stills=calibrate(cohort.stills, cohort.genuine_stills),
        tracks=calibrate(cohort.tracks, cohort.genuine_tracks),
        prior_known=prior_known,
    )


def _scores_of_others(gallery: Gallery, classifier: PrototypeClassifier) -> FloatArray:
    """Score every enrolled face against everybody but its own person: strangers, where there is no cohort."""
    if len(classifier.classes_) < _LEAST_PEOPLE:
        raise GalleryError(
            f"no cohort of strangers is shipped for {gallery.embedder!r}, and {len(classifier.classes_)} people are too few to "
            f"stand in for one: enrol at least {_LEAST_PEOPLE}, or begin a project with the embedder 'dlib'"
        )
    similarity = classifier.decision_function(gallery.embeddings)
    similarity[classifier.classes_[None, :] == np.array(gallery.person_ids)[:, None]] = -1
    return np.asarray(similarity.max(axis=1), np.float32)

"""Who is enrolled, and the model that follows from it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from facerec_models.errors import EmptyGalleryError, GalleryError, GalleryMismatchError
from facerec_models.files import AnyPath
from facerec_models.identification.calibration import GenuineScale, ScoreCalibration, are_strangers
from facerec_models.identification.classifiers import (
    DEFAULT_CLASSIFIER,
    Arrays,
    BoundedClassifier,
    FaceClassifier,
    PrototypeClassifier,
    build_classifier,
    load_classifier,
)
from facerec_models.identification.cohort import Cohort
from facerec_models.identification.corrections import Corrections
from facerec_models.identification.cross_validation import Learn, fit_classifier, genuine_scores, learn_in_turn
from facerec_models.identification.model_folder import read_folder, unreadable, write_folder
from facerec_models.types import FloatArray, IndexArray

SCHEMA = "facerec.model/1"
_LEAST_PEOPLE = 20
_OF_CLASSIFIER = "classifier."


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Enrolled faces.

    Parameters
    ----------
    embedder : str
        Name of the network that all embeddings come from.
    embeddings : (M, D) float32
    person_ids, face_ids : (M,) str
        Any sequence of text is taken.

    Examples
    --------
    >>> gallery = Gallery("dlib-resnet-v1", np.eye(128, dtype=np.float32)[:3], ["Ann", "Bob", "Ann"], ["1", "2", "3"])
    >>> gallery.rows_of("Ann").tolist()
    [0, 2]
    """

    embedder: str
    embeddings: FloatArray
    person_ids: npt.NDArray[np.str_]
    face_ids: npt.NDArray[np.str_]
    _order: IndexArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not len(self.embeddings) == len(self.person_ids) == len(self.face_ids):
            raise ValueError(
                f"a gallery of {len(self.embeddings)} embeddings has {len(self.person_ids)} person ids and "
                f"{len(self.face_ids)} face ids"
            )
        object.__setattr__(self, "person_ids", np.asarray(self.person_ids, np.str_))
        object.__setattr__(self, "face_ids", np.asarray(self.face_ids, np.str_))
        object.__setattr__(self, "_order", np.argsort(self.person_ids, kind="stable"))

    def rows_of(self, person_id: str) -> IndexArray:
        """Return where a person's faces are; nowhere if nobody has this id."""
        first, last = (
            np.searchsorted(self.person_ids, person_id, side, sorter=self._order) for side in ("left", "right")
        )
        return self._order[first:last]

    def snapshot(self) -> dict[str, Any]:
        """Return what identifies these faces, in whatever order they are, as JSON values: checksums of ids and embeddings."""
        order = np.argsort(self.face_ids)
        embeddings = np.ascontiguousarray(self.embeddings[order], "<f4")
        return {
            "faces": len(order),
            "face_ids_sha256": hashlib.sha256("\n".join(self.face_ids[order].tolist()).encode()).hexdigest(),
            "embeddings_sha256": hashlib.sha256(embeddings.data).hexdigest(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class NamingModel:
    """A gallery with everything that is needed to name faces against it.

    Parameters
    ----------
    classifier : FaceClassifier
        Its scores alone decide.
    prototypes : (N, D) float32
        The mean of each person's embeddings, in the order of the classifier's people: what "similarity" means in answers.
    stills, tracks : ScoreCalibration
        What a score means for one picture, and for a track.
    prior_known : float
        Assumed fraction of faces that belong to enrolled people.
    corrections : Corrections
        Confirmed names of tracks, and negative examples.
    facts : mapping
        Where the model comes from, as JSON values: kept beside it, and not used.
    """

    gallery: Gallery
    classifier: FaceClassifier
    prototypes: FloatArray
    stills: ScoreCalibration
    tracks: ScoreCalibration
    prior_known: float
    corrections: Corrections = field(default_factory=Corrections)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def check_embedder(self, embedder: str) -> None:
        """Raise `GalleryMismatchError` unless this is the network that the gallery was embedded with."""
        if embedder != self.gallery.embedder:
            raise GalleryMismatchError(
                f"faces embedded with {embedder!r} cannot be named by a model for {self.gallery.embedder!r}: "
                f"analyse the video, or import the people, with the same embedder"
            )

    def nearest_faces(self, embedding: FloatArray, person_id: str, count: int = 3) -> list[tuple[str, float]]:
        """Return the ids and similarities of a person's enrolled faces that are nearest to an embedding."""
        rows = self.gallery.rows_of(person_id)
        similarity = self.gallery.embeddings[rows] @ embedding
        order = np.argsort(-similarity, kind="stable")[:count]
        return [(str(self.gallery.face_ids[rows[i]]), float(similarity[i])) for i in order]

    def save(self, directory: AnyPath, facts: Mapping[str, Any] | None = None) -> None:
        """Write the model as arrays and JSON, whole or not at all: loading it never runs code.

        Parameters
        ----------
        facts : mapping, optional
            What else is to be known of it, as JSON values.
        """
        arrays = {
            "embeddings": self.gallery.embeddings,
            "person_ids": self.gallery.person_ids,
            "face_ids": self.gallery.face_ids,
            "prototypes": self.prototypes,
            "strangers_stills": self.stills.strangers,
            "strangers_tracks": self.tracks.strangers,
            "denied": self.corrections.denied,
            "denied_people": self.corrections.denied_people,
            **{f"{_OF_CLASSIFIER}{name}": array for name, array in self.classifier.to_arrays().items()},
        }
        write_folder(
            directory,
            arrays,
            {
                "schema": SCHEMA,
                "embedder": self.gallery.embedder,
                "classifier": {"name": self.classifier.name, "params": self.classifier.get_params()},
                "prior_known": self.prior_known,
                "genuine_stills": asdict(self.stills.genuine),
                "genuine_tracks": asdict(self.tracks.genuine),
                "confirmed": [[*key, person] for key, person in sorted(self.corrections.confirmed.items())],
                "no_images": sorted(map(list, self.corrections.no_images)),
                **self.facts,
                **(facts or {}),
                "snapshot": self.gallery.snapshot(),
            },
        )

    @classmethod
    def load(cls, directory: AnyPath) -> NamingModel:
        """Read a model.

        Raises
        ------
        ModelNotFoundError
            If the folder holds no model, or one of an older program.
        """
        arrays, facts = read_folder(directory)
        try:
            if facts["schema"] != SCHEMA:
                raise unreadable(directory)
            return cls._assemble(arrays, facts)
        except (KeyError, TypeError, ValueError) as error:
            raise unreadable(directory) from error

    @classmethod
    def _assemble(cls, arrays: Arrays, facts: dict[str, Any]) -> NamingModel:
        classifier = load_classifier(
            facts["classifier"]["name"],
            facts["classifier"]["params"],
            {
                name.removeprefix(_OF_CLASSIFIER): array
                for name, array in arrays.items()
                if name.startswith(_OF_CLASSIFIER)
            },
        )
        prior = float(facts["prior_known"])

        def calibration(kind: str) -> ScoreCalibration:
            genuine = GenuineScale(**facts[f"genuine_{kind}"])
            return ScoreCalibration(arrays[f"strangers_{kind}"], genuine, prior, classifier.highest_score)

        return cls(
            gallery=Gallery(facts["embedder"], arrays["embeddings"], arrays["person_ids"], arrays["face_ids"]),
            classifier=classifier,
            prototypes=arrays["prototypes"],
            stills=calibration("stills"),
            tracks=calibration("tracks"),
            prior_known=prior,
            corrections=Corrections(
                {(analysis_id, track_id): person for analysis_id, track_id, person in facts["confirmed"]},
                arrays["denied_people"],
                arrays["denied"],
                # A model of an older program knows none, and names as well without.
                frozenset((analysis_id, track_id) for analysis_id, track_id in facts.get("no_images", [])),
            ),
            facts=facts,
        )


def fit_model(
    gallery: Gallery,
    cohort: Cohort,
    prior_known: float,
    *,
    classifier: str = DEFAULT_CLASSIFIER,
    seed: int = 0,
    learn: Learn = learn_in_turn,
) -> NamingModel:
    """Make the model of a gallery.

    A classifier that learns from strangers learns from one half of the cohort and is calibrated with the other: of the strangers that
    it has seen, it would claim too much. Its scores are bounded by similarity, see `facerec_models.identification.classifiers.bounded`.

    Parameters
    ----------
    classifier : str
        One of `facerec_models.identification.classifiers.CLASSIFIERS`.
    seed : int
        Of the classifier; the same faces and seed give the same model.
    learn : callable
        Learns people independently of each other; see `facerec_models.identification.cross_validation.learn_in_turn`.

    Raises
    ------
    EmptyGalleryError
        If there is no face.
    GalleryMismatchError
        If gallery and cohort come from two networks.
    GalleryError
        If there are too few strangers for this classifier.
    """
    if len(gallery.person_ids) == 0:
        raise EmptyGalleryError("no enabled face to learn from: import people first (facerec people import DIR)")
    if gallery.embedder != cohort.embedder:
        raise GalleryMismatchError(
            f"the gallery was embedded with {gallery.embedder!r}, the cohort of strangers with {cohort.embedder!r}"
        )
    require_strangers(cohort, len(np.unique(gallery.person_ids)))
    prototypes = PrototypeClassifier().fit(gallery.embeddings, gallery.person_ids, cohort.stills)
    chosen = build_classifier(classifier, seed)
    if not chosen.learns_from_strangers:
        return _without_learning_strangers(gallery, prototypes, cohort, prior_known)
    if len(cohort.stills) == 0:
        raise GalleryError(
            f"no cohort of strangers is shipped for {gallery.embedder!r}, and the classifier {classifier!r} learns from one: "
            f"train 'prototype', or begin a project with the embedder 'dlib'"
        )
    # People of the cohort who are enrolled would be learned as other people.
    rest = are_strangers(prototypes.similarity(cohort.stills).max(axis=1), cohort.genuine_stills)
    learned, kept = np.flatnonzero(rest)[::2], np.flatnonzero(rest)[1::2]
    strangers = cohort.stills[learned]
    fitted = BoundedClassifier.of(
        fit_classifier(chosen, gallery.embeddings, gallery.person_ids, strangers, learn),
        prototypes,
        cohort.stills[kept],
    )

    def bound(learned: FaceClassifier, x: FloatArray, y: npt.NDArray[np.str_]) -> FaceClassifier:
        own = np.isin(y, learned.classes_)
        return fitted.in_same_unit(learned, PrototypeClassifier().fit(x[own], y[own], cohort.stills))

    genuine = genuine_scores(
        fitted,
        lambda: build_classifier(classifier, seed),
        gallery.embeddings,
        gallery.person_ids,
        strangers,
        cohort.genuine_stills,
        learn,
        bound,
    )

    def calibrate(others: FloatArray, scale: GenuineScale) -> ScoreCalibration:
        scores = fitted.decision_function(others[kept]).max(axis=1)
        return ScoreCalibration(scores, scale, prior_known, fitted.highest_score)

    return NamingModel(
        gallery,
        fitted,
        prototypes.prototypes_,
        stills=calibrate(cohort.stills, genuine.stills),
        tracks=calibrate(cohort.tracks, genuine.tracks),
        prior_known=prior_known,
        facts={
            "learned_strangers": len(learned),
            "cross_validated_faces": genuine.cross_validated,
            "synthetic_faces": genuine.synthetic,
        },
    )


def _without_learning_strangers(
    gallery: Gallery, prototypes: PrototypeClassifier, cohort: Cohort, prior_known: float
) -> NamingModel:
    def calibrate(strangers: FloatArray, genuine: GenuineScale) -> ScoreCalibration:
        if len(strangers) == 0:
            scores = _scores_of_others(gallery, prototypes)
        else:
            rest = are_strangers(prototypes.similarity(strangers).max(axis=1), genuine)
            scores = prototypes.decision_function(strangers[rest]).max(axis=1)
        moved = GenuineScale(genuine.mean - float(prototypes.attraction_.mean()), genuine.deviation)
        return ScoreCalibration(scores, moved, prior_known, prototypes.highest_score)

    return NamingModel(
        gallery,
        prototypes,
        prototypes.prototypes_,
        stills=calibrate(cohort.stills, cohort.genuine_stills),
        tracks=calibrate(cohort.tracks, cohort.genuine_tracks),
        prior_known=prior_known,
    )


def require_strangers(cohort: Cohort, people: int) -> None:
    """Raise `GalleryError` if there is nobody to calibrate names with: neither a cohort nor enough people in the gallery."""
    if len(cohort.stills) == 0 and people < _LEAST_PEOPLE:
        raise GalleryError(
            f"no cohort of strangers is shipped for {cohort.embedder!r}, and {people} people are too few to stand in for one: "
            f"enrol at least {_LEAST_PEOPLE}, import strangers with 'facerec cohort import', or begin a project with the embedder "
            f"'dlib'"
        )


def _scores_of_others(gallery: Gallery, classifier: PrototypeClassifier) -> FloatArray:
    """Score every enrolled face against everybody but its own person: strangers, where there is no cohort."""
    similarity = classifier.decision_function(gallery.embeddings)
    similarity[classifier.classes_[None, :] == gallery.person_ids[:, None]] = -1
    return np.asarray(similarity.max(axis=1), np.float32)

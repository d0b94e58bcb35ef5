"""Who is enrolled, and the model that names faces; `facerec_models.identification.fit` makes it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from facerec_models.errors import GalleryMismatchError
from facerec_models.files import AnyPath
from facerec_models.identification.calibration import GenuineScale, ScoreCalibration
from facerec_models.identification.corrections import Corrections
from facerec_models.identification.model_folder import read_folder, unreadable, write_folder
from facerec_models.types import FloatArray, IndexArray
from facerec_models.vectors import PairScale

# Only who names or learns needs scikit-learn, and it takes long to import.
if TYPE_CHECKING:
    from facerec_models.identification.classifiers import Arrays, FaceClassifier

SCHEMA = "facerec.model/3"
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
    pair : PairScale
        What the similarity of two single faces tells.
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
    pair: PairScale
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
                "pair": asdict(self.pair),
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
        from facerec_models.identification.classifiers import load_classifier

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
            pair=PairScale(**facts["pair"]),
            corrections=Corrections(
                {(analysis_id, track_id): person for analysis_id, track_id, person in facts["confirmed"]},
                arrays["denied_people"],
                arrays["denied"],
                frozenset((analysis_id, track_id) for analysis_id, track_id in facts["no_images"]),
            ),
            facts=facts,
        )

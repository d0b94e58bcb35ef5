"""Make a second set of vectors with another embedder, from stored crops: no video is opened, and nobody sees it yet.

Faces, the tracks of every video's latest analysis, and a model version that learned them: all that
`serving.archive.second_embedder.switch` needs to change a project's embedder. What is there already is not made again, so that an
interrupted preparation goes on, and a later one does what came since.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from facerec_models.analysis.embedders.known import find_embedder
from facerec_models.analysis.weights import WeightsRegistry
from facerec_models.config import EmbeddingConfig, TrainingConfig
from facerec_models.errors import ConflictError, EmptyGalleryError
from facerec_models.files import AnyPath, remove_tree, write_atomically
from facerec_models.identification.cohort import require_strangers
from facerec_models.identification.naming_model import Gallery
from facerec_models.types import FloatArray, Track
from serving.archive.coverage import MADE_FROM
from serving.archive.handle import Archive
from serving.archive.learning.cohort import project_cohort
from serving.archive.learning.loaded_models import promoted_version
from serving.archive.learning.missing_vectors import face_crop
from serving.archive.learning.model_versions import Learned, fit_version
from serving.archive.naming.whole_archive import batched
from serving.archive.vector_sets import (
    carry_corrections,
    carry_strangers,
    empty_forgotten,
    learned_state,
    read_vectors,
    second_analyses,
    write_vectors,
)
from serving.archive.videos import being_made, second_analysis_id, second_key
from serving.store.contract import Store
from serving.store.rows import AnalysisRow, FaceStatus, ModelVersion
from training.crop_embedding import embed_stored
from training.progress import NoProgress, Progress
from training.ray_tasks import Workers

logger = logging.getLogger(__name__)

# Kept at once: what an interruption loses, and what is in memory.
_FACES, _ANALYSES = 2048, 32
# Where the parts of the work begin, as fractions of all.
_TRACKS_FROM, _FIT_FROM = 0.15, 0.9


@dataclass(frozen=True, slots=True)
class Prepared:
    """A second set that is complete.

    Parameters
    ----------
    version : str
        The model version that would name with it.
    faces, unusable_faces : int
        Enrolled faces with a vector, and those without a crop to make one from.
    videos, made : int
        All that are in it, and those that were added now.
    tracks, lost_tracks : int
        Of the videos that were added now; those that lost their vectors, for want of crops.
    corrections, lost_corrections : int
        Corrections that hold in it too, and those that do not.
    """

    embedder: str
    version: str
    faces: int
    unusable_faces: int
    videos: int
    made: int
    tracks: int
    lost_tracks: int
    corrections: int
    lost_corrections: int

    def to_dict(self) -> dict[str, Any]:
        """Return the set as JSON values."""
        return asdict(self)


def prepare_second_set(
    archive: Archive,
    project: str,
    embedder: str,
    config: EmbeddingConfig,
    *,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Embed the crops of faces and tracks with another embedder, and train a version on them that is not promoted.

    Parameters
    ----------
    embedder : str
        Its name, or the setting that gives it.
    config : EmbeddingConfig
        Mirroring and batches.
    workers : Workers, optional
        Where crops are embedded; by default in a Ray of its own on this machine.

    Raises
    ------
    WeightsError
        If there is no such embedder, or its weights are not here.
    ConflictError
        If the project has no vectors yet, or has those of this embedder.
    GalleryError
        If nothing can be learned from the faces.
    TrainingStoppedError
        If `progress` asked for it; what was embedded stays.
    """
    started = time.perf_counter()
    weights = WeightsRegistry(archive.files.weights)
    wanted = find_embedder(embedder, weights)
    embedder = wanted.name
    _require_another(archive.store, project, embedder)
    weights.locate(embedder)
    people = {face.person_id for face in archive.store.list_faces(project, status=FaceStatus.TAKEN)}
    require_strangers(project_cohort(archive.files, project, embedder), len(people))
    progress = progress or NoProgress()
    with workers or Workers(archive.files.root) as used:
        work = _Work(archive, project, embedder, config, used, progress)
        work.embed_faces()
        tracks = work.embed_tracks(wanted.dimension)
        row, lost = _train(work, started)
    archive.store.add_model(row)
    # It may know a person who was forgotten.
    if row.metrics["second_set"]["state"] != learned_state(archive.store, project):
        archive.store.delete_model(project, row.version)
        remove_tree(archive.files.model(project, row.version))
        raise ConflictError(f"faces or corrections of project {project!r} have changed meanwhile: prepare again")
    progress.report(1.0)
    second = second_analyses(archive.store, project, embedder)
    corrections = row.metrics["second_set"]["corrections"]
    facts = row.metrics["unusable_faces"]
    logger.info("version %s: %d people on %s, beside the project's own", row.version, row.people, embedder)
    return Prepared(embedder, row.version, row.faces, facts, len(second), *tracks, corrections, lost)


def _require_another(store: Store, project: str, embedder: str) -> None:
    own = store.get_project(project).embedder
    if own is None:
        raise ConflictError(f"project {project!r} has no vectors yet: import people or analyse a video with {embedder}")
    if own == embedder:
        raise ConflictError(f"project {project!r} has vectors of {embedder} already: name another embedder")


class _Made(NamedTuple):
    """How many analyses were made, with how many tracks, and how many of these lost their vectors."""

    made: int = 0
    tracks: int = 0
    lost_tracks: int = 0


@dataclass(frozen=True, slots=True)
class _Work:
    """What making a second set needs."""

    archive: Archive
    project: str
    embedder: str
    config: EmbeddingConfig
    workers: Workers
    progress: Progress

    def embed_faces(self) -> None:
        """Keep a vector for every enrolled face that has a usable crop, disabled ones too."""
        store, files_of, project = self.archive.store, self.archive.files, self.project
        faces = {face.face_id: face for face in store.list_faces(project) if face.embedding is not None}
        known = read_vectors(files_of, project, self.embedder)
        vectors = {face_id: vector for face_id, vector in known.items() if face_id in faces}
        # One that was enrolled while the project had this embedder has it from its picture.
        vectors |= {
            face.face_id: face.embedding
            for face in faces.values()
            if face.embedder == self.embedder and face.embedding is not None
        }
        wanting = [face for face in faces.values() if face.face_id not in vectors]
        done = 0
        for part in batched(wanting, _FACES):
            files = [(face.face_id, face_crop(files_of, face)) for face in part]
            vectors |= self._embed(files)
            write_vectors(files_of, project, self.embedder, vectors)
            done += len(part)
            self.progress.report(_TRACKS_FROM * done / len(wanting))
        there = {face.face_id for face in store.list_faces(project)}  # a person may have been forgotten meanwhile
        vectors = {face_id: vector for face_id, vector in vectors.items() if face_id in there}
        if wanting or vectors.keys() != known.keys():
            write_vectors(files_of, project, self.embedder, vectors)

    def embed_tracks(self, dimension: int) -> _Made:
        """Store an analysis of this embedder beside the latest one of every video, where there is none yet."""
        store, files_of, project = self.archive.store, self.archive.files, self.project
        second = second_analyses(store, project, self.embedder)
        wanting = [row for row in store.list_analyses(project) if row.analysis_id in second]
        wanting = [row for row in wanting if second[row.analysis_id] is None]
        self.progress.report(_TRACKS_FROM)
        total = _Made()
        for part in batched(wanting, _ANALYSES):
            tracks = store.get_tracks(project, [row.analysis_id for row in part])
            each = [(row.analysis_id, track) for row in part for track in tracks[row.analysis_id]]
            keys = [(one, track.track_id, k) for one, track in each for k in range(len(track.embedded))]
            files = [(key, files_of.track_crop(project, *key)) for key in keys]
            found: dict[tuple[str, int], dict[int, FloatArray]] = defaultdict(dict)
            for (analysis_id, track_id, k), vector in self._embed(files).items():
                found[analysis_id, track_id][k] = vector
            for row in part:
                vectors = {track.track_id: found[row.analysis_id, track.track_id] for track in tracks[row.analysis_id]}
                self._store_analysis(row, tracks[row.analysis_id], vectors, dimension)
            lost = sum(len(track.embedded) > 0 and not found[one, track.track_id] for one, track in each)
            total = _Made(total.made + len(part), total.tracks + len(each), total.lost_tracks + lost)
            self.progress.report(_TRACKS_FROM + (_FIT_FROM - _TRACKS_FROM) * total.made / len(wanting))
        return total

    def _embed(self, files: Sequence[tuple[Any, AnyPath | None]]) -> dict[Any, FloatArray]:
        """Return a vector for each crop that can be read, under the key that it is given with."""
        found: dict[Any, FloatArray] = {}
        embed_stored(
            files,
            self.embedder,
            self.config,
            self.archive.files.weights,
            self.workers,
            on_done=found.update,
            should_stop=self.progress.should_stop,
        )
        return found

    def _store_analysis(
        self, row: AnalysisRow, tracks: Sequence[Track], vectors: dict[int, dict[int, FloatArray]], dimension: int
    ) -> None:
        """Store the analysis that is made of another, with copies of its crops, as older than that: it is not the video's latest."""
        video = self.archive.store.get_video(self.project, row.video_id)
        made = AnalysisRow(
            analysis_id=second_analysis_id(video, row.key, self.embedder),
            project=self.project,
            video_id=row.video_id,
            key=second_key(row.key, self.embedder),
            embedder=self.embedder,
            # Where the new vectors were computed is not known here; the detector's work is the old one.
            summary={**row.summary, "engines": {**row.summary["engines"], "embedder": ""}, MADE_FROM: row.analysis_id},
            created_at=row.created_at,
        )
        with being_made(self.archive, self.project, made.analysis_id):
            for track in tracks:
                for new, k in enumerate(sorted(vectors[track.track_id])):
                    crop = self.archive.files.track_crop(self.project, row.analysis_id, track.track_id, k)
                    copy = self.archive.files.track_crop(self.project, made.analysis_id, track.track_id, new)
                    # As they are: a crop that is realigned and compressed again has lost more.
                    write_atomically(copy, crop.read_bytes())
            embedded = [_embedded(track, vectors[track.track_id], dimension) for track in tracks]
            self.archive.store.put_analysis(made, embedded)
        copied = [track.track_id for track in tracks if len(track.embedded)]
        copies = [((row.analysis_id, one), (made.analysis_id, one)) for one in copied]
        empty_forgotten(self.archive.store, self.archive.files, self.project, copies)


def _embedded(track: Track, vectors: dict[int, FloatArray], dimension: int) -> Track:
    """Return a track with other vectors; those of its samples that have none are not embedded any more."""
    kept = sorted(vectors)
    found = np.stack([vectors[k] for k in kept]) if kept else np.zeros((0, dimension), np.float32)
    return replace(track, embedded=track.embedded[np.array(kept, np.intp)], embeddings=found)


def _train(work: _Work, started: float) -> tuple[ModelVersion, int]:
    """Fit a version as the promoted one was, and return it with how many corrections it cannot know."""
    store, project = work.archive.store, work.project
    state = learned_state(store, project)
    complete = {key: row for key, row in second_analyses(store, project, work.embedder).items() if row is not None}
    corrections = carry_corrections(store, project, complete)
    gallery, unusable = _gallery(work)
    promoted = promoted_version(store, project)
    learned = store.get_model(project, promoted).metrics.get("training", {}) if promoted else {}
    config = TrainingConfig.model_validate({**learned, "promote": "no"})
    facts = {
        "unusable_faces": unusable,
        "second_set": {"beside": store.get_project(project).embedder, "state": state, "corrections": len(corrections)},
    }
    seen = carry_strangers(store, project, complete) if config.use_seen_strangers else None
    fitted = fit_version(
        work.archive,
        project,
        Learned(gallery, corrections, facts, started, seen),
        config,
        work.workers,
        _Part(work.progress, _FIT_FROM),
    )
    fitted.fitted.save(work.archive.files.model(project, fitted.row.version))
    return fitted.row, len(store.list_corrections(project)) - len(corrections)


def _gallery(work: _Work) -> tuple[Gallery, int]:
    """Return the enabled faces with their second vectors, and how many have none."""
    vectors = read_vectors(work.archive.files, work.project, work.embedder)
    enabled = work.archive.store.list_faces(work.project, status=FaceStatus.TAKEN)
    faces = sorted(
        (face for face in enabled if face.face_id in vectors),
        key=lambda face: (face.person_id, face.path, face.face_id),
    )
    if not faces:
        raise EmptyGalleryError(
            f"project {work.project!r} has no enabled face with a crop to embed: import people again, in another project"
        )
    return (
        Gallery(
            work.embedder,
            np.stack([vectors[face.face_id] for face in faces]),
            np.array([face.person_id for face in faces]),
            np.array([face.face_id for face in faces]),
        ),
        len(enabled) - len(faces),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """The last part of a work, which reports as if it were all."""

    whole: Progress
    start: float

    def report(self, progress: float) -> None:
        self.whole.report(self.start + (1 - self.start) * progress)

    def should_stop(self) -> bool:
        return self.whole.should_stop()

"""Embed enrolled pictures whose vector is missing, or another network's, from their stored crops."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from facerec_models.config import EmbeddingConfig
from facerec_models.files import AnyPath
from facerec_models.types import FloatArray
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.store.rows import Face, FaceStatus
from training.crop_embedding import embed_stored
from training.ray_tasks import Workers

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reembedded:
    """What became of faces without a vector of the project's network.

    Parameters
    ----------
    embedded : int
    impossible : int
        Faces whose crop is missing or unreadable: their pictures must be imported again.
    """

    embedded: int = 0
    impossible: int = 0


def embed_missing(
    archive: Archive,
    project: str,
    config: EmbeddingConfig,
    workers: Workers,
    *,
    on_progress: Callable[[float], None],
    should_stop: Callable[[], bool],
) -> Reembedded:
    """Embed the enabled faces that have no vector of the project's own network, and store them batch by batch.

    All others are left as they are. A crop that was aligned for another network is realigned from what it shows.

    Parameters
    ----------
    config : EmbeddingConfig
        Mirroring and batches; the network is the project's.
    on_progress : callable
        Gets the embedded fraction, in [0, 1].

    Raises
    ------
    TrainingStoppedError
        If `should_stop` returned true; what was embedded stays.
    """
    embedder = archive.store.get_project(project).embedder
    if embedder is None:
        return Reembedded()
    wanting = [
        face
        for face in archive.store.list_faces(project, status=FaceStatus.TAKEN)
        if face.embedding is None or face.embedder != embedder
    ]
    if not wanting:
        return Reembedded()
    logger.info("%d faces have no vector of %s", len(wanting), embedder)
    done = 0

    def keep(vectors: dict[str, FloatArray]) -> None:
        nonlocal done
        # Not the rows as they were read: a person may have been forgotten, or a face disabled, meanwhile.
        archive.store.set_vectors(project, embedder, vectors)
        done += len(vectors)
        on_progress(done / len(wanting))

    crops = [(face.face_id, face_crop(archive.files, face)) for face in wanting]
    embed_stored(crops, embedder, config, archive.files.weights, workers, on_done=keep, should_stop=should_stop)
    impossible = len(wanting) - done
    if impossible:
        logger.warning(
            "%d faces cannot be embedded for %s from their crops: import their pictures again", impossible, embedder
        )
    return Reembedded(done, impossible)


def face_crop(files: Files, face: Face) -> AnyPath | None:
    """Return the file of a face's stored crop; None if it has none."""
    return None if face.crop is None else files.face_crop(face.project, face.face_id)

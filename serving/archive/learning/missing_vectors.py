"""Embed enrolled pictures whose vector is missing, or another network's, from their stored crops."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from facerec_models.config import EmbeddingConfig
from facerec_models.files import AnyPath
from facerec_models.types import FloatArray, ImageArray
from serving.archive.files import Files
from serving.archive.handle import Archive
from serving.store.rows import Face, FaceStatus
from training.crop_embedding import embed_crops, read_crop
from training.ray_tasks import Workers

logger = logging.getLogger(__name__)

_BATCH = 64


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
    # Here and not above: a training that embeds nothing needs no torch.
    from facerec_models.analysis.embedders.torch_embedder import choice_of, template_of

    config = config.model_copy(update={"embedder": choice_of(embedder)})
    template = template_of(embedder)
    logger.info("%d faces have no vector of %s", len(wanting), embedder)
    batches: list[list[Face]] = []

    def read() -> Iterator[ImageArray]:
        """Read crops a batch at a time: those of a large gallery would fill the memory."""
        for start in range(0, len(wanting), _BATCH):
            part = [
                (face, read_crop(face_crop(archive.files, face), template)) for face in wanting[start : start + _BATCH]
            ]
            usable = [(face, crop) for face, crop in part if crop is not None]
            if usable:
                batches.append([face for face, _ in usable])
                yield np.stack([crop for _, crop in usable])

    done = 0

    def keep(number: int, embeddings: FloatArray) -> None:
        nonlocal done
        rows = zip(batches[number], embeddings, strict=True)
        # Not the rows as they were read: a person may have been forgotten, or a face disabled, meanwhile.
        archive.store.set_vectors(project, embedder, {face.face_id: vector for face, vector in rows})
        done += len(embeddings)
        on_progress(done / len(wanting))

    workers.map(embed_crops, read(), config, archive.files.weights, on_done=keep, should_stop=should_stop)
    impossible = len(wanting) - done
    if impossible:
        logger.warning(
            "%d faces cannot be embedded for %s from their crops: import their pictures again", impossible, embedder
        )
    return Reembedded(done, impossible)


def face_crop(files: Files, face: Face) -> AnyPath | None:
    """Return the file of a face's stored crop; None if it has none."""
    return None if face.crop is None else files.face_crop(face.project, face.face_id)

"""Embed stored crops in processes that keep the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from facerec_models.analysis.alignment import Template, realign, template_of_size
from facerec_models.analysis.embedders.known import build_embedder, find_embedder, known_templates
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.weights import WeightsRegistry
from facerec_models.config import EmbeddingConfig, LimitsConfig
from facerec_models.errors import ImageError
from facerec_models.files import AnyPath
from facerec_models.images import read_image
from facerec_models.types import FloatArray, ImageArray
from training.ray_tasks import Workers

Key = TypeVar("Key")

_BATCH = 64


def embed_stored(
    crops: Sequence[tuple[Key, AnyPath | None]],
    embedder: str,
    config: EmbeddingConfig,
    weights: Path,
    workers: Workers,
    *,
    on_done: Callable[[dict[Key, FloatArray]], None],
    should_stop: Callable[[], bool],
) -> None:
    """Embed stored crops in tasks; those that are missing or cannot be read are passed over.

    Parameters
    ----------
    crops : sequence of (key, path or None)
    config : EmbeddingConfig
        Mirroring and batches; the network is `embedder`.
    on_done : callable
        Gets the vectors of some crops by their keys, not in order.

    Raises
    ------
    TrainingStoppedError
        If `should_stop` returned true.
    """
    config, registry = config.model_copy(update={"embedder": embedder}), WeightsRegistry(weights)
    template, templates = find_embedder(embedder, registry).template, known_templates(registry)
    keys: list[list[Key]] = []

    def read() -> Iterator[ImageArray]:
        """Read crops a batch at a time: those of a large archive would fill the memory."""
        for start in range(0, len(crops), _BATCH):
            images = [(key, read_crop(path, template, templates)) for key, path in crops[start : start + _BATCH]]
            usable = [(key, image) for key, image in images if image is not None]
            if usable:
                keys.append([key for key, _ in usable])
                yield np.stack([image for _, image in usable])

    def keep(number: int, embeddings: FloatArray) -> None:
        on_done(dict(zip(keys[number], embeddings, strict=True)))

    workers.map(embed_crops, read(), config, weights, on_done=keep, should_stop=should_stop)


def embed_crops(crops: ImageArray, config: EmbeddingConfig, weights: Path) -> FloatArray:
    """Embed aligned faces in a process that keeps the network for the next batch."""
    return _embedder(config, weights).embed(crops)


@lru_cache(maxsize=1)
def _embedder(config: EmbeddingConfig, weights: Path) -> FaceEmbedder:
    return build_embedder(config, WeightsRegistry(weights), threads=1)


def read_crop(path: AnyPath | None, template: Template, templates: Sequence[Template]) -> ImageArray | None:
    """Return a stored crop as `template` wants it, realigned where it was made for another of some; None if it cannot be read."""
    try:
        if path is None or not path.is_file():
            return None
        crop = read_image(path.read_bytes(), LimitsConfig(), name=str(path))
    except ImageError:
        return None
    height, width = crop.shape[:2]
    source = template_of_size(height, width, templates)
    return None if source is None else realign(crop, source, template)

"""Embed stored crops in processes that keep the network."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from facerec_models.analysis.alignment import Template, realign, template_of_size
from facerec_models.analysis.embedding import FaceEmbedder
from facerec_models.analysis.weights import WeightsRegistry
from facerec_models.config import EmbeddingConfig, LimitsConfig
from facerec_models.errors import ImageError
from facerec_models.files import AnyPath
from facerec_models.images import read_image
from facerec_models.types import FloatArray, ImageArray


def embed_crops(crops: ImageArray, config: EmbeddingConfig, weights: Path) -> FloatArray:
    """Embed aligned faces in a process that keeps the network for the next batch."""
    return _embedder(config, weights).embed(crops)


@lru_cache(maxsize=1)
def _embedder(config: EmbeddingConfig, weights: Path) -> FaceEmbedder:
    import torch

    from facerec_models.analysis.embedders.torch_embedder import build_embedder

    torch.set_num_threads(1)
    return build_embedder(config, WeightsRegistry(weights))


def read_crop(path: AnyPath | None, template: Template) -> ImageArray | None:
    """Return a stored crop as `template` wants it, realigned where it was made for another; None if it cannot be read."""
    try:
        if path is None or not path.is_file():
            return None
        crop = read_image(path.read_bytes(), LimitsConfig(), name=str(path))
    except ImageError:
        return None
    source = template_of_size(*crop.shape[:2])
    return None if source is None else realign(crop, source, template)
